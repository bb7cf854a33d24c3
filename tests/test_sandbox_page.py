"""The phone page in a real browser: texting, calling, time, languages, small screens, the keyboard."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.sandbox_browser import BINARY, Browser
from tests.sandbox_stage import OURS, PATIENT, Stage, message

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(BINARY is None, reason="Chromium is not installed (apt-get install chromium)"),
]
GATHER = (
    '<Gather input="dtmf speech" action="/step" timeout="6" numDigits="1"><Say>Press 1 or say yes.</Say></Gather>'
    '<Dial action="/after">+17135550199</Dial>'
)
PICTURES = os.environ.get("PHONE_PICTURES")


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    with Stage(tmp_path, clinic_name="CLS Health", steps=(0.05, 0.05)) as made:
        yield made


@pytest.fixture
def browser(stage: Stage, tmp_path: Path) -> Iterator[Browser]:
    made = Browser(tmp_path / "chromium")
    try:
        made.size(1000, 900)
        made.open(f"http://127.0.0.1:{stage.port}/")
        made.click("[data-language=en]")
        yield made
        assert made.errors == []
        assert stage.sandbox.debugger == []
    finally:
        made.close()


def picture(browser: Browser, name: str) -> None:
    if PICTURES:
        browser.screenshot(Path(PICTURES) / f"{name}.png")


def has(text: str, where: str = "#log") -> str:
    return f"document.querySelector('{where}').textContent.includes({text!r})"


def test_texting_with_the_keyboard_shows_the_reply_its_ticks_and_a_link_that_opens(
    browser: Browser, stage: Stage
) -> None:
    stage.answer = lambda path, form: message("Book: http://127.0.0.1:1/go/b00-x. <b>Bold</b> & more")
    browser.type("#words", "¿Me duele aquí?")
    browser.until(has("costs more because of í", "#size"))
    browser.key("Enter")
    browser.until(has("✓✓ delivered"))
    browser.until(has("<b>Bold</b> & more"))
    assert browser.run("document.querySelector('#log a').href") == "http://127.0.0.1:1/go/b00-x"
    assert browser.run("document.querySelector('#log a').rel") == "noopener noreferrer"
    assert browser.run("document.querySelectorAll('#log b').length") == 0
    assert browser.run("document.querySelector('#words').value") == ""
    picture(browser, "texts")


def test_24_hours_later_the_next_message_stands_under_another_day(browser: Browser, stage: Stage) -> None:
    browser.type("#words", "hi")
    browser.key("Enter")
    browser.until(has("ok"))
    before = stage.clock()
    browser.click("[data-later='86400']")
    browser.until(f"{stage.public_url!r} && document.querySelectorAll('#log .day').length === 1")
    while stage.clock() - before < 86400:
        browser.run("1")
    stage.sandbox.send(PATIENT, "Still need a visit?")
    browser.until("document.querySelectorAll('#log .day').length === 2")


def test_each_phone_has_its_own_messages(browser: Browser, stage: Stage) -> None:
    stage.sandbox.send(PATIENT, "for the first phone")
    browser.until(has("for the first phone"))
    browser.click("#another")
    browser.until("document.querySelector('#phones').value === 'p5'")
    browser.until("document.querySelectorAll('#log li').length === 0")


def test_a_whole_call_by_keyboard_speech_and_a_busy_nurse(browser: Browser, stage: Stage) -> None:
    pages = {"/after": "<Say>They will call you back.</Say><Hangup/>"}
    stage.answer = lambda path, form: f"<Response>{pages.get(path, GATHER)}</Response>"
    browser.click("#tab-call")
    browser.click("#ring")
    browser.until(has("Listening", "#line"))
    browser.run("document.querySelector('#heard').focus()")
    browser.key("1")
    browser.until("document.querySelectorAll('#heard .bubble').length === 3")
    browser.type("#speech", "yes")
    browser.key("Enter")
    browser.until("document.querySelectorAll('#heard .bubble').length === 5")
    picture(browser, "call")
    assert [form.get("Digits") or form.get("SpeechResult") for form in stage.forms("/step")] == ["1", "yes"]
    browser.click("[data-act=silence]")
    browser.until(has("Calling a person: +1 713 555 0199", "#line"))
    browser.click("[data-value=busy][data-act=dialled]")
    browser.until(has("They will call you back.", "#heard"))
    browser.until(has("The call is over. (completed)", "#line"))
    assert stage.forms("/after")[0]["DialCallStatus"] == "busy"


def test_an_incoming_call_is_announced_and_answered(browser: Browser, stage: Stage) -> None:
    stage.answer = lambda path, form: f"<Response>{GATHER}</Response>"
    stage.client.calls.create(to=PATIENT, from_=OURS, url=f"{stage.public_url}/out", machine_detection="Enable")
    browser.until("!document.querySelector('#ringing').hidden")
    browser.click("[data-ring=answer]")
    browser.until(has("Press 1", "#heard"))
    assert browser.run("document.querySelector('#call').hidden") is False
    assert stage.forms("/out")[0]["AnsweredBy"] == "human"


def test_spanish_small_dark_and_nothing_sticks_out(browser: Browser, stage: Stage) -> None:
    stage.answer = lambda path, form: message("Reserve: http://127.0.0.1:1/go/" + "x" * 80)
    browser.size(320, 700, dark=True)
    browser.click("[data-language=es]")
    browser.until("document.title === 'El teléfono de un paciente' && document.documentElement.lang === 'es'")
    browser.type("#words", "hola " * 30)
    browser.key("Enter")
    browser.until(has("entregado"))
    for tab in ("#tab-texts", "#tab-call"):
        browser.click(tab)
        assert browser.run("document.documentElement.scrollWidth") <= 320
        picture(browser, "small" + tab.replace("#", "-"))


def test_everything_that_can_be_pressed_has_a_name_and_a_fair_size(browser: Browser) -> None:
    nameless = """[...document.querySelectorAll('button, input, select, textarea, [role]')].filter(e =>
        !(e.textContent.trim() || e.labels?.length || e.getAttribute('aria-label') || e.getAttribute('aria-labelledby')
          || e.id === 'line' || e.id === 'trouble')).map(e => e.outerHTML)"""
    assert browser.run(nameless) == []
    small = """[...document.querySelectorAll('button, select, textarea')].filter(e => e.offsetParent
        && e.getBoundingClientRect().height < 40).map(e => e.outerHTML)"""
    assert browser.run(small) == []


def test_the_page_says_so_when_the_sandbox_is_gone(browser: Browser, stage: Stage) -> None:
    stage.quit_twilio()
    browser.until("!document.querySelector('#trouble').hidden")
    assert "make run" in browser.run("document.querySelector('#trouble').textContent")
    browser.errors.clear()
