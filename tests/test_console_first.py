"""First steps: demo data goes through the running program, never among real patients, and one press removes all of it."""

from __future__ import annotations

import http.cookiejar
import re
import time
from collections import Counter
from typing import Any
from urllib.error import HTTPError
from urllib.parse import urlencode
from urllib.request import HTTPCookieProcessor, Request, build_opener

import pyotp
import pytest

from bot.console import demo
from bot.console.demo import DemoError
from bot.record import from_bytes
from bot.settings import Settings
from bot.store.embedded import EmbeddedServer
from bot.store.store import Store, open_store
from tests.test_console import SAME, Place, token_of
from tests.whole import Whole

SECRET = {"SECRET_KEY": "5a" * 32}


@pytest.fixture
def place(store: Store, tmp_path: Any) -> Place:
    return Place(store, str(tmp_path))


def hear(place: Place, phone: str, text: str) -> None:
    place.at += 20
    place.conversation.hear(phone, "sms", text, f"SM{place.at}")


def counts(store: Store) -> Counter[str]:
    """Everything that the dashboard counts."""
    client: Any = store.client
    found: Counter[str] = Counter()
    for key in client.keys("{b*}n:*"):
        found.update({field.decode(): int(many) for field, many in client.hgetall(key).items()})
    return +found


def walks(counted: Counter[str]) -> dict[str, int]:
    """Without what texts cost, which no patient's log tells."""
    return {field: many for field, many in counted.items() if not field.startswith("$")}


def test_when_only_made_up_patients_were_here_every_count_goes_with_them(place: Place) -> None:
    hear(place, demo.PHONES[0], "hi")
    assert counts(place.desk.store)
    assert demo.remove(place.desk.settings, place.desk.store, place.at) == 1
    assert not counts(place.desk.store)


def test_no_demo_data_among_real_patients_or_where_sending_is_live(place: Place, tmp_path: Any) -> None:
    store = place.desk.store
    assert demo.why_not(place.desk.settings, store) == ""
    place.says("hi")  # a number set aside for fiction, from the phone page
    assert demo.why_not(place.desk.settings, store) == ""
    hear(place, "+17132065432", "hi")
    client = place.browser(place.person("administrator", "Ana"))
    refused = client.post("/start/demo", data={"csrf": token_of(client)}, headers=SAME)
    assert refused.status_code == 409
    assert "telephone numbers are real" in refused.text
    live = place.desk.settings.model_copy(update={"sandbox": False})
    assert demo.why_not(live, store) == demo.LIVE
    with pytest.raises(DemoError):
        demo.load(live, store)


def test_a_local_twilio_that_is_away_is_a_sentence(place: Place) -> None:
    made = place.desk.settings.model_copy(update={"twilio_api_base": "http://127.0.0.1:9"})
    object.__setattr__(place.desk, "settings", made)
    client = place.browser(place.person("administrator", "Ana"))
    answer = client.post("/start/demo", data={"csrf": token_of(client)}, headers=SAME)
    assert answer.status_code == 409
    assert "does not answer" in answer.text


def test_made_up_patients_are_marked_in_every_list_and_gone_in_one_press(place: Place) -> None:
    """A real patient beside them keeps everything; also what is kept for ever of a STOP goes, because nobody gave it."""
    place.says("i cant breathe")
    counted = counts(place.desk.store)
    hear(place, demo.PHONES[5], "i cant breathe")
    hear(place, demo.PHONES[9], "hello")
    hear(place, demo.PHONES[9], "STOP")
    assert counts(place.desk.store) != counted
    client = place.browser(place.person("administrator", "Ana"))
    page = client.get("/").text
    assert "2 made-up patients" in page
    assert page.count("demo-mark") == 1
    made_up = place.desk.store.cipher.patient_id(demo.PHONES[5])
    rows = client.get("/patients.json").json["conversations"]
    assert {row["id"] == made_up or row["id"] in demo.patients(place.desk.store): row["demo"] for row in rows} == {
        True: "made up", False: ""
    }  # fmt: skip
    assert client.get("/patients.csv").text.count("made up") == 2
    assert "demo-mark" in client.get(f"/patients/{made_up}").text
    gone = client.post("/start/demo/remove", data={"csrf": token_of(client)}, headers=SAME)
    assert "Removed: 2 made-up patients" in gone.text
    left = [
        key
        for key in place.desk.store.client.keys("*")
        for one in demo.patients(place.desk.store)
        if one.encode() in key
    ]
    assert left == []
    assert walks(counts(place.desk.store)) == walks(counted)
    assert [task.patient for task in place.desk.store.tasks()] == [place.patient]
    assert "made-up patients are among" not in client.get("/").text


def test_only_an_administrator_sees_what_is_left_to_do(place: Place) -> None:
    """The check-list names what is missing and never a secret."""
    client = place.browser(place.person("administrator", "Ana"))
    page = client.get("/start").text
    for words in ("TWILIO_ACCOUNT_SID", "SECRET_KEY", "Invite one", "ALERT_PHONES", "backup FILE", "Not signed"):
        assert words in page
    assert SECRET["SECRET_KEY"] not in page
    place.person("administrator", "Ben")
    assert "let you in again when your telephone is lost" in client.get("/start").text
    assert "Invite one" not in client.get("/start").text
    assert place.browser(place.person("manager", "Cem")).get("/start").status_code == 403


class Visitor:
    """A browser without JavaScript, over real HTTP."""

    def __init__(self) -> None:
        self.opener = build_opener(HTTPCookieProcessor(http.cookiejar.CookieJar()))

    def get(self, url: str, **form: str) -> str:
        asked = Request(url, urlencode(form).encode() if form else None, {"Sec-Fetch-Site": "same-origin"})
        try:
            with self.opener.open(asked, timeout=30) as answer:
                return str(answer.read().decode())
        except HTTPError as error:
            return error.read().decode()


@pytest.mark.faults
@pytest.mark.timeout(180)
def test_demo_data_is_what_the_running_program_made_of_real_webhooks() -> None:
    """The whole product, over HTTP: every kind of outcome is there, each on the phone page; then nothing is."""
    with Whole() as whole:
        link = whole.until(lambda: re.search(r"(http://\S+/join/\S+)", whole.log()), "the first link").group(1)
        site, ana = link.partition("/join")[0], Visitor()
        code = re.search(r"<code>(\w+)</code>", ana.get(link))
        assert code
        words = "four quiet words here"
        now = pyotp.TOTP(code.group(1)).at(int(time.time()))
        ana.get(link, name="Ana", password=words, password_again=words, code=now)
        token = re.search(r'name="csrf" value="([^"]+)"', ana.get(f"{site}/start"))
        assert token
        page = ana.get(f"{site}/start/demo", csrf=token.group(1))
        assert "10 made-up patients" in page
        assert "here already" in ana.get(f"{site}/start/demo", csrf=token.group(1))
        settings = Settings.load({**whole.environment, "SANDBOX": "1"})
        store = open_store(EmbeddedServer(whole.folder).url, settings.secret_keys, settings.buckets)
        records = [from_bytes(store.load(one, "").record or b"") for one in demo.patients(store)]
        outcomes = [record.session.outcome if record.session else None for record in records]
        assert outcomes[:6] == ["pmr", "pt", "both", "pmr", "urgent", "emergency"]
        assert records[9].opted_out
        assert len(store.tasks()) >= 3
        assert [one["text"] for one in whole.texts("p5") if one["mine"]] == list(demo.STORIES[0])
        assert "Removed: 10 made-up patients" in ana.get(f"{site}/start/demo/remove", csrf=token.group(1))
        assert store.tasks() == []
        assert demo.present(store) == frozenset()
        store.client.close()
