"""A nurse's day in a real browser, with a worker and the local Twilio: answer a patient, handle an emergency; by mouse and by
keyboard alone. And what a page does whose session ended, or whose store is away, under the hands of somebody who types."""

from __future__ import annotations

import json
import random
import re
from collections.abc import Iterator
from pathlib import Path

import pyotp
import pytest

from bot.store.cipher import Cipher
from bot.takeover import TakeOver, as_sent
from bot.wording import segments
from tests import dash_stage
from tests.sandbox_browser import BINARY, Browser
from tests.test_console_loss import WORDS, Lonely, lonely
from tests.test_console_outreach_page import join
from tests.whole import Whole

pytestmark = [
    pytest.mark.browser,
    pytest.mark.timeout(400),
    pytest.mark.skipif(BINARY is None, reason="Chromium is not installed (apt-get install chromium)"),
]
HANDS = pytest.mark.parametrize("by", ["mouse", "keys"])
REPLY = "[name=reply]"


class Nurse:
    """Somebody at a browser who has a mouse, or only keys. No script of the test presses anything."""

    def __init__(self, browser: Browser, by: str) -> None:
        self.browser, self.by = browser, by

    def sees(self, script: str) -> None:
        """The page is whole and *script* is true in it."""
        self.browser.until(f"document.readyState === 'complete' && !!({script})", 60)

    def reads(self, words: str, within: str = "main") -> None:
        self.sees(f"(document.querySelector({within!r}) || {{textContent: ''}}).textContent.includes({words!r})")

    def presses(self, selector: str, key: str = "") -> None:
        """With the mouse; else by the page's own *key*, else by Tab and Enter."""
        if self.by == "mouse":
            self.browser.mouse(selector)
        elif key:
            self.browser.key(key)
        else:
            self.browser.reach(selector, 150)
            self.browser.key("Enter")

    def types(self, selector: str, text: str, key: str = "") -> None:
        if self.by == "mouse":
            self.browser.mouse(selector)
        elif key:
            self.browser.key(key)
        else:
            self.browser.reach(selector, 150)
        assert self.browser.run(f"document.activeElement.matches({selector!r})")
        self.browser._send("Input.insertText", text=text)


@pytest.fixture
def browser(tmp_path: Path) -> Iterator[Browser]:
    found = Browser(tmp_path / "chromium")
    yield found
    found.close()


def first_link(whole: Whole) -> str:
    found: str = whole.until(lambda: re.search(r"(http://\S+/join/\S+)", whole.log()), "the first link").group(1)
    return found


@HANDS
def test_a_patient_is_answered_from_the_queue_to_handing_back(browser: Browser, by: str) -> None:
    """Claim, read, reply under the segment counter, see it delivered, hear the answer while the bot is silent, hand back."""
    with Whole() as whole:
        join(browser, first_link(whole), "Ana Ruiz")
        ana = Nurse(browser, by)
        whole.say("hi")
        whole.say("yes")
        whole.say("can i talk to a person")
        ana.reads("asked for a person", "#queue .row")
        assert "(1)" in browser.run("document.title")
        if by == "keys":
            browser.key("j")
        ana.presses("#queue .row form[action$=claim] button", "c")
        ana.reads("Ana Ruiz has taken over")
        ana.reads("can i talk to a person", "#talk")
        ana.types(REPLY, "This is Ana from the clinic. ", "r")
        ana.reads("Text segments: 1,", "#count")
        browser._send("Input.insertText", text="Please tell me which day is best for you, and whether you have a " * 3)
        ana.reads("Text segments: 2,", "#count")
        ana.presses("#send")
        ana.reads("This is Ana from the clinic", "#talk li.staff")
        whole.until(lambda: [one for one in whole.texts() if "This is Ana" in one["text"]], "the reply arrives")
        ana.reads("delivered", "#talk li.staff")
        ana.types(REPLY, "half a sen", "r")
        before = len(whole.texts())
        whole.say("tuesday")
        ana.reads("tuesday", "#talk")
        assert len(whole.texts()) == before + 1  # hers alone: the bot is silent
        ana.reads("messages", "#news[aria-live]")
        assert browser.run("document.activeElement.matches('[name=reply]')")
        assert browser.run("document.activeElement.value") == "half a sen"
        browser._send("Input.insertText", text="tence")
        ana.presses("[formaction$=release]")
        ana.reads("The bot answers.")
        assert browser.run("document.querySelector('textarea[readonly]').value") == "half a sentence"
        assert whole.say("good morning")  # the bot answers it
        ana.reads("good morning", "#talk")
        ana.reads("wrote to the person who has taken over", "#tasks")  # she never answered "tuesday"
        for left in (1, 0):
            ana.presses("[formaction*='/tasks/']")
            ana.sees(f"document.querySelectorAll('[formaction*=\"/tasks/\"]').length === {left}")
        ana.reads("done by Ana Ruiz")
        browser.open(f"{browser.run('location.origin')}/")
        ana.reads("Nothing waits.")
        assert browser.errors == []


@HANDS
def test_an_emergency_alert_is_handled_from_the_top_of_the_queue_to_its_end(browser: Browser, by: str) -> None:
    """It comes to the top by itself while the focus stays; opened, taken over, what was done noted, task and matter closed."""
    with Whole() as whole:
        join(browser, first_link(whole), "Ana Ruiz")
        ana = Nurse(browser, by)
        whole.say("hi", "p2")
        whole.say("can i talk to a person", "p2")
        ana.reads("asked for a person", "#queue .row")
        browser.key("j")
        held = browser.run("document.activeElement.id")
        assert held.startswith("open-")
        whole.say("hi")
        whole.say("i cant breathe")
        ana.reads("emergency sign", "#queue .row:first-child.u0")
        ana.reads("left", "#queue .row:first-child.u0")
        ana.reads("reported an emergency sign", "#news[aria-live]")
        assert browser.run("document.activeElement.id") == held
        assert "(2)" in browser.run("document.title")
        if by == "keys":
            browser.key("k")
        ana.presses("#queue .row:first-child a", "o")
        ana.reads("i cant breathe", "#talk")
        ana.presses("[formaction$=claim]", "c")
        ana.reads("Ana Ruiz has taken over")
        ana.types("[name=note]", "Called: her husband drives her to the emergency room.")
        ana.presses("#keep-note")
        ana.reads("Note of Ana Ruiz: Called: her husband", "#talk")
        ana.presses("[formaction*='/tasks/']")
        ana.reads("done by Ana Ruiz")
        ana.presses("[formaction$=finish]")
        ana.reads("Closed: no check-ins are sent.")
        assert not [one for one in whole.texts() if "husband" in one["text"]]
        ana.presses("nav a[href='/']", "1")
        ana.reads("asked for a person", "#queue .row")
        assert "emergency sign" not in browser.run("document.querySelector('#queue').textContent")
        assert browser.errors == []


# -- a page under somebody's hands, while its world goes away --


@pytest.fixture
def place(cipher: Cipher, tmp_path: Path) -> Iterator[Lonely]:
    with lonely(cipher, tmp_path) as found:
        yield found


@pytest.fixture
def writing(place: Lonely, browser: Browser) -> Iterator[Nurse]:
    """Ben, in a conversation that he has, in the middle of a reply."""
    place.says("hi")
    person = place.person("nurse", "Ben")
    cookie = place.desk.sessions.begin(place.desk.people.by_id(person.id) or person, place.at)
    with dash_stage.served(place) as home:
        browser._send("Network.setCookie", name="console", value=cookie, url=home)
        browser.open(f"{home}/patients/{place.patient}")
        ben = Nurse(browser, "keys")
        ben.presses("[formaction$=claim]", "c")
        ben.sees("document.querySelector('[name=reply]')")
        ben.types(REPLY, "I call you at nine", "r")
        yield ben


def test_a_session_that_ends_while_somebody_types_loses_no_word(place: Lonely, writing: Nurse) -> None:
    """The page renews itself, is told that the session ended, and brings the words through the sign-in; a press sends them."""
    person = next(iter(place.desk.people.everybody()))
    place.at += 3600
    writing.reads("What you typed is kept.")
    assert "hi" not in writing.browser.run("document.querySelector('main').textContent").split()
    for field, text in (("name", "Ben"), ("password", WORDS), ("code", pyotp.TOTP(person.secret).at(int(place.at)))):
        writing.types(f"[name={field}]", text)
    writing.browser.key("Enter")
    writing.sees("(document.querySelector('[name=reply]') || {}).value === 'I call you at nine'")
    assert not [event for event in place.desk.store.events(place.patient) if b"nine" in event]
    writing.presses("main form button")
    writing.reads("I call you at nine", "#talk li.staff")
    assert len([event for event in place.desk.store.events(place.patient) if b"nine" in event]) == 1
    assert [error for error in writing.browser.errors if "401" not in error] == []


def test_a_page_whose_store_is_away_says_so_keeps_the_words_and_recovers(place: Lonely, writing: Nurse) -> None:
    """A sentence while it lasts; the form comes back with its words; and the same press again sends once."""
    place.server.stop()
    writing.reads("The program does not answer.", "#old:not([hidden])[role=alert]")
    assert writing.browser.run("document.querySelector('[name=reply]').value") == "I call you at nine"
    writing.presses("#send")
    writing.reads("cannot be reached")
    assert writing.browser.run("document.querySelector('[name=reply]').value") == "I call you at nine"
    place.server.start()
    writing.presses("main form button")
    writing.reads("I call you at nine", "#talk li.staff")
    place.server.stop()
    writing.sees("!document.querySelector('#old').hidden")
    place.server.start()
    writing.sees("document.querySelector('#old').hidden")
    assert [error for error in writing.browser.errors if "503" not in error] == []


def test_what_happens_meanwhile_is_seen_without_losing_the_place(place: Lonely, writing: Nurse) -> None:
    """While Ben types: the patient writes, the end stays in sight, and the focus where it was, also on a button that is renewed;
    Cem takes over from him, and the page says so; his words are kept, and the number is one key away."""
    page = writing.browser
    for text in ("yes", "tuesday", "or friday") * 4:
        place.says(text)
    writing.reads("or friday", "#talk")
    at_end = "(e => e.scrollHeight - e.scrollTop - e.clientHeight < 60)(document.querySelector('#talk'))"
    writing.sees(at_end)
    assert page.run("document.querySelector('#talk').scrollHeight > document.querySelector('#talk').clientHeight")
    assert page.run("document.activeElement.matches('[name=reply]')")
    page.run("document.querySelector('#talk').scrollTop = 0")
    writing.sees("document.querySelector('#tasks [formaction]')")
    page.run("document.querySelector('#tasks [formaction]').focus()")
    held = page.run("document.activeElement.id")
    place.says("are you there")
    writing.reads("are you there", "#talk")
    assert page.run("document.activeElement.id") == held
    assert page.run("document.querySelector('#talk').scrollTop") == 0  # somebody reads further up
    cem, ben = place.person("nurse", "Cem"), place.desk.people.everybody()[0]
    assert TakeOver(place.conversation).claim(place.patient, cem.id, "1", after=ben.id).ok
    writing.reads("Cem has taken over", "#state")
    writing.reads("Take over from Cem", "#acts")
    assert page.run("document.querySelector('[name=reply]').value") == "I call you at nine"
    page.key("p")
    writing.reads("+17135550123")
    assert page.run("document.querySelector('a[href^=\"tel:\"]').getAttribute('href')") == "tel:+17135550123"
    assert page.run("document.querySelector('[name=reply]').value") == "I call you at nine"
    assert page.errors == []


def test_a_reply_and_a_note_half_typed_both_come_back_when_the_session_ends(place: Lonely, writing: Nurse) -> None:
    """Both are in the page after the sign-in; only the reply is sent by its press, and the note stays."""
    person = place.desk.people.everybody()[0]
    writing.types("[name=note]", "ask about the form")
    place.at += 3600
    writing.reads("What you typed is kept.")
    for field, text in (("name", "Ben"), ("password", WORDS), ("code", pyotp.TOTP(person.secret).at(int(place.at)))):
        writing.types(f"[name={field}]", text)
    writing.browser.key("Enter")
    writing.sees("(document.querySelector('[name=reply]') || {}).value === 'I call you at nine'")
    assert writing.browser.run("document.querySelector('[name=note]').value") == "ask about the form"
    writing.presses("main form button")
    writing.reads("I call you at nine", "#talk li.staff")
    assert writing.browser.run("document.querySelector('[name=note]').value") == "ask about the form"
    writing.types("[name=note]", "please ")
    writing.browser._send("Input.dispatchKeyEvent", type="keyDown", key="Enter", modifiers=2, windowsVirtualKeyCode=13)
    writing.reads("Note of Ben: please ask about the form", "#talk")
    assert len([event for event in place.desk.store.events(place.patient) if b"nine" in event]) == 1


def test_the_counter_of_segments_counts_what_will_be_sent(writing: Nurse) -> None:
    """The page's own counting against the program's: accents that a phone drops, typographic marks, escapes, emoji, limits."""
    chance, marks = random.Random(3), "aeiou áíóúñé¿¡ “”’…—–€[]{}^~|\\½ 😀👍🏽\u200d漢ß\u00a0\n"
    texts = ["", " ", "á" * 160, "á" * 161, "[" * 80, "[" * 81, "a" * 152 + "[" * 2 + "b" * 10, "漢" * 70, "漢" * 71,
             "😀" * 35, "😀" * 36, "😀" * 67, "Mañana a las 10, ¿podrá? Llámenos: “sí” o “no” — gracias…"]  # fmt: skip
    texts += ["".join(chance.choices(marks, k=chance.randrange(1, 400))) for _ in range(300)]
    plain = "JSON.parse(document.querySelector('#count').dataset.plain)"
    counted = writing.browser.run(f"{json.dumps(texts)}.map(t => segmentsOf(folded(t, {plain}).trim()))")
    sent = [as_sent(text) for text in texts]
    assert [(text, segments(text).count if text else 0) for text in sent] == list(zip(sent, counted, strict=True))


def test_a_link_on_another_site_opens_the_conversation_for_who_is_signed_in(place: Lonely, writing: Nurse) -> None:
    """Such as in somebody's mail on the web, which the cookie does not go along with."""
    page = writing.browser
    there = page.run("location.href").replace("127.0.0.1", "localhost")
    page.open(there.partition("/patients")[0] + "/sign-in")  # another site in this browser's eyes
    page.run(f"location.assign({there.replace('localhost', '127.0.0.1')!r})")
    writing.reads("hi", "#talk")
    assert page.errors == []
