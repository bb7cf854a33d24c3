"""Calls that we place: who picks up, what they are told, and what follows when nobody does."""

from __future__ import annotations

import re

import pytest

from tests.call_stage import Line
from tests.call_stage import line as line
from tests.sandbox_stage import PATIENT


def test_a_human_is_asked_whether_it_is_a_good_time_and_then_the_questions_begin(line: Line) -> None:
    """Who calls, that it is automated, 911, and a key that ends all calls; nothing about why."""
    line.plan_call()
    assert line.work() == ["call: done"]
    (call,) = line.stage.sandbox.ringing(PATIENT)
    line.stage.sandbox.answer(call, "human")
    opening = " ".join(call.heard)
    assert "This is CLS Health with an automated call" in opening
    assert "press 9" in opening
    assert not re.search(r"pain|visit|doctor's|therap|injury", opening.replace("not a doctor", ""))
    assert "Are you 18 or older" in " ".join(call.press("1"))
    call.press("1")
    assert line.record().session.state == "screen_a"  # type: ignore[union-attr]


def test_the_nine_key_ends_all_calls_and_texts(line: Line) -> None:
    """Opt-out by key; nothing more is sent."""
    line.plan_call()
    line.work()
    (call,) = line.stage.sandbox.ringing(PATIENT)
    line.stage.sandbox.answer(call, "unknown")
    assert "We will not text or call you any more" in " ".join(call.press("9"))
    line.stage.sandbox.settle()
    assert line.record().opted_out
    line.work()
    assert line.texts() == []


@pytest.mark.parametrize("found", ["machine_start", "machine_end_beep", "fax"])
def test_a_machine_hears_a_number_and_no_health_information_and_a_text_follows(line: Line, found: str) -> None:
    """The message on a machine may be heard by anybody."""
    line.plan_call()
    line.work()
    (call,) = line.stage.sandbox.ringing(PATIENT)
    line.stage.sandbox.answer(call, found)
    assert call.heard == [
        "Hello. This is CLS Health. Please call us back at (7 1 3) 5 5 5, 0 1 0 0. Thank you. Goodbye."
    ] or (len(call.heard) == 1 and "call us back" in call.heard[0])
    assert line.work() == ["text: done"]
    assert "We tried to call you" in line.texts()[0]


@pytest.mark.parametrize("status", ["busy", "no-answer", "failed"])
def test_a_call_that_reaches_nobody_becomes_one_text_or_a_task(line: Line, status: str) -> None:
    """One text however often the callback comes; a landline cannot be texted, so a person must know."""
    line.plan_call()
    line.work()
    (call,) = line.stage.sandbox.ringing(PATIENT)
    line.stage.sandbox.decline(call, status)
    assert line.work() == ["text: done"]
    assert len(line.texts()) == 1
    other = "+17135550124"
    line.plan_call(other, facts=frozenset({"landline"}))
    line.work()
    (call,) = line.stage.sandbox.ringing(other)
    line.stage.sandbox.decline(call, status)
    assert line.work() == []
    assert "not_reached" in line.tasks()


def test_the_end_of_a_call_whose_report_is_lost_is_asked_for(line: Line) -> None:
    """Twilio reports the end once. A landline that nobody picked up must not stay unknown; while it goes on, it is asked
    again; what was reported already changes nothing."""
    effect, patient = line.plan_call(facts=frozenset({"landline"})), line.patient()
    line.work()
    (call,) = line.stage.sandbox.ringing(PATIENT)
    line.stage.clock.advance(901)
    assert line.work() == ["call_end: put_off"]
    call.plan.callback = None
    line.stage.sandbox.decline(call, "no-answer")
    assert line.work() == []
    assert line.tasks() == []
    line.stage.clock.advance(901)
    assert line.work() == ["call_end: done"]
    assert line.tasks() == ["not_reached"]
    line.app.conversation.call_over(patient, effect, "no-answer", None)
    assert line.tasks() == ["not_reached"]


@pytest.mark.parametrize(
    ("record", "hours", "done"),
    [({"opted_out": True}, 0, ["call: done"]), ({}, 11, ["call: put_off"]), ({"unanswered": 2}, 0, ["call: done"])],
)
def test_a_call_is_not_placed_after_stop_at_night_or_after_two_silences(
    line: Line, record: dict[str, object], hours: int, done: list[str]
) -> None:
    """The conditions of a text hold for a call, at the moment it would be placed."""
    line.stage.clock.advance(hours * 3600)
    line.plan_call(**record)  # type: ignore[arg-type]
    assert line.work() == done
    assert line.stage.sandbox.calls == {}
