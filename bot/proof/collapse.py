"""Which differences between two sessions can never matter, so that one of them may stand for both. Pure.

Four collapses, each an argument about engine.py; tests/proof/test_explore.py compares with an exploration without them:
1. Values of an answer that no guard (of the flow or of its invariants) tells apart are one value.
2. A name that no guard reads from here on is left out (a backwards data flow over the states). Of what an invariant
   reads, what its comparisons say is kept; when BACK works no more, answers that no question ahead can change are fixed,
   and only what they leave open of each invariant is kept (left.py).
3. Of the way back only the last question is kept. BACK and coming back late lead to where the walk stood when it was
   asked something before, with the answers that it had there: its own beginning, which was explored. That holds while a
   session is nothing but its answers (``plain``); when one is more, everything is explored again with whole trails.
4. Language is left out when no guard reads it: it can be switched in every turn, so whatever is reached in one language
   is reached in all, and texts are checked in all.
Turn number and id are never read by the engine.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from bot.engine import Session
from bot.flow import model
from bot.flow.guard import UNCLEAR, Answer, Guard
from bot.flow.invariant import Condition, conditions, tests_of
from bot.flow.load import BUILT_IN, Loaded, domain, guards
from bot.proof.future import Future, names_in
from bot.proof.left import Left

Key = tuple[Any, ...]


def invariant_guards(flow: model.Flow) -> list[Guard]:
    """Every guard that an invariant of the flow uses."""
    found = []
    for one in flow.invariants:
        for _, condition in conditions(one.check):
            found += tests_of(condition)
        if one.check.monotone and one.check.monotone.unless:
            found.append(one.check.monotone.unless)
    return found


def _turn_knows(one: Condition | None, stores: dict[str, str]) -> frozenset[str]:
    """Answers of which a turn like this needs no memory: the one that it gives, or all when it starts over."""
    parts = (one.all or [one]) if one else []
    heard = next((part.heard for part in parts if part.heard), [])
    if heard == ["restart"]:
        return frozenset(stores.values())
    asked = [stores[part.from_[0]] for part in parts if part.from_ and len(part.from_) == 1 and part.from_[0] in stores]
    return frozenset(asked) if heard == ["answer"] else frozenset()


def remembered(flow: model.Flow) -> list[tuple[Guard, bool]]:
    """The comparisons of invariants that need an answer of an earlier turn, and whether one stands under a ``not``."""
    stores = {name: one.store for name, one in flow.states.items() if isinstance(one, model.Question)}
    found: list[tuple[Guard, bool]] = []

    def compare(guard: Guard | None, known: frozenset[str], turned: bool = False) -> None:
        if guard and guard.name and guard.name not in known:
            found.append((guard, turned))
        for part in guard.parts if guard else ():
            compare(part, known, turned or guard.op == "not")  # type: ignore[union-attr]  # it has parts

    def look(one: Condition, known: frozenset[str]) -> None:
        known |= _turn_knows(one, stores)
        for part in [*(one.all or ()), *(one.any or ()), *([one.not_] if one.not_ else [])]:
            look(part, known)
        compare(one.was, frozenset())
        compare(one.guard, known)

    for invariant in flow.invariants:
        check = invariant.check
        for key, condition in conditions(check):
            look(condition, _turn_knows(check.when, stores) if key == "then" else frozenset())
        compare(check.monotone.unless if check.monotone else None, frozenset(), True)
    return found


def atoms(every: Iterable[Guard]) -> dict[str, list[Guard]]:
    """Comparisons by the name that they read ("answered" reads no value, but it reads the name)."""
    found: dict[str, list[Guard]] = {}
    for guard in every:
        for node in guard.walk():
            if node.name:
                found.setdefault(node.name, []).append(node)
    return found


class Classes:
    """Values of each answer, grouped by what every guard says of them; the first of a group stands for it. *also*: guards
    of another version, to tell values apart that only that one tells apart."""

    def __init__(self, flow: model.Flow, also: Iterable[Guard] = ()) -> None:
        self.read = atoms([*(guard for _, guard in guards(flow)), *invariant_guards(flow), *also])
        for one in flow.invariants:  # an order of values tells values apart as a guard does
            for name, groups in (one.check.monotone.worse if one.check.monotone else {}).items():
                self.read.setdefault(name, []).extend(Guard("in", name=name, value=tuple(group)) for group in groups)
        self.groups: dict[str, list[list[Answer]]] = {name: self._group(flow, name) for name in flow.context}

    def _group(self, flow: model.Flow, name: str) -> list[list[Answer]]:
        groups: dict[tuple[bool | None, ...], list[Answer]] = {}
        for value in domain(flow, name) or ():
            if value != UNCLEAR:
                verdict = tuple(atom.decide({name: value}) for atom in self.read.get(name, ()))
                groups.setdefault(verdict, []).append(value)
        return list(groups.values())

    def given(self, flow: model.Flow, name: str) -> list[Answer]:
        """Values that a host may hand over and that differ from handing over nothing.

        An arrow takes an undecided guard for false. So a value of which every comparison is false is as good as none,
        unless some guard can tell (``not``, ``answered``, ``ne``, a decision table).
        """
        arrows = [guard for path, guard in guards(flow) if "rules" not in path] + invariant_guards(flow)
        tables = [guard for path, guard in guards(flow) if "rules" in path]
        tells = any(
            node.op in ("not", "answered", "ne")
            for guard in arrows
            if name in names_in([guard])
            for node in guard.walk()
        ) or name in names_in(tables)
        values = self.standing(name)
        if tells:
            return values
        return [value for value in values if any(atom.decide({name: value}) for atom in self.read.get(name, ()))]

    def standing(self, name: str) -> list[Answer]:
        """One value for each group."""
        return [group[0] for group in self.groups[name]]

    def stand_in(self, name: str, value: Answer) -> Answer:
        """The value that stands for *value*."""
        return next((group[0] for group in self.groups.get(name, ()) if value in group), value)


class Collapse:
    """Sessions to keys: equal keys, equal futures."""

    def __init__(self, loaded: Loaded, *, trails: bool = False) -> None:
        self.flow, self.trails = loaded.flow, trails
        self.classes = Classes(loaded.flow)
        self.stores = {name: one.store for name, one in loaded.flow.states.items() if isinstance(one, model.Question)}
        self._resume = loaded.flow.resume.target if loaded.flow.resume else ""
        asks = [one for one in loaded.flow.states.values() if isinstance(one, model.Question)]
        self._host = set(loaded.flow.context) - {one.store for one in asks if not one.sets_language}
        self._told = sorted(set(loaded.flow.context) - loaded.stored)  # stays when the walk starts over
        self.future = Future(loaded.flow)
        every = [guard for _, guard in guards(loaded.flow)] + invariant_guards(loaded.flow)
        self.language_matters = any(node.name == "language" for guard in every for node in guard.walk())
        kept = remembered(loaded.flow)
        self._compared = atoms(guard for guard, _ in kept)
        self.watched = sorted(self._compared.keys() - set(BUILT_IN))
        self._turned = {guard.name for guard, turned in kept if turned}
        self._seen: dict[tuple[str, Answer | None], Key] = {}
        self._left = Left(loaded.flow)
        self._anew: dict[str, tuple[str, ...]] = {}
        self._names_for: dict[tuple[str, tuple[str, ...]], tuple[str, ...]] = {}

    def settled(self, session: Session) -> bool:
        """BACK moves nothing any more, so answers that were given stay."""
        return session.outcome is not None or session.ended

    def key(self, session: Session) -> tuple[tuple[int, int], Key]:
        """(misses and silences, everything else that can matter)."""
        answers = session.answers
        settled = self.settled(session)
        trail = session.trail if self.trails else session.trail[-1:]
        names = self._live(session.state, session.trail if self.trails and not settled else ())
        language = session.language if self.language_matters else ""
        known: Key
        if settled:
            fixed = self._memory(session)
            known = (fixed, *[self._says(name, answers.get(name)) for name in self._rewritten(session.state)])
        else:
            watched = [self._says(name, answers.get(name)) for name in self.watched]
            known = (trail, self._resume in session.trail, *watched)
        rest: Key = (
            session.state, session.channel, language, session.ended, session.disposition,
            tuple([answers.get(name) for name in names]), settled, session.outcome, known,
            session.reason if self.future.reasons[session.state] else None, tuple([answers.get(name) for name in self._told]),
        )  # fmt: skip
        return (session.misses, session.silences), rest

    def _says(self, name: str, value: Answer | None) -> Key:
        """What every comparison of an invariant says of *value*. Guards of invariants count when they are decided true,
        so outside of a ``not`` what is undecided is as good as false."""
        found = self._seen.get((name, value))
        if found is None:
            known = {} if value is None else {name: value}
            verdicts = [atom.decide(known) for atom in self._compared[name]]
            found = tuple(verdicts) if name in self._turned else tuple([one is True for one in verdicts])
            self._seen[name, value] = found
        return found

    def plain(self, session: Session) -> bool:
        """Nothing but the answers along its trail, and what the host gave, tells this session from its own beginning."""
        if self.settled(session):
            return True
        given = [self.stores[name] for name in session.trail]
        if len(set(given)) < len(given) or self.stores.get(session.state) in session.answers:
            return False
        if session.reason and self.future.reasons[session.state]:
            return False
        return session.answers.keys() <= self._host | set(given)

    def _live(self, state: str, trail: tuple[str, ...]) -> tuple[str, ...]:
        found = self._names_for.get((state, trail))
        if found is None:
            names = {one for name in (state, *trail) for one in self.future.waiting(name)}
            found = self._names_for[state, trail] = tuple(sorted(names - set(BUILT_IN)))
        return found

    def _rewritten(self, state: str) -> tuple[str, ...]:
        """What invariants read and a question ahead may answer anew: its value must be kept, not its verdict."""
        found = self._anew.get(state)
        if found is None:
            ahead = (self.flow.states[name] for name in self.future.reach[state])
            stores = {one.store for one in ahead if isinstance(one, model.Question)}
            found = self._anew[state] = tuple(name for name in self.watched if name in stores)
        return found

    def _memory(self, session: Session) -> int:
        """A number for what the invariants will ever know of answers that stay as they are."""
        ahead = self.future.ahead(session.state, session.outcome)
        return self._left.of(session.answers, frozenset(self._rewritten(session.state)), ahead)
