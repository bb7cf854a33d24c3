"""What is sealed at rest, and the opaque patient id. AES-256-GCM bound to the Redis key; a ring of keys by id.

Ids, chains and link tokens are keyed by the *identity*, a secret that never changes (bot/store/identity.py keeps it): the
ring may be changed, but a patient's id, and with it their STOP, must stay where it is.

A phone number never leaves as a plain hash: ten digits can be counted through, so the id is keyed (trust.md section 4).
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import os
from collections.abc import Callable, Sequence
from functools import lru_cache

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

_NONCE = 12


class UnreadableError(ValueError):
    """Sealed bytes that no key of the ring opens under this Redis key: another key, another place, or a flipped bit."""


def _derive(secret: bytes, purpose: str) -> bytes:
    return HKDF(SHA256(), 32, b"triage-bot/1", purpose.encode()).derive(secret)


def id_under(key: bytes, phone: str) -> str:
    digest = hmac.digest(key, phone.encode("utf-8", "replace"), "sha256")
    return base64.urlsafe_b64encode(digest[:16]).decode().rstrip("=")


class Cipher:
    """*secrets*: the current secret first, then older ones that may still open what they sealed."""

    def __init__(self, secrets: Sequence[bytes]) -> None:
        if not secrets or any(len(secret) < 32 for secret in secrets):
            raise ValueError("Every secret key must have at least 32 bytes.")
        self._ring: dict[bytes, AESGCM] = {}
        for secret in secrets:
            key = _derive(secret, "seal")
            self._ring.setdefault(hashlib.sha256(key).digest()[:2], AESGCM(key))
        self._current = next(iter(self._ring))
        # Without a store (chat, replay), and for a new store, the oldest secret is the identity: every process of a fleet
        # then begins with the same one.
        self.first_identity = secrets[-1]
        self._learn: Callable[[], bytes] = lambda: self.first_identity
        self._keys: dict[str, bytes] = {}
        self.patient_id = lru_cache(maxsize=4096)(self._patient_id)

    def learn_from(self, learn: Callable[[], bytes]) -> None:
        """Where the identity is kept. It is asked for when it is first needed, and again when that failed."""
        self._learn = learn
        self.forget_identity()

    def forget_identity(self) -> None:
        """Ask for it again when it is next needed."""
        self._keys.clear()
        self.patient_id.cache_clear()

    def _key(self, purpose: str) -> bytes:
        if purpose not in self._keys:
            identity = self._learn()
            self._keys |= {name: _derive(identity, name) for name in ("patient", "chain", "token")}
        return self._keys[purpose]

    def seal(self, key: str, plain: bytes) -> bytes:
        """*plain* for the Redis key *key*: key id (2) | nonce (12) | ciphertext; 30 bytes longer."""
        nonce = os.urandom(_NONCE)
        return self._current + nonce + self._ring[self._current].encrypt(nonce, plain, key.encode())

    def open(self, key: str, sealed: bytes) -> bytes:
        """What seal was given. Raises UnreadableError, which names neither key nor content."""
        box = self._ring.get(sealed[:2])
        if box is None:
            raise UnreadableError("This was sealed with a secret key that is not in the ring; check SECRET_KEY.")
        try:
            return box.decrypt(sealed[2 : 2 + _NONCE], sealed[2 + _NONCE :], key.encode())
        except InvalidTag:
            raise UnreadableError("Sealed bytes were changed or moved; they do not open in this place.") from None

    def knows(self, sealed: bytes) -> bool:
        """These bytes begin as if sealed with a key of the ring."""
        return sealed[:2] in self._ring

    def is_current(self, sealed: bytes) -> bool:
        """Sealed with the current secret."""
        return sealed[:2] == self._current

    def _patient_id(self, phone: str) -> str:
        """The opaque id of a phone number: 22 url-safe characters of a keyed hash."""
        return id_under(self._key("patient"), phone)

    def id_if(self, identity: bytes, phone: str) -> str:
        """The id that *phone* would have under another identity."""
        return id_under(_derive(identity, "patient"), phone)

    def link(self, before: bytes, entry: bytes) -> bytes:
        """The next link of a log's chain: HMAC over the link before and the entry, 16 bytes. Over the entry in clear, so
        that sealing it under a new key does not break the chain."""
        return hmac.digest(self._key("chain"), before + entry, "sha256")[:16]

    def token_hash(self, token: str) -> str:
        """What of a link token is kept."""
        digest = hmac.digest(self._key("token"), token.encode("utf-8", "replace"), "sha256")
        return base64.urlsafe_b64encode(digest[:16]).decode().rstrip("=")
