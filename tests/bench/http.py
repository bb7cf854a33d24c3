"""The webhook over HTTP on the default server: closed loops at 1, 16 and 64 connections, an open loop at a fixed rate,
and the same with a thousand half-sent requests held open. All doors in turn, so that noise hits them alike."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import os
import signal
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bot.store.embedded import EmbeddedServer
from tests.bench import doors

HALF = b"POST /sms HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Le"
_phones = itertools.count(20_000_000)


@dataclass
class Served:
    """A door that answers on *port*; *ready* seconds from start to the first answer."""

    port: int
    process: subprocess.Popen[bytes]
    ready: float

    def rss_mb(self) -> list[float]:
        """Resident memory of every worker process."""
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()
        lines = [Path(f"/proc/{child}/status").read_text() for child in children]
        return [int(text.split("VmRSS:")[1].split()[0]) / 1024 for text in lines]


@contextlib.contextmanager
def served(name: str, state_url: str, data_dir: Path, processes: int) -> Iterator[Served]:
    """*name* on the product's server."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "tests.bench.server", name, state_url, str(data_dir), str(port), str(processes)]
    began = time.monotonic()
    process = subprocess.Popen(command)
    try:
        asyncio.run(_first_answer(port, process))
        yield Served(port, process, time.monotonic() - began)
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(20)


async def _first_answer(port: int, process: subprocess.Popen[bytes]) -> None:
    while True:
        if process.poll() is not None:
            raise RuntimeError("A server of the bench ended before it answered.")
        try:
            async with _connection(port) as line:
                await line.ask(doors.text(0, "hi", next(_phones)).raw())
                return
        except OSError:
            await asyncio.sleep(0.01)


class _Line:
    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    async def ask(self, raw: bytes) -> None:
        self.writer.write(raw)
        head = await self.reader.readuntil(b"\r\n\r\n")
        length = int(head.lower().split(b"content-length:")[1].split(b"\r\n")[0])
        body = await self.reader.readexactly(length)
        if b" 200 " not in head[:16] or b"<Response" not in body:
            raise RuntimeError(f"The bench got {head[:40]!r}.")


@contextlib.asynccontextmanager
async def _connection(port: int) -> Any:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        yield _Line(reader, writer)
    finally:
        writer.close()


def _walk() -> list[bytes]:
    phone = next(_phones)
    return [doors.text(number, said, phone).raw() for number, said in enumerate(doors.WALK)]


def closed(port: int, connections: int, walks: int) -> dict[str, float]:
    """Requests a second and latencies (ms): each connection asks as soon as it was answered, whole walks at a time."""
    work, took = [_walk() for _ in range(walks)], []

    async def one() -> None:
        async with _connection(port) as line:
            while work:
                for raw in work.pop():
                    began = time.perf_counter()
                    await line.ask(raw)
                    took.append((time.perf_counter() - began) * 1000)

    async def all_() -> float:
        began = time.perf_counter()
        await asyncio.gather(*(one() for _ in range(connections)))
        return time.perf_counter() - began

    seconds = asyncio.run(all_())
    return {"rps": len(took) / seconds, **_latency(took)}


def open_loop(port: int, rate: int, seconds: float) -> dict[str, float]:
    """Latencies (ms) from the time a request was due, whether or not the server keeps up."""
    walks = [_walk() for _ in range(int(rate * seconds / len(doors.WALK)))]
    took: list[float] = []

    async def patient(number: int, walk: list[bytes], began: float) -> None:
        # Patients are spread over the time; each writes every quarter of a second.
        async with _connection(port) as line:
            for turn, raw in enumerate(walk):
                due = began + number * (seconds / len(walks)) + turn * 0.25
                await asyncio.sleep(max(0.0, due - time.perf_counter()))
                await line.ask(raw)
                took.append((time.perf_counter() - due) * 1000)

    async def all_() -> None:
        began = time.perf_counter() + 0.1
        await asyncio.gather(*(patient(number, walk, began) for number, walk in enumerate(walks)))

    asyncio.run(all_())
    return _latency(took)


@contextlib.contextmanager
def half_sent(port: int, count: int) -> Iterator[None]:
    """*count* strangers who never finish their request."""
    held = []
    for _ in range(count):
        stranger = socket.create_connection(("127.0.0.1", port))
        stranger.sendall(HALF)
        held.append(stranger)
    try:
        yield
    finally:
        for stranger in held:
            stranger.close()


def _latency(took: list[float]) -> dict[str, float]:
    took = sorted(took)
    return {"p50": took[len(took) // 2], "p99": took[len(took) * 99 // 100], "worst": took[-1]}


def compare(state_url: str, data_dir: Path, rounds: int, size: float) -> dict[str, Any]:
    """Every door in turn, *rounds* times; *size* scales how much is asked (1.0: two minutes in all)."""
    found: dict[str, dict[str, list[dict[str, float]]]] = {name: {} for name in (*doors.DOORS, *doors.AT_A_RATE)}
    about: dict[str, Any] = {}
    for _ in range(rounds):
        for name in doors.DOORS:
            for processes in (1, 2):
                with served(name, state_url, data_dir, processes) as server:
                    for case, line in _measured(server, processes, name, size):
                        found[name].setdefault(case, []).append(line)
                    if processes == 2:
                        about[name] = {"cold_start_s": round(server.ready, 2),
                                       "rss_mb": round(statistics.mean(server.rss_mb()), 1)}  # fmt: skip
        for name, case, line in _at_a_rate(state_url, data_dir, size):
            found[name].setdefault(case, []).append(line)
    medians = {
        name: {case: {key: round(statistics.median(line[key] for line in lines), 2) for key in lines[0]}
               for case, lines in cases.items()}
        for name, cases in found.items()
    }  # fmt: skip
    return {"doors": medians, "processes": about, "load": os.getloadavg()[0]}


def _at_a_rate(state_url: str, data_dir: Path, size: float) -> Iterator[tuple[str, str, dict[str, float]]]:
    """The open loop, on the store as it comes (each write is on the disk before it is answered) and on one that leaves the
    disk to the system: what is between the two is the disk's, whoever else uses it."""
    unsynced = EmbeddedServer(data_dir / "unsynced", fsync="no")
    unsynced.start()
    try:
        for case, url in (("open 400/s", state_url), ("open 400/s, no fsync", unsynced.url)):
            for name in doors.AT_A_RATE:
                with served(name, url, data_dir, 2) as server:
                    closed(server.port, 16, 16)  # every thread has its connection
                    yield name, case, open_loop(server.port, 400, 6 * size)
    finally:
        unsynced.stop()


def _measured(server: Served, processes: int, name: str, size: float) -> Iterator[tuple[str, dict[str, float]]]:
    walks = int(120 * size) or 8
    yield f"c16 x{processes}", closed(server.port, 16, walks)
    if processes == 1:
        return
    yield "c1", closed(server.port, 1, walks // 2)
    yield "c64", closed(server.port, 64, walks)
    if name in ("floor", "ours"):
        with half_sent(server.port, 1000):
            yield "c1, 1,000 half-sent", closed(server.port, 1, walks // 2)
