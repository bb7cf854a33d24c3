"""What the store keeps, as plain frozen values, and a task's bytes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, NamedTuple

from bot.packed import pack, unpack

CLINIC = "clinic"  # stands where a patient's id stands, in a task that is about all of them


@dataclass(frozen=True, slots=True)
class Loaded:
    """A patient's record (None: never heard of), its version, and the stored answer to the asked key."""

    record: bytes | None
    version: str
    answer: bytes | None


@dataclass(frozen=True, slots=True)
class Committed:
    """``ok``; ``seen`` with the answer stored under this key before; ``conflict``: load and decide again."""

    status: Literal["ok", "seen", "conflict"]
    answer: bytes | None


@dataclass(frozen=True, slots=True)
class Effect:
    """Something to be done outside at *due* (epoch seconds). *body* is sealed at rest."""

    id: str
    kind: str
    due: float
    body: bytes


@dataclass(frozen=True, slots=True)
class Task:
    """Something a human must do for a patient. *urgency* 0 first; *closed* by whom, None while open."""

    id: str
    patient: str
    kind: str
    urgency: int
    at: float
    closed_by: str | None = None


@dataclass(frozen=True, slots=True)
class LinkToken:
    """A scheduling link: the opaque *token*, whose it is, and the *visit* type it goes to."""

    token: str
    patient: str
    visit: str
    at: float


@dataclass(frozen=True, slots=True)
class Claim:
    """A due effect that this worker holds until *till* (epoch seconds), which also fences off whoever held it before."""

    id: str
    till: float


@dataclass(frozen=True, slots=True)
class Begun:
    """``go`` | ``redo`` (an earlier attempt may have sent it) | ``busy`` | ``gone`` | ``sealed``; the effect's kind and body.

    *age*: seconds since it was last handed to the carrier, by the server's clock. *marked*: when that was, by the
    worker's. *tries*: how often. *again*: how often after nothing was found of an earlier attempt.
    """

    status: str
    kind: str
    body: bytes
    age: float = 0.0
    marked: float = 0.0
    tries: int = 0
    again: int = 0


@dataclass(frozen=True, slots=True)
class Delivery:
    """What the carrier last said of a text: its SID, state and error code (0 = none)."""

    sid: str
    status: str
    code: int


class Report(NamedTuple):
    """What a carrier's report leaves beside the state: which kind came, and one count (week, field, how many) with its
    *entry* in the journal (counted.py)."""

    heard: str = ""
    week: str = ""
    field: str = ""
    many: int = 0
    entry: str = ""
    life: int = 0


def task_bytes(task: Task) -> bytes:
    """What of a task is sealed."""
    return pack([task.patient, task.kind, task.urgency, task.at, task.closed_by])


def task_from(name: str, raw: bytes) -> Task:
    """The task that a commit wrote."""
    return Task(name, *unpack(raw))
