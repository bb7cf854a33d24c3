"""What the console promises of every page and of signing in, each with the line that keeps it."""

from __future__ import annotations

import html
import json
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import argon2
import pyotp
import pytest
import segno
from flask.testing import FlaskClient

from bot import console
from bot.console.app import CSP
from bot.console.people import INVITE_SECONDS, ROLES
from bot.console.routes import ROUTES
from bot.settings import Settings
from bot.store import Task
from bot.store.store import Store
from bot.wording import fill, fold, segments
from tests.test_console import SAME, Place, token_of
from tests.test_console_axe import fill as filled
from tests.test_console_doors import BOOKLET, ENDS, GETS, where
from tests.test_console_loss import Lonely, act, alone, fields

__all__ = ["alone"]  # a fixture


@pytest.fixture
def place(store: Store, tmp_path: Any) -> Place:
    return Place(store, str(tmp_path))


def test_the_policy_lets_a_page_load_our_own_files_and_nothing_else() -> None:
    """Word for word: a looser one is a decision, not an accident."""
    assert CSP == (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
        "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    )


def test_behind_https_the_cookie_is_for_this_host_and_for_https_alone(place: Place) -> None:
    """__Host-, Secure, HttpOnly, SameSite=Strict, no Domain; the language's too where it can be; and the browser is told."""
    made = Settings.load(
        {"SANDBOX": "1", "DATA_DIR": str(place.desk.settings.data_dir), "CONSOLE_URL": "https://c.example"}
    )
    object.__setattr__(place.desk, "settings", made)
    token = place.desk.people.invite("nurse", "test")
    secret = place.desk.people.invitation(token)
    assert secret
    code = pyotp.TOTP(secret.secret).at(int(place.at))
    form = {"name": "Ben", "password": "four quiet words here", "password_again": "four quiet words here", "code": code}
    joined = place.app.test_client().post(f"/join/{token}", data=form, headers=SAME)
    cookie = joined.headers["Set-Cookie"]
    assert cookie.startswith("__Host-console=")
    assert {"Secure", "HttpOnly", "Path=/", "SameSite=Strict"} <= {part.strip() for part in cookie.split(";")}
    assert "Domain" not in cookie
    assert len(cookie.partition("=")[2].partition(";")[0]) >= 43  # 256 bits
    assert joined.headers["Strict-Transport-Security"] == "max-age=31536000"
    spoken = place.app.test_client().post("/language", data={"language": "es", "back": "/"}, headers=SAME)
    assert {"Secure", "HttpOnly", "SameSite=Strict"} <= {
        part.strip() for part in spoken.headers["Set-Cookie"].split(";")
    }


def test_passwords_are_argon2id_and_nothing_of_staff_or_sessions_is_in_clear(place: Place) -> None:
    """In the store: no name, no secret of a code, no token of a session or of a link."""
    ben = place.person("nurse", "Benjamin Quill")
    assert argon2.extract_parameters(ben.password).type is argon2.Type.ID
    token, link = place.desk.sessions.begin(ben, place.at), place.desk.people.invite("nurse", "x")
    client = place.desk.store.client
    raw = b"".join(bytes(client.dump(key) or b"") + bytes(key) for key in client.keys("*"))
    for secret in ("Benjamin", ben.secret, ben.password, token, link):
        assert secret.encode() not in raw


def test_a_one_time_link_ends_after_a_day(place: Place) -> None:
    """Also one that nobody used."""
    place.desk.people.invite("nurse", "x")
    store = place.desk.store.client
    left = [store.ttl(key) for key in store.keys("{console}invite:*")]
    assert len(left) == 1
    assert 0 < left[0] <= INVITE_SECONDS == 86_400


def test_the_key_of_codes_is_a_picture_a_link_and_letters(place: Place) -> None:
    """All three are the same key; a clinic's name cannot change the address. The picture is of this page alone."""
    made = Settings.load(
        {"SANDBOX": "1", "DATA_DIR": str(place.desk.settings.data_dir), "CLINIC_NAME": "A&B secret=x/ Clinic"}
    )
    object.__setattr__(place.desk, "settings", made)
    token = place.desk.people.invite("nurse", "test")
    invite = place.desk.people.invitation(token)
    assert invite
    page = place.app.test_client().get(f"/join/{token}").text
    address = html.unescape(page.partition('<a href="otpauth')[2].partition('"')[0])
    told = pyotp.parse_uri(f"otpauth{address}")
    assert isinstance(told, pyotp.TOTP)
    assert (told.secret, told.issuer) == (invite.secret, "A&B secret=x/ Clinic")
    assert f"<code>{invite.secret}</code>" in page
    picture = html.unescape(page.partition('<img src="')[2].partition('"')[0])
    assert picture == segno.make(f"otpauth{address}", micro=False).svg_data_uri(scale=4, light="white")
    assert invite.secret not in picture


def test_another_role_ends_the_sessions_of_the_old_one(place: Place) -> None:
    """A higher one too: its session is a new one, with a new token."""
    ada, ben = place.person("administrator", "Ada"), place.person("nurse", "Ben")
    admin = place.browser(ada)
    for role in ("manager", "viewer"):
        browser = place.browser(ben)
        assert browser.get("/").status_code == 200
        admin.post(f"/staff/{ben.id}/role", data={"csrf": token_of(admin), "role": role}, headers=SAME)
        assert browser.get("/").status_code == 303


def test_nothing_is_shown_or_done_that_the_trail_cannot_keep(place: Place) -> None:
    """The chain is first: when an entry cannot be written the door stays shut, whatever it leads to."""
    ada, mia = place.person("administrator", "Ada"), place.person("manager", "Mia")
    parts = filled(place, mia)
    client = place.browser(ada)
    token = token_of(client)
    before = place.desk.store.events(place.patient)

    def full(*entry: str) -> None:
        raise OSError("the disk is full")

    object.__setattr__(place.desk, "audit", full)
    for route in ROUTES:
        if not route.action:
            continue
        form = {"csrf": token, "role": "viewer", "note": "n", "reply": "r", "reason": "x", "why": "x"}
        path = where(route, parts)
        answer = client.open(path, method=route.method, data=form if route.method == "POST" else None, headers=SAME)
        assert answer.status_code in (500, 503), route.rule
        assert "cant breathe" not in answer.text, route.rule
        assert "+1713" not in answer.text, route.rule
    assert place.desk.store.events(place.patient) == before
    assert [one.role for one in place.desk.people.everybody()] == ["administrator", "manager"]
    assert client.get("/").status_code == 200  # nobody was signed out, either


def test_no_page_about_trouble_holds_a_password_or_a_code(alone: Lonely) -> None:
    """A form that comes back while the store is away comes without them, by any door."""
    client = alone.browser(alone.person("administrator", "Ada"))
    alone.server.stop()
    secrets = {"password": "s3cret one", "password_again": "s3cret two", "code": "918273"}
    for route in ROUTES:
        if route.method == "POST":
            path = where(route, {"<patient>": "x", "<campaign>": "x", "<draft>": "x", "<table>": "x", "<token>": "x"})
            shown = client.post(path, data={**secrets, "name": "Ada"}, headers=SAME)
            assert not [value for value in secrets.values() if value in shown.text], route.rule
            assert not set(secrets) & set(fields(shown.text)) or not shown.text.count("s3cret"), route.rule


def test_a_patient_s_task_is_closed_in_the_conversation_alone(place: Place) -> None:
    """There it is seen whether the patient wrote since; the other door is for the clinic's own, and not for stops of sending."""
    place.says("hi")
    place.says("i cant breathe")
    store = place.desk.store
    for name in ("sending.staff", "fault.1"):
        store.raise_task(Task(name, "clinic", "fault", 2, place.at))
    beside = next(f"p{number}" for number in range(99) if store.bucket(f"p{number}") == store.bucket("clinic"))
    store.raise_task(Task("x.person", beside, "person", 2, place.at))
    client = place.browser(place.person("nurse", "Ben"))
    token = token_of(client)
    for task in store.tasks():
        client.post(f"/tasks/{task.id}/close", data={"csrf": token}, headers=SAME)
    assert sorted(task.kind for task in store.tasks() if task.patient != "clinic") == ["emergency", "person"]
    assert [task.id for task in store.tasks() if task.patient == "clinic"] == ["sending.staff"]
    other = place.browser(place.person("nurse", "Cem"))
    named = next(task.id for task in store.tasks() if task.patient == place.patient)
    wrong = other.post(f"/patients/{store.cipher.patient_id('+17135550199')}/tasks/{named}/close",
                       data={"csrf": token_of(other)}, headers=SAME)  # fmt: skip
    assert wrong.status_code == 404


# -- without JavaScript --


class Forms(HTMLParser):
    """Forms with their buttons, and what only a script would do."""

    def __init__(self) -> None:
        super().__init__()
        self.forms: list[dict[str, Any]] = []
        self.loose: list[dict[str, str | None]] = []
        self.scripted: list[str] = []
        self.inside = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self.scripted += [name for name in given if name in ("hx-post", "hx-put", "hx-patch", "hx-delete", "onclick")]
        if tag == "form":
            self.forms.append({**given, "buttons": 0})
            self.inside = True
        elif tag == "button" and given.get("type") != "button":
            if "form" in given:
                self.loose.append(given)
            elif self.inside:
                self.forms[-1]["buttons"] += 1
        elif tag == "a":
            assert given.get("href"), given

    def handle_endtag(self, tag: str) -> None:
        self.inside = self.inside and tag != "form"


@pytest.mark.parametrize("role", ["viewer", "manager"])
def test_every_form_and_every_button_works_without_a_script(place: Place, role: Any) -> None:
    """Each leads to a door of the table that this role may open, by its method; nothing is only for a script."""
    mia = place.person("manager", "Mia")
    parts = filled(place, mia)
    person = mia if role == "manager" else place.person(role, "Somebody")
    client = place.browser(person)
    if role != "viewer":
        act(place, client, "claim", once="1")
    seen = 0
    for route in GETS:
        if (
            route.rule == BOOKLET
            or route.form != "html"
            or route.asset
            or (route.least and ROLES.index(route.least) > ROLES.index(role))
        ):
            continue
        shown = client.get(where(route, parts))
        if "html" not in shown.headers.get("Content-Type", ""):
            continue
        found = Forms()
        found.feed(shown.text)
        assert found.scripted == [], route.rule
        ids = {form.get("id"): form for form in found.forms}
        for button in found.loose:
            form = ids[button["form"]]
            form["buttons"] += 1
            assert leads(place, client, str(button.get("formaction") or form["action"]), form["method"]), (
                route.rule,
                button,
            )
        for form in found.forms:
            if form.get("method") == "dialog":
                continue
            assert form["buttons"], (route.rule, form)
            assert leads(place, client, form.get("action", where(route, parts)), form.get("method", "get")), (
                route.rule,
                form,
            )
            seen += 1
    assert seen > 10


def leads(place: Place, client: FlaskClient, path: str, method: str) -> bool:
    """Whether there is such a door, and it is not shut for this person. Nothing is pressed."""
    adapter = place.app.url_map.bind("localhost")
    rule, _ = adapter.match(path.partition("#")[0].partition("?")[0], method=method.upper(), return_rule=True)
    route = next(one for one in ROUTES if one.rule == rule.rule and one.method == method.upper())
    cookie = client.get_cookie("console")
    assert cookie
    found = place.desk.sessions.find(cookie.value, place.at, touch=False)
    assert found
    return route.least is None or found[1].may(route.least) or route.rule in ENDS


def test_an_empty_page_says_what_would_appear_there(place: Place) -> None:
    """In both languages."""
    client = place.browser(place.person("nurse", "Ben"))
    for language, says in (("en", "would appear"), ("es", "parecería")):
        client.set_cookie("console-language", language)
        for path in ("/", "/patients", "/outreach"):
            assert says in client.get(path).text.partition('class="empty"')[2][:400], (path, language)


# -- ready sentences --


def test_ready_sentences_are_there_in_both_languages_and_cost_one_segment_each() -> None:
    """With a long name, clinic and number; what a phone shows is what was written."""
    values = {"name": "Maria Fernandez", "clinic": "CLS Health", "phone": "(713) 555-0100"}
    ready = json.loads((Path(console.__file__).parent / "replies.json").read_text("utf-8"))
    assert len(ready) >= 4
    for one in ready:
        assert set(one) == {"en", "es"}
        for text in one.values():
            assert segments(fold(fill(text, values))).count == 1, text


def test_a_spanish_patient_is_offered_spanish_sentences(place: Place) -> None:
    """Whatever the nurse's own interface speaks."""
    place.says("hola me duele la espalda")
    client = place.browser(place.person("nurse", "Ben"))
    act(place, client, "claim", once="1")
    page = client.get(f"/patients/{place.patient}").text
    assert "Le escribe Ben" in page
    assert "This is Ben" not in page
    put = act(place, client, "reply", template="0")
    assert "Le escribe Ben" in fields(put.text)["reply"]
