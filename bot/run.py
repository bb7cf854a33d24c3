"""``make run``: the whole product on one machine, in one foreground process group, until Ctrl-C.

Starts the embedded store, the web server, a worker and the local Twilio, restarts a part that dies, and stops all of
them together. For a clinic's own servers there is the Procfile; this file is not used there.
"""

from __future__ import annotations

import fcntl
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import IO
from urllib.request import urlopen

from bot.catalog import load_flows
from bot.proved import require_proof
from bot.settings import Settings
from bot.store.embedded import EmbeddedServer, ServerError
from bot.wiring import go_live

PARTS = {
    "web": [sys.executable, "-m", "bot.web.serve"],
    "worker": [sys.executable, "-m", "workers.run"],
    "console": [sys.executable, "-m", "bot.console.serve"],
    "local Twilio": [sys.executable, "-m", "bot.sandbox"],
}
READY_SECONDS = 20.0
RESTART_SECONDS, LONGEST_RESTART = 1.0, 5.0  # doubling: a part that cannot live must not spin
LIVED_SECONDS = 60.0  # who lived this long is started again at once


@dataclass
class Part:
    """One process of the product."""

    name: str
    command: list[str]
    environment: dict[str, str]
    process: subprocess.Popen[bytes] | None = None
    started: float = 0.0
    deaths: int = field(default=0)

    def start(self) -> None:
        self.process = subprocess.Popen(self.command, env=self.environment)  # noqa: S603  # our own modules only
        self.started = time.monotonic()

    def died(self) -> bool:
        return self.process is not None and self.process.poll() is not None

    def may_start_again(self) -> bool:
        """Dead, and its pause is over: after each death soon after a start the next start waits twice as long."""
        lived = time.monotonic() - self.started
        if lived > LIVED_SECONDS:
            self.deaths = 0
        return self.died() and lived > min(LONGEST_RESTART, RESTART_SECONDS * 2.0**self.deaths)


class StorePart(Part):
    """The store's server: started again like any other part, and stopped after them."""

    def __init__(self, server: EmbeddedServer) -> None:
        super().__init__("store", [], {})
        self.server = server

    def start(self) -> None:
        self.started = time.monotonic()
        with suppress(ServerError, OSError):  # tried again after the pause; its own words are in its log
            self.server.start()

    def died(self) -> bool:
        return self.server.process is not None and self.server.process.poll() is not None


def already_running(folder: Path) -> tuple[IO[str] | None, str]:
    """(lock, "") when this process may run here; (None, what the running one says of itself) when another does."""
    folder.mkdir(parents=True, exist_ok=True)
    lock = (folder / "run.lock").open("a+")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        lock.seek(0)
        said = lock.read()
        lock.close()
        return None, said
    return lock, ""


def free_port(wanted: int) -> int:
    """*wanted* when nobody listens there, else the next free one."""
    for port in range(wanted, wanted + 50):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise SystemExit(f"No free port from {wanted} to {wanted + 49}; set WEB_PORT or SANDBOX_PORT.")


def run(environment: dict[str, str], say: Callable[[str], None]) -> int:
    """Run everything until a signal comes. 0 after a clean stop, 1 when another run holds the data folder."""
    folder = Path(environment.get("DATA_DIR", "var"))
    lock, other = already_running(folder)
    if lock is None:
        about = json.loads(other or "{}")
        say(f"Already running (process {about.get('pid', '?')}): open {about.get('address', '?')}")
        return 1
    web, twilio = (
        free_port(int(environment.get("WEB_PORT", "8000"))),
        free_port(int(environment.get("SANDBOX_PORT", "8010"))),
    )
    environment = {
        "SANDBOX": "1",
        "PUBLIC_URL": f"http://127.0.0.1:{web}",
        "TWILIO_API_BASE": f"http://127.0.0.1:{twilio}",
        **environment,
        "WEB_PORT": str(web),
        "SANDBOX_PORT": str(twilio),
        "CONSOLE_PORT": str(free_port(int(environment.get("CONSOLE_PORT", "8020")))),
        "METRICS_PORT": str(free_port(int(environment.get("METRICS_PORT", "8030")))),
    }
    settings = Settings.load(environment)
    server = _store_with_flows(settings, environment, say)
    address = f"http://127.0.0.1:{twilio}/"
    lock.truncate(0)
    lock.write(json.dumps({"pid": os.getpid(), "address": address}))
    lock.flush()
    parts = [Part(name, command, environment) for name, command in PARTS.items()]
    try:
        return _supervise(server, parts, (f"http://127.0.0.1:{web}/healthz", address), address, say)
    finally:
        _stop(parts)
        if server:
            server.stop()
        lock.close()


def _store_with_flows(
    settings: Settings, environment: dict[str, str], say: Callable[[str], None]
) -> EmbeddedServer | None:
    """The store, in *environment* for the parts, with these flows published in it. A flow that is malformed or breaks an
    invariant is refused before anything starts, with every error."""
    if require_proof(load_flows(), settings.data_dir, settings.secret_keys[0]):
        say("The flows are proved safe (once for each version).")
    server = None
    if settings.state_url is None:
        server = EmbeddedServer(settings.data_dir)
        server.start()
        environment["STATE_URL"] = server.url
    try:
        for sentence in go_live(settings, environment.get("STATE_URL") or str(settings.state_url)):
            say(sentence)
    except BaseException:
        if server:
            server.stop()
        raise
    return server


def _supervise(
    server: EmbeddedServer | None, parts: list[Part], ready: tuple[str, ...], address: str, say: Callable[[str], None]
) -> int:
    stopping: list[int] = []

    def stop(number: int, frame: FrameType | None) -> None:
        stopping.append(number)

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, stop)
    for part in parts:
        part.start()
    watched = [StorePart(server), *parts] if server else parts
    _wait_until_ready(ready, parts, stopping)
    if not stopping:
        say(f"Ready. Open {address}  (Ctrl-C stops everything)")
    while not stopping:
        time.sleep(0.2)
        for part in watched:
            if part.may_start_again() and not stopping:
                part.deaths += 1
                say(f"The {part.name} stopped by itself and is started again.")
                part.start()
    say("Stopping ...")
    return 0


def _wait_until_ready(addresses: tuple[str, ...], parts: list[Part], stopping: list[int]) -> None:
    until = time.monotonic() + READY_SECONDS
    for address in addresses:
        while not stopping:
            try:
                with urlopen(address, timeout=1):  # noqa: S310  # loopback, our own
                    break
            except OSError:
                dead = [part.name for part in parts if part.died()]
                if dead or time.monotonic() > until:
                    raise SystemExit(
                        f"The {' and the '.join(dead) or 'product'} did not start; see the lines above."
                    ) from None
                time.sleep(0.05)


def _stop(parts: list[Part]) -> None:
    for part in parts:
        if part.process and part.process.poll() is None:
            part.process.terminate()
    until = time.monotonic() + 8
    for part in parts:
        if part.process:
            try:
                part.process.wait(max(0.1, until - time.monotonic()))
            except subprocess.TimeoutExpired:
                part.process.kill()
                part.process.wait()
