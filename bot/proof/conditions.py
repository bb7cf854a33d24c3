"""Conditions of an invariant -> fast predicates over one turn. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from bot import engine
from bot.flow.guard import Guard
from bot.flow.invariant import Check, Condition, Invariant
from bot.flow.load import EVENTS, Loaded, Problem, domain
from bot.proof.explore import ALWAYS_MOVE, Explorer, Move
from bot.proof.talk import Talk

Holds = Callable[[Move], bool]
ALWAYS_HEARD = {"answer", "unclear", "silence", "switch"}


def compile_condition(one: Condition, talk: Talk) -> Holds:
    """A predicate that says whether *one* holds of a turn."""
    if one.all is not None:
        parts = [compile_condition(part, talk) for part in one.all]
        return lambda move: all(part(move) for part in parts)
    if one.any is not None:
        parts = [compile_condition(part, talk) for part in one.any]
        return lambda move: any(part(move) for part in parts)
    if one.not_ is not None:
        inner = compile_condition(one.not_, talk)
        return lambda move: not inner(move)
    return _atom(one, talk)


def _atom(one: Condition, talk: Talk) -> Holds:
    for name, make in _ATOMS.items():
        wanted = getattr(one, name)
        if wanted is not None:
            return make(wanted, talk)
    raise AssertionError("the model lets no empty condition through")


def _after(guard: Guard, talk: Talk) -> Holds:
    return lambda move: guard.decide(engine.context(move.step.session)) is True


def _before(guard: Guard, talk: Talk) -> Holds:
    return lambda move: guard.decide(engine.context(move.before)) is True


def _says(keys: list[str], talk: Talk) -> Holds:
    wanted = frozenset(keys)
    return lambda move: not wanted.isdisjoint(move.step.say)


def _first(keys: list[str], talk: Talk) -> Holds:
    wanted = frozenset(keys)
    return lambda move: bool(move.step.say) and move.step.say[0] in wanted


def _does(names: list[str], talk: Talk) -> Holds:
    wanted = frozenset(names)
    return lambda move: any(
        effect.kind in wanted or f"{effect.kind}:{effect.value}" in wanted for effect in move.step.effects
    )


def _text(phrases: Mapping[str, list[str]], talk: Talk) -> Holds:
    wanted = {language: [plain(phrase) for phrase in every] for language, every in phrases.items()}

    def holds(move: Move) -> bool:
        return all(
            phrase in plain(talk.said(move.step, language)) for language, every in wanted.items() for phrase in every
        )

    return holds


def _keeps(names: list[str], talk: Talk) -> Holds:
    return lambda move: all(getattr(move.before, name) == getattr(move.step.session, name) for name in names)


def _moves(wanted: bool, talk: Talk) -> Holds:
    return lambda move: (move.before.state != move.step.session.state) is wanted


_ATOMS: dict[str, Callable[[Any, Talk], Holds]] = {
    "guard": _after,
    "was": _before,
    "heard": lambda names, talk: lambda move: move.heard.name in names,
    "from_": lambda names, talk: lambda move: move.before.state in names,
    "to": lambda names, talk: lambda move: move.step.session.state in names,
    "says": _says,
    "first": _first,
    "does": _does,
    "text": _text,
    "starts": lambda wanted, talk: lambda move: move.origin < 0 or move.heard.name == "restart",
    "moves": _moves,
    "ends": lambda wanted, talk: lambda move: move.step.end == wanted,
    "ended": lambda wanted, talk: lambda move: move.step.session.ended is wanted,
    "disposition": lambda names, talk: lambda move: move.step.session.disposition in names,
    "keeps": _keeps,
}

_DIGITS = re.compile(r"(?<=\d) (?=\d\b)")


def plain(text: str) -> str:
    """*text* for comparing phrases: lower case, "9 1 1" as 911."""
    return _DIGITS.sub("", text.lower())


class Promises:
    """The invariants of turns. *visit* and *latch* are handed to the explorer; *broken* are first violations by place.

    Turns that look alike to every condition are looked at once: a condition reads what was heard, where the session
    stood and stands, the answers that invariants name, what was said and done.
    """

    def __init__(self, loaded: Loaded, talk: Talk) -> None:
        self.broken: dict[int, Move] = {}
        self.hits: dict[int, int] = {}
        self.looked = 0
        self._seen: set[Any] = set()
        self._latched: list[tuple[int, Holds, Holds]] = []
        self._plain: list[tuple[int, Holds | None, Holds]] = []
        for at, one in enumerate(loaded.flow.invariants):
            self._add(at, one, talk)
        self.names: tuple[str, ...] = ()

    def _add(self, at: int, one: Invariant, talk: Talk) -> None:
        check: Check = one.check
        made = {name: compile_condition(part, talk) for name, part in _parts(check)}
        if "after" in made:
            self._latched.append((at, made["after"], made["never"]))
        elif "never" in made:
            never = made["never"]
            self._plain.append((at, None, lambda move: not never(move)))
        elif "always" in made:
            self._plain.append((at, None, made["always"]))
        elif "when" in made:
            self._plain.append((at, made["when"], made["then"]))

    def watch(self, explorer: Explorer) -> None:
        """Take the names of answers from the explorer's collapse."""
        self.names = tuple(explorer.collapse.watched)

    def visit(self, move: Move) -> None:
        """Check one turn."""
        key = self._looks(move)
        if key in self._seen:
            return
        self._seen.add(key)
        self.looked += 1
        for at, when, then in self._plain:
            if when is None or when(move):
                self.hits[at] = self.hits.get(at, 0) + 1
                if not then(move) and at not in self.broken:
                    self.broken[at] = move

    def latch(self, bits: int, move: Move) -> int:
        """What is remembered after *move*; a latched promise that it breaks is noted."""
        for place, (at, after, never) in enumerate(self._latched):
            bit = 1 << place
            if bits & bit:
                if at not in self.broken and never(move):
                    self.broken[at] = move
            elif after(move):
                bits |= bit
                self.hits[at] = self.hits.get(at, 0) + 1
        return bits

    def _looks(self, move: Move) -> Any:
        before, step = move.before, move.step
        after = step.session
        return (
            move.heard.name, move.origin < 0, before.state, before.outcome, before.channel, before.language,
            tuple([before.answers.get(name) for name in self.names]), after.state, after.outcome, after.disposition,
            after.ended, after.channel, tuple([after.answers.get(name) for name in self.names]), step.say,
            tuple([(effect.kind, effect.value) for effect in step.effects]), after.reason, step.values.get("a"),
        )  # fmt: skip


def _parts(check: Check) -> list[tuple[str, Condition]]:
    names = ("never", "always", "when", "then", "after")
    return [(name, part) for name in names if (part := getattr(check, name)) is not None]


def unknown_names(loaded: Loaded) -> list[Problem]:
    """Names in invariants that mean nothing in this flow."""
    flow, found = loaded.flow, []
    for at, one in enumerate(flow.invariants):
        for name in one.source:
            if name not in flow.sources:
                found.append(loaded.problem(("invariants", at, "source"), f"{one.id}: There is no source {name!r}."))
        for key, condition in _parts(one.check):
            for message in _unknown(condition, loaded):
                found.append(loaded.problem(("invariants", at, "check", key), f"{one.id}: {message}"))
    return found


def _unknown(one: Condition, loaded: Loaded) -> list[str]:
    flow = loaded.flow
    inner = [*(one.all or ()), *(one.any or ()), *([one.not_] if one.not_ else [])]
    found = [message for part in inner for message in _unknown(part, loaded)]
    found += [f"There is no state {name!r}." for name in (one.from_ or []) + (one.to or []) if name not in flow.states]
    found += [f"There is no text {name!r}." for name in (one.says or []) + (one.first or []) if name not in flow.texts]
    heard = ALWAYS_HEARD | EVENTS | set(ALWAYS_MOVE)
    found += [f"Nothing is heard as {name!r}." for name in one.heard or () if name not in heard]
    for guard in (one.guard, one.was):
        for node in guard.walk() if guard else ():
            values = domain(flow, node.name) if node.name else ()
            if values is None:
                found.append(f"The answer {node.name!r} is not declared in 'context'.")
            elif node.name and node.op != "answered":
                wanted = node.value if isinstance(node.value, tuple) else (node.value,)
                found += [
                    f"The answer {node.name!r} can never be {value!r}." for value in wanted if value not in values
                ]
    return found
