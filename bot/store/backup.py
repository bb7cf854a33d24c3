"""The state in one sealed file, and back: our own format by kind of value, so that any Redis or Valkey gives and takes it.

A line that says what it is, a line of JSON in clear (when, buckets, which key), then frames: length, sealed pack of
``[key, kind, expires at (ms, 0 never), value, part]``. The last frame says how many keys there are; a frame is bound to
its file and place, so half a file, a changed or a moved frame is refused before anything is written. RQ's keys are not in
it: the ledger is the truth. What belongs together is read together (a record with its log; the trail with its head), and
the ledger is read last, so a backup made while serving holds no effect without its time and no record newer than its work.
"""

from __future__ import annotations

import hashlib
import json
import os
import time
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from bot.store import identity, lanes
from bot.store.cipher import Cipher, UnreadableError
from bot.store.walk import OURS

MAGIC = b"triage-backup 1\n"
PACK, PART = 400, 1000
# Nobody stays signed in through a restore, and a file that was uploaded to prepare a campaign is gone in two hours.
SKIPPED = ("{console}session:", "{console}draft")
LEDGER = ("due", "held", "dead")

Row = tuple[str, str, int, Any, int]


class BackupError(RuntimeError):
    """The file or the target cannot be used; the message says what is wrong and what to do."""


@dataclass(frozen=True, slots=True)
class About:
    """What a backup says of itself. *made* is epoch seconds, *keys* how many keys it holds."""

    made: float
    buckets: int
    keys: int


# -- out --


def write(client: Any, cipher: Cipher, buckets: int, path: Path) -> About:
    """A new file, complete or not there at all."""
    if path.exists():
        raise BackupError(f"{path} exists already; a backup never replaces another.")
    made = time.time()
    header = json.dumps({"made": made, "buckets": buckets, "key": cipher.seal("", b"")[:2].hex()}).encode() + b"\n"
    draft = path.with_name(path.name + ".part")
    names: set[str] = set()
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
        file.write(MAGIC + header)
        number, pack = 0, []
        for row in _rows(client, buckets):
            names.add(row[0])
            pack.append(row)
            if len(pack) >= PACK:
                _frame(file, cipher, _bound(header, number), pack)
                number, pack = number + 1, []
        _frame(file, cipher, _bound(header, number), pack)
        _frame(file, cipher, _bound(header, number + 1) + ":end", [len(names)])
        file.flush()
        os.fsync(file.fileno())
    draft.rename(path)
    return About(made, buckets, len(names))


def _bound(header: bytes, number: int) -> str:
    return f"backup:{hashlib.sha256(header).hexdigest()}:{number}"


def _frame(file: BinaryIO, cipher: Cipher, bound: str, pack: list[Any]) -> None:
    sealed = cipher.seal(bound, zlib.compress(json.dumps(pack).encode(), 1))
    file.write(len(sealed).to_bytes(4, "big") + sealed)


def _rows(client: Any, buckets: int) -> Iterator[Row]:
    yield from _together(client, ["{audit}base", "{audit}head", "{audit}log"])
    for raw in client.scan_iter(match=OURS, count=1000):
        key = raw.decode()
        tag, _, rest = key.partition("}")
        family = rest.partition(":")[0] if tag.startswith("{b") else ""
        if family == "p":
            yield from _together(client, [key, f"{tag}}}v:{rest.partition(':')[2]}"])
        elif family not in ("v", "e", *LEDGER) and not key.startswith(("{audit}", *SKIPPED)):
            yield from _together(client, [key])
    for bucket in range(buckets):
        # At once: what a worker takes or puts back in between is not missed.
        rows = list(_together(client, [f"{{b{bucket}}}{listed}" for listed in LEDGER]))
        yield from rows
        for row in rows:
            for effect_id, _ in row[3]:
                yield from _together(client, [f"{{b{bucket}}}e:{effect_id}"])


def _together(client: Any, keys: list[str]) -> Iterator[Row]:
    kinds = [client.type(key).decode() for key in keys]
    with client.pipeline(transaction=True) as whole:
        asked = [(key, kind) for key, kind in zip(keys, kinds, strict=True) if kind != "none"]
        for key, kind in asked:
            whole.pttl(key)
            _ask(whole, key, kind)
        found, now = whole.execute(), int(time.time() * 1000)
    for place, (key, kind) in enumerate(asked):
        life, value = found[2 * place], found[2 * place + 1]
        if life == -2 or value is None:
            continue  # it expired meanwhile
        expires = now + life if life > 0 else 0
        if kind != "list":
            yield key, kind, expires, _told(kind, value), 0
        for part, at in enumerate(range(0, len(value), PART) if kind == "list" else ()):
            yield key, kind, expires, [_text(one) for one in value[at : at + PART]], part


def _ask(pipe: Any, key: str, kind: str) -> None:
    if kind == "string":
        pipe.get(key)
    elif kind == "list":
        pipe.lrange(key, 0, -1)
    elif kind == "hash":
        pipe.hgetall(key)
    elif kind == "set":
        pipe.smembers(key)
    elif kind == "zset":
        pipe.zrange(key, 0, -1, withscores=True)
    else:
        raise BackupError(f"There is a {kind} in the store, which this version cannot back up.")


def _told(kind: str, value: Any) -> Any:
    if kind == "string":
        return _text(value)
    if kind == "hash":
        return [[_text(name), _text(one)] for name, one in value.items()]
    if kind == "zset":
        return [[_text(member), score] for member, score in value]
    return [_text(one) for one in value]


def _text(raw: bytes) -> str:
    return raw.decode("latin-1")


# -- in --


def read(path: Path, cipher: Cipher) -> tuple[About, Iterator[Row]]:
    """What the file says of itself, and its rows. Raises BackupError, before the first row when anything is wrong."""
    count = next(iter([pack[0] for pack, last in _packs(path, cipher) if last]))
    header = _header(path)[1]
    rows = (_row(row) for pack, last in _packs(path, cipher) if not last for row in pack)
    return About(header["made"], header["buckets"], count), rows


def _row(row: list[Any]) -> Row:
    key, kind, expires, value, part = row
    return key, kind, expires, value, part


def _header(path: Path) -> tuple[bytes, dict[str, Any]]:
    try:
        with path.open("rb") as file:
            if file.readline(100) != MAGIC:
                raise BackupError(f"{path} is not a backup of this program.")
            line = file.readline(1000)
            return line, json.loads(line)
    except OSError as error:
        raise BackupError(f"{path} cannot be read ({error.strerror}).") from None
    except ValueError:
        raise BackupError(f"{path} was changed: its second line is not what was written.") from None


def _packs(path: Path, cipher: Cipher) -> Iterator[tuple[list[Any], bool]]:
    header, about = _header(path)
    if not cipher.knows(bytes.fromhex(str(about.get("key", "")))):
        raise BackupError(f"{path} was sealed with a SECRET_KEY that is not in the ring; add it after the current one.")
    with path.open("rb") as file:
        file.seek(len(MAGIC) + len(header))
        number = 0
        while True:
            size = int.from_bytes(file.read(4), "big")
            sealed = file.read(size)
            if not size or len(sealed) < size:
                raise BackupError(f"{path} is only the first part of a backup; it ends after frame {number}.")
            pack = _opened(cipher, _bound(header, number), sealed)
            end = None if pack is not None else _opened(cipher, _bound(header, number) + ":end", sealed)
            if end is not None:
                yield end, True
                return
            if pack is None:
                raise BackupError(f"{path} was changed at frame {number}.")
            yield pack, False
            number += 1


def _opened(cipher: Cipher, bound: str, sealed: bytes) -> list[Any] | None:
    try:
        pack: list[Any] = json.loads(zlib.decompress(cipher.open(bound, sealed)))
    except UnreadableError:
        return None
    return pack


def restore(client: Any, cipher: Cipher, buckets: int, path: Path, *, moved: bool, now: float) -> About:
    """Everything of *path* into an empty store. Interrupted, it is run again; until it has ended nobody can use the store.

    *moved*: the old store was stopped before the backup, so nothing of it was done since. Else an effect that is due by
    *now* may have been done and is begun as ambiguous: a person looks, nothing is sent twice."""
    about, rows = read(path, cipher)
    if about.buckets != buckets:
        raise BackupError(f"The backup has BUCKETS={about.buckets}; set that. It is fixed for the life of the data.")
    kept = client.get(identity.KEY)
    if kept != identity.RESTORING and next(iter(client.scan_iter(match=OURS, count=1000)), None) is not None:
        raise BackupError("The target is not empty, and nothing is ever merged. Give it an empty server.")
    client.set(identity.KEY, identity.RESTORING)
    sealed, lasting, wall = "", set(), int(time.time() * 1000)
    for key, kind, expires, value, part in rows:
        if key == identity.KEY:
            sealed = value
        elif not expires or expires > wall:
            lasting |= set() if expires else {key}
            _put(client, key, kind, expires, value, part)
    for bucket in range(buckets) if not moved else ():
        for name, low, high in lanes.spans(now):
            most = "+inf" if name == "held" else high  # who held it then may have done it
            for raw in client.zrangebyscore(f"{{b{bucket}}}{name}", low, most):
                if client.exists(f"{{b{bucket}}}e:{raw.decode()}"):
                    client.hset(f"{{b{bucket}}}e:{raw.decode()}", "s", "doing")
    lost = [name for name in lasting if not client.exists(name)]
    if lost:
        raise BackupError(f"{len(lost)} keys are not in the target after writing them; is it full, or evicting?")
    if sealed:
        client.set(identity.KEY, sealed.encode("latin-1"))
    else:
        client.delete(identity.KEY)
    cipher.forget_identity()
    return about


def _put(client: Any, key: str, kind: str, expires: int, value: Any, part: int) -> None:
    with client.pipeline(transaction=True) as whole:
        if part == 0:
            whole.delete(key)
        if kind == "string":
            whole.set(key, value.encode("latin-1"))
        elif kind == "list":
            whole.rpush(key, *[one.encode("latin-1") for one in value])
        elif kind == "hash":
            whole.hset(key, mapping={name.encode("latin-1"): one.encode("latin-1") for name, one in value})
        elif kind == "set":
            whole.sadd(key, *[one.encode("latin-1") for one in value])
        else:
            whole.zadd(key, {member.encode("latin-1"): score for member, score in value})
        if expires:
            whole.pexpireat(key, expires)
        whole.execute()
