"""What came in while the store was away, on this machine's disk: sealed, synced, taken up in the order it came.

One file per entry, named by its place in the order. Knows nothing of what an entry means; never holds a word in clear.
"""

from __future__ import annotations

import fcntl
import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from bot.store.cipher import Cipher

MOST_ENTRIES = 100_000  # about 400 MB; only signed webhooks come here, so this is weeks of a clinic's texts
_WAITING, _ASIDE = ".in", ".bad"
_TICK_NS = 50_000_000  # a folder's time is coarse: younger than this it may hide a file that just came


class SpoolFullError(RuntimeError):
    """The disk or the folder has no room for what came in."""


class Spool:
    """One folder, any number of processes and threads of one machine."""

    def __init__(self, folder: Path, cipher: Cipher) -> None:
        self.folder, self.cipher, self._path = folder, cipher, str(folder)
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._empty_at = 0

    def keep(self, entry: dict[str, Any]) -> None:
        """On disk when this returns. Raises SpoolFullError."""
        try:
            with self._order() as number:
                name = f"{number:020d}{_WAITING}"
                draft = self.folder / f"{name}.part"
                with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
                    file.write(self.cipher.seal(f"spool:{name}", json.dumps(entry).encode()))
                    file.flush()
                    os.fsync(file.fileno())
                draft.rename(self.folder / name)
                self._sync_folder()
        except OSError as error:
            raise SpoolFullError(f"The spool in {self.folder} cannot be written ({error.strerror}).") from None

    def waiting(self) -> bool:
        """Something is to be taken up. One stat call while the folder does not change; False when it is gone."""
        try:
            changed = os.stat(self._path).st_mtime_ns
            if changed == self._empty_at:
                return False
            found = bool(self.names())
        except OSError:
            return False
        if not found and time.time_ns() - changed > _TICK_NS:
            self._empty_at = changed
        return found

    def names(self) -> list[str]:
        """What waits, oldest first."""
        return sorted(name for name in os.listdir(self.folder) if name.endswith(_WAITING))

    def aside(self) -> int:
        """How many entries could not be taken up and wait for a person."""
        return sum(name.endswith(_ASIDE) for name in os.listdir(self.folder))

    def read(self, name: str) -> dict[str, Any]:
        """One entry. Raises ValueError when it cannot be opened or read."""
        found: dict[str, Any] = json.loads(self.cipher.open(f"spool:{name}", (self.folder / name).read_bytes()))
        return found

    def remove(self, name: str) -> None:
        """It was taken up."""
        (self.folder / name).unlink(missing_ok=True)

    def set_aside(self, name: str) -> None:
        """It cannot be taken up; it must not block the others."""
        (self.folder / name).rename(self.folder / (name + _ASIDE))

    @contextmanager
    def alone(self) -> Iterator[bool]:
        """True for the one process that may take up now."""
        lock = os.open(self.folder / "taking", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                yield False
            else:
                yield True
        finally:
            os.close(lock)

    @contextmanager
    def _order(self) -> Iterator[int]:
        """The next place; times of the wall clock, but never one twice and never backwards."""
        lock = os.open(self.folder / "last", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
            last = int(os.pread(lock, 20, 0) or b"0")
            if len(os.listdir(self.folder)) > MOST_ENTRIES:
                raise OSError(28, "too many entries")
            number = max(time.time_ns(), last + 1)
            os.pwrite(lock, f"{number:020d}".encode(), 0)
            yield number
        finally:
            os.close(lock)

    def _sync_folder(self) -> None:
        folder = os.open(self.folder, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
