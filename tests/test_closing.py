"""Staff close a matter: nothing automatic goes out any more, everything the patient writes is answered as ever."""

from __future__ import annotations

import pytest

from bot.conversation import Outgoing
from bot.takeover import TakeOver
from tests.test_plan import TO_PMR, Weeks, booked


@pytest.fixture
def weeks() -> Weeks:
    found = Weeks()
    found.say(*TO_PMR, "yes")
    assert TakeOver(found.conversation).close("p", "ann", "1").ok
    return found


def test_no_check_in_goes_out_and_the_plan_says_why(weeks: Weeks) -> None:
    plan = weeks.conversation.upcoming("p")
    assert {(one.at, one.why) for one in plan} == {(None, "the clinic has closed the matter")}
    assert weeks.until(60) == []


def test_opened_again_what_is_not_yet_due_goes_on(weeks: Weeks) -> None:
    assert weeks.until(4) == []
    TakeOver(weeks.conversation).reopen("p", "ann", "2")
    assert ["Did you set up your visit" in text for text in weeks.until(8)] == [True]


def test_an_alarm_is_an_alarm_and_new_questions_are_a_new_matter(weeks: Weeks) -> None:
    weeks.until(3)
    assert "EMERGENCY" in weeks.say("my chest hurts and I can't breathe")
    assert weeks.tasks() == ["emergency"]
    again = Weeks()
    again.say("hi", "yes")
    TakeOver(again.conversation).close("p", "ann", "1")
    assert "check in with you" in again.say("no", "no", "no", "9", "yes")  # the walk that was open goes on
    assert ["Do you still need a visit" in text for text in again.until(2)] == [True]


def test_a_booked_visit_is_a_new_matter(weeks: Weeks) -> None:
    booked(weeks, 10)
    assert any("You have a visit" in text for text in weeks.until(9))


def test_no_nudge_reminds_of_a_question_that_was_open_and_another_nurse_s_matter_is_not_closed() -> None:
    open_one = Weeks()
    open_one.say("hi", "yes")
    hands = TakeOver(open_one.conversation)
    hands.claim("p", "ann", "1")
    done = hands.close("p", "bob", "1")
    assert (done.ok, done.owner) == (False, "ann")
    assert hands.close("p", "ann", "2").ok
    assert open_one.record.owner is None
    assert open_one.until(2) == []
    assert "not a doctor" in open_one.say("no")


def test_what_was_decided_before_the_close_does_not_leave_after_it() -> None:
    late = Weeks()
    late.say(*TO_PMR, "yes")
    name = late.record.planned["F2"]
    body = {"n": "F2", "f": "triage"}
    late.clock.append(late.clock[-1] + 3.1 * 86_400)
    made: Outgoing = late.conversation.follow_up("p", name, body)
    assert made.body is not None
    TakeOver(late.conversation).close("p", "ann", "1")
    kept = late.store.load("p", "").record
    verdict = late.conversation.still("p", name, "follow_up", {"p": "p", **body}, kept, call=False)
    assert (verdict.go, verdict.why) == (False, "the clinic has closed the matter")
