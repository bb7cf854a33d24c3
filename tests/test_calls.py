"""Calls on the local Twilio: the real app behind signed webhooks, the real store, the real client for calls we place."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from bot.catalog import load_flows
from bot.proof.texts import advice
from bot.record import to_bytes
from bot.sandbox.player import Call
from tests.call_stage import NURSE, Line
from tests.call_stage import line as line
from tests.sandbox_browser import BINARY, Browser
from tests.sandbox_stage import PATIENT

# -- a caller --------------------------------------------------------------------------------------------------------


def to_screen_a(call: Call) -> Call:
    """English, and yes to the consent question."""
    call.press("1")
    call.press("1")
    return call


def test_a_call_by_keys_ends_with_the_link_by_text(line: Line) -> None:
    """Language first, digits spoken one by one, no address spoken; pressing 1 is the consent for the one text."""
    call = line.call()
    assert any("Para español, oprima 2" in said for said in call.heard)
    for keys in ("1", "1", "2", "2", "2", "2", "4#", "2", "3", "1", "3", "1", "2"):
        assert call.active
        call.press(keys)
    heard = " ".join(call.heard)
    assert not call.active
    assert "physical therapist may be right for you" in heard
    assert "9 1 1" in heard
    assert "911" not in heard
    assert "http" not in heard
    assert line.work() == ["text: done"]
    (text,) = line.texts()
    assert re.search(r"Book your visit: http://127.0.0.1:\d+/go/\S+", text)
    assert line.stage.sandbox.debugger == []


def test_a_call_by_speech_in_spanish_comes_to_the_same_end(line: Line) -> None:
    """As a recogniser writes it: capitals and full stops, sometimes without Confidence."""
    call = line.call()
    for said in ("Español.", "Sí.", "No.", "No.", "No.", "Ninguno.", "Como un cuatro.", "Igual.", "Una lesión.",
                 "En un solo lugar.", "Ejercicio y terapia.", "Texto.", "No."):  # fmt: skip
        assert call.active, said
        call.say(said, 0.7 if said != "No." else None)
    assert line.record().session.outcome == "pt"  # type: ignore[union-attr]
    assert call.prompts[-1].language == "es-US"


def test_every_question_names_the_keys_and_hears_both_kinds_of_answer(line: Line) -> None:
    """Person and repeat are said after every question; hints come from the answer words; the action is absolute."""
    call = to_screen_a(line.call())
    bodies = []
    for keys in ("2", "2", "2", "2", "3#", "2", "3", "1"):
        bodies.append(call.retry().body.decode())
        call.press(keys)
    for body in bodies:
        assert "star" in body.lower()
        assert "person" in body.lower()
        assert 'input="dtmf speech"' in body
        assert 'actionOnEmptyResult="true"' in body
        assert 'action="http://127.0.0.1' in body
        assert 'speechTimeout="auto"' not in body
        assert 'hints="' in body
    assert "yes" in bodies[0].partition('hints="')[2].partition('"')[0].split(",")


@pytest.mark.parametrize("step", range(9))
def test_star_repeats_zero_is_a_person_and_a_retry_gets_the_same_bytes(line: Line, step: int) -> None:
    """At every question of the way; on the pain scale 0 is an answer, and the word is the way to a person."""
    call = to_screen_a(line.call())
    for keys in ("2", "2", "2", "2", "3#", "2", "3", "1", "3")[:step]:
        call.press(keys)
    last = call.heard[-2:]
    assert (call.press("*") or call.silence())[-2:] == last  # on the scale a second key is waited for
    assert call.retry().body == call.retry().body
    if line.record().session.state == "severity":  # type: ignore[union-attr]
        call.say("a person")
    else:
        call.press("0")
    assert call.waiting == "dial"
    assert "person" in line.tasks()


@pytest.mark.parametrize("said", ["I can't breathe", "chest pain", "no puedo respirar"])
@pytest.mark.parametrize("step", range(0, 9, 2))
def test_an_emergency_said_in_any_state_is_told_twice_and_the_line_is_freed(line: Line, said: str, step: int) -> None:
    """The alert is committed with the answer, before it is said."""
    call = line.call()
    for keys in ("1", "1", "2", "2", "2", "2", "3#", "2", "3")[:step]:
        call.press(keys)
    heard = " ".join(call.say(said))
    assert heard.count("9 1 1") >= 4
    assert not call.active
    assert line.tasks() == ["emergency"]


def test_a_yes_by_key_to_a_screen_is_an_emergency_and_a_crisis_is_told_988(line: Line) -> None:
    """SPEC B1; no link, no visit."""
    call = to_screen_a(line.call())
    assert "hang up now and dial 9 1 1" in " ".join(call.press("1"))
    assert not call.active
    other = line.call("+17135550124")
    assert "dial 9 8 8" in " ".join(other.say("I want to kill myself"))
    assert sorted(line.tasks()) == ["crisis", "emergency"]


@pytest.mark.parametrize("step", range(9))
def test_silence_and_nonsense_end_with_a_person_or_the_safe_outcome(line: Line, step: int) -> None:
    """Counted apart, each with its limit; never round and round."""
    way = ("1", "1", "2", "2", "2", "2", "3#", "2", "3")[:step]
    for disturb in ("silence", "noise"):
        call = line.call(f"+1713555013{step}" if disturb == "silence" else f"+1713555014{step}")
        for keys in way:
            call.press(keys)
        for _ in range(4):
            if call.waiting == "gather":
                call.silence() if disturb == "silence" else call.say("the weather in Boston")
        assert call.waiting == "dial" or not call.active or "may be the best" in " ".join(call.heard)
        if 2 <= step <= 5:
            assert "could not tell if you are safe" in " ".join(call.heard)


@pytest.mark.parametrize("step", range(10))
def test_hanging_up_at_any_step_loses_nothing_and_calling_back_goes_on_there(line: Line, step: int) -> None:
    """Within half an hour the same question; no answer is asked twice."""
    call = line.call()
    for keys in ("1", "1", "2", "2", "2", "2", "3#", "2", "3", "1")[:step]:
        call.press(keys)
    before = line.record().session
    call.hang_up()
    again = line.call()
    after = line.record().session
    assert before is not None
    assert after is not None
    assert (after.state, after.answers) == (before.state, before.answers)
    assert "9 1 1" in again.heard[0]
    assert again.heard[-1] == call.heard[-1]


def test_a_dropped_call_is_finished_by_text(line: Line) -> None:
    """One conversation: the open question is put in writing, and the answers given on the phone still hold."""
    call = to_screen_a(line.call())
    for keys in ("2", "2", "2", "2", "3#"):
        call.press(keys)
    call.hang_up()
    answer = line.stage.sandbox.text_in(PATIENT, "hello?")
    assert answer[-1].body.startswith("Is it getting worse")
    assert line.record().session.answers["severity"] == 3  # type: ignore[union-attr]


def test_coming_back_after_half_an_hour_asks_the_safety_screens_again(line: Line) -> None:
    """What was no an hour ago may be yes now; the consent still stands."""
    call = to_screen_a(line.call())
    for keys in ("2", "2", "2", "2", "3#"):
        call.press(keys)
    call.hang_up()
    line.stage.clock.advance(3600)
    assert "First, are you safe?" in " ".join(line.call().heard)
    session = line.record().session
    assert session is not None
    assert session.state == "screen_a"
    assert session.answers == {"language_choice": "en", "consent": "yes"}


def test_who_cannot_be_texted_is_told_how_to_book_by_phone(line: Line) -> None:
    """A hidden number: no link is promised."""
    call = line.call("anonymous")
    for keys in ("1", "1", "2", "2", "2", "2", "8#"):
        call.press(keys)
    assert "To book your visit, call us at" in " ".join(call.heard)
    assert "get a text" not in " ".join(call.heard)


def test_asking_to_book_by_voice_offers_the_text_again(line: Line) -> None:
    """After the outcome, from the last question or after a refusal."""
    call = to_screen_a(line.call())
    for keys in ("2", "2", "2", "2", "8#", "1"):
        call.press(keys)
    call.say("I want to book an appointment")
    assert "To get a text with a link to book, press 1" in " ".join(call.heard[-2:])


def test_a_key_pressed_for_an_older_question_reads_the_open_one_again(line: Line) -> None:
    """Two lines of one caller: what was meant for the question before is never taken for this one."""
    first = to_screen_a(line.call())
    second = line.call()
    first.press("2")
    assert "is it new?" in " ".join(second.press("1"))
    session = line.record().session
    assert session is not None
    assert (session.state, session.outcome) == ("screen_b", None)


@pytest.mark.parametrize("said", ["I can't breathe", "quiero hablar con una persona"])
def test_an_alarm_or_a_command_said_to_an_older_question_still_counts(line: Line, said: str) -> None:
    """P3: only an answer can belong to the wrong question."""
    first = to_screen_a(line.call())
    second = line.call()
    first.press("2")
    second.say(said)
    assert line.tasks() == (["emergency"] if "breathe" in said else ["person"])


# -- a person --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", ["busy", "no-answer", "failed"])
def test_when_nobody_picks_up_a_call_back_is_promised_and_is_a_task(line: Line, status: str) -> None:
    """The nurse line is dialled with the clinic's number shown."""
    line.stage.sandbox.dial_outcomes[NURSE] = status
    call = line.call()
    call.press("1")
    heard = " ".join(call.press("0"))
    assert "No one could pick up. Our staff will call you back." in heard
    assert not call.active
    assert line.tasks().count("person") >= 1


def test_out_of_hours_nobody_is_dialled_and_that_is_said(line: Line) -> None:
    """At night: the promise, the task, and 911 for what cannot wait."""
    line.stage.clock.advance(11 * 3600)
    call = line.call()
    call.press("1")
    heard = " ".join(call.press("0"))
    assert "Our office is closed right now" in heard
    assert "9 1 1" in heard
    assert not call.active
    assert "person" in line.tasks()


@pytest.mark.parametrize("line", [{"VOICEMAIL": "true"}], indirect=True)
def test_a_message_is_recorded_only_after_a_yes_and_only_its_id_is_kept(line: Line) -> None:
    """Voicemail is off by default; when it is on, no answer and a no both mean no recording."""
    line.stage.sandbox.dial_outcomes[NURSE] = "no-answer"
    call = line.call()
    call.press("1")
    assert "To leave a message that is recorded" in " ".join(call.press("0"))
    call.press("1")
    assert call.waiting == "record"
    assert "Our staff will listen" in " ".join(call.record(7, "#"))
    assert "voicemail" in line.tasks()
    events = b" ".join(line.store.events(line.patient()))
    assert re.search(rb'"in":"recording","sid":"RE[0-9a-f]{32}"', events)
    assert b"/Recordings/" not in events
    for refuse in ("2", ""):
        other = line.call(f"+1713555012{refuse or 5}")
        other.press("1")
        other.press("0")
        heard = other.press(refuse) if refuse else other.silence()
        assert heard == ["Goodbye."]
        assert not other.active


def test_a_caller_whom_a_nurse_has_taken_over_is_put_through(line: Line) -> None:
    """The bot asks nothing; an emergency said is still answered."""
    to_screen_a(line.call()).hang_up()
    patient, kept = line.patient(), line.record()
    version = line.store.load(patient, "own").version
    from dataclasses import replace

    line.store.commit(
        patient, "own", version, record=to_bytes(replace(kept, owner="nurse")), answer=b"-", now=line.stage.clock()
    )
    call = line.call()
    assert call.waiting == "dial"


def test_every_prompt_is_said_in_twenty_seconds() -> None:
    """At 165 words a minute, the keys included; a longer one is listed by the flow check."""
    for name in ("triage", "call"):
        assert [said for _, said in advice(load_flows()[name]) if " to say" in said] == []


# -- bad input -------------------------------------------------------------------------------------------------------


def test_odd_input_is_answered_and_never_an_application_error(line: Line) -> None:
    """Keys beyond the menu, pound alone, endless speech, silence after keys; the question is always put again."""
    call = to_screen_a(line.call())
    for odd in (lambda: call.press("7"), lambda: call.press("#"), lambda: call.say("x" * 4096)):
        heard = odd()
        assert heard
        assert "application error" not in " ".join(heard)
    for caller in ("anonymous", "client:someone", "unknown", "+266696687", "+1", ""):
        other = line.call(caller)
        assert other.heard, caller
        assert "application error" not in " ".join(other.heard), caller


# -- as a visitor sees it --------------------------------------------------------------------------------------------


@pytest.mark.browser
@pytest.mark.skipif(BINARY is None, reason="there is no Chromium here; apt-get install chromium")
def test_a_call_on_the_phone_page_by_keypad_and_by_speech(line: Line, tmp_path: Path) -> None:
    """The picture in the README is this call."""
    browser = Browser(tmp_path / "chromium")
    try:
        browser.size(1000, 1100)
        browser.open(f"http://127.0.0.1:{line.stage.port}/")
        browser.click("[data-language=en]")
        browser.click("#tab-call")
        browser.click("#ring")
        for said in ("1", "1", "no", "no, none of them", "2", "no", "4#"):
            seen = browser.run("document.querySelectorAll('#heard .bubble').length")
            browser.until("document.querySelector('#line').textContent.includes('Listening')")
            if said[0].isdigit():
                browser.run("document.querySelector('#heard').focus()")
                for key in said:
                    browser.key(key)
            else:
                browser.type("#speech", said)
                browser.key("Enter")
            browser.until(f"document.querySelectorAll('#heard .bubble').length > {seen} + 1")
        browser.until("document.querySelector('#heard').textContent.includes('getting worse')")
        browser.until("document.getAnimations().length === 0")
        if folder := os.environ.get("PHONE_PICTURES"):
            browser.screenshot(Path(folder) / "call.png")
        assert browser.errors == []
    finally:
        browser.close()
