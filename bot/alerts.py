"""What tells staff that a task waits: which alerts a turn plans, what an alert says, and when it comes again.

One effect for each task and each staff channel, planned by the commit that writes the task, so that a channel that
fails holds up no other. It comes again until the task is closed or the patient is taken over (SPEC D, "Staff alert
targets"). Says the kind of task, how long it waits and where to look: never a story, a number or words of a patient.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from bot.record import from_bytes
from bot.staff_words import Language, say, sentence
from bot.store.model import CLINIC, Effect, Task
from bot.store.store import Store
from bot.tasks import TASKS, TaskKind

Level = Literal["NEW", "UNANSWERED", "LATE"]
ESCALATION = "escalation"  # a channel whose name begins so hears nothing before the first repeat
RETRY_SECONDS = 60.0  # what could not be told is tried again so soon
A_PATIENT = sentence("a patient {what}")
ALERTS: Mapping[str, str] = {
    "NEW": sentence("{clinic} alert NEW: {what}"),
    "UNANSWERED": sentence("{clinic} alert UNANSWERED, waiting {minutes} min: {what}"),
    "LATE": sentence("{clinic} alert LATE, waiting {minutes} min: {what}"),
}
STEP, FARTHEST = 900.0, 14 * 86_400.0


@dataclass(frozen=True, slots=True)
class Notice:
    """One alert. *id* is the same when it comes a second time by accident. *age*: seconds that the task waits. *patient*:
    an opaque id, for our own counts; "" where it is about the clinic."""

    id: str
    kind: str
    urgency: int
    level: Level
    age: float
    at: float
    link: str
    clinic: str
    patient: str = ""
    language: Language = "en"

    @property
    def says(self) -> str:
        """One sentence for a text or the subject of an e-mail."""
        what = say(self.language, TASKS[self.kind].says)
        what = say(self.language, A_PATIENT, what=what) if self.patient else what
        waits = f"{self.age / 60:.0f}"
        return say(self.language, ALERTS[self.level], clinic=self.clinic, what=what, minutes=waits)


class Channel(Protocol):
    """A way to staff (bot/staff_channels.py)."""

    def tell(self, notice: Notice) -> None:
        """Raises NotToldError."""


class NotToldError(Exception):
    """Staff may not have heard. *why* has no number and no secret; *lasting*: trying again at once changes nothing."""

    def __init__(self, why: str, *, lasting: bool = False) -> None:
        super().__init__(why)
        self.why, self.lasting = why, lasting


def is_alerted(kind: TaskKind) -> bool:
    """Whether a task of *kind* is told to staff rather than only shown: all that have a call-back clock, and ``worse``."""
    return kind.minutes is not None or kind is TASKS["worse"]


def planned(
    tasks: list[Task], channels: tuple[str, ...], owner: str | None, new_id: Callable[[str], str]
) -> Iterator[Effect]:
    """The alerts that are committed with *tasks*: one for each channel by name. *owner*: who had the patient then."""
    for task in tasks:
        kind = TASKS[task.kind]
        for channel in channels if is_alerted(kind) else ():
            if channel.startswith(ESCALATION) and kind.minutes is None:
                continue
            due = task.at + (_pause(kind, 0.0) if channel.startswith(ESCALATION) else 0.0)
            told = {"p": task.patient, "task": task.id, "k": task.kind, "at": task.at, "to": channel, "own": owner}
            yield Effect(new_id(task.patient), "alert", due, json.dumps(told).encode())


def raise_for_clinic(
    store: Store, kind: str, name: str, at: float, channels: tuple[str, ...], *, once_in: int = 0
) -> bool:
    """A task that is about the clinic itself, told to staff like a patient's, once for its *name*; False when it was
    there. *once_in*: seconds in which many of its kind ring once."""
    task = Task(name, CLINIC, kind, TASKS[kind].urgency, at)
    return store.raise_task(task, clinic_alerts(store, task, channels), once_in)


def clinic_alerts(store: Store, task: Task, channels: tuple[str, ...]) -> list[Effect]:
    """What tells staff of *task*. Not by text that the carrier refuses our texts: that would be tried for ever."""
    if task.kind == "configuration":
        channels = tuple(one for one in channels if not is_text(one))
    return list(planned([task], channels, None, store.new_effect_id))


def not_told(store: Store, channel: str, channels: tuple[str, ...], now: float) -> None:
    """A task, once a day for each *channel* that failed, told over the others: an alert that nobody hears must not be
    silent as well."""
    name = f"alert.{channel.replace(' ', '-')}.{int(now // 86_400)}"
    raise_for_clinic(store, "alert_failed", name, now, tuple(one for one in channels if one != channel))


def is_text(channel: str) -> bool:
    """Whether a staff channel of this name goes through the carrier."""
    return channel.startswith((ESCALATION, "text"))


def level_of(kind: TaskKind, age: float) -> Level:
    """How loud it is after *age* seconds: from the first repeat on, and from the end of the call-back clock on."""
    if kind.minutes is None or age < kind.minutes * 20:
        return "NEW"
    return "UNANSWERED" if age < kind.minutes * 60 else "LATE"


def _pause(kind: TaskKind, age: float) -> float:
    """Seconds to the next repeat: a third of the call-back clock, and after its end the whole of it."""
    clock = (kind.minutes or 0) * 60.0
    return clock / 3 if age < clock else clock


@dataclass(frozen=True)
class Alerts:
    """The worker's side. *address*: where staff open the console. *is_open*: whether somebody is at the clinic."""

    store: Store
    channels: Mapping[str, Channel]
    now: Callable[[], float]
    is_open: Callable[[float], bool]
    address: str
    clinic: str
    language: Language = "en"

    def ring(self, effect_id: str, told: Mapping[str, Any]) -> tuple[str, float | None]:
        """Tell one channel of one task: what came of it, and when it comes again (None: never)."""
        kind, channel, now = TASKS[told["k"]], self.channels.get(told["to"]), self.now()
        if channel is None:
            return "this staff channel is not set any more", None
        if not self.store.is_open(told["p"], told["task"]):
            return "the task is closed", None
        age = max(0.0, now - told["at"])
        # An emergency and the first word of an urgent task do not wait for the morning.
        waits_for_hours = kind.urgency > 1 or (kind.urgency > 0 and age >= _pause(kind, 0.0))
        opens = self._opening(now) if waits_for_hours else now
        if opens > now:
            return "the clinic is closed", opens
        if self._taken_over(told):
            return "somebody has it", now + (_pause(kind, age) or STEP)
        notice = Notice(
            f"{effect_id}.{int(age // max(1.0, _pause(kind, 0.0)))}", told["k"], kind.urgency, level_of(kind, age), age,
            told["at"], self.address + ("/" if told["p"] == CLINIC else f"/patients/{told['p']}"), self.clinic,
            "" if told["p"] == CLINIC else told["p"], self.language,
        )  # fmt: skip
        try:
            channel.tell(notice)
        except NotToldError as error:
            not_told(self.store, told["to"], tuple(self.channels), now)
            soon = RETRY_SECONDS * (0.5 + random.random())  # noqa: S311  # jitter, not a secret
            return f"not told: {error.why}", now + (max(soon, _pause(kind, age)) if error.lasting else soon)
        return f"told {notice.level}", None if kind.minutes is None else now + _pause(kind, age)

    def _taken_over(self, told: Mapping[str, Any]) -> bool:
        """Somebody took the patient over for this. Who had them before may have gone home: that is no answer to it."""
        raw = self.store.load(told["p"], "-").record
        owner = from_bytes(raw).owner if raw else None
        return owner is not None and owner != told["own"]

    def _opening(self, now: float) -> float:
        at = now
        while not self.is_open(at) and at - now < FARTHEST:
            at += STEP
        return at
