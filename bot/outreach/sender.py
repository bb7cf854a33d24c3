"""A worker's side of a campaign: one recipient's effect is due. Whether it is this recipient's turn - the campaign runs,
the nurses' inbox has room, the sender's pace allows it - and what is said; followups.py does the sending.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from bot.conversation import Conversation
from bot.outgoing import Outgoing
from bot.outreach.opening import opening
from bot.outreach.pacing import Pace
from bot.outreach.roster import Roster, parts_of
from bot.outreach.steps import parked_until
from bot.record import Record
from bot.store.runner import Call
from bot.turn import Turn

EARLY = 0.05  # a place in the queue so near is taken now
MISSED = 60.0  # a place so long past is not used any more: many at once would break the pace
FULL_INBOX_SECONDS = 600.0
AHEAD = 600.0  # no further a campaign gives out places at its first, slow pace: it doubles with what was sent
FOR_EVER = 1e9


class _NotYetError(Exception):
    def __init__(self, why: str, at: float) -> None:
        super().__init__(why)
        self.why, self.at = why, at


class CampaignSender:
    """*pace*: as for the plan; *open_tasks*: while as many tasks wait for staff, nobody new is written to; 0: never."""

    def __init__(self, roster: Roster, sender: str, pace: Pace, open_tasks: int) -> None:
        self.roster, self.sender, self.pace, self.open_tasks = roster, sender, pace, open_tasks
        self._inbox = (0.0, 0)
        self._started: dict[str, tuple[float, int]] = {}

    def outgoing(
        self, talk: Conversation, patient: str, effect: str, told: Mapping[str, Any], now: float, *, unsure: bool
    ) -> Outgoing:
        """What to send now; nothing, and why; or not until *later*. *unsure*: it may have been sent, so what was decided
        is needed to look for it, whatever the campaign does now."""
        try:
            if not unsure and not self._my_turn(effect, told, now):
                return Outgoing("", None, "cancelled")
            return self._decide(talk, patient, effect, told)
        except _NotYetError as wait:
            return Outgoing("", None, wait.why, later=wait.at)

    def holds(self, effect: str, told: Mapping[str, Any], now: float) -> Outgoing | None:
        """Why a text that is sent again does not go now; None: it may."""
        try:
            return None if self._my_turn(effect, told, now) else Outgoing("", None, "cancelled")
        except _NotYetError as wait:
            return Outgoing("", None, wait.why, later=wait.at)

    def runs(self, told: Mapping[str, Any]) -> bool:
        """Whether its campaign runs now."""
        return self.roster.state(told["c"]) == "running"

    def is_over(self, told: Mapping[str, Any]) -> bool:
        """Whether its campaign was cancelled, for good."""
        return self.roster.state(told["c"]) in (None, "cancelled")

    def note(self, effect: str, status: str, why: str) -> None:
        """What came of it, for the roster. Reports of the carrier may be there already and outrank this."""
        code = re.search(r"code (\d+)", why)
        if status == "buried":
            self.roster.move(effect, "unknown" if why.startswith("unknown") else "failed", code[1] if code else "")
        elif status == "done":
            sent = why == "sent" or why.startswith("an earlier attempt had sent")
            state = "sent" if sent else "cancelled" if why == "cancelled" else "not_sent"
            self.roster.move(effect, state, why if state == "not_sent" else "")

    def took(self, effect: str) -> Call | None:
        """What `note` runs for one that was sent."""
        return self.roster.moved(effect, "sent")

    def _my_turn(self, effect: str, told: Mapping[str, Any], now: float) -> bool:
        """False: the campaign is over. Raises _NotYetError when it is not this recipient's turn."""
        row = (parts_of(effect) or ("", 0, False))[1]
        state = self.roster.state(told["c"])
        if state == "cancelled" or state is None:
            return False
        if state != "running":
            raise _NotYetError(f"the campaign is {state}", parked_until(row, now))
        if self.open_tasks and self._waiting_tasks(now) >= self.open_tasks:
            raise _NotYetError("many tasks wait for staff", now + FULL_INBOX_SECONDS + row * 7 % 60)
        segments, campaign = told.get("sg", 1), told["c"]
        full, slow = segments / self.pace.rate, self.pace.seconds_after(self._sent(campaign, now), segments)
        if slow > full:  # so that what a full inbox or a stop kept back does not leave all at once
            self._take_place(campaign, effect, slow, now, AHEAD)
        self._take_place(self.sender, effect, full, now, FOR_EVER)
        return True

    def _waiting_tasks(self, now: float) -> int:
        if not 0 <= now - self._inbox[0] < 5:
            self._inbox = (now, self.roster.open_tasks())
        return self._inbox[1]

    def _sent(self, campaign: str, now: float) -> int:
        at, sent = self._started.get(campaign, (0.0, 0))
        if not 0 <= now - at < 5:
            counts = self.roster.counts(campaign)
            sent = sum(counts.values()) - counts["queued"]
            self._started[campaign] = (now, sent)
        return sent

    def _take_place(self, queue: str, effect: str, seconds: float, now: float, ahead: float) -> None:
        """*queue*: of the campaign, or of the sender, which all campaigns share."""
        held = self.roster.held(queue, effect)
        if held is not None and now - MISSED < held <= now + EARLY:
            return
        place = held if held is not None and held > now else self.roster.reserve(queue, seconds, now, ahead)
        if place > now + ahead:
            raise _NotYetError("at its pace", now + ahead)
        if place > now + EARLY or queue != self.sender:
            self.roster.hold(queue, effect, place)
        if place > now + EARLY:
            raise _NotYetError("at its pace", place)

    def _decide(self, talk: Conversation, patient: str, effect: str, told: Mapping[str, Any]) -> Outgoing:
        def decide(record: Record, now: float) -> tuple[Turn, bytes]:
            made = opening(talk.clinic, patient, record, effect, told, talk.hours(record.whereabouts), now)
            if made.later is not None:
                raise _NotYetError(made.why, made.later)
            out = {"phone": record.phone, "body": made.body, "why": made.why, "call": made.call}
            return made.turn, json.dumps(out).encode()

        return talk.outgoing(patient, effect, decide)
