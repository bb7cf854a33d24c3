"""Whether anything may be sent now. One switch in the store, asked by the worker before each send.

Sending is stopped by staff (``python -m bot sending pause``, the console), by a carrier that refuses our credentials or
set-up, by a carrier that fails again and again, and by the day's spending limit. While it is stopped nothing is lost or
changed: what is due stays due, silence is still noticed and still becomes a task, and answers in webhooks go on.

What passes: an emergency's advice that has to follow by text is tried whatever stops the rest. A stop protects patients
from texts they should not get, and "call 911" is never one of those; its task for a person stands already.

For workers, console, commands and outreach: ``stops_in_force``, ``pause``, ``resume``; the rest is the worker's.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal
from zoneinfo import ZoneInfo

from bot.alerts import clinic_alerts
from bot.counts import money
from bot.store.model import CLINIC, Task
from bot.store.runner import Call
from bot.store.store import Store
from bot.store.switch import Kept, Switch
from bot.tasks import TASKS

Cause = Literal["staff", "configuration", "carrier", "spending"]

TASK_OF: dict[str, str] = {"configuration": "configuration", "carrier": "carrier_away", "spending": "spending"}
FAILURES = 5  # in a row; then the carrier gets a rest
REST_SECONDS, LONGEST_REST = 30.0, 900.0  # doubling; when it ends, the next send is the trial


@dataclass(frozen=True, slots=True)
class Stop:
    """Why nothing is sent, since when and by whom. Times are epoch seconds; *until* None: until somebody resumes."""

    cause: str
    why: str
    by: str
    since: float
    until: float | None


def stops_in_force(store: Store, now: float) -> list[Stop]:
    """Everything that stops sending now, oldest first; empty: sending goes on."""
    return _in_force(Switch(store).stops(), now)


def _in_force(stops: list[Kept], now: float) -> list[Stop]:
    found = [kept for kept in stops if kept.until is None or kept.until > now]
    return [Stop(kept.cause, kept.why, kept.by, kept.since, kept.until) for kept in found]


def pause(store: Store, why: str, by: str, now: float) -> bool:
    """Staff stop all sending. False when staff had stopped it already; the first reason stays."""
    return Switch(store).stop(Kept("staff", now, None, why, by), None)


def resume(store: Store, by: str, now: float, zone: ZoneInfo) -> list[Stop]:
    """Lift everything that stops sending, close its tasks, and give what was lifted. After a spending limit the day is
    counted from nothing again: whoever resumes allows the same amount once more."""
    switch, lifted = Switch(store), stops_in_force(store, now)
    for kept in switch.stops():
        if kept.cause == "spending":
            switch.forget_spent(_day(now, zone))
        _lift(switch, kept, by)
    switch.worked()
    return lifted


def spent_today(store: Store, now: float, zone: ZoneInfo) -> int:
    """What the program's own texts and calls cost on the clinic's day, in millionths."""
    return Switch(store).spent(_day(now, zone))


def failures_in_a_row(store: Store) -> int:
    """How often the carrier failed since it last took something."""
    return Switch(store).failures()


def _lift(switch: Switch, kept: Kept, by: str) -> None:
    switch.lift(kept.cause)
    if kept.cause in TASK_OF:
        switch.store.close_task(_task(kept), by)


def _task(kept: Kept) -> Task:
    kind = TASK_OF[kept.cause]
    return Task(f"sending.{kept.cause}.{int(kept.since)}", CLINIC, kind, TASKS[kind].urgency, kept.since)


def _day(now: float, zone: ZoneInfo) -> str:
    return datetime.fromtimestamp(now, zone).date().isoformat()


def _midnight(now: float, zone: ZoneInfo) -> float:
    day = datetime.fromtimestamp(now, zone).date() + timedelta(days=1)
    return datetime(day.year, day.month, day.day, tzinfo=zone).timestamp()


class Gate:
    """The worker's side. *limit* is what one clinic day may cost, in millionths; 0: no limit. *channels*: names of the
    staff channels that hear of a stop."""

    def __init__(
        self, store: Store, now: Callable[[], float], *, limit: int, zone: ZoneInfo, channels: tuple[str, ...] = ()
    ) -> None:
        self.store, self.now, self.limit, self.zone, self.channels = store, now, limit, zone, channels
        self.switch = Switch(store)

    def stopped(self) -> Stop | None:
        """What stops sending now, or None."""
        found = stops_in_force(self.store, self.now())
        return found[0] if found else None

    def look(self) -> tuple[Stop | None, int]:
        """`stopped`, and today's spending for `affords`; one round trip."""
        now = self.now()
        kept, spent = self.switch.look(_day(now, self.zone))
        return next(iter(_in_force(kept, now)), None), spent

    def affords(self, cost: int, spent: int | None = None) -> bool:
        """*cost* more fits under today's limit; when it does not, sending stops until the clinic's midnight."""
        now = self.now()
        if not self.limit:
            return True
        spent = self.switch.spent(_day(now, self.zone)) if spent is None else spent
        if spent + cost <= self.limit:
            return True
        self._stop("spending", "today's spending limit is reached", _midnight(now, self.zone))
        return False

    def worked(self, cost: int, what: str, patient: str, of: str) -> None:
        """The carrier took a ``text``, ``call`` or ``alert`` that costs *cost*; *of*: its effect, or what names it once."""
        self.works_again(self.store.run_all([self.took(cost, what, patient, of)])[0])

    def took(self, cost: int, what: str, patient: str, of: str) -> Call:
        """What `worked` runs; its answer is for `works_again`."""
        now = self.now()
        count = money(now, self.zone.key, what, 1, cost)
        return self.switch.took(count, patient, of, now, _day(now, self.zone), cost)

    def works_again(self, had_failed: int) -> None:
        """The rest that the carrier was given after failures ends."""
        for kept in self.switch.stops() if had_failed else ():
            if kept.cause == "carrier":
                _lift(self.switch, kept, "the carrier works again")

    def refused(self, code: int) -> None:
        """The carrier refuses our credentials or set-up: nothing can be sent until a person has looked."""
        self._stop("configuration", f"the carrier refuses our credentials or set-up (code {code})", None)

    def failed(self) -> None:
        """The carrier did not answer, or could not. After some in a row it gets a rest, each longer than the one
        before; the stop keeps its beginning, so that it is one task."""
        count = self.switch.failed()
        if count >= FAILURES:
            rest = min(LONGEST_REST, REST_SECONDS * 2.0 ** (count - FAILURES))
            self._stop("carrier", f"{count} failures in a row", self.now() + rest)

    def _stop(self, cause: Cause, why: str, until: float | None) -> None:
        now = self.now()
        fresh = Kept(cause, now, until, why, "the program")
        for kept in self.switch.stops():
            if kept.cause == cause and cause == "carrier":
                self.switch.renew(Kept(cause, kept.since, until, why, kept.by))
            elif kept.cause == cause and kept.until is not None and kept.until <= now:
                _lift(self.switch, kept, "it ended by itself")
        task = _task(fresh)
        self.switch.stop(fresh, task, clinic_alerts(self.store, task, self.channels))
