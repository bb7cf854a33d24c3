"""The audit trail: who did and saw what, as an append-only chain. Entries hold ids and fixed words, never a patient's.

``{audit}log`` is a list of 16-byte link + sealed entry; a link is an HMAC over the link before it and the entry, with a
key that the store does not have. ``{audit}head`` is ``count|link``; ``{audit}base`` the same for what was cut off as too
old, with an HMAC of its own. One script compares the head and appends, so a chain never forks or tears.

A patient's own log (``v:`` in store.py) is a chain of the same kind, written by the turn's commit and not here: the
webhooks never wait for one another. Both are checked by ``python -m bot audit verify``. What no chain shows by itself,
a tail that was cut off together with its head, shows against a head noted elsewhere: each process notes the newest in
DATA_DIR, every backup holds one, and ``audit head`` prints one to keep on paper.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from redis import Redis

from bot.store.cipher import Cipher, UnreadableError

LOG, HEAD, BASE = "{audit}log", "{audit}head", "{audit}base"
LINK = 16
ATTEMPTS = 200  # appends that lost the race in a row; each loser means that another entry got in
CHUNK = 500
NOTE = "audit.head"

_APPEND = """
local head = redis.call('GET', KEYS[1]) or '0|'
if head == ARGV[1] then
  redis.call('RPUSH', KEYS[2], ARGV[3])
  redis.call('SET', KEYS[1], ARGV[2])
  return {'ok', ARGV[2]}
end
local base = tonumber(string.match(redis.call('GET', KEYS[3]) or '0|', '^%d+'))
local kept = redis.call('LINDEX', KEYS[2], tonumber(string.match(ARGV[1], '^%d+')) - base)
if kept and string.sub(kept, 1, 16) == string.sub(ARGV[3], 1, 16) then return {'ok', ARGV[2]} end
return {'moved', head}
"""

_CUT = """
if (redis.call('GET', KEYS[1]) or '') ~= ARGV[1] then return 0 end
redis.call('LTRIM', KEYS[2], ARGV[3], -1)
redis.call('SET', KEYS[1], ARGV[2])
return 1
"""


@dataclass(frozen=True, slots=True)
class Entry:
    """At *at* (epoch seconds, wall clock) *actor* did or saw *action* of *about*; all of them ids and fixed words."""

    at: float
    actor: str
    action: str
    about: str = ""
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Head:
    """How many entries there are and the last one's link; what `verify` compares with. Written ``count:hex``."""

    count: int
    link: bytes = b""

    def __str__(self) -> str:
        return f"{self.count}:{self.link.hex()}"

    @classmethod
    def parse(cls, text: str) -> Head:
        """Raises ValueError in a sentence."""
        found = re.fullmatch(r"(\d+)[:|]([0-9a-f]*)", text.strip())
        if not found:
            raise ValueError("A head looks like 4213:0a1b... ; python -m bot audit head prints one.")
        return cls(int(found[1]), bytes.fromhex(found[2]))


class Audit:
    """The trail of one deployment. *notes*: the folder where this machine keeps the newest head it has seen."""

    def __init__(self, client: Redis, cipher: Cipher, notes: Path | None = None) -> None:
        self._redis: Any = client
        self._cipher, self._notes = cipher, notes
        self._append, self._cut = self._redis.register_script(_APPEND), self._redis.register_script(_CUT)
        self._head = "0|"

    def append(self, entry: Entry) -> Head:
        """The entry is in the trail when this returns. Once, also when a reply is lost and it is tried again."""
        plain = json.dumps([entry.at, entry.actor, entry.action, entry.about, entry.detail, os.urandom(6).hex()])
        sealed = self._cipher.seal(LOG, plain.encode())
        for _ in range(ATTEMPTS):
            head = Head.parse(self._head)
            link = self._cipher.link(head.link, plain.encode())
            after = f"{head.count + 1}|{link.hex()}"
            status, now = self._append(keys=[HEAD, LOG, BASE], args=[self._head, after, link + sealed])
            self._head = now.decode()
            if status == b"ok":
                self._note(Head.parse(after))
                return Head.parse(after)
        raise RuntimeError("The audit trail is busy; nothing was done. Try again.")

    def head(self) -> Head:
        """The newest entry's."""
        raw = self._redis.get(HEAD)
        return Head.parse(raw.decode()) if raw else Head(0)

    def base(self) -> Head:
        """The last entry that was cut off because of its age; count 0 when none was. Raises ValueError if forged."""
        raw = self._redis.get(BASE)
        if not raw:
            return Head(0)
        count, link, mark = raw.decode().split("|")
        head = Head.parse(f"{count}:{link}")
        if mark != self._base_mark(head):
            raise ValueError("The note of where the trail begins is not ours; its first entries may have been removed.")
        return head

    def entries(self, first: int = 0) -> Iterator[tuple[int, bytes, Entry | None]]:
        """(number from 1, link, entry) in order from number *first*; None for one that cannot be opened."""
        base = self.base().count
        at = max(0, first - base - 1)
        while chunk := self._redis.lrange(LOG, at, at + CHUNK - 1):
            for raw in chunk:
                at += 1
                opened = self._opened(raw)
                yield base + at, raw[:LINK], Entry(*json.loads(opened)[:5]) if opened else None

    def last(self, many: int) -> list[tuple[int, Entry | None]]:
        """The newest *many*, oldest of them first."""
        return [(number, entry) for number, _, entry in self.entries(self.head().count - many + 1)]

    def faults(self, noted: Head | None = None) -> list[str]:
        """Everything that is wrong with the chain, in sentences with entry numbers; [] when it holds.

        *noted*: a head that was kept elsewhere; what this machine noted is compared as well.
        """
        # Read first: what is appended while we read is no fault.
        try:
            head, base = self.head(), self.base()
        except ValueError as error:
            return [str(error)]
        heads = [one for one in (noted, self.noted()) if one]
        found: list[str] = []
        number, before = base.count, base.link
        links = {number: before}
        for raw in self._raw():
            number += 1
            opened = self._opened(raw)
            if opened is None:
                found.append(f"Entry {number} was changed: it cannot be opened.")
            elif raw[:LINK] != self._cipher.link(before, opened):
                found.append(
                    f"Entry {number} does not follow from entry {number - 1}: one was changed, removed or moved."
                )
            before = raw[:LINK]
            if number == head.count or any(number == one.count for one in heads):
                links[number] = before
        if links.get(head.count) != head.link:
            found.append(
                f"The trail should have {head.count} entries and ends at {number}: the last ones were removed."
            )
        for one in heads:
            if one.count >= base.count and one.count and links.get(one.count) != one.link:
                found.append(
                    f"Entry {one.count} was noted elsewhere and is not that entry here: the end was removed or replaced."
                )
        return found

    def cut(self, before: float) -> int:
        """Remove what is older than *before*; the last removed entry's link is kept, sealed by an HMAC. How many."""
        old, link, gone = self._redis.get(BASE), b"", 0
        for _, one, entry in self.entries():
            if entry is None or entry.at >= before:
                break
            link, gone = one, gone + 1
        if not gone:
            return 0
        base = Head(self.base().count + gone, link)
        fresh = f"{base.count}|{base.link.hex()}|{self._base_mark(base)}"
        return gone if self._cut(keys=[BASE, LOG], args=[old or b"", fresh, gone]) else 0

    def noted(self) -> Head | None:
        """The head that this machine noted last."""
        try:
            return Head.parse((self._notes / NOTE).read_text("utf-8")) if self._notes else None
        except (OSError, ValueError):
            return None

    def emptied(self) -> int:
        """How many entries this machine has noted of a trail of which the store has nothing; 0 when it has some, or when
        none were noted. Not 0: it is another store, or its server opened its data empty."""
        noted = self.noted()
        return noted.count if noted and not self._redis.exists(HEAD, LOG, BASE) else 0

    def _note(self, head: Head) -> None:
        known = self.noted()
        if self._notes is None or (known and known.count >= head.count):
            return
        try:
            draft = self._notes / f"{NOTE}.{os.getpid()}"
            draft.write_text(f"{head}\n", "utf-8")
            draft.replace(self._notes / NOTE)
        except OSError:
            return  # a second copy of what the store has; a full disk must not stop the clinic

    def _raw(self) -> Iterator[bytes]:
        at = 0
        while chunk := self._redis.lrange(LOG, at, at + CHUNK - 1):
            yield from chunk
            at += len(chunk)

    def _opened(self, raw: bytes) -> bytes | None:
        try:
            return self._cipher.open(LOG, raw[LINK:])
        except UnreadableError:
            return None

    def _base_mark(self, head: Head) -> str:
        return self._cipher.link(b"base", str(head).encode()).hex()
