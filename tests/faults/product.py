"""The whole product under its own supervisor, with doors between its parts where a test can do harm.

``python -m tests.faults.product`` is ``python -m bot run`` with three differences: its parts run in tests/faults/part.py,
they reach the store through FAULTS_STORE_DOOR, and the store's server may not write past the size in FAULTS_DISK.
"""

from __future__ import annotations

import os
import resource
import signal
import sys
from contextlib import suppress
from pathlib import Path

from bot import run
from bot.store import embedded
from bot.store.embedded import EmbeddedServer
from tests.faults.between import CarrierDoor, StoreDoor
from tests.faults.part import Skew
from tests.whole import Whole

PARTS = {"web": "bot.web.serve", "worker": "workers.run", "other worker": "workers.run", "local Twilio": "bot.sandbox"}
SERVERS = ("valkey-server", "redis-server")


class Product(Whole):
    """Web, *workers*, store and local Twilio. *settle*: see part.py."""

    command = ("-m", "tests.faults.product")

    def __init__(self, *, workers: int, settle: float, **settings: str) -> None:
        super().__init__(OPT_OUT_MODE="app", WEB_PROCESSES="2", **settings)
        self.server, door = EmbeddedServer(self.folder), self.folder / "door"
        self.skew, self.disk = Skew(self.folder / "skew"), self.folder / "disk"
        self.store_door = StoreDoor(door, self.server.socket)
        self.carrier_door = CarrierDoor()
        self.environment |= {
            "FAULTS_STORE_DOOR": f"unix://{door}", "FAULTS_SKEW": str(self.folder / "skew"), "FAULTS_SETTLE": str(settle),
            "FAULTS_DISK": str(self.disk), "FAULTS_WORKERS": str(workers), "TWILIO_API_BASE": self.carrier_door.address,
        }  # fmt: skip

    def __enter__(self) -> Product:
        super().__enter__()
        self.carrier_door.upstream = self.address
        return self

    def stop(self) -> int:
        """Ctrl-C; the exit status."""
        status = super().stop()
        self.store_door.close()
        self.carrier_door.close()
        return status

    def cpu_seconds(self) -> float:
        """What all processes have used so far, the dead included."""
        assert self.process is not None
        ticks = 0
        for pid in (self.process.pid, *self.pids("")):
            with suppress(OSError):
                ticks += sum(map(int, Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[11:15]))
        return ticks / os.sysconf("SC_CLK_TCK")

    def pids(self, *names: str) -> list[int]:
        """Living processes of the product whose command holds one of *names*, parents before their children."""
        assert self.process is not None
        found, todo = [], [self.process.pid]
        while todo:
            pid = todo.pop(0)
            try:
                children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
            except OSError:
                continue
            for child in map(int, children):
                todo.append(child)
                try:
                    command = Path(f"/proc/{child}/cmdline").read_text().replace("\0", " ")
                except OSError:
                    continue
                if any(name in command for name in names):
                    found.append(child)
        return found

    def fill_disk(self) -> None:
        """The store's disk has room for a few kilobytes more, now and after every start."""
        written = sum(one.stat().st_size for one in self.server.folder.glob("appendonlydir/*.incr.aof"))
        self.disk.write_text(str(written + 4096))
        for pid in self.pids(*SERVERS):
            resource.prlimit(pid, resource.RLIMIT_FSIZE, (written + 4096, resource.RLIM_INFINITY))

    def make_room(self) -> None:
        """The disk has room again."""
        self.disk.unlink(missing_ok=True)
        for pid in self.pids(*SERVERS):
            resource.prlimit(pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))


def main() -> None:
    disk, die_with_parent, workers = (
        Path(os.environ["FAULTS_DISK"]), embedded._die_with_parent, int(os.environ["FAULTS_WORKERS"])
    )  # fmt: skip

    def limited() -> None:
        die_with_parent()
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)  # so that writing fails, as on a full disk, instead of killing
        if disk.exists():
            resource.setrlimit(resource.RLIMIT_FSIZE, (int(disk.read_text()), resource.RLIM_INFINITY))

    embedded._die_with_parent = limited
    EmbeddedServer.url = property(lambda self: os.environ["FAULTS_STORE_DOOR"])  # type: ignore[assignment,method-assign]
    wanted = [role for role in PARTS if role != "other worker" or workers > 1]
    run.PARTS = {role: [sys.executable, "-m", "tests.faults.part", role, PARTS[role]] for role in wanted}
    sys.exit(run.run(dict(os.environ), lambda said: print(said, flush=True)))


if __name__ == "__main__":
    main()
