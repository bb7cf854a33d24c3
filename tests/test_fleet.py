"""Beyond one machine: the same ledger behind Sentinels and on a Cluster, by the address alone; a primary may die."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pytest

from bot.doctor import of_the_server
from bot.relay import Relay
from bot.store import Claim, Committed, Effect, LinkToken, Task
from bot.store.cipher import Cipher
from bot.store.client import AWAY, connect
from bot.store.counted import Counted
from bot.store.erase import left
from bot.store.store import Store, open_store
from bot.store.walk import walk
from bot.unread import Unread
from bot.vitals import memory_used
from bot.web import create_app
from bot.wiring import build, make_shelter
from tests.conftest import SECRET
from tests.fleet import Fleet, cluster, sentinel_trio, until
from tests.outreach_stage import Clinic, phone
from tests.web_fake import post, settings, text
from workers import executor
from workers.executor import Executor
from workers.run import make_worker

ROOT = Path(__file__).parents[1]
DEBIAN = shutil.which("redis-server")
CANARY = "zebrafinch"
Make = Callable[[], AbstractContextManager[Fleet]]


def ledger(fleet: Fleet, buckets: int = 16) -> Store:
    return open_store(fleet.url, [SECRET], buckets)


@pytest.fixture(scope="module")
def three() -> Iterator[Fleet]:
    """Three primaries and no replica: quick to start."""
    with cluster(replicas=False) as fleet:
        yield fleet


@pytest.fixture
def many(three: Fleet) -> Fleet:
    """The same, emptied."""
    for port in three.running:
        three.at(port).flushall()
    return three


def write(store: Store, patient: str, key: str, **more: Any) -> Committed:
    version = store.load(patient, key).version
    return store.commit(patient, key, version, record=b"r:" + key.encode(), answer=b"a:" + key.encode(), **more)


def test_the_ledger_keeps_its_contract_on_a_cluster(many: Fleet) -> None:
    """Every operation, for patients in all buckets, on three servers."""
    store = ledger(many)
    patients = [f"patient-{number}" for number in range(40)]
    effects = {patient: store.new_effect_id(patient) for patient in patients}
    for number, patient in enumerate(patients):
        token = f"{store.bucket(patient):x}-{'t' * 22}{number}"
        done = write(
            store, patient, "k", effects=[Effect(effects[patient], "text", 5.0, b"body")], events=[b"said"],
            tasks=[Task(f"t{number}", patient, "person", number % 3, 100.0 + number)],
            links=[LinkToken(token, patient, "pt", 1.0)], now=float(number),
        )  # fmt: skip
        assert done.status == "ok"
        assert store.load(patient, "k").answer == b"a:k"
        assert store.commit(patient, "k", "0|", record=b"x", answer=b"x", now=1.0) == Committed("seen", b"a:k")
        assert store.commit(patient, "j", "0|", record=b"x", answer=b"x", now=1.0).status == "conflict"
        assert store.link(token) is not None
    servers = {connect(f"redis://127.0.0.1:{port}").dbsize() > 10 for port in many.running}
    assert servers == {True}, "the patients are spread over all servers"
    assert store.well()
    assert [task.urgency for task in store.tasks()] == sorted(number % 3 for number in range(40))
    assert store.recent(3) == ["patient-39", "patient-38", "patient-37"]
    buckets = store.due_buckets(6.0)
    assert buckets == sorted({store.bucket(patient) for patient in patients})
    claimed = {claim.id: store.begin(claim).status for bucket in buckets for claim in store.claim(bucket, 6.0)}
    assert claimed == dict.fromkeys(effects.values(), "go")
    first, second, *others = effects.values()
    store.bury(first, "carrier permanent", 7.0)
    assert store.dead_letters() == [(first, "text", "carrier permanent")]
    store.put_off(second, 50.0)
    for one in others:
        store.finish(one)
    assert len(store.due_buckets(60.0)) == 1


def test_counts_on_a_cluster(many: Fleet) -> None:
    """Counted in each bucket's slot, read over all servers, mended, and gathered."""
    store = ledger(many)
    for number in range(20):
        write(store, f"c{number}", "k", counts=[("2026-11-23", "e|t|h|a|answer|b|sms", 1)], heard="sms", now=5.0)
    counted = Counted(store)
    assert counted.weeks(["2026-11-23", "2026-11-16"])[0] == {"e|t|h|a|answer|b|sms": 20}
    for _ in range(2):  # the same once more changes nothing
        counted.add(("2026-11-23", "m|refused|1", 2), "c1", "e1", 6.0)
    counted.raise_to(3, "2026-11-23", [("x", 2)])
    assert counted.weeks(["2026-11-23"])[0]["m|refused|1"] == 2
    assert {week for _, week in counted.journals()} == {"2026-11-23"}
    store.set_status("0-e", "delivered", 0, 7.0, "SM1")
    assert counted.heard() == {"sms": 5.0}
    Unread(store).all_now(100.0)
    assert Unread(store).known() == (100.0, [])


def test_a_turn_on_a_cluster_is_still_two_commands(many: Fleet) -> None:
    """Load and commit, counted by the servers; the WAIT for a copy travels with the commit."""
    store = ledger(many)
    write(store, "somebody", "warm", now=1.0)
    nodes = [connect(f"redis://127.0.0.1:{port}") for port in many.running]
    before = _counted(nodes)
    write(store, "somebody", "k", now=1.0)
    now = _counted(nodes)
    assert {name: now[name] - before.get(name, 0) for name in now if now[name] != before.get(name, 0)} == {
        "mget": 1,
        "evalsha": 1,
    }, "no replica had the first write, so no write waits for one for a while"


def _counted(nodes: list[Any]) -> dict[str, int]:
    found: dict[str, int] = {}
    for node in nodes:
        for name, one in node.info("commandstats").items():
            plain = name.removeprefix("cmdstat_")
            if plain in (
                "mget",
                "eval",
                "evalsha",
                "script|load",
                "wait",
            ):  # what scripts call inside is counted as well
                found[plain] = found.get(plain, 0) + one["calls"]
    return found


def test_one_unsafe_server_of_a_cluster_is_named_and_the_memory_of_all_is_counted(many: Fleet) -> None:
    """Whichever of them the client would ask first."""
    store = ledger(many)
    nodes = [many.at(port) for port in many.running]
    for node in nodes:
        node.config_set("appendfsync", "everysec")
        assert next(str(one) for one in of_the_server(store)).startswith("The store has appendfsync everysec; a clinic")
        node.config_set("appendfsync", "always")
    assert list(of_the_server(store)) == []
    least: Any = [node.info("memory")["used_memory"] for node in nodes]  # type: ignore[index,union-attr]
    assert memory_used(store) > 0.9 * sum(least)


def test_a_cluster_that_is_away_says_so_like_any_store() -> None:
    """Nothing is asked while the client is made, so a web process starts; each use raises what a dead store raises."""
    store = Store(connect("redis+cluster://127.0.0.1:1,127.0.0.1:2"), Cipher([SECRET]), 4, 1)
    for use in (lambda: store.load("p", "k"), store.well, store.tasks, lambda: write(store, "p", "k", now=1.0)):
        with pytest.raises(AWAY):
            use()


def test_a_sentinel_address_that_nobody_answers_is_a_store_that_is_away() -> None:
    """In well under the four seconds that a webhook has."""
    store = Store(connect("redis+sentinel://127.0.0.1:1,127.0.0.1:2/clinic"), Cipher([SECRET]), 4, 1)
    began = time.monotonic()
    with pytest.raises(AWAY):
        store.load("p", "k")
    assert time.monotonic() - began < 2


@pytest.mark.skipif(DEBIAN is None, reason="no redis-server on this machine: apt-get install redis-server")
def test_the_store_tests_pass_on_the_redis_server_of_this_system() -> None:
    """Debian's Redis 7.0, say: a run of its own on that binary."""
    ran = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-n", "0", "-p", "no:cacheprovider", "tests/test_store.py"],
        cwd=ROOT, env={**os.environ, "TEST_SERVER": str(DEBIAN)}, capture_output=True, text=True,
    )  # fmt: skip
    assert ran.returncode == 0, ran.stdout[-2000:]


def test_a_patient_is_erased_on_every_server_of_a_cluster(many: Fleet, tmp_path: Path) -> None:
    """By the command: nothing names them any more, in no server and in no server's files; others stay as they were."""
    store = open_store(many.url, [SECRET], 16)
    talk = Clinic(store).conversation
    for number in (1, 2):
        for turn, words in enumerate(("hi", "yes", "no", "no", "no", "9", "yes", CANARY)):
            talk.hear(phone(number), "sms", words, f"{number}.{turn}")
    talk.note(store.cipher.patient_id(phone(1)), "n", tasks=("person",))
    gone, stays = (store.cipher.patient_id(phone(number)) for number in (1, 2))
    sealed = [
        value.raw[value.start :] for value in walk(store.client, store.cipher) if gone in value.key and value.plain
    ]
    others = [value for value in walk(store.client, store.cipher) if stays in value.key]
    assert sealed
    assert all(any(one in raw for raw in _files(many)) for one in sealed[:1])
    given = {"STATE_URL": many.url, "QUEUE_URL": "redis://127.0.0.1:1", "SECRET_KEY": SECRET.hex(), "BUCKETS": "16"}
    run = [sys.executable, "-m", "bot", "forget"]
    done = subprocess.run(
        run, cwd=ROOT, env={**os.environ, **given, "SANDBOX": "1", "DATA_DIR": str(tmp_path)}, input=f"{phone(1)}\n",
        capture_output=True, text=True,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    assert gone in done.stdout
    assert left(store, gone, (gone.encode(), phone(1).encode())) == []
    assert store.events(gone) == []
    assert [value for value in walk(store.client, store.cipher) if stays in value.key] == others
    assert not [one for one in sealed for raw in _files(many) if one in raw], "each server has rewritten its files"
    assert b"<Response" in talk.hear(phone(1), "sms", "hi", "1.0"), "a late webhook revives nothing"
    assert store.events(gone) == []


def _files(fleet: Fleet) -> list[bytes]:
    return [path.read_bytes() for path in fleet.folder.rglob("*") if path.is_file()]


# -- a primary dies in mid-traffic ------------------------------------------------------------------------------------

KINDS = [pytest.param(sentinel_trio, id="sentinel"), pytest.param(cluster, id="cluster")]


@pytest.mark.faults
@pytest.mark.timeout(120)
@pytest.mark.parametrize("make", KINDS)
def test_a_primary_that_dies_takes_no_acknowledged_turn_or_effect_with_it(make: Make) -> None:
    """Four writers without pause, the primary killed at full speed: what was acknowledged is on its successor."""
    with make() as fleet:
        stop, kept = threading.Event(), []
        writers = [threading.Thread(target=_write_on, args=(fleet, number, stop, kept)) for number in range(4)]
        for writer in writers:
            writer.start()
        until(lambda: len(kept) > 400, "there is traffic")
        before = len(kept)
        fleet.kill(next(iter(fleet.running)))
        until(lambda: len(kept) > before + 400, "the others have taken over")
        stop.set()
        for writer in writers:
            writer.join()
        store = ledger(fleet)
        lost = [(patient, key) for patient, key, _ in kept if store.load(patient, key).answer is None]
        due = {claim.id for bucket in range(16) for claim in _all_claims(store, bucket)}
        assert lost == []
        assert [effect for _, _, effect in kept if effect not in due] == []


def _write_on(fleet: Fleet, number: int, stop: threading.Event, kept: list[tuple[str, str, str]]) -> None:
    store, turn = ledger(fleet), 0
    while not stop.is_set():
        patient, key = f"patient-{number}-{turn % 25}", f"k{turn}"
        effect = store.new_effect_id(patient)
        try:
            done = write(store, patient, key, effects=[Effect(effect, "text", 5.0, b"x")], now=1.0)
        except AWAY:
            time.sleep(0.05)
        else:
            if done.status == "ok":
                kept.append((patient, key, effect))
        turn += 1


def _all_claims(store: Store, bucket: int) -> list[Any]:
    found: list[Any] = []
    while more := store.claim(bucket, 6.0, 1000, lease=10_000.0):
        found += more
    return found


@pytest.mark.faults
@pytest.mark.timeout(120)
@pytest.mark.parametrize("make", KINDS)
def test_no_webhook_goes_unanswered_or_is_lost_while_a_primary_is_replaced(make: Make, tmp_path: Path) -> None:
    """The web app over it: every text has an answer in time, and afterwards each is in its patient's log, once."""
    with make() as fleet:
        more = {"QUEUE_URL": "redis://127.0.0.1:1"} if "cluster" in fleet.url else {}
        app = build(settings(STATE_URL=fleet.url, BUCKETS="16", DATA_DIR=str(tmp_path), OPT_OUT_MODE="app", **more))
        shelter = make_shelter(app)
        phones = [f"+1212555{number:04d}" for number in range(100, 110)]
        slowest, sid = 0.0, 0
        with create_app(app.settings, shelter, shelter, ready=shelter.well).test_client() as client:
            for turn in range(60):
                if turn == 20:
                    fleet.kill(next(iter(fleet.running)))
                if turn > 30:
                    time.sleep(0.25)
                shelter.look()
                for phone in phones:
                    sid += 1
                    began = time.monotonic()
                    answer = post(client, "/sms", text(f"word {turn}", sid=f"SM{sid:032x}", From=phone))
                    slowest = max(slowest, time.monotonic() - began)
                    assert (answer.status_code, "<Message>" in answer.text) == (200, True)
        until(lambda: shelter.look() or not (shelter.away or shelter._spool.waiting()), "all is taken up")
        for phone in phones:
            said = [event for event in app.store.events(app.store.cipher.patient_id(phone)) if b'"said":"word' in event]
            assert len(said) == 60
        assert slowest < 4


@pytest.mark.faults
@pytest.mark.timeout(120)
def test_work_goes_on_through_sentinels_when_the_queue_loses_its_primary() -> None:
    """State and queue behind the same Sentinels: what was due before and after the death is done, each once."""
    with sentinel_trio() as fleet:
        store, done = ledger(fleet), []

        class Counting(Executor):
            def _do(self, claim: Claim, *_: Any) -> Any:
                from bot.followups import Result

                done.append(claim.id)
                return Result("done", "counted")

        executor.install(Counting(store, None, lambda: 10.0))  # type: ignore[arg-type]
        relay = Relay(store, connect(fleet.url), lambda: 10.0)
        wanted = []
        for turn in range(40):
            if turn == 20:
                fleet.kill(next(iter(fleet.running)))
            patient = f"patient-{turn}"
            effect = store.new_effect_id(patient)
            wanted.append(effect)
            until(
                lambda at=patient, fx=effect: write(store, at, "k", effects=[Effect(fx, "text", 5.0, b"x")], now=1.0),  # type: ignore[misc]
                "the turn is written",
            )
            until(lambda: relay.sweep() >= 0, "the relay runs")
            until(lambda: make_worker(connect(fleet.url, role="worker")).work(burst=True) is not None, "it works")
        assert sorted(done) == sorted(wanted)
