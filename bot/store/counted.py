"""The counts behind the dashboard, by week: one hash of each bucket, in clear, because nothing of a patient is in it.

Written by the commit's script (scripts.py) and by the few things that are counted outside a turn.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

from bot.store.model import CLINIC
from bot.store.store import Store

FAILED_SECONDS = 400 * 86_400  # as long as the log that tells of it (KEEP_LOG_DAYS)


class Counted:
    """The counts of one ledger."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self._redis: Any = store.client

    def add(self, count: tuple[str, str, int]) -> None:
        """One count that belongs to no turn."""
        week, field, many = count
        self._redis.hincrby(f"{self.store.tag(self.store.bucket(CLINIC))}n:{week}", field, many)

    def failed(self, patient: str, code: int, at: float) -> None:
        """A text to *patient* failed with the carrier's *code*: for the list behind the count, 400 days long."""
        key = f"{self.store.tag(self.store.bucket(patient))}failed:{code}"
        self._redis.zadd(key, {patient: at})
        self._redis.zremrangebyscore(key, "-inf", at - FAILED_SECONDS)

    def weeks(self, weeks: Sequence[str]) -> list[Counter[str]]:
        """Field -> how many, for each of *weeks*, all buckets together. One round trip to each server."""
        pipe = self._redis.pipeline(transaction=False)
        for week in weeks:
            for bucket in range(self.store.buckets):
                pipe.hgetall(f"{self.store.tag(bucket)}n:{week}")
        answers = iter(pipe.execute() if weeks else ())
        found = []
        for _ in weeks:
            whole: Counter[str] = Counter()
            for _ in range(self.store.buckets):
                for field, many in next(answers).items():
                    whole[field.decode()] += int(many)
            found.append(whole)
        return found

    def of_bucket(self, bucket: int, week: str) -> Counter[str]:
        """The same of one bucket and week."""
        found = self._redis.hgetall(f"{self.store.tag(bucket)}n:{week}")
        return Counter({field.decode(): int(many) for field, many in found.items()})

    def raise_to(self, bucket: int, week: str, missing: Iterable[tuple[str, int]]) -> None:
        """Add what is *missing* of one bucket and week, all or nothing."""
        pipe = self._redis.pipeline(transaction=True)
        for field, many in missing:
            pipe.hincrby(f"{self.store.tag(bucket)}n:{week}", field, many)
        pipe.execute()

    def heard(self) -> dict[str, float]:
        """When what kind of webhook last came: ``sms``, ``voice``, ``text report``, ``call report`` -> epoch seconds."""
        found: dict[str, float] = {}
        for one in self.store.each(lambda pipe, tag: pipe.hgetall(f"{tag}heard")):
            for name, at in one.items():
                found[name.decode()] = max(found.get(name.decode(), 0.0), float(at))
        return found
