"""The store dead, frozen, full or read-only: an answer within seconds, and everything taken up afterwards, once."""

from __future__ import annotations

import json
import os
import shutil
import signal
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient

from bot.store.cipher import Cipher
from bot.store.client import connect
from bot.store.embedded import EmbeddedServer
from bot.store.spool import Spool, SpoolFullError
from bot.web import create_app
from bot.web.answers import Answers
from bot.web.limits import TEXTS, Limits, Verdict
from bot.web.shelter import Shelter
from bot.wiring import App, build, make_shelter
from tests.conftest import SECRET
from tests.web_fake import PHONE, call, post, settings, text

Break = Callable[["Clinic"], None]


@dataclass
class Clinic:
    """The real web app on a store of its own that a test may break."""

    server: EmbeddedServer
    app: App
    shelter: Shelter
    client: FlaskClient

    def say(self, words: str, sid: int, phone: str = PHONE) -> str:
        answer = post(self.client, "/sms", text(words, sid=f"SM{sid:032x}", From=phone))
        assert answer.status_code == 200
        return str(answer.text)

    def call(self, path: str, sid: int = 1, **more: str) -> str:
        answer = post(self.client, path, call(sid=f"CA{sid:032x}", **more))
        assert answer.status_code == 200
        return str(answer.text)

    def heal(self) -> None:
        """Whatever was done to the server, it is a healthy one afterwards."""
        process = self.server.process
        assert process is not None
        if process.poll() is None:
            os.kill(process.pid, signal.SIGCONT)
            client = connect(self.server.url, role="worker")
            client.replicaof("NO", "ONE")
            client.config_set("maxmemory", 0)
            client.close()
        else:
            self.server.start()
        self.shelter.look()

    def log(self) -> list[dict[str, Any]]:
        return [json.loads(one) for one in self.app.store.events(self.app.store.cipher.patient_id(PHONE))]

    def due(self) -> list[dict[str, Any]]:
        """The texts that are to be sent."""
        store = self.app.store
        claims = store.claim(0, self.app.now() + 1)
        begun = [store.begin(claim) for claim in claims]
        return [json.loads(one.body) for one in begun if one.kind == "text"]


@pytest.fixture
def clinic() -> Iterator[Clinic]:
    folder = Path(tempfile.mkdtemp(prefix="tb-"))
    server = EmbeddedServer(folder, fsync="no")
    server.start()
    app = build(
        settings(STATE_URL=server.url, DATA_DIR=str(folder), OPT_OUT_MODE="app", QUIET_START="23:59", QUIET_END="00:00")
    )
    shelter = make_shelter(app)
    with create_app(app.settings, shelter, shelter, ready=shelter.well).test_client() as client:
        yield Clinic(server, app, shelter, client)
    app.store.client.close()
    if server.process and server.process.poll() is None:
        os.kill(server.process.pid, signal.SIGCONT)
    server.stop()
    shutil.rmtree(folder, ignore_errors=True)


def kill(clinic: Clinic) -> None:
    assert clinic.server.process is not None
    clinic.server.process.kill()
    clinic.server.process.wait()


def freeze(clinic: Clinic) -> None:
    assert clinic.server.process is not None
    os.kill(clinic.server.process.pid, signal.SIGSTOP)


def fill(clinic: Clinic) -> None:
    clinic.app.store.client.config_set("maxmemory", 1)


def make_read_only(clinic: Clinic) -> None:
    clinic.app.store.client.config_set("replica-serve-stale-data", "yes")
    clinic.app.store.client.replicaof("127.0.0.1", "1")


@pytest.mark.parametrize("harm", [kill, freeze, fill, make_read_only], ids=lambda harm: harm.__name__)
def test_every_webhook_is_answered_in_time_and_taken_up_once(clinic: Clinic, harm: Break) -> None:
    """The first answer within 4 s, the next at once; afterwards each turn once, in order, and one late answer."""
    first = clinic.say("hi my back hurts", 1)
    harm(clinic)
    began = time.monotonic()
    assert "911" in clinic.say("yes", 2)
    assert time.monotonic() - began < 4
    began = time.monotonic()
    assert "9 1 1" in clinic.call("/voice")
    assert "911" in clinic.say("no", 3)
    again = clinic.say("no", 3)
    assert time.monotonic() - began < 0.5, "the second does not wait again"
    assert post(clinic.client, "/status", {"AccountSid": clinic.app.settings.twilio_account_sid,
                "MessageSid": "SM" + "7" * 32, "MessageStatus": "delivered"}).status_code == 204  # fmt: skip
    clinic.heal()
    assert not clinic.shelter.away
    assert [one["said"] for one in clinic.log() if one.get("in") == "said"] == ["hi my back hurts", "yes", "no"]
    assert clinic.say("no", 3) == again, "the same key, the same bytes"
    late = clinic.due()
    assert len(late) == 1, "only the last answer is still to be seen"
    assert late[0]["body"] not in first
    assert [task.kind for task in clinic.app.store.tasks()].count("outage") == 1, "the caller"
    delivery = clinic.app.store.delivery("SM" + "7" * 32)
    assert delivery is not None
    assert delivery.status == "delivered"


def test_stop_said_in_an_outage_is_obeyed_and_nothing_is_sent_after_it(clinic: Clinic) -> None:
    """By text in both ways of saying it; the answer that was still to be sent is taken back."""
    clinic.say("hi my back hurts", 1)
    kill(clinic)
    clinic.say("yes", 2)
    clinic.say("please stop texting me", 3)
    clinic.heal()
    assert clinic.due() == []
    assert clinic.log()[-1]["reading"][0] == "opt_out"


@pytest.mark.parametrize("door", ["sms", "voice"])
def test_emergency_words_in_an_outage_become_a_task(clinic: Clinic, door: str) -> None:
    """Said by text the advice follows once; said on a call a person calls back. 911 was answered at once in both."""
    kill(clinic)
    if door == "sms":
        assert "911" in clinic.say("I have chest pain and cannot breathe", 1)
    else:
        assert "9 1 1" in clinic.call("/voice/3", SpeechResult="I have chest pain and cannot breathe")
    clinic.heal()
    assert "emergency" in [task.kind for task in clinic.app.store.tasks()]
    assert len(clinic.due()) == (1 if door == "sms" else 0)


def test_the_static_answer_speaks_the_language_of_the_text(clinic: Clinic) -> None:
    """Spanish for Spanish, English for English, both when the words do not tell."""
    kill(clinic)
    assert "Llame al 911" in clinic.say("hola me duele la espalda", 1)
    assert "Llame al 911" not in clinic.say("my back hurts", 2)
    both = clinic.say("7", 3)
    assert "Llame al 911" in both
    assert "Call 911" in both


def test_an_answer_that_was_lost_after_the_commit_is_sent_late(clinic: Clinic) -> None:
    """The turn happened, the store's reply did not come back: no second turn, and the patient still sees the answer."""
    answer = clinic.app.conversation.hear(PHONE, "sms", "hi my back hurts", f"SM{1:032x}").decode()
    clinic.shelter.away = True
    clinic.say("hi my back hurts", 1)
    clinic.shelter.look()
    assert len([one for one in clinic.log() if one.get("in") == "said"]) == 1
    late = clinic.due()
    assert len(late) == 1
    assert late[0]["body"].split("\n")[0][:20] in answer.replace("&amp;", "&")


def test_a_text_of_yesterday_changes_nothing_but_a_person_reads_it(clinic: Clinic) -> None:
    """After four hours the walk does not go on behind the patient's back."""
    clinic.say("hi my back hurts", 1)
    clinic.shelter.away = True
    clinic.shelter._now = lambda: clinic.app.now() - 5 * 3600
    clinic.say("yes", 2)
    clinic.shelter.look()
    assert clinic.log()[-1]["in"] == "outage"
    assert [task.kind for task in clinic.app.store.tasks()] == ["outage"]
    assert clinic.due() == []


def test_nothing_of_the_spool_is_readable_and_a_broken_entry_blocks_nobody(clinic: Clinic) -> None:
    """Words and numbers are sealed on disk; an entry that does not open is set aside and the next one is taken up."""
    clinic.shelter.away = True
    clinic.say("hi a very secret word", 1)
    clinic.say("hi my back hurts", 2)
    spool = Spool(clinic.app.settings.data_dir / "spool", clinic.app.store.cipher)
    for file in spool.folder.iterdir():
        assert b"secret" not in file.read_bytes()
        assert PHONE.encode() not in file.read_bytes()
        assert PHONE not in file.name
    (spool.folder / spool.names()[0]).write_bytes(b"torn")
    clinic.shelter.look()
    assert [one["said"] for one in clinic.log()] == ["hi my back hurts"]
    assert (spool.aside(), spool.waiting()) == (1, False)
    assert "unread_input" in [task.kind for task in clinic.app.store.tasks()], "and a person knows of it"


def test_a_text_over_the_limit_is_answered_in_its_language_with_no_store_and_no_room(
    clinic: Clinic, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The one task is lost and logged; the patient has the static answer, as with room."""
    kill(clinic)
    texts = Limits(time.monotonic, TEXTS)
    app = create_app(clinic.app.settings, clinic.shelter, clinic.shelter, ready=clinic.shelter.well, texts=texts)
    monkeypatch.setattr(texts, "judge", lambda *given: Verdict("static", "phone", True))
    monkeypatch.setattr("bot.store.spool.MOST_ENTRIES", -1)
    flooding = text("me duele la espalda", sid=f"SM{1:032x}", From=PHONE)
    with app.test_client() as client:
        answer = post(client, "/sms", flooding)
    sorry = Answers(clinic.app.settings).apology("sms", "es")
    assert (answer.status_code, answer.data) == (200, sorry)
    assert not Spool(clinic.app.settings.data_dir / "spool", clinic.app.store.cipher).waiting()


def test_the_spool_keeps_its_order_when_the_clock_goes_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A place is never given twice and never before an older one; a disk without room is said in words."""
    spool = Spool(tmp_path / "spool", Cipher([SECRET]))
    times = iter([2_000, 1_000, 1_000])
    with monkeypatch.context() as patched:
        patched.setattr("bot.store.spool.time.time_ns", lambda: next(times))
        for number in range(3):
            spool.keep({"n": number})
    assert [spool.read(name)["n"] for name in spool.names()] == [0, 1, 2]
    monkeypatch.setattr("bot.store.spool.MOST_ENTRIES", 2)
    with pytest.raises(SpoolFullError, match="cannot be written"):
        spool.keep({"n": 3})
