"""Reading many patients at once, for pages of staff: by cursor, so that page 1,000 costs what page 1 costs.

Reads only. One pipeline asks every bucket; nothing here is on the path of a webhook.
"""

from __future__ import annotations

import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Sequence
from math import isfinite
from typing import Any

from bot import packed
from bot.store import chain
from bot.store.cipher import UnreadableError
from bot.store.lanes import time_of
from bot.store.model import Delivery, Task, task_from
from bot.store.store import Store, head_of


class Lists:
    """Pages over the indexes that every commit keeps."""

    def __init__(self, store: Store) -> None:
        self._store, self._client = store, store.client

    def recent(self, after: str, limit: int, since: float | None = None) -> tuple[list[tuple[str, float]], str | None]:
        """(patient, last turn), newest first, and the cursor of the rest. With *since*: from that moment on, oldest
        first."""
        if since is not None:
            return self._page("recent", after or cursor_of((since, "")), limit, newest=False)
        return self._page("recent", after, limit, newest=True)

    def journal(self, week: str, field: str, after: str, limit: int) -> tuple[list[tuple[str, float]], str | None]:
        """(``patient|what it was|how many``, when) of one count that belongs to no turn, oldest first."""
        return self._page(f"j:{week}:{field}", after, limit, newest=False)

    def logs(self, patients: Sequence[str]) -> list[tuple[list[dict[str, Any]], bool]]:
        """The logs of *patients*, oldest line first, each with whether its beginning is still there."""
        keys = [f"{self._store.tag(self._store.bucket(patient))}v:{patient}" for patient in patients]
        pipe = self._client.pipeline(transaction=False)
        for key in keys:
            pipe.lrange(key, 0, -1)
        return [self._log(key, raw) for key, raw in zip(keys, pipe.execute() if keys else (), strict=True)]

    def _log(self, key: str, raw: list[bytes]) -> tuple[list[dict[str, Any]], bool]:
        lines, whole = [], True
        for at, entry in enumerate(raw):
            try:
                line = self._store.cipher.open(key, entry[chain.LINK :])
            except UnreadableError:
                continue  # python -m bot audit verify names it
            if at == 0 and chain.cut_of(self._store.cipher, entry, line):
                whole = False
            else:
                lines.append(packed.unpack(line))
        return lines, whole

    def open_tasks(self, after: str, limit: int) -> tuple[list[Task], str | None]:
        """Open tasks, most urgent first, then longest waiting."""
        found, rest = self._page("tasks", after, limit, newest=False)
        return self._tasks([(name.partition("/")[0], name.partition("/")[2]) for name, _ in found]), rest

    def waiting(self) -> int:
        """How many tasks are open."""
        pipe = self._client.pipeline(transaction=False)
        for bucket in range(self._store.buckets):
            pipe.zcard(f"{self._store.tag(bucket)}tasks")
        return sum(pipe.execute())

    def tasks_of(self, patient: str) -> list[Task]:
        """Every task of *patient* that is still kept, oldest first, closed ones too."""
        tag = self._store.tag(self._store.bucket(patient))
        names: Any = self._client.smembers(f"{tag}k:{patient}")
        found = self._tasks([(tag, raw.decode()) for raw in names])
        return sorted(found, key=lambda task: task.at)

    def task(self, patient: str, name: str) -> Task | None:
        """The task of *patient* with this id, open or closed; None when it is not kept."""
        return next(iter(self._tasks([(self._store.tag(self._store.bucket(patient)), name)])), None)

    def records(self, patients: Sequence[str]) -> list[bytes | None]:
        """The records of *patients*, in their order; None where there is none."""
        names = [f"{self._store.tag(self._store.bucket(patient))}p:{patient}" for patient in patients]
        found = self._gets(names)
        opened = []
        for name, raw in zip(names, found, strict=True):
            head, sealed = head_of(raw) if raw else ("", b"")
            opened.append(self._store.cipher.open(f"{name}|{head}", sealed) if raw else None)
        return opened

    def deliveries(self, effects: Sequence[str]) -> list[Delivery | None]:
        """What the carrier last said of each effect."""
        pipe = self._client.pipeline(transaction=False)
        for effect in effects:
            pipe.hgetall(f"{self._store.tag_of(effect)}m:{effect}")
        return [
            Delivery(one.get(b"e", b"").decode(), one[b"st"].decode(), int(one.get(b"c", 0))) if one else None
            for one in (pipe.execute() if effects else ())
        ]

    def waits(self, effects: Sequence[str]) -> list[float | None]:
        """When each effect is due, or the lease of the worker ends that has it in hand; None when it is done or given up."""
        pipe = self._client.pipeline(transaction=False)
        for effect in effects:
            for name in ("held", "due"):
                pipe.zscore(f"{self._store.tag_of(effect)}{name}", effect)
        found = iter(pipe.execute() if effects else ())
        both = [(held, due) for held, due in zip(found, found, strict=True)]
        return [None if held is due is None else time_of(held if due is None else due) for held, due in both]

    def _tasks(self, named: Sequence[tuple[str, str]]) -> list[Task]:
        keys = [f"{tag}t:{name}" for tag, name in named]
        found = zip(named, keys, self._gets(keys), strict=True)
        return [task_from(name, self._store.cipher.open(key, raw)) for (_, name), key, raw in found if raw]

    def _gets(self, names: Sequence[str]) -> list[bytes | None]:
        pipe = self._client.pipeline(transaction=False)
        for name in names:
            pipe.get(name)
        return list(pipe.execute()) if names else []

    def _page(self, index: str, after: str, limit: int, *, newest: bool) -> tuple[list[tuple[str, float]], str | None]:
        """Members of every bucket's *index* in one order: by score, and where scores are equal by name, as Redis has
        them. Names of tasks carry their bucket's tag before a slash."""
        at, last = _opened(after)
        most = limit + 1 + (self._as_many(index, at) if at is not None else 0)
        best, worst = ("+inf", "-inf") if newest else ("-inf", "+inf")
        pipe = self._client.pipeline(transaction=False)
        for bucket in range(self._store.buckets):
            key, start = f"{self._store.tag(bucket)}{index}", best if at is None else at
            pipe.zrange(key, start, worst, byscore=True, desc=newest, offset=0, num=most, withscores=True)
        found = []
        for bucket, members in enumerate(pipe.execute()):
            prefix = f"{self._store.tag(bucket)}/" if index == "tasks" else ""
            found += [(score, prefix + raw.decode()) for raw, score in members]
        found.sort(reverse=newest)
        if at is not None:
            found = [pair for pair in found if (pair < (at, last) if newest else pair > (at, last))]
        return [(name, score) for score, name in found[:limit]], cursor_of(found[limit - 1]) if len(
            found
        ) > limit else None

    def _as_many(self, index: str, score: float) -> int:
        """The most members of one bucket that share *score*: they are passed over before the next page begins."""
        pipe = self._client.pipeline(transaction=False)
        for bucket in range(self._store.buckets):
            pipe.zcount(f"{self._store.tag(bucket)}{index}", score, score)
        return max(pipe.execute(), default=0)


def cursor_of(pair: tuple[float, str]) -> str:
    """What goes on behind (score, name)."""
    return urlsafe_b64encode(json.dumps(pair).encode()).decode().rstrip("=")


def _opened(cursor: str) -> tuple[float | None, str]:
    """Score and name of a cursor; a broken one is the beginning."""
    try:
        at, name = json.loads(urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
        return (float(at), str(name)) if isfinite(float(at)) else (None, "")
    except (ValueError, TypeError):
        return None, ""
