"""Every set of answers and where it leads: the walk by clear answers and questions left unclear alone. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property

from bot import engine
from bot.engine import Session, Step
from bot.flow import model
from bot.flow.guard import UNCLEAR, Answer
from bot.flow.load import Loaded
from bot.proof.collapse import Collapse
from bot.proof.explore import Heard, starts
from bot.proof.talk import Talk
from bot.reading.model import Reading

MAX_LEAVES = 3_000  # every two of them are compared; triage.json has 308
NOTHING = Reading("unclear")


class TooManyAnswersError(RuntimeError):
    """More sets of answers than the limit."""


@dataclass(frozen=True)
class Leaf:
    """Sets of answers that go the same way: *answers* given, and *turns* of the walk up to its result."""

    channel: str
    language: str
    answers: Mapping[str, Answer]
    result: str
    session: Session
    turns: tuple[tuple[Heard, Session, Step], ...]

    def talk(self, talk: Talk) -> list[str]:
        """The walk as a conversation."""
        lines: list[str] = []
        for at, (heard, before, step) in enumerate(self.turns):
            lines += talk.turn(heard, before, step, begins=at == 0)
        return lines


class Tree:
    """The leaves of a flow, by channel (and language when the flow reads it). *given*: also with what the host may know of
    the patient beforehand."""

    def __init__(self, loaded: Loaded, collapse: Collapse | None = None, *, given: bool = False) -> None:
        self.loaded, self.given = loaded, given
        self.collapse = collapse or Collapse(loaded)
        self.leaves = list(self._all())

    @cached_property
    def asked(self) -> dict[str, model.Question]:
        """Questions by the answer that they store."""
        states = self.loaded.flow.states.values()
        return {state.store: state for state in states if isinstance(state, model.Question)}

    def _all(self) -> Iterator[Leaf]:
        self._count = 0
        seen = set()
        for fresh in starts(self.loaded, self.collapse):
            known = set(fresh.answers)
            tongue = {name for name, state in self.asked.items() if state.sets_language}
            start = (fresh.channel, fresh.language, *sorted((name, fresh.answers[name]) for name in known - tongue))
            if not known >= tongue or (known > tongue and not self.given) or start in seen:
                continue
            seen.add(start)
            if self.collapse.language_matters or fresh.language == self.loaded.flow.languages[0]:
                step = engine.begin(self.loaded, fresh, NOTHING)
                yield from self._grow(step, ((Heard("unclear", NOTHING), fresh, step),), tongue)

    def _grow(self, step: Step, turns: tuple[tuple[Heard, Session, Step], ...], skip: set[str]) -> Iterator[Leaf]:
        session = step.session
        state = self.loaded.flow.states[session.state]
        if session.outcome or session.ended or step.handover or not isinstance(state, model.Question):
            self._count += 1
            if self._count > MAX_LEAVES:
                raise TooManyAnswersError(f"There are more than {MAX_LEAVES:,} sets of answers; too many to compare.")
            given = {name: value for name, value in session.answers.items() if name not in skip}
            yield Leaf(session.channel, session.language, given, result_of(step), session, turns)
            return
        if len(turns) > 200:
            return  # a loop: the explorer reports it
        for value in self.collapse.classes.standing(state.store):
            reading = Reading("answer", value)  # type: ignore[arg-type]  # sets are no answers
            yield from self._grow(*self._go(session, reading, "answer", turns), skip)
        while True:
            after, turns = self._go(session, NOTHING, "unclear", turns)
            if after.session.state != session.state or after.session.ended or len(turns) > 200:
                yield from self._grow(after, turns, skip)
                return
            session = after.session

    def _go(
        self, session: Session, reading: Reading, name: str, turns: tuple[tuple[Heard, Session, Step], ...]
    ) -> tuple[Step, tuple[tuple[Heard, Session, Step], ...]]:
        step = engine.advance(self.loaded, session, reading)
        return step, (*turns, (Heard(name, reading), session, step))

    def weight(self, leaf: Leaf, names: list[str]) -> int:
        """How many complete sets of clear answers to *names* go this way; 0 when one of them stayed unclear."""
        count = 1
        for name in names:
            groups = self.collapse.classes.groups[name]
            if name not in leaf.answers:
                count *= sum(map(len, groups))
            elif leaf.answers[name] == UNCLEAR:
                return 0
            else:
                count *= len(next(group for group in groups if leaf.answers[name] in group))
        return count


def result_of(step: Step) -> str:
    """The outcome, else the disposition, else where the walk ended."""
    session = step.session
    if step.handover:
        return "->" + ".".join(step.handover)
    return session.outcome or session.disposition or session.state


def agree(first: Mapping[str, Answer], second: Mapping[str, Answer], apart_from: str = "") -> bool:
    """No answer that both have differs: some complete set of answers belongs to both."""
    return all(second.get(name, value) == value for name, value in first.items() if name != apart_from)


def joined(leaf: Leaf, joins: Mapping[str, list[str]], apart_from: list[str]) -> Leaf:
    """*leaf* with questions that are one elsewhere put together: yes beats unclear beats no."""
    answers = {name: value for name, value in leaf.answers.items() if name not in apart_from}
    for name, parts in joins.items():
        have = [answers.pop(part) for part in parts if part in answers]
        if have:
            answers[name] = next((one for one in ("yes", UNCLEAR) if one in have), have[0])
    return replace(leaf, answers=answers)
