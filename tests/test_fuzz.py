"""No bytes break the doors: coverage-guided (tests/fuzzing), for minutes in the soak run, and what it kept on every run."""

from __future__ import annotations

import os
from collections.abc import Hashable

import pytest

from tests.fuzzing.explore import Explorer
from tests.fuzzing.targets import keep, kept, targets

SECONDS, SEED = float(os.environ.get("FUZZ_SECONDS", "60")), int(os.environ.get("FUZZ_SEED", "0"))
NAMES = ("parameters", "webhooks", "reading", "twiml")


def guarded(data: bytes) -> set[Hashable]:
    """Breaks behind four letters, each of which is only looked at when the one before was right."""
    if data[:1] == b"S":
        if data[1:2] == b"T":
            if data[2:3] == b"O":
                if data[3:4] == b"P":
                    raise ValueError("it was found")
                return set()
            return set()
        return set()
    return set()


def test_the_fuzzer_finds_what_lies_behind_four_letters() -> None:
    """Of 26; blind search needs about a million tries."""
    alphabet = tuple(bytes([letter]) for letter in range(65, 91))
    explorer = Explorer(guarded, ("tests/test_fuzz.py",), alphabet)
    explorer.begin([b"hello"])
    with pytest.raises(AssertionError, match=r"it was found on b'STOP"):
        explorer.go_on(runs=40_000)


@pytest.mark.parametrize("name", NAMES)
def test_what_the_fuzzer_kept_breaks_no_law(name: str) -> None:
    """Each is an input that took a way of its own through the code when it was found."""
    inputs = [*targets()[name].seeds, *kept(name)]
    assert kept(name)
    for data in inputs:
        targets()[name].law(data)


@pytest.mark.soak
@pytest.mark.timeout(0)
@pytest.mark.parametrize("name", NAMES)
def test_no_bytes_break_a_law(name: str) -> None:
    """FUZZ_SECONDS for each target (60), by FUZZ_SEED; with FUZZ_KEEP what led somewhere new is kept for every later run."""
    target = targets()[name]
    explorer = Explorer(target.law, target.rooms, target.words, SEED)
    explorer.begin([*target.seeds, *kept(name)])
    before = len(explorer.found)
    new = explorer.go_on(seconds=SECONDS)
    print(f"{name}: seed {SEED}, {explorer.runs} runs, {before} inputs known, {new} new, {len(explorer.known)} ways")
    if os.environ.get("FUZZ_KEEP"):
        keep(name, [data for data in explorer.found if data not in target.seeds])
