"""The ledger on a real server: one commit or none, the same answer for the same key, nothing readable at rest."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import threading
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from redis import Redis

from bot.store import Committed, Effect, LinkToken, Task
from bot.store.cipher import Cipher, UnreadableError
from bot.store.client import connect
from bot.store.embedded import EmbeddedServer, ServerError
from bot.store.memory import MemoryStore
from bot.store.sends import Sends
from bot.store.store import MOST_ALIKE, Store
from tests.conftest import SECRET

P = "patient-one"


def commit(store: Any, key: str, version: str, **more: Any) -> Committed:
    written = {"record": b"r:" + key.encode(), "answer": b"a:" + key.encode(), "now": 100.0, **more}
    result: Committed = store.commit(P, key, version, **written)
    return result


def calls(client: Redis) -> int:
    """Commands the server has run, the asking one left out."""
    stats: Any = client.info("commandstats")
    return sum(one["calls"] for name, one in stats.items() if name not in ("cmdstat_info", "cmdstat_config|resetstat"))


@pytest.mark.parametrize("kind", ["redis", "memory"])
def test_the_ledger_keeps_its_contract(kind: str, store: Store) -> None:
    """The same steps through the real store and the one in memory: first, repeated, late, next."""
    ledger: Any = store if kind == "redis" else MemoryStore()
    first = ledger.load(P, "k1")
    assert (first.record, first.answer) == (None, None)
    assert commit(ledger, "k1", first.version).status == "ok"
    again = ledger.load(P, "k1")
    assert (again.record, again.answer) == (b"r:k1", b"a:k1")
    assert commit(ledger, "k1", first.version) == Committed("seen", b"a:k1")
    assert commit(ledger, "k2", first.version).status == "conflict"
    assert commit(ledger, "k2", again.version).status == "ok"
    assert ledger.load(P, "k3").record == b"r:k2"


def test_a_turn_costs_two_commands_and_a_repeated_webhook_one(store: Store) -> None:
    """Load and commit, each one round trip; counted by the server."""
    store.commit("warm", "up", "0|", record=b"r", answer=b"a", now=1.0)
    store.client.config_resetstat()
    loaded = store.load(P, "k")
    commit(store, "k", loaded.version, effects=[Effect("0-e", "silence", 5.0, b"{}")], events=[b"e"])
    stats: Any = store.client.info("commandstats")
    top = {name.removeprefix("cmdstat_"): one["calls"] for name, one in stats.items()}
    assert (top.get("mget"), top.get("evalsha")) == (1, 1)
    store.client.config_resetstat()
    assert store.load(P, "k").answer == b"a:k"
    again: Any = store.client.info("commandstats")
    assert {name for name in again if name not in ("cmdstat_info", "cmdstat_config|resetstat")} == {"cmdstat_mget"}


def test_two_writers_of_one_patient_lose_nothing(store: Store) -> None:
    """Eight threads, 25 turns each, one record that counts them."""

    def write(number: int) -> None:
        for turn in range(25):
            while True:
                loaded = store.load(P, f"{number}.{turn}")
                count = int(loaded.record or b"0") + 1
                done = store.commit(
                    P, f"{number}.{turn}", loaded.version, record=str(count).encode(), answer=b"x", now=1.0
                )
                if done.status == "ok":
                    break

    threads = [threading.Thread(target=write, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert store.load(P, "-").record == b"200"


def test_nothing_of_a_patient_is_readable_in_the_server(store: Store, redis_client: Redis) -> None:
    """Canary words in every field: no key and no value shows them, and DUMP of every key neither."""
    canary = b"CANARY-7135550199"
    store.commit(
        P, "CANARY-key", "0|", record=canary, answer=canary, now=1.0,
        effects=[Effect(store.new_effect_id(P), "text", 5.0, canary)], events=[canary],
        tasks=[Task("t1", P, "crisis", 0, 1.0)], links=[LinkToken("0-CANARY-token-token", P, "pmr", 1.0)],
    )  # fmt: skip
    names: Any = redis_client.keys("*")
    assert len(names) >= 8
    for name in names:
        kept: Any = redis_client.dump(name)
        assert b"CANARY" not in name
        assert b"CANARY" not in kept
        assert b"crisis" not in kept


def test_a_sealed_value_opens_only_in_its_own_place_and_whole(cipher: Cipher) -> None:
    """Moved to another key or with one bit flipped it is refused, in words without the content."""
    sealed = cipher.seal("{b0}p:a", b"secret words")
    assert cipher.open("{b0}p:a", sealed) == b"secret words"
    broken = bytes([*sealed[:-1], sealed[-1] ^ 1])
    for key, body in (("{b0}p:b", sealed), ("{b0}p:a", broken)):
        with pytest.raises(UnreadableError) as caught:
            cipher.open(key, body)
        assert "secret" not in str(caught.value)


def test_an_old_secret_still_opens_and_the_patient_keeps_the_same_id() -> None:
    """Rotation: the new key seals, the old one opens, ids do not move."""
    old, new = Cipher([SECRET]), Cipher([b"n" * 32, SECRET])
    assert new.open("k", old.seal("k", b"x")) == b"x"
    assert new.patient_id("+17135550142") == old.patient_id("+17135550142")
    assert not new.is_current(old.seal("k", b"x"))


def test_a_due_effect_is_claimed_once_and_comes_back_when_its_worker_dies(store: Store) -> None:
    """The claim moves it out of sight for its lease; unfinished, it returns and is flagged as done again."""
    effect = store.new_effect_id(P)
    commit(store, "k", "0|", effects=[Effect(effect, "text", 10.0, b"body")])
    bucket = store.bucket(P)
    assert store.claim(bucket, 9.9) == []
    claim = store.claim(bucket, 10.0)[0]
    assert store.claim(bucket, 10.0) == []
    begun = store.begin(claim)
    assert (begun.status, begun.kind, begun.body) == ("go", "text", b"body")
    assert Sends(store).mark(claim, P, 10.0).tries == 1
    later = store.claim(bucket, 31.0)[0]
    assert store.begin(claim).status == "busy"
    assert store.begin(later).status == "redo"
    assert Sends(store).mark(claim, P, 31.0).tries == 0, "a worker that slept through its lease must not send"
    store.finish(effect)
    assert store.claim(bucket, 999.0) == []
    assert store.begin(later).status == "gone"


def test_a_cancelled_effect_is_gone_and_a_put_off_one_waits(store: Store) -> None:
    """Cancel is part of the commit; put off forgets that it was begun."""
    one, two = store.new_effect_id(P), store.new_effect_id(P)
    commit(store, "k1", "0|", effects=[Effect(one, "text", 1.0, b"1"), Effect(two, "text", 1.0, b"2")])
    commit(store, "k2", store.load(P, "k2").version, cancels=[one])
    bucket = store.bucket(P)
    claim = store.claim(bucket, 5.0)[0]
    assert claim.id == two
    assert store.begin(claim).status == "go"
    store.put_off(two, 50.0, fresh=True)
    assert store.claim(bucket, 49.0) == []
    assert store.begin(store.claim(bucket, 50.0)[0]).status == "go"


def test_a_buried_effect_waits_for_a_human_who_may_try_it_again(store: Store) -> None:
    """Dead letters have a reason and a way back."""
    effect = store.new_effect_id(P)
    commit(store, "k", "0|", effects=[Effect(effect, "text", 1.0, b"1")])
    store.begin(store.claim(store.bucket(P), 2.0)[0])
    store.bury(effect, "carrier permanent (code 21211)", 2.0)
    assert store.dead() == [(effect, "carrier permanent (code 21211)")]
    assert store.claim(store.bucket(P), 999.0) == []
    store.retry(effect, 1000.0)
    assert store.dead() == []
    assert store.begin(store.claim(store.bucket(P), 1000.0)[0]).status == "go"


def test_delivery_states_never_go_backwards(store: Store) -> None:
    """Callbacks arrive in any order; each state counts once."""
    effect = store.new_effect_id(P)
    assert store.set_status(effect, "sent", None, 1.0, "SM1")
    assert not store.set_status(effect, "queued", None, 2.0, "SM1")
    assert store.set_status(effect, "delivered", None, 3.0, "SM1")
    assert not store.set_status(effect, "delivered", None, 4.0, "SM1")
    assert not store.set_status(effect, "failed", 30003, 5.0, "SM1")
    delivery = store.delivery(effect)
    assert delivery is not None
    assert (delivery.sid, delivery.status) == ("SM1", "delivered")


def test_tasks_come_by_urgency_and_then_by_waiting_time(store: Store) -> None:
    """The nurse sees the crisis first, however late it came."""
    for number, (kind, urgency) in enumerate([("person", 2), ("crisis", 0), ("urgent", 1), ("person", 2)]):
        version = store.load(P, str(number)).version
        commit(store, str(number), version, tasks=[Task(f"t{number}", P, kind, urgency, 100.0 + number)])
    assert [task.id for task in store.tasks()] == ["t1", "t2", "t0", "t3"]
    store.close_task(store.tasks()[0], "nurse@clinic")
    assert [task.id for task in store.tasks()] == ["t2", "t0", "t3"]


def test_a_link_is_found_by_its_token_only(store: Store) -> None:
    """Any other token, of any shape, finds nothing."""
    token = store.new_token(P)
    commit(store, "k", "0|", links=[LinkToken(token, P, "pt", 1.0)])
    assert store.link(token) == LinkToken(token, P, "pt", 1.0)
    for wrong in (token[:-1], token + "x", "", "zzz-1", "0-" + "a" * 400, "\ud800", "ñ-ñ"):
        assert store.link(wrong) is None


def test_the_log_of_a_patient_is_a_chain_and_a_flipped_byte_is_located(store: Store) -> None:
    """Append-only with a keyed link from each entry to the next (P7)."""
    for number in range(5):
        commit(store, str(number), store.load(P, str(number)).version, events=[b"event %d" % number])
    assert store.events(P) == [b"event %d" % number for number in range(5)]
    assert store.verify(P) is None
    key = f"{store.tag(store.bucket(P))}v:{P}"
    entry: Any = store.client.lindex(key, 2)
    store.client.lset(key, 2, entry[:-1] + bytes([entry[-1] ^ 1]))
    assert store.verify(P) == 2


def test_a_long_folder_has_the_same_socket_for_every_process(tmp_path: Path) -> None:
    """Else a second start could not find the server that the first one runs."""
    folder = tmp_path / ("deep-" * 20) / "data"
    code = "import pathlib, sys\nfrom bot.store.embedded import EmbeddedServer as S\nprint(S(pathlib.Path(sys.argv[1])).url)"
    urls = {
        subprocess.run(
            [sys.executable, "-c", code, str(folder)], cwd=Path(__file__).parents[1], capture_output=True, text=True,
            check=True, env={"PATH": os.environ["PATH"], "PYTHONHASHSEED": seed},
        ).stdout
        for seed in ("1", "2")
    }  # fmt: skip
    assert len(urls) == 1
    assert str(folder) not in urls.pop()


def test_a_socket_folder_that_others_can_enter_is_refused(tmp_path: Path) -> None:
    """Somebody else could have put a server of their own there."""
    server = EmbeddedServer(tmp_path / ("deep-" * 20) / "data")
    server.socket.parent.mkdir(parents=True, exist_ok=True)
    server.socket.parent.chmod(0o755)
    with pytest.raises(ServerError, match="closed to others"):
        server.start()
    server.socket.parent.rmdir()


def test_a_folder_whose_note_of_the_server_is_broken_is_refused_in_words(tmp_path: Path) -> None:
    """An older server would open it empty; so nothing is guessed, and the sentence says what to do."""
    server = EmbeddedServer(tmp_path)
    server.folder.mkdir(parents=True)
    (server.folder / "server.json").write_text("")
    with pytest.raises(ServerError, match="does not say which server wrote this data"):
        server.start()


def closed(folder: Path, note: str | None = None) -> EmbeddedServer:
    """A data directory with one key in it whose server has ended; *note* instead of what it says of who wrote it."""
    server = EmbeddedServer(folder)
    server.start()
    connect(server.url).set("{b0}p:somebody", "x")
    connect(server.url).save()
    server.stop()
    if note is not None:
        (server.folder / "server.json").write_text(note)
    return EmbeddedServer(folder)


def opened(server: EmbeddedServer) -> bool:
    """The key is there."""
    server.start()
    try:
        return connect(server.url).get("{b0}p:somebody") == b"x"
    finally:
        server.stop()


def test_a_folder_of_a_newer_server_is_refused_and_nothing_in_it_is_touched(tmp_path: Path) -> None:
    """The same folder opens with what wrote it."""
    newer = json.dumps({"family": "valkey", "version": [99, 0, 0]})
    server = closed(tmp_path, newer)
    with pytest.raises(ServerError, match=r"written by valkey 99.0.0; this server is .* would open it empty"):
        server.start()
    assert (server.folder / "server.json").read_text() == newer
    older = json.dumps({"family": "redis", "version": [6, 2, 14]})
    (server.folder / "server.json").write_text(older)
    assert opened(server)


def test_data_without_a_note_of_who_wrote_it_is_refused_with_the_line_that_opens_it(tmp_path: Path) -> None:
    """The sentence itself holds what to put where."""
    server = closed(tmp_path)
    (server.folder / "server.json").unlink()
    with pytest.raises(ServerError, match="does not say which server wrote this data") as refused:
        server.start()
    line = re.search(r"with one line: (\{.*\})", str(refused.value))
    assert line
    (server.folder / "server.json").write_text(line[1] + "\n")
    assert opened(server)


@pytest.mark.parametrize("lost", ["appendonlydir", "appendonlydir/appendonly.aof.manifest"])
def test_a_folder_that_would_start_empty_beside_its_own_data_is_refused(tmp_path: Path, lost: str) -> None:
    """Only the snapshot was copied, or the list of AOF files was not; with all of them it opens."""
    server, aside = closed(tmp_path), tmp_path / "aside"
    (server.folder / lost).rename(aside)
    with pytest.raises(ServerError, match=r"dump\.rdb but no .*so the server would start empty"):
        server.start()
    assert (server.folder / "dump.rdb").exists()
    aside.rename(server.folder / lost)
    assert opened(server)


def test_a_full_disk_leaves_the_note_of_the_server_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The note is written beside and moved into its place, and not at all when it says so already."""
    server = EmbeddedServer(tmp_path)
    server.folder.mkdir(parents=True)
    note = server.folder / "server.json"
    note.write_text('{"family": "redis", "version": [6, 2, 14]}')

    def full(self: Path, *_: object) -> int:
        self.write_bytes(b"")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_text", full)
    with pytest.raises(OSError, match="No space"):
        server.start()
    assert "redis" in note.read_text()


def test_one_patients_log_is_bounded_when_it_is_written(store: Store, monkeypatch: Any) -> None:
    """Without a command more for a turn that meets no limit; the newest stay, the chain holds, and a broken one never costs
    a turn."""
    monkeypatch.setattr("bot.store.store.MOST_WRITTEN", 12)
    monkeypatch.setattr("bot.store.store.MOST_KEPT", 8)
    for number in range(40):
        commit(store, f"k{number}", store.load(P, "").version, events=[b"event %d" % number])
        found = store.events(P)
        assert found == [b"event %d" % one for one in range(number + 1)][-len(found) :]
        assert len(found) <= 12
    assert store.verify(P) is None
    client: Any = store.client
    key = f"{store.tag(store.bucket(P))}v:{P}"
    while client.llen(key) < 12:
        commit(store, f"more{client.llen(key)}", store.load(P, "").version, events=[b"more"])
    client.lset(key, 1, b"x" * 40)
    assert commit(store, "last", store.load(P, "").version, events=[b"last"]).status == "ok"
    assert store.events(P)[-1] == b"last"


def test_whoever_writes_an_alarm_every_minute_has_a_bounded_number_of_tasks_and_alerts(store: Store) -> None:
    """Of each kind, while they are open: another kind, another patient and the next one after they were closed come."""

    def alarm(number: int, kind: str, patient: str = P) -> None:
        task = Task(f"s.{number}.1.5.{kind}", patient, kind, 0, 100.0 + number)
        rings = Effect(store.new_effect_id(patient), "alert", 5.0, b"{}")
        other = Effect(store.new_effect_id(patient), "silence", 5.0, b"{}")
        version = store.load(patient, "").version
        store.commit(patient, f"{kind}{number}", version, record=b"r", answer=b"a", effects=[rings, other],
                     tasks=[task], now=1.0)  # fmt: skip

    def planned() -> Counter[bytes | None]:
        client: Any = store.client
        return Counter(client.hget(key, "k") for key in client.keys("{b?}e:*"))

    for number in range(60):
        alarm(number, "emergency")
    assert [task.kind for task in store.tasks()] == ["emergency"] * MOST_ALIKE
    assert planned() == {b"alert": MOST_ALIKE, b"silence": 60}
    alarm(1, "crisis")
    alarm(1, "emergency", "patient-two")
    assert len(store.tasks()) == MOST_ALIKE + 2
    for task in store.tasks():
        store.close_task(task, "ana")
    alarm(99, "emergency")
    assert [task.id for task in store.tasks()] == ["s.99.1.5.emergency"]
