"""The dashboard and the flow page in a real browser: axe finds nothing, charts are drawn under the strict policy, and the
simulator is walked by keyboard alone."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from bot.store.store import Store
from tests import dash_stage
from tests.sandbox_browser import BINARY, Browser
from tests.test_console import Place
from tests.test_console_page import SHOTS, checked

pytestmark = [
    pytest.mark.browser,
    pytest.mark.timeout(300),
    pytest.mark.skipif(BINARY is None, reason="Chromium is not installed (apt-get install chromium)"),
]
PAGES = {
    "dashboard": "/dashboard",
    "unread": "/dashboard/unread?flow=triage",
    "found": "/counted?what=ended&flow=triage&since=2026-08-31&weeks=4",
    "flow": "/flows/triage",
    "simulator": "/flows/triage/try?c=sms&l=en&w=yes.no.no.no.7",
    "changes": "/flows/triage/changes",
    "health": "/health",
}


@pytest.fixture
def place(store: Store, tmp_path: Path) -> Place:
    made = Place(store, str(tmp_path))
    dash_stage.seed(made)
    dash_stage.unread(made)
    return made


@pytest.fixture
def browser(place: Place, tmp_path: Path) -> Iterator[Browser]:
    """Signed in as a nurse; *home* is the console's address."""
    person = place.person("nurse", "Ana Ruiz")
    cookie = place.desk.sessions.begin(place.desk.people.by_id(person.id) or person, place.at)
    with dash_stage.served(place) as home:
        found = Browser(tmp_path / "chromium")
        try:
            found._send("Network.setCookie", name="console", value=cookie, url=home)
            found.home = home  # type: ignore[attr-defined]
            yield found
        finally:
            found.close()


@pytest.mark.parametrize("language", ["en", "es"])
def test_axe_finds_nothing_on_any_page_in_either_language(browser: Browser, language: str) -> None:
    """Light, dark, 320 px; no page is wider than its window; no breach of the policy."""
    home: str = browser.home  # type: ignore[attr-defined]
    browser._send("Network.setCookie", name="console-language", value=language, url=home)
    for name, path in PAGES.items():
        browser.open(home + path)
        if name == "dashboard":
            browser.until("document.querySelectorAll('.chart canvas').length === 2")
        if name == "flow":
            browser.until("document.querySelector('.picture svg').getBoundingClientRect().width > 0")
        assert browser.run("document.documentElement.lang") == language
        checked(browser, name if language == "en" else f"{name}-es")
        if SHOTS and language == "en" and name in ("dashboard", "simulator"):
            browser.size(1000, 1500)
            browser.screenshot(Path(SHOTS) / f"{name}-1000.png")
    assert browser.errors == []


def focus(browser: Browser, words: str) -> None:
    """Tab until what is focused says *words*; nobody needs a mouse."""
    for _ in range(60):
        browser.key("Tab")
        if browser.run("(document.activeElement.textContent || '').trim()") == words:
            return
    raise AssertionError(f"Tab never comes to {words!r}")


def test_a_conversation_is_tried_by_keyboard_alone(browser: Browser) -> None:
    """From the flow page to the recommendation; then the words of a reply, typed and sent with Enter."""
    home: str = browser.home  # type: ignore[attr-defined]
    browser.open(f"{home}/flows/triage")
    focus(browser, "Try it")
    browser.key("Enter")
    browser.until("location.pathname.endsWith('/try') && document.readyState === 'complete'")
    for answer in ("yes", "no", "no", "no", "9"):
        before = browser.run("location.search")
        focus(browser, answer)
        browser.key("Enter")
        browser.until(f"location.search !== {before!r} && document.readyState === 'complete'")
    assert "doctor (PM&R)" in browser.run("document.querySelector('.tried').textContent")
    browser.type("[name=words]", "yes please")
    browser.key("Enter")
    browser.until("location.search.endsWith('9.yes') && document.readyState === 'complete'")
    assert "please" not in browser.run("location.href")
    assert browser.errors == []
