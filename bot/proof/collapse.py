"""Which differences between two sessions can never matter, so that one of them may stand for both. Pure.

Three collapses, each an argument about engine.py that tests/test_proof_explore.py repeats on random walks without them:
1. Values of an answer that no guard (of the flow or of its invariants) tells apart are one value.
2. A name that no guard reads from here on is left out (a backwards data flow over the states; what BACK may return to
   counts while BACK still works). What an invariant reads is kept; when BACK works no more, answers that no question
   ahead can change are fixed, and only what they leave open of each invariant is kept (left.py).
3. Language is left out when no guard reads it: it can be switched in every turn, so whatever is reached in one language
   is reached in all, and texts are checked in all.
Turn number and id are never read by the engine.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from bot.engine import Session
from bot.flow import model
from bot.flow.guard import UNCLEAR, Answer, Guard
from bot.flow.invariant import conditions, tests_of
from bot.flow.load import BUILT_IN, Loaded, domain, guards
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


def atoms(every: Iterable[Guard]) -> dict[str, list[Guard]]:
    """Comparisons by the name that they read ("answered" reads no value, but it reads the name)."""
    found: dict[str, list[Guard]] = {}
    for guard in every:
        for node in guard.walk():
            if node.name:
                found.setdefault(node.name, []).append(node)
    return found


class Classes:
    """Values of each answer, grouped by what every guard says of them; the first of a group stands for it."""

    def __init__(self, flow: model.Flow) -> None:
        self.read = atoms([guard for _, guard in guards(flow)] + invariant_guards(flow))
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
            node.op in ("not", "answered", "ne") for guard in arrows if name in _names([guard]) for node in guard.walk()
        ) or name in _names(tables)
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


def _next_of(flow: model.Flow, state: model.State) -> set[str]:
    if isinstance(state, model.Message):
        return {arrow.target for arrow in state.transitions}
    if isinstance(state, model.Decision):
        return {rule.target for rule in state.rules} | {state.otherwise.target} | set(state.asks)
    if not isinstance(state, model.Question):
        return set()
    found = {arrow.target for arrow in state.transitions} | _silent_targets(flow, state)
    policy = state.no_match or flow.defaults.no_match
    return found | ({policy.target} if policy else set())


def _silent_targets(flow: model.Flow, state: model.Question) -> set[str]:
    found = set()
    for holder in (state.no_input, flow.defaults.no_input):
        for part in (holder.sms, holder.voice) if holder else ():
            if part:
                found.add(part.target)
    return found


def _names(every: Iterable[Guard | None]) -> set[str]:
    return {node.name for guard in every if guard for node in guard.walk() if node.name}


class Future:
    """What can still be reached and read from each state, any-state events included."""

    def __init__(self, flow: model.Flow) -> None:
        self.flow = flow
        self.arms = [arm for arms in flow.on.values() for arm in arms]
        events = {arm.target for arm in self.arms if arm.target}
        after = {name: _next_of(flow, state) | events for name, state in flow.states.items()}
        self.reach = {name: self._closure(name, after) for name in flow.states}
        self.always = _names(arm.guard for arm in self.arms)
        self.live = self._liveness(self.always)
        self.reasons = {name: any(self._says_reason(one) for one in self.reach[name]) for name in flow.states}

    def _closure(self, start: str, after: Mapping[str, set[str]]) -> frozenset[str]:
        seen, todo = {start}, [start]
        while todo:
            for name in after[todo.pop()] - seen:
                seen.add(name)
                todo.append(name)
        return frozenset(seen)

    def _liveness(self, always: set[str]) -> dict[str, set[str]]:
        live: dict[str, set[str]] = {name: set(always) for name in self.flow.states}
        for arm in self.arms:
            if arm.target:
                for name in live:
                    live[name] |= live[arm.target]
        changed = True
        while changed:
            changed = False
            extra = {one for arm in self.arms if arm.target for one in live[arm.target]}
            for name, state in self.flow.states.items():
                new = live[name] | extra | self._reads(state, live)
                if new != live[name]:
                    live[name], changed = new, True
        return live

    def _reads(self, state: model.State, live: dict[str, set[str]]) -> set[str]:
        after = {one for name in _next_of(self.flow, state) for one in live[name]}
        if isinstance(state, model.Decision):
            stores = {
                asked.store for asked in map(self.flow.states.get, state.asks) if isinstance(asked, model.Question)
            }
            return after | stores | _names(rule.guard for rule in state.rules)
        if isinstance(state, model.Message):
            return after | _names(arrow.guard for arrow in state.transitions)
        if not isinstance(state, model.Question):
            return set()
        read = _names(arrow.guard for arrow in state.transitions)
        waiting = self._waiting(state, live)
        return waiting | after | read | _names([state.skip_if]) if state.skip_if else waiting

    def _waiting(self, state: model.Question, live: dict[str, set[str]]) -> set[str]:
        """What is read once the question is put: its own answer is new, unless silence leads away from it."""
        after = {one for name in _next_of(self.flow, state) for one in live[name]}
        read = _names(arrow.guard for arrow in state.transitions)
        silent = {one for name in _silent_targets(self.flow, state) for one in live[name]}
        return ((after | read) - {state.store}) | silent

    def waiting(self, name: str) -> set[str]:
        """Names that may be read from a session that stands at *name*, or was brought back to it."""
        state = self.flow.states[name]
        events = {one for arm in self.arms if arm.target for one in self.live[arm.target]}
        own = self._waiting(state, self.live) if isinstance(state, model.Question) else set()
        return own | self.always | events

    def _says_reason(self, name: str) -> bool:
        state = self.flow.states[name]
        keys = [*getattr(state, "say", ()), *getattr(state, "before", ()), *getattr(state, "again", ())]
        keys += [state.ask, *(state.after or ())] if isinstance(state, model.Question) else []
        keys += [key for arm in self.arms for key in arm.say]
        return any(
            "{reason}" in (body or "")
            for key in keys
            for one in self.flow.texts.get(key, {}).values()
            for body in (one.text, one.sms, one.voice)
        )


class Collapse:
    """Sessions to keys: equal keys, equal futures."""

    def __init__(self, loaded: Loaded) -> None:
        self.flow = loaded.flow
        self.classes = Classes(loaded.flow)
        self.future = Future(loaded.flow)
        every = [guard for _, guard in guards(loaded.flow)] + invariant_guards(loaded.flow)
        self.language_matters = any(node.name == "language" for guard in every for node in guard.walk())
        self.watched = sorted(_names(invariant_guards(loaded.flow)) - set(BUILT_IN))
        self._left = Left(loaded.flow)
        self._anew: dict[str, tuple[str, ...]] = {}
        self._outcomes: dict[str, frozenset[str]] = {}
        self._names_for: dict[tuple[str, tuple[str, ...]], tuple[str, ...]] = {}

    def settled(self, session: Session) -> bool:
        """BACK moves nothing any more, so answers that were given stay."""
        return session.outcome is not None or session.ended

    def key(self, session: Session) -> tuple[tuple[int, int], Key]:
        """(misses and silences, everything else that can matter)."""
        answers = session.answers
        settled = self.settled(session)
        names = self._live(session.state, () if settled else session.trail)
        language = session.language if self.language_matters else ""
        known: Key
        if settled:
            fixed = self._memory(session)
            known = (fixed, *[answers.get(name) for name in self._rewritten(session.state)])
        else:
            known = (session.trail, *[answers.get(name) for name in self.watched])
        rest: Key = (
            session.state, session.channel, language, session.ended, session.disposition,
            tuple([answers.get(name) for name in names]), settled, session.outcome, known,
            session.reason if self.future.reasons[session.state] else None,
        )  # fmt: skip
        return (session.misses, session.silences), rest

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
        return self._left.of(session.answers, frozenset(self._rewritten(session.state)), self._ahead(session))

    def _ahead(self, session: Session) -> frozenset[str]:
        """Every outcome that a guard may see from here until the walk starts over."""
        found = self._outcomes.get(session.state)
        if found is None:
            ahead = (self.flow.states[name] for name in self.future.reach[session.state])
            outcomes = {getattr(state, "outcome", None) for state in ahead}
            found = self._outcomes[session.state] = frozenset(one for one in outcomes if one)
        return found | {session.outcome or "none"}
