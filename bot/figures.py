"""The counts as the figures that staff ask for: funnel, outcomes, questions, traffic, cost, messages. Pure.

Takes what bot/counts.py counted, week by week; judges nothing, names no patient.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

from bot.flow import model
from bot.flow.load import Loaded
from bot.proof.graph import Edge, edges

LEFT = frozenset({"expired", "opted_out"})  # results of walks that nobody finished
LOST = frozenset({"silent", "stopped"})
OURS = frozenset({"silence", "call", "begun", "follow_up"})  # kinds of step in which the patient said nothing
STARTS = ("@sms", "@voice")
Pair = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Step:
    """*many* steps of walks in one week (its place in Figures.weeks)."""

    week: int
    flow: str
    version: str
    source: str
    kind: str
    target: str
    door: str
    many: int

    @property
    def field(self) -> str:
        """As it is counted (bot/counts.py)."""
        return "|".join(("e", self.flow, self.version, self.source, self.kind, self.target, self.door))


@dataclass(frozen=True, slots=True)
class Asked:
    """One question. *reached*: walks that came to it. *replies*: everything said to it, of which *unclear* could not be
    read. *silent*: walks that ended there without a word, *stopped*: with STOP, *person*: that left it for a person."""

    flow: str
    state: str
    reached: int
    replies: int
    unclear: int
    silent: int
    stopped: int
    person: int

    @property
    def lost(self) -> int:
        """Walks that went no further."""
        return self.silent + self.stopped


@dataclass(frozen=True)
class Figures:
    """*counts*: field -> how many, for each of *weeks* (Mondays, oldest first)."""

    weeks: Sequence[str]
    counts: Sequence[Counter[str]]

    @cached_property
    def steps(self) -> list[Step]:
        """Every kind of step."""
        return [Step(week, *_six(parts), many) for week, parts, many in self._fields("e")]

    def _fields(self, kind: str) -> list[tuple[int, list[str], int]]:
        return self._parsed.get(kind, [])

    @cached_property
    def _parsed(self) -> dict[str, list[tuple[int, list[str], int]]]:
        found: dict[str, list[tuple[int, list[str], int]]] = {}
        for week, fields in enumerate(self.counts):
            for field, many in fields.items():
                kind, *parts = field.split("|")
                found.setdefault(kind, []).append((week, parts, many))
        return found

    @cached_property
    def _results(self) -> dict[tuple[str, int], list[tuple[str, str, int]]]:
        """Flow and week -> (version, result, walks)."""
        found: dict[tuple[str, int], list[tuple[str, str, int]]] = {}
        for week, (flow, version, result), many in self._fields("o"):
            found.setdefault((flow, week), []).append((version, result, many))
        return found

    def funnel(self, flow: str) -> dict[str, int]:
        """``started``, ``finished``, ``linked``, ``link_opened``, ``booked``: walks that began in these weeks."""
        started = sum(one.many for one in self.steps if one.flow == flow and one.source in STARTS)
        results = self.results(flow)
        found = {"started": started, "finished": sum(n for result, n in results.items() if result not in LEFT)}
        stages: Counter[str] = Counter()
        for _, (stage,), many in self._fields("s"):
            stages[stage] += many
        return found | {stage: max(0, stages[stage]) for stage in ("linked", "link_opened", "booked")}

    def results(self, flow: str, *, week: int | None = None, version: str | None = None) -> Counter[str]:
        """Result -> walks, of one week or version or all."""
        found: Counter[str] = Counter()
        for at in range(len(self.weeks)) if week is None else (week,):
            for content, result, many in self._results.get((flow, at), ()):
                if version in (None, content):
                    found[result] += many
        return +found

    def versions(self, flow: str) -> list[str]:
        """Versions that walks of these weeks were on."""
        found = [content for _, (name, content, _), _ in self._fields("o") if name == flow]
        return list(dict.fromkeys(found + [one.version for one in self.steps if one.flow == flow]))

    def questions(self, loaded: Loaded, version: str | None = None) -> list[Asked]:
        """Every question of the flow that was asked, in its order; *version* None: of all versions together."""
        asked: dict[str, Counter[str]] = {}
        ends = ends_of(loaded)
        for one in self.steps:
            if one.flow == loaded.flow.id and version in (None, one.version):
                for state, what in counts_for(one, ends):
                    asked.setdefault(state, Counter())[what] += one.many
        return [
            Asked(loaded.flow.id, name, *(asked[name][key] for key in list(Asked.__slots__)[2:]))
            for name, state in loaded.flow.states.items()
            if isinstance(state, model.Question) and name in asked
        ]

    def cost(self) -> dict[str, Counter[str]]:
        """Day -> what (``reply``, ``text``, ``call``, ``alert``) -> millionths of the currency."""
        found: dict[str, Counter[str]] = {}
        for _, (day, what, price), units in self._fields("$"):
            found.setdefault(day, Counter())[what] += units * int(price)
        return dict(sorted(found.items()))

    def messages(self) -> Counter[tuple[str, int]]:
        """(``delivered`` | ``undelivered`` | ``failed`` | ``refused``, the carrier's code) -> texts."""
        found: Counter[tuple[str, int]] = Counter()
        for _, (state, code), many in self._fields("m"):
            found[state, int(code)] += many
        return found

    def traffic(self, loaded: Loaded, version: str | None = None) -> Counter[Pair]:
        """How many walks went along each arrow of the flow's picture. A step passes states that do not wait; it went the
        one way that the arrows leave."""
        ways = Ways(loaded)
        found: Counter[Pair] = Counter()
        for one in self.steps:
            if version in (None, one.version):
                for pair in ways.of(one):
                    found[pair] += one.many
        return found


def _six(parts: list[str]) -> tuple[str, str, str, str, str, str]:
    flow, version, source, kind, target, door = parts
    return flow, version, source, kind, target, door


def ends_of(loaded: Loaded) -> dict[str, str | None]:
    """State that ends a walk -> its disposition."""
    return {name: state.disposition for name, state in loaded.flow.states.items() if isinstance(state, model.Final)}


def counts_for(one: Step, ends: Mapping[str, str | None]) -> Iterator[tuple[str, str]]:
    """(state, which of Asked) that a step counts for."""
    moved = one.target != one.source
    if moved:
        yield one.target, "reached"
    if one.kind not in OURS:
        yield one.source, "replies"
    if one.kind == "unclear":
        yield one.source, "unclear"
    end = ends.get(one.target) if moved else None
    if end == "opted_out":
        yield one.source, "stopped"
    elif end == "expired" or (end and one.kind == "silence"):
        yield one.source, "silent"
    elif end == "staff":
        yield one.source, "person"


class Ways:
    """The arrows from a state where a walk waited to the next one, through states that do not wait."""

    def __init__(self, loaded: Loaded) -> None:
        self._flow = loaded.flow.id
        self._states, self._known = loaded.flow.states, dict[tuple[str, str, bool, str], list[Pair]]()
        self._next: dict[str, list[Edge]] = {}
        for edge in edges(loaded):
            self._next.setdefault(edge.source, []).append(edge)

    def of(self, one: Step) -> list[Pair]:
        """The shortest way that the kind of reply and the channel leave open; what leads out of every state is no arrow
        and is under ``(*, target)``. Nothing for a step that stays, or is of another flow."""
        if one.flow != self._flow or one.source == one.target:
            return []
        key = (one.source, one.target, one.kind in ("unclear", "silence"), one.door)
        if key not in self._known:
            self._known[key] = self._find(*key) or [("*", one.target)]
        return self._known[key]

    def _find(self, source: str, target: str, unread: bool, door: str) -> list[Pair]:
        queue, seen = deque([[source]]), {source}
        while queue:
            way = queue.popleft()
            for edge in self._next.get(way[-1], ()):
                if (edge.net and not unread) or not self._open(edge, door):
                    continue
                if edge.target == target:
                    return list(pairwise([*way, target]))
                state = self._states[edge.target]
                if edge.target not in seen and not isinstance(state, model.Question | model.Final):
                    seen.add(edge.target)
                    queue.append([*way, edge.target])
        return []

    def _open(self, edge: Edge, door: str) -> bool:
        """Whether a message goes on along this arrow on this channel."""
        state = self._states.get(edge.source)
        if not isinstance(state, model.Message):
            return True
        for arrow in state.transitions:
            taken = True if arrow.guard is None else arrow.guard.decide({"channel": door})
            if arrow.target == edge.target:
                return taken is not False
            if taken:
                return False
        return True
