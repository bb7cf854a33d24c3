"""Where the gathering of replies that were not understood stands, and what it found: sealed, because words are in both.

Keys: {b0}unread sweep  place and phrases so far, while it goes on      {b0}unread  what at least five patients wrote
"""

from __future__ import annotations

import json
from typing import Any

from bot.store.store import Store

UNREAD = "unread"
EFFECT = "0-unread"
SWEEP_SECONDS = 2 * 86_400


class Heard:
    """Of one ledger."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self._sweep, self._found = f"{store.tag(0)}unread sweep", f"{store.tag(0)}unread"

    def place(self) -> dict[str, Any] | None:
        """What go_on_from kept; None: nothing is under way."""
        return self._get(self._sweep)

    def go_on_from(self, place: dict[str, Any] | None) -> None:
        """For whoever goes on; None: it is done."""
        if place is None:
            self.store.client.delete(self._sweep)
        else:
            self.store.client.set(self._sweep, self._seal(self._sweep, place), ex=SWEEP_SECONDS)

    def keep(self, found: dict[str, Any]) -> None:
        """What was found, in the place of what was found before."""
        self.store.client.set(self._found, self._seal(self._found, found))

    def kept(self) -> dict[str, Any] | None:
        """What keep was given last."""
        return self._get(self._found)

    def _seal(self, key: str, value: dict[str, Any]) -> bytes:
        return self.store.cipher.seal(key, json.dumps(value, ensure_ascii=True).encode())

    def _get(self, key: str) -> dict[str, Any] | None:
        raw: Any = self.store.client.get(key)
        found: dict[str, Any] | None = json.loads(self.store.cipher.open(key, raw)) if raw else None
        return found
