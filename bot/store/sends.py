"""What the ledger knows of texts and calls that were handed to the carrier: marked before, attributed after."""

from __future__ import annotations

from typing import Any

from bot.store.model import Claim, Delivery
from bot.store.store import STATUS_SECONDS, Store


class Sends:
    """The send side of one ledger."""

    def __init__(self, store: Store) -> None:
        self.store = store

    def mark(self, claim: Claim, patient: str, now: float) -> int:
        """From here on it may have been sent. How often it was marked; 0: somebody else has claimed it, or it was
        cancelled, so it must not be sent."""
        store, tag = self.store, self.store.tag_of(claim.id)
        sealed = store.cipher.seal(f"{tag}o:{claim.id}", patient.encode())
        args = [claim.attempt, now, sealed, STATUS_SECONDS]
        return int(store.mark_sent(keys=[f"{tag}e:{claim.id}", f"{tag}o:{claim.id}"], args=args))

    def sent(self, effect_id: str, sid: str, now: float) -> None:
        """The carrier took it under *sid*."""
        self.store.set_status(effect_id, "accepted", 0, now, sid)

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
