"""Which answers get another outcome in a new version of a flow, counted exactly. Pure.

Every walk of one version stands for a block of complete sets of answers; blocks of the two versions are cut with each
other, so each complete set (every clear value, and unclear, of each question) is counted once.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import prod

from bot import engine
from bot.engine import Session
from bot.flow.guard import UNCLEAR, Answer
from bot.flow.load import Loaded, domain
from bot.proof.explore import Heard
from bot.proof.graph import anywhere
from bot.proof.talk import Talk
from bot.proof.tree import NOTHING, Leaf, Tree
from bot.reading.model import Reading

CARE = ("pt", "both", "pmr", "urgent", "emergency")  # from less to more
ALARMS = ("emergency", "crisis", "urgent")
Block = Mapping[str, frozenset[Answer]]


@dataclass(frozen=True)
class Change:
    """Sets of answers of one channel that went to *old* and now go to *new*; *answers* is one of them."""

    channel: str
    old: str
    new: str
    count: int
    answers: Mapping[str, Answer]

    @property
    def lowers(self) -> bool:
        """Less care, or not comparable: then it counts as less."""
        return less_care(self.old, self.new)


def less_care(old: str, new: str) -> bool:
    """The outcome *new* is less care than *old*, or not comparable: then it counts as less."""
    if new in CARE and old in CARE:
        return CARE.index(new) < CARE.index(old)
    return new not in ("urgent", "emergency")


@dataclass(frozen=True)
class Difference:
    """All of it. *total*: complete sets of answers, all channels together. *alarms*: events that lead elsewhere now."""

    changes: list[Change]
    total: int
    texts: list[str]
    alarms: list[str]

    @property
    def changed(self) -> int:
        """Sets of answers with another outcome."""
        return sum(one.count for one in self.changes)

    @property
    def lowered(self) -> int:
        """Sets of answers with less care."""
        return sum(one.count for one in self.changes if one.lowers)

    @property
    def leaving_emergency(self) -> int:
        """Sets of answers that were an emergency and are none now."""
        return sum(one.count for one in self.changes if one.old == "emergency")

    @property
    def needs_acceptance(self) -> bool:
        """Some care is lowered, or an alarm leads elsewhere."""
        return bool(self.lowered or self.alarms)


def compare(old: Loaded, new: Loaded) -> Difference:
    """What is different. Raises TooManyAnswersError when a flow is too large."""
    trees = (Tree(old), Tree(new))
    found: dict[tuple[str, str, str], Change] = {}
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
                if was.result != now.result:
                    _count(found, channel, was.result, now.result, values, (first, second))
    changes = sorted(found.values(), key=lambda one: (not one.lowers, -one.count))
    return Difference(changes, total, _texts(old, new), _alarms(old, new))


def _blocks(tree: Tree, channel: str) -> list[tuple[Block, Leaf]]:
    language = tree.loaded.flow.languages[0]
    groups = tree.collapse.classes.groups
    found: list[tuple[Block, Leaf]] = []
    for leaf in tree.leaves:
        if (leaf.channel, leaf.language) == (channel, language):
            block = {
                name: frozenset([value]) if value == UNCLEAR else _group(groups[name], value)
                for name, value in leaf.answers.items()
            }
            found.append((block, leaf))
    return found


def _group(groups: list[list[Answer]], value: Answer) -> frozenset[Answer]:
    return frozenset(next(group for group in groups if value in group))


def _count(
    found: dict[tuple[str, str, str], Change],
    channel: str,
    was: str,
    now: str,
    values: Block,
    blocks: tuple[Block, Block],
) -> None:
    shared = {name: every & blocks[0].get(name, every) & blocks[1].get(name, every) for name, every in values.items()}
    count = prod(map(len, shared.values()))
    if count:
        key = (channel, was, now)
        before = found.get(key)
        example = before.answers if before else {name: _plainest(left) for name, left in shared.items()}
        found[key] = Change(channel, was, now, count + (before.count if before else 0), example)


def _plainest(values: frozenset[Answer]) -> Answer:
    clear = sorted((value for value in values if value != UNCLEAR), key=str)
    return clear[0] if clear else UNCLEAR


def walk(loaded: Loaded, channel: str, answers: Mapping[str, Answer]) -> list[str]:
    """The conversation of somebody with these *answers*, to its outcome."""
    talk, language = Talk(loaded), loaded.flow.languages[0]
    session = Session("s", loaded.flow.id, loaded.hash, language, channel)
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


def _texts(old: Loaded, new: Loaded) -> list[str]:
    before, after = _wordings(old), _wordings(new)
    lines = [f"added: {name}" for name in after if name not in before]
    lines += [f"removed: {name}" for name in before if name not in after]
    return lines + [
        f"changed: {name}\n    was: {before[name]!r}\n    now: {after[name]!r}"
        for name in after
        if name in before and before[name] != after[name]
    ]


def _wordings(loaded: Loaded) -> dict[str, str]:
    return {
        f"{key} ({language}, {channel})": str(getattr(one, channel))
        for key, wordings in loaded.flow.texts.items()
        for language, one in wordings.items()
        for channel in ("text", "sms", "voice")
        if getattr(one, channel)
    }


def _alarms(old: Loaded, new: Loaded) -> list[str]:
    sides = [{pair for pair in anywhere(one) if pair[0] in ALARMS} for one in (old, new)]
    return [
        f"In every state, {heard!r} no longer leads to {target!r}." for heard, target in sorted(sides[0] - sides[1])
    ]
