"""Staff in a patient's conversation: claim, reply, note, hand back. Each is one commit, as every turn is.

While a record has an owner the bot sends nothing of its own; the claim is decided on the record's version, so two
people can never both own it. Sends nothing itself: a reply is an effect like any other.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from bot.conversation import Conversation
from bot.record import Record
from bot.turn import Heard, Later, Turn


@dataclass(frozen=True, slots=True)
class Done:
    """*ok*, or a sentence that says *why* not. *owner* is who owns the patient after it."""

    ok: bool
    why: str
    owner: str | None


class TakeOver:
    """What staff may do in a conversation. *once* names one press of a button: a second press changes nothing."""

    def __init__(self, conversation: Conversation) -> None:
        self.conversation = conversation

    def claim(self, patient: str, who: str, once: str) -> Done:
        """From this commit on *who* answers and the bot is silent; the open question's timer is taken back."""

        def change(record: Record, now: float) -> tuple[Record, Done, dict[str, Any]]:
            if record.owner not in (None, who):
                return record, Done(False, "Somebody else took over first.", record.owner), {}
            planned = {name: one for name, one in record.planned.items() if name != "silence"}
            event = {"at": now, "in": "claimed", "by": who}
            return replace(record, owner=who, planned=planned), Done(True, "", who), event

        return self._do(patient, f"claim:{who}:{once}", change)

    def reply(self, patient: str, who: str, body: str, once: str) -> Done:
        """One text of *who*, through the ledger. Refused without ownership and after STOP."""

        def change(record: Record, now: float) -> tuple[Record, Done, dict[str, Any]]:
            if record.owner != who:
                return record, Done(False, "You do not have this conversation any more.", record.owner), {}
            if record.opted_out:
                return record, Done(False, "The patient wrote STOP, so no text may be sent. Call instead.", who), {}
            return record, Done(True, "", who), {"at": now, "in": "staff", "by": who, "says": [body]}

        return self._do(patient, f"reply:{who}:{once}", change, body)

    def release(self, patient: str, who: str, once: str) -> Done:
        """The bot answers again, at the same question."""

        def change(record: Record, now: float) -> tuple[Record, Done, dict[str, Any]]:
            if record.owner != who:
                return record, Done(False, "You do not have this conversation any more.", record.owner), {}
            return replace(record, owner=None), Done(True, "", None), {"at": now, "in": "released", "by": who}

        return self._do(patient, f"release:{who}:{once}", change)

    def _do(
        self,
        patient: str,
        key: str,
        change: Callable[[Record, float], tuple[Record, Done, dict[str, Any]]],
        body: str = "",
    ) -> Done:
        def decide(record: Record, now: float) -> tuple[Turn, bytes]:
            after, done, event = change(record, now)
            dropped = tuple(one for name, one in record.planned.items() if name not in after.planned)
            later: tuple[Later, ...] = ()
            if body and done.ok:
                later = (Later(self.conversation.clinic.new_effect(patient), "text", now, {"body": body}),)
            heard = Heard("sms", "en", silent=True, session=after.session)
            answer = json.dumps([done.ok, done.why, done.owner]).encode()
            return Turn(after, heard, later, dropped, event=event), answer

        return Done(*json.loads(self.conversation.staff_turn(patient, key, decide)))
