"""The switch that stops all sending: who stopped it, what lifts it, one task for each stop, and what passes."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path
from zoneinfo import ZoneInfo

from bot.sending import FAILURES, Gate, pause, resume, stops_in_force
from bot.store.store import Store
from tests.conftest import SECRET

ZONE = ZoneInfo("America/Chicago")
NOON = 1_764_007_200.0  # 2025-11-24 12:00 in Chicago


class Clock:
    now = NOON

    def __call__(self) -> float:
        return self.now


def gate(store: Store, limit: int = 0) -> tuple[Gate, Clock]:
    clock = Clock()
    return Gate(store, clock, limit=limit, zone=ZONE), clock


def kinds(store: Store) -> list[str]:
    return [task.kind for task in store.tasks()]


def test_staff_stop_sending_with_a_reason_and_resume_it(store: Store) -> None:
    """The first reason stays; resume says what it lifted; the words are sealed."""
    assert pause(store, "wrong wording went out", "nurse", NOON)
    assert not pause(store, "me too", "other", NOON + 5)
    (stop,) = stops_in_force(store, NOON + 9)
    assert (stop.cause, stop.why, stop.by, stop.since, stop.until) == (
        "staff", "wrong wording went out", "nurse", NOON, None,
    )  # fmt: skip
    assert not [key for key in store.client.keys("*sending*") if b"wording" in b"".join(store.client.hvals(key))]
    assert resume(store, "nurse", NOON + 10, ZONE) == [stop]
    assert stops_in_force(store, NOON + 10) == []


def test_refused_credentials_stop_all_sending_and_raise_one_task(store: Store) -> None:
    """However many sends are refused; it goes on when a person resumes, and the task is closed with it."""
    door, clock = gate(store)
    for _ in range(3):
        door.refused(20003)
        clock.now += 60
    stop = door.stopped()
    assert stop is not None
    assert (stop.cause, stop.since, "20003" in stop.why) == ("configuration", NOON, True)
    assert kinds(store) == ["configuration"]
    resume(store, "admin", clock(), ZONE)
    assert (door.stopped(), kinds(store)) == (None, [])
    door.refused(20003)
    assert kinds(store) == ["configuration"], "a new stop is a new task"


def test_a_failing_carrier_gets_longer_and_longer_rests_and_is_one_task(store: Store) -> None:
    """Failures in a row open the circuit, its end lets sends try again, and a send that works closes it for good."""
    door, clock = gate(store)
    for _ in range(FAILURES - 1):
        door.failed()
    assert door.stopped() is None
    rests = []
    for _ in range(3):
        door.failed()
        stop = door.stopped()
        assert stop is not None
        assert stop.until is not None
        rests.append(stop.until - clock())
        clock.now = stop.until + 1
        assert door.stopped() is None
    assert rests == [30, 60, 120]
    assert kinds(store) == ["carrier_away"]
    door.worked(1, "text", "", "e0")
    assert (door.stopped(), kinds(store)) == (None, [])
    door.failed()
    assert door.stopped() is None


def test_the_daily_limit_stops_sending_until_the_clinics_midnight(store: Store) -> None:
    """What would go over it is not sent; the next day begins at nothing; who resumes allows the amount once more."""
    door, clock = gate(store, limit=100)
    door.worked(90, "text", "", "e2")
    assert door.affords(10)
    assert not door.affords(11)
    stop = door.stopped()
    assert stop is not None
    assert stop.until == NOON + 12 * 3600
    assert kinds(store) == ["spending"]
    clock.now = stop.until
    assert door.stopped() is None
    assert door.affords(100)
    door.worked(100, "text", "", "e4")
    assert not door.affords(1)
    assert kinds(store) == ["spending"], "yesterday's task is closed, today's is open"
    resume(store, "admin", clock(), ZONE)
    assert door.affords(100)
    assert (door.stopped(), kinds(store)) == (None, [])


def command(store: Store, *words: str) -> subprocess.CompletedProcess[str]:
    url = f"unix://{store.client.connection_pool.connection_kwargs['path']}"
    kept = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    given = {"SANDBOX": "1", "STATE_URL": url, "SECRET_KEY": SECRET.hex(), "BUCKETS": "3"}
    return subprocess.run(
        [sys.executable, "-m", "bot", "sending", *words],
        cwd=Path(__file__).parents[1],
        env=kept | given | {"DATA_DIR": tempfile.gettempdir()},
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_command_stops_sending_says_why_and_goes_on(store: Store) -> None:
    """Status answers with its exit status too, so that a monitor can ask."""
    assert command(store, "pause", "--reason", "wrong wording", "--by", "lead").returncode == 0
    said = command(store, "status")
    assert (said.returncode, "wrong wording (by lead, since" in said.stdout) == (1, True)
    assert "wrong wording" in command(store, "resume").stdout
    assert command(store, "status").returncode == 0
