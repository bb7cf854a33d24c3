"""Moving house: a clinic's whole state from any server to any other by backup and restore, mid-campaign, and back.

Nothing is lost and nothing is sent twice: between the embedded Valkey, the system's redis-server (Debian's 7.0), whose
data directories do not fit each other, and a Cluster.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from bot.counts import Prices
from bot.counts_command import missing
from bot.store import backup
from bot.store.audit import Audit, Entry
from bot.store.cipher import Cipher
from bot.store.client import connect
from bot.store.counted import Counted
from bot.store.embedded import EmbeddedServer
from bot.store.store import Store, open_store
from tests.conftest import SECRET
from tests.fleet import Fleet, cluster, free_ports
from tests.outreach_stage import HEAD, NOON, ZONE, Clinic, phone, rows
from tests.test_audit import command
from tests.test_backup import state

DEBIAN = shutil.which("redis-server")
RECIPIENTS = 12
PATIENTS = {
    901: ("hi", "yes", "no", "no", "no", "9", "yes", "yes"),
    902: ("hi", "STOP"),
    903: ("hi", "yes", "i want to kill myself"),
}


def lived(store: Store) -> Clinic:
    """A clinic in the middle of its work: a finished conversation with consent and follow-ups, a STOP, a crisis with its
    task, half a campaign, a trail of who saw what."""
    clinic = Clinic(store, rate=1.0)
    for number, said in PATIENTS.items():
        for turn, words in enumerate(said):
            clinic.conversation.hear(phone(number), "sms", words, f"{number}.{turn}")
    clinic.campaigns.send(clinic.plan(rows(RECIPIENTS)), "ana")
    clinic.until(NOON + 6, 1.0)
    assert 0 < clinic.line.taken.total() < RECIPIENTS
    Audit(store.client, store.cipher).append(Entry(1.0, "nurse-1", "patient viewed", "p"))
    return clinic


def moved(clinic: Clinic, target: Store, folder: Path) -> Store:
    """Its state in *target*, which is empty; every key is there as it was."""
    file = folder / f"{len(list(folder.iterdir()))}.backup"
    backup.write(clinic.store.client, Cipher([SECRET]), 3, file)
    backup.restore(target.client, target.cipher, 3, file, moved=True, now=clinic.at)
    assert state(target.client) == state(clinic.store.client)
    return target


def goes_on(before: Clinic, store: Store) -> Clinic:
    """The same clinic on *store*: what it knew it knows, what it had begun it ends, once."""
    after = Clinic(store, rate=1.0)
    after.at = before.at
    old, cipher = before.store, store.cipher
    assert [task.kind for task in store.tasks()] == [task.kind for task in old.tasks()] != []
    assert store.events(cipher.patient_id(phone(901))) == old.events(cipher.patient_id(phone(901))) != []
    assert all(store.verify(patient) is None for patient in store.patients())
    assert Audit(store.client, cipher).faults() == []
    assert Audit(store.client, cipher).head() == Audit(old.client, cipher).head()
    weeks = ["2025-11-24"]
    assert Counted(store).weeks(weeks) == Counted(old).weeks(weeks) != [{}]
    clinic = after.conversation.clinic
    assert not missing(store, after.at, ZONE, Prices(*clinic.prices, clinic.opt_out_mode))
    for number, said in PATIENTS.items():
        for turn, words in enumerate(said):
            given = (phone(number), "sms", words, f"{number}.{turn}")
            assert after.conversation.hear(*given) == before.conversation.hear(*given), "a late webhook, the same bytes"
    again = after.plan(HEAD + f"{phone(902)},en,yes,form,\n")
    assert [row.why for row in again.rows] == ["opted_out"]
    after.until(before.at + 2 * RECIPIENTS, 1.0)
    assert before.line.taken + after.line.taken == {phone(number): 1 for number in range(RECIPIENTS)}
    return after


@contextmanager
def debian() -> Iterator[str]:
    fleet = Fleet(Path(str(DEBIAN)))
    (port,) = free_ports(1)
    try:
        fleet.start(port)
        yield f"redis://127.0.0.1:{port}"
    finally:
        fleet.stop()


@contextmanager
def three() -> Iterator[str]:
    with cluster(replicas=False) as fleet:
        yield fleet.url


NO_DEBIAN = pytest.mark.skipif(DEBIAN is None, reason="no redis-server on this machine: apt-get install redis-server")


@pytest.mark.parametrize(
    "kind", [pytest.param(debian, marks=NO_DEBIAN, id="redis-server"), pytest.param(three, id="cluster")]
)
def test_a_clinic_moves_to_another_kind_of_server_and_back_in_the_middle_of_its_work(
    store: Store, kind: Any, tmp_path: Path
) -> None:
    """Consents, STOP, effects, tasks, logs, the trail, counts and a campaign; then all of it back to an embedded server."""
    with kind() as url:
        there = open_store(url, [SECRET], 3)
        first = lived(store)
        second = goes_on(first, moved(first, there, tmp_path))
        store.client.flushall()
        third = moved(
            second,
            open_store(f"unix://{store.client.connection_pool.connection_kwargs['path']}", [SECRET], 3),
            tmp_path,
        )
        assert third.events(third.cipher.patient_id(phone(901)))
        assert Audit(third.client, third.cipher).faults() == []


@NO_DEBIAN
def test_the_commands_move_to_an_older_server_and_back_into_an_embedded_one(store: Store, tmp_path: Path) -> None:
    """backup here, restore --moved there, backup there, restore --moved into an empty DATA_DIR: every key, word for word."""
    lived(store)
    home = tmp_path / "home"
    home.mkdir()
    with debian() as url:
        there = {"STATE_URL": url, "folder": tmp_path}
        out, back = str(tmp_path / "out"), str(tmp_path / "back")
        for words, more in (
            (("backup", out), {"folder": tmp_path}),
            (("restore", "--moved", out), there),
            (("backup", back), there),
            (("restore", "--moved", back), {"STATE_URL": "", "folder": home}),
        ):
            done = command(store, *words, **more)  # type: ignore[arg-type]
            assert done.returncode == 0, done.stderr
        server = EmbeddedServer(home)
        server.start()
        try:
            found, kept = state(connect(server.url)), state(connect(url))
            trail = {key for key in found if key.startswith(b"{audit}")}
            assert {key: found[key] for key in found if key not in trail} == {
                key: kept[key] for key in kept if key not in trail
            }
            assert Audit(connect(server.url), Cipher([SECRET])).faults() == []
        finally:
            server.stop()
