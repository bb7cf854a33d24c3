"""What is wrong is said in words with what to do, and nothing is said of a patient."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from urllib.request import urlopen
from zoneinfo import ZoneInfo

import pytest
from redis import Redis

from bot.alerts import raise_for_clinic
from bot.doctor import carrier_faults, faults
from bot.record import Record, from_bytes, to_bytes
from bot.sending import Gate, resume
from bot.settings import Settings
from bot.store import Effect
from bot.store.audit import Audit, Entry
from bot.store.embedded import EmbeddedServer
from bot.store.signs import note_sweep
from bot.store.spool import Spool
from bot.store.store import Store, open_store
from bot.vitals import stale_sessions, vitals
from bot.wiring import about_work, build, put_together
from tests.sandbox_stage import Stage
from tests.web_fake import PHONE, settings
from tests.whole import ROOT, Whole

NOW = 1_780_000_000.0


@pytest.fixture
def clinic(tmp_path: Path) -> Settings:
    return settings(DATA_DIR=str(tmp_path), OPT_OUT_MODE="app")


def told(clinic: Settings, store: Store, now: float = NOW) -> str:
    return "\n".join(map(str, faults(clinic, store, now, time.time())))


def test_a_deployment_without_workers_and_with_an_unsafe_server_is_told_what_to_do(
    clinic: Settings, store: Store
) -> None:
    """The server of the tests does not sync every write."""
    said = told(clinic, store)
    assert "No worker has looked for due work ever: start one with python -m workers.run" in said
    assert "appendfsync no; a clinic needs always" in said
    note_sweep(store, time.time())
    assert "No worker" not in told(clinic, store)
    assert "Nobody is told when a patient needs a person now; it only shows in the console" in told(clinic, store)
    heard = clinic.model_copy(update={"alert_phones": ("+17135550171",)})
    assert "Nobody is told" not in told(heard, store)
    assert "opens on this machine only: set CONSOLE_URL" in told(heard, store)
    reachable = heard.model_copy(update={"console_url": "https://console.example"})
    assert "CONSOLE_URL" not in told(reachable, store)


def test_stops_and_tasks_about_the_clinic_itself_are_named_with_what_to_do(clinic: Settings, store: Store) -> None:
    """And that refused credentials reach nobody when staff only hear by text."""
    gate = Gate(store, lambda: NOW, limit=0, zone=ZoneInfo("UTC"))
    gate.refused(20003)
    raise_for_clinic(store, "fault", "fault.1", NOW, ())
    said = told(clinic.model_copy(update={"alert_phones": ("+17135550171",)}), store)
    assert "Sending is stopped since 2026-05-28 20:26 UTC: python -m bot sending status says why" in said
    assert "sending is stopped: the carrier refused our credentials or set-up" in said
    assert "something planned could not be done: see python -m bot dead list" in said
    assert "Staff hear by text only" in said
    resume(store, "nurse", NOW, ZoneInfo("UTC"))
    assert "ending is stopped" not in told(clinic, store)


def test_work_that_is_stuck_given_up_or_spooled_is_named(clinic: Settings, store: Store) -> None:
    """Overdue effects, dead letters, and what waits on the disk."""
    one, two = store.new_effect_id("p"), store.new_effect_id("p")
    effects = [Effect(one, "text", NOW - 600, b"{}"), Effect(two, "text", NOW + 600, b"{}")]
    store.commit("p", "k", "0|", record=to_bytes(Record("")), answer=b"a", effects=effects, now=NOW)
    assert vitals(store, NOW, NOW).backlog == 600
    assert "1 effects are overdue, the oldest by 600 s" in told(clinic, store)
    store.bury(one, "carrier permanent", NOW)
    spool = Spool(clinic.data_dir / "spool", store.cipher)
    spool.keep({"do": "nothing"})
    spool.keep({"do": "nothing"})
    spool.set_aside(spool.names()[0])
    said = told(clinic, store)
    assert "overdue" not in said
    assert "1 effects were given up: python -m bot dead list" in said
    assert "1 inputs wait in" in said
    assert "1 inputs in" in said


def test_a_conversation_that_no_timer_will_end_is_named_by_an_opaque_id(clinic: Settings, store: Store) -> None:
    """Its timer was lost; the patient's number and words stay out of it."""
    app = put_together(clinic, "", store, lambda: NOW)
    app.conversation.hear(PHONE, "sms", "hi my back hurts", "SM1")
    patient = store.cipher.patient_id(PHONE)
    assert stale_sessions(store, NOW + 40 * 3600) == [], "a timer is planned"
    loaded = store.load(patient, "x")
    record = to_bytes(replace(from_bytes(loaded.record or b""), planned={}))
    store.commit(patient, "edit", loaded.version, record=record, answer=b"a", now=NOW)
    assert stale_sessions(store, NOW + 40 * 3600) == [patient]
    said = told(clinic, store, NOW + 40 * 3600)
    assert f"({patient})" in said
    assert PHONE[2:] not in said


def test_clocks_that_differ_are_named(store: Store) -> None:
    """By whole seconds, with the command that sets them."""
    from bot.doctor import _of_the_work

    found = replace(vitals(store, NOW, time.time() - 130), swept=1.0)
    assert "clock is 130 s ahead of this machine's: set both by NTP" in "".join(map(str, _of_the_work(found)))
    found = replace(found, skew=-130.0)
    assert "clock is 130 s behind this machine's: set both by NTP" in "".join(map(str, _of_the_work(found)))


def test_missing_settings_are_all_named_before_anything_is_looked_at(tmp_path: Path) -> None:
    """In one go, and 2 to a script: it could not look."""
    given = {"PATH": os.environ["PATH"], "DATA_DIR": str(tmp_path), "SANDBOX": "0"}
    run = [sys.executable, "-m", "bot", "doctor"]
    ran = subprocess.run(run, cwd=ROOT, env=given, capture_output=True, text=True, check=False)
    assert ran.returncode == 2
    for name in ("PUBLIC_URL", "SECRET_KEY", "TWILIO_ACCOUNT_SID", "TWILIO_AUTH_TOKENS", "TWILIO_FROM", "CLINIC_PHONE"):
        assert name in ran.stderr, ran.stderr
    assert "Traceback" not in ran.stderr


def test_a_store_that_lost_its_data_is_named_and_no_process_starts_on_it(
    server: EmbeddedServer, redis_client: Redis, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A server of the clinic that opened an older one's files empty: this machine still knows the trail."""
    here = settings(BUCKETS="3", STATE_URL=server.url, DATA_DIR=str(tmp_path))
    store = open_store(server.url, here.secret_keys, 3)
    Audit(store.client, store.cipher, tmp_path).append(Entry(1.0, "nurse-1", "patient viewed", "p"))
    assert "The store is empty" not in told(here, store)
    build(here)
    redis_client.flushall()
    assert "knows 1 entries of its audit trail: STATE_URL names another store" in told(here, store)
    with pytest.raises(SystemExit):
        build(here)
    assert f"remove {tmp_path / 'audit.head'}" in capsys.readouterr().err
    (tmp_path / "audit.head").unlink()
    build(here)


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    with Stage(tmp_path) as running:
        yield running


def test_an_address_that_the_carrier_does_not_call_is_named(stage: Stage) -> None:
    """Asked over HTTP of the local Twilio, as of the real one."""
    config = stage.sandbox.config
    here = settings(
        TWILIO_ACCOUNT_SID=config.account_sid, TWILIO_AUTH_TOKENS=config.auth_token, TWILIO_FROM=config.numbers[0],
        TWILIO_API_BASE=f"http://127.0.0.1:{stage.port}", PUBLIC_URL=config.public_url, SANDBOX="1",
    )  # fmt: skip
    assert carrier_faults(here) == []
    moved = here.model_copy(update={"public_url": "https://elsewhere.example"})
    said = carrier_faults(moved)
    assert len(said) == 2
    assert f"Twilio calls sms url {config.public_url}/sms for our number" in said[0]
    assert "https://elsewhere.example/sms: set it in Twilio's console" in said[0]
    assert (
        "no number of this Twilio account" in carrier_faults(here.model_copy(update={"twilio_from": "+12125550199"}))[0]
    )


def test_a_monitor_reads_what_waits_and_no_patient(clinic: Settings, store: Store) -> None:
    """The lines of /readyz: fixed words and numbers, also while a patient's reminder is late and their task is open."""
    app = put_together(clinic, "", store, lambda: NOW)
    app.conversation.hear(PHONE, "sms", "hi my back hurts like a zeppelin", "SM1")
    app.conversation.note(store.cipher.patient_id(PHONE), "n", tasks=("person",))
    app = replace(app, now=lambda: NOW + 7200)
    lines = about_work(app).splitlines()
    assert {"overdue effects: 1", "open tasks: 1"} <= set(lines)
    assert all(re.fullmatch(r"[a-z ]+: (\d+( s)?( ago)?|never)", line) for line in lines)
    assert [line.partition(":")[0] for line in lines] == [
        "oldest overdue effect", "overdue effects", "given up", "open tasks", "last relay",
    ]  # fmt: skip


def scraped(port: str) -> bytes:
    """What the metrics port answers; nothing while it is closed."""
    try:
        with urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer:
            return bytes(answer.read())
    except OSError:
        return b""


def test_the_whole_product_is_healthy_and_its_doctor_says_so() -> None:
    """As a person would ask: python -m bot doctor beside make run."""
    with Whole() as product:
        product.say("hello")
        web = product.environment["WEB_PORT"]
        port = json.loads((product.folder / "run.lock").read_text())["address"]
        assert port
        with urlopen(f"http://127.0.0.1:{web}/readyz", timeout=10) as answer:
            assert answer.read().decode().startswith("ready\noldest overdue effect: 0 s\n")
        # The console serves them, and may be ready a little later than the phone page.
        product.until(lambda: b"\ntriage_up 1.0\n" in scraped(product.environment["METRICS_PORT"]), "metrics")
        env = {**product.environment, "SANDBOX": "1", "TWILIO_API_BASE": product.address,
               "PUBLIC_URL": f"http://127.0.0.1:{web}"}  # fmt: skip
        ran = subprocess.run([sys.executable, "-m", "bot", "doctor"], cwd=ROOT, env=env, capture_output=True, text=True)
        assert (ran.returncode, ran.stdout) == (0, "Nothing is wrong.\n"), ran.stdout + ran.stderr


def test_another_number_of_buckets_is_refused_in_words(
    server: EmbeddedServer, store: Store, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Else every patient would be a stranger, and whoever said STOP would be written to again."""
    more = {"STATE_URL": server.url, "DATA_DIR": str(tmp_path)}
    build(settings(BUCKETS="3", **more))
    build(settings(BUCKETS="3", **more))
    with pytest.raises(SystemExit):
        build(settings(BUCKETS="4", **more))
    assert "was begun with 3; set BUCKETS=3" in capsys.readouterr().err
