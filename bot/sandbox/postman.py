"""Runs the local Twilio's later work (delivery steps, callbacks, rings) on background threads.

Knows when, never what: nothing of Twilio is in here.
"""

from __future__ import annotations

import heapq
import itertools
import logging
import threading
import time
from collections.abc import Callable

_log = logging.getLogger(__name__)
Job = Callable[[], None]


class Postman:
    """A timed queue with two threads, started with the first job and ended by :meth:`close`."""

    def __init__(self) -> None:
        self._due: list[tuple[float, int, Job]] = []
        self._count = itertools.count()
        self._running = 0
        self._closed = False
        self._changed = threading.Condition()
        self._threads: list[threading.Thread] = []

    def after(self, seconds: float, job: Job) -> None:
        """Runs *job* in *seconds* of real time. Jobs due at the same moment start in the order they were given."""
        with self._changed:
            if self._closed:
                return
            heapq.heappush(self._due, (time.monotonic() + seconds, next(self._count), job))
            if not self._threads:
                self._threads = [threading.Thread(target=self._work, daemon=True) for _ in range(2)]
                for thread in self._threads:
                    thread.start()
            self._changed.notify_all()

    def settle(self, seconds: float = 10.0) -> None:
        """Waits until nothing is due or running. Raises TimeoutError when that takes longer than *seconds*."""
        with self._changed:
            if not self._changed.wait_for(lambda: not self._due and not self._running, seconds):
                raise TimeoutError(f"{len(self._due)} deliveries of the local Twilio are still under way.")

    def close(self) -> None:
        """Forgets what is due and waits for what is running."""
        with self._changed:
            self._closed = True
            self._due.clear()
            self._changed.notify_all()
        for thread in self._threads:
            if thread is not threading.current_thread():
                thread.join(20)

    def _work(self) -> None:
        while (job := self._next()) is not None:
            try:
                job()
            except Exception as wrong:
                # The kind of error only: its text could hold a number or a patient's words.
                _log.error("a delivery of the local Twilio failed: %s", type(wrong).__name__)
            with self._changed:
                self._running -= 1
                self._changed.notify_all()

    def _next(self) -> Job | None:
        with self._changed:
            while not self._closed:
                now = time.monotonic()
                if self._due and self._due[0][0] <= now:
                    self._running += 1
                    return heapq.heappop(self._due)[2]
                self._changed.wait(self._due[0][0] - now if self._due else None)
            return None
