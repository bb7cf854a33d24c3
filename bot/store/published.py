"""What was published: the texts of flows and words by their hash, the editions by their mark, and what went live when.

Sealed like everything else, because whoever could change a kept flow would change what patients are asked. Nothing here
is of a patient. Kept for as long as a log or an open session names it, which is always: 15 kB a version.

Keys: pub:<hash or mark> sealed zlib of the text · pub:log list of sealed JSON entries, newest last
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Mapping
from typing import Any

from redis import Redis

from bot.store.cipher import Cipher

LOG = "pub:log"
APPEND = """
if redis.call('LLEN', KEYS[1]) ~= tonumber(ARGV[1]) then return 0 end
redis.call('RPUSH', KEYS[1], ARGV[2])
return 1
"""


class Published:
    """Kept once under what it hashes to; the log only grows."""

    def __init__(self, client: Redis, cipher: Cipher) -> None:
        self.client, self.cipher = client, cipher
        self._append: Any = client.register_script(APPEND)

    def keep(self, texts: Mapping[str, str]) -> None:
        """Keep *texts* by their name; what is kept already stays as it is."""
        for name, text in texts.items():
            key = f"pub:{name}"
            if not self.client.exists(key):
                self.client.set(key, self.cipher.seal(key, zlib.compress(text.encode(), 9)), nx=True)

    def text(self, name: str) -> str | None:
        """What was kept under *name*. Raises UnreadableError when it was changed."""
        key = f"pub:{name}"
        found: Any = self.client.get(key)
        return zlib.decompress(self.cipher.open(key, found)).decode() if found else None

    def has(self, name: str) -> bool:
        """Something is kept under *name*."""
        return bool(self.client.exists(f"pub:{name}"))

    def log(self) -> list[dict[str, Any]]:
        """Every publishing, oldest first; the last one is live."""
        found: Any = self.client.lrange(LOG, 0, -1)
        return [json.loads(self.cipher.open(LOG, raw)) for raw in found or ()]

    def append(self, entry: Mapping[str, Any], after: int) -> bool:
        """Make *entry* the live one; False when another was published since the log had *after* entries."""
        sealed = self.cipher.seal(LOG, json.dumps(entry, ensure_ascii=True).encode())
        return bool(self._append(keys=[LOG], args=[after, sealed]))
