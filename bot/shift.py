"""Whether the mix of results changed after a new version of a flow, beyond chance and beyond the trivial. Pure.

A G-test of the two versions' results (results too rare to test are put together), and an effect that somebody would
care about: a share that moved by five points, or by half of itself. It says that the mix is another, never why: other
patients may have come. The level is strict because it is looked at again every day (tests/test_shift.py measures it).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from math import erfc, exp, log, pi, sqrt
from typing import Any

LEAST = 50  # walks that each version must have finished
EXPECTED = 5.0  # of a result in either version; fewer are put together
LEVEL = 0.001
LATE = frozenset({"expired"})  # results that come long after the walk's last word
POINTS, RATIO, ENOUGH = 0.05, 1.5, 10.0


Pair = tuple[Counter[str], Counter[str]]


@dataclass(frozen=True, slots=True)
class Shift:
    """*result* moved most: from *before* to *after*, shares 0 to 1. *chance* that this or more comes of no change. *answered*:
    the shares are of those who did not fall silent."""

    flow: str
    old: str
    new: str
    result: str
    before: float
    after: float
    chance: float
    walks: tuple[int, int]
    answered: bool = False


def shift_of(flow: str, old: str, new: str, every: Pair, settled: Pair) -> Shift | None:
    """The change between two versions. *every*: results of all walks until now; *settled*: of walks that began so long ago
    that silence has ended whatever it will end.

    Silence ends a walk a day or a week after the others have ended, so a version that is a few days old has too little of
    it: among all walks it would be called a change whenever nothing changed. It is compared only where it is settled."""
    before, after = (Counter({name: n for name, n in one.items() if name not in LATE}) for one in every)
    found = shift(flow, old, new, before, after)
    return replace(found, answered=True) if found else shift(flow, old, new, *settled)


def pairs_of(log: Sequence[Mapping[str, Any]], flow: str) -> tuple[str, str] | None:
    """The last version of *flow* that was live and the one before it, from the log of publishing; None: there is one."""
    found = [entry["flows"][flow] for entry in log if flow in entry["flows"]]
    changes = [pair for pair in pairwise(found) if pair[0] != pair[1]]
    return changes[-1] if changes else None


def shift(flow: str, old: str, new: str, before: Counter[str], after: Counter[str]) -> Shift | None:
    """The change, or None when there are too few walks, it may be chance, or it is too small to care."""
    walks = (before.total(), after.total())
    if min(walks) < LEAST:
        return None
    cells = _cells(before, after, walks)
    if len(cells) < 2:
        return None
    total, score = sum(walks), 0.0
    for both in cells.values():
        for seen, side in zip(both, walks, strict=True):
            score += 2 * seen * log(seen * total / (side * sum(both))) if seen else 0.0
    chance = survival(score, len(cells) - 1)
    moved = [name for name in cells if _matters(cells[name], walks)]
    if chance >= LEVEL or not moved:
        return None
    most = max(moved, key=lambda name: _score(cells[name], walks))
    shares = [seen / side for seen, side in zip(cells[most], walks, strict=True)]
    return Shift(flow, old, new, most, shares[0], shares[1], chance, walks)


def _cells(before: Counter[str], after: Counter[str], walks: tuple[int, int]) -> dict[str, tuple[int, int]]:
    """Result -> walks of both versions; what is too rare together under ``other``."""
    found, rest = {}, [0, 0]
    for result in sorted({*before, *after}):
        both = before[result], after[result]
        if min(walks) * sum(both) / sum(walks) >= EXPECTED:
            found[result] = both
        else:
            rest = [rest[0] + both[0], rest[1] + both[1]]
    if sum(rest) and (min(walks) * sum(rest) / sum(walks) >= EXPECTED or not found):
        found["other"] = rest[0], rest[1]
    elif sum(rest):
        least = min(found, key=lambda name: sum(found[name]))
        found[least] = found[least][0] + rest[0], found[least][1] + rest[1]
    return found


def _matters(both: tuple[int, int], walks: tuple[int, int]) -> bool:
    one, two = (seen / side for seen, side in zip(both, walks, strict=True))
    expected = min(walks) * sum(both) / sum(walks)
    ratio = max(one, two) / min(one, two) if min(one, two) else RATIO
    return abs(one - two) >= POINTS or (ratio >= RATIO and expected >= ENOUGH)


def _score(both: tuple[int, int], walks: tuple[int, int]) -> float:
    """How surprising the change of this one result is: its difference in standard errors."""
    pooled = sum(both) / sum(walks)
    error = sqrt(pooled * (1 - pooled) * (1 / walks[0] + 1 / walks[1]))
    return abs(both[0] / walks[0] - both[1] / walks[1]) / error if error else 0.0


def survival(score: float, degrees: int) -> float:
    """P(chi-square with *degrees* of freedom >= *score*), by its recurrence in steps of two degrees."""
    if score <= 0:
        return 1.0
    half = score / 2
    if degrees % 2:
        found, term, at = erfc(sqrt(half)), exp(-half) * sqrt(half) * 2 / sqrt(pi), 1.5
    else:
        found, term, at = exp(-half), exp(-half) * half, 2.0
    for _ in range((degrees - 1) // 2):
        found += term
        term *= half / at
        at += 1
    return min(1.0, found)
