"""Where the boxes of a graph stand: rows from the top, few crossings. Pure; knows nothing of flows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

BOX, GAP, LANE = 128.0, 22.0, 26.0  # width of a box, between boxes, of an arrow that passes a row
SWEEPS = 24
Pair = tuple[str, str]


@dataclass(frozen=True)
class Placed:
    """*x* of every box's middle and its *row*; *bends*: for an arrow that passes rows, (x, row) of each."""

    x: Mapping[str, float]
    row: Mapping[str, int]
    bends: Mapping[Pair, list[tuple[float, int]]]
    back: frozenset[Pair]
    width: float


def place(names: Sequence[str], pairs: Sequence[Pair]) -> Placed:
    """Longest way from the top gives the row; the mean of the neighbours, again and again, the order and the x."""
    back = _back(names, pairs)
    down = [(b, a) if (a, b) in back else (a, b) for a, b in pairs if a != b]
    row = _rows(names, down)
    chains: dict[Pair, list[str]] = {}
    rows: list[list[str]] = [[] for _ in range(max(row.values(), default=0) + 1)]
    for name in names:
        rows[row[name]].append(name)
    near: dict[str, list[tuple[str, int]]] = {}
    for first, last in down:
        lanes = [f"{first}>{last}>{at}" for at in range(row[first] + 1, row[last])]
        for at, lane in enumerate(lanes, row[first] + 1):
            rows[at].append(lane)
        whole = [first, *lanes, last]
        chains[(first, last)] = lanes
        for one, two in pairwise(whole):
            near.setdefault(one, []).append((two, 1))
            near.setdefault(two, []).append((one, -1))
    x = _across(rows, near)
    bends = {}
    for first, last in pairs:
        there = chains.get((first, last))
        lanes = there if there is not None else list(reversed(chains.get((last, first), [])))
        rows_of = range(row[first] + 1, row[last]) if row[first] < row[last] else range(row[first] - 1, row[last], -1)
        bends[(first, last)] = [(x[lane], at) for lane, at in zip(lanes, rows_of, strict=False)]
    return Placed({name: x[name] for name in names}, row, bends, back, max(x.values(), default=0.0))


def _back(names: Sequence[str], pairs: Sequence[Pair]) -> frozenset[Pair]:
    out: dict[str, list[str]] = {}
    for first, last in pairs:
        out.setdefault(first, []).append(last)
    found, done, open_ = set(), set(), set()
    for start in names:
        if start in done:
            continue
        stack = [(start, iter(out.get(start, ())))]
        open_.add(start)
        while stack:
            name, rest = stack[-1]
            after = next(rest, None)
            if after is None:
                stack.pop()
                open_.discard(name)
                done.add(name)
            elif after in open_:
                found.add((name, after))
            elif after not in done:
                open_.add(after)
                stack.append((after, iter(out.get(after, ()))))
    return frozenset(found)


def _rows(names: Sequence[str], down: Sequence[Pair]) -> dict[str, int]:
    row = dict.fromkeys(names, 0)
    for _ in names:
        moved = False
        for first, last in down:
            if row[last] <= row[first]:
                row[last], moved = row[first] + 1, True
        if not moved:
            break
    return row


def _across(rows: list[list[str]], near: Mapping[str, list[tuple[str, int]]]) -> dict[str, float]:
    x = {name: at * (BOX + GAP) for line in rows for at, name in enumerate(line)}
    for sweep in range(SWEEPS):
        side = -1 if sweep % 2 == 0 else 1
        for line in rows if side < 0 else reversed(rows):
            want = {}
            for name in line:
                found = [x[other] for other, way in near.get(name, ()) if way == side or sweep >= SWEEPS - 6]
                want[name] = sum(found) / len(found) if found else x[name]
            line.sort(key=lambda name: want[name])
            _apart(line, want, x)
    low = min(x.values(), default=0.0)
    return {name: at - low for name, at in x.items()}


def _apart(line: list[str], want: Mapping[str, float], x: dict[str, float]) -> None:
    left: list[float] = []
    for at, name in enumerate(line):
        least = left[-1] + _between(line[at - 1], name) if at else want[name]
        left.append(max(want[name], least))
    right: list[float] = [0.0] * len(line)
    for at in range(len(line) - 1, -1, -1):
        most = right[at + 1] - _between(line[at], line[at + 1]) if at + 1 < len(line) else want[line[at]]
        right[at] = min(want[line[at]], most)
    for name, one, two in zip(line, left, right, strict=True):
        x[name] = (one + two) / 2


def _between(one: str, two: str) -> float:
    wide = [LANE if ">" in name else BOX + GAP for name in (one, two)]
    return sum(wide) / 2
