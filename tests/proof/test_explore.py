"""What the explorer leaves out can never matter: compared with an exploration that leaves out nothing."""

from __future__ import annotations

from typing import Any

import pytest

from bot.engine import Session
from bot.flow.guard import UNCLEAR
from bot.flow.load import Loaded, domain
from bot.proof import shape
from bot.proof.collapse import Collapse, Key
from bot.proof.conditions import Promises
from bot.proof.explore import Explored, Explorer, Move, TooManyError
from bot.proof.talk import Talk
from tests.proof import made


class Whole(Collapse):
    """Every difference between two sessions counts, but for their number and their name."""

    def __init__(self, loaded: Loaded) -> None:
        super().__init__(loaded, trails=True)
        for name in loaded.flow.context:
            values = [value for value in domain(loaded.flow, name) or () if value != UNCLEAR]
            self.classes.groups[name] = [[value] for value in values]

    def key(self, session: Session) -> tuple[tuple[int, int], Key]:
        rest = (session.state, session.channel, session.ended, session.disposition, session.outcome, session.trail,
                session.reason, tuple(sorted(session.answers.items())))  # fmt: skip
        return (session.misses, session.silences), rest


def explore(
    loaded: Loaded, collapse: Collapse, entries: tuple[str, ...] = (), *, thorough: bool = False
) -> tuple[Explored, set[Any], set[str]]:
    """What was explored, every turn as somebody outside sees it, and the invariants that are broken."""
    seen: set[Any] = set()
    promises = Promises(loaded, Talk(loaded))

    def visit(move: Move) -> None:
        before, after = move.before, move.step.session
        done = tuple(one for one in move.step.effects if one.kind != "silence")  # when to ask again, not what
        seen.add((move.heard.name, before.state, before.channel, before.outcome, after.state, after.channel, after.outcome,
                  after.ended, after.disposition, move.step.say, done, move.step.end))  # fmt: skip
        promises.visit(move)

    def crash(*_: object) -> None:
        seen.add("crash")

    found = Explorer(
        loaded, visit=visit, latch=promises.latch, crash=crash, collapse=collapse, thorough=thorough, limit=4_000,
        entries=entries,
    ).run()  # fmt: skip
    return found, seen, {loaded.flow.invariants[at].id for at in promises.broken}


@pytest.mark.parametrize("block", [0, *(pytest.param(more, marks=pytest.mark.soak) for more in (1, 2, 3, 4))])
@pytest.mark.parametrize("entries", [(), ("q2", "m")], ids=["begun", "handed over"])
def test_what_the_explorer_leaves_out_never_matters(block: int, entries: tuple[str, ...]) -> None:
    """Small flows by chance: the same turns and the same broken invariants as when every session is its own."""
    compared = broken = 0
    for seed in range(block * 3, block * 3 + 3):
        loaded = made.loaded(made.small(seed))
        quick, turns, wrong = explore(loaded, Collapse(loaded), entries)
        if quick.history and shape.ring(quick) is None:
            quick, turns, wrong = explore(loaded, Collapse(loaded, trails=True), entries)
        if shape.ring(quick) is not None:
            continue  # refused; without an end there is nothing to compare with
        try:
            _, all_turns, all_wrong = explore(loaded, Whole(loaded), entries, thorough=True)
        except TooManyError:
            continue
        assert wrong == all_wrong, f"seed {seed}"
        assert turns == all_turns, f"seed {seed}"
        compared += 1
        broken += len(wrong)
    assert compared >= 2
    assert broken >= 2
