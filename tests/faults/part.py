"""``python -m tests.faults.part ROLE MODULE``: one process of the product whose clock a test can set wrong.

Runs the unchanged MODULE. ``time.time`` is ahead by the number that the test keeps for ROLE in the file FAULTS_SKEW; a
worker believes after FAULTS_SETTLE seconds, not after three minutes, that a send cannot be found.
"""

from __future__ import annotations

import faulthandler
import mmap
import os
import runpy
import signal
import struct
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

ROLES = ("web", "worker", "other worker", "local Twilio")
SIZE = struct.calcsize("d")


class Skew:
    """Seconds by which each role's clock is wrong, shared by file."""

    def __init__(self, path: Path) -> None:
        if not path.exists():
            path.write_bytes(bytes(SIZE * len(ROLES)))
        with path.open("r+b") as file:
            self._map = mmap.mmap(file.fileno(), 0)

    def __getitem__(self, role: str) -> float:
        return float(struct.unpack_from("d", self._map, ROLES.index(role) * SIZE)[0])

    def __setitem__(self, role: str, seconds: float) -> None:
        struct.pack_into("d", self._map, ROLES.index(role) * SIZE, seconds)


def settle_sooner(seconds: float) -> None:
    """The wait of reconcile.py is for requests that live ten seconds and clocks that jump; none of ours live so long."""
    from bot import followups, wiring

    office = wiring.App.office

    def sooner(app: wiring.App) -> Any:
        return replace(office(app), settle=seconds)

    wiring.App.office = sooner  # type: ignore[method-assign]
    followups.LOOK_SECONDS = min(followups.LOOK_SECONDS, seconds)


def main() -> None:
    role, module = sys.argv[1:3]
    faulthandler.register(signal.SIGUSR1)  # every thread says where it is, when a run is stuck
    skew, real = Skew(Path(os.environ["FAULTS_SKEW"])), time.time
    time.time = lambda: real() + skew[role]
    if "worker" in role:
        settle_sooner(float(os.environ["FAULTS_SETTLE"]))
    sys.argv = [module]
    runpy.run_module(module, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
