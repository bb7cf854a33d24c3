"""How many mechanical mutants of the flows the check catches. The whole run is slow: ``-m soak``."""

from __future__ import annotations

import random
from collections import Counter

import pytest

from bot.catalog import load_flows
from tests.proof.mutants import judge, mutants, sampled, score

# Mutants that change a turn, that nothing catches, and why each is harmless all the same.
EXCUSED: dict[str, str] = {}


def test_there_are_several_hundred_mutants_of_each_kind() -> None:
    """Every one differs from every other."""
    every = mutants()
    kinds = Counter(what.split(":")[0] for what, _ in every)
    assert len({what for what, _ in every}) > 400
    assert set(kinds) == {"retarget", "guard", "order", "number", "text", "effect", "state"}


@pytest.mark.timeout(180)
def test_nearly_every_mutant_of_a_sample_is_caught() -> None:
    """The seed is fixed; of five, at most one that changes behaviour may live."""
    counts = Counter(judge(one)[1] for one in random.Random(5).sample(range(len(mutants())), 5))
    assert counts["survived"] <= 1, counts
    assert counts["refused"] + counts["caught"] >= 4, counts


@pytest.mark.soak
@pytest.mark.timeout(5400)
def test_of_all_mutants_of_triage_at_least_99_of_a_hundred_are_caught() -> None:
    """The figure of the README; survivors are printed, and each is excused with its reason or is a gap."""
    found = score(sampled("triage", 10_000))
    print(found)
    assert found.caught >= 0.99 * found.changed, found
    assert found.alive == [] or set(found.alive) <= EXCUSED.keys(), found.alive


@pytest.mark.soak
@pytest.mark.timeout(5400)
@pytest.mark.parametrize("flow", sorted(load_flows().keys() - {"triage"}))
def test_of_a_sample_of_the_mutants_of_each_follow_up_19_of_20_are_caught(flow: str) -> None:
    """Thirty of each, the seed is fixed; what lives is printed."""
    found = score(sampled(flow, 30, seed=3))
    print(flow, found)
    assert found.caught >= 0.95 * found.changed, found.alive
