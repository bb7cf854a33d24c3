"""What the ledger knows of texts and calls that were handed to the carrier: marked before, attributed after."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from bot.store.model import Claim, Delivery
from bot.store.runner import Call
from bot.store.store import STATUS_SECONDS, Store


@dataclass(frozen=True, slots=True)
class Sent:
    """Something that was handed to the carrier: whose it is, the effect's kind and what of its body is kept (never the
    words: they are the stored answer of ``fx:<effect>``, for two days), and when."""

    patient: str
    kind: str
    told: Mapping[str, Any]
    at: float = 0.0


@dataclass(frozen=True, slots=True)
class Marked:
    """How often an effect was marked; 0: somebody else has claimed it, or it was cancelled, so it must not be sent. And
    the patient's *record* in that very moment."""

    tries: int
    record: bytes | None = None


class Sends:
    """The send side of one ledger."""

    def __init__(self, store: Store) -> None:
        self.store = store

    def mark(
        self, claim: Claim, patient: str, now: float, kind: str = "", told: Mapping[str, Any] = MappingProxyType({})
    ) -> Marked:
        """From here on it may have been sent. *kind* and *told*: of the effect, for a report that comes late."""
        store, tag = self.store, self.store.tag_of(claim.id)
        record = f"{store.tag(store.bucket(patient))}p:{patient}"
        keys = [f"{tag}e:{claim.id}", f"{tag}o:{claim.id}", f"{tag}held", record]
        sealed = self._sealed(claim.id, Sent(patient, kind, told, now))
        found = store.mark_sent(keys=keys, args=[claim.id, claim.till, now, sealed, STATUS_SECONDS])
        return Marked(int(found[0]), store.opened(patient, found[1]) if found[1:] and found[1] else None)

    def is_gone(self, effect_id: str) -> bool:
        """Taken back before it was sent: neither planned any more, nor known to the carrier."""
        planned = self.store.client.exists(f"{self.store.tag_of(effect_id)}e:{effect_id}")
        return not planned and self.known(effect_id) is None

    def keep(self, effect_id: str, what: Sent) -> None:
        """Remember what *effect_id* sent without a claim, as mark does."""
        key = f"{self.store.tag_of(effect_id)}o:{effect_id}"
        self.store.client.set(key, self._sealed(effect_id, what), ex=STATUS_SECONDS)

    def what(self, effect_id: str) -> Sent | None:
        """What mark kept; None when nothing is known under this id."""
        key = f"{self.store.tag_of(effect_id)}o:{effect_id}"
        found: Any = self.store.client.get(key)
        if not found:
            return None
        plain = self.store.cipher.open(key, found).decode()
        # Until 2026-11 the patient's id stood here alone.
        return Sent(*json.loads(plain)) if plain.startswith("[") else Sent(plain, "", {})

    def _sealed(self, effect_id: str, what: Sent) -> bytes:
        kept = {name: value for name, value in what.told.items() if name not in ("p", "body")}
        plain = json.dumps([what.patient, what.kind, kept, what.at]).encode()
        return self.store.cipher.seal(f"{self.store.tag_of(effect_id)}o:{effect_id}", plain)

    def sent(self, effect_id: str, sid: str, now: float) -> None:
        """The carrier took it under *sid*."""
        self.store.run_all([self.took(effect_id, sid, now)])

    def took(self, effect_id: str, sid: str, now: float) -> Call:
        """What `sent` runs."""
        return self.store.status_of(effect_id, "accepted", 0, now, sid)

    def known(self, effect_id: str) -> Delivery | None:
        """What the carrier said of it, in an answer or in a callback; None: nothing yet."""
        return self.store.delivery(effect_id)

    def whose(self, sid: str, effect_id: str) -> str | None:
        """The effect that *sid* is known to belong to, among those of the patient of *effect_id*."""
        found: Any = self.store.client.get(f"{self.store.tag_of(effect_id)}s:{sid}")
        return found.decode() if found else None

    def settled(self, effect_id: str, how: str) -> None:
        """How an ambiguous send was reconciled: ``callback`` | ``found`` | ``again`` | ``person``."""
        key = f"{self.store.tag_of(effect_id)}m:{effect_id}"
        self.store.client.hset(key, "how", how)
        self.store.client.expire(key, STATUS_SECONDS)

    def how(self, effect_id: str) -> str:
        """What settled noted; "" when the send was never ambiguous."""
        found: Any = self.store.client.hget(f"{self.store.tag_of(effect_id)}m:{effect_id}", "how")
        return found.decode() if found else ""
