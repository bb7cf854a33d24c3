"""What a webhook may cost, in figures that no noise of the machine moves; and one ratio with a generous limit."""

from __future__ import annotations

import itertools
import os
import resource
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from redis import Redis
from redis.connection import AbstractConnection

from bot.store import wire
from bot.store.embedded import EmbeddedServer
from tests.bench import background, doors, inprocess
from workers import executor

ROOT = Path(__file__).parents[1]
RECORDED_RATIO = 0.65  # of the floor, `python -m tests.bench inprocess`; the gate is at 0.8 of it
RECORDED_MB = 49  # of a web process with Python 3.11 before its first request, without pages of binaries; the gate is at 1.06 of it
WIRE_BYTES = 2_600  # of commands, for one turn of an ordinary walk (2,140 when this was written)


def commands(client: Redis) -> dict[str, int]:
    stats: Any = client.info("commandstats")
    ours = {name.removeprefix("cmdstat_"): int(one["calls"]) for name, one in stats.items()}
    return {name: calls for name, calls in ours.items() if name.partition("|")[0] not in ("info", "config")}


def test_a_webhook_costs_two_commands_a_repeated_one_one_and_a_forged_one_none(
    server: EmbeddedServer, redis_client: Redis, tmp_path: Path
) -> None:
    """Counted by the server, through the whole web application. What a script does inside is not another trip."""
    app = doors.ours(server.url, tmp_path)
    first, second = itertools.islice(doors.texts(50_000_000), 2)
    doors.call(app, first)
    forged = doors.Posted(second.path, second.body, "A" * 27 + "=")
    for posted, status, trips in ((second, "200", 2), (second, "200", 1), (forged, "403", 0)):
        redis_client.config_resetstat()
        assert doors.call(app, posted)[0].startswith(status)
        seen = commands(redis_client)
        assert sum(seen.get(name, 0) for name in ("evalsha", "eval", "mget")) == trips
        assert trips == 2 or set(seen) <= {"mget"}


def test_a_turn_sends_few_bytes_to_the_store(
    server: EmbeddedServer, redis_client: Redis, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A turn that begins to carry its history along would show here first."""
    sent: list[int] = []
    packed = wire._packed
    app = doors.ours(server.url, tmp_path)

    def counted(command: wire.Command) -> bytes:
        whole = packed(command)
        sent.append(len(whole))
        return whole

    monkeypatch.setattr(wire, "_packed", counted)
    for posted in itertools.islice(doors.texts(51_000_000), len(doors.WALK)):
        doors.call(app, posted)
    assert len(sent) >= 2 * len(doors.WALK), "every turn was loaded and committed"
    assert sum(sent) / len(doors.WALK) < WIRE_BYTES


def test_a_text_of_a_worker_costs_five_trips_to_the_store_and_a_batch_two(
    server: EmbeddedServer, redis_client: Redis, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What stops sending, the record, what was decided, the mark, and all that is written of what the carrier took."""
    app, office = background.set_up(server.url, tmp_path)
    background.plan(app, 20, lambda number: (0.0, "hello"))
    executor.Executor(app.store, office, app.now).drain(0)  # the connection is open, the server has the scripts
    background.plan(app, 20, lambda number: (0.0, "hello"))
    trips: list[int] = []
    send = AbstractConnection.send_packed_command
    monkeypatch.setattr(AbstractConnection, "send_packed_command", lambda *a, **k: trips.append(1) or send(*a, **k))
    assert executor.Executor(app.store, office, app.now).drain(0) == 20
    assert len(trips) == 20 * 5 + 2 + 1  # a batch is claimed and begun, and the last look finds nothing more
    assert app.store.due_buckets(app.now()) == []


UNWANTED = ("twilio.rest", "rq", "requests", "workers", "phonenumbers.geocoder", "bot.carrier", "argon2", "pyotp",
            "bot.proof", "bot.publish", "bot.console", "pydantic_settings", "argparse")  # fmt: skip


def test_a_web_process_has_no_carrier_no_worker_no_proof_and_no_console_in_its_memory(
    server: EmbeddedServer, tmp_path: Path
) -> None:
    """As it serves, with what its parent did before: twilio.rest alone is 0.65 s and 38 MB, a proof 30 MB."""
    code = """
import sys, bot.web.serve as web
web.require_proof = lambda *_: __import__("bot.proof.check")  # as where something has to be proved
def told():
    print(*sys.modules)
    print(*(line for line in open("/proc/self/smaps_rollup") if line.startswith("Anonymous:")) if sys.platform == "linux" else ())
web.serve = lambda build, place: web._apart(lambda: build() and told() or 0)
web.main()
"""
    env = {"PATH": os.environ["PATH"], "LOG_LEVEL": "ERROR", **doors.environment(server.url, tmp_path)}
    ran = subprocess.run([sys.executable, "-c", code], env=env, cwd=ROOT, capture_output=True, text=True, check=True)
    modules, _, memory = ran.stdout.partition("\n")
    loaded = set(modules.split())
    assert {"bot.wiring", "bot.web.sms"} <= loaded, ran.stderr
    found = [name for name in loaded if any(f"{name}.".startswith(f"{one}.") for one in UNWANTED)]
    assert not found, found
    if memory.strip() and sys.version_info[:2] == (3, 11) and resource.getpagesize() == 4096:
        assert int(memory.split()[1]) / 1024 < 1.06 * RECORDED_MB, memory


def test_a_turn_stays_near_the_floor(server: EmbeddedServer, redis_client: Redis, tmp_path: Path) -> None:
    """In process, CPU, interleaved with the floor: fails only when a turn became a quarter dearer than recorded."""
    for _ in range(3):  # a busy neighbour moves the caches of both, not alike; a dearer turn is dearer every time
        found = inprocess.compare(server.url, tmp_path, blocks=5)
        if found["ours"]["cpu_ratio"] > 0.8 * RECORDED_RATIO:
            return
    raise AssertionError(found)
