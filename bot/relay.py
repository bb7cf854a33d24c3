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
WAITING_LIMIT = 4  # jobs in the queue; more would only find nothing left to do


def queue(client: Redis) -> Queue:
    """The one queue. JSON, never pickle."""
    return Queue(QUEUE, connection=client, serializer=JSONSerializer, default_timeout=120)


class Relay:
    """One sweep looks at every bucket and submits work for those with something due."""

    def __init__(self, store: Store, queue_client: Redis, now: Callable[[], float]) -> None:
        self.store, self.now, self.queue = store, now, queue(queue_client)
        self._said = float("-inf")

    def sweep(self) -> int:
        """How many jobs were submitted."""
        self._say_so()
        waiting = self.queue.count
        submitted = 0
        for bucket in self.store.due_buckets(self.now()):
            if waiting + submitted >= max(WAITING_LIMIT, self.store.buckets):
                break
            self._submit(bucket)
            submitted += 1
        return submitted

    def _say_so(self) -> None:
        if time.monotonic() - self._said > SAY_SECONDS:
            note_sweep(self.store, time.time())
            self._said = time.monotonic()

    def _submit(self, bucket: int) -> Any:
        return self.queue.enqueue(
            JOB, bucket, description=DESCRIPTION, ttl=60, result_ttl=0, failure_ttl=3600, job_timeout=120
        )
