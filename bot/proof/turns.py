"""Which turns of two versions of a flow differ, in whatever a patient or the clinic meets. Pure.

From every configuration that one of the versions can reach, both make the same turn. When no turn differs, the versions
are the same for everybody (by induction over the walk); where one does, that very turn is found, with a shortest way to
it. What the answers of a whole walk lead to is counted in outcomes.py and left to it here.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace

from bot import engine
from bot.engine import Effect, Session, Step
from bot.flow import model
from bot.flow.load import Loaded, domain, guards
from bot.proof.collapse import Classes, Collapse, Key
from bot.proof.explore import HANDED, RETURN, SWITCH, Explored, Explorer, Move
from bot.proof.talk import Talk

CARE = ("pt", "both", "pmr", "urgent", "emergency")  # from less to more
TAKES_AWAY = ("cancel", "refuse")


@dataclass(frozen=True, order=True)
class Fact:
    """One thing that is otherwise. *less*: care, a person's notice or a link is taken away, or it cannot be compared.
    *kind*: outcome | effect | wait | place | end | why | text | ask."""

    kind: str
    says: str
    less: bool = False


@dataclass
class TurnChange:
    """*count* turns in which *fact* holds, heard as *heard*; *talk*: the way to one of them and it, before and now."""

    fact: Fact
    count: int = 0
    heard: set[str] = field(default_factory=set)
    talk: tuple[list[str], list[str]] = field(default_factory=lambda: ([], []))


def less_care(old: str, new: str) -> bool:
    """The outcome *new* is less care than *old*, or not comparable: then it counts as less."""
    if new in CARE and old in CARE:
        return CARE.index(new) < CARE.index(old)
    return new not in ("urgent", "emergency")


def facts(was: Step, now: Step) -> Iterator[Fact]:
    """Everything in which two steps from the same place differ; of two that lead elsewhere, only what is lost besides."""
    ends = (was.session.outcome or "none", now.session.outcome or "none")
    raised = ends[0] != ends[1] and not less_care(*ends)
    elsewhere = ends[0] != ends[1] or _place(was) != _place(now)
    if ends[0] != ends[1]:
        yield Fact("outcome", f"outcome {ends[0]} -> {ends[1]}", not raised)
    elif elsewhere:
        yield Fact("place", f"goes to {_place(now)} instead of {_place(was)}", less=True)
    for fact in (*_effects(was.effects, now.effects, raised=raised), *_manner(was, now)):
        if fact.less or not elsewhere:
            yield fact


def _manner(was: Step, now: Step) -> Iterator[Fact]:
    if was.end != now.end:
        yield Fact("end", f"then {now.end}, not {was.end}", was.end == "dial" or now.end == "hangup")
    before, after = ([one.session.rule or "no rule", one.session.reason or "no reason"] for one in (was, now))
    if before != after:
        yield Fact("why", f"because of {', '.join(after)}; before: {', '.join(before)}")
    if was.say != now.say:
        words = [", ".join(one.say) or "nothing" for one in (now, was)]
        yield Fact("text", f"says {words[0]}; before: {words[1]}", less=not now.say)


def _place(step: Step) -> str:
    return "->" + ".".join(step.handover) if step.handover else step.session.state


def _effects(was: Iterable[Effect], now: Iterable[Effect], *, raised: bool) -> Iterator[Fact]:
    """*raised*: another outcome brings its own effects; then only a kind that is missing altogether is a loss."""
    before, after = (Counter(one for effect in some for one in _named(effect)) for some in (was, now))
    waits = [[name for kind, name in one if kind == "silence"] for one in (before, after)]
    if waits[0] != waits[1]:
        words = [" and ".join(f"{one} minutes" for one in some) or "no time" for some in waits]
        yield Fact("wait", f"waits {words[1]} for a reply, before {words[0]}", bool(waits[0] and not waits[1]))
    kinds = {kind for kind, _ in after}
    for kind, name in before - after:
        if kind != "silence" and not (raised and (kind in kinds or kind not in ("task", "cancel"))):
            yield Fact("effect", f"no longer: {kind} {name}".rstrip(), less=True)
    for kind, name in after - before:
        if kind != "silence":
            yield Fact("effect", f"new: {kind} {name}".rstrip(), kind in TAKES_AWAY and not raised)


def _named(one: Effect) -> Iterator[tuple[str, str]]:
    for value in one.value if isinstance(one.value, tuple) else (one.value,):
        yield one.kind, "" if value is None else str(value)


class Joint(Collapse):
    """What may stand for what in both versions at once, whatever their invariants say."""

    def __init__(self, mine: Loaded, other: Loaded, *, trails: bool = False) -> None:
        super().__init__(mine, trails=trails)
        self.classes = Classes(mine.flow, [guard for _, guard in guards(other.flow)])
        self._other = Collapse(other, trails=trails)
        self.language_matters = self.language_matters or self._other.language_matters

    def key(self, session: Session) -> tuple[tuple[int, int], Key]:
        """Equal only when equal for both."""
        counts, rest = super().key(session)
        if session.state in self._other.flow.states:
            rest = (*rest, self._other.key(session)[1])
        return counts, rest


class _Side:
    """One version explored, and the other made to take each of its turns."""

    def __init__(self, mine: Loaded, other: Loaded, entries: frozenset[str], *, first: bool) -> None:
        self.mine, self.other, self.first = mine, other, first
        self._door = Explorer(other, collapse=Collapse(other))
        self._entries = entries & mine.flow.states.keys() & other.flow.states.keys()
        self._found: dict[Fact, tuple[TurnChange, Move, Step]] = {}

    def run(self) -> tuple[list[TurnChange], int]:
        """What differs, and how many turns were looked at."""
        explored = self._explore(trails=False)
        if explored.history:
            explored = self._explore(trails=True)
        talks = Talk(self.mine), Talk(self.other)
        for change, move, step in self._found.values():
            here = talks[0].conversation(explored, move)
            there = here[:-2] + talks[1].turn(move.heard, move.before, step, begins=move.origin < 0)
            change.talk = (here, there) if self.first else (there, here)
        return [change for change, _, _ in self._found.values()], explored.moves

    def _explore(self, *, trails: bool) -> Explored:
        self._found = {}
        joint = Joint(self.mine, self.other, trails=trails)
        return Explorer(self.mine, visit=self._visit, collapse=joint, entries=self._entries).run()

    def _visit(self, move: Move) -> None:
        step = self._same_turn(move)
        if step is None:
            return
        pair = (move.step, step) if self.first else (step, move.step)
        counted = move.heard.name in ("answer", "unclear") and not (move.before.outcome or move.before.ended)
        for fact in facts(*pair):
            if counted and (fact.kind not in ("text", "wait") or _place(pair[0]) != _place(pair[1])):
                continue  # outcomes.py counts it
            change, _, _ = self._found.setdefault(fact, (TurnChange(fact), move, step))
            change.count += 1
            change.heard.add(move.heard.name)

    def _same_turn(self, move: Move) -> Step | None:
        """The other version's turn from the same configuration; None when it has no such place or answer."""
        before, heard = move.before, move.heard
        here, there = self.mine.flow.states.get(before.state), self.other.flow.states.get(before.state)
        if move.origin >= 0 and (there is None or here is None or here.type != there.type):
            return None
        if isinstance(here, model.Question) and isinstance(there, model.Question):
            known = domain(self.other.flow, there.store) or ()
            if here.store != there.store or (heard.name == "answer" and heard.reading.value not in known):
                return None
        try:
            if heard is HANDED:
                return engine.start(self.other, before, at=move.entry, greet=False)
            if move.origin < 0:
                return engine.begin(self.other, before, heard.reading)
            if heard is SWITCH:
                return self._door.switch(before)
            if heard is RETURN:
                channel = move.step.session.channel
                return self._door.come_back(replace(before, channel=channel)) if self.other.flow.resume else None
            return engine.advance(self.other, before, heard.reading)
        except (engine.FlowLoopError, KeyError):
            return None  # only a configuration that this version never reaches


def turn_changes(old: Loaded, new: Loaded, entries: frozenset[str] = frozenset()) -> tuple[list[TurnChange], int]:
    """Every fact, losses first, with how many of the turns show it: those of both versions together, or those of *old*
    when none differs. *entries*: states in which walks of other flows go on. Raises TooManyError."""
    plain = [replace(one, flow=one.flow.model_copy(update={"invariants": []})) for one in (old, new)]
    found: dict[Fact, TurnChange] = {}
    total = 0
    for at in (0, 1) if plain[0].flow != plain[1].flow else ():
        if at and not found:
            break  # the new version reaches nothing else
        changes, turns = _Side(plain[at], plain[1 - at], entries, first=not at).run()
        total += turns
        for one in changes:
            known = found.setdefault(one.fact, one)
            if known is not one:
                known.count += one.count
                known.heard |= one.heard
    return sorted(found.values(), key=lambda one: (not one.fact.less, -one.count, one.fact)), total
