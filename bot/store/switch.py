"""Where "sending is stopped" is kept, with what it counts: failures in a row and the day's spending. Keys only; when
sending stops and what may still go out is decided in bot/sending.py.

Keys (all in the slot of the clinic itself, because sending stops for all patients at once):
  {bN}sending  cause -> since|until|sealed words     {bN}failing  failures of the carrier in a row
  {bN}spent:<day>  millionths of the currency, kept two days
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from bot.store import scripts
from bot.store.counted import ADD, Counted
from bot.store.model import CLINIC, Effect, Task
from bot.store.runner import Call
from bot.store.store import Store

TWO_DAYS = 2 * 86_400
FAILING_SECONDS = 3600

# The stop and its task are one step: a stop without its task would be silent, a task for each refusal a flood.
STOP = (
    scripts.TASK
    + """
if redis.call('HSETNX', KEYS[1], ARGV[1], ARGV[2]) == 0 then return 0 end
if #ARGV > 2 then raise(KEYS[2], KEYS[3], KEYS[4], KEYS[5], 3) end
return 1
"""
)


TOOK = f"""
local function add() {ADD} end
if add() == 1 and tonumber(ARGV[6]) > 0 then
  redis.call('INCRBY', KEYS[4], ARGV[6]); redis.call('EXPIRE', KEYS[4], ARGV[7])
end
return redis.call('DEL', KEYS[3])
"""


@dataclass(frozen=True, slots=True)
class Kept:
    """One stop as it is kept. Times are epoch seconds; *until* None: until somebody resumes."""

    cause: str
    since: float
    until: float | None
    why: str
    by: str


class Switch:
    """Stops and counters of one ledger."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.tag = store.tag(store.bucket(CLINIC))
        self.key = f"{self.tag}sending"

    def stop(self, kept: Kept, task: Task | None, alerts: Sequence[Effect] = ()) -> bool:
        """Write a stop with its task and what tells staff of it; False when this cause has stopped sending already
        (nothing changes then)."""
        keys, args = self.store.task_script(task, alerts) if task else ([], [])
        return bool(self.store.run(STOP, keys=[self.key, *keys], args=[kept.cause, self._sealed(kept), *args]))

    def renew(self, kept: Kept) -> None:
        """The same stop, with another end."""
        self.store.client.hset(self.key, kept.cause, self._sealed(kept))

    def stops(self) -> list[Kept]:
        """Every stop, those that have ended included, oldest first."""
        return self._sorted(self.store.wire.ask("HGETALL", self.key))

    def look(self, day: str) -> tuple[list[Kept], int]:
        """`stops`, and what was `spent` on *day*, in one round trip."""
        found, spent = self.store.wire.ask_all([("HGETALL", self.key), ("GET", f"{self.tag}spent:{day}")])
        for one in (found, spent):
            if isinstance(one, Exception):
                raise one
        return self._sorted(found), int(spent or 0)

    def _sorted(self, found: dict[bytes, bytes]) -> list[Kept]:
        return sorted((self._opened(cause.decode(), raw) for cause, raw in found.items()), key=lambda kept: kept.since)

    def lift(self, cause: str) -> None:
        """This cause stops nothing any more."""
        self.store.client.hdel(self.key, cause)

    # -- what is counted --

    def failed(self) -> int:
        """Failures of the carrier in a row, this one included."""
        key = f"{self.tag}failing"
        count: Any = self.store.client.incr(key)
        self.store.client.expire(key, FAILING_SECONDS)
        return int(count)

    def failures(self) -> int:
        """Failures of the carrier in a row so far."""
        found: Any = self.store.client.get(f"{self.tag}failing")
        return int(found or 0)

    def worked(self) -> None:
        """Forget the failures."""
        self.store.client.delete(f"{self.tag}failing")

    def took(self, count: tuple[str, str, int], patient: str, of: str, at: float, day: str, millionths: int) -> Call:
        """The carrier took something that costs *millionths*, counted as `Counted.add` does; what this runs gives 1 when
        it had failed before."""
        added = Counted(self.store).added(count, patient, of, at)
        keys = [*added["keys"], f"{self.tag}failing", f"{self.tag}spent:{day}"]
        return TOOK, keys, [*added["args"], millionths, TWO_DAYS]

    def spent(self, day: str) -> int:
        """Millionths spent on *day*."""
        found = self.store.wire.ask("GET", f"{self.tag}spent:{day}")
        return int(found or 0)

    def forget_spent(self, day: str) -> None:
        """Count *day* from nothing again."""
        self.store.client.delete(f"{self.tag}spent:{day}")

    # -- inside --

    def _sealed(self, kept: Kept) -> bytes:
        words = self.store.cipher.seal(f"{self.key}:{kept.cause}", json.dumps([kept.why, kept.by]).encode())
        return f"{kept.since!r}|{'' if kept.until is None else repr(kept.until)}|".encode() + words

    def _opened(self, cause: str, raw: bytes) -> Kept:
        since, until, words = raw.split(b"|", 2)
        why, by = json.loads(self.store.cipher.open(f"{self.key}:{cause}", words))
        return Kept(cause, float(since), float(until) if until else None, why, by)
