"""The identity: the secret that patients' ids, chains and link tokens are keyed with. It never changes.

Kept in the store itself, sealed with the ring under ``{identity}``: it is lost, restored and moved together with what it
names, and needs no setting. It begins as the oldest secret of the ring, so that all processes of a fleet begin with the
same one, whoever comes first and whatever a failover loses in that second. Never replaced: where it is missing beside
patients whose ids do not fit, or cannot be opened, everything stops in words, since a new one would orphan every STOP.
"""

from __future__ import annotations

import json
from typing import Any

from bot.store.cipher import Cipher, UnreadableError

KEY = "{identity}"
RESTORING = b"restoring"


class IdentityError(RuntimeError):
    """The identity cannot be used; the message says what to do."""


def learn(client: Any, cipher: Cipher, buckets: int) -> bytes:
    """The identity of this store, made now when the store is new. Raises IdentityError, and what Redis raises."""
    kept = client.get(KEY)
    if kept is None:
        _check_patients(client, cipher, buckets)
        client.set(KEY, cipher.seal(KEY, cipher.first_identity), nx=True)
        kept = client.get(KEY)
    if kept == RESTORING:
        raise IdentityError("A restore of this store has begun and not ended; run python -m bot restore FILE again.")
    try:
        return cipher.open(KEY, kept)
    except UnreadableError:
        raise IdentityError(
            "The store was sealed with a SECRET_KEY that is not in the ring; add the old key after the current one."
        ) from None


def _check_patients(client: Any, cipher: Cipher, buckets: int) -> None:
    for bucket in range(buckets):
        for raw in client.zrange(f"{{b{bucket}}}recent", 0, 4):
            key = f"{{b{bucket}}}p:{raw.decode()}"
            phone = _phone_in(client.get(key), key, cipher)
            if phone and cipher.id_if(cipher.first_identity, phone) != raw.decode():
                raise IdentityError(
                    "The store has patients but not the secret that their ids are made with. Restore it from a backup"
                    " (python -m bot restore FILE into an empty server), or put the first SECRET_KEY at the end of the ring."
                )


def _phone_in(record: bytes | None, key: str, cipher: Cipher) -> str:
    if not record:
        return ""
    number, chain, sealed = record.split(b"|", 2)
    try:
        found = json.loads(cipher.open(f"{key}|{number.decode()}|{chain.decode()}|", sealed))
    except UnreadableError:
        raise IdentityError(
            "The store was sealed with a SECRET_KEY that is not in the ring; add the old one."
        ) from None
    except ValueError:
        return ""
    return str(found.get("p", "")) if isinstance(found, dict) else ""
