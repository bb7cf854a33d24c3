"""The virtual clock of the sandbox: one small file says how far ahead of the wall clock everybody is.

Web, worker and local Twilio read the same file, so "24 hours later" happens to all of them at once. Never used outside
the sandbox, and it never goes backwards: nothing in the product copes with time running the other way.
"""

from __future__ import annotations

import fcntl
import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

FILE = "sandbox-clock.json"


def clock_in(data_dir: Path) -> SandboxClock:
    """The clock every process of one sandbox shares: ``sandbox-clock.json`` in its data directory."""
    return SandboxClock(data_dir / FILE)


class SandboxClock:
    """``SandboxClock(path)()`` is epoch seconds, moved ahead by what *path* says. Usable by many processes at once."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self._path = Path(path)

    def __call__(self) -> float:
        return time.time() + self.offset()

    def offset(self) -> float:
        """Seconds ahead of the wall clock; 0.0 when the file does not exist yet.

        Raises ValueError, naming the file, when somebody wrote something else into it."""
        try:
            text = self._path.read_text(encoding="utf-8")
        except FileNotFoundError:
            return 0.0
        try:
            return float(json.loads(text)["offset_seconds"])
        except (ValueError, KeyError, TypeError) as wrong:
            raise ValueError(f"{self._path} is not a sandbox clock. Delete it to return to the present.") from wrong

    def advance(self, seconds: float) -> float:
        """Moves the time of every process ahead by *seconds* (0 or more) and returns the new time."""
        if not seconds >= 0:
            raise ValueError(f"The sandbox clock only moves forward, not by {seconds} seconds.")
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with self._locked():
            ahead = self.offset() + seconds
            fresh = self._path.with_name(f"{self._path.name}.{os.getpid()}.new")
            fresh.write_text(json.dumps({"offset_seconds": ahead}), encoding="utf-8")
            # A reader must see the old file or the new one, never half of one.
            fresh.replace(self._path)
        return time.time() + ahead

    @contextmanager
    def _locked(self) -> Iterator[None]:
        with open(self._path.with_name(self._path.name + ".lock"), "a", encoding="utf-8") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield
