"""The invariants of single turns, checked while the explorer runs. Pure."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from bot import engine
from bot.flow.guard import Context
from bot.flow.invariant import Check, Condition, tests_of
from bot.flow.load import EVENTS, Loaded, Problem, domain
from bot.proof.explore import ALWAYS_MOVE, HANDED, Move, begins
from bot.proof.future import effect_names
from bot.proof.partial import Leaf, Tree, holds, leaves, reduce_condition, reduce_guard, reduce_tree
from bot.proof.talk import Talk
from bot.wording import MissingPlaceholderError

Holds = Callable[[Move], bool]
Both = tuple[int, Tree, Tree]  # place, and the two trees of a check: when and then, or after and never
ALWAYS_HEARD = {"answer", "unclear", "silence", "switch", "return", HANDED.name}


def _atom(one: Condition, talk: Talk) -> Holds:
    for name, make in _ATOMS.items():
        wanted = getattr(one, name)
        if wanted is not None:
            return make(wanted, talk)
    raise AssertionError("the model lets no empty condition through")


def _says(keys: list[str], talk: Talk) -> Holds:
    wanted = frozenset(keys)
    return lambda move: not wanted.isdisjoint(move.step.say)


def _first(keys: list[str], talk: Talk) -> Holds:
    wanted = frozenset(keys)
    return lambda move: bool(move.step.say) and move.step.say[0] in wanted


def _does(names: list[str], talk: Talk) -> Holds:
    wanted = frozenset(names)
    return lambda move: any(not wanted.isdisjoint(effect_names(one.kind, one.value)) for one in move.step.effects)


def _text(phrases: Mapping[str, list[str]], talk: Talk) -> Holds:
    wanted = {language: [plain(phrase) for phrase in every] for language, every in phrases.items()}

    def holds(move: Move) -> bool:
        try:
            said = {language: plain(talk.said(move.step, language)) for language in wanted}
        except MissingPlaceholderError:
            return False  # texts.py names the turn that cannot be said
        return all(phrase in said[language] for language, every in wanted.items() for phrase in every)

    return holds


def _keeps(names: list[str], talk: Talk) -> Holds:
    return lambda move: all(getattr(move.before, name) == getattr(move.step.session, name) for name in names)


def _moves(wanted: bool, talk: Talk) -> Holds:
    return lambda move: (move.before.state != move.step.session.state) is wanted


_ATOMS: dict[str, Callable[[Any, Talk], Holds]] = {
    "heard": lambda names, talk: lambda move: move.heard.name in names,
    "from_": lambda names, talk: lambda move: move.before.state in names,
    "to": lambda names, talk: lambda move: move.step.session.state in names,
    "says": _says,
    "first": _first,
    "does": _does,
    "text": _text,
    "starts": lambda wanted, talk: begins,
    "moves": _moves,
    "nudged": lambda wanted, talk: lambda move: (move.before.silences > 0) is wanted,
    "ends": lambda wanted, talk: lambda move: move.step.end == wanted,
    "ended": lambda wanted, talk: lambda move: move.step.session.ended is wanted,
    "disposition": lambda names, talk: lambda move: move.step.session.disposition in names,
    "keeps": _keeps,
}

_DIGITS = re.compile(r"(?<=\d) (?=\d\b)")


def plain(text: str) -> str:
    """*text* for comparing phrases: lower case, "9 1 1" as 911."""
    return _DIGITS.sub("", text.lower())


@dataclass(slots=True)
class Verdict:
    """Of turns that look alike: how many came, whose *when* held, what they break, and what is remembered (bits)."""

    hits: tuple[int, ...]
    broken: tuple[int, ...]
    after: int
    never: int
    count: int = 0


class _Look:
    """Turns that every part of every condition but the answers sees alike; *open*: what the answers still decide."""

    def __init__(self, trees: list[Both], latched: list[Both]) -> None:
        trees = [one for one in trees if one[1] is not False]
        self.settled = tuple([at for at, when, then in trees if when is True and then is True])
        self.trees = [one for one in trees if one[1] is not True or one[2] is not True]
        self.latched = latched
        found = [leaf for _, *both in trees + latched for tree in both for leaf in leaves(tree)]
        self.names = [sorted({node.name for side, guard in found if side == want for node in guard.walk() if node.name})
                      for want in ("was", "guard")]  # fmt: skip
        self.verdicts: dict[tuple[object, ...], Verdict] = {}

    def of(self, move: Move) -> Verdict:
        """The verdict for the answers before and after *move*."""
        before, after = move.before.answers, move.step.session.answers
        key = (*[before.get(name) for name in self.names[0]], *[after.get(name) for name in self.names[1]])
        found = self.verdicts.get(key)
        if found is None:
            found = self.verdicts[key] = self._judge(before, after)
        return found

    def _judge(self, before: Context, after: Context) -> Verdict:
        def leaf(one: Leaf) -> bool:
            return one[1].decide(before if one[0] == "was" else after) is True

        hit = [(at, then) for at, when, then in self.trees if holds(when, leaf)]
        broken = tuple([at for at, then in hit if not holds(then, leaf)])
        masks = [0, 0]
        for place, *both in self.latched:
            for side, tree in enumerate(both):
                masks[side] |= holds(tree, leaf) << place
        return Verdict((*self.settled, *[at for at, _ in hit]), broken, masks[0], masks[1])


class Promises:
    """The invariants of turns. *visit* and *latch* are handed to the explorer; *broken* are first violations by place.

    Each condition is worked out once for turns that look alike (what was heard, where the session stood and stands,
    what was said and done), and what is left of it once for the answers that it reads.
    """

    def __init__(self, loaded: Loaded, talk: Talk) -> None:
        self.talk = talk
        self.broken: dict[int, Move] = {}
        self._looks: dict[tuple[object, ...], _Look] = {}
        self._atoms: dict[int, Holds] = {}
        self._kinds: dict[tuple[object, ...], tuple[list[Both], list[Both]]] = {}
        self._trees: list[tuple[int, Condition | None, Condition]] = []
        self._latched: list[tuple[int, Condition, Condition]] = []
        for at, one in enumerate(loaded.flow.invariants):
            self._add(at, one.check)
        parts = [part for one in loaded.flow.invariants for _, part in _parts(one.check)]
        guards = [guard for part in parts for guard in tests_of(part)]
        self._tongue = any(node.name == "language" for guard in guards for node in guard.walk())
        self._last: tuple[Move | None, Verdict] = (None, Verdict((), (), 0, 0))

    def _add(self, at: int, check: Check) -> None:
        if check.after is not None and check.never is not None:
            self._latched.append((at, check.after, check.never))
        elif check.never is not None:
            self._trees.append((at, None, Condition.model_validate({"not": check.never})))
        elif check.always is not None:
            self._trees.append((at, None, check.always))
        elif check.when is not None and check.then is not None:
            self._trees.append((at, check.when, check.then))

    def looked(self) -> int:
        """How many different turns were judged."""
        return sum(len(look.verdicts) for look in self._looks.values())

    def hits(self) -> dict[int, int]:
        """By invariant: of how many turns it spoke."""
        found: Counter[int] = Counter()
        for look in self._looks.values():
            for verdict in look.verdicts.values():
                for at in verdict.hits:
                    found[at] += verdict.count
        return found

    def visit(self, move: Move) -> None:
        """Check one turn."""
        verdict = self._verdict(move)
        verdict.count += 1
        for at in verdict.broken:
            self.broken.setdefault(at, move)
        self._last = (move, verdict)

    def latch(self, bits: int, move: Move) -> int:
        """What is remembered after *move*; a latched promise that it breaks is noted."""
        verdict = self._last[1] if self._last[0] is move else self._verdict(move)
        for place, (at, _, _) in enumerate(self._latched):
            if bits & verdict.never & (1 << place):
                self.broken.setdefault(at, move)
        return bits | verdict.after

    def _verdict(self, move: Move) -> Verdict:
        before, step = move.before, move.step
        after = step.session
        key = (
            move.heard.name, begins(move), before.state, before.silences > 0, before.outcome,
            before.channel, after.state, after.outcome, after.channel, after.ended, after.disposition, step.say,
            step.effects, step.end, after.reason, step.values.get("a"),
            (before.language, after.language) if self._tongue else None,
        )  # fmt: skip
        look = self._looks.get(key)
        if look is None:
            look = self._looks[key] = self._look(move)
        return look.of(move)

    def _look(self, move: Move) -> _Look:
        def leaf(found: Leaf) -> Tree:
            if found[0] != "turn":
                return found  # type: ignore[no-any-return]  # a guard: the answers decide
            made = self._atoms.get(id(found[1]))
            if made is None:
                made = self._atoms[id(found[1])] = _atom(found[1], self.talk)
            return made(move)

        plain, latched = self._kind(move)
        left = [(at, reduce_tree(when, leaf), then) for at, when, then in plain]
        return _Look(
            [(at, when, reduce_tree(then, leaf)) for at, when, then in left if when is not False],
            [(place, reduce_tree(after, leaf), reduce_tree(never, leaf)) for place, after, never in latched],
        )

    def _kind(self, move: Move) -> tuple[list[Both], list[Both]]:
        """Every condition as far as it is known from what was heard, the outcomes and the channels: little is left, and
        it is the same for many turns."""
        before, after = move.before, move.step.session
        key = (
            move.heard.name,
            before.outcome,
            before.channel,
            before.language,
            after.outcome,
            after.channel,
            after.language,
        )
        found = self._kinds.get(key)
        if found is None:
            found = self._kinds[key] = self._work_out(move)
        return found

    def _work_out(self, move: Move) -> tuple[list[Both], list[Both]]:
        sides = {"was": engine.context(replace(move.before, answers={}))}
        sides["guard"] = engine.context(replace(move.step.session, answers={}))

        def leaf(one: Condition) -> Tree:
            if one.heard is not None:
                return move.heard.name in one.heard
            side, guard = ("was", one.was) if one.was is not None else ("guard", one.guard)
            if guard is None:
                return "turn", one
            known = sides[side]
            left = reduce_guard(guard, lambda atom: atom.decide(known) if atom.name in known else None)
            return left if isinstance(left, bool) else (side, left)

        def tree(one: Condition | None) -> Tree:
            return True if one is None else reduce_condition(one, leaf)

        plain = [(at, tree(when), then) for at, when, then in self._trees]
        latched = [(place, tree(after), tree(never)) for place, (_, after, never) in enumerate(self._latched)]
        return [(at, when, tree(then)) for at, when, then in plain if when is not False], latched


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
        for name in {name for names in (one.check.strictness or {}).values() for name in names} - flow.states.keys():
            path = ("invariants", at, "check", "strictness")
            found.append(loaded.problem(path, f"{one.id}: There is no state {name!r}."))
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
