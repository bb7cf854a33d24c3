"""A coverage-guided fuzzer in a hundred lines: an input that takes a way through the code that none took before is kept, and
varied on. Not a test.

Why not atheris: it is alive (3.0.0 has CPython 3.11 wheels), but for Linux on x86-64 alone, and this product is developed and
run on arm64 too. Hypothesis does not look at coverage. What the rooms under test need is small: they are pure Python.
"""

from __future__ import annotations

import random
import sys
import time
from collections.abc import Callable, Hashable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Any

ROOT = Path(__file__).parents[2]
LONGEST = 4000  # bytes of an input


def ways(rooms: tuple[str, ...], act: Callable[[], set[Hashable]]) -> set[Hashable]:
    """Each step from line to line within *rooms* (paths below the root) while *act* runs, and the labels that it gives."""
    here, found = tuple(str(ROOT / room) for room in rooms), set[Hashable]()

    def enter(frame: FrameType, _: str, __: Any) -> Any:
        code, before = frame.f_code, 0
        if not code.co_filename.startswith(here):
            return None
        mark = id(code)

        def step(frame: FrameType, _: str, __: Any) -> Any:
            nonlocal before
            found.add((mark, before, frame.f_lineno))
            before = frame.f_lineno
            return step

        return step

    others = sys.gettrace()
    sys.settrace(enter)
    try:
        found |= act()
    finally:
        sys.settrace(others)
    return found


@dataclass
class Explorer:
    """*target* is given bytes, raises when a law is broken, and gives labels of what came out. *words* are pieces that
    inputs are made of. ``found`` are the inputs that led somewhere new, in order."""

    target: Callable[[bytes], set[Hashable]]
    rooms: tuple[str, ...]
    words: tuple[bytes, ...]
    seed: int = 0
    known: set[Hashable] = field(default_factory=set)
    found: list[bytes] = field(default_factory=list)
    runs: int = 0

    def begin(self, seeds: Iterable[bytes]) -> None:
        """Run the *seeds*, and keep those that lead somewhere new."""
        self._dice = random.Random(self.seed)
        for data in seeds:
            self.try_out(data)

    def try_out(self, data: bytes) -> bool:
        """Whether *data* led somewhere new. A broken law is raised again with the input in it."""
        self.runs += 1
        try:
            met = ways(self.rooms, lambda: self.target(data))
        except Exception as error:
            raise AssertionError(
                f"seed {self.seed}, run {self.runs}: {type(error).__name__}: {error} on {data!r}"
            ) from error
        new = not met <= self.known
        if new:
            self.known |= met
            self.found.append(data)
        return new

    def go_on(self, *, seconds: float = 0.0, runs: int = 0) -> int:
        """Vary what was found, for so long or so often; how many more were kept."""
        before, end, last = len(self.found), time.monotonic() + seconds, self.runs + runs
        while self.runs < last or time.monotonic() < end:
            self.try_out(self.varied())
        return len(self.found) - before

    def varied(self) -> bytes:
        """One of those found, more often a late one, changed in one to four places."""
        dice = self._dice
        data = bytearray(self.found[max(dice.randrange(len(self.found)), dice.randrange(len(self.found)))])
        for _ in range(dice.randint(1, 4)):
            at = dice.randint(0, len(data))
            end = dice.randint(at, min(len(data), at + 12))
            way = dice.randrange(7)
            if way == 0 and data:
                data[at % len(data)] ^= 1 << dice.randrange(8)
            elif way == 1:
                data[at:at] = bytes([dice.randrange(256)])
            elif way == 2:
                del data[at:end]
            elif way == 3:
                data[at:at] = data[at:end] * dice.choice((1, 2, 40))
            elif way == 4:
                other = dice.choice(self.found)
                data[at:] = other[dice.randint(0, len(other)) :]
            else:
                data[at:end] = dice.choice(self.words)
        return bytes(data[:LONGEST])
