"""What the engine takes and gives: a session, the step it makes, the effects of that step. Types only, all immutable."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from bot.flow.guard import Answer
from bot.frozen import Frozen

End = Literal["listen", "hangup", "dial"]


@dataclass(frozen=True)
class Session(Frozen):
    """One person's walk through one flow version. *answers* in the order they were given."""

    id: str
    flow: str
    flow_hash: str
    language: str
    channel: str
    state: str = ""
    turn: int = 0
    answers: Mapping[str, Answer] = field(default_factory=dict)
    trail: tuple[str, ...] = ()
    misses: int = 0
    silences: int = 0
    outcome: str | None = None
    disposition: str | None = None
    rule: str | None = None
    reason: str | None = None
    ended: bool = False


@dataclass(frozen=True, slots=True)
class Effect:
    """What must happen outside. *kind* is a key of model.Do, or ``silence`` (a timer, *value* in minutes)."""

    kind: str
    value: Any = None


@dataclass(frozen=True, slots=True)
class Step:
    """What one turn came to. *say* are text keys in order, all in one message; *values* fill their placeholders."""

    session: Session
    say: tuple[str, ...] = ()
    effects: tuple[Effect, ...] = ()
    end: End = "listen"
    values: Mapping[str, str] = field(default_factory=dict)
    handover: tuple[str, str] | None = None
