"""Changing SECRET_KEY: no id moves, everything is sealed again while serving, what is left is said, a lost key is refused."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
from redis import Redis

from bot import keys
from bot.console.people import STAFF, People, Person
from bot.record import Record, to_bytes
from bot.store import Effect, LinkToken, Task
from bot.store.audit import Audit, Entry
from bot.store.cipher import Cipher
from bot.store.identity import KEY, IdentityError
from bot.store.model import CLINIC
from bot.store.sends import Sends, Sent
from bot.store.spool import Spool
from bot.store.store import Store
from bot.store.switch import Kept, Switch
from bot.store.walk import walk
from tests.conftest import SECRET
from tests.test_audit import command

PHONE, NEW = "+17135550123", b"n" * 32


def ring(client: Redis, *secrets: bytes) -> Store:
    return Store(client, Cipher(secrets), buckets=3)


def one_of_each(client: Redis) -> str:
    """A store of the old key with a value of every kind; the patient, who wrote STOP."""
    store = ring(client, SECRET)
    patient = store.cipher.patient_id(PHONE)
    effect, token = store.new_effect_id(patient), store.new_token(patient)
    for number in range(3):
        store.commit(
            patient,
            f"k{number}",
            store.load(patient, f"k{number}").version,
            record=to_bytes(Record(PHONE, opted_out=True)),
            answer=b"<Response/>",
            events=[b'{"said": "words"}'],
            effects=[Effect(f"{effect}{number}", "text", 5e9, b'{"p": "x"}')],
            tasks=[Task(f"s.{number}.person", patient, "person", 2, 1.0)],
            links=[LinkToken(f"{token}{number}", patient, "pt", 1.0)],
            now=1.0,
        )
    Sends(store).keep(effect, Sent(patient, "text", {}))
    person = json.dumps(asdict(Person("p1", "Ana", "nurse", "hash", "secret"))).encode()
    store.client.hset(STAFF, "p1", store.cipher.seal(STAFF, person))
    Switch(store).stop(Kept("staff", 1.0, None, "words", "ana"), Task("c.1.stopped", CLINIC, "configuration", 1, 1.0))
    Audit(client, store.cipher).append(Entry(1.0, "p1", "patient viewed", patient))
    return patient


def test_a_rotation_leaves_every_id_and_opens_everything_with_the_new_key_alone(redis_client: Any) -> None:
    """Records, answers, logs, effects, tasks, links, senders, staff, stops, the trail; times to live stay."""
    patient = one_of_each(redis_client)
    lives = {key: redis_client.ttl(key) for key in redis_client.keys("{*")}
    both = ring(redis_client, NEW, SECRET)
    older, closed = keys.count(redis_client, both.cipher)
    assert {"p", "a", "v", "e", "t", "l", "o", "sending", "audit log", "console staff", "identity"} == set(older)
    assert not closed
    assert keys.reseal(redis_client, both.cipher) == older.total()
    assert keys.reseal(redis_client, both.cipher) == 0
    new = ring(redis_client, NEW)
    assert keys.count(redis_client, new.cipher) == ({}, {})
    assert new.cipher.patient_id(PHONE) == patient
    assert PHONE.encode() in (new.load(patient, "k1").record or b"")
    assert new.events(patient) == [b'{"said": "words"}'] * 3
    assert new.verify(patient) is None
    assert Audit(redis_client, new.cipher).faults() == []
    assert People(new).by_id("p1") is not None
    assert [kept.why for kept in Switch(new).stops()] == ["words"]
    assert lives.keys() == set(redis_client.keys("{*"))
    assert all(abs(redis_client.ttl(key) - life) < 5 for key, life in lives.items())


def test_a_rotation_that_was_interrupted_goes_on_where_it_was(
    redis_client: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It dies at the fifth value; the second run does only the rest."""
    one_of_each(redis_client)
    both = ring(redis_client, NEW, SECRET)
    all_of_them = keys.count(redis_client, both.cipher)[0].total()
    real, calls = keys.put, [0]

    def dies(*given: Any) -> bool:
        calls[0] += 1
        if calls[0] > 5:
            raise KeyboardInterrupt
        return real(*given)

    monkeypatch.setattr(keys, "put", dies)
    with pytest.raises(KeyboardInterrupt):
        keys.reseal(redis_client, both.cipher)
    monkeypatch.setattr(keys, "put", real)
    assert keys.reseal(redis_client, both.cipher) == all_of_them - 5


def test_a_turn_that_comes_while_its_record_is_sealed_again_is_not_lost(
    redis_client: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The value is replaced only if it is still the one that was read; the newer one is met in the next round."""
    patient = one_of_each(redis_client)
    old, both = ring(redis_client, SECRET, NEW), ring(redis_client, NEW, SECRET)
    real, turns = keys.put, [0]

    def a_turn_between(client: Any, value: Any, sealed: bytes) -> bool:
        if value.family == "p" and not turns[0]:
            turns[0] = 1
            version = old.load(patient, "late").version
            old.commit(patient, "late", version, record=b'{"p": "later"}', answer=b"a", now=2.0)
        return bool(real(client, value, sealed))

    monkeypatch.setattr(keys, "put", a_turn_between)
    keys.reseal(redis_client, both.cipher)
    assert ring(redis_client, NEW).load(patient, "x").record == b'{"p": "later"}'


def test_a_key_that_is_missing_is_said_and_never_replaced_by_a_new_identity(redis_client: Any) -> None:
    """With the new key alone before a rotation; and with the identity gone after one."""
    patient = one_of_each(redis_client)
    with pytest.raises(IdentityError, match="not in the ring"):
        ring(redis_client, NEW).cipher.patient_id(PHONE)
    keys.reseal(redis_client, ring(redis_client, NEW, SECRET).cipher)
    kept = redis_client.getdel(KEY)
    with pytest.raises(IdentityError, match="has patients but not the secret"):
        ring(redis_client, NEW).cipher.patient_id(PHONE)
    assert not redis_client.exists(KEY)
    assert ring(redis_client, NEW, SECRET).cipher.patient_id(PHONE) == patient, "the first key at the end heals it"
    redis_client.set(KEY, kept)
    assert ring(redis_client, NEW).cipher.patient_id(PHONE) == patient


def test_the_command_rotates_and_says_what_is_left(redis_client: Any, tmp_path: Path) -> None:
    """An input kept on disk, and a value that no key opens, are named and give 1."""
    one_of_each(redis_client)
    Spool(tmp_path / "spool", Cipher([SECRET])).keep({"do": "x"})
    store = ring(redis_client, NEW, SECRET)
    given = {"SECRET_KEY": f"{NEW.hex()},{SECRET.hex()}"}
    done = command(store, "keys", "rotate", folder=tmp_path, **given)
    assert (done.returncode, done.stderr) == (1, "")
    assert "1 inputs kept on disk" in done.stdout
    for file in (tmp_path / "spool").glob("*.in"):
        file.unlink()
    assert "Nothing is left" in command(store, "keys", "status", folder=tmp_path, **given).stdout
    redis_client.hset(STAFF, "p2", Cipher([b"x" * 32]).seal(STAFF, b"{}"))
    lost = command(store, "keys", "status", folder=tmp_path, **given)
    assert (lost.returncode, "1 of console staff open with no key" in lost.stdout) == (1, True)


def test_the_walk_meets_every_value_once(redis_client: Any) -> None:
    """Every key of ours, with what is sealed in it opened."""
    one_of_each(redis_client)
    found = list(walk(redis_client, ring(redis_client, SECRET).cipher))
    assert {value.key.encode() for value in found} == set(redis_client.keys("{*"))
    assert len({(value.key, value.place) for value in found}) == len(found)
    assert not [value.family for value in found if value.looks_sealed and value.plain is None]
