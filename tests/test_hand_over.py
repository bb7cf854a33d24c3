"""What goes along when one flow goes on in another, and when a walk starts over: never an answer of the patient, always
that no text may go to this phone."""

from __future__ import annotations

import pytest

from bot.sandbox.player import Call
from tests.call_stage import Line
from tests.call_stage import line as line
from tests.sandbox_stage import PATIENT

LANDLINE = frozenset({"landline"})


def ring(line: Line, **record: object) -> Call:
    """A call that we place is picked up."""
    line.plan_call(**record)  # type: ignore[arg-type]
    assert line.work() == ["call: done"]
    (call,) = line.stage.sandbox.ringing(PATIENT)
    line.stage.sandbox.answer(call, "human")
    return call


def keys(call: Call, *every: str) -> str:
    """What is said from here on."""
    before = len(call.heard)
    for one in every:
        call.press(one)
    return " ".join(call.heard[before:])


@pytest.mark.parametrize("landline", [True, False])
def test_a_call_of_ours_that_goes_on_in_the_questions_knows_whether_texts_arrive(line: Line, landline: bool) -> None:
    """A landline is told how to book by phone; everybody else is offered the link by text."""
    call = ring(line, facts=LANDLINE if landline else frozenset())
    heard = keys(call, "1", "1", "2", "2", "2", "2", "8#")
    assert ("To book your visit, call us at" in heard) is landline
    assert ("To get a text with a link" in heard) is not landline


def test_starting_over_on_a_call_still_knows_that_no_text_arrives(line: Line) -> None:
    """RESTART forgets what the patient answered, not what their phone is."""
    call = ring(line, facts=LANDLINE)
    keys(call, "1", "1", "2")
    call.say("start over")
    session = line.record().session
    assert session is not None
    assert "screen_a" not in session.answers
    assert "consent" not in session.answers
    heard = keys(call, "1", "1", "2", "2", "2", "2", "8#")
    assert "To book your visit, call us at" in heard
    assert "get a text" not in heard


def test_a_check_in_that_goes_on_in_the_screens_carries_no_answer_and_no_result(line: Line) -> None:
    """Worse in the check-in is no answer to the questions about the pain: all of them are asked, and no text is offered."""
    call = ring(line, flow="check_in", facts=LANDLINE, result="pt")
    assert "Chest pain" in keys(call, "1", "1", "1")
    session = line.record().session
    assert session is not None
    assert (session.flow, session.outcome, dict(session.answers)) == (
        "triage", None, {"textable": "no"},
    )  # fmt: skip
    heard = keys(call, "2", "2", "2", "2", "8#")
    assert "To book your visit, call us at" in heard
    assert "get a text" not in heard
    assert line.work() == []
    assert line.texts() == []


@pytest.mark.parametrize(("flow", "pressed"), [("booked_check", ("1", "2")), ("no_show", ("1", "1"))])
@pytest.mark.parametrize("landline", [True, False])
def test_a_follow_up_by_phone_promises_the_link_by_text_only_where_it_arrives(
    line: Line, flow: str, pressed: tuple[str, ...], landline: bool
) -> None:
    """A landline is told the number to call; a mobile phone gets the text that it was told of."""
    call = ring(line, flow=flow, facts=LANDLINE if landline else frozenset(), result="pt")
    heard = keys(call, *pressed)
    assert ("a text with a link to pick a time" in heard) is not landline
    assert "call" in heard
    assert len(line.work()) == int(not landline)
    assert len(line.texts()) == int(not landline)
