"""How the deployment is, in numbers without patients: for /readyz, ``python -m bot doctor``, the console. Only reads."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Any

from bot.record import from_bytes
from bot.store import lanes
from bot.store.files import nodes_of
from bot.store.model import CLINIC
from bot.store.signs import last_sweep
from bot.store.store import Store

STALE_SECONDS = 36 * 3600  # the longest silence timer of a flow is a day
LOOKED_AT = 500  # newest patients that are looked at for a conversation that nothing will ever end


@dataclass(frozen=True, slots=True)
class Vitals:
    """*backlog*: seconds that the oldest overdue effect waits, 0 when none does; *overdue*: how many. *swept*: seconds
    since a worker's relay last looked, None when none ever did. *skew*: the store's clock minus this machine's."""

    backlog: float
    overdue: int
    dead: int
    tasks: int
    swept: float | None
    skew: float


def vitals(store: Store, now: float, wall: float) -> Vitals:
    """*now* is the product's time, *wall* this machine's. Raises what a store that is away raises."""
    first = lanes.oldest(store.each, now)
    counts = lanes.waiting(store.each, now)
    waiting = sum(store.each(lambda pipe, tag: pipe.zcard(f"{tag}tasks")))
    dead = sum(store.each(lambda pipe, tag: pipe.zcard(f"{tag}dead")))
    swept = last_sweep(store)
    return Vitals(
        0.0 if first is None else max(0.0, now - first),
        sum(counts),
        dead,
        waiting,
        None if swept is None else max(0.0, wall - swept),
        _server_time(store) - wall,
    )


def clinic_tasks(store: Store) -> Counter[str]:
    """How many open tasks there are about the clinic itself, by kind."""
    return Counter(task.kind for task in store.tasks() if task.patient == CLINIC)


def stale_sessions(store: Store, now: float) -> list[str]:
    """Patient ids whose conversation waits for a reply, for long, and that no timer will end."""
    found = []
    for patient in store.recent(LOOKED_AT):
        raw = store.load(patient, "").record
        record = from_bytes(raw) if raw else None
        session = record.session if record else None
        if record is None or session is None or session.ended or record.opted_out or record.owner:
            continue
        if now - record.last_at > STALE_SECONDS and "silence" not in record.planned:
            found.append(patient)
    return found


def workers_alive(client: Any) -> int:
    """Worker processes that gave a sign of life in the last half minute. *client*: of the server that holds the queue."""
    from rq import Worker  # only for who asks: the web process does not

    return len(Worker.all(connection=client))


def memory_used(store: Store) -> int:
    """Bytes that the store's data takes, over all its servers; what replicas hold again is not counted."""
    told = [node.info() for node in nodes_of(store.client)]
    return sum(int(one["used_memory"]) for one in told if one["role"] == "master")


def _server_time(store: Store) -> float:
    client: Any = store.client
    seconds, micros = client.time()
    return float(seconds) + float(micros) / 1e6
