"""What grows with what is stored: the cost of a turn and of a claim, bytes per idle session and per planned effect."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from redis import Redis
from rq import Queue
from rq.serializers import JSONSerializer

from bot.store import Effect
from bot.store.cipher import Cipher
from bot.store.client import connect
from bot.store.embedded import EmbeddedServer
from bot.store.lanes import LANE
from bot.store.model import Claim
from bot.store.store import Store
from tests.bench import doors

PIPELINE = 5_000


def turns(folder: Path, sizes: tuple[int, ...], blocks: int = 12) -> dict[str, Any]:
    """A turn's wall and CPU (us) with few and with many sessions stored, block by block on one server each."""
    servers, apps, phones = {}, {}, dict.fromkeys(sizes, 30_000_000)
    try:
        for size in sizes:
            servers[size] = EmbeddedServer(folder / str(size), fsync="no")
            servers[size].start()
            apps[size] = doors.ours(servers[size].url, folder / str(size))
            fill_sessions(connect(servers[size].url, role="worker"), size)
        wall: dict[int, list[float]] = {size: [] for size in sizes}
        for block in range(blocks + 1):
            for size in sizes:
                phones[size] += 20
                batch = [
                    doors.text(number, said, phones[size] + at)
                    for at in range(20)
                    for number, said in enumerate(doors.WALK)
                ]
                began = time.perf_counter()
                for posted in batch:
                    doors.call(apps[size], posted)
                if block:
                    wall[size].append((time.perf_counter() - began) / len(batch) * 1e6)
        few = wall[sizes[0]]
        return {
            str(size): {
                "wall_us": round(statistics.median(took), 1),
                "ratio": round(statistics.median(one / zero for one, zero in zip(took, few, strict=True)), 3),
            }
            for size, took in wall.items()
        }
    finally:
        for server in servers.values():
            server.stop()


def fill_sessions(client: Redis, count: int) -> None:
    """*count* idle sessions of the size of a real one, with index and timer."""
    for start in range(0, count, PIPELINE):
        pipe = client.pipeline(transaction=False)
        for number in range(start, min(count, start + PIPELINE)):
            name = f"filled-{number:015d}"
            pipe.set(f"{{b0}}p:{name}", b"11|" + b"0" * 32 + b"|" + b"x" * 520)
            pipe.zadd("{b0}recent", {name: 1.7e9 + number})
            pipe.zadd("{b0}due", {f"0-{number:016d}": LANE + 4e9 + number})
        pipe.execute()


def idle_session(folder: Path, patients: int = 2_000) -> dict[str, float]:
    """Bytes of one finished walk by real turns: record and index; the scheduling link (90 days), and all with the log and
    the stored answers (48 h), apart."""
    server = EmbeddedServer(folder / "idle", fsync="no")
    server.start()
    try:
        client: Any = connect(server.url, role="worker")
        app = doors.ours(server.url, folder / "idle")
        doors.call(app, doors.text(0, "hi", 39_999_999))
        before = client.info("memory")["used_memory"]
        for phone in range(40_000_000, 40_000_000 + patients):
            for number, said in enumerate((*doors.WALK[:-1], "no")):  # a planned follow-up is measured by itself
                doors.call(app, doors.text(number, said, phone))
        whole = client.info("memory")["used_memory"] - before
        # What is left after deleting keeps the tables of what was deleted, so it is laid into an empty server.
        kept = [name for name in client.scan_iter("*", count=1000) if name[:6] not in (b"{b0}a:", b"{b0}v:")]
        laid = [(name, max(client.pttl(name), 0), client.dump(name)) for name in kept]
        client.execute_command("FLUSHALL", "SYNC")
        empty = client.info("memory")["used_memory"]
        found = {}
        for part, links in (("idle_session_bytes", False), ("link_bytes", True)):
            for name, left, dump in laid:
                if name.startswith(b"{b0}l:") is links:
                    client.restore(name, left, dump)
            full = client.info("memory")["used_memory"]
            found[part], empty = round((full - empty) / patients), full
        return {**found, "with_log_and_answers_bytes": round(whole / patients)}
    finally:
        server.stop()


def planned_effect(client: Any, count: int = 10_000) -> dict[str, float]:
    """Bytes of a planned follow-up in the ledger, and of the same as an ``enqueue_in`` job."""
    from datetime import timedelta

    client.execute_command("FLUSHALL", "SYNC")
    store = Store(client, Cipher([b"k" * 32]))
    before = client.info("memory")["used_memory"]
    version = "0|"
    body = b'{"p": "PBezAviPeGIauCGdcdh_5A", "s": "ec012zS1JQP0", "n": "F1", "f": "triage"}'
    for batch in range(count // 100):
        effects = [Effect(store.new_effect_id("p"), "follow_up", 4e9 + at, body) for at in range(100)]
        store.commit("p", f"{batch}", version, record=b"", answer=b"", effects=effects, now=0.0)
        version = store.load("p", "-").version
    for name in client.scan_iter("{b0}a:*"):
        client.delete(name)
    ours = (client.info("memory")["used_memory"] - before) / count
    limit = "hash-max-listpack-value"
    compact = client.config_get(limit)[limit]
    theirs = {}
    for name, value in (
        ("stock", "64"),
        ("ours", compact),
    ):  # their jobs on a server as it comes, and on one set like ours
        client.execute_command("FLUSHALL", "SYNC")
        client.config_set(limit, value)
        before = client.info("memory")["used_memory"]
        queue = Queue("bench", connection=client, serializer=JSONSerializer)
        for _ in range(count // 5):
            queue.enqueue_in(
                timedelta(days=1), "workers.executor.drain", "PBezAviPeGIauCGdcdh_5A", "ec012zS1JQP0", "F1", "triage",
                description="a due effect", result_ttl=0, failure_ttl=3600,
            )  # fmt: skip
        theirs[name] = (client.info("memory")["used_memory"] - before) / (count // 5)
    client.execute_command("FLUSHALL", "SYNC")
    return {
        "effect_bytes": round(ours), "enqueue_in_bytes": round(theirs["stock"]), "ratio": round(ours / theirs["stock"], 3),
        "ratio_on_our_server": round(ours / theirs["ours"], 3),
    }  # fmt: skip


def due(folder: Path, sizes: tuple[int, ...], blocks: int = 60) -> dict[str, Any]:
    """With so many effects in the ledger, microseconds of the server for: committing one (``commit``), claiming twenty while
    all others are of the future (``claim``) and while all are due (``backlog``), a bare ZPOPMIN of twenty (``pop``), a relay's
    look (``look``); the same and our
    own CPU (``with client``); bytes of each.

    The server's own account of its commands, and few against many block by block: a busy machine makes wall clocks lie.
    """
    servers: dict[int, EmbeddedServer] = {}
    took: dict[int, list[dict[str, float]]] = {size: [] for size in sizes}
    each, stores = {}, {}
    try:
        for size in sizes:
            servers[size] = EmbeddedServer(folder / f"due{size}", fsync="no")
            servers[size].start()
            client: Any = connect(servers[size].url, role="worker")
            before = client.info("memory")["used_memory"]
            fill_effects(client, size)
            each[size] = round((client.info("memory")["used_memory"] - before) / size)
            stores[size] = Store(client, Cipher([b"k" * 32]))
            _costs(stores[size])
        for _ in range(blocks):
            for size in sizes:
                took[size].append(_costs(stores[size]))
    finally:
        for server in servers.values():
            server.stop()
    return {f"{size:,}": _middle(took[size], took[sizes[0]]) | {"bytes": each[size]} for size in sizes}


def _middle(many: list[dict[str, float]], few: list[dict[str, float]]) -> dict[str, str]:
    """Each cost, and what it is as a multiple of the same with few."""
    return {
        name: f"{statistics.median(one[name] for one in many):.0f} us (x "
        f"{statistics.median(one[name] / zero[name] for one, zero in zip(many, few, strict=True)):.2f})"
        for name in many[0]
    }


def fill_effects(client: Redis, count: int) -> None:
    """*count* effects of the size of a follow-up, due in the year 2001 and after."""
    for start in range(0, count, PIPELINE):
        pipe = client.pipeline(transaction=False)
        for number in range(start, min(count, start + PIPELINE)):
            pipe.hset(f"{{b0}}e:0-{number:016d}", mapping={"k": "follow_up", "d": b"x" * 110})
            pipe.zadd("{b0}due", {f"0-{number:016d}": LANE + 1e9 + number})
        pipe.execute()


def _costs(store: Store) -> dict[str, float]:
    look = {"look": _spent(store, "zcount", lambda: [store.due_buckets(3e9) for _ in range(20)])[0]}
    acts: dict[str, Callable[[], object]] = {
        "commit": lambda: _commit(store),
        "claim": lambda: taken.extend(store.claim(0, 2.0, 20)),
        "backlog": lambda: taken.extend(store.claim(0, 3e9, 20)),
    }
    taken: list[Claim] = []
    found = {name: _spent(store, "evalsha", act) for name, act in acts.items()}
    for one in taken:
        store.finish(one.id)
    popped: list[
        Any
    ] = []  # what the server's own command for it costs, without a lease: the part that nobody can avoid
    found["pop"] = _spent(store, "zpopmin", lambda: popped.extend(store.client.zpopmin("{b0}due", 20)))
    store.client.zadd("{b0}due", dict(popped))
    return {**{name: server for name, (server, _) in found.items()}, **look,
            **{f"{name} with client": sum(both) for name, both in found.items()}}  # fmt: skip


def _spent(store: Store, command: str, act: Callable[[], object]) -> tuple[float, float]:
    """What the server spent on each *command* of *act*, and the CPU of this process."""
    client: Any = store.client
    client.config_resetstat()
    began = time.process_time()
    act()
    ours = (time.process_time() - began) * 1e6
    about = client.info("commandstats")[f"cmdstat_{command}"]
    return about["usec"] / about["calls"], ours / about["calls"]


def _commit(store: Store) -> None:
    for _ in range(20):
        patient = store.new_token("p")
        effects = [Effect(store.new_effect_id(patient), "follow_up", 1.0, b"{}")]
        store.commit(patient, "k", "0|", record=b"r", answer=b"a", effects=effects, now=0.0)
