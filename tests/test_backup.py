"""The drill: a backup of a store that serves, restored into any empty server, whole or refused in words."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from redis import Redis

from bot.store import backup
from bot.store.audit import Audit
from bot.store.backup import BackupError
from bot.store.cipher import Cipher
from bot.store.client import connect
from bot.store.embedded import EmbeddedServer
from bot.store.identity import KEY, RESTORING, IdentityError
from tests.conftest import SECRET
from tests.test_audit import command
from tests.test_keys import NEW, PHONE, one_of_each, ring


@pytest.fixture(scope="module")
def other() -> Iterator[EmbeddedServer]:
    """A second server, the target."""
    folder = Path(tempfile.mkdtemp(prefix="tb-"))
    running = EmbeddedServer(folder, fsync="no")
    running.start()
    yield running
    running.stop()
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def target(other: EmbeddedServer) -> Any:
    """Its client, emptied."""
    client = connect(other.url)
    client.flushall()
    return client


def state(client: Any) -> dict[bytes, Any]:
    """Every key with its value, as it is."""
    read = {b"string": client.get, b"hash": client.hgetall, b"list": lambda k: client.lrange(k, 0, -1)}
    read[b"set"] = client.smembers
    read[b"zset"] = lambda k: client.zrange(k, 0, -1, withscores=True)
    return {key: read[client.type(key)](key) for key in client.scan_iter("{*")}


def saved(client: Redis, folder: Path) -> Path:
    one_of_each(client)
    file = folder / "state.backup"
    backup.write(client, Cipher([SECRET]), 3, file)
    return file


def back(target: Any, file: Path, *secrets: bytes, buckets: int = 3, **more: Any) -> None:
    given: dict[str, Any] = {"moved": True, "now": 1.0, **more}
    backup.restore(target, Cipher(secrets or (SECRET,)), buckets, file, **given)


def test_what_was_written_is_what_comes_back_with_its_time_to_live(
    redis_client: Any, target: Any, tmp_path: Path
) -> None:
    """Every key of ours, byte for byte; the file holds no word; sessions and the queue are not in it."""
    redis_client.set("{console}session:x", "s")
    redis_client.set("rq:job:1", "x")
    file = saved(redis_client, tmp_path)
    assert PHONE.encode() not in file.read_bytes()
    back(target, file)
    redis_client.delete("{console}session:x")
    assert state(target) == state(redis_client)
    assert not target.exists("rq:job:1")
    for key in redis_client.keys("{*"):
        assert abs(target.pttl(key) - redis_client.pttl(key)) < 2000, key
    store = ring(target, SECRET)
    patient = store.cipher.patient_id(PHONE)
    assert store.verify(patient) is None
    assert Audit(target, store.cipher).faults() == []


def test_half_a_file_a_changed_byte_and_a_wrong_key_are_refused_before_anything_is_written(
    redis_client: Any, target: Any, tmp_path: Path
) -> None:
    """In words, and the target stays empty."""
    raw = saved(redis_client, tmp_path).read_bytes()
    bad = tmp_path / "bad"
    for at in (len(raw) - 1, len(raw) // 2, len(raw) - 60):
        bad.write_bytes(raw[:at])
        with pytest.raises(BackupError, match="only the first part"):
            back(target, bad)
    bad.write_bytes(raw[:-100] + bytes([raw[-100] ^ 1]) + raw[-99:])
    with pytest.raises(BackupError, match="changed at frame"):
        back(target, bad)
    bad.write_bytes(b"something else\n")
    with pytest.raises(BackupError, match="not a backup"):
        back(target, bad)
    bad.write_bytes(raw)
    with pytest.raises(BackupError, match="not in the ring"):
        back(target, bad, NEW)
    with pytest.raises(BackupError, match="BUCKETS=3"):
        back(target, bad, buckets=2)
    assert target.dbsize() == 0


def test_a_store_with_anything_in_it_is_never_written_over(redis_client: Any, target: Any, tmp_path: Path) -> None:
    """Also when it is only one key; and a backup never replaces a file."""
    file = saved(redis_client, tmp_path)
    target.set("{b0}p:somebody", "x")
    with pytest.raises(BackupError, match="not empty"):
        back(target, file)
    with pytest.raises(BackupError, match="exists already"):
        backup.write(redis_client, Cipher([SECRET]), 3, file)


def test_a_restore_that_died_half_way_can_be_used_by_nobody_and_is_run_again(
    redis_client: Any, target: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The identity says so until the end; the second run gives the same state."""
    file = saved(redis_client, tmp_path)
    real, calls = backup._put, [0]

    def dies(*given: Any) -> None:
        calls[0] += 1
        if calls[0] > 6:
            raise KeyboardInterrupt
        real(*given)

    monkeypatch.setattr(backup, "_put", dies)
    with pytest.raises(KeyboardInterrupt):
        back(target, file)
    assert target.get(KEY) == RESTORING
    with pytest.raises(IdentityError, match="has begun and not ended"):
        ring(target, SECRET).cipher.patient_id(PHONE)
    monkeypatch.setattr(backup, "_put", real)
    back(target, file)
    assert state(target) == state(redis_client)


def test_what_was_due_after_the_backup_is_not_sent_again(redis_client: Any, target: Any, tmp_path: Path) -> None:
    """It may have been sent by the old server: begun as ambiguous. After a move it is simply due."""
    file = saved(redis_client, tmp_path)
    back(target, file, moved=False, now=6e9)
    store = ring(target, SECRET)
    claims = [claim for bucket in range(3) for claim in store.claim(bucket, 6e9)]
    assert len(claims) == 3
    assert {store.begin(claim).status for claim in claims} == {"redo"}
    target.flushall()
    back(target, file, moved=True, now=6e9)
    claims = [claim for bucket in range(3) for claim in store.claim(bucket, 6e9)]
    assert {store.begin(claim).status for claim in claims} == {"go"}


def test_the_rotated_ring_opens_an_older_backup(redis_client: Any, target: Any, tmp_path: Path) -> None:
    """With the old key behind the new one."""
    file = saved(redis_client, tmp_path)
    back(target, file, NEW, SECRET)
    assert ring(target, NEW, SECRET).events(ring(target, NEW, SECRET).cipher.patient_id(PHONE))


def test_the_commands_back_up_verify_and_restore_and_erase_again_who_was_erased_since(
    redis_client: Any, target: Any, tmp_path: Path
) -> None:
    """The whole drill by command: a backup, its verification on a server of its own, a forget, a restore."""
    patient, file = one_of_each(redis_client), tmp_path / "state.backup"
    store = ring(redis_client, SECRET)
    assert command(store, "backup", str(file), folder=tmp_path).returncode == 0
    checked = command(store, "backup", "--verify", str(file), folder=tmp_path)
    assert "1 patients, all logs and the trail hold" in checked.stdout, checked.stderr
    refused = command(store, "restore", str(file), folder=tmp_path)
    assert (refused.returncode, "not empty" in refused.stderr) == (1, True)
    assert command(store, "forget", patient, folder=tmp_path).returncode == 0
    new = ring(target, SECRET)
    done = command(new, "restore", str(file), folder=tmp_path)
    assert "1 who were erased since are erased again" in done.stdout, done.stderr
    assert PHONE.encode() not in (new.load(patient, "").record or b"")
    assert b"opted_out" in (new.load(patient, "").record or b""), "the STOP is there"


@pytest.mark.skipif(not shutil.which("redis-server"), reason="there is no redis-server on PATH")
def test_it_moves_to_an_older_family_of_servers(redis_client: Any, tmp_path: Path) -> None:
    """Valkey's data directory cannot be opened by an older Redis; our own file can."""
    folder = Path(tempfile.mkdtemp(prefix="tb-"))
    binary = str(shutil.which("redis-server"))
    words = [binary, "--port", "0", "--unixsocket", str(folder / "s"), "--dir", str(folder), "--save", ""]
    with subprocess.Popen(words, stdout=subprocess.DEVNULL) as process:
        try:
            client: Any = connect(f"unix://{folder / 's'}")
            for _ in range(200):
                if (folder / "s").exists():
                    break
                time.sleep(0.02)
            back(client, saved(redis_client, tmp_path))
            assert state(client) == state(redis_client)
        finally:
            process.terminate()
