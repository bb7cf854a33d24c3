"""Everything that is proved of one flow, and the report of it. Pure."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field

from bot.engine import Session
from bot.flow import model
from bot.flow.load import Loaded, Problem
from bot.flow.positions import Path
from bot.proof import evidence, pairs, shape, texts, words
from bot.proof.collapse import Collapse
from bot.proof.conditions import Promises, unknown_names
from bot.proof.explore import LIMIT, Explored, Explorer, Heard, Move, TooManyError
from bot.proof.talk import Talk
from bot.proof.tree import TooManyAnswersError, Tree
from bot.proof.watch import watch


@dataclass(frozen=True)
class Finding:
    """One thing wrong: its place, the shortest conversation that shows it, and the invariant that it breaks."""

    problem: Problem
    talk: tuple[str, ...] = ()
    invariant: str | None = None


@dataclass
class Report:
    """What became of one flow."""

    file: str
    hash: str
    problems: list[Finding] = field(default_factory=list)
    warnings: list[Problem] = field(default_factory=list)
    counts: dict[str, int] = field(default_factory=dict)
    held: dict[str, int] = field(default_factory=dict)
    overlaps: list[str] = field(default_factory=list)

    def to_json(self) -> str:
        """The report for machines."""

        def place(one: Problem) -> dict[str, object]:
            return {"file": one.file, "line": one.line, "column": one.column, "message": one.message}

        body = {
            "file": self.file,
            "hash": self.hash,
            "problems": [{**place(f.problem), "invariant": f.invariant, "talk": list(f.talk)} for f in self.problems],
            "warnings": [place(one) for one in self.warnings],
            "counts": self.counts,
            "invariants": self.held,
            "overlaps": self.overlaps,
        }
        return json.dumps(body, ensure_ascii=False)


class EnoughError(Exception):
    """In a hurry: something is broken already."""


def check(
    loaded: Loaded,
    *,
    flows: Mapping[str, Loaded] | None = None,
    read: words.Read | None = None,
    limit: int = LIMIT,
    hurry: bool = False,
) -> Report:
    """Prove *loaded*. *flows*: the others that it hands over to; *read*: the reading room, for words that collide;
    *hurry*: the first problem is enough."""
    return _Checking(loaded, flows or {}, read, limit, hurry).run()


class _Checking:
    def __init__(
        self, loaded: Loaded, flows: Mapping[str, Loaded], read: words.Read | None, limit: int, hurry: bool
    ) -> None:
        self.loaded, self.flows, self.read, self.limit, self.hurry = loaded, flows, read, limit, hurry
        self.report = Report(loaded.file, loaded.hash)
        self.watch = watch(loaded)
        self.collapse = Collapse(self.loaded)
        self.talk = Talk(loaded)
        self.crashes: dict[str, tuple[int, Session, Heard]] = {}

    def run(self) -> Report:
        bad_names = unknown_names(self.loaded)
        self.report.problems += [Finding(problem) for problem in bad_names]
        if bad_names:
            return self.report
        self._words()
        for look in (evidence.unknown_sources, evidence.uncited, shape.retries, shape.lenient_screens):
            self._say(look(self.loaded))
        if self.hurry and self.report.problems:
            return self.report
        explored = self._explore()
        if explored is None:
            return self.report
        for prove in (self._crashed, self._promised, self._shape, self._texts, self._pairs):
            if not (self.hurry and self.report.problems):
                prove(explored)
        self.report.problems = _unique(self.report.problems)
        return self.report

    def _say(self, found: Iterable[tuple[Path, str]]) -> None:
        self.report.problems += [Finding(self.loaded.problem(path, message)) for path, message in found]

    def _explore(self) -> Explored | None:
        try:
            explored = self._explore_once()
            if explored.history and shape.ring(explored) is None:
                self.collapse = Collapse(self.loaded, trails=True)
                explored = self._explore_once()
        except TooManyError as error:
            self.report.problems.append(Finding(self.loaded.problem((), str(error))))
            return None
        self.report.counts |= {
            "configurations": len(explored.nodes),
            "turns": explored.moves,
            "different turns": self.promises.looked(),
            "different messages": len(self.turns.examples),
        }
        return explored

    def _explore_once(self) -> Explored:
        self.turns, self.promises = texts.Turns(), Promises(self.loaded, self.talk)

        def visit(move: Move) -> None:
            self.turns.visit(move)
            self.promises.visit(move)
            if self.hurry and self.promises.broken:
                raise EnoughError

        explorer = Explorer(
            self.watch.loaded, visit=visit, latch=self.promises.latch, crash=self._crash, collapse=self.collapse,
            limit=self.limit, entries=entries(self.loaded, self.flows),
        )  # fmt: skip
        with suppress(EnoughError):
            explorer.run()
        return explorer.found

    def _crash(self, origin: int, before: Session, heard: Heard, error: Exception) -> None:
        self.crashes.setdefault(f"{type(error).__name__}: {error}", (origin, before, heard))

    def _crashed(self, explored: Explored) -> None:
        for message, (origin, before, heard) in self.crashes.items():
            lines = self.talk.before(explored, origin)
            lines.append(f"  Patient: {self.talk.heard(heard, before)}")
            problem = self.loaded.problem(("states", before.state), f"The engine stops here: {message}")
            self.report.problems.append(Finding(problem, (*lines, "  Bot: (stops)")))

    def _shape(self, explored: Explored) -> None:
        self._say(shape.unreached(self.loaded, explored, self.watch))
        self._say(shape.idle_guards(self.loaded, self.watch))
        self._say(shape.tables(self.loaded, self.collapse, self.watch))
        self._say(shape.twice(self.loaded))
        self._say(self._handovers())
        for path, message, number in shape.endless(self.loaded, explored):
            lines = tuple(self.talk.before(explored, number))
            self.report.problems.append(Finding(self.loaded.problem(path, message), lines))
        self.report.overlaps = shape.overlaps(self.loaded, self.collapse)

    def _handovers(self) -> Iterator[tuple[Path, str]]:
        for name, state in self.loaded.flow.states.items():
            if not isinstance(state, model.Handover):
                continue
            other = self.loaded if state.flow == self.loaded.flow.id else self.flows.get(state.flow)
            if other is None:
                yield ("states", name, "flow"), f"There is no flow {state.flow!r} beside this one."
            elif state.state not in other.flow.states:
                yield ("states", name, "state"), f"The flow {state.flow!r} has no state {state.state!r}."

    def _texts(self, explored: Explored) -> None:
        self._say(texts.missing(self.loaded, self.turns))
        self._say(texts.stale(self.loaded))
        self._say(texts.unused(self.loaded, self.turns))
        for search in (texts.silent, texts.too_long):
            try:
                for path, message, move in search(self.loaded, self.turns, self.talk):
                    lines = tuple(self.talk.conversation(explored, move))
                    self.report.problems.append(Finding(self.loaded.problem(path, message), lines))
            except ValueError:
                break  # a text that cannot be filled was reported by the first search
        self._warn(texts.advice(self.loaded))
        self._warn(words.same_digit(self.loaded, explored))
        self._warn(evidence.none_at_all(self.loaded))

    def _warn(self, found: Iterable[tuple[Path, str]]) -> None:
        self.report.warnings += [self.loaded.problem(path, message) for path, message in found]

    def _words(self) -> None:
        self._say(words.collisions(self.loaded))
        self._say(words.wrong_digits(self.loaded))
        if self.read is not None:
            self._say(words.misread(self.loaded, self.read))

    def _promised(self, explored: Explored) -> None:
        promises = self.promises
        hits = promises.hits()
        for at, one in enumerate(self.loaded.flow.invariants):
            move = promises.broken.get(at)
            if move is not None:
                self._broken(at, "", self.talk.conversation(explored, move))
            kind = one.check
            if move is None and (kind.always or kind.never or kind.when):
                self.report.held[one.id] = hits.get(at, 0)
                if kind.when is not None and not hits.get(at):
                    message = f"{one.id} is about a turn that never comes: {one.says}"
                    self._warn([(("invariants", at), message)])
            every: tuple[tuple[object, Callable[..., Iterator[tuple[Path, str]]]], ...] = (
                (kind.no_claim, texts.claims), (kind.unasked, texts.unasked), (kind.lengths, texts.lengths),
                (kind.strictness, shape.strictness),
            )  # fmt: skip
            for rule, search in every:
                if rule is not None:
                    found = list(search(self.loaded, rule))
                    self._say((path, f"{one.id}: {message}") for path, message in found)
                    if not found:
                        self.report.held[one.id] = len(kind.strictness or self.loaded.flow.texts)

    def _broken(self, at: int, extra: str, lines: list[str]) -> None:
        one = self.loaded.flow.invariants[at]
        message = f"{one.id} is broken: {one.says}" + (f" {extra}" if extra else "")
        problem = self.loaded.problem(("invariants", at), message)
        self.report.problems.append(Finding(problem, tuple(lines), one.id))

    def _pairs(self, explored: Explored) -> None:
        try:
            tree = Tree(self.loaded, self.collapse)
        except TooManyAnswersError as error:
            kinds = [one.check for one in self.loaded.flow.invariants]
            if any(one.monotone or one.parity or one.every_path for one in kinds):
                self._say([((), str(error))])
            return
        except Exception:
            if self.crashes:
                return  # reported by the explorer, with its conversation
            raise
        self.report.counts["sets of answers"] = len(tree.leaves)
        for at, one in enumerate(self.loaded.flow.invariants):
            self._pair(at, one.check, tree)

    def _pair(self, at: int, kind: object, tree: Tree) -> None:
        one = self.loaded.flow.invariants[at]
        found: pairs.Found | None = None
        if one.check.monotone:
            found = pairs.not_monotone(tree, one.check.monotone, self.talk)
        elif one.check.parity:
            found = pairs.not_equal(tree, one.check.parity, self.talk)
        elif one.check.every_path:
            found = pairs.over_limit(tree, one.check.every_path, self.talk)
        elif one.check.early_exit:
            found = self._early()
        else:
            return
        if found is None:
            self.report.held[one.id] = len(tree.leaves)
        else:
            self._broken(at, found[0], found[1])

    def _early(self) -> pairs.Found | None:
        for name, state in self.loaded.flow.states.items():
            if isinstance(state, model.Decision):
                row = pairs.early_exit_changes(self.loaded, self.collapse, state)
                if row is not None:
                    return f"In {name!r}, asking in turn and asking everything differ.", [f"  {row}"]
        return None


def entries(loaded: Loaded, flows: Mapping[str, Loaded]) -> frozenset[str]:
    """The states of *loaded* in which a walk goes on that another of *flows* (or itself) hands over."""
    every = [loaded, *(one for one in flows.values() if one.flow.id != loaded.flow.id)]
    states = [state for one in every for state in one.flow.states.values() if isinstance(state, model.Handover)]
    return frozenset(one.state for one in states if one.flow == loaded.flow.id and one.state in loaded.flow.states)


def _unique(found: list[Finding]) -> list[Finding]:
    kept: dict[Problem, Finding] = {}
    for one in found:
        kept.setdefault(one.problem, one)
    return sorted(kept.values(), key=lambda one: one.problem)
