"""RQ as the executor: only its one job runs, in a real worker process; what dies with it is done again."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from redis import Redis
from rq import Queue
from rq.job import Job
from rq.serializers import JSONSerializer

from bot.carrier import CarrierError
from bot.consent import Hours, hours_for, may_answer_silence, may_follow_up
from bot.conversation import Outgoing
from bot.followups import Office, carry_out
from bot.record import Consent, Record
from bot.relay import DESCRIPTION, JOB, QUEUE, Relay
from bot.store import Effect
from bot.store.store import Store
from workers import executor
from workers.executor import Executor
from workers.run import AllowedJob, make_worker

PATIENT = "patient-one"
MARK = Path("/tmp") / "a-forged-job-ran"


class Desk:
    """Stands for the conversation: says *out* to whatever is due, and keeps the notes it was given."""

    def __init__(self, out: Outgoing) -> None:
        self.out, self.notes = out, []  # type: ignore[var-annotated]

    def tick(self, patient: str, effect_id: str, body: dict[str, Any]) -> Outgoing:
        return self.out

    follow_up = asked_for = tick

    def note(self, patient: str, key: str, **more: Any) -> None:
        self.notes.append((key.partition(":")[0], more))


class Line:
    """Stands for the carrier: counts, and fails as told."""

    def __init__(self, *failures: CarrierError | None) -> None:
        self.failures, self.sent = list(failures), []  # type: ignore[var-annotated]

    def text(self, to: str, body: str, effect_id: str) -> str:
        failure = self.failures.pop(0) if self.failures else None
        if failure:
            raise failure
        self.sent.append(effect_id)
        return "SM1"


OUT = Outgoing("+17135550142", "hello", "asked for")


def office(line: Line, out: Outgoing = OUT, seen: object = None) -> tuple[Office, Desk]:
    desk = Desk(out)
    made = Office(desk, line, lambda: 100.0, lambda *_: None, lambda *_: None, lambda _: seen)  # type: ignore[arg-type]
    return made, desk


def plan(store: Store, due: float = 50.0) -> str:
    effect = store.new_effect_id(PATIENT)
    version = store.load(PATIENT, effect).version
    body = b'{"p": "patient-one"}'
    store.commit(
        PATIENT, effect, version, record=b"r", answer=b"a", effects=[Effect(effect, "text", due, body)], now=1.0
    )
    return effect


def test_a_due_effect_runs_through_relay_and_rq_and_an_early_one_waits(store: Store, redis_client: Redis) -> None:
    """The relay submits a bucket, the worker drains it; what is due later stays."""
    line = Line()
    due, early = plan(store), plan(store, due=500.0)
    executor.install(Executor(store, office(line)[0], lambda: 100.0))
    relay = Relay(store, redis_client, lambda: 100.0)
    assert relay.sweep() == 1
    make_worker(redis_client).work(burst=True, logging_level="ERROR")
    assert line.sent == [due]
    assert relay.sweep() == 0
    assert early not in line.sent


def test_a_job_holds_a_bucket_number_and_nothing_else(store: Store, redis_client: Redis) -> None:
    """No patient, no number, no words, a constant description, and an end to everything it leaves."""
    plan(store)
    Relay(store, redis_client, lambda: 100.0).sweep()
    job = Queue(QUEUE, connection=redis_client, serializer=JSONSerializer).jobs[0]
    assert (job.func_name, job.args, job.kwargs) == (JOB, [store.bucket(PATIENT)], {})
    assert job.description == DESCRIPTION
    assert job.failure_ttl == 3600
    assert job.result_ttl == 0


@pytest.mark.parametrize("callback", [False, True])
def test_a_forged_job_or_callback_is_refused(store: Store, redis_client: Redis, callback: bool) -> None:
    """JSON alone would run ``os.system``; the allow-list does not (measured in trust.md M3)."""
    MARK.unlink(missing_ok=True)
    queue = Queue(QUEUE, connection=redis_client, serializer=JSONSerializer)
    if callback:
        job = queue.enqueue(JOB, 0)
        redis_client.hset(job.key, mapping={"success_callback_name": "os.system", "failure_callback_name": "os.abort"})
    else:
        job = queue.enqueue("os.system", f"touch {MARK}")
    make_worker(redis_client).work(burst=True, logging_level="CRITICAL")
    assert not MARK.exists()
    assert Job.fetch(job.id, redis_client, serializer=JSONSerializer).get_status() == "failed"
    assert AllowedJob.fetch(job.id, redis_client, serializer=JSONSerializer).success_callback is None


def test_a_worker_killed_in_the_middle_has_its_effect_done_again_and_flagged(store: Store) -> None:
    """A real process begins the effect and dies by SIGKILL; the next one gets it as *redo*."""
    plan(store)
    script = (
        "import os, signal, sys\n"
        "from bot.store.client import connect\nfrom bot.store.cipher import Cipher\nfrom bot.store.store import Store\n"
        "store = Store(connect(sys.argv[1]), Cipher([bytes(range(32))]), 3)\n"
        f"claim = store.claim({store.bucket(PATIENT)}, 60.0)[0]\n"
        "assert store.begin(claim).status == 'go'\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    url = f"unix://{store.client.connection_pool.connection_kwargs['path']}"
    died = subprocess.run([sys.executable, "-c", script, url], cwd=Path(__file__).parents[1], check=False)
    assert died.returncode == -9
    assert store.claim(store.bucket(PATIENT), 61.0) == []
    again = store.claim(store.bucket(PATIENT), 81.0)[0]
    assert store.begin(again).status == "redo"


def test_a_send_that_may_have_happened_is_never_repeated_unknowingly() -> None:
    """Redo with a known callback: done. Redo without: nothing is sent, a person looks."""
    line = Line()
    known, desk = office(line, seen=object())
    assert carry_out(known, "0-e", "text", b'{"p": "x"}', attempt=2, redo=True).status == "done"
    assert desk.notes == []
    unknown, desk = office(line)
    carry_out(unknown, "0-e", "text", b'{"p": "x"}', attempt=2, redo=True)
    assert desk.notes[0][1]["tasks"] == ("ambiguous_send",)
    assert line.sent == []


@pytest.mark.parametrize(
    ("kind", "status", "task"),
    [
        ("retry", "put_off", ()), ("configuration", "put_off", ("configuration",)),
        ("permanent", "buried", ("undelivered",)),
        ("unknown", "buried", ("ambiguous_send",)), ("opted_out", "done", ()),
    ],
)  # fmt: skip
def test_every_answer_of_the_carrier_has_its_own_consequence(kind: Any, status: str, task: tuple[str, ...]) -> None:
    """Retry waits, a configuration fault keeps the work, unknown is never sent again blindly."""
    room, desk = office(Line(CarrierError(kind, 1)))
    result = carry_out(room, "0-e", "text", b'{"p": "x"}', attempt=1, redo=False)
    assert result.status == status
    assert tuple(task for _, more in desk.notes for task in more.get("tasks", ())) == task
    if status == "put_off":
        assert result.at > 100.0


def hours(zones: tuple[str, ...] = ("America/Chicago",)) -> Hours:
    return hours_for(zones, "America/Chicago", "09:00", "20:00")


NOON, NIGHT = 1_764_007_200.0, 1_764_050_400.0  # 2025-11-24 12:00 and 2025-11-25 00:00 in Chicago
WILLING = Record("+17135550142", consents=(Consent("follow_up", True, 1.0, "test"),))


def test_a_follow_up_needs_consent_daytime_in_every_zone_and_room_under_the_caps() -> None:
    """The gate at the moment of sending: each condition alone can stop it."""
    assert may_follow_up(WILLING, "follow_up", hours(), NOON).go
    assert may_follow_up(Record("+1"), "follow_up", hours(), NOON).why == "no consent"
    assert may_follow_up(WILLING, "outreach", hours(), NOON).why == "no consent"
    night = may_follow_up(WILLING, "follow_up", hours(), NIGHT)
    assert (night.go, night.why) == (False, "quiet hours")
    assert night.later == NIGHT + 9 * 3600
    assert not may_follow_up(WILLING, "follow_up", hours(("America/Chicago", "Pacific/Honolulu")), NOON).go


def test_the_caps_and_the_silences_hold() -> None:
    """One a day, three a week, two unanswered in a row, never after STOP or with a person at work."""
    from dataclasses import replace

    assert (
        may_follow_up(replace(WILLING, sent=(NOON - 3600,)), "follow_up", hours(), NOON).later == NOON - 3600 + 86_400
    )
    week = tuple(NOON - day * 86_400 for day in (2, 3, 4))
    assert not may_follow_up(replace(WILLING, sent=week), "follow_up", hours(), NOON).go
    assert may_follow_up(replace(WILLING, unanswered=2), "follow_up", hours(), NOON).later is None
    assert not may_follow_up(replace(WILLING, opted_out=True), "follow_up", hours(), NOON).go
    assert not may_follow_up(replace(WILLING, owner="nurse"), "follow_up", hours(), NOON).go
    assert not may_answer_silence(replace(WILLING, opted_out=True), hours(), NOON).go
