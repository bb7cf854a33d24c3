"""The counts behind the dashboard, by week: one hash of each bucket, in clear, because nothing of a patient is in it.

Written by the commit's script (scripts.py), where the patient's log tells the same again. What is counted outside a turn
(what became of a text, what the carrier took) no log tells, so it stands in the journal: one entry for each, 400 days long,
under its count. An entry is counted with it in one step and once, and can be counted again (``python -m bot counts``).

  {bN}n:<week>           field -> how many
  {bN}j:<week>:<field>   ``patient|what it was|how many`` by time; erased with the patient
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from bot.store.model import CLINIC
from bot.store.store import Store

JOURNAL_SECONDS = 400 * 86_400  # as long as a log usually is (KEEP_LOG_DAYS)

ADD = """
if redis.call('ZADD', KEYS[2], 'NX', ARGV[1], ARGV[2]) == 0 then return 0 end
redis.call('EXPIRE', KEYS[2], ARGV[3])
redis.call('HINCRBY', KEYS[1], ARGV[4], ARGV[5])
return 1
"""


class Counted:
    """The counts of one ledger."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self._redis: Any = store.client

    def add(self, count: tuple[str, str, int], patient: str, of: str, at: float) -> bool:
        """One count that belongs to no turn, once for what it is *of* (an effect, a SID); whether it was the first time.
        *patient* "": of nobody's."""
        return bool(self.store.run(ADD, **self.added(count, patient, of, at)))

    def added(self, count: tuple[str, str, int], patient: str, of: str, at: float) -> dict[str, list[Any]]:
        """The keys and args of ADD."""
        (week, field, many), tag = count, self.store.tag(self.store.bucket(CLINIC))
        args = [at, entry_of(patient, of, many), JOURNAL_SECONDS, field, many]
        return {"keys": [f"{tag}n:{week}", f"{tag}j:{week}:{field}"], "args": args}

    def journals(self) -> set[tuple[int, str]]:
        """(bucket, week) of every journal."""
        return {(bucket, week) for bucket, week, _ in self._journals()}

    def _journals(self) -> Iterator[tuple[int, str, str]]:
        for key in self._redis.scan_iter(match="{b*}j:*", count=1000):
            tag, _, rest = key.decode().partition("j:")
            week, _, field = rest.partition(":")
            yield int(tag.strip("{b}")), week, field

    def journal(self, bucket: int, week: str) -> Counter[str]:
        """What one bucket's journal of a week adds up to."""
        start, found = f"{self.store.tag(bucket)}j:{week}:", Counter[str]()
        for key in self._redis.scan_iter(match=f"{start}*", count=1000):
            for raw in self._redis.zrange(key, 0, -1):
                found[key.decode().removeprefix(start)] += int(raw.rpartition(b"|")[2])
        return found

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

    def take_back(self, patient: str) -> None:
        """The journal's entries of *patient* go, and what they counted."""
        for bucket, week, field in self._journals():
            tag = self.store.tag(bucket)
            for raw in self._redis.zrange(f"{tag}j:{week}:{field}", 0, -1):
                if raw.startswith(f"{patient}|".encode()) and self._redis.zrem(f"{tag}j:{week}:{field}", raw):
                    self._redis.hincrby(f"{tag}n:{week}", field, -int(raw.rpartition(b"|")[2]))

    def as_paid(self, bucket: int, week: str, field: str) -> str:
        """*field*, but a cost at the price that it was counted at."""
        start = field.rpartition("|")[0] + "|"
        same = [one for one in self.of_bucket(bucket, week) if one.startswith(start)] if field.startswith("$|") else []
        return same[0] if same and field not in same else field

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


def entry_of(patient: str, of: str, many: int) -> str:
    """One entry of the journal."""
    return f"{patient}|{of}|{many}"
