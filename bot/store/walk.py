"""Every value of ours in the store, and what of it is sealed, found by trying: for what concerns all of it at once.

Whoever seals binds to the Redis key (or key and field); so no list of kinds has to be kept here. Used by the rotation of
keys, by forgetting, and by the test that looks for a patient's words. Never in the way of a webhook.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from bot.store.cipher import Cipher, UnreadableError

OURS = "{*"
CHUNK = 500

_PUT = """
local kind, place, old, new = ARGV[1], ARGV[2], ARGV[3], ARGV[4]
if kind == 'string' and redis.call('GET', KEYS[1]) == old then redis.call('SET', KEYS[1], new, 'KEEPTTL'); return 1 end
if kind == 'hash' and redis.call('HGET', KEYS[1], place) == old then redis.call('HSET', KEYS[1], place, new); return 1 end
if kind == 'list' and redis.call('LINDEX', KEYS[1], place) == old then redis.call('LSET', KEYS[1], place, new); return 1 end
return 0
"""


@dataclass(frozen=True, slots=True)
class Value:
    """One value: a string, a list's entry, a hash's field or a set's member. *place*: index or field. When something of
    it is sealed: from *start* on, *bound* to this text, *plain* inside."""

    key: str
    kind: str
    place: bytes
    raw: bytes
    start: int = 0
    bound: str = ""
    plain: bytes | None = None

    @property
    def family(self) -> str:
        """The kind of key, without whose it is: ``p``, ``due``, ``audit log``."""
        tag, _, rest = self.key.partition("}")
        name = rest.partition(":")[0]
        return name if tag.startswith("{b") and tag[2:].isdecimal() else f"{tag[1:]} {name}".strip()

    @property
    def looks_sealed(self) -> bool:
        """Not readable as text, which what is kept in clear always is."""
        return len(self.raw) >= 30 and not self.raw.isascii()


def walk(client: Any, cipher: Cipher, match: str = OURS) -> Iterator[Value]:
    """All values of all keys that *match*, at least those that were there from beginning to end."""
    for name in client.scan_iter(match=match, count=1000):
        key = name.decode()
        for kind, place, raw in _values(client, key):
            yield _opened(cipher, Value(key, kind, place, raw))


def put(client: Any, value: Value, sealed: bytes) -> bool:
    """The sealed part replaced, if the value is still the one that was walked over; its time to live stays."""
    args = [value.kind, value.place, value.raw, value.raw[: value.start] + sealed]
    return bool(client.eval(_PUT, 1, value.key, *args))


def _values(client: Any, key: str) -> Iterator[tuple[str, bytes, bytes]]:
    kind = client.type(key).decode()
    if kind == "string":
        raw = client.get(key)
        if raw is not None:
            yield kind, b"", raw
    elif kind == "hash":
        for place, raw in client.hscan_iter(key, count=CHUNK):
            yield kind, place, raw
    elif kind == "list":
        at = 0
        while chunk := client.lrange(key, at, at + CHUNK - 1):
            for raw in chunk:
                yield kind, str(at).encode(), raw
                at += 1
    elif kind == "zset":
        for member, _ in client.zscan_iter(key, count=CHUNK):
            yield kind, member, member
    elif kind == "set":
        for member in client.sscan_iter(key, count=CHUNK):
            yield kind, member, member


def _opened(cipher: Cipher, value: Value) -> Value:
    starts = [0, 16]
    at = value.raw.find(b"|")
    while at >= 0 and len(starts) < 6:
        starts.append(at + 1)
        at = value.raw.find(b"|", at + 1)
    for start in starts:
        sealed = value.raw[start:]
        if not cipher.knows(sealed):
            continue
        head = value.raw[:start].decode("ascii", "replace")
        for bound in (value.key, f"{value.key}|{head}", f"{value.key}:{value.place.decode('utf-8', 'replace')}"):
            try:
                plain = cipher.open(bound, sealed)
            except UnreadableError:
                continue
            return Value(value.key, value.kind, value.place, value.raw, start, bound, plain)
    return value
