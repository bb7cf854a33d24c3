"""The queue of the ledger: who is taken first, what is in hand, and a store that an older version wrote."""

from __future__ import annotations

import json
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import pytest
from redis import Redis

from bot.outreach.roster import Roster
from bot.relay import Relay
from bot.store import Effect, Task, lanes
from bot.store.backup import restore, write
from bot.store.due import LEASE_SECONDS
from bot.store.erase import erase
from bot.store.lists import Lists
from bot.store.model import Begun, Claim
from bot.store.sends import Sends
from bot.store.store import Store
from bot.vitals import vitals
from workers.executor import BATCH, DRAIN_SECONDS, Do, Executor
from workers.run import Worker

NOW = 1_764_000_000.0
P = "patient-one"


def planned(store: Store, kind: str, due: float, count: int = 1) -> list[str]:
    """*count* effects of one kind, of one patient."""
    effects = [Effect(store.new_effect_id(P), kind, due, b'{"p": "patient-one"}') for _ in range(count)]
    key = effects[0].id
    if kind == "alert":
        assert store.raise_task(Task(f"{key}.task", P, "emergency", 0, due), effects)
        return [one.id for one in effects]
    version = store.load(P, key).version
    assert store.commit(P, key, version, record=b"r", answer=b"a", effects=effects, now=NOW).status == "ok"
    return [one.id for one in effects]


def taken(store: Store, now: float = NOW, limit: int = BATCH) -> list[str]:
    return [claim.id for claim in store.claim(store.bucket(P), now, limit)]


def test_an_alert_is_in_the_first_claim_behind_5000_recipients_of_a_campaign(store: Store) -> None:
    """Staff and who waits for an answer come before everything, campaigns after everything, whenever they were due."""
    for _ in range(10):
        planned(store, "outreach", NOW - 3600, 500)
    reminder, answer, alert = (planned(store, kind, NOW)[0] for kind in ("follow_up", "text", "alert"))
    first = taken(store)
    assert set(first[:2]) == {alert, answer}
    assert first[2] == reminder
    assert len(first) == BATCH


def test_the_job_of_a_bucket_with_an_alert_goes_before_those_of_a_campaign(store: Store, redis_client: Redis) -> None:
    """However many jobs wait."""
    assert store.buckets == 3
    for bucket in range(3):
        store.client.zadd(f"{store.tag(bucket)}due", {f"{bucket}-x": 2 * lanes.LANE + NOW - 60})
    relay = Relay(store, redis_client, lambda: NOW)
    while relay.sweep():
        pass
    before = relay.queue.count
    planned(store, "alert", NOW)
    while relay.sweep():
        pass
    jobs = relay.queue.get_jobs()
    assert list(jobs[0].args) == [store.bucket(P)]
    assert len(jobs) <= 2 * before


def test_no_lane_waits_for_ever_behind_one_that_is_never_empty(store: Store) -> None:
    """Also what a dead worker had in hand."""
    dead = planned(store, "silence", NOW - 60, 3)
    assert set(taken(store, NOW - 60)) == set(dead)
    for kind in ("alert", "silence", "outreach"):
        planned(store, kind, NOW - 30, 100)
    found = taken(store)
    kinds = [store.client.hget(f"{store.tag_of(one)}e:{one}", "k") for one in found if one not in dead]
    assert len(set(found) & set(dead)) == 2
    assert kinds.count(b"alert") == BATCH - 6
    assert (kinds.count(b"silence"), kinds.count(b"outreach")) == (2, 2)
    assert len(found) == BATCH


def test_a_claim_reads_no_effect_so_that_it_costs_the_same_whatever_waits(store: Store) -> None:
    planned(store, "text", NOW, 20)
    store.claim(store.bucket(P), NOW - 1)  # the server has the script
    client: Any = store.client
    client.config_resetstat()
    assert len(taken(store)) == 20
    ran = {name.removeprefix("cmdstat_") for name in client.info("commandstats")}
    assert not {one for one in ran if one.startswith(("h", "exists", "get"))}


def test_what_is_in_hand_is_seen_by_everything_that_reads_what_is_planned(store: Store) -> None:
    (one,) = planned(store, "text", NOW)
    assert store.due_buckets(NOW) == [store.bucket(P)]
    claim = store.claim(store.bucket(P), NOW)[0]
    assert store.due_buckets(NOW) == []
    kept = store.effect(one)
    assert kept is not None
    assert Lists(store).waits([one]) == [kept.due] == [claim.till]
    assert vitals(store, NOW, NOW).overdue == 0
    late = vitals(store, claim.till + 5, NOW)
    assert (late.overdue, late.backlog) == (1, 5.0), "the worker that held it is gone"
    store.finish(one)
    assert store.effect(one) is None
    assert Lists(store).waits([one]) == [None]


def test_what_was_decided_is_judged_by_the_record_of_the_very_moment_before_the_carrier(store: Store) -> None:
    """The mark gives it: one step, so that no turn comes in between."""
    planned(store, "text", NOW)
    claim = store.claim(store.bucket(P), NOW)[0]
    version = store.load(P, "k").version
    store.commit(P, "k", version, record=b"booked since", answer=b"a", now=NOW)
    marked = Sends(store).mark(claim, P, NOW)
    assert (marked.tries, marked.record) == (1, b"booked since")


def test_the_time_of_an_effect_is_told_whatever_its_lane(store: Store) -> None:
    for kind in ("alert", "follow_up", "outreach"):
        (one,) = planned(store, kind, NOW + 0.125)
        kept = store.effect(one)
        assert kept is not None
        assert kept.due == NOW + 0.125
        assert Lists(store).waits([one]) == [NOW + 0.125]
    assert lanes.oldest(store.each) == NOW + 0.125
    assert vitals(store, NOW + 10.125, NOW).backlog == 10.0


def test_what_is_in_hand_is_neither_moved_nor_lost_by_its_campaign(store: Store) -> None:
    """Brought forward it would be taken twice; taken back it does not leave."""
    roster = Roster(store)
    effect = roster.effect("abcdefgh", P, 7)
    version = store.load(P, "k").version
    store.commit(P, "k", version, record=b"r", answer=b"a", effects=[Effect(effect, "outreach", NOW, b"{}")], now=NOW)
    claim = store.claim(store.bucket(P), NOW)[0]
    assert roster.bring_forward([(effect, NOW + 1)]) == 0
    assert taken(store, NOW + 2) == []
    assert roster.cancel([effect]) == 1
    assert Sends(store).mark(claim, P, NOW).tries == 0
    assert taken(store, NOW + 100) == []


def test_a_store_of_an_older_version_goes_on(store: Store) -> None:
    """There a score was the time alone, a claim moved it ahead, and the fence stood in the effect."""
    tag = store.tag(store.bucket(P))
    waits, held, marked = (store.new_effect_id(P) for _ in range(3))
    client: Any = store.client
    for one in (waits, held, marked):
        client.hset(f"{tag}e:{one}", mapping={"k": "outreach", "d": store.cipher.seal(f"{tag}e:{one}", b"{}")})
    client.zadd(f"{tag}due", {waits: NOW - 5, held: NOW + 15, marked: NOW + 15})
    client.hset(f"{tag}e:{held}", "n", 1)
    client.hset(f"{tag}e:{marked}", mapping={"n": 2, "s": "doing", "m": int(NOW), "c": NOW, "a": 1})
    assert taken(store) == [waits]
    later = store.claim(store.bucket(P), NOW + 16)
    status = {claim.id: begun.status for claim, begun in zip(later, store.begin_all(later), strict=True)}
    assert status == {held: "go", marked: "redo"}
    assert client.hget(f"{tag}e:{held}", "n") is None, "its worker, if it lives, does not send it as well"
    store.put_off(held, NOW + 50, fence=later[0].till)
    assert lanes.oldest(store.each, NOW + 50) is not None


@pytest.mark.parametrize("how", ["taken back", "erased"])
def test_of_what_was_in_hand_and_is_no_more_nothing_is_left(store: Store, how: str) -> None:
    (one,) = planned(store, "text", NOW)
    claim = store.claim(store.bucket(P), NOW)[0]
    if how == "taken back":
        version = store.load(P, "k").version
        store.commit(P, "k", version, record=b"r", answer=b"a", cancels=[one], now=NOW)
    else:
        erase(store, P, (P.encode(),), b"bare", 0)
    assert Lists(store).waits([one]) == [None]
    assert Sends(store).mark(claim, P, NOW).tries == 0
    assert sum(lanes.waiting(store.each, NOW + 100)) == 0


def test_who_slept_through_the_lease_changes_nothing_of_what_was_claimed_anew(store: Store) -> None:
    (one,) = planned(store, "text", NOW)
    slept = store.claim(store.bucket(P), NOW)[0]
    anew = store.claim(store.bucket(P), slept.till)[0]
    store.put_off(one, NOW + 900, fence=slept.till)
    store.bury(one, "carrier permanent", NOW, fence=slept.till)
    assert store.dead() == []
    assert store.begin(anew).status == "go"
    store.put_off(one, NOW + 900, fence=anew.till)
    assert Lists(store).waits([one]) == [NOW + 900]


def test_what_waited_for_a_thread_until_its_lease_ended_is_left_to_the_next_claim(store: Store) -> None:
    """Somebody else may have it by now, and alerts and timers have no mark that would say so."""
    (one,) = planned(store, "text", NOW)
    queue: list[Callable[[], None]] = []

    def later(do: Do, claim: Claim, begun: Begun) -> Future[None]:
        queue.append(lambda: do(claim, begun))
        return Future()

    clock = [NOW]
    executor = Executor(store, None, lambda: clock[0], later)  # type: ignore[arg-type]  # nobody is to be asked
    assert executor.drain(store.bucket(P)) == 1
    clock[0] = NOW + LEASE_SECONDS
    queue.pop()()
    assert taken(store, NOW + LEASE_SECONDS) == [one]


def test_a_job_ends_before_rq_takes_it_for_abandoned() -> None:
    assert Worker.get_heartbeat_ttl(None, None) / 2 >= DRAIN_SECONDS  # type: ignore[arg-type]  # a constant of ours


def test_scripts_that_run_together_are_learnt_again_by_a_server_that_forgot_them(store: Store) -> None:
    one, two = planned(store, "text", NOW, 2)
    client: Any = store.client
    client.script_flush()
    store.run_all([store.finished(one), store.finished(two)])
    assert Lists(store).waits([one, two]) == [None, None]


def test_what_is_in_hand_is_in_a_backup_and_may_have_been_sent(store: Store, tmp_path: Path) -> None:
    one, two = planned(store, "text", NOW)[0], planned(store, "follow_up", NOW + 900)[0]
    store.claim(store.bucket(P), NOW)
    client: Any = store.client
    write(client, store.cipher, store.buckets, file := tmp_path / "file")
    client.flushall()
    restore(client, store.cipher, store.buckets, file, moved=False, now=NOW)
    again = store.claim(store.bucket(P), NOW + 1000)
    status = {claim.id: begun.status for claim, begun in zip(again, store.begin_all(again), strict=True)}
    assert status == {one: "redo", two: "go"}
    assert json.loads(store.begin(again[0]).body) == {"p": P}
