"""The short crash test: every kind of harm at least once. The long one is tests/faults/test_crash.py (``make faults``)."""

from __future__ import annotations

import pytest

from tests.faults.stage import Run, crash


@pytest.mark.timeout(240)
def test_nothing_is_lost_and_nothing_is_done_twice_whatever_dies() -> None:
    """0 lost turns, 0 lost effects, 0 double turns, 0 undetected double sends."""
    run = Run(
        seed=3, patients=30, workers=1, settle=1.5, longest=0.3, turns_per_harm=15, texts_per_kill=12, rounds=1
    )  # fmt: skip
    assert not crash(run).wrong
