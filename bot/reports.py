"""What the carrier reports on texts and calls of ours: kept in rank, and made a task when a text did not arrive.

Repeated, late and out-of-order reports change nothing (twilio.md A2).
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from zoneinfo import ZoneInfo

from bot import outgoing
from bot.alerts import not_told
from bot.calls import MACHINE
from bot.codes import UNREGISTERED
from bot.conversation import Conversation
from bot.counts import delivered, money
from bot.outreach.roster import Roster
from bot.sending import Gate
from bot.store.counted import JOURNAL_SECONDS, Counted, entry_of
from bot.store.model import Report
from bot.store.sends import Sends, Sent
from bot.store.store import Store
from bot.undelivered import OPTED_OUT, Lost

NOBODY = "nobody answered the call"  # in a campaign's result
ENDED = frozenset({"completed", "busy", "no-answer", "failed", "canceled"})
BROKEN = frozenset({"undelivered", "failed"})
ARRIVED = frozenset({"delivered", "read"})


class Reports:
    """Twilio's status callbacks."""

    def __init__(self, store: Store, conversation: Conversation, now: Callable[[], float], minute: int = 0) -> None:
        """*minute*: the price of a call's, in millionths."""
        self.store, self.conversation, self.now, self.minute = store, conversation, now, minute
        self.roster, self.sends = Roster(store), Sends(store)

    def delivered(
        self, sid: str, status: str, error_code: int | None, effect_id: str | None, to: str | None = None
    ) -> None:
        """A text's new state. *effect_id* is ours and came back in the signed address; None: a reply in a webhook, whose
        patient is known by its number *to* alone."""
        now = self.now()
        if effect_id is None:
            if status in BROKEN and to is not None:
                self._reply_lost(sid, error_code or 0, to)
            whose = self.conversation.patient_id(to) if to else ""
            self.store.set_status(sid, status, error_code, now, sid, self._counted(sid, status, error_code, whose))
            return
        sent, known = self.sends.what(effect_id), self.sends.known(effect_id)
        # The note first: it is made once for its key, and a report that failed half-way comes again.
        lost = status in BROKEN and (known is None or known.status not in ARRIVED)
        again = lost and self._goes_again(effect_id, error_code or 0, sent)
        report = self._counted(effect_id, status, error_code, sent.patient if sent else "")
        self.store.set_status(effect_id, status, error_code, now, sid, report)
        if not again:
            self._of_campaign(str(sent.told.get("of", effect_id)) if sent else effect_id, status, error_code)

    def _counted(self, of: str, status: str, code: int | None, patient: str) -> Report:
        """What a report adds to the counts: the last word on a text."""
        if status != "delivered" and status not in BROKEN:
            return Report("text report")
        count = delivered(self.now(), self.conversation.clinic.zone, status, code)
        return Report("text report", *count, entry_of(patient, of, 1), JOURNAL_SECONDS)

    def _of_campaign(self, effect_id: str, status: str, error_code: int | None) -> None:
        """A recipient of a campaign: the roster keeps what became of the text, in rank like the text itself."""
        if status == "delivered" or status in BROKEN:
            state = "delivered" if status == "delivered" else "failed"
            self.roster.move(effect_id, state, str(error_code) if error_code else "")

    def _goes_again(self, effect_id: str, code: int, sent: Sent | None) -> bool:
        """What is made of it is decided in undelivered.py, once."""
        if code in UNREGISTERED:
            channels = self.conversation.clinic.alerts
            Gate(self.store, self.now, limit=0, zone=ZoneInfo("UTC"), channels=channels).refused(code)
        if sent is None:
            self._alert_lost(effect_id)
            return False
        kept = self.store.load(sent.patient, outgoing.key_of(effect_id)).answer
        text = outgoing.from_bytes(kept).body if kept else None
        lost = Lost(effect_id, sent.kind, sent.told, code, text, sent.at)
        return self.conversation.not_arrived(sent.patient, f"report:{effect_id}", lost)

    def _alert_lost(self, effect_id: str) -> None:
        """Staff were not reached by text; the other ways are told."""
        effect = self.store.effect(effect_id)
        if effect is not None and effect.kind == "alert":
            not_told(self.store, json.loads(effect.body)["to"], self.conversation.clinic.alerts, self.now())

    def _reply_lost(self, sid: str, code: int, to: str) -> None:
        """A reply cannot be sent again: its moment has passed. Reported only where the number's own status address is set."""
        patient = self.conversation.patient_id(to)
        if code == OPTED_OUT or self.store.load(patient, "").record is not None:
            self.conversation.not_arrived(patient, f"report:{sid}", Lost(sid, "reply", {}, code), to)

    def call_status(
        self,
        sid: str,
        status: str,
        person: str | None = None,
        *,
        seconds: int | None = None,
        sequence: int | None,
        answered_by: str | None,
        effect_id: str | None,
    ) -> None:
        """A call's new state, in the order of *sequence*; the end of a call of ours is told to its conversation. *person*:
        the number at the other end; *seconds*: how long it was."""
        self.store.set_call_status(sid, status, sequence or 0, self.now())
        self._minutes(sid, status, seconds or 0, person, effect_id)
        if effect_id is not None:
            # A call whose answer was lost is known by this, and not placed twice.
            self.store.set_status(effect_id, "accepted", None, self.now(), sid)
        if status not in ENDED or effect_id is None:
            return
        sent = self.sends.what(effect_id)
        if sent is not None:
            self.conversation.call_over(sent.patient, effect_id, status, answered_by)
        reached = status == "completed" and answered_by not in MACHINE
        self.roster.move(effect_id, "delivered" if reached else "failed", "" if reached else NOBODY)

    def _minutes(self, sid: str, status: str, seconds: int, person: str | None, effect_id: str | None) -> None:
        """What a call cost in begun minutes; the first of a call of ours is in what placing it cost."""
        minutes = math.ceil(seconds / 60) - (effect_id is not None)
        if status == "completed" and minutes > 0 and self.minute:
            count = money(self.now(), self.conversation.clinic.zone, "minutes", self.minute, minutes)
            whose = self.conversation.patient_id(person) if person else ""
            Counted(self.store).add(count, whose, sid, self.now())
