"""Real servers on loopback, several of them: a primary with a replica and three Sentinels, or a Cluster. Not a test.

Started from the binary that the product embeds; *servers* names another, such as Debian's redis-server.
"""

from __future__ import annotations

import random
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from redis import Redis

from bot.store.client import AWAY, connect
from bot.store.embedded import find_server

DOWN_MILLISECONDS = 800  # how long a server is silent before the others replace it


def until(check: Callable[[], Any], what: str, seconds: float = 30.0) -> Any:
    """What *check* gives once it is true; a server that does not answer yet counts as no."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        try:
            found = check()
        except AWAY:
            found = None
        if found:
            return found
        time.sleep(0.05)
    raise AssertionError(f"never happened: {what}")


def free_ports(count: int) -> list[int]:
    """Ports nobody listens on, nor on the bus port 10,000 higher; below those that the system gives to whoever connects, or
    another test's client may have one before its server begins."""
    found: list[int] = []
    while len(found) < count:
        port = random.SystemRandom().randrange(11_000, 22_000)
        if port not in found and _is_free(port) and _is_free(port + 10_000):
            found.append(port)
    return found


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


class Fleet:
    """Servers by port, and one folder for all of them."""

    def __init__(self, binary: Path | None = None) -> None:
        self.binary = binary or find_server()
        self.folder = Path(tempfile.mkdtemp(prefix="tb-fleet-"))
        self.running: dict[int, subprocess.Popen[bytes]] = {}
        self.url = ""

    def start(self, port: int, *more: str, sentinel: str = "") -> None:
        """One server, or one Sentinel with the configuration *sentinel*."""
        home = self.folder / str(port)
        home.mkdir(exist_ok=True)
        command = [str(self.binary)]
        if sentinel:
            (home / "conf").write_text(sentinel)
            command += [str(home / "conf"), "--sentinel"]
        else:
            command += [
                "--appendonly",
                "yes",
                "--appendfsync",
                "always",
                "--save",
                "",
                "--repl-diskless-sync-delay",
                "0",
            ]
        command += ["--port", str(port), "--bind", "127.0.0.1", "--dir", str(home), *more]
        self.running[port] = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        until(lambda: self.at(port).ping(), f"the server on {port} answers")

    def at(self, port: int) -> Redis:
        """A client of that one server."""
        return connect(f"redis://127.0.0.1:{port}")

    def kill(self, port: int) -> None:
        """As a power cut does."""
        process = self.running.pop(port)
        process.send_signal(signal.SIGKILL)
        process.wait()

    def stop(self) -> None:
        for port in list(self.running):
            self.kill(port)
        shutil.rmtree(self.folder, ignore_errors=True)


@contextmanager
def sentinel_trio(binary: Path | None = None) -> Iterator[Fleet]:
    """A primary, a replica, three Sentinels."""
    fleet = Fleet(binary)
    primary, replica, *watchers = free_ports(5)
    try:
        fleet.start(primary)
        fleet.start(replica, "--replicaof", "127.0.0.1", str(primary))
        until(lambda: fleet.at(replica).info("replication")["master_link_status"] == "up", "the replica follows")
        for watcher in watchers:
            conf = (
                f"sentinel monitor clinic 127.0.0.1 {primary} 2\n"
                f"sentinel down-after-milliseconds clinic {DOWN_MILLISECONDS}\n"
                "sentinel failover-timeout clinic 5000\n"
            )
            fleet.start(watcher, sentinel=conf)
        for watcher in watchers:
            until(lambda at=watcher: _knows(fleet.at(at)), "the Sentinels know each other and the replica")  # type: ignore[misc]
        fleet.url = "redis+sentinel://" + ",".join(f"127.0.0.1:{watcher}" for watcher in watchers) + "/clinic"
        yield fleet
    finally:
        fleet.stop()


def _knows(watcher: Redis) -> bool:
    state: Any = watcher.execute_command("SENTINEL", "MASTER", "clinic")
    pairs = state if isinstance(state, dict) else dict(zip(state[::2], state[1::2], strict=True))
    plain = {_text(name): _text(value) for name, value in pairs.items()}
    return (plain["num-slaves"], plain["num-other-sentinels"]) == ("1", "2")


def _text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)


@contextmanager
def cluster(binary: Path | None = None, *, replicas: bool = True) -> Iterator[Fleet]:
    """Three primaries, each with a replica when *replicas*."""
    fleet = Fleet(binary)
    ports = free_ports(6 if replicas else 3)
    try:
        for port in ports:
            fleet.start(port, "--cluster-enabled", "yes", "--cluster-node-timeout", str(DOWN_MILLISECONDS))
        primaries, followers = ports[:3], ports[3:]
        for number, port in enumerate(primaries):
            first, last = number * 5462, min(16_383, number * 5462 + 5461)
            fleet.at(port).execute_command("CLUSTER", "ADDSLOTSRANGE", first, last)
            fleet.at(port).execute_command("CLUSTER", "SET-CONFIG-EPOCH", number + 1)
        for port in ports[1:]:
            fleet.at(port).execute_command("CLUSTER", "MEET", "127.0.0.1", ports[0])
        until(lambda: all(_peers(fleet.at(port)) == len(ports) for port in ports), "the nodes know each other")
        for port, primary in zip(followers, primaries, strict=False):
            name: Any = fleet.at(primary).execute_command("CLUSTER", "MYID")
            until(lambda at=port, of=name: fleet.at(at).execute_command("CLUSTER", "REPLICATE", of), "it follows")  # type: ignore[misc]
        for port in followers:
            until(lambda at=port: fleet.at(at).info("replication")["master_link_status"] == "up", "a replica follows")  # type: ignore[misc]
        until(lambda: all("cluster_state:ok" in _state(fleet.at(port)) for port in ports), "the cluster is well")
        fleet.url = "redis+cluster://" + ",".join(f"127.0.0.1:{port}" for port in ports)
        yield fleet
    finally:
        fleet.stop()


def _peers(node: Redis) -> int:
    found: Any = node.execute_command("CLUSTER", "NODES")
    lines = found.values() if isinstance(found, dict) else _text(found).splitlines()
    return len(list(lines))


def _state(node: Redis) -> str:
    found: Any = node.execute_command("CLUSTER", "INFO")
    return "cluster_state:" + found["cluster_state"] if isinstance(found, dict) else _text(found)
