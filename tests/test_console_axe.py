"""Every page of the console in a real browser, found in the table of routes so that none can be forgotten: axe objects to
nothing in light, dark, at 320 px and at 200 % zoom, in English and Spanish."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from bot.console.people import Person, Role
from bot.console.routes import ROUTES, Route
from bot.sending import pause
from bot.store.cipher import Cipher
from tests import dash_stage
from tests.outreach_stage import rows
from tests.sandbox_browser import BINARY, Browser
from tests.test_console import Place
from tests.test_console_loss import Lonely, lonely
from tests.test_console_outreach import campaign, prepared
from tests.test_console_page import AXE, RULES

pytestmark = [
    pytest.mark.browser,
    pytest.mark.timeout(900),
    pytest.mark.skipif(BINARY is None, reason="Chromium is not installed (apt-get install chromium)"),
]
SHOTS = os.environ.get("CONSOLE_PICTURES")
# As wide as a window is; a window of 1280 px at 200 % zoom is one of 640.
VIEWS = (("light", 1000, False), ("dark", 1000, True), ("320", 320, False), ("zoomed", 640, False))
PAGES = [
    route
    for route in ROUTES
    if route.method == "GET" and route.form == "html" and not route.asset and not route.rule.endswith((".svg", ".csv"))
]


def fill(place: Place, mia: Person) -> dict[str, str]:
    """A clinic in which every page has something to show; what stands for each part of a rule. The draft is *mia*'s."""
    dash_stage.seed(place)
    dash_stage.unread(place)
    for text in ("hi", "yes", "no", "no", "no", "7", "<script>alert(1)</script>", "i cant breathe"):
        place.says(text)
    manager = place.browser(mia)
    sent = campaign(manager, 3)
    draft = prepared(manager, rows(4, 20))
    return {
        "<patient>": place.patient,
        "<campaign>": sent.rpartition("/")[2],
        "<draft>": draft.rpartition("/")[2],
        "<table>": "unread",
        "<name>": "triage",
        "<token>": place.desk.people.invite("nurse", "test"),
    }


def address(route: Route, parts: dict[str, str]) -> str:
    path = route.rule
    for part, value in parts.items():
        path = path.replace(part, value)
    assert "<" not in path, f"{path}: what stands for this part? (fill)"
    return path


@pytest.fixture
def place(cipher: Cipher, tmp_path: Path) -> Iterator[Lonely]:
    with lonely(cipher, tmp_path) as found:
        yield found


@contextmanager
def opened(place: Lonely, folder: Path, language: str, role: Role = "administrator") -> Iterator[tuple[Browser, str]]:
    """A browser of somebody signed in, and the console's address."""
    person = place.person(role, f"Ana {role}")
    with dash_stage.served(place) as home:
        browser = Browser(folder / f"chromium-{role}")
        try:
            browser._send("Network.setCookie", name="console-language", value=language, url=home)
            enter(place, browser, home, person)
            yield browser, home
        finally:
            browser.close()


def enter(place: Place, browser: Browser, home: str, person: Person) -> None:
    """Signed in as *person* from here on."""
    cookie = place.desk.sessions.begin(place.desk.people.by_id(person.id) or person, place.at)
    browser._send("Network.setCookie", name="console", value=cookie, url=home)


def seen_wrong(browser: Browser, name: str) -> list[tuple[str, str, str]]:
    """What is wrong in any of the four views of the page that is open."""
    browser.until("document.readyState === 'complete' && document.querySelector('h1') !== null", 60)
    browser.run(AXE + ";0")
    wrong: list[tuple[str, str, str]] = []
    for view, width, dark in VIEWS:
        browser.size(width, 800 if width != 640 else 512, dark=dark)
        found = browser.run(
            f"axe.run(document,{{runOnly:{RULES}}}).then(r => r.violations.map(v => v.id + ' ' + v.nodes[0].html))"
        )
        wide = browser.run("document.documentElement.scrollWidth")
        wrong += [(name, view, one) for one in (*found, *([f"{wide} px wide"] if wide > width else ()))]
        if SHOTS:
            browser.screenshot(Path(SHOTS) / f"all-{name.strip('/').replace('/', '-')}-{view}.png", whole=True)
    browser.size(1000, 800)
    return wrong


def post(browser: Browser, path: str, **form: str) -> None:
    """A form of the page that is open, sent as a person's press would."""
    browser.run(
        f"(() => {{ const f = document.createElement('form'); f.method = 'post'; f.action = {json.dumps(path)};"
        f" for (const [n, v] of Object.entries({json.dumps(form)})) {{ const i = document.createElement('input');"
        " i.name = n; i.value = v; f.append(i); } document.body.append(f); f.submit(); })()"
    )


@pytest.mark.parametrize("language", ["en", "es"])
def test_axe_finds_nothing_on_any_page_of_the_table(place: Lonely, tmp_path: Path, language: str) -> None:
    """Each GET of the table that is a page, with something on it."""
    mia = place.person("manager", "Mia Stone")
    parts = fill(place, mia)
    with opened(place, tmp_path, language) as (ada, home):
        wrong: list[tuple[str, str, str]] = []
        for route in sorted(PAGES, key=lambda one: "<draft>" in one.rule):
            if route.rule == "/sign-in":
                continue  # not shown to who is signed in: below
            if "<draft>" in route.rule:  # its uploader's alone
                enter(place, ada, home, mia)
            ada.open(home + address(route, parts))
            if not route.rule.endswith("/booklet"):  # which the clinic signs in English
                assert ada.run("document.documentElement.lang") == language
            wrong += seen_wrong(ada, address(route, {**parts, "<token>": "token", "<patient>": "patient"}) or "queue")
        assert wrong == []
        assert ada.errors == []


@pytest.mark.parametrize("language", ["en", "es"])
def test_axe_finds_nothing_where_somebody_has_taken_over_and_sending_is_stopped(
    place: Lonely, tmp_path: Path, language: str
) -> None:
    """The reply with all its warnings, the keys in their dialog, the number shown, a claim that came late."""
    for text in ("hi", "yes", "i cant breathe"):
        place.says(text)
    pause(place.desk.store, "wrong text", "mia", place.at)
    with opened(place, tmp_path, language, "nurse") as (ben, home):
        ben.open(f"{home}/")
        assert seen_wrong(ben, "stopped-queue") == []
        ben.open(f"{home}/patients/{place.patient}")
        ben.mouse("[formaction$=claim]")
        ben.until("document.readyState === 'complete' && !!document.querySelector('[name=reply]')", 60)
        assert seen_wrong(ben, "stopped-reply") == []
        ben.key("?")
        ben.until("document.querySelector('#keys').open")
        assert seen_wrong(ben, "keys-dialog") == []
        ben.open(f"{home}/patients/{place.patient}")
        ben.mouse("[formaction$=reveal]")
        ben.until("document.readyState === 'complete' && !document.querySelector('[formaction$=reveal]')", 60)
        assert seen_wrong(ben, "number-shown") == []
        assert ben.errors == []


@pytest.mark.parametrize("language", ["en", "es"])
def test_axe_finds_nothing_on_what_is_shown_when_something_is_wrong(
    place: Lonely, tmp_path: Path, language: str
) -> None:
    """Empty queue, refused, not there, signed out with words typed, sign-in refused, back again, and the store away."""
    with opened(place, tmp_path, language, "viewer") as (vic, home):
        for name, path in (
            ("empty-queue", "/"),
            ("empty-list", "/patients"),
            ("refused", "/staff"),
            ("none", "/no"),
        ):
            vic.open(home + path)
            assert seen_wrong(vic, name) == []
        post(vic, f"{home}/stay", csrf="older", note="wants a form")
        vic.until("!!document.querySelector('[name=note]')", 60)
        assert seen_wrong(vic, "go-on") == []
        place.at += 3600
        post(vic, f"{home}/patients/x/reply", reply="call me", csrf="old")
        vic.until("!!document.querySelector('[name=password]')", 60)
        assert seen_wrong(vic, "signed-out") == []
        vic.open(f"{home}/sign-in")
        assert seen_wrong(vic, "sign-in") == []
        post(vic, f"{home}/sign-in", name="Vic", password="wrong", code="1")
        vic.until("!!document.querySelector('.error')", 60)
        assert seen_wrong(vic, "sign-in-refused") == []
        place.server.stop()
        for name, send in (("away", lambda: vic.open(f"{home}/")),
                           ("away-form", lambda: post(vic, f"{home}/patients/x/reply", reply="call me"))):  # fmt: skip
            send()
            vic.until("!!document.querySelector('[role=alert]')", 60)
            assert seen_wrong(vic, name) == []
