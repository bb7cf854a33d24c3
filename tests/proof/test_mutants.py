"""How many mechanical mutants of flows/triage.json the check catches. The whole run is slow: ``-m faults``."""

from __future__ import annotations

import random
from collections import Counter

import pytest

from tests.proof.mutants import judge, main, mutants


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
def test_at_least_95_of_a_hundred_mutants_are_caught() -> None:
    """All of them, on every core; survivors are printed."""
    assert main() == 0
