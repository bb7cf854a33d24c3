"""Who is signed in. The browser holds a random token; everything else stays in Redis, sealed, and ends there.

A token is made at sign-in and never taken from a request, so none can be planted. Idle 15 minutes, 8 hours at most.
"""

from __future__ import annotations

import hashlib
import json
import secrets
from dataclasses import asdict, dataclass, replace
from typing import Any

from bot.console.people import People, Person
from bot.store.store import Store

IDLE_SECONDS, LONGEST_SECONDS = 15 * 60, 8 * 3600


@dataclass(frozen=True, slots=True)
class Signed:
    """One browser of one person. *csrf* is in every form of the session."""

    person: str
    csrf: str
    born: float
    seen: float
    epoch: int


class Sessions:
    """All of them."""

    def __init__(self, store: Store, people: People) -> None:
        self._redis: Any = store.client
        self._cipher, self._people = store.cipher, people

    def begin(self, person: Person, now: float) -> str:
        """The token of a new session."""
        token = secrets.token_urlsafe(32)
        self._keep(token, Signed(person.id, secrets.token_urlsafe(16), now, now, person.epoch))
        return token

    def find(self, token: str, now: float, *, touch: bool) -> tuple[Signed, Person] | None:
        """Who holds *token* now. *touch*: a person acted (a page that polls by itself does not keep anybody in)."""
        key = _key(token)
        raw = self._redis.get(key) if token else None
        if not raw:
            return None
        signed = Signed(**json.loads(self._cipher.open(key, raw)))
        person = self._people.by_id(signed.person)
        over = now - signed.seen > IDLE_SECONDS or now - signed.born > LONGEST_SECONDS
        if over or person is None or not person.active or person.epoch != signed.epoch:
            self._redis.delete(key)
            return None
        if touch and now - signed.seen > 20:
            self._keep(token, replace(signed, seen=now))
        return signed, person

    def end(self, token: str) -> None:
        """Signed out, on the server too."""
        self._redis.delete(_key(token))

    def end_all(self, person: Person) -> None:
        """Every session of *person*, everywhere."""
        self._people.change(person.id, lambda one: replace(one, epoch=one.epoch + 1))

    def saw(self, person_id: str, action: str, about: str) -> bool:
        """*person_id* did the very same within ten minutes, so a page that renews itself is not one view more. The first
        is always False, whatever a request claims of itself."""
        told = hashlib.sha256(f"{action} {about}".encode("utf-8", "replace")).hexdigest()
        key = f"{{console}}saw:{person_id}:{told[:24]}"
        return not self._redis.set(key, 1, nx=True, ex=600)

    def _keep(self, token: str, signed: Signed) -> None:
        key = _key(token)
        self._redis.set(key, self._cipher.seal(key, json.dumps(asdict(signed)).encode()), ex=LONGEST_SECONDS)


def _key(token: str) -> str:
    return f"{{console}}session:{hashlib.sha256(token.encode('utf-8', 'replace')).hexdigest()}"
