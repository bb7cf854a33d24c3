"""What the deployment leaves for itself in the store: a relay's sign of life, the number of buckets. No patient."""

from __future__ import annotations

from typing import Any

from bot.store.store import Store


def note_sweep(store: Store, wall: float) -> None:
    """A relay has looked for due work at *wall*."""
    store.client.set(f"{store.tag(0)}swept", wall)


def last_sweep(store: Store) -> float | None:
    """When a relay last looked, or None."""
    found: Any = store.client.get(f"{store.tag(0)}swept")
    return float(found) if found else None


def begun_with(store: Store) -> int:
    """How many buckets the data was begun with; the first to ask decides."""
    store.client.set(f"{store.tag(0)}buckets", store.buckets, nx=True)
    found: Any = store.client.get(f"{store.tag(0)}buckets")
    return int(found or store.buckets)
