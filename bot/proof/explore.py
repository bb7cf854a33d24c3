"""Every configuration that a flow can reach, by driving the real engine with everything a patient can do. Pure.

Breadth first, so that the way recorded to each configuration is a shortest one. What may stand for what is argued in
collapse.py. How often something was not understood, or nothing came, is read by the next such turn alone, and only as
"the limit is reached or not": so each count is walked by itself, and everything else is driven where both are zero
(``thorough`` drives all of it everywhere, and a test compares).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Literal

from bot import engine
from bot.engine import Session, Step
from bot.flow import model
from bot.flow.guard import Answer
from bot.flow.load import EVENTS, Loaded
from bot.proof.collapse import Collapse, Key
from bot.reading.model import Reading

LIMIT = 40_000  # configurations, some 10 seconds; triage.json has 2,346
ALARMS = ("emergency", "crisis", "urgent")
ALWAYS_MOVE = ("back", "restart", "repeat", "opt_in", "language_en", "language_es")
Channel = Literal["sms", "voice"]


class TooManyError(RuntimeError):
    """The flow has more configurations than the limit; the message says what makes it large."""


@dataclass(frozen=True, slots=True)
class Heard:
    """One thing a patient can do. *name*: the reading's kind or event; ``switch``: going on by the other channel."""

    name: str
    reading: Reading


UNCLEAR = Heard("unclear", Reading("unclear"))
SWITCH = Heard("switch", Reading("unclear"))
RETURN = Heard("return", Reading("unclear"))  # by a new call, or late on the other channel: the flow's ``resume``
HANDED = Heard("handed", Reading("unclear"))  # by another flow, which said already what comes first


@dataclass(frozen=True, slots=True)
class Move:
    """One turn: from configuration *origin* (-1: before the walk), hearing *heard*, the engine's *step*. *entry*: the state
    in which a walk of another flow goes on."""

    origin: int
    before: Session
    heard: Heard
    step: Step
    number: int
    entry: str = ""


@dataclass(frozen=True, slots=True)
class Node:
    """A configuration: one of the sessions that it stands for, how it was first reached, and what is remembered."""

    session: Session
    origin: int
    heard: Heard
    step: Step
    start: Session
    latches: int


@dataclass
class Explored:
    """Everything that was found. *forward*: by answers, silence and the unclear, for loops and dead ends. *history*: some
    session that waits is more than its answers, so all of it counts only with ``Collapse(loaded, trails=True)``."""

    nodes: list[Node] = field(default_factory=list)
    moves: int = 0
    driven: int = 0
    history: bool = False
    forward: dict[int, list[int]] = field(default_factory=dict)


def event_reading(name: str) -> Reading:
    """The reading that the engine knows as event *name*."""
    if name in ALARMS:
        return Reading("emergency", name)
    if name.startswith("info_"):
        return Reading("info", name.removeprefix("info_"))
    if name in ("opt_out", "opt_in", "minor", "unclear", "silence"):
        return Reading(name)  # type: ignore[arg-type]  # a closed list
    return Reading("command", name)


def events_of(flow: model.Flow) -> list[Heard]:
    """Every event, in an order that puts the plainest first."""
    names = [*sorted(EVENTS), *ALWAYS_MOVE[:4], *(f"language_{language}" for language in flow.languages)]
    return [Heard(name, event_reading(name)) for name in names]


def starts(loaded: Loaded, collapse: Collapse) -> Iterator[Session]:
    """Every session as the host may make it: channel, language, and what it may already know of the patient."""
    flow = loaded.flow
    asked = {state.store: state for state in flow.states.values() if isinstance(state, model.Question)}
    languages = flow.languages if collapse.language_matters else flow.languages[:1]
    known: list[dict[str, Answer]] = [{}]
    for name in flow.context:
        question = asked.get(name)
        if question is None:
            values = collapse.classes.given(flow, name)
            known = [one | extra for one in known for extra in [{}, *({name: value} for value in values)]]
    language_names = [name for name, state in asked.items() if state.sets_language]
    for channel in flow.channels:
        for language in languages:
            for answers in known:
                for outcome in (None, *flow.follows):
                    fresh = Session("s", flow.id, loaded.hash, language, channel, answers=answers, outcome=outcome)
                    yield fresh
                    for name in language_names:
                        for tongue in languages if collapse.language_matters else flow.languages:
                            yield replace(fresh, language=tongue, answers={**answers, name: tongue})


def begins(move: Move) -> bool:
    """The first turn of a walk, for the patient: the first of all, or of a walk that starts over."""
    return (move.origin < 0 and move.heard is not HANDED) or starts_over(move.before, move.heard)


def starts_over(before: Session, heard: Heard) -> bool:
    """The walk begins again with nothing known: RESTART, or START after the end."""
    return heard.name == "restart" or (heard.name == "opt_in" and before.ended)


class Explorer:
    """One exploration. *visit* sees every turn; *latch* says what is remembered after it (bits, see conditions.py);
    *entries* are the states in which walks of other flows are handed over."""

    def __init__(
        self,
        loaded: Loaded,
        *,
        visit: Callable[[Move], None] = lambda move: None,
        latch: Callable[[int, Move], int] = lambda bits, move: bits,
        crash: Callable[[int, Session, Heard, Exception], None] | None = None,
        collapse: Collapse | None = None,
        thorough: bool = False,
        limit: int = LIMIT,
        entries: Iterable[str] = (),
    ) -> None:
        self.loaded, self.visit, self.latch, self.crash = loaded, visit, latch, crash
        self.collapse = collapse or Collapse(loaded)
        self.thorough, self.limit, self.entries = thorough, limit, sorted(entries)
        self.found = Explored()
        self.index: dict[Key, int] = {}
        self._events = events_of(loaded.flow)
        self._answers = {
            name: self._answers_to(state)
            for name, state in loaded.flow.states.items()
            if isinstance(state, model.Question)
        }
        self._todo: deque[int] = deque()
        self._done: dict[Key, list[int]] = {}

    def run(self) -> Explored:
        """Explore until nothing is new. Raises TooManyError beyond the limit."""
        for session in starts(self.loaded, self.collapse):
            self._begin(session)
        while self._todo:
            self._from(self._todo.popleft())
        return self.found

    # -- the turns --

    def _begin(self, session: Session) -> None:
        for heard in [Heard("unclear", Reading("unclear")), *self._events]:
            self._turn(-1, session, heard, 0, session, partial(engine.begin, self.loaded, session, heard.reading))
        for entry in self.entries if session.outcome is None else ():
            drive = partial(engine.start, self.loaded, session, at=entry, greet=False)
            self._turn(-1, session, HANDED, 0, session, drive, entry)

    def _from(self, number: int) -> None:
        node = self.found.nodes[number]
        session = node.session
        if node.step.handover:
            return
        forward = self.found.forward.setdefault(number, [])
        for heard in self._counted(session):
            after = self._advance(number, node, heard)
            if after is not None and heard.name in ("unclear", "silence"):
                forward.append(after)
        rest = (self.collapse.key(session)[1], node.latches)
        known = self._done.get(rest)
        if known is None or self.thorough:
            if len(self.loaded.flow.channels) > 1 and (not session.ended or session.channel == "voice"):
                self._turn(number, session, SWITCH, node.latches, node.start, partial(self.switch, session))
            if self.loaded.flow.resume and not session.ended:
                for channel in self.loaded.flow.channels:
                    drive = partial(self.come_back, replace(session, channel=channel))
                    self._turn(number, session, RETURN, node.latches, node.start, drive)
            known = self._done[rest] = self._uncounted(number, node)
        forward += known

    def _uncounted(self, number: int, node: Node) -> list[int]:
        session, found = node.session, []
        if not session.ended:
            for heard in self._answers.get(session.state, ()):
                after = self._advance(number, node, heard)
                if after is not None:
                    found.append(after)
        for heard in (*self._events, *([UNCLEAR] if session.ended else [])):
            if self._answered(session, heard):
                self._advance(number, node, heard)
        return found

    def _counted(self, session: Session) -> Iterator[Heard]:
        """What may depend on how often it came before: the unclear, silence, and events the flow does not know here."""
        if session.ended:
            return
        if self.thorough or not session.silences:
            yield UNCLEAR
            hint = self._hint(session)
            if hint and not session.misses:
                yield Heard("unclear", Reading("unclear", suggestions=hint))
            yield from (heard for heard in self._events if not self._answered(session, heard))
        if self.thorough or not session.misses:
            yield Heard("silence", Reading("silence"))

    def _answered(self, session: Session, heard: Heard) -> bool:
        if heard.name in ALWAYS_MOVE or session.ended:
            return True
        seen = engine.context(session)
        arms = self.loaded.flow.on.get(heard.name, ())
        return any(arm.guard is None or arm.guard.decide(seen) for arm in arms)

    def _advance(self, number: int, node: Node, heard: Heard) -> int | None:
        drive = partial(engine.advance, self.loaded, node.session, heard.reading)
        return self._turn(number, node.session, heard, node.latches, node.start, drive)

    def switch(self, session: Session) -> Step:
        channel: Channel = "sms" if session.channel == "voice" else "voice"
        greeting = self.loaded.flow.greeting
        first = (greeting,) if greeting and channel == "voice" else ()
        return engine.ask_again(self.loaded, replace(session, channel=channel), first=first)

    def come_back(self, session: Session) -> Step:
        resume = self.loaded.flow.resume
        step = engine.resume(self.loaded, session, resume.target if resume else "")
        greeting = self.loaded.flow.greeting if session.channel == "voice" else None
        return replace(step, say=((greeting,) if greeting else ()) + step.say)

    def _turn(
        self,
        origin: int,
        before: Session,
        heard: Heard,
        bits: int,
        start: Session,
        drive: Callable[[], Step],
        entry: str = "",
    ) -> int | None:
        self.found.driven += 1
        try:
            step = drive()
        except Exception as error:
            if self.crash is None:
                raise
            self.crash(origin, before, heard, error)
            return None
        move = Move(origin, before, heard, step, self.found.moves, entry)
        self.found.moves += 1
        bits = 0 if starts_over(before, heard) else bits
        self.visit(move)
        bits = self.latch(bits, move)
        after = step.session
        if after.trail and not self.collapse.trails and (bits or not self.collapse.plain(after)):
            self.found.history = True
        key = (*self.collapse.key(after), bits, step.handover)
        number = self.index.get(key)
        if number is None:
            number = self.index[key] = self._new(Node(after, origin, heard, step, start, bits))
        return number

    def _new(self, node: Node) -> int:
        if len(self.found.nodes) >= self.limit:
            raise TooManyError(self._too_many())
        self.found.nodes.append(node)
        self._todo.append(len(self.found.nodes) - 1)
        return len(self.found.nodes) - 1

    def _too_many(self) -> str:
        lives = self.collapse.future.live.values()
        kept = {name: sum(name in live for live in lives) for name in self.loaded.flow.context}
        worst = sorted(kept, key=lambda name: -kept[name] * len(self.collapse.classes.groups[name]))[:3]
        return (
            f"This flow has more than {self.limit:,} configurations, so it cannot be proved. What makes it large: the "
            f"answers {', '.join(map(repr, worst))} are remembered longest; let less depend on them."
        )

    # -- what a question can be told --

    def _answers_to(self, question: model.Question) -> list[Heard]:
        if question.sets_language:
            return [Heard("answer", Reading("answer", one.value)) for one in question.takes.options]
        values = self.collapse.classes.standing(question.store)
        return [Heard("answer", Reading("answer", value)) for value in values if isinstance(value, str | int)]

    def _hint(self, session: Session) -> tuple[str, ...]:
        """The two options whose names are longest: what "did you mean" may say at most."""
        state = self.loaded.flow.states[session.state]
        if not isinstance(state, model.Question) or len(state.takes.options) < 2:
            return ()
        longest = sorted(state.takes.options, key=lambda one: -max(map(len, one.label.values()), default=0))
        return tuple(one.value for one in longest[:2])


def way(nodes: list[Node], number: int) -> list[int]:
    """The configurations from the beginning to *number*, one a turn."""
    found = []
    while number >= 0:
        found.append(number)
        number = nodes[number].origin
    return found[::-1]
