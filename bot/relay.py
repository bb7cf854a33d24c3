"""What is due goes to RQ. Submits one job per bucket, named by dotted string; its only argument is the bucket's number.

The ledger is the timer and the truth; a job that is lost, doubled or late changes nothing but the time. Any number of
relays may run.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from redis import Redis
from rq import Queue
from rq.serializers import JSONSerializer

from bot.store.signs import note_sweep
from bot.store.store import Store

JOB = "workers.executor.drain"
QUEUE = "due"
DESCRIPTION = "drain due effects"
SAY_SECONDS = 5.0  # how often a relay leaves a sign of life
FIRST_SECONDS = 5.0  # how often a job of one bucket goes before all others
WAITING_LIMIT = 4  # jobs in the queue; more would only find nothing left to do


def queue(client: Redis) -> Queue:
    """The one queue. JSON, never pickle."""
    return Queue(QUEUE, connection=client, serializer=JSONSerializer, default_timeout=120)


class Relay:
    """One sweep looks at every bucket and submits work for those with something due."""

    def __init__(self, store: Store, queue_client: Redis, now: Callable[[], float]) -> None:
        self.store, self.now, self.queue = store, now, queue(queue_client)
        self._said, self._first = float("-inf"), dict[int, float]()

    def sweep(self) -> int:
        """How many jobs were submitted."""
        self._say_so()
        waiting, submitted = self.queue.count, 0
        for bucket, first in self.store.due_in(self.now()).items():
            first = first and self._may_go_first(bucket)
            if waiting + submitted < max(WAITING_LIMIT, self.store.buckets) * (2 if first else 1):
                self._submit(bucket, first)
                submitted += 1
        return submitted

    def _may_go_first(self, bucket: int) -> bool:
        """An alert does not wait behind the jobs of buckets with nothing but a campaign; nor do those wait for ever behind a
        bucket that always has one."""
        now = time.monotonic()
        if now - self._first.get(bucket, float("-inf")) < FIRST_SECONDS:
            return False
        self._first[bucket] = now
        return True

    def _say_so(self) -> None:
        if time.monotonic() - self._said > SAY_SECONDS:
            note_sweep(self.store, time.time())
            self._said = time.monotonic()

    def _submit(self, bucket: int, first: bool) -> Any:
        return self.queue.enqueue(
            JOB,
            bucket,
            at_front=first,
            description=DESCRIPTION,
            ttl=60,
            result_ttl=0,
            failure_ttl=3600,
            job_timeout=120,
        )
