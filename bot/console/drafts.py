"""A campaign that is being prepared: the uploaded file and what was chosen for it so far.

Sealed in the store and nowhere else, for the one person who uploaded it; gone two hours after the last step, when it was
sent, and when it is thrown away. A plan of it stays in this process's memory for some minutes, so that a page of its report
does not judge every row again; it is never what is sent.
"""

from __future__ import annotations

import json
import secrets
import threading
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from typing import Any

from bot.outreach.plan import Options, Plan
from bot.store.store import Store

LIFE_SECONDS = 2 * 3600
MOST = 5
PLANS, PLAN_SECONDS = 2, 600.0
LONGEST_NAME = 80


@dataclass(frozen=True, slots=True)
class Draft:
    """*name*: of the file; *at*: when it was uploaded, epoch seconds of the product; *checked*: the columns were looked
    at, so there is a report."""

    id: str
    by: str
    name: str
    at: float
    size: int
    options: Options
    checked: bool = False


class Drafts:
    """All of them."""

    def __init__(self, store: Store) -> None:
        self._redis: Any = store.client
        self._cipher = store.cipher
        self._plans: dict[str, tuple[float, Draft, Plan]] = {}
        self._lock = threading.Lock()

    def begin(self, by: str, name: str, raw: bytes, options: Options, at: float) -> Draft:
        """Keep an uploaded file. Of one person's the newest few stay: uploads must not fill the store of the clinic."""
        for old in self.of(by)[MOST - 1 :]:
            self.remove(old)
        draft = Draft(secrets.token_urlsafe(16), by, name[-LONGEST_NAME:], at, len(raw), options)
        file = self._file(draft.id)
        self._redis.set(file, self._cipher.seal(file, raw), ex=LIFE_SECONDS)
        self._redis.sadd(self._index(by), draft.id)
        self.change(draft)
        return draft

    def change(self, draft: Draft) -> None:
        """Keep what was chosen; its two hours begin anew."""
        key = self._key(draft.id)
        self._redis.set(key, self._cipher.seal(key, json.dumps(asdict(draft)).encode()), ex=LIFE_SECONDS)
        self._redis.expire(self._file(draft.id), LIFE_SECONDS)
        self._redis.expire(self._index(draft.by), LIFE_SECONDS)
        self._forget_plan(draft.id)

    def find(self, draft_id: str, by: str) -> Draft | None:
        """The draft, for whoever uploaded it; None for everybody else, as if there were none."""
        key = self._key(draft_id)
        raw = self._redis.get(key)
        if not raw:
            return None
        kept = json.loads(self._cipher.open(key, raw))
        draft = Draft(**{**kept, "options": Options(**kept["options"])})
        return draft if draft.by == by and self._redis.exists(self._file(draft_id)) else None

    def raw(self, draft: Draft) -> bytes:
        """The file as it was uploaded. Raises KeyError when it has gone in this moment."""
        file = self._file(draft.id)
        sealed = self._redis.get(file)
        if not sealed:
            raise KeyError("This file is gone.")
        return self._cipher.open(file, sealed)

    def of(self, by: str) -> list[Draft]:
        """What *by* has in preparation, newest first."""
        found = []
        for name in self._redis.smembers(self._index(by)):
            draft = self.find(name.decode(), by)
            if draft is None:
                self._redis.srem(self._index(by), name)
            else:
                found.append(draft)
        return sorted(found, key=lambda one: -one.at)

    def remove(self, draft: Draft) -> None:
        """Gone."""
        self._redis.delete(self._key(draft.id), self._file(draft.id))
        self._redis.srem(self._index(draft.by), draft.id)
        self._forget_plan(draft.id)

    # -- sending: a draft becomes one campaign, however often the button is pressed --

    def sent_as(self, draft_id: str, campaign: str = "") -> str:
        """The campaign that this draft is, decided by the first to say *campaign*; "" before anybody did."""
        key = f"{{console}}draft:{draft_id}:as"
        if campaign:
            self._redis.set(key, campaign, nx=True, ex=LIFE_SECONDS)
        found = self._redis.get(key)
        return found.decode() if found else ""

    # -- the plan in memory --

    def plan(self, draft: Draft, make: Callable[[bytes], Plan]) -> Plan:
        """The plan of *draft*, made by *make* when there is none of the last minutes. Raises what *make* raises."""
        now = time.monotonic()
        with self._lock:
            self._plans = {name: kept for name, kept in self._plans.items() if now - kept[0] < PLAN_SECONDS}
            kept = self._plans.get(draft.id)
        if kept and kept[1] == draft:
            return kept[2]
        made = make(self.raw(draft))
        with self._lock:
            self._plans[draft.id] = (now, draft, made)
            while len(self._plans) > PLANS:
                del self._plans[min(self._plans, key=lambda name: self._plans[name][0])]
        return made

    def _forget_plan(self, draft_id: str) -> None:
        with self._lock:
            self._plans.pop(draft_id, None)

    def _key(self, draft_id: str) -> str:
        return f"{{console}}draft:{draft_id}"

    def _file(self, draft_id: str) -> str:
        return f"{{console}}draft:{draft_id}:file"

    def _index(self, by: str) -> str:
        return f"{{console}}drafts:{by}"


def with_options(draft: Draft, options: Options) -> Draft:
    """*draft* after its columns and choices were looked at."""
    return replace(draft, options=options, checked=True)
