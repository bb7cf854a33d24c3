"""What the carrier reports on texts and calls of ours: kept in rank, and made a task when a text did not arrive.

Repeated, late and out-of-order reports change nothing (twilio.md A2).
"""

from __future__ import annotations

from collections.abc import Callable
from zoneinfo import ZoneInfo

from bot.codes import LANDLINE, UNREGISTERED
from bot.conversation import Conversation
from bot.counts import delivered
from bot.outreach.roster import Roster
from bot.sending import Gate
from bot.store.model import Report
from bot.store.sends import Sends
from bot.store.store import Store

OPTED_OUT = 21610
ENDED = frozenset({"completed", "busy", "no-answer", "failed", "canceled"})
BROKEN = frozenset({"undelivered", "failed"})


class Reports:
    """Twilio's status callbacks."""

    def __init__(self, store: Store, conversation: Conversation, now: Callable[[], float]) -> None:
        self.store, self.conversation, self.now = store, conversation, now
        self.roster, self.sends = Roster(store), Sends(store)

    def delivered(self, sid: str, status: str, error_code: int | None, effect_id: str | None) -> None:
        """A text's new state. *effect_id* is ours and came back in the signed address; None: a reply in a webhook."""
        now = self.now()
        final = status == "delivered" or status in BROKEN
        count = delivered(now, self.conversation.clinic.zone, status, error_code) if final else ("", "", 0)
        report = Report("text report", *count)
        if effect_id is None:
            self.store.set_status(sid, status, error_code, now, sid, report)
            return
        # The note first: it is made once for its key, and a report that failed half-way comes again.
        if status in BROKEN:
            self._broken(effect_id, error_code)
        self.store.set_status(effect_id, status, error_code, now, sid, report)
        self._of_campaign(effect_id, status, error_code)

    def _of_campaign(self, effect_id: str, status: str, error_code: int | None) -> None:
        """A recipient of a campaign: the roster keeps what became of the text, in rank like the text itself."""
        if status == "delivered" or status in BROKEN:
            state = "delivered" if status == "delivered" else "failed"
            self.roster.move(effect_id, state, str(error_code) if error_code else "")

    def _broken(self, effect_id: str, error_code: int | None) -> None:
        sent = self.sends.what(effect_id)
        if sent is None:
            return
        opted_out = error_code == OPTED_OUT
        facts = frozenset({"landline"}) if error_code in LANDLINE else frozenset()
        tasks = () if opted_out else ("landline",) if facts else ("undelivered",)
        if error_code in UNREGISTERED:
            channels = self.conversation.clinic.alerts
            Gate(self.store, self.now, limit=0, zone=ZoneInfo("UTC"), channels=channels).refused(error_code)
        why = f"carrier code {error_code or 0}"
        self.conversation.note(
            sent.patient, f"report:{effect_id}", tasks=tasks, opted_out=opted_out, facts=facts, why=why
        )

    def call_status(
        self, sid: str, status: str, *, sequence: int | None, answered_by: str | None, effect_id: str | None
    ) -> None:
        """A call's new state, in the order of *sequence*; the end of a call of ours is told to its conversation."""
        self.store.set_call_status(sid, status, sequence or 0, self.now())
        if effect_id is not None:
            # A call whose answer was lost is known by this, and not placed twice.
            self.store.set_status(effect_id, "accepted", None, self.now(), sid)
        if status not in ENDED or effect_id is None:
            return
        sent = self.sends.what(effect_id)
        if sent is not None:
            self.conversation.call_over(sent.patient, effect_id, status, answered_by)
