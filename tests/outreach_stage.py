"""A clinic with campaigns over the real store and the real executor, and a carrier that counts and dies when told."""

from __future__ import annotations

import itertools
import random
from collections import Counter
from collections.abc import Callable
from typing import Any
from zoneinfo import ZoneInfo

from bot.carrier import Row
from bot.catalog import make_clinic
from bot.consent import Hours, hours_for
from bot.conversation import Conversation
from bot.followups import Office
from bot.outreach.campaigns import Campaigns, records_of
from bot.outreach.pacing import Pace
from bot.outreach.plan import Options, Plan, Terms
from bot.outreach.roster import Roster, parts_of
from bot.outreach.sender import CampaignSender
from bot.reports import Reports
from bot.sending import Gate
from bot.store.sends import Sends
from bot.store.store import Store
from workers.executor import Executor

NOON = 1_764_007_200.0  # 2025-11-24 12:00 in Chicago
ZONE = "America/Chicago"
OURS = "+17135550100"
HEAD = "phone,language,consent,consent_source,consent_calls\n"


class Died(BaseException):
    """The process ends on this line."""


class Line:
    """Stands for the carrier: what it took by phone; dies before or after taking when *deadly* says so."""

    def __init__(self) -> None:
        self.taken: Counter[str] = Counter()
        self.log: list[tuple[float, str, str, str]] = []
        self.calls: Counter[str] = Counter()
        self.deadly = 0.0
        self.dice = random.Random(7)
        self.now: Any = lambda: 0.0

    def listed(self, to: str, *, calls: bool, since: float) -> list[Row]:
        """What the carrier's own log shows."""
        return [Row(f"SM{effect}", body, at) for at, effect, phone, body in self.log if phone == to and at >= since]

    def text(self, to: str, body: str, effect_id: str) -> str:
        if parts_of(effect_id) is None:
            return "SM0"  # the flow's own nudge
        if self.dice.random() < self.deadly:
            raise Died
        self.taken[to] += 1
        self.log.append((self.now(), effect_id, to, body))
        if self.dice.random() < self.deadly:
            raise Died
        return f"SM{effect_id}"

    def call(self, to: str, effect_id: str) -> str:
        self.calls[to] += 1
        return "CA" + "1" * 32

    def call_state(self, sid: str) -> tuple[str, str | None, int | None]:
        """Everybody picks up."""
        return "completed", "human", None


class Clinic:
    """*at* is the clock; ``work`` lets a worker do what is due, ``until`` moves the clock through the campaign."""

    def __init__(
        self,
        store: Store,
        *,
        rate: float = 10.0,
        first_hour: int = 0,
        approval: int = 10_000,
        open_tasks: int = 0,
        hours: Callable[[str], Hours] = lambda _: hours_for((), ZONE, "09:00", "20:00"),
    ) -> None:
        self.at, ids = NOON, itertools.count()
        self.store, self.line = store, Line()
        self.line.now = lambda: self.at
        self.conversation = Conversation(
            make_clinic(
                values={"clinic": "CLS Health", "phone": "(713) 555-0100"},
                link=lambda patient: (token := store.new_token(patient), f"https://clinic.example/go/{token}"),
                new_id=lambda: f"s{next(ids)}",
                new_effect=store.new_effect_id,
                opt_out_mode="app",
            ),
            store,
            store.cipher.patient_id,
            now=lambda: self.at,
            hours=hours,
            render=lambda heard: (heard.text or "").encode(),
            booking={"pmr": "https://book.example/pmr", "pt": "https://book.example/pt"},
        )
        self.roster = Roster(store)
        terms = Terms(
            self.conversation.clinic, ("US", "PR"), ZoneInfo(ZONE), self.conversation.hours, store.cipher.patient_id,
            records_of(self.roster), Pace(rate, first_hour), 12_000, approval,
        )  # fmt: skip
        self.campaigns = Campaigns(self.roster, terms, lambda: self.at, OURS)
        self.reports = Reports(store, self.conversation, lambda: self.at)
        self.sender = CampaignSender(self.roster, OURS, Pace(rate, first_hour), open_tasks)
        gate = Gate(store, lambda: self.at, limit=0, zone=ZoneInfo(ZONE))
        self.office = Office(
            self.conversation,
            self.line,
            lambda: self.at,
            Sends(store),
            gate,
            settle=0.0,
            outreach=self.sender,
            steps=self.campaigns.steps,
        )
        self.executor = Executor(store, self.office, lambda: self.at)

    def plan(self, text: str | bytes, **more: Any) -> Plan:
        raw = text.encode() if isinstance(text, str) else text
        return self.campaigns.plan(raw, Options(**{"flow": "triage", **more}))

    def work(self) -> None:
        """Every bucket once; a death is a death of this worker only."""
        for bucket in range(self.store.buckets):
            try:
                self.executor.drain(bucket)
            except Died:
                continue

    def states(self, campaign: str) -> list[str]:
        """Of every row, in order."""
        return [state for some in self.roster.rows(campaign) for state in self.roster.states(campaign, some)]

    def until(self, end: float, step: float) -> None:
        while self.at < end:
            self.at += step
            self.work()


def phone(number: int) -> str:
    """One of 8,000,000 numbers that exist."""
    return f"+1713{2_000_000 + number}"


def rows(count: int, start: int = 0) -> str:
    """A file of willing patients."""
    return HEAD + "".join(f"{phone(start + n)},{'es' if n % 3 else 'en'},yes,intake form,yes\n" for n in range(count))
