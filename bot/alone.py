"""One turn of a patient at a time in this process, so that two of its threads do not decide the same turn twice.

Only saves work: what makes a turn safe is the store's compare-and-set, which also counts between processes. A thread
that waits too long goes on without its place.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

PLACES = 256  # two patients who share one wait for each other for a millisecond


class Alone:
    """A fixed number of places; a patient always has the same. A thread that has its place does not wait for itself."""

    def __init__(self) -> None:
        self._places = [threading.RLock() for _ in range(PLACES)]

    @contextmanager
    def of(self, patient: str, seconds: float) -> Iterator[None]:
        """Waits at most *seconds*."""
        place = self._places[hash(patient) % PLACES]
        mine = place.acquire(timeout=seconds)
        try:
            yield
        finally:
            if mine:
                place.release()
