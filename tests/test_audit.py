"""The audit trail: a changed byte is located, a removed end shows, a crash tears nothing, a lost reply adds nothing."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import threading
from pathlib import Path
from typing import Any

import pytest
from redis import Redis
from redis.exceptions import RedisError

from bot.store.audit import BASE, HEAD, LOG, Audit, Entry, Head
from bot.store.cipher import Cipher
from bot.store.client import connect
from bot.store.embedded import EmbeddedServer
from bot.store.store import Store
from tests.conftest import SECRET

ROOT = Path(__file__).parents[1]
P = "patient-one"


def entry(number: int) -> Entry:
    return Entry(1000.0 + number, "nurse-1", "patient viewed", f"patient-{number}")


@pytest.fixture
def trail(redis_client: Redis, cipher: Cipher) -> Audit:
    """Eight entries."""
    made = Audit(redis_client, cipher)
    for number in range(8):
        made.append(entry(number))
    return made


def command(store: Store, *words: str, folder: Path, **more: str) -> subprocess.CompletedProcess[str]:
    kept = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    url = f"unix://{store.client.connection_pool.connection_kwargs['path']}"
    given = {"SANDBOX": "1", "STATE_URL": url, "SECRET_KEY": SECRET.hex(), "BUCKETS": "3", "DATA_DIR": str(folder)}
    run = [sys.executable, "-m", "bot", *words]
    return subprocess.run(run, cwd=ROOT, env=kept | given | more, capture_output=True, text=True, check=False)


def test_entries_come_back_in_order_and_nothing_of_them_is_readable_in_the_store(
    trail: Audit, redis_client: Any
) -> None:
    """What was appended, numbered from 1; the store holds no word of it."""
    assert [(number, one) for number, _, one in trail.entries()] == [(n + 1, entry(n)) for n in range(8)]
    assert [number for number, _ in trail.last(3)] == [6, 7, 8]
    assert trail.faults() == []
    assert not any(word in raw for raw in redis_client.lrange(LOG, 0, -1) for word in (b"nurse", b"viewed", b"patient"))


def test_a_flipped_byte_is_located_wherever_it_is(trail: Audit, redis_client: Any) -> None:
    """Every entry, in its link, its key id, its nonce, its words and its tag."""
    for number in range(8):
        raw = redis_client.lindex(LOG, number)
        for place in (0, 15, 16, 20, 40, len(raw) - 1):
            redis_client.lset(LOG, number, raw[:place] + bytes([raw[place] ^ 1]) + raw[place + 1 :])
            found = trail.faults()
            assert found, (number, place)
            assert f"ntry {number + 1} " in found[0], (number, place, found)
        redis_client.lset(LOG, number, raw)
    assert trail.faults() == []


@pytest.mark.parametrize("number", range(8))
def test_a_removed_a_swapped_and_a_repeated_entry_are_located(trail: Audit, redis_client: Any, number: int) -> None:
    """The first sentence names the place."""
    whole = redis_client.lrange(LOG, 0, -1)

    def faults(entries: list[bytes]) -> str:
        redis_client.delete(LOG)
        redis_client.rpush(LOG, *entries)
        return trail.faults()[0]

    assert f"ntry {number + 1} " in faults(whole[:number] + whole[number + 1 :]) or number == 7
    assert f"ntry {number + 2} " in faults([*whole[: number + 1], *whole[number:]])
    if number < 7:
        swapped = [*whole[:number], whole[number + 1], whole[number], *whole[number + 2 :]]
        assert f"ntry {number + 1} " in faults(swapped)


def test_an_end_that_was_removed_together_with_its_head_shows_against_a_noted_head(
    trail: Audit, redis_client: Any, cipher: Cipher, tmp_path: Path
) -> None:
    """Without the head: at once. With it: against this machine's note, and against one kept on paper."""
    noting = Audit(redis_client, cipher, tmp_path)
    paper = str(noting.append(entry(8)))
    five = redis_client.lindex(LOG, 4)[:16]
    redis_client.ltrim(LOG, 0, 4)
    assert "should have 9 entries and ends at 5" in trail.faults()[0]
    redis_client.set(HEAD, f"5|{five.hex()}")
    assert trail.faults() == [], "the chain alone cannot know"
    assert "Entry 9 was noted elsewhere" in trail.faults(Head.parse(paper))[0]
    assert "Entry 9 was noted elsewhere" in noting.faults()[0]
    redis_client.delete(LOG, HEAD)
    assert noting.faults(), "an emptied trail is the longest removed end"


def test_a_lost_reply_appends_once(trail: Audit, redis_client: Any) -> None:
    """The script is run again as it was, also after another entry came between."""
    args: list[Any] = []
    inside = trail._append

    def remember(**given: Any) -> Any:
        args.append(given)
        return inside(**given)

    trail._append = remember
    trail.append(entry(8))
    assert inside(**args[0])[0] == b"ok"
    Audit(redis_client, trail._cipher).append(entry(9))
    assert inside(**args[0])[0] == b"ok"
    assert trail.head().count == 10
    assert trail.faults() == []


def test_many_at_once_make_one_chain(redis_client: Any, cipher: Cipher) -> None:
    """Eight threads with trails of their own; every entry is there once."""

    def work(who: int) -> None:
        mine = Audit(redis_client, cipher)
        for number in range(25):
            mine.append(Entry(float(number), f"nurse-{who}", "patient viewed", f"{number}"))

    threads = [threading.Thread(target=work, args=(who,)) for who in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    trail = Audit(redis_client, cipher)
    found = [(one.actor, one.about) for _, _, one in trail.entries() if one]
    assert len(found) == len(set(found)) == 200
    assert trail.faults() == []


def test_a_server_killed_among_appends_leaves_a_whole_chain_with_every_acknowledged_entry(cipher: Cipher) -> None:
    """kill -9 of a real server with appendfsync always, three times, while four threads append."""
    folder = Path(tempfile.mkdtemp(prefix="tb-"))
    done: list[str] = []

    def work(who: str) -> None:
        mine = Audit(connect(server.url), cipher)
        for number in range(100_000):
            name = f"{who}.{number}"
            try:
                mine.append(Entry(1.0, "nurse-1", "patient viewed", name))
            except (RedisError, OSError):
                return
            done.append(name)

    for rounds in range(3):
        server = EmbeddedServer(folder)
        server.start()
        threads = [threading.Thread(target=work, args=(f"{rounds}.{who}",)) for who in range(4)]
        before = len(done)
        for thread in threads:
            thread.start()
        while len(done) < before + 60:
            threads[0].join(0.005)
        assert server.process
        os.kill(server.process.pid, signal.SIGKILL)
        server.process.wait()
        for thread in threads:
            thread.join()
    server = EmbeddedServer(folder)
    server.start()
    try:
        trail = Audit(connect(server.url), cipher)
        assert trail.faults() == []
        assert set(done) <= {one.about for _, _, one in trail.entries() if one}
    finally:
        server.stop()


def test_what_is_too_old_is_cut_off_and_the_rest_still_verifies(trail: Audit, redis_client: Any) -> None:
    """Numbers stay; a beginning that somebody else cut off shows; a forged note of the beginning is refused."""
    assert trail.cut(1003.0) == 3
    assert trail.cut(1003.0) == 0
    assert [number for number, _, _ in trail.entries()] == [4, 5, 6, 7, 8]
    assert [number for number, _, _ in trail.entries(6)] == [6, 7, 8]
    trail.append(entry(8))
    assert trail.faults() == []
    redis_client.lpop(LOG)
    assert "ntry 4 " in trail.faults()[0]
    redis_client.set(BASE, f"4|{'00' * 16}|{'00' * 16}")
    assert "not ours" in trail.faults()[0]


def test_a_shortened_log_of_a_patient_shows(store: Store) -> None:
    """The record is sealed together with the link its log must end with, so a new head cannot be made up."""
    for number in range(4):
        version = store.load(P, f"k{number}").version
        store.commit(P, f"k{number}", version, record=b"r", answer=b"a", events=[b"event %d" % number], now=1.0)
    client: Any = store.client
    log, record = f"{store.tag(store.bucket(P))}v:{P}", f"{store.tag(store.bucket(P))}p:{P}"
    assert store.verify(P) is None
    client.rpop(log)
    assert store.verify(P) == 3
    raw, end = client.get(record), client.lindex(log, -1)[:16].hex().encode()
    number, _, sealed = raw.split(b"|", 2)
    client.set(record, b"|".join((number, end, sealed)))
    with pytest.raises(ValueError, match="changed or moved"):
        store.load(P, "k9")


def test_the_commands_show_and_verify_and_are_themselves_in_the_trail(store: Store, tmp_path: Path) -> None:
    """A dropped dead letter is an entry with the login name; verify gives 0, then 1 and the place."""
    from tests.test_dead import bury

    effect = bury(store)
    assert command(store, "dead", "drop", effect, folder=tmp_path).returncode == 0
    shown = command(store, "audit", "show", folder=tmp_path).stdout
    assert f"dead letter dropped  {effect}" in shown
    assert "command:" in shown
    good = command(store, "audit", "verify", folder=tmp_path)
    assert (good.returncode, good.stdout) == (0, "1 entries; the chain holds.\n")
    paper = command(store, "audit", "head", folder=tmp_path).stdout.strip()
    client: Any = store.client
    raw = client.lindex(LOG, 0)
    client.lset(LOG, 0, raw[:-1] + bytes([raw[-1] ^ 1]))
    bad = command(store, "audit", "verify", "--head", paper, folder=tmp_path)
    assert bad.returncode == 1
    assert "Entry 1 was changed" in bad.stdout
    assert command(store, "audit", "verify", "--head", "nonsense", folder=tmp_path).returncode == 2
