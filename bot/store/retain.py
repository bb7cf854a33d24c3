"""What has become too old leaves the store, a few patients at a time. How old is too old is for bot/retention.py.

Walks the index of last turns, never all keys. Each change is one script that does nothing when a turn came in between,
so a sweep may die anywhere, run twice, and never takes what is new.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from bot.store.chain import LINK, cut_of
from bot.store.cipher import UnreadableError
from bot.store.erase import lay_bare
from bot.store.lanes import PLAN
from bot.store.shorten import shorten
from bot.store.store import Store, head_of

KIND = "retention"

# What was given up, or buried by a restore, is due again: it can be done any number of times.
_PLANT = (
    PLAN
    + """
if redis.call('EXISTS', KEYS[1]) == 1 and redis.call('HGET', KEYS[1], 's') ~= 'dead' then return 0 end
redis.call('HDEL', KEYS[1], 's', 'w'); redis.call('ZREM', KEYS[3], ARGV[1])
redis.call('HSET', KEYS[1], 'k', ARGV[3], 'd', ARGV[4]); plan(KEYS[2], ARGV[2], ARGV[3], ARGV[1])
return 1
"""
)

_REPLACE = """
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[2], 'KEEPTTL')
return 1
"""


@dataclass(frozen=True, slots=True)
class Kept:
    """One patient in a sweep. *last*: the last turn. *raw*: the record as stored, *record* opened. *first*: the log's
    oldest event, opened; *entries*: how many, *ever*: with those that were cut. *tasks*: whether one waits for a
    person, or is kept closed."""

    patient: str
    last: float
    raw: bytes
    record: bytes
    first: bytes
    entries: int
    ever: int
    tasks: Literal["open", "closed", "none"]

    @property
    def head(self) -> str:
        """The link that the log ends with, in hex."""
        return head_of(self.raw)[0].split("|")[1]


def plant(store: Store, effect: str, kind: str, due: float) -> bool:
    """An effect that is one for ever, unless it is there; whether it was put there now."""
    tag, client = store.tag_of(effect), store.client
    keys = [f"{tag}e:{effect}", f"{tag}due", f"{tag}dead"]
    return bool(client.eval(_PLANT, 3, *keys, effect, due, kind, store.cipher.seal(keys[0], b"{}")))


class Retained:
    """One bucket's patients, by last turn, newest first: who moves to the front meanwhile is seen twice, not missed."""

    def __init__(self, store: Store, bucket: int) -> None:
        self.store, self._tag = store, store.tag(bucket)
        self._redis: Any = store.client
        self._id = f"{bucket:x}-{KIND}"
        self._place = f"{self._tag}swept to"

    def plant(self, due: float) -> bool:
        """The bucket's one effect, unless it is there; whether it was put there now."""
        return plant(self.store, self._id, KIND, due)

    def place(self) -> int:
        """How many patients this sweep has behind it."""
        return int(self._redis.get(self._place) or 0)

    def go_on_from(self, place: int) -> None:
        """Kept for whoever goes on; 0 begins anew."""
        self._redis.set(self._place, place)

    def some(self, place: int, many: int) -> tuple[int, list[Kept]]:
        """How many stand at *place*, up to *many*, and those of them that can be opened. Forgets the ids of tasks that
        are not kept any more."""
        names = self._redis.zrange(f"{self._tag}recent", place, place + many - 1, desc=True, withscores=True)
        pipe = self._redis.pipeline(transaction=False)
        for raw, _ in names:
            name = raw.decode()
            log = f"{self._tag}v:{name}"
            pipe.get(f"{self._tag}p:{name}").lrange(log, 0, 1).llen(log).smembers(f"{self._tag}k:{name}")
        found = pipe.execute() if names else []
        kept = []
        for number, (raw, last) in enumerate(names):
            record, oldest, entries, tasks = found[4 * number : 4 * number + 4]
            one = self._opened(raw.decode(), last, record, oldest, entries, tasks) if record else None
            if one:
                kept.append(one)
        return len(names), kept

    def _opened(
        self, name: str, last: float, raw: bytes, oldest: list[bytes], entries: int, tasks: set[bytes]
    ) -> Kept | None:
        head, sealed = head_of(raw)
        try:
            record = self.store.cipher.open(f"{self._tag}p:{name}|{head}", sealed)
            opened = [self.store.cipher.open(f"{self._tag}v:{name}", entry[LINK:]) for entry in oldest]
        except UnreadableError:
            return None  # python -m bot audit verify names it; nothing of it is touched
        cut = cut_of(self.store.cipher, oldest[0], opened[0]) if oldest else None
        first = (*opened, b"", b"")[1 if cut else 0]
        ever = entries - 1 + cut.count if cut else entries
        return Kept(name, last, raw, record, first, entries, ever, self._tasks(name, tasks))

    def _tasks(self, name: str, tasks: set[bytes]) -> Literal["open", "closed", "none"]:
        found: set[str] = set()
        for task in tasks:
            if self._redis.zscore(f"{self._tag}tasks", task) is not None:
                found.add("open")
            elif self._redis.exists(f"{self._tag}t:{task.decode()}"):
                found.add("closed")
            else:
                self._redis.srem(f"{self._tag}k:{name}", task)
        return "open" if "open" in found else "closed" if found else "none"

    def replace(self, one: Kept, record: bytes) -> bool:
        """The record is *record* now; its log goes on as it was."""
        number, chain, _ = head_of(one.raw)[0].split("|")
        fresh, _ = self.store.sealed_record(one.patient, f"{number}|{chain}", record, ())
        return bool(self._redis.eval(_REPLACE, 1, f"{self._tag}p:{one.patient}", one.raw, fresh))

    def remove(self, one: Kept, bare: bytes, life: int) -> bool:
        """Record, log and lists; *bare* stays for *life* seconds, 0 for ever."""
        return lay_bare(self.store, one.patient, one.raw, bare, life)

    def cut_log(self, patient: str, is_old: Callable[[bytes], bool], most: int) -> int:
        """See `shorten`."""
        return shorten(self._redis, self.store.cipher, f"{self._tag}v:{patient}", is_old, most)

    def anchored(self) -> float:
        """Until when the heads of the logs are in the trail."""
        return float(self._redis.get(f"{self._tag}anchored") or 0)

    def anchored_until(self, at: float) -> None:
        """Kept for the next night."""
        self._redis.set(f"{self._tag}anchored", repr(at))
