"""Nothing that staff typed is lost and nothing is done twice: the store away, a session that ended, somebody who was
faster, a second press. And a session ends when and where it should."""

from __future__ import annotations

import html
import json
import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyotp
import pytest
from flask.testing import FlaskClient

from bot.console.kept import AWAY
from bot.console.people import Person
from bot.console.routes import ROUTES
from bot.sending import pause, resume
from bot.store.cipher import Cipher
from bot.store.client import connect
from bot.store.embedded import EmbeddedServer
from bot.store.signs import note_sweep
from bot.store.store import Store
from tests.test_console import SAME, Place, path_of, token_of

WORDS = "four quiet words here"
TYPED = {
    "reply": 'call <b>me</b> & "ask"',
    "note": "wants a form",
    "reason": "wrong text",
    "count": "417",
    "once": "press1",
}
FORMS = [route for route in ROUTES if route.method == "POST" and route.least]


@pytest.fixture
def place(store: Store, tmp_path: Any) -> Place:
    return Place(store, str(tmp_path))


@pytest.fixture
def nurse(place: Place) -> FlaskClient:
    """Ben, who has a patient that said something."""
    place.says("hi")
    found = place.browser(place.person("nurse", "Ben"))
    act(place, found, "claim", once="c1")
    return found


def act(place: Place, client: FlaskClient, what: str, **form: str) -> Any:
    """A press of a button in the patient's conversation."""
    data = {"csrf": token_of(client), **form}
    return client.post(f"/patients/{place.patient}/{what}", data=data, headers=SAME)


def fields(page: str) -> dict[str, str]:
    """What the forms of a page would send, by name."""
    found = re.findall(r'<input[^>]*? name="(\w+)"[^>]*? value="([^"]*)"', page)
    found += re.findall(r'<textarea name="(\w+)"[^>]*>([^<]*)</textarea>', page)
    return {name: html.unescape(value) for name, value in found}


def sign_in(place: Place, client: FlaskClient, person: Person, **kept: str) -> Any:
    place.at += 60
    code = pyotp.TOTP(person.secret).at(int(place.at))
    form = {"name": person.name, "password": WORDS, "code": code, **kept}
    return client.post("/sign-in", data=form, headers=SAME)


def sent_replies(place: Place) -> int:
    return sum(b'"in":"staff"' in event for event in place.desk.store.events(place.patient))


# -- the store is away --


class Lonely(Place):
    """A console with a *server* of its own, that a test may stop and start."""

    server: EmbeddedServer


@contextmanager
def lonely(cipher: Cipher, folder: Path) -> Iterator[Lonely]:
    """One of them."""
    with tempfile.TemporaryDirectory(prefix="tb-") as short:
        server = EmbeddedServer(Path(short), fsync="no")
        server.start()
        try:
            made = Lonely(Store(connect(server.url), cipher, buckets=3), str(folder))
            made.server = server
            yield made
        finally:
            server.stop()


@pytest.fixture
def alone(cipher: Cipher, tmp_path: Path) -> Iterator[Lonely]:
    with lonely(cipher, tmp_path) as found:
        yield found


@pytest.mark.parametrize("language", ["en", "es"])
def test_with_the_store_away_every_door_says_so_and_keeps_the_form(alone: Lonely, language: str) -> None:
    """The whole table of routes against a real server that was stopped."""
    client = alone.browser(alone.person("administrator", "Ada"))
    client.set_cookie("console-language", language)
    alone.server.stop()
    for route in ROUTES:
        if route.asset:
            continue
        path = path_of(route.rule, alone)
        answer = client.open(path, method=route.method, data=TYPED if route.method == "POST" else None, headers=SAME)
        assert answer.status_code == 503, route.rule
        assert ("cannot be reached" in answer.text) == (language == "en"), route.rule
        if route.method == "POST" and path != "/sign-in":
            assert f'action="{path}"' in answer.text, route.rule
            assert TYPED.items() <= fields(answer.text).items(), route.rule
    assert "Nothing you typed is lost" in AWAY


def test_words_on_their_way_through_the_sign_in_survive_a_store_that_goes_away(alone: Lonely) -> None:
    """Signed out in the middle of a reply, and then that."""
    kept = {"kept_path": "/patients/x/reply", "kept_form": json.dumps([["reply", "call me"]])}
    alone.server.stop()
    answer = alone.app.test_client().post("/sign-in", data={"name": "Ben", "password": "x", **kept}, headers=SAME)
    assert answer.status_code == 503
    assert kept.items() <= fields(answer.text).items()
    assert 'name="password"' in answer.text
    assert 'value="x"' not in answer.text


# -- the session ended --


def test_every_form_of_an_ended_session_comes_back_after_the_sign_in(place: Place) -> None:
    """Nothing is done by signing in: a press sends it."""
    person = place.person("administrator", "Ada")
    client = place.browser(person)
    place.at += 3600
    for route in FORMS:
        path = path_of(route.rule, place)
        out = client.post(path, data={"csrf": "old", **TYPED}, headers=SAME)
        assert out.status_code == 401, route.rule
        kept = fields(out.text)
        assert kept["kept_path"] == path
        assert dict(json.loads(kept["kept_form"])) == TYPED
    fresh = sign_in(place, place.app.test_client(), person, kept_path=kept["kept_path"], kept_form=kept["kept_form"])
    assert TYPED.items() <= fields(fresh.text).items()
    assert not [entry for entry in place.trail if entry[1] not in ("signed in", "joined")]


def test_a_reply_of_an_ended_session_is_sent_once_by_one_press_after_it(place: Place, nurse: FlaskClient) -> None:
    """The same press twice, over the sign-in, and through the page of an older session."""
    person = next(one for one in place.desk.people.everybody() if one.name == "Ben")
    place.at += 3600
    out = act_signed_out(place, nurse)
    back = sign_in(place, nurse, person, **{name: fields(out.text)[name] for name in ("kept_path", "kept_form")})
    assert sent_replies(place) == 0
    again = fields(back.text)
    for _ in range(2):
        shown = nurse.post(f"/patients/{place.patient}/reply", data=again, headers=SAME)
        assert shown.status_code == 200
        assert fields(shown.text)["note"] == TYPED["note"]  # which was half typed beside it
        assert "reply" not in fields(shown.text) or not fields(shown.text)["reply"]
    assert sent_replies(place) == 1
    older = nurse.post(f"/patients/{place.patient}/reply", data={**again, "csrf": "older"}, headers=SAME)
    assert older.status_code == 403
    assert fields(older.text)["reply"] == TYPED["reply"]
    assert sent_replies(place) == 1


def act_signed_out(place: Place, client: FlaskClient) -> Any:
    return client.post(f"/patients/{place.patient}/reply", data={"csrf": "old", **TYPED}, headers=SAME)


def test_who_follows_a_link_signed_out_comes_to_its_page_and_nowhere_else(place: Place) -> None:
    """An alert's link leads to the patient, through the sign-in; another site's is not gone to."""
    place.says("hi")
    person = place.person("nurse", "Ben")
    client = place.app.test_client()
    out = client.get(f"/patients/{place.patient}?a=1")
    assert out.status_code == 303
    kept = fields(client.get(out.headers["Location"]).text)["kept_path"]
    assert sign_in(place, client, person, kept_path=kept).headers["Location"] == f"/patients/{place.patient}?a=1"
    for evil in ("//evil.example", "https://evil.example", "/\\evil"):
        assert fields(place.app.test_client().get("/sign-in", query_string={"back": evil}).text)["kept_path"] == "/"
        assert sign_in(place, place.app.test_client(), person, kept_path=evil).headers["Location"] == "/"


def test_a_page_that_renews_itself_is_not_taken_away_by_the_end_of_the_session(place: Place) -> None:
    """The script has to bring what was typed to safety first."""
    answer = place.app.test_client().get("/", headers={"HX-Request": "true", "X-Poll": "1"})
    assert answer.status_code == 401
    assert "HX-Refresh" not in answer.headers


def test_nobody_stays_longer_than_eight_hours_however_busy(place: Place) -> None:
    """Something every ten minutes; a page that renews itself keeps nobody in."""
    busy = place.browser(place.person("nurse", "Ben"))
    for _ in range(47):
        place.at += 600
        assert busy.get("/").status_code == 200
    place.at += 601
    assert busy.get("/").status_code == 303
    idle = place.browser(place.person("nurse", "Cem"))
    for _ in range(3):
        place.at += 301
        last = idle.get("/", headers={"X-Poll": "1"}).status_code
    assert last == 303


def test_signing_out_and_dismissal_end_sessions_on_the_server(place: Place) -> None:
    """The cookie of a browser that signed out opens nothing, wherever it was copied to."""
    ada, ben = place.person("administrator", "Ada"), place.person("nurse", "Ben")
    admin, one, two = place.browser(ada), place.browser(ben), place.browser(ben)
    copied = one.get_cookie("console")
    assert copied
    one.post("/sign-out", data={"csrf": token_of(one)}, headers=SAME)
    one.set_cookie("console", copied.value)
    assert one.get("/").status_code == 303
    assert two.get("/").status_code == 200
    admin.post(f"/staff/{ben.id}/sign-out", data={"csrf": token_of(admin)}, headers=SAME)
    assert two.get("/").status_code == 303
    three = place.browser(ben)
    assert three.get("/").status_code == 200
    admin.post(f"/staff/{ben.id}/role", data={"csrf": token_of(admin), "role": "none"}, headers=SAME)
    assert three.get("/").status_code == 303
    assert sign_in(place, place.app.test_client(), ben).status_code == 422


# -- somebody was faster --


def test_who_claims_second_is_told_who_has_it_and_who_lost_it_keeps_the_words(place: Place, nurse: FlaskClient) -> None:
    """A stale claim, and a reply to a conversation that was handed back and taken by another."""
    cem = place.browser(place.person("nurse", "Cem"))
    late = act(place, cem, "claim", once="c2")
    assert late.status_code == 409
    assert "Somebody else took over first. Ben has it now." in late.text
    act(place, nurse, "release", once="r1")
    act(place, cem, "claim", once="c3")
    lost = act(place, nurse, "reply", **TYPED)
    assert lost.status_code == 409
    assert "You do not have this conversation any more. Cem has it now." in lost.text
    assert html.unescape(lost.text.partition("readonly>")[2].partition("<")[0]) == TYPED["reply"]
    assert sent_replies(place) == 0


# -- what a nurse is warned of --


@pytest.mark.parametrize(
    ("language", "says"), [("en", "Your reply waits until it goes on"), ("es", "Su respuesta espera a que continúe")]
)
def test_while_all_sending_is_stopped_a_reply_is_written_under_a_warning(
    place: Place, nurse: FlaskClient, language: str, says: str
) -> None:
    """On the reply form and on the landing page; gone when sending goes on."""
    nurse.set_cookie("console-language", language)
    here = f"/patients/{place.patient}"
    note_sweep(place.desk.store, place.at)  # a worker is there
    assert says not in nurse.get(here).text
    pause(place.desk.store, "wrong text", "mia", place.at)
    assert says in nurse.get(here).text
    assert 'href="/health">' in nurse.get("/").text.partition('id="queue"')[2]
    resume(place.desk.store, "mia", place.at, place.desk.zone)
    assert says not in nurse.get(here).text
    assert 'href="/health">' not in nurse.get("/").text.partition('id="queue"')[2]


def test_quiet_hours_and_stop_are_said_beside_the_reply(place: Place, nurse: FlaskClient) -> None:
    """And after STOP the reply is refused with its words kept."""
    here = f"/patients/{place.patient}"
    assert "outside the hours for texts" not in nurse.get(here).text
    object.__setattr__(place.conversation, "hours", lambda phone: Closed())
    assert "outside the hours for texts" in nurse.get(here).text
    place.says("STOP")
    assert "Opted out: no text may be sent. Call instead." in nurse.get(here).text
    refused = act(place, nurse, "reply", **TYPED)
    assert refused.status_code == 409
    assert "The patient wrote STOP" in refused.text
    assert fields(refused.text)["reply"] == TYPED["reply"]
    assert sent_replies(place) == 0


class Closed:
    """Hours in which no text goes out now."""

    def open(self, at: float) -> bool:
        return False

    def next_open(self, at: float) -> float:
        return at + 3600
