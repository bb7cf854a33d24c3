"""The crash test: patients write and call while every part of the product is killed, frozen, filled or misled at random.

``make faults`` prints its figures and its seed; FAULTS_SEED repeats a run, FAULTS_SIZE is the number of patients (about
seven webhooks each). What is counted is counted by the ledger and by the local Twilio, never by the bot's own words.
A short run with every kind of harm is in the default suite: tests/test_crash.py.
"""

from __future__ import annotations

import os
import random
import signal
import time

import pytest

from tests.faults.count import Books
from tests.faults.enemy import WORKERS
from tests.faults.people import LEAVES, Hooks, Patient
from tests.faults.product import Product
from tests.faults.stage import Run, crash, settings_of

# The run itself fails when nothing moves for a minute and a half; this is only for a machine that stands still.
pytestmark = [pytest.mark.faults, pytest.mark.timeout(3600)]
SIZE = int(os.environ.get("FAULTS_SIZE", "300"))
SEED = int(os.environ.get("FAULTS_SEED", "0")) or random.randrange(1, 10**6)


def test_nothing_is_lost_and_nothing_is_done_twice_whatever_dies() -> None:
    """0 lost turns, 0 lost effects, 0 double turns, 0 undetected double sends."""
    run = Run(
        seed=SEED, patients=SIZE, workers=2, settle=15.0, longest=2.0, turns_per_harm=20, texts_per_kill=12
    )  # fmt: skip
    assert not crash(run).wrong


def test_the_work_of_a_killed_worker_goes_on_within_half_a_minute() -> None:
    """The worker dies by SIGKILL while a claim is held: supervisor, lease and relay together take less than 30 s."""
    with Product(workers=1, settle=180.0) as product:
        settings = settings_of(product)
        books, hooks = Books(product, settings), Hooks(settings, lambda answered: None)
        patient = Patient(hooks, 1, SEED).talk()
        assert patient.script is LEAVES
        for pid in product.pids(*WORKERS):
            os.kill(pid, signal.SIGKILL)
        died = time.monotonic()
        books.now.advance(3600.0)
        held = [one.id for one in books.store.claim(0, books.now())]
        ours = {"0-retention", "0-unread"}  # the housekeeping, where its hour has come or its first run had not
        assert len(set(held) - ours) == 1, "what the worker held when it died"
        while not product.carrier_door.taken and time.monotonic() < died + 60:
            time.sleep(0.2)
        took = time.monotonic() - died
        print(f"\na killed worker's work went on after {took:.1f} s")
        assert [one["to"] for one in books.taken()] == [patient.phone]
        assert took < 30
