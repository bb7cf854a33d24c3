"""A campaign in a real browser, end to end with a worker and the local Twilio: once by mouse, once by keyboard alone."""

from __future__ import annotations

import os
import re
import time
from pathlib import Path
from typing import Any

import pyotp
import pytest

from bot.sandbox.phone import FIRST_PHONES
from tests.sandbox_browser import BINARY, Browser
from tests.test_console_page import AXE, RULES
from tests.whole import Whole

pytestmark = [
    pytest.mark.browser,
    pytest.mark.timeout(240),
    pytest.mark.skipif(BINARY is None, reason="Chromium is not installed (apt-get install chromium)"),
]
SHOTS = os.environ.get("CONSOLE_PICTURES")
WORDS = "four quiet words here"
HEAD = "Name,Mobile,Idioma,Consent,Consent source\n"
FILE = HEAD + "".join(
    f"Patient {n},{phone},{'es' if n == 2 else 'en'},yes,intake form 2026\n" for n, phone in enumerate(FIRST_PHONES)
)
REFUSED = (
    "Bad number,12345,en,yes,intake form 2026\nNo consent,(713) 555-0188,en,,\nTwice,713-555-0123,en,yes,intake form 2026\n"
    "No,(832) 555-0161,en,no,intake form 2026\n"
)


def looked_at(browser: Browser, name: str, *, spanish: bool = True) -> None:
    """axe objects to nothing in light, dark, at 320 px and in Spanish, and nothing sticks out sideways."""
    for width, dark, language in ((1000, False, "en"), (1000, True, "en"), (320, False, "en"), (1000, False, "es")):
        if language == "es" and not spanish:
            continue
        browser.speak(language)
        if language == "es":
            browser.run("location.reload()")
            browser.until("document.readyState === 'complete' && document.documentElement.lang === 'es'")
        browser.size(width, 800, dark=dark)
        browser.run(AXE + ";0")
        found = browser.run(
            f"axe.run(document,{{runOnly:{RULES}}}).then(r => r.violations.map(v => v.id + ' ' + v.nodes[0].html))"
        )
        assert found == [], (name, width, dark, language)
        assert browser.run("document.documentElement.scrollWidth") <= width, (name, width)
        if SHOTS:
            kind = "-dark" if dark else "-es" if language == "es" else ""
            browser.screenshot(Path(SHOTS) / f"{name}-{width}{kind}.png", whole=True)
    browser.size(1000, 800)
    browser.speak("en")
    if spanish:
        browser.run("location.reload()")
        browser.until("document.readyState === 'complete' && document.documentElement.lang === 'en'")


def comes(browser: Browser, script: str) -> None:
    """The next page is there, whole, and *script* is true in it."""
    browser.until(f"document.readyState === 'complete' && !!({script})")


def join(browser: Browser, link: str, name: str) -> str:
    """The account of a one-time link; its secret for codes."""
    browser.speak("en")
    browser.open(link)
    secret: str = browser.run("document.querySelector('code').textContent")
    for field, text in (("name", name), ("password", WORDS), ("password_again", WORDS)):
        browser.type(f"[name={field}]", text)
    browser.type("[name=code]", pyotp.TOTP(secret).at(int(time.time())))
    browser.key("Enter")
    comes(browser, "!!document.querySelector('#queue')")
    return secret


def invited(browser: Browser, site: str, role: str) -> str:
    """A one-time link for somebody with *role*."""
    browser.open(f"{site}/staff")
    browser.run(f"document.querySelector('form[action$=invite] select').value = '{role}'")
    browser.mouse("form[action$=invite] button")
    comes(browser, "!!document.querySelector('article code')")
    link: str = browser.run("document.querySelector('article code').textContent")
    return link


def unused_code(secret: str, used_at: float) -> str:
    """A code of another half minute than the one used before: codes work once, the next one counts already."""
    at = int(time.time())
    return pyotp.TOTP(secret).at(at + 30 if at // 30 == int(used_at) // 30 else at)


@pytest.fixture
def opened(tmp_path: Path) -> Any:
    browsers: list[Browser] = []

    def another() -> Browser:
        browsers.append(Browser(tmp_path / f"chromium-{len(browsers)}"))
        return browsers[-1]

    yield another
    for browser in browsers:
        browser.close()


def test_a_campaign_from_file_to_result_with_a_second_person_by_mouse(tmp_path: Path, opened: Any) -> None:
    """Every page on the way is looked at by axe; the texts arrive on the phones; pause, go on, cancel, result."""
    file, wrong = tmp_path / "after surgery.csv", tmp_path / "list.xlsx"
    file.write_text(FILE + REFUSED, "utf-8")
    wrong.write_bytes(b"PK\x03\x04" + bytes(500))
    with Whole(OUTREACH_APPROVAL="2", SENDER_RATE="50", OUTREACH_FIRST_HOUR="0") as whole:
        link = whole.until(lambda: re.search(r"(http://\S+/join/\S+)", whole.log()), "the first link").group(1)
        site = link.partition("/join")[0]
        ana, ben = opened(), opened()
        join(ana, link, "Ana Ruiz")
        secret, joined = join(ben, invited(ana, site, "manager"), "Ben Ortiz"), time.time()
        ana.open(f"{site}/outreach")
        looked_at(ana, "outreach-empty")
        ana.mouse("a[href='/outreach/new']")
        comes(ana, "!!document.querySelector('#file')")
        looked_at(ana, "outreach-file")
        ana.choose_file("#file", wrong)
        ana.mouse("form[enctype] button")
        comes(ana, "document.body.textContent.includes('spreadsheet file')")
        looked_at(ana, "outreach-wrong-file", spanish=False)
        ana.choose_file("#file", file)
        ana.mouse("form[enctype] button")
        comes(ana, "!!document.querySelector('[name=column_phone]')")
        assert ana.run("document.querySelector('[name=column_phone]').selectedOptions[0].text") == "Mobile"
        assert ana.run("document.querySelector('[name=column_language]').selectedOptions[0].text") == "Idioma"
        looked_at(ana, "outreach-columns")
        ana.mouse("main form button:not(.small)")
        comes(ana, "!!document.querySelector('#count')")
        looked_at(ana, "outreach-check")
        ana.mouse("#count")
        ana.type("#count", "7")
        ana.mouse(".confirm button")
        comes(ana, "!!document.querySelector('#count[aria-invalid]')")
        looked_at(ana, "outreach-wrong-number", spanish=False)
        ana.run("document.querySelector('#count').value = ''")
        ana.type("#count", "4")
        ana.mouse(".confirm button")
        comes(ana, "!!document.querySelector('#progress')")
        there = ana.run("location.pathname")
        comes(
            ana, "document.querySelector('#progress').textContent.includes('second person')"
        )  # a worker has entered them
        looked_at(ana, "outreach-waiting")
        ben.open(f"{site}{there}")
        looked_at(ben, "outreach-approve")
        ben.type("[name=code]", unused_code(secret, joined))
        ben.mouse("form[action$=approve] button")
        comes(ben, "document.querySelector('#progress') && !document.querySelector('form[action$=approve]')")
        comes(ana, "document.querySelector('#progress').textContent.includes('4 of 4')")
        for phone in ("p1", "p2", "p3", "p4"):
            whole.until(lambda phone=phone: [one for one in whole.texts(phone) if not one["mine"]], "the text arrives")
        comes(ana, "!document.querySelector('form[action$=cancel]')")
        looked_at(ana, "outreach-done")
        ana.mouse("a[href$='/people']")
        comes(ana, "!!document.querySelector('table')")
        looked_at(ana, "outreach-people")
        ana.open(f"{site}/outreach")
        looked_at(ana, "outreach-list")
        told = ana.run(f"fetch('{there}/result.csv').then(r => r.text())")
        assert told.count('"delivered"') + told.count('"sent"') == 4
        assert told.count('"refused"') == 4
        assert ana.errors + ben.errors == [error for error in ana.errors if "422" in error]


def test_a_campaign_by_keyboard_alone(tmp_path: Path, opened: Any) -> None:
    """Tab and Enter: no pointer, no script of the test that presses anything."""
    file = tmp_path / "patients.csv"
    file.write_text(FILE, "utf-8")
    with Whole(SENDER_RATE="0.2", OUTREACH_FIRST_HOUR="0") as whole:
        link = whole.until(lambda: re.search(r"(http://\S+/join/\S+)", whole.log()), "the first link").group(1)
        ana = opened()
        join(ana, link, "Ana Ruiz")
        ana.key("3")
        comes(ana, "!!document.querySelector('a[href=\"/outreach/new\"]')")
        ana.key("n")
        comes(ana, "!!document.querySelector('#file')")
        ana.reach("#file")
        ana.choose_file("#file", file)
        ana.reach("form[enctype] button")
        ana.key("Enter")
        comes(ana, "!!document.querySelector('[name=column_phone]')")
        ana.reach("main form button:not(.small)")
        ana.key("Enter")
        comes(ana, "!!document.querySelector('#count')")
        ana.reach("#count")
        ana.type(":focus", "4")
        ana.key("Enter")
        comes(ana, "!!document.querySelector('form[action$=pause]')")
        ana.reach("form[action$=pause] input[name=why]")
        ana.type(":focus", "the wrong text")
        ana.key("Enter")
        comes(ana, "!!document.querySelector('form[action$=resume]')")
        looked_at(ana, "outreach-paused")
        assert ana.run("document.body.textContent.includes('the wrong text')")
        ana.reach("form[action$=resume] button")
        ana.key("Enter")
        comes(ana, "!!document.querySelector('form[action$=pause]')")
        looked_at(ana, "outreach-running")
        ana.reach("details summary:not(.me *)")
        ana.key("Enter")
        ana.reach("form[action$=cancel] input[name=why]")
        ana.type(":focus", "everybody was called instead")
        ana.key("Enter")
        comes(ana, "document.querySelector('#progress') && !document.querySelector('form[action$=cancel]')")
        comes(
            ana, "document.querySelector('#progress').textContent.includes('taken back')"
        )  # by a worker, seen by itself
        assert ana.errors == []


def test_first_steps_demo_data_and_its_removal(tmp_path: Path, opened: Any) -> None:
    """A new clinic looks around: the offer, made-up patients marked wherever they are, one press, and none is left."""
    with Whole() as whole:
        link = whole.until(lambda: re.search(r"(http://\S+/join/\S+)", whole.log()), "the first link").group(1)
        site = link.partition("/join")[0]
        ana = opened()
        join(ana, link, "Ana Ruiz")
        looked_at(ana, "first-queue")
        ana.mouse("main a[href='/start']")
        comes(ana, "document.querySelector('form[action$=demo]')")
        looked_at(ana, "first-steps")
        ana.mouse("form[action$=demo] button")
        comes(ana, "document.querySelector('.demo') && document.querySelector('.demo-mark')")
        looked_at(ana, "demo-queue")
        ana.open(f"{site}/patients")
        looked_at(ana, "demo-patients")
        ana.mouse("tbody a")
        comes(ana, "document.querySelector('.talk')")
        looked_at(ana, "demo-conversation")
        ana.mouse(".demo button")
        comes(ana, "document.body.textContent.includes('Removed: 10')")
        ana.open(f"{site}/patients")
        assert ana.run("document.querySelectorAll('tbody tr').length") == 0
        assert ana.errors == []
