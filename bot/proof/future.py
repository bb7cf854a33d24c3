"""What can still come from each state: states, outcomes, texts, effects, and which answers may still be read. Pure.

A backwards and forwards data flow over the states of a flow; every result errs on the side of "may still come".
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

from bot.flow import model
from bot.flow.guard import Guard
from bot.flow.load import texts_used

EFFECTS = tuple(model.Do.model_fields)


class Ahead(NamedTuple):
    """All that may be seen from here on until the walk starts over: outcomes, states (this one too), texts, effects."""

    outcomes: frozenset[str]
    states: frozenset[str]
    says: frozenset[str]
    does: frozenset[str]


def effect_names(kind: str, value: object) -> Iterator[str]:
    """How an effect is named in conditions: its kind, and kind:value."""
    yield kind
    yield from (f"{kind}:{one}" for one in (value if isinstance(value, tuple | list) else (value,)))


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


def names_in(every: Iterable[Guard | None]) -> set[str]:
    """The answers that these guards read."""
    return {node.name for guard in every if guard for node in guard.walk() if node.name}


class Future:
    """What can still be reached and read from each state, any-state events included."""

    def __init__(self, flow: model.Flow) -> None:
        self.flow = flow
        self.arms = [arm for arms in flow.on.values() for arm in arms]
        events = {arm.target for arm in self.arms if arm.target}
        after = {name: _next_of(flow, state) | events for name, state in flow.states.items()}
        self.reach = {name: self._closure(name, after) for name in flow.states}
        self.always = names_in(arm.guard for arm in self.arms)
        self.live = self._liveness(self.always)
        self._ahead: dict[tuple[str, str | None], Ahead] = {}
        self.reasons = {name: any(self._says_reason(one) for one in self.reach[name]) for name in flow.states}

    def _closure(self, start: str, after: Mapping[str, set[str]]) -> frozenset[str]:
        seen, todo = {start}, [start]
        while todo:
            for name in after[todo.pop()] - seen:
                seen.add(name)
                todo.append(name)
        return frozenset(seen)

    def ahead(self, state: str, outcome: str | None) -> Ahead:
        """What can come of a walk that BACK moves no more, and that stands at *state* with *outcome*."""
        found = self._ahead.get((state, outcome))
        if found is None:
            found = self._ahead[state, outcome] = self._forward(state, outcome)
        return found

    def _forward(self, state: str, outcome: str | None) -> Ahead:
        states, outcomes, arms = {state}, {outcome or "none"}, list[model.Event]()
        size = 0
        while size != len(states) + len(outcomes):
            size = len(states) + len(outcomes)
            outcomes |= {one for name in states if (one := getattr(self.flow.states[name], "outcome", None))}
            arms = [arm for arm in self.arms if arm.guard is None or self._may_hold(arm.guard, outcomes)]
            states |= {arm.target for arm in arms if arm.target}
            states |= {one for name in states for one in _next_of(self.flow, self.flow.states[name])}
        parts: list[object] = [*(self.flow.states[name] for name in states), *arms, self.flow.defaults]
        says = {self.flow.greeting or "", "lang_switch"}  # said by engine.py and the host, wherever a walk stands
        does = {"silence"}
        for part in parts:
            says |= {key for _, key in texts_used(part.model_dump(mode="json"))}  # type: ignore[attr-defined]
            silence = getattr(part, "no_input", None)
            for do in (*getattr(part, "do", ()), *(silence.sms.do if silence and silence.sms else ())):
                does |= {name for kind in EFFECTS if (value := getattr(do, kind)) is not None
                         for name in effect_names(kind, tuple(value) if isinstance(value, list) else value)}  # fmt: skip
        return Ahead(frozenset(outcomes), frozenset(states), frozenset(says), frozenset(does))

    @staticmethod
    def _may_hold(guard: Guard, outcomes: Iterable[str]) -> bool:
        return any(guard.decide({"outcome": one}) is not False for one in outcomes)

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
            return after | stores | names_in(rule.guard for rule in state.rules)
        if isinstance(state, model.Message):
            return after | names_in(arrow.guard for arrow in state.transitions)
        if not isinstance(state, model.Question):
            return set()
        read = names_in(arrow.guard for arrow in state.transitions)
        waiting = self._waiting(state, live)
        return waiting | after | read | names_in([state.skip_if]) if state.skip_if else waiting

    def _waiting(self, state: model.Question, live: dict[str, set[str]]) -> set[str]:
        """What is read once the question is put: its own answer is new, unless silence leads away from it."""
        after = {one for name in _next_of(self.flow, state) for one in live[name]}
        read = names_in(arrow.guard for arrow in state.transitions)
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
