"""Staff in a patient's conversation: claim, reply, note, hand back. Each is one commit, as every turn is.

While a record has an owner the bot sends nothing of its own; the claim is decided on the record's version, so two
people can never both own it. What the bot had decided before the claim is asked again right before the carrier
(conversation.may_leave). Sends nothing itself: a reply is an effect like any other.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import astuple, dataclass, replace
from hashlib import sha256
from typing import Any

from bot import engine, prompts
from bot.conversation import Conversation
from bot.decide import REST_SECONDS
from bot.record import CLOSED, WAITS, Record
from bot.turn import Heard, Later, Turn
from bot.wording import fold, safe_text
from bot.work import Work

STOPPED = "The patient wrote STOP, so no text may be sent. Call instead."
WROTE_SINCE = "The patient wrote since you opened this page. Read it first."
NOT_YOURS = "You do not have this conversation any more."


@dataclass(frozen=True, slots=True)
class Done:
    """*ok*, or a sentence that says *why* not. *owner* is who owns the patient after it. *read*: nothing that the patient
    wrote waits for staff any more."""

    ok: bool
    why: str
    owner: str | None
    read: bool = False


Change = Callable[[Record, float], tuple[Turn, Done]]


class TakeOver:
    """What staff may do in a conversation. *once* names one press of a button: a second press changes nothing."""

    def __init__(self, conversation: Conversation) -> None:
        self.conversation, self.clinic = conversation, conversation.clinic

    def claim(self, patient: str, who: str, once: str, *, after: str = "") -> Done:
        """From this commit on *who* answers and the bot is silent; the open question's timer is taken back. *after*: whom
        it is taken from, who may have gone home; nobody else loses it."""

        def change(record: Record, now: float) -> tuple[Turn, Done]:
            if record.owner not in (None, who, after):
                return _bare(record, {}), Done(False, "Somebody else took over first.", record.owner)
            dropped = tuple(one for name, one in record.planned.items() if name == "silence")
            planned = {name: one for name, one in record.planned.items() if name != "silence"}
            event = {"at": now, "in": "claimed", "by": who}
            if record.owner not in (None, who):
                event |= {"in": "claimed_from", "of": record.owner}
            return _bare(replace(record, owner=who, planned=planned), event, dropped), Done(True, "", who)

        return self._do(patient, f"claim:{who}:{once}:{after}", change)

    def reply(self, patient: str, who: str, body: str, once: str, *, seen: str = "") -> Done:
        """One text of *who*, through the ledger. Refused without ownership and after STOP. Other words from the same page
        (a browser's way back shows it again) are another text. *seen*: up to when the patient's words were read; what came
        after it still waits for staff."""
        text, effect = as_sent(body), self.clinic.new_effect(patient)
        press = f"{once}:{seen}:{sha256(text.encode()).hexdigest()[:16]}"

        def change(record: Record, now: float) -> tuple[Turn, Done]:
            if record.owner != who:
                return _bare(record, {}), Done(False, NOT_YOURS, record.owner)
            if record.opted_out:
                return _bare(record, {}), Done(False, STOPPED, who)
            event = {"at": now, "in": "staff", "by": who, "says": [text], "fx": effect}
            later = Later(effect, "text", now, {"body": text, "by": who})
            read = seen == str(record.last_at)
            turn = _bare(_read(record) if read else record, event)
            return replace(turn, later=(later,)), Done(True, "", who, read)

        return self._do(patient, f"reply:{who}:{press}", change)

    def read(self, patient: str, who: str, once: str, *, seen: str) -> Done:
        """What the patient wrote up to *seen* was read and needs no more: what comes next is a task again."""

        def change(record: Record, now: float) -> tuple[Turn, Done]:
            if seen != str(record.last_at):
                return _bare(record, {}), Done(False, WROTE_SINCE, record.owner)
            after = _read(record)
            event = {"at": now, "in": "read", "by": who} if after != record else {}
            return _bare(after, event), Done(True, "", record.owner, True)

        return self._do(patient, f"read:{who}:{once}:{seen}", change)

    def note(self, patient: str, who: str, words: str, once: str) -> Done:
        """A note for colleagues; the patient never sees it. Anybody who may act may write one."""
        press = f"{once}:{sha256(words.encode()).hexdigest()[:16]}"

        def change(record: Record, now: float) -> tuple[Turn, Done]:
            return _bare(record, {"at": now, "in": "staff_note", "by": who, "note": words}), Done(
                True, "", record.owner
            )

        return self._do(patient, f"note:{who}:{press}", change)

    def release(self, patient: str, who: str, once: str, *, screens: bool = False) -> Done:
        """The bot answers again: the open question is asked again and waits anew, or with *screens* the walk goes back
        to the first safety question. Outside the hours for texts it is asked when they begin."""

        def change(record: Record, now: float) -> tuple[Turn, Done]:
            if record.owner != who:
                return _bare(record, {}), Done(False, NOT_YOURS, record.owner)
            event = {"at": now, "in": "released", "by": who, "screens": screens}
            free = replace(record, owner=None)
            return self._asked_again(patient, free, event, screens, now), Done(True, "", None)

        return self._do(patient, f"release:{who}:{once}", change)

    def close(self, patient: str, who: str, once: str) -> Done:
        """The matter is dealt with: nobody owns it, and check-ins and nudges are held back until it is opened again, a
        visit is booked, or the patient agrees to check-ins anew. What the patient writes is answered as ever."""

        def change(record: Record, now: float) -> tuple[Turn, Done]:
            if record.owner not in (None, who):
                return _bare(record, {}), Done(False, "Somebody else took over first.", record.owner)
            dropped = tuple(one for name, one in record.planned.items() if name == "silence")
            planned = {name: one for name, one in record.planned.items() if name != "silence"}
            after = record.but(owner=None, planned=planned, facts=record.facts | {CLOSED})
            return _bare(after, {"at": now, "in": "closed", "by": who}, dropped), Done(True, "", None)

        return self._do(patient, f"close:{who}:{once}", change)

    def reopen(self, patient: str, who: str, once: str) -> Done:
        """What was held back and is not too late goes on."""

        def change(record: Record, now: float) -> tuple[Turn, Done]:
            after = record.but(facts=record.facts - {CLOSED})
            return _bare(after, {"at": now, "in": "reopened", "by": who}), Done(True, "", record.owner)

        return self._do(patient, f"reopen:{who}:{once}", change)

    def _asked_again(self, patient: str, record: Record, event: dict[str, Any], screens: bool, now: float) -> Turn:
        session = record.session
        over = session is None or session.ended or session.flow not in self.clinic.flows
        if session is None or over or record.opted_out or session.channel != "sms" or "landline" in record.facts:
            return _bare(record, event)
        if now - record.last_at > REST_SECONDS:
            return _bare(record, event)  # the next word begins a new walk anyway
        loaded = self.clinic.flows[session.flow]
        target = loaded.flow.resume.target if screens and loaded.flow.resume else None
        step = engine.resume(loaded, session, target) if target else engine.ask_again(loaded, session)
        if not any(effect.kind == "silence" for effect in step.effects):
            step = engine.ask_again(loaded, step.session)
        work = Work(self.clinic, patient, record, step, now)
        for effect in step.effects:
            work.perform(effect)
        says = prompts.render(loaded, step.say, session.language, "sms", {**self.clinic.values, **step.values})
        text = prompts.one_text(says)
        due = self.conversation.hours(record.whereabouts).next_open(now)
        later = Later(self.clinic.new_effect(patient), "text", due, {"n": "late", "body": text})
        # Under the name of an answer that is still to be sent: the patient's next turn takes it back.
        planned = {**work.record.planned, "late": later.id}
        after = replace(work.record, session=step.session, planned=planned)
        return replace(_bare(after, event, tuple(work.dropped)), later=(*work.later, later))

    def _do(self, patient: str, key: str, change: Change) -> Done:
        def decide(record: Record, now: float) -> tuple[Turn, bytes]:
            turn, done = change(record, now)
            return turn, json.dumps(astuple(done)).encode()

        return Done(*json.loads(self.conversation.staff_turn(patient, key, decide)))


def as_sent(body: str) -> str:
    """What a phone will show of *body*: no character that costs three segments where a plain one does."""
    return fold(safe_text(body.replace("\r\n", "\n"))).strip()


def _read(record: Record) -> Record:
    """*record* when all that the patient wrote was read."""
    return record.but(facts=record.facts - {WAITS})


def _bare(record: Record, event: dict[str, Any], dropped: tuple[str, ...] = ()) -> Turn:
    session = record.session
    heard = Heard("sms", session.language if session else "en", silent=True, session=session)
    return Turn(record, heard, dropped=dropped, event=event)
