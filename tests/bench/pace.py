"""A campaign at 100 recipients a second, one token bucket, several worker processes: how late each text leaves.

.venv/bin/python -m tests.bench pace. The carrier is a double that takes 150 ms for each text, as Twilio's REST does, and
notes when it was asked; everything else is the program's own: relay, RQ, threads, ledger, roster.
"""

from __future__ import annotations

import os
import signal
import threading
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

from bot.consent import hours_for
from bot.outreach.campaigns import Campaigns
from bot.outreach.plan import Options
from bot.relay import Relay
from bot.settings import Settings
from bot.store.client import connect
from bot.store.lanes import time_of
from bot.wiring import build
from tests.bench import doors
from tests.outreach_stage import rows
from workers import executor
from workers.run import _relay_for_ever, make_worker

CARRIER_SECONDS, NOTES = 0.15, "bench:left"
LEAD_SECONDS = 6.0  # the plan is read and workers have started before its first text is due


class Slow:
    """Takes every text after a while, and notes its effect and when it was handed over."""

    def __init__(self, client: Any) -> None:
        self.client = client

    def text(self, to: str, body: str, effect_id: str) -> str:
        self.client.rpush(NOTES, f"{effect_id} {time.time()}")
        time.sleep(CARRIER_SECONDS)
        return "SM" + "0" * 32


def campaign(
    state_url: str, data_dir: Path, *, rate: float = 100.0, count: int = 2_000, workers: int = 2, threads: int = 20
) -> dict[str, Any]:
    """*count* recipients at *rate* through *workers* processes of *threads* each. Milliseconds between the time that the
    plan gave and the moment at which the text was handed over; *reached*: recipients a second."""
    client: Any = connect(state_url, role="worker")
    client.flushall()
    settings = Settings.load({**doors.environment(state_url, data_dir), "SENDER_RATE": str(rate), "DAILY_SPEND_LIMIT": "0",
                              "OUTREACH_FIRST_HOUR": "0", "OUTREACH_OPEN_TASKS": "0", "QUIET_START": "23:59",
                              "QUIET_END": "00:00", "OUTREACH_APPROVAL": "100000"})  # fmt: skip
    app = build(settings, role="worker")
    campaigns = app.campaigns()
    always = replace(campaigns.terms, hours=lambda _: hours_for((), "UTC", "00:00", "23:59"), approval_size=0)
    campaigns = Campaigns(campaigns.roster, always, lambda: app.now() + LEAD_SECONDS, campaigns.sender)
    made = campaigns.send(campaigns.plan(rows(count).encode(), Options()), "bench")
    campaigns.approve(made, "another")
    (step,) = app.store.claim(0, app.now() + LEAD_SECONDS)
    campaigns.steps.go_on(step.id, made)  # what a worker does for the whole campaign: everybody has a time
    app.store.finish(step.id)
    times: Any = client.zrange(f"{app.store.tag(0)}due", 0, count, withscores=True)
    planned = {name.decode(): time_of(at) for name, at in times}
    running = [_worker(settings, state_url, threads) for _ in range(workers)]
    until = time.monotonic() + count / rate + 60
    while client.llen(NOTES) < count and time.monotonic() < until:
        time.sleep(0.2)
    for pid in running:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
    noted = [raw.decode().split(" ") for raw in client.lrange(NOTES, 0, -1)]
    moments = sorted(float(at) for _, at in noted)
    late = sorted((float(at) - planned[effect]) * 1000 for effect, at in noted)
    client.flushall()
    return {
        "planned": count, "left": len(noted),
        "twice": len(noted) - len({effect for effect, _ in noted}), "p50_ms": round(late[len(late) // 2]),
        "p99_ms": round(late[len(late) * 99 // 100]), "most_ms": round(late[-1]),
        "reached": round(len(moments) / (moments[-1] - moments[0]), 1),
    }  # fmt: skip


def _worker(settings: Settings, state_url: str, threads: int) -> int:
    """A worker process like workers/run.py, with the slow carrier."""
    from concurrent.futures import ThreadPoolExecutor

    pid = os.fork()
    if pid:
        return pid
    app = build(settings, role="worker")
    office = replace(app.office(), carrier=Slow(connect(state_url, role="worker")))
    pool = ThreadPoolExecutor(threads)
    executor.install(executor.Executor(app.store, office, app.now, pool.submit))
    relay = Relay(app.store, connect(state_url), app.now)
    threading.Thread(target=_relay_for_ever, args=(relay, threading.Event()), daemon=True).start()
    make_worker(connect(state_url, role="worker")).work(logging_level="ERROR")
    os._exit(0)
