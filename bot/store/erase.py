"""Everything of one patient out of the store, wherever it is: found by walking over all of it, not by a list of places.

First what is there is noted, then the record is replaced by *bare* if nothing was committed meanwhile (else again from the
start), then only what was noted is removed. So a turn that comes in between is either erased or untouched, never half.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

from bot.store.store import Store, head_of
from bot.store.walk import Value, walk

ATTEMPTS = 20
SILENT = b'<?xml version="1.0" encoding="UTF-8"?><Response/>'
KEPT = ("{audit}", "{identity}", "{console}")  # who did what to an opaque id stays; staff are no patients

_BARE = """
if (redis.call('GET', KEYS[1]) or '') ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[2])
if ARGV[3] ~= '0' then redis.call('EXPIRE', KEYS[1], ARGV[3]) end
redis.call('DEL', KEYS[2]); redis.call('ZREM', KEYS[3], ARGV[4])
return 1
"""


class EraseError(RuntimeError):
    """The patient's conversation did not rest for long enough; nothing was removed."""


def erase(store: Store, patient: str, words: tuple[bytes, ...], bare: bytes, life: int) -> Counter[str]:
    """How many values of which kind were removed. *words* (the id, the number) name the patient in a value; *bare* is the
    record that stays for *life* seconds, 0 for ever."""
    for _ in range(ATTEMPTS):
        record = _record(store, patient)
        found = [value for value in walk(store.client, store.cipher) if _names(value, words)]
        if lay_bare(store, patient, record, bare, life):
            break
    else:
        raise EraseError("This patient writes right now; nothing was removed. Try again in a minute.")
    gone: Counter[str] = Counter({"p": 1})
    names: set[str] = set()
    for value in found:
        if not value.key.endswith((f"p:{patient}", f"v:{patient}")) or value.family not in ("p", "v"):
            _remove(store, value, names)
        if value.family != "p":
            gone[value.family] += 1
    _remove_mentions(store, names)
    # Words of many, without whose they are (bot/store/heard.py): what was gathered so far goes, and is gathered anew.
    store.client.delete(f"{store.tag(0)}unread sweep")
    return gone


def left(store: Store, patient: str, words: tuple[bytes, ...]) -> list[str]:
    """The keys that still name the patient, without the bare record and the silenced answers."""
    stay = (f"p:{patient}", f"a:{patient}")
    found = [value for value in walk(store.client, store.cipher) if _names(value, words)]
    return [value.key for value in found if not value.key.partition("}")[2].startswith(stay)]


def _names(value: Value, words: tuple[bytes, ...]) -> bool:
    if value.key.startswith(KEPT):
        return False
    return any(word in part for word in words for part in (value.key.encode(), value.place, value.plain or value.raw))


def _record(store: Store, patient: str) -> bytes:
    raw: Any = store.client.get(f"{store.tag(store.bucket(patient))}p:{patient}")
    return raw or b""


def lay_bare(store: Store, patient: str, record: bytes, bare: bytes, life: int) -> bool:
    """*bare* in the place of *record* as it is stored, without log and mention; False when a turn came in between."""
    tag = store.tag(store.bucket(patient))
    # The version goes on, so that a turn which is being decided meets a conflict; the log's chain begins anew.
    number = int(head_of(record)[0].partition("|")[0]) if record else 0
    head, key = f"{number + 1}||", f"{tag}p:{patient}"
    fresh = head.encode() + store.cipher.seal(f"{key}|{head}", bare)
    client: Any = store.client
    return bool(client.eval(_BARE, 3, key, f"{tag}v:{patient}", f"{tag}recent", record, fresh, life, patient))


def _remove(store: Store, value: Value, names: set[str]) -> None:
    client: Any = store.client
    if value.family == "a" and not (value.plain or b"").startswith((b"{", b"[")):
        # The same webhook may come again: it finds an answer, an empty one, and begins nothing anew.
        client.set(value.key, store.cipher.seal(value.key, SILENT), keepttl=True, xx=True)
    elif value.kind == "zset":
        client.zrem(value.key, value.place)
    elif value.kind == "set":
        client.srem(value.key, value.place)
    elif value.kind == "list":
        client.lrem(value.key, 0, value.raw)
    elif value.kind == "hash" and value.family != "e":
        client.hdel(value.key, value.place)
    else:
        client.delete(value.key)
        names.add(value.key.rpartition(":")[2])


def _remove_mentions(store: Store, names: set[str]) -> None:
    """Effects and tasks stand in lists by time under their ids; how a text fared is kept under its effect's id."""
    client: Any = store.client
    for bucket in range(store.buckets) if names else ():
        tag = store.tag(bucket)
        for listed in ("due", "held", "dead", "tasks"):
            client.zrem(f"{tag}{listed}", *names)
        for name in names:
            client.delete(f"{tag}m:{name}")
