"""The console on the real store: who may open what, signing in, what attackers try, and taking over without a race."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pyotp
import pytest
from flask.testing import FlaskClient
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bot.catalog import make_clinic
from bot.chat import DEMO
from bot.consent import hours_for
from bot.console.app import CSP, create_app
from bot.console.desk import Desk
from bot.console.kept import local_path
from bot.console.people import ROLES, Person
from bot.console.routes import ROUTES
from bot.conversation import Conversation
from bot.record import from_bytes
from bot.settings import Settings
from bot.store.store import Store
from bot.takeover import TakeOver
from bot.turn import Heard

PHONE = "+17135550123"
SAME = {"Sec-Fetch-Site": "same-origin"}


class Place:
    """A console with a clock that tests move, a patient, and people of every role."""

    def __init__(self, store: Store, tmp: str) -> None:
        self.at, self.trail, self.heard = 1_790_000_000.0, [], []
        ids = iter(range(10_000))
        clinic = make_clinic(
            values=DEMO,
            link=lambda patient: (store.new_token(patient), "https://clinic.example/go/x"),
            new_id=lambda: f"s{next(ids)}",
            new_effect=store.new_effect_id,
            opt_out_mode="app",
        )
        hours = hours_for((), "America/Chicago", "00:00", "23:59:59")
        self.conversation = Conversation(
            clinic, store, store.cipher.patient_id, now=lambda: self.at, hours=lambda phone: hours,
            render=self._render, booking={},
        )  # fmt: skip
        made = Settings.load({"SANDBOX": "1", "DATA_DIR": tmp})
        clock: Callable[[], float] = lambda: self.at  # noqa: E731
        self.desk = Desk(made, store, self.conversation, clock, clock, lambda *entry: self.trail.append(entry))
        self.app = create_app(self.desk)
        self.patient = store.cipher.patient_id(PHONE)

    def _render(self, heard: Heard) -> bytes:
        self.heard.append(heard.text)
        return (heard.text or "").encode()

    def says(self, text: str) -> None:
        self.at += 20
        self.conversation.hear(PHONE, "sms", text, f"SM{self.at}")

    def person(self, role: Any, name: str) -> Person:
        token = self.desk.people.invite(role, "test")
        invite = self.desk.people.invitation(token)
        assert invite
        code = pyotp.TOTP(invite.secret).at(int(self.at))
        return self.desk.people.join(token, name, "four quiet words here", code, self.at)

    def browser(self, person: Person) -> FlaskClient:
        client = self.app.test_client()
        client.set_cookie("console", self.desk.sessions.begin(self.desk.people.by_id(person.id) or person, self.at))
        return client


@pytest.fixture
def place(store: Store, tmp_path: Any) -> Place:
    return Place(store, str(tmp_path))


def token_of(client: FlaskClient) -> str:
    found = re.search(r'name="csrf" value="([^"]+)"', client.get("/").text)
    assert found
    return found.group(1)


def path_of(rule: str, place: Place) -> str:
    return rule.replace("<patient>", place.patient).replace("<task>", "none").replace("<name>", "nobody").replace(
        "<token>", "none"
    ).replace("<campaign>", "nothing").replace("<draft>", "nothing")  # fmt: skip


def test_the_table_of_routes_is_all_that_the_console_answers(place: Place) -> None:
    """A door that is not in the table has no role."""
    rules = {
        (rule.rule, method) for rule in place.app.url_map.iter_rules() for method in (rule.methods or set()) - {"HEAD"}
    }
    assert rules == {(route.rule, route.method) for route in ROUTES}


def test_every_route_opens_for_its_role_and_for_no_lower_one(place: Place) -> None:
    """The whole table against every role, and against nobody."""
    place.says("hi")
    for number, role in enumerate(ROLES):
        person = place.person(role, f"Person {number}")
        for route in ROUTES:
            if route.least is None:
                continue
            client = place.browser(place.desk.people.by_id(person.id) or person)
            data = {"csrf": token_of(client)} if route.method == "POST" else None
            answer = client.open(path_of(route.rule, place), method=route.method, data=data, headers=SAME)
            allowed = ROLES.index(role) >= ROLES.index(route.least)
            assert (answer.status_code != 403) == allowed, (role, route.rule, answer.status_code)
            form = {"a": "b"} if route.method == "POST" else None
            nobody = place.app.test_client().open(
                path_of(route.rule, place), method=route.method, data=form, headers=SAME
            )
            assert nobody.status_code in (303, 401), route.rule


def test_the_first_link_makes_an_administrator_once_and_a_code_works_once(place: Place) -> None:
    """Join, sign out, sign in: a used link and a used code are refused."""
    token = place.desk.people.invite("administrator", "first run")
    invite = place.desk.people.invitation(token)
    assert invite
    client = place.app.test_client()
    assert f"<code>{invite.secret}</code>" in client.get(f"/join/{token}").text
    form = {"name": "Ana", "password": "four quiet words here", "password_again": "four quiet words here"}
    form["code"] = pyotp.TOTP(invite.secret).at(int(place.at))
    answer = client.post(f"/join/{token}", data=form, headers=SAME)
    assert answer.status_code == 303
    assert "HttpOnly" in answer.headers["Set-Cookie"]
    assert "SameSite=Strict" in answer.headers["Set-Cookie"]
    assert client.get(f"/join/{token}").status_code == 404
    fresh = place.app.test_client()
    assert fresh.post("/sign-in", data=form, headers=SAME).status_code == 422
    place.at += 60
    form["code"] = pyotp.TOTP(invite.secret).at(int(place.at))
    assert fresh.post("/sign-in", data=form, headers=SAME).status_code == 303


def test_five_wrong_tries_lock_the_name(place: Place) -> None:
    """The right password and code do not help then."""
    person = place.person("nurse", "Ben")
    client = place.app.test_client()
    for _ in range(5):
        client.post("/sign-in", data={"name": "Ben", "password": "wrong", "code": "000000"}, headers=SAME)
    place.at += 60
    code = pyotp.TOTP(person.secret).at(int(place.at))
    form = {"name": "Ben", "password": "four quiet words here", "code": code}
    assert "15 minutes" in client.post("/sign-in", data=form, headers=SAME).text


def test_a_session_ends_idle_at_its_limit_and_everywhere(place: Place) -> None:
    """15 idle minutes, and sign-out everywhere ends the other browser too; a planted cookie is never adopted."""
    person = place.person("nurse", "Ben")
    one, two = place.browser(person), place.browser(person)
    assert one.get("/").status_code == 200
    one.post("/sign-out-everywhere", data={"csrf": token_of(one)}, headers=SAME)
    assert two.get("/").status_code == 303
    idle = place.browser(person)
    place.at += 16 * 60
    assert idle.get("/").status_code == 303
    planted = place.app.test_client()
    planted.set_cookie("console", "planted")
    assert planted.get("/").status_code == 303


def test_a_form_of_another_site_or_without_its_token_changes_nothing(place: Place) -> None:
    """Both guards of a POST, each on its own."""
    place.says("hi")
    client = place.browser(place.person("nurse", "Ben"))
    path, token = f"/patients/{place.patient}/claim", token_of(client)
    for headers in ({"Sec-Fetch-Site": "cross-site"}, {"Origin": "https://evil.example"}, {}):
        assert client.post(path, data={"csrf": token}, headers=headers).status_code == 403
    assert client.post(path, data={"csrf": "wrong"}, headers=SAME).status_code == 403
    assert client.post(path, data={"csrf": token, "once": "1"}, headers=SAME).status_code == 303


def test_an_expired_session_keeps_what_was_typed(place: Place) -> None:
    """The reply comes back after sign-in, ready to be sent."""
    person = place.person("nurse", "Ben")
    place.says("hi")
    client = place.browser(person)
    place.at += 3600
    shown = client.post(f"/patients/{place.patient}/reply", data={"reply": "call me <b>", "csrf": "x"}, headers=SAME)
    assert shown.status_code == 401
    form = {"name": "Ben", "password": "four quiet words here", "code": pyotp.TOTP(person.secret).at(int(place.at))}
    form["kept_path"] = f"/patients/{place.patient}/reply"
    form["kept_form"] = '[["reply", "call me <b>"]]'
    assert "call me &lt;b&gt;" in client.post("/sign-in", data=form, headers=SAME).text


def test_a_script_in_a_text_is_shown_as_words_and_the_policy_has_no_unsafe(place: Place) -> None:
    """Stored scripts stay text; nothing inline may run."""
    place.says("<script>alert(1)</script>")
    client = place.browser(place.person("viewer", "Ben"))
    answer = client.get(f"/patients/{place.patient}")
    assert "<script>alert" not in answer.text
    assert "&lt;script&gt;" in answer.text
    assert PHONE not in answer.text
    assert answer.headers["Content-Security-Policy"] == CSP
    assert "unsafe" not in CSP


@pytest.mark.parametrize("given_path", ["//evil.example", "/\\evil", "https://evil.example", "\\/x", "/a\nb", ""])
def test_only_our_own_addresses_are_gone_to(given_path: str) -> None:
    """No open redirect."""
    assert local_path(given_path) == "/"


def test_showing_the_number_and_every_view_of_a_patient_are_in_the_trail(place: Place) -> None:
    """Who looked, at whom."""
    place.says("hi")
    person = place.person("nurse", "Ben")
    client = place.browser(person)
    client.get(f"/patients/{place.patient}")
    shown = client.post(f"/patients/{place.patient}/reveal", data={"csrf": token_of(client)}, headers=SAME)
    assert PHONE in shown.text
    seen = [(actor, action, about) for actor, action, about, _ in place.trail]
    assert (person.id, "patient viewed", place.patient) in seen
    assert (person.id, "phone number shown", place.patient) in seen


def test_an_unknown_patient_is_a_page_that_says_so(place: Place) -> None:
    """A guessed id gives the same 404 as a missing page."""
    client = place.browser(place.person("nurse", "Ben"))
    assert client.get("/patients/guessed").status_code == 404


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(st.sampled_from(["claim1", "claim2", "reply1", "reply2", "release1", "yes", "STOP", "tick"]), max_size=12)
)
def test_whatever_happens_in_whatever_order_the_bot_never_talks_over_a_nurse(place: Place, moves: list[str]) -> None:
    """One owner at a time, no text of the bot while owned, no accepted reply lost, STOP heard while owned."""
    place.desk.store.client.flushall()
    place.heard.clear()
    place.says("hi")
    hands, store, accepted = TakeOver(place.conversation), place.desk.store, 0
    owner: str | None = None
    for number, move in enumerate(moves):
        who, said = f"nurse{move[-1]}", len(place.heard)
        if move.startswith("claim"):
            done = hands.claim(place.patient, who, str(number))
            assert done.ok == (owner in (None, who))
            owner = done.owner
        elif move.startswith("reply"):
            done = hands.reply(place.patient, who, "hello", str(number))
            assert hands.reply(place.patient, who, "hello", str(number)) == done
            accepted += done.ok
            assert not done.ok or owner == who
        elif move.startswith("release"):
            owner = None if hands.release(place.patient, who, str(number)).ok else owner
        elif move == "tick":
            record = from_bytes(store.load(place.patient, "").record or b"")
            if record.session:
                body = {"s": record.session.id, "t": record.session.turn, "n": "silence"}
                out = place.conversation.tick(place.patient, f"e{number}", body)
                assert not (owner and out.body)
        else:
            place.says(move)
            assert move == "STOP" or not owner or place.heard[said:] == [None]
        record = from_bytes(store.load(place.patient, "").record or b"")
        assert record.owner == owner
        assert move != "STOP" or record.opted_out
    replies = sum(b'"in":"staff"' in event for event in store.events(place.patient))
    assert replies == accepted
