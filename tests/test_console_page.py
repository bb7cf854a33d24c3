"""The console in a real browser: join by the printed link, take an emergency over, reply, and nothing that axe objects to."""

from __future__ import annotations

import hashlib
import os
import re
import time
from pathlib import Path

import pyotp
import pytest

from tests.sandbox_browser import BINARY, Browser
from tests.whole import ROOT, Whole

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(BINARY is None, reason="Chromium is not installed (apt-get install chromium)"),
]
AXE = (ROOT / "tests" / "axe" / "axe.min.js").read_text("utf-8")
SHOTS = os.environ.get("CONSOLE_PICTURES")
RULES = "['wcag2a','wcag2aa','wcag21aa','wcag22aa','best-practice']"


def checked(browser: Browser, name: str) -> None:
    """axe finds nothing in light, dark and at 320 px, and nothing sticks out sideways."""
    for width, dark in ((1000, False), (1000, True), (320, False)):
        browser.size(width, 800, dark=dark)
        browser.run(AXE + ";0")
        found = browser.run(
            f"axe.run(document,{{runOnly:{RULES}}}).then(r => r.violations.map(v => v.id + ' ' + v.nodes[0].html))"
        )
        assert found == [], (name, width, dark)
        assert browser.run("document.documentElement.scrollWidth") <= width, name
        if SHOTS and not dark:
            browser.screenshot(Path(SHOTS) / f"{name}-{width}.png")
    browser.size(1000, 800)


def press(browser: Browser, selector: str, then: str) -> None:
    """Press and wait for the next page."""
    browser.click(selector)
    browser.until(f"document.readyState === 'complete' && ({then})")


def test_axe_is_the_file_that_was_vendored() -> None:
    """axe-core 4.14.1 (MPL-2.0) from registry.npmjs.org."""
    assert (
        hashlib.sha256(AXE.encode()).hexdigest() == "29348999450cdf2849a8e70b7912fc2da85a849da39c0d0d5394f51d4a9ed95c"
    )


def test_an_emergency_is_seen_taken_over_and_answered(tmp_path: Path) -> None:
    """From the printed link to a nurse's text on the patient's phone, with a worker and the local Twilio."""
    with Whole() as whole:
        link = whole.until(lambda: re.search(r"(http://\S+/join/\S+)", whole.log()), "the first link").group(1)
        whole.say("hi")
        whole.say("i cant breathe")
        browser = Browser(tmp_path / "chromium")
        try:
            browser.open(link)
            checked(browser, "join")
            secret = browser.run("document.querySelector('code').textContent")
            browser.type("[name=name]", "Ana Ruiz")
            browser.type("[name=password]", "four quiet words here")
            browser.type("[name=password_again]", "four quiet words here")
            browser.type("[name=code]", pyotp.TOTP(secret).at(int(time.time())))
            browser.key("Enter")
            browser.until("!!document.querySelector('#queue')")
            checked(browser, "queue")
            press(browser, "#queue a", "!!document.querySelector('.talk')")
            press(browser, "[formaction$=claim]", "!!document.querySelector('[name=reply]')")
            browser.type("[name=reply]", "This is Ana, a nurse. I am calling you now.")
            press(browser, "#send", "!!document.querySelector('li.staff')")
            checked(browser, "conversation")
            if SHOTS:  # with the reply to be seen
                browser.screenshot(Path(SHOTS) / "conversation-1000.png", whole=True)
            whole.until(lambda: [one for one in whole.texts() if "This is Ana" in one["text"]], "the reply arrives")
            for name in ("patients", "staff", "settings", "flows", "flows/triage", "dashboard", "health"):
                browser.open(link.partition("/join")[0] + f"/{name}")
                checked(browser, name.replace("/", "-"))
            browser.type("[name=reason]", "the wrong text went out")
            press(browser, "form[action$=pause] button", "!!document.querySelector('form[action$=resume]')")
            checked(browser, "stopped")
            press(browser, "form[action$=resume] button", "!!document.querySelector('form[action$=pause]')")
            browser.open(link.partition("/join")[0] + "/flows/triage")
            browser.until("document.querySelector('.picture svg').getBoundingClientRect().width > 0")
            assert browser.errors == []
        finally:
            browser.close()
