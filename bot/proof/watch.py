"""A copy of a flow whose guards and states remember what became of them while the engine ran on it. Pure.

The engine itself is not touched: it asks the same guards and looks up the same states.
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields, replace
from typing import Any

from bot.flow import model
from bot.flow.guard import Context, Guard
from bot.flow.load import Loaded, guards
from bot.flow.positions import Path


@dataclass(frozen=True)
class Watched(Guard):
    """A guard that notes every verdict it gave."""

    verdicts: set[bool | None] = field(default_factory=set, compare=False)

    def decide(self, context: Context) -> bool | None:
        """As Guard, and noted."""
        verdict = Guard.decide(self, context)
        self.verdicts.add(verdict)
        return verdict


class _Visited(dict[str, model.State]):
    """The states by name; *seen* are those that were looked up."""

    def __init__(self, states: dict[str, model.State]) -> None:
        super().__init__(states)
        self.seen: set[str] = set()

    def __getitem__(self, name: str) -> model.State:
        self.seen.add(name)
        return super().__getitem__(name)


@dataclass
class Watch:
    """The watched copy (*loaded*), and by path what every guard said."""

    loaded: Loaded
    verdicts: dict[Path, set[bool | None]]
    entered: set[str]


def watch(loaded: Loaded) -> Watch:
    """A copy of *loaded* to explore on."""
    flow = loaded.flow.model_copy(deep=True)
    found: dict[Path, set[bool | None]] = {}
    for path, guard in guards(flow):
        body: dict[str, Any] = {one.name: getattr(guard, one.name) for one in fields(Guard)}
        spy = Watched(**body)
        found[path] = spy.verdicts
        holder = _at(flow, path[:-1])
        holder.__dict__[path[-1]] = spy
    copy = replace(loaded, flow=flow)
    states = _Visited(dict(flow.states))
    copy.__dict__["states"] = states
    return Watch(copy, found, states.seen)


def _at(value: Any, path: Path) -> Any:
    for step in path:
        value = getattr(value, str(step)) if hasattr(type(value), "model_fields") else value[step]
    return value
