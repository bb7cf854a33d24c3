"""Everything that a new version of a flow changes for patients and staff, and whether somebody must answer for it. Pure.

Three looks: what complete sets of answers lead to (outcomes.py), every single turn (turns.py), and here what no walk
shows: the words of texts and choices, follow-ups, promises, waiting times.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from bot.flow.load import Loaded
from bot.proof.check import entries
from bot.proof.outcomes import Change, by_answers, walk
from bot.proof.turns import Fact, TurnChange, turn_changes

PLAIN = ("texts", "states", "on", "defaults", "greeting", "initial", "$schema", "extends", "sources", "invariants")
SHOWN = 6
UNWALKED = ("listen", "takes", "source")  # parts of a state that no turn of the engine shows
HARMLESS = {"title", "source", "say", "version", "listen", "label"}


@dataclass(frozen=True)
class Difference:
    """All of it. *total*: complete sets of answers; *turns* of *driven*: single turns. *declared*: what no walk shows."""

    changes: list[Change]
    total: int
    turns: list[TurnChange]
    driven: int
    declared: list[Fact]
    texts: list[str]

    @property
    def changed(self) -> int:
        """Sets of answers with another outcome."""
        return sum(one.count for one in self.changes if one.fact is None)

    @property
    def lowered(self) -> int:
        """Sets of answers with less care."""
        return sum(one.count for one in self.changes if one.fact is None and one.lowers)

    @property
    def leaving_emergency(self) -> int:
        """Sets of answers that were an emergency and are none now."""
        return sum(one.count for one in self.changes if one.fact is None and one.old == "emergency")

    @property
    def losses(self) -> list[str]:
        """Whatever somebody must answer for, one sentence each."""
        found = [sentence for sentence, one in classes(self) if one.less]
        return found + [one.says for one in self.declared if one.less]

    @property
    def needs_acceptance(self) -> bool:
        """Some care, task, alert, link, screen or promise is lost, or cannot be compared."""
        return bool(self.losses)

    @property
    def nothing(self) -> bool:
        """Nobody meets anything else than before."""
        return not (self.changes or self.turns or self.declared or self.texts)


def compare(old: Loaded, new: Loaded, flows: Mapping[str, Loaded] = MappingProxyType({})) -> Difference:
    """What is different; *flows*: the others, which may hand walks over. Raises TooManyAnswersError or TooManyError when a
    flow is too large."""
    if old.hash == new.hash:
        return Difference([], 0, [], 0, [], [])
    changes, total = by_answers(old, new)
    turns, driven = turn_changes(old, new, entries(old, flows) | entries(new, flows))
    return Difference(changes, total, turns, driven, list(_declared(old, new)), list(_texts(old, new)))


@dataclass(frozen=True)
class Class:
    """Changes of one kind. *less*: somebody must answer for it; *of*: one of them, for an example."""

    less: bool
    of: Change | TurnChange

    def talk(self, old: Loaded, new: Loaded) -> tuple[list[str], list[str], list[str]]:
        """One conversation of this kind: what both versions have in common, then before and now."""
        if isinstance(self.of, TurnChange):
            before, now = self.of.talk
        else:
            before, now = (walk(one, self.of.channel, self.of.answers) for one in (old, new))
        pairs = list(zip(before, now, strict=False))
        same = next((at for at, (was, one) in enumerate(pairs) if was != one), len(pairs))
        return before[:same], before[same:], now[same:]


def classes(found: Difference) -> Iterator[tuple[str, Class]]:
    """Every kind of change as (a sentence, the kind): of answers, then of turns; losses first in each."""
    same: dict[tuple[str, str, Fact | None], list[Change]] = {}
    for one in found.changes:
        same.setdefault((one.old, one.new, one.fact), []).append(one)
    for (old, new, fact), every in same.items():
        less = every[0].lowers
        ends = old if old == new else f"{old} -> {new}"
        how = ("LESS CARE" if less else "more care") if fact is None else f"{fact.says}{' (LESS)' if less else ''}"
        doors = " and ".join(one.channel for one in every)
        count = sum(one.count for one in every)
        yield f"{count:,} of {found.total:,} sets of answers, by {doors}: {ends}: {how}", Class(less, every[0])
    for turn in found.turns:
        heard = [name.replace("_", " ") for name in sorted(turn.heard)]
        more = f" and {len(heard) - SHOWN} more" if len(heard) > SHOWN else ""
        mark = " (LESS)" if turn.fact.less else ""
        yield (
            f"{turn.count:,} of {found.driven:,} turns, heard {', '.join(heard[:SHOWN])}{more}: {turn.fact.says}{mark}",
            Class(turn.fact.less, turn),
        )


def tell(found: Difference, old: Loaded, new: Loaded, *, all_talks: bool = True) -> Iterator[str]:
    """The difference in lines, losses first. Each kind of change has an example; without *all_talks* only each loss."""
    if found.nothing:
        yield "Nothing that a patient or staff can meet is different."
        return
    yield f"{found.changed:,} of {found.total:,} sets of answers change outcome; {found.lowered:,} get less care."
    yield f"{found.leaving_emergency:,} leave emergency."
    for sentence, kind in classes(found):
        yield f"\n{sentence}."
        if all_talks or kind.less:
            same, before, now = kind.talk(old, new)
            yield from ("  One of them:", *same, "  --- before:", *before, "  --- now:", *now)
    yield f"\n{len(found.texts):,} texts differ."
    yield from (f"  {line}" for line in found.texts)
    yield from (f"{one.says}{' (LESS)' if one.less else ''}" for one in found.declared)


def _declared(old: Loaded, new: Loaded) -> Iterator[Fact]:
    before, after = (dict(_unwalked(one)) for one in (old, new))
    for name in dict.fromkeys((*before, *after)):
        if before.get(name) != after.get(name):
            path = name.split(".")
            known = name in before or (path[0] == "follow_ups" and path[1] in old.flow.follow_ups)
            less = known and not HARMLESS & set(path)
            yield Fact("declared", f"{name}: {after.get(name, 'gone')}, before {before.get(name, 'nothing')}", less)
    promises = [{one.id: (one.says, one.check) for one in loaded.flow.invariants} for loaded in (old, new)]
    for name, (says, check) in promises[0].items():
        if name not in promises[1]:
            yield Fact("promise", f"The promise {name} is gone: {says}", less=True)
        elif promises[1][name][1] != check:
            yield Fact("promise", f"The promise {name} is checked otherwise: {promises[1][name][0]}", less=True)
    for name in promises[1].keys() - promises[0].keys():
        yield Fact("promise", f"New promise {name}: {promises[1][name][0]}")


def _unwalked(loaded: Loaded) -> Iterator[tuple[str, str]]:
    """What the flow says that no turn shows, each value under its path."""
    body: dict[str, Any] = loaded.flow.model_dump(mode="json", by_alias=True, exclude_none=True)
    for name, part in body.items():
        if name not in PLAIN:
            yield from _flat(part, name)
    yield from _flat(body.get("defaults", {}).get("listen"), "defaults.listen")
    for name, state in body["states"].items():
        for key in UNWALKED:
            if key in state:
                yield from _flat(state[key], f"states.{name}.{key}")


def _flat(value: Any, path: str) -> Iterator[tuple[str, str]]:
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _flat(inner, f"{path}.{key}")
    elif isinstance(value, list) and any(isinstance(one, dict) for one in value):
        for at, inner in enumerate(value, 1):
            yield from _flat(inner, f"{path}.{at}")
    elif isinstance(value, list):
        yield from ((f"{path}.{one}", "yes") for one in value)
    elif value not in (None, ""):
        yield path, str(value)


def _texts(old: Loaded, new: Loaded) -> list[str]:
    before, after = _wordings(old), _wordings(new)
    lines = [f"added: {name}" for name in after if name not in before]
    lines += [f"removed: {name}" for name in before if name not in after]
    return lines + [
        f"changed: {name}\n    was: {before[name]!r}\n    now: {after[name]!r}"
        for name in after
        if name in before and before[name] != after[name]
    ]


def _wordings(loaded: Loaded) -> dict[str, str]:
    return {
        f"{key} ({language}, {channel})": str(getattr(one, channel))
        for key, wordings in loaded.flow.texts.items()
        for language, one in wordings.items()
        for channel in ("text", "sms", "voice")
        if getattr(one, channel)
    }
