"""The background: effects a second through relay, RQ and handler against the same handler as plain RQ jobs; lateness.

The carrier answers at once (a double in the process), so that what is measured is ours and not the network's.
"""

from __future__ import annotations

import os
import signal
import statistics
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from pathlib import Path
from typing import Any

from rq import Queue, SimpleWorker, Worker
from rq.serializers import JSONSerializer

from bot.followups import Office, carry_out
from bot.record import Record, to_bytes
from bot.relay import Relay
from bot.settings import Settings
from bot.store import Effect
from bot.store.client import connect
from bot.store.model import Begun, Claim
from bot.wiring import App, build
from tests.bench import doors
from workers import executor
from workers.run import make_worker

PHONE = "+17132000001"


class AtOnce:
    """A carrier that takes every text at once and, where a body is a time, notes how late it came."""

    def __init__(self, client: Any) -> None:
        self.client = client

    def text(self, to: str, body: str, effect_id: str) -> str:
        if body.startswith("due "):
            self.client.rpush("bench:late", time.time() - float(body[4:]))
        return "SM" + "0" * 32

    def call(self, to: str, effect_id: str) -> str:
        return "CA" + "0" * 32


_app: list[tuple[App, Office]] = []


def set_up(state_url: str, data_dir: Path) -> tuple[App, Office]:
    """The worker's parts with the carrier that answers at once."""
    # A limit of spending, as by default, but one that the bench does not reach: what is held back costs less.
    settings = Settings.load({**doors.environment(state_url, data_dir), "DAILY_SPEND_LIMIT": "1000000"})
    app = build(settings, role="worker")
    real = app.office()
    office = Office(**{**{name: getattr(real, name) for name in real.__dataclass_fields__},
                       "carrier": AtOnce(connect(state_url, role="worker"))})  # fmt: skip
    _app[:] = [(app, office)]
    executor.install(executor.Executor(app.store, office, app.now))
    return _app[0]


def plan(app: App, count: int, text: Callable[[int], tuple[float, str]]) -> list[tuple[str, bytes]]:
    """*count* texts of as many patients in the ledger: effect id and body of each."""
    import json

    made = []
    for number in range(count):
        patient, (when, body) = f"bench-{number:010d}-{app.now():.6f}", text(number)
        told = json.dumps({"p": patient, "s": "x", "n": "text", "body": body}).encode()
        effect = Effect(app.store.new_effect_id(patient), "text", when, told)
        app.store.commit(
            patient, "first", "0|", record=to_bytes(Record(PHONE)), answer=b"-", effects=[effect], now=app.now()
        )
        made.append((effect.id, told))
    return made


def plain(effect_id: str, till: float, body: str) -> str:
    """The same handler as an RQ job of its own."""
    _, office = _app[0]
    begun = Begun("go", "text", body.encode())
    result = carry_out(office, Claim(effect_id, till), begun)
    if result.why != "sent":
        raise RuntimeError(result.why)  # else less was done here than there
    return result.status


def compare(state_url: str, data_dir: Path, count: int = 1_000, rounds: int = 3) -> dict[str, Any]:
    """Effects a second and worker process: ours as workers/run.py starts it and with one thread, SimpleWorker, fork Worker,
    in turn."""
    app, _ = set_up(state_url, data_dir)
    client: Any = connect(state_url, role="worker")
    pool = ThreadPoolExecutor(app.settings.worker_threads)
    speed: dict[str, list[float]] = {"ours": [], "one thread": [], "simple": [], "fork": []}
    for _ in range(rounds):
        speed["ours"].append(_ours(app, client, count, pool.submit))
        speed["one thread"].append(_ours(app, client, count, executor.at_once))
        speed["simple"].append(_rq(app, client, SimpleWorker, count))
        speed["fork"].append(_rq(app, client, Worker, max(count // 10, 20)))
    middle = {name: round(statistics.median(values), 1) for name, values in speed.items()}
    return {
        **middle,
        "x_simple": round(middle["ours"] / middle["simple"], 2),
        "x_fork": round(middle["ours"] / middle["fork"], 2),
        "one thread x_simple": round(middle["one thread"] / middle["simple"], 2),
    }


def _ours(app: App, client: Any, count: int, submit: executor.Submit) -> float:
    handed: list[Future[None]] = []

    def hand(do: executor.Do, claim: Claim, begun: Begun) -> Future[None]:
        handed.append(submit(do, claim, begun))
        return handed[-1]

    plan(app, count, lambda number: (0.0, "hello"))
    executor.install(executor.Executor(app.store, _app[0][1], app.now, hand))
    relay, began = Relay(app.store, client, app.now), time.perf_counter()
    while relay.sweep():
        make_worker(client).work(burst=True, logging_level="ERROR")
    wait(handed)
    return count / (time.perf_counter() - began)


def _rq(app: App, client: Any, kind: type[Worker], count: int) -> float:
    bodies = dict(plan(app, count, lambda number: (0.0, "hello")))
    queue = Queue("plain", connection=client, serializer=JSONSerializer)
    for claim in app.store.claim(0, app.now(), count, lease=10_000.0):
        queue.enqueue("tests.bench.background.plain", claim.id, claim.till, bodies[claim.id].decode(), result_ttl=0)
    began = time.perf_counter()
    worker: Any = kind([queue], connection=client, serializer=JSONSerializer, log_job_description=False)
    worker.work(burst=True, logging_level="ERROR")
    return count / (time.perf_counter() - began)


def lateness(state_url: str, data_dir: Path, count: int = 500, seconds: float = 5.0) -> dict[str, Any]:
    """Milliseconds between an effect's time and its text, with one worker process beside us; how many came early."""
    client: Any = connect(state_url, role="worker")
    client.flushall()
    app, _ = set_up(state_url, data_dir)
    first = app.now() + 4.0
    plan(app, count, lambda number: (first + number * seconds / count, f"due {first + number * seconds / count}"))
    worker = os.fork()
    if worker == 0:
        from threading import Event, Thread

        from workers.run import _relay_for_ever

        set_up(state_url, data_dir)
        Thread(
            target=_relay_for_ever, args=(Relay(_app[0][0].store, connect(state_url), app.now), Event()), daemon=True
        ).start()
        make_worker(connect(state_url, role="worker")).work(logging_level="ERROR")
        os._exit(0)
    until = time.monotonic() + seconds + 15
    while client.llen("bench:late") < count and time.monotonic() < until:
        time.sleep(0.1)
    os.kill(worker, signal.SIGKILL)
    os.waitpid(worker, 0)
    late = sorted(float(one) * 1000 for one in client.lrange("bench:late", 0, -1))
    client.flushall()
    return {"planned": count, "done": len(late), "early": sum(one < 0 for one in late),
            "p50_ms": round(late[len(late) // 2], 1), "p99_ms": round(late[len(late) * 99 // 100], 1)}  # fmt: skip
