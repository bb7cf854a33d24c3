"""How far a worker is with a campaign as a whole. Storage only; decides nothing.

Keys (``{bC}`` = bucket of the campaign's id): {bC}c:<id>:file the file while it is entered, sealed; of the campaign's own hash
``n`` how many chunks are entered, ``r`` the step that gave the times.
"""

from __future__ import annotations

import json
from typing import Any

from bot.outreach.roster import Roster

FILE_SECONDS = 86_400  # a worker takes seconds; after this the same file is sent again


class Underway:
    """Of one ledger's campaigns."""

    def __init__(self, roster: Roster) -> None:
        self.roster = roster

    def keep_file(self, campaign: str, about: dict[str, Any], raw: bytes) -> None:
        """The file that a worker is to enter, and what was chosen for it. Not packed: erasing finds a number in it."""
        key = f"{self.roster.key(campaign)}:file"
        self.roster.client.set(
            key, self.roster.cipher.seal(key, json.dumps(about).encode() + b"\n" + raw), ex=FILE_SECONDS
        )

    def file(self, campaign: str) -> tuple[dict[str, Any], bytes] | None:
        """What keep_file was given, or None when all are entered or it is too long ago."""
        key = f"{self.roster.key(campaign)}:file"
        sealed: Any = self.roster.client.get(key)
        if sealed is None:
            return None
        about, _, raw = self.roster.cipher.open(key, sealed).partition(b"\n")
        return json.loads(about), raw

    def has_file(self, campaign: str) -> bool:
        """Whether a worker can go on entering."""
        return bool(self.roster.client.exists(f"{self.roster.key(campaign)}:file"))

    def drop_file(self, campaign: str) -> None:
        """Nobody needs it any more."""
        self.roster.client.delete(f"{self.roster.key(campaign)}:file")

    def entered(self, campaign: str) -> int:
        """How many chunks of the file are entered."""
        found: Any = self.roster.client.hget(self.roster.key(campaign), "n")
        return int(found or 0)

    def set_entered(self, campaign: str, chunks: int) -> None:
        """As entered."""
        self.roster.client.hset(self.roster.key(campaign), "n", chunks)

    def timed_by(self, campaign: str) -> str:
        """The step that gave the times last."""
        found: Any = self.roster.client.hget(self.roster.key(campaign), "r")
        return found.decode() if found else ""

    def set_timed_by(self, campaign: str, step: str) -> None:
        """As timed_by."""
        self.roster.client.hset(self.roster.key(campaign), "r", step)
