"""Prometheus reads the deployment's figures over HTTP, and nothing of a patient."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.request import urlopen

import pytest
from prometheus_client.parser import text_string_to_metric_families

from bot.metrics import MetricsError, serve_metrics
from bot.record import Record, from_bytes, to_bytes
from bot.sending import pause
from bot.settings import Settings
from bot.store import Effect, Task
from bot.store.client import connect
from bot.store.model import CLINIC
from bot.store.signs import note_sweep
from bot.store.store import Store
from bot.wiring import put_together
from tests.web_fake import PHONE, settings

NOW = 1_780_000_000.0
WORDS = "hi my back hurts like a zeppelin"


@pytest.fixture
def clinic(tmp_path: Path) -> Settings:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return settings(METRICS_PORT=str(free.getsockname()[1]), DATA_DIR=str(tmp_path))


@contextmanager
def served(clinic: Settings, store: Store) -> Iterator[None]:
    server = serve_metrics(store, clinic, lambda: NOW)
    assert server
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()


def scrape(clinic: Settings) -> str:
    with urlopen(f"http://127.0.0.1:{clinic.metrics_port}/metrics", timeout=10) as answer:
        assert answer.headers["Content-Type"].startswith("text/plain; version=")
        return str(answer.read().decode())


def figures(text: str) -> dict[str, float]:
    """As Prometheus parses it: name and cause -> value."""
    samples = [sample for family in text_string_to_metric_families(text) for sample in family.samples]
    return {" ".join([sample.name, *sample.labels.values()]): sample.value for sample in samples}


def test_a_scrape_tells_what_the_store_holds_at_that_moment(clinic: Settings, store: Store) -> None:
    """Each figure moves with what happened since the last scrape."""
    with served(clinic, store):
        before = figures(scrape(clinic))
        assert before.pop("triage_last_relay_age_seconds") == float("inf")
        assert abs(before.pop("triage_clock_skew_seconds")) < 5
        assert before.pop("triage_up") == 1
        assert set(before.values()) == {0}
        given_up, late = store.new_effect_id("p"), store.new_effect_id("p")
        effects = [Effect(given_up, "text", NOW - 700, b"{}"), Effect(late, "text", NOW - 600, b"{}")]
        store.commit("p", "k", "0|", record=to_bytes(Record("")), answer=b"a", effects=effects, now=NOW)
        store.bury(given_up, "carrier permanent", NOW)
        store.raise_task(Task("t", "p", "flood", 1, NOW))
        store.raise_task(Task("f", CLINIC, "fault", 2, NOW))
        pause(store, "a wrong campaign", "nurse", NOW)
        note_sweep(store, time.time() - 30)
        now = figures(scrape(clinic))
    assert (now["triage_oldest_overdue_seconds"], now["triage_overdue_effects"]) == (600, 1)
    assert (now["triage_given_up_effects"], now["triage_open_tasks"]) == (1, 2)
    assert (now["triage_clinic_tasks fault"], now["triage_clinic_tasks configuration"]) == (1, 0)
    assert 30 <= now["triage_last_relay_age_seconds"] < 40
    assert (now["triage_sending_stopped staff"], now["triage_sending_stopped carrier"]) == (1, 0)


def test_a_scrape_holds_no_number_no_word_and_no_id_of_a_patient(clinic: Settings, store: Store) -> None:
    """Nor a reason that staff typed, which may name somebody."""
    put_together(clinic, "", store, lambda: NOW).conversation.hear(PHONE, "sms", WORDS, "SM1")
    patient = store.cipher.patient_id(PHONE)
    assert from_bytes(store.load(patient, "x").record or b"").phone == PHONE
    store.raise_task(Task("t", patient, "flood", 1, NOW))
    pause(store, f"{PHONE} complained", "nurse", NOW)
    with served(clinic, store):
        text = scrape(clinic)
    assert figures(text)["triage_open_tasks"] >= 1
    assert not [private for private in (PHONE[2:], "zeppelin", "complained", "nurse", patient) if private in text]


def test_while_the_store_is_away_a_scrape_says_up_0_and_no_old_figure(
    clinic: Settings, store: Store, tmp_path: Path
) -> None:
    """A figure that is missing raises an alarm; an old one would hide the outage."""
    away = Store(connect(f"unix://{tmp_path}/nobody.sock"), store.cipher, buckets=3)
    with served(clinic, away):
        assert figures(scrape(clinic)) == {"triage_up": 0}


def test_it_is_off_by_default_and_a_taken_port_is_refused_in_words(clinic: Settings, store: Store) -> None:
    """The console goes on without it."""
    assert serve_metrics(store, settings(), lambda: NOW) is None
    with served(clinic, store), pytest.raises(MetricsError, match=f"127.0.0.1:{clinic.metrics_port} cannot be used"):
        serve_metrics(store, clinic, lambda: NOW)
