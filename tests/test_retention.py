"""P8: what is too old goes by itself, every night, once; what somebody still needs stays, and every chain still holds."""

from __future__ import annotations

import json
import shutil
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bot import retention as policy
from bot.audit import anchor_faults, log_faults
from bot.conversation import Conversation
from bot.forget import erase_patient
from bot.keys import reseal
from bot.outgoing import Outgoing
from bot.record import ERASED, Record, from_bytes, to_bytes
from bot.retention import DAY, Keep, Retention, next_night
from bot.store import Effect
from bot.store.audit import Audit, Entry
from bot.store.cipher import Cipher
from bot.store.client import connect
from bot.store.embedded import EmbeddedServer
from bot.store.files import failed_rewrite
from bot.store.retain import Retained
from bot.store.store import Store
from tests.conftest import SECRET
from tests.test_conversation import PHONE, Make, make, record, text, walk
from tests.test_worker import Line, office
from tests.web_fake import settings
from workers.executor import Executor

__all__ = ["make"]
START = 1_764_007_200.0
KEEP = Keep(session=30, log=400, record=2192, audit=2192)


class Nights:
    """A clinic's clock and its workers."""

    def __init__(self, store: Store, cipher: Cipher, make: Make, folder: Path) -> None:
        self.store, self.patient, self.clock = store, cipher.patient_id(PHONE), [START]
        self.conversation: Conversation = make(at=self.clock)
        self.audit = Audit(store.client, cipher, folder)
        self.retention = Retention(store, self.audit, KEEP)
        self.retention.plant(START)

    def worker(self) -> Executor:
        offered, _ = office(self.store, Line(), Outgoing("", None, "nothing"))
        offered = replace(offered, now=lambda: self.clock[-1], retention=self.retention)
        return Executor(self.store, offered, lambda: self.clock[-1])

    def after(self, days: float) -> None:
        """So many days after the start, in the night's first minutes."""
        self.clock[:] = [next_night(START + days * DAY)]
        for bucket in range(self.store.buckets):
            while self.worker().drain(bucket):
                continue

    def ended(self) -> None:
        """One whole conversation that nothing is planned after and no task waits of."""
        walk(self.conversation, "hi", "yes", "no", "no", "no", "9", "yes")
        self.rest()
        for task in self.store.tasks():
            self.store.close_task(task, "ana")

    def rest(self) -> None:
        """Nothing is planned any more, and the conversation is over."""
        for planned in record(self.store, self.store.cipher).planned.values():
            self.store.finish(planned)
        self.set()

    def set(self, effects: Sequence[Effect] = (), **changes: Any) -> None:
        loaded = self.store.load(self.patient, "")
        found = from_bytes(loaded.record or b"")
        session = found.session.but(ended=True) if found.session else None
        changed = to_bytes(found.but(**{"session": session, **changes}))
        kept = {"record": changed, "answer": b"", "effects": effects, "now": START}
        self.store.commit(self.patient, f"set{loaded.version}", loaded.version, **kept)


@pytest.fixture
def nights(store: Store, cipher: Cipher, make: Make, tmp_path: Path) -> Nights:
    return Nights(store, cipher, make, tmp_path)


def test_answers_go_after_a_month_words_after_a_year_and_all_of_it_after_six(
    nights: Nights, store: Store, cipher: Cipher
) -> None:
    """Not a day before; and the log's chain holds at every stage, also when the patient writes on."""
    nights.ended()
    words = len(store.events(nights.patient))
    nights.after(28)
    assert record(store, cipher).session is not None
    nights.after(31)
    assert (record(store, cipher).session, record(store, cipher).phone) == (None, PHONE)
    assert len(store.events(nights.patient)) == words
    nights.after(398)
    assert len(store.events(nights.patient)) == words
    nights.after(401)
    assert (store.events(nights.patient), store.verify(nights.patient)) == ([], None)
    nights.after(2190)
    assert record(store, cipher).phone == PHONE
    nights.after(2193)
    assert record(store, cipher) == Record("", last_at=START, facts=frozenset({ERASED}))
    client: Any = store.client
    tag = store.tag(store.bucket(nights.patient))
    assert 0 < client.ttl(f"{tag}p:{nights.patient}") <= 30 * 86_400
    assert not client.exists(f"{tag}v:{nights.patient}", f"{tag}k:{nights.patient}")
    assert store.recent() == []


def test_of_a_log_only_what_is_old_goes_and_the_chain_still_shows_every_change(nights: Nights, store: Store) -> None:
    """Twice cut, sealed again under a new key, written on; then an entry, the note or the first one after it is removed."""
    nights.ended()
    nights.clock[:] = [START + 300 * DAY]
    text(nights.conversation, "hi", "later")
    nights.rest()
    nights.after(401)
    assert [json.loads(one)["at"] for one in store.events(nights.patient)] == [START + 300 * DAY]
    text(nights.conversation, "hi", "much later")
    assert (len(store.events(nights.patient)), store.verify(nights.patient)) == (2, None)
    nights.rest()
    nights.after(701)
    assert (len(store.events(nights.patient)), store.verify(nights.patient)) == (1, None)
    ring = Cipher([bytes(32), SECRET])
    assert reseal(store.client, ring)
    again = Store(store.client, ring, store.buckets)
    assert (again.verify(nights.patient), log_faults(again), len(again.events(nights.patient))) == (None, [], 1)
    client: Any = store.client
    key = f"{store.tag(store.bucket(nights.patient))}v:{nights.patient}"
    whole = client.lrange(key, 0, -1)
    for broken in (whole[1:], whole[:1], [whole[0][:16] + whole[1][16:], *whole[1:]]):
        client.delete(key)
        client.rpush(key, *broken)
        assert again.verify(nights.patient) is not None


def test_a_log_that_does_not_hold_is_not_cut(nights: Nights, store: Store) -> None:
    """Else the cut would hide what was changed."""
    nights.ended()
    client: Any = store.client
    key = f"{store.tag(store.bucket(nights.patient))}v:{nights.patient}"
    second = client.lindex(key, 1)
    client.lset(key, 1, bytes(16) + second[16:])
    nights.after(401)
    assert client.lindex(key, 1) == bytes(16) + second[16:]
    assert store.verify(nights.patient) == 1


@pytest.mark.parametrize("why", ["task", "planned", "owner", "open"])
def test_whoever_is_still_waited_for_keeps_the_words(nights: Nights, store: Store, cipher: Cipher, why: str) -> None:
    """And when that is over, the next night takes them."""
    nights.ended()
    if why == "task":
        nights.conversation.note(nights.patient, "n", tasks=("person",))
    if why == "planned":
        nights.set(effects=[Effect("0-x", "follow_up", START + 600 * DAY, b"{}")], planned={"x": "0-x"})
    if why == "owner":
        nights.set(owner="ana")
    if why == "open":
        nights.set(session=record(store, cipher).session.but(ended=False))
    words = len(store.events(nights.patient))
    nights.after(500)
    assert (record(store, cipher).session is None, len(store.events(nights.patient))) == (False, words)
    for task in store.tasks():
        store.close_task(task, "ana")
    nights.set(owner=None)
    store.finish("0-x")
    nights.after(501)
    assert (record(store, cipher).session, store.events(nights.patient)) == (None, [])


def test_an_open_task_keeps_all_of_a_patient(nights: Nights, store: Store, cipher: Cipher) -> None:
    nights.ended()
    nights.conversation.note(nights.patient, "n", tasks=("person",))
    nights.after(3000)
    assert record(store, cipher).phone == PHONE
    for task in store.tasks():
        store.close_task(task, "ana")
    nights.after(3001)
    assert record(store, cipher).phone == PHONE, "a closed task is still shown for 30 days"


def test_a_stop_stays_for_ever(nights: Nights, store: Store, cipher: Cipher) -> None:
    """Nothing but that, under the keyed hash."""
    walk(nights.conversation, "hi", "STOP")
    for task in store.tasks():
        store.close_task(task, "ana")
    nights.after(2193)
    client: Any = store.client
    assert client.ttl(f"{store.tag(store.bucket(nights.patient))}p:{nights.patient}") == -1
    assert (record(store, cipher).opted_out, record(store, cipher).phone) == (True, "")
    assert text(nights.conversation, "hello?", "SM8") == ""


def test_two_workers_sweep_once_a_night(nights: Nights, store: Store, monkeypatch: Any) -> None:
    """However many start, and however often they look."""
    looked: list[str] = []
    real = Retention.sweep
    monkeypatch.setattr(Retention, "sweep", lambda self, *given: looked.append(given[0]) or real(self, *given))
    for _ in range(3):
        nights.retention.plant(nights.clock[-1])
    nights.after(0)
    nights.after(0)
    assert sorted(looked) == ["0-retention", "1-retention", "2-retention"]
    nights.after(1)
    assert len(looked) == 6


def test_a_sweep_that_dies_goes_on_where_it_was(nights: Nights, store: Store, cipher: Cipher, monkeypatch: Any) -> None:
    """Many patients, two at a time, a death in each bucket: all of them are looked at in the end."""
    monkeypatch.setattr(policy, "PATIENTS", 2)
    gone = [cipher.patient_id(f"+1713555{number:04}") for number in range(12)]
    for patient in gone:
        store.commit(patient, "k", "0|", record=to_bytes(Record("+1")), answer=b"", events=[b'{"at": 1.0}'], now=START)
    real, died = Retained.go_on_from, set()

    def dies(self: Retained, place: int) -> None:
        if self._place not in died:
            died.add(self._place)
            raise ConnectionError("killed")
        real(self, place)

    monkeypatch.setattr(Retained, "go_on_from", dies)
    nights.clock[:] = [next_night(START + 2200 * DAY)]
    for bucket in range(3):
        with pytest.raises(ConnectionError):
            nights.worker().drain(bucket)
    assert not all(from_bytes(store.load(one, "").record or b"").facts for one in gone)
    nights.clock[:] = [nights.clock[-1] + 30]
    for bucket in range(3):
        while nights.worker().drain(bucket):
            continue
    assert all(from_bytes(store.load(one, "").record or b"").facts == {ERASED} for one in gone)
    assert (store.recent(), store.dead()) == ([], [])


def test_a_machine_that_writes_all_day_leaves_a_bounded_log(nights: Nights, store: Store, monkeypatch: Any) -> None:
    """Also while a task is open."""
    monkeypatch.setattr(policy, "MOST_KEPT", 5)
    walk(nights.conversation, *["hi"] * 12)
    nights.conversation.note(nights.patient, "n", tasks=("flood",))
    newest = store.events(nights.patient)[-5:]
    nights.after(1)
    assert (store.events(nights.patient), store.verify(nights.patient)) == (newest, None)


def test_a_turn_in_between_is_kept(nights: Nights, store: Store, cipher: Cipher) -> None:
    """The patient comes back at the moment in which the sweep has read the record."""
    nights.ended()
    kept = Retained(store, store.bucket(nights.patient))
    _, (one,) = kept.some(0, 10)
    nights.clock[:] = [START + 3000 * DAY]
    text(nights.conversation, "hi", "back")
    assert not kept.replace(one, to_bytes(Record("")))
    assert not kept.remove(one, b"{}", 0)
    assert record(store, cipher).phone == PHONE


def test_two_cuts_of_one_log_at_once_take_what_is_old_once(nights: Nights, store: Store) -> None:
    """The second finds another beginning than it has read, and takes nothing."""
    nights.ended()
    kept = Retained(store, store.bucket(nights.patient))
    many = len(store.events(nights.patient))
    two: Iterator[bool] = iter([True, True, False])
    meanwhile: list[int] = []

    def old(_: bytes) -> bool:
        if not meanwhile:
            meanwhile.append(kept.cut_log(nights.patient, lambda _: next(two), 100))
        return True

    assert (kept.cut_log(nights.patient, old, 100), meanwhile) == (0, [2])
    assert (len(store.events(nights.patient)), store.verify(nights.patient)) == (many - 2, None)


def test_a_worker_that_starts_in_the_middle_of_a_sweep_does_not_put_it_off(nights: Nights, store: Store) -> None:
    store.put_off("1-retention", START + 1)
    nights.retention.plant(START)
    assert (found := store.effect("1-retention")) is not None
    assert found.due == START + 1


def test_the_trail_is_cut_after_six_years_and_holds(nights: Nights) -> None:
    for day in (0, 10, 2000):
        nights.audit.append(Entry(START + day * DAY, "ana", "signed in"))
    nights.after(2195)
    assert [number for number, _ in nights.audit.last(10)] == [2, 3]
    assert nights.audit.faults() == []


def test_an_effect_that_was_given_up_is_due_again_at_the_next_start(nights: Nights, store: Store) -> None:
    """A restore buries what was due; a night's work can be done any number of times."""
    store.bury("1-retention", "restored", START)
    nights.retention.plant(START)
    assert store.dead() == []
    assert (found := store.effect("1-retention")) is not None
    assert found.due == next_night(START)


def held(nights: Nights) -> tuple[Any, Any]:
    """The record and the log as they are stored."""
    client: Any = nights.store.client
    tag = nights.store.tag(nights.store.bucket(nights.patient))
    return client.get(f"{tag}p:{nights.patient}"), client.lrange(f"{tag}v:{nights.patient}", 0, -1)


def put_back(nights: Nights, record: bytes | None, log: list[bytes]) -> None:
    """What somebody does who can write to the store and has no key."""
    client: Any = nights.store.client
    tag = nights.store.tag(nights.store.bucket(nights.patient))
    client.delete(f"{tag}p:{nights.patient}", f"{tag}v:{nights.patient}")
    if record is not None:
        client.set(f"{tag}p:{nights.patient}", record)
        client.rpush(f"{tag}v:{nights.patient}", *log)


def test_a_log_that_was_put_back_or_taken_away_with_its_record_shows_against_the_nights_anchor(
    nights: Nights, store: Store, tmp_path: Path
) -> None:
    """Both fit each other, so no chain shows it; the trail knows where the log ended. Age, erasure and cuts are no fault."""
    clinic = settings(DATA_DIR=str(tmp_path))
    walk(nights.conversation, "hi", "yes")
    older = held(nights)
    walk(nights.conversation, "hi", "yes", "no", "no")
    newer = held(nights)
    nights.after(0)
    assert anchor_faults(clinic, store, nights.audit) == []
    put_back(nights, *older)
    assert log_faults(store) == []
    (fault,) = anchor_faults(clinic, store, nights.audit)
    assert f"patient {nights.patient} had {len(newer[1])} entries on 2025-11-25" in fault
    put_back(nights, None, [])
    assert len(anchor_faults(clinic, store, nights.audit)) == 1
    put_back(nights, *newer)
    for number in range(4):
        text(nights.conversation, "one more", f"SM9{number}")
    Retained(store, store.bucket(nights.patient)).cut_log(nights.patient, lambda _: False, 2)
    assert anchor_faults(clinic, store, nights.audit) == []
    before = nights.audit.head().count
    nights.after(5)
    nights.after(6)
    assert nights.audit.head().count == before + 1, "what did not change is noted once"
    erase_patient(store, nights.patient, START)
    put_back(nights, None, [])
    assert len(anchor_faults(clinic, store, nights.audit)) == 1
    nights.audit.append(Entry(START, "command:ana", "patient erased", nights.patient))
    assert anchor_faults(clinic, store, nights.audit) == []


def test_the_night_writes_the_servers_files_anew_so_that_what_went_is_in_none_of_them(cipher: Cipher) -> None:
    """A real server with its AOF: removed at once, and in the file until then."""
    folder = Path(tempfile.mkdtemp(prefix="tb-"))
    server = EmbeddedServer(folder)
    server.start()
    try:
        store = Store(connect(server.url), cipher)
        client: Any = store.client
        client.set("{b0}x", b"zebrafinch" * 20)
        client.delete("{b0}x")

        def clear() -> bool:
            files = [path.read_bytes() for path in folder.rglob("*") if path.is_file()]
            return not any(b"zebrafinch" in raw for raw in files)

        assert not clear()
        Retention(store, Audit(client, cipher), KEEP).sweep("0-retention", START)
        until = time.monotonic() + 20
        while not clear() and time.monotonic() < until:
            time.sleep(0.02)
        assert clear()
        assert not failed_rewrite(client)
    finally:
        server.stop()
        shutil.rmtree(folder, ignore_errors=True)
