"""Which answers get another outcome in a new version of a flow, counted exactly. Pure.

Every walk of one version stands for a block of complete sets of answers; blocks of the two versions are cut with each
other, so each complete set (every clear value, and unclear, of each question) is counted once. Where the outcome stays,
what else the walk did up to it is compared: tasks, links and other effects, reason, texts, how often it asked.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import chain
from math import prod

from bot import engine
from bot.engine import Session
from bot.flow import model
from bot.flow.guard import UNCLEAR, Answer
from bot.flow.load import Loaded, domain
from bot.proof.explore import Heard
from bot.proof.talk import Talk
from bot.proof.tree import NOTHING, Leaf, Tree
from bot.proof.turns import Fact, facts, less_care
from bot.reading.model import Reading

Block = Mapping[str, frozenset[Answer]]


@dataclass(frozen=True)
class Change:
    """Sets of answers of one channel that went to *old* and now go to *new*; *answers* is one of them. *fact*: what else
    differs where the outcome itself is no loss."""

    channel: str
    old: str
    new: str
    count: int
    answers: Mapping[str, Answer]
    fact: Fact | None = None

    @property
    def lowers(self) -> bool:
        """Less care, or not comparable: then it counts as less."""
        return self.fact.less if self.fact else less_care(self.old, self.new)


def by_answers(old: Loaded, new: Loaded) -> tuple[list[Change], int]:
    """Every change, losses first, and how many complete sets of answers there are, all channels together. Raises
    TooManyAnswersError when a flow is too large."""
    trees = (Tree(old, given=True), Tree(new, given=True))
    count = _Count()
    total = 0
    for channel in sorted({leaf.channel for tree in trees for leaf in tree.leaves}):
        sides = [_blocks(tree, channel) for tree in trees]
        values = {
            name: frozenset((*(domain(old.flow, name) or ()), *(domain(new.flow, name) or ())))
            for side in sides
            for block, _ in side
            for name in block
        }
        total += prod(map(len, values.values()))
        for first, was in sides[0]:
            for second, now in sides[1]:
                if was.seen != now.seen:
                    count.pair(channel, (was, now), values, (first, second))
    return sorted(count.found.values(), key=lambda one: (not one.lowers, bool(one.fact), -one.count)), total


def _blocks(tree: Tree, channel: str) -> list[tuple[Block, _Way]]:
    flow, groups = tree.loaded.flow, tree.collapse.classes.groups
    known = {name: tree.collapse.classes.given(flow, name) for name in _host(tree.loaded)}
    found: list[tuple[Block, _Way]] = []
    for leaf in tree.leaves:
        if (leaf.channel, leaf.language) == (channel, flow.languages[0]):
            block = {
                name: frozenset([value]) if value == UNCLEAR else _group(groups[name], value)
                for name, value in leaf.answers.items()
            }
            for name, values in known.items():  # what is as good as knowing nothing
                if name not in block:
                    told = {one for value in values for one in _group(groups[name], value)}
                    block[name] = frozenset(domain(flow, name) or ()) - told
            found.append((block, _Way(tree.loaded, leaf)))
    return found


def _host(loaded: Loaded) -> set[str]:
    """The answers that nobody asks for: the host knows them, or not."""
    asked = {one.store for one in loaded.flow.states.values() if isinstance(one, model.Question)}
    return set(loaded.flow.context) - asked


def _group(groups: list[list[Answer]], value: Answer) -> frozenset[Answer]:
    return frozenset(next(group for group in groups if value in group))


class _Way:
    """What a walk came to. *whole*: its last turn with the effects of all its turns. *asks*: how often each answer was
    asked for. *seen*: equal for ways that differ in nothing."""

    def __init__(self, loaded: Loaded, leaf: Leaf) -> None:
        self.result = leaf.result
        last = leaf.turns[-1][2]
        every = chain.from_iterable(step.effects for _, _, step in leaf.turns)
        self.whole = replace(last, effects=tuple(one for one in every if one.kind != "silence"))
        asked = [loaded.states.get(before.state) for _, before, _ in leaf.turns]
        self.asks = Counter(one.store for one in asked if isinstance(one, model.Question))
        self.screens = {
            one.store for one in asked if isinstance(one, model.Question) and one.takes.strictness == "red_flag"
        }
        after = last.session
        self.seen = (
            self.result, last.say, self.whole.effects, last.end, after.rule, after.reason, after.state,
            frozenset(self.asks.items()),
        )  # fmt: skip


def _differs(was: _Way, now: _Way) -> Iterator[Fact | None]:
    """None: the outcome. Less care says everything; more care may still lose a task or the link."""
    if was.result != now.result:
        yield None
        if less_care(was.result, now.result):
            return
    for fact in facts(was.whole, now.whole):
        if fact.kind not in ("outcome", "place") and (fact.less or was.result == now.result):
            yield fact
    for name in was.asks.keys() | now.asks.keys() if was.result == now.result else ():
        before, after = was.asks[name], now.asks[name]
        if before != after:
            less = after < before and name in was.screens and now.result not in ("urgent", "emergency")
            words = "no longer asked for" if not after else "asked for less often" if after < before else (
                "asked for more often" if before else "asked for now")  # fmt: skip
            yield Fact("ask", f"{name} is {words}", less)


class _Count:
    """Changes by what they are."""

    def __init__(self) -> None:
        self.found: dict[tuple[str, str, str, Fact | None], Change] = {}

    def pair(self, channel: str, ways: tuple[_Way, _Way], values: Block, blocks: tuple[Block, Block]) -> None:
        """Count the sets of answers that go one way before and the other now."""
        first, second = blocks
        for name, some in first.items():
            if name in second and some.isdisjoint(second[name]):
                return
        shared = {name: every & first.get(name, every) & second.get(name, every) for name, every in values.items()}
        count = prod(map(len, shared.values()))
        for fact in _differs(*ways):
            key = (channel, ways[0].result, ways[1].result, fact)
            before = self.found.get(key)
            example = before.answers if before else {name: _plainest(left) for name, left in shared.items()}
            self.found[key] = Change(*key[:3], count + (before.count if before else 0), example, fact)


def _plainest(values: frozenset[Answer]) -> Answer:
    clear = sorted((value for value in values if value != UNCLEAR), key=str)
    return clear[0] if clear else UNCLEAR


def walk(loaded: Loaded, channel: str, answers: Mapping[str, Answer]) -> list[str]:
    """The conversation of somebody with these *answers*, to its outcome."""
    talk, language = Talk(loaded), loaded.flow.languages[0]
    known = {name: answers[name] for name in _host(loaded) if answers.get(name, UNCLEAR) != UNCLEAR}
    session = Session("s", loaded.flow.id, loaded.hash, language, channel, answers=known)
    heard = Heard("unclear", NOTHING)
    step = engine.begin(loaded, session, NOTHING)
    lines = talk.turn(heard, session, step, begins=True)
    for _ in range(200):
        session = step.session
        state = loaded.states[session.state]
        if session.outcome or session.ended or step.handover or state.type != "question":
            break
        value = answers.get(state.store, language if state.sets_language else UNCLEAR)
        heard = Heard("unclear", NOTHING)
        if value != UNCLEAR:
            heard = Heard("answer", Reading("answer", value))  # type: ignore[arg-type]  # sets are no answers
        step = engine.advance(loaded, session, heard.reading)
        lines += talk.turn(heard, session, step, begins=False)
    return lines
