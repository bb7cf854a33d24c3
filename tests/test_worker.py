"""RQ as the executor: only its one job runs, in a real worker process; what dies with it is done again."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from redis import Redis
from rq import Queue
from rq.job import Job
from rq.serializers import JSONSerializer

from bot.carrier import TIMEOUT_SECONDS, CarrierError, Row
from bot.consent import Hours, Verdict, hours_for, may_answer_silence, may_follow_up
from bot.followups import Office, carry_out
from bot.outgoing import Outgoing
from bot.reconcile import SETTLE_SECONDS
from bot.record import Consent, Record
from bot.relay import DESCRIPTION, JOB, QUEUE, Relay, queue
from bot.sending import Gate, pause, resume
from bot.store import Effect
from bot.store.client import connect
from bot.store.embedded import EmbeddedServer
from bot.store.model import Begun, Claim
from bot.store.sends import Sends
from bot.store.store import Store
from bot.undelivered import Lost, settle
from workers import executor
from workers import run as workers_run
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

    def kept_back(self, patient: str, effect_id: str, why: str) -> None:
        self.notes.append(("kept back", effect_id))

    def still(self, patient: str, effect_id: str, kind: str, told: Any, kept: bytes | None, *, call: bool) -> Verdict:
        return Verdict(True, "still holds")

    def note(self, patient: str, key: str, **more: Any) -> None:
        self.notes.append((key.partition(":")[0], more))

    def not_arrived(self, patient: str, key: str, lost: Lost) -> bool:
        found = settle(None, patient, Record(""), lost, 100.0)  # type: ignore[arg-type]  # nothing is planned
        self.notes.append((key.partition(":")[0], {"tasks": found.tasks, "opted_out": found.record.opted_out}))
        return False


class Line:
    """Stands for the carrier: counts, fails as told, and lists *rows*."""

    def __init__(self, *failures: CarrierError | None, rows: tuple[Row, ...] = ()) -> None:
        self.failures, self.sent, self.rows = list(failures), [], rows  # type: ignore[var-annotated]

    def listed(self, to: str, *, calls: bool, since: float) -> list[Row]:
        return [row for row in self.rows if row.created >= since]

    def text(self, to: str, body: str, effect_id: str) -> str:
        failure = self.failures.pop(0) if self.failures else None
        if failure:
            raise failure
        self.sent.append(effect_id)
        return "SM1"


OUT = Outgoing("+17135550142", "hello", "asked for")


def office(store: Store, line: Line, out: Outgoing = OUT, settle: float = 0.0) -> tuple[Office, Desk]:
    desk = Desk(out)
    gate = Gate(store, lambda: 100.0, limit=0, zone=ZoneInfo("UTC"))
    return Office(desk, line, lambda: 100.0, Sends(store), gate, settle=settle), desk  # type: ignore[arg-type]


def claimed(store: Store) -> tuple[Claim, Begun]:
    """A due text, begun."""
    plan(store)
    claim = store.claim(store.bucket(PATIENT), 100.0)[0]
    return claim, store.begin(claim)


def begun_again(store: Store) -> tuple[Claim, Begun]:
    """A text that a worker marked as sent and then died."""
    claim, _ = claimed(store)
    assert Sends(store).mark(claim, PATIENT, 100.0).tries
    again = store.claim(store.bucket(PATIENT), 130.0)[0]
    begun = store.begin(again)
    assert begun.status == "redo"
    return again, begun


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
    executor.install(Executor(store, office(store, line)[0], lambda: 100.0))
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


def test_of_an_exception_neither_rq_nor_a_log_keeps_the_words(
    store: Store, redis_client: Redis, caplog: pytest.LogCaptureFixture
) -> None:
    """RQ logs the whole traceback of a failed job, and can store it; only kind and place are in it."""

    class Odd(Line):
        def text(self, to: str, body: str, effect_id: str) -> str:
            raise RuntimeError(f"zebrafinch {to}")

    plan(store)
    executor.install(Executor(store, office(store, Odd())[0], lambda: 100.0))
    Relay(store, redis_client, lambda: 100.0).sweep()
    make_worker(redis_client).work(burst=True, logging_level="WARNING")
    assert "JobFailedError: RuntimeError at test_worker.py:" in caplog.text
    assert not [one for one in ("zebrafinch", "7135550142") if one in caplog.text]


def test_a_worker_killed_in_the_middle_has_its_effect_done_again_and_flagged(store: Store) -> None:
    """A real process begins the effect and dies by SIGKILL; the next one gets it as *redo*."""
    plan(store)
    script = (
        "import os, signal, sys\n"
        "from bot.store.sends import Sends\n"
        "from bot.store.client import connect\nfrom bot.store.cipher import Cipher\nfrom bot.store.store import Store\n"
        "store = Store(connect(sys.argv[1]), Cipher([bytes(range(32))]), 3)\n"
        f"claim = store.claim({store.bucket(PATIENT)}, 60.0)[0]\n"
        "assert store.begin(claim).status == 'go'\nassert Sends(store).mark(claim, 'p', 60.0).tries\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    url = f"unix://{store.client.connection_pool.connection_kwargs['path']}"
    died = subprocess.run([sys.executable, "-c", script, url], cwd=Path(__file__).parents[1], check=False)
    assert died.returncode == -9
    assert store.claim(store.bucket(PATIENT), 61.0) == []
    again = store.claim(store.bucket(PATIENT), 81.0)[0]
    assert store.begin(again).status == "redo"


def test_a_send_whose_callback_came_is_done(store: Store) -> None:
    """The callback carries the effect's id; nothing is sent and nobody is asked."""
    claim, begun = begun_again(store)
    store.set_status(claim.id, "sent", None, 1.0, "SM7")
    room, desk = office(store, line := Line())
    assert carry_out(room, claim, begun).status == "done"
    assert (line.sent, desk.notes, room.sends.how(claim.id)) == ([], [], "callback")


def test_a_send_is_found_at_the_carrier_unless_it_belongs_to_another(store: Store) -> None:
    """Same number, same words, since then, and of no other effect."""
    claim, begun = begun_again(store)
    other = f"{claim.id.partition('-')[0]}-other"
    store.set_status(other, "sent", None, 1.0, "SM1")
    rows = (Row("SM1", "hello", 100.0), Row("SM2", "something else", 100.0), Row("SM3", "hello", 100.0 - 3600))
    room, _ = office(store, Line(rows=rows), settle=1000)
    assert (found := carry_out(room, claim, begun)).status == "put_off"
    assert found.unsure
    room, _ = office(store, line := Line(rows=(*rows, Row("SM4", "hello", 101.0))), settle=1000)
    assert carry_out(room, claim, begun).status == "done"
    assert (line.sent, room.sends.how(claim.id), room.sends.whose("SM4", claim.id)) == ([], "found", claim.id)


def test_a_send_that_nothing_shows_is_sent_again_once_and_then_a_person_looks(store: Store) -> None:
    """Only after the time in which it could still appear; a second loss is for a person, and it stays a dead letter."""
    claim, begun = begun_again(store)
    room, desk = office(store, line := Line(CarrierError("unknown")))
    first = carry_out(room, claim, begun)
    assert (first.status, first.unsure) == ("put_off", True)
    again = store.claim(store.bucket(PATIENT), 999.0)[0]
    assert carry_out(room, again, store.begin(again)).status == "buried"
    assert desk.notes[0][1]["tasks"] == ("ambiguous_send",)
    assert (line.sent, room.sends.how(claim.id)) == ([], "person")


def test_a_redacted_list_proves_nothing(store: Store) -> None:
    """Where the carrier keeps no words, a text of ours to that number may be this one: a person looks."""
    claim, begun = begun_again(store)
    room, _ = office(store, line := Line(rows=(Row("SM9", None, 100.0),)))
    assert carry_out(room, claim, begun).status == "buried"
    assert line.sent == []


@pytest.mark.parametrize(
    ("kind", "code", "status", "task"),
    [
        ("busy", 20429, "put_off", ()), ("away", 0, "put_off", ()), ("configuration", 20003, "put_off", ()),
        ("permanent", 21211, "buried", ("undelivered",)), ("permanent", 21614, "buried", ("landline",)),
        ("unknown", 20503, "put_off", ()), ("opted_out", 21610, "done", ()),
    ],
)  # fmt: skip
def test_every_answer_of_the_carrier_has_its_own_consequence(
    store: Store, kind: Any, code: int, status: str, task: tuple[str, ...]
) -> None:
    """Busy waits, a refused set-up stops everything and keeps the work, unknown is looked up before anything is sent."""
    room, desk = office(store, Line(CarrierError(kind, code)))
    result = carry_out(room, *claimed(store))
    assert result.status == status
    assert tuple(task for _, more in desk.notes for task in more.get("tasks", ())) == task
    assert result.unsure == (kind == "unknown")
    assert [one.kind for one in store.tasks()] == (["configuration"] if kind == "configuration" else [])
    if status == "put_off":
        assert result.at > 100.0


def test_while_sending_is_stopped_work_waits_undamaged_and_goes_on_afterwards(store: Store) -> None:
    """Nothing is decided, nothing sent, nothing forgotten; emergency advice is tried all the same."""
    room, _ = office(store, line := Line())
    claim, begun = claimed(store)
    pause(store, "wrong wording", "nurse", 90.0)
    held = carry_out(room, claim, begun)
    assert (held.status, held.fresh, line.sent) == ("put_off", True, [])
    urgent, body = claimed(store)
    assert carry_out(room, urgent, replace(body, body=b'{"p": "patient-one", "safety": true}')).status == "done"
    assert line.sent == [urgent.id]
    resume(store, "nurse", 100.0, ZoneInfo("UTC"))
    store.put_off(claim.id, 100.0, fresh=True, fence=claim.till)
    executor.install(Executor(store, room, lambda: 100.0))
    assert executor.drain(store.bucket(PATIENT)) == 1
    assert line.sent == [urgent.id, claim.id]


def test_an_effect_that_cannot_be_opened_is_a_task_and_blocks_nobody(store: Store) -> None:
    """A lost key or a flipped bit: buried with a reason, the others go on."""
    broken, well = plan(store), plan(store)
    store.client.hset(f"{store.tag_of(broken)}e:{broken}", "d", b"xx")
    executor.install(Executor(store, office(store, line := Line())[0], lambda: 100.0))
    executor.drain(store.bucket(PATIENT))
    assert line.sent == [well]
    assert store.dead() == [(broken, "fault: UnreadableError")]
    assert [task.kind for task in store.tasks()] == ["fault"]


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
    assert (
        may_follow_up(replace(WILLING, sent=(NOON - 3600,)), "follow_up", hours(), NOON).later == NOON - 3600 + 86_400
    )
    week = tuple(NOON - day * 86_400 for day in (2, 3, 4))
    assert not may_follow_up(replace(WILLING, sent=week), "follow_up", hours(), NOON).go
    assert may_follow_up(replace(WILLING, unanswered=2), "follow_up", hours(), NOON).later is None
    assert not may_follow_up(replace(WILLING, opted_out=True), "follow_up", hours(), NOON).go
    assert not may_follow_up(replace(WILLING, owner="nurse"), "follow_up", hours(), NOON).go
    assert not may_answer_silence(replace(WILLING, opted_out=True), hours(), NOON).go


def test_nothing_found_is_believed_only_after_any_request_of_ours_and_a_jump_of_the_clock() -> None:
    """The crash test settles sooner, because none of its requests live so long; what is served must not."""
    assert SETTLE_SECONDS >= TIMEOUT_SECONDS + 120


@pytest.mark.parametrize("taken_back", [True, False])
def test_a_text_that_a_turn_takes_back_after_it_was_decided_is_logged_as_not_sent(
    store: Store, taken_back: bool
) -> None:
    """Else the log would show a text that never left. One that another worker claimed anew is that worker's to tell."""
    line = Line()
    here, desk = office(store, line)
    claim, begun = claimed(store)
    if taken_back:
        version = store.load(PATIENT, "next").version
        store.commit(PATIENT, "next", version, record=b"r", answer=b"a", cancels=[claim.id], now=1.0)
    else:
        store.claim(store.bucket(PATIENT), 130.0)
    assert carry_out(here, claim, begun).status == "lost"
    assert line.sent == []
    assert desk.notes == ([("kept back", claim.id)] if taken_back else [])


def test_a_worker_rides_out_a_store_that_refuses_and_still_hears_the_signal_to_stop(
    server: EmbeddedServer, redis_client: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    """RQ's own worker ends at the first refusal; under fire a process that must start anew never gets to its work."""
    done = threading.Event()

    class Here:
        def drain(self, bucket: int) -> int:
            done.set()
            os.kill(os.getpid(), signal.SIGTERM)
            return 0

    monkeypatch.setattr(executor, "_here", [Here()])
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    made = []
    make = workers_run.make_worker

    def heal_at_the_third(client: Redis) -> workers_run.Worker:
        made.append(make(client))
        if len(made) == 3:
            redis_client.config_set("maxmemory", 0)
            queue(redis_client).enqueue(JOB, 0)
        return made[-1]

    monkeypatch.setattr(workers_run, "make_worker", heal_at_the_third)
    monkeypatch.setattr(workers_run, "AGAIN_SECONDS", 0.01)
    redis_client.config_set("maxmemory", 1)
    try:
        workers_run.work_until_told(connect(server.url, role="worker"))
    finally:
        redis_client.config_set("maxmemory", 0)
        for number, handler in before.items():
            signal.signal(number, handler)
    assert done.is_set()
    assert len(made) == 3
