"""Who answers days later is understood: a question of a follow-up waits a week, and an alarm counts whenever it comes."""

from __future__ import annotations

import pytest

from tests.test_plan import DAY, MONDAY, PHONE, TO_PMR, TO_PT, Weeks, booked, outreach

HOUR = 3600.0


@pytest.fixture
def weeks() -> Weeks:
    return Weeks()


@pytest.mark.parametrize("days", [4.2, 5.5, 6.9])
def test_worse_days_after_the_check_in_is_its_answer_and_is_re_screened(weeks: Weeks, days: float) -> None:
    weeks.say(*TO_PT, "yes")
    assert any("check-in" in text for text in weeks.until(3.5))
    assert not [text for text in weeks.until(days) if "closed" in text]
    assert "Any NEW: chest pain" in weeks.say("worse")
    assert weeks.tasks() == ["worse"]
    assert weeks.record.result == "pmr"  # therapy alone has become the doctor
    assert "ANY of these now" in weeks.say("yes")


def test_a_check_in_is_answered_across_its_own_silence_in_spanish() -> None:
    spanish = Weeks(language="es")
    spanish.say("hola", "si", "no", "no", "no", "9", "si")
    spanish.until(5.5)
    assert "¿Algo NUEVO" in spanish.say("estoy peor")


def test_after_a_week_the_next_word_begins_anew(weeks: Weeks) -> None:
    weeks.say(*TO_PMR, "yes")
    weeks.until(3.5)
    weeks.conversation.visit(PHONE, "b", "booked", MONDAY + 40 * DAY)  # so that no other question comes between
    weeks.until(10.9)
    assert weeks.record.session is not None
    assert weeks.record.session.state == "lapsed"
    assert "not a doctor" in weeks.say("worse")


def test_the_next_follow_up_comes_in_its_time_behind_an_open_question(weeks: Weeks) -> None:
    weeks.say(*TO_PMR, "yes")
    weeks.until(1.5)
    weeks.conversation.opened(next(iter(weeks.store.links)))  # one answer, so that the silence does not end them
    assert any("check-in" in text for text in weeks.until(3.5))
    assert ["Did you set up your visit" in text for text in weeks.until(7.3)] == [True]
    assert "If you feel worse" in weeks.say("1")


def test_a_late_word_on_a_reminder_counts_although_a_person_was_told(weeks: Weeks) -> None:
    booked(weeks, 10)
    weeks.until(9.9)
    assert weeks.tasks() == ["no_reply", "no_reply"]
    assert "Pick a new time" in weeks.say("3")
    assert "released" in weeks.record.facts


def test_a_call_days_after_a_check_in_is_a_new_matter(weeks: Weeks) -> None:
    weeks.say(*TO_PMR, "yes")
    weeks.until(5.5)
    assert "not a doctor" in weeks.conversation.hear(PHONE, "voice", "", "CA1:0").decode()
    assert weeks.record.session is not None
    assert weeks.record.session.flow == "triage"


def _call_up_to_the_pain(weeks: Weeks) -> None:
    weeks.conversation.hear(PHONE, "voice", "", "CA1:0")
    for number, said in enumerate(("yes", "no", "no", "no", "no")):
        assert weeks.record.session is not None
        weeks.conversation.hear(PHONE, "voice", said, f"CA1:{number + 1}", step=str(weeks.record.session.turn))
    assert weeks.record.session is not None
    assert weeks.record.session.state == "severity"
    weeks.clock.append(MONDAY + HOUR)


@pytest.mark.parametrize(
    ("said", "answer", "state"),
    [
        ("I can't breathe", "may be an EMERGENCY", "emergency"),
        ("I want to kill myself", "988", "crisis"),
        ("STOP", "no more texts", "stopped"),
        ("can a person call me", "", "staff"),
        ("7", "ANY of these now", "screen_a"),
    ],
)
def test_an_alarm_counts_when_somebody_comes_back_on_the_other_channel(
    weeks: Weeks, said: str, answer: str, state: str
) -> None:
    """An hour after a call that broke off the screens are asked again, but never instead of an alarm, a STOP or a wish."""
    _call_up_to_the_pain(weeks)
    assert answer in weeks.say(said)
    assert weeks.record.session is not None
    assert weeks.record.session.state == state


def test_outreach_answered_days_later_asks_its_screens_again_but_hears_the_first_answer(weeks: Weeks) -> None:
    """A yes to a screen is an emergency however late; a number behind screens of three days ago is not enough."""
    outreach(weeks)
    weeks.until(0.3)
    assert "ANY of these now" in weeks.say("yes")
    weeks.clock.append(MONDAY + 3 * DAY)
    assert "oozing wound" in weeks.say("no")
    weeks.say("no")
    weeks.clock.append(MONDAY + 6 * DAY)
    assert "ANY of these now" in weeks.say("4")
    weeks.clock.append(MONDAY + 9 * DAY)
    assert "may be an EMERGENCY" in weeks.say("yes")


def test_who_stops_answering_the_screens_of_an_outreach_is_one_task(weeks: Weeks) -> None:
    outreach(weeks)
    weeks.say("yes")
    assert weeks.until(10) == []
    assert weeks.tasks() == ["unclear_safety"]


@pytest.mark.parametrize("word", ["RESTART", "REINICIAR", "START"])
def test_restart_after_a_check_in_is_a_new_problem_and_takes_no_follow_up_back(weeks: Weeks, word: str) -> None:
    weeks.say(*TO_PMR, "yes", "no")
    weeks.until(3.5)
    weeks.say("better", "no")
    assert "not a doctor" in weeks.say(word)
    assert weeks.record.session is not None
    assert weeks.record.session.flow == "triage"
    assert {"F3", "F4", "F5"} <= set(weeks.record.planned)


def test_restart_in_an_open_check_in_begins_the_triage_too(weeks: Weeks) -> None:
    weeks.say(*TO_PMR, "yes", "no")
    weeks.until(3.5)
    assert "not a doctor" in weeks.say("RESTART")


@pytest.mark.parametrize("word", ["HELP", "ESPAÑOL", "PMR", "ZIP 77030", "what was the question", "book"])
def test_who_asks_something_at_a_screen_and_then_says_no_more_is_missed(word: str) -> None:
    """By text the next silence counts from the last word, whatever it was; in an outreach it is a task."""
    weeks = Weeks(language=None)
    weeks.say("hi", word)
    assert weeks.until(0.05) != []
    asked = Weeks(language=None)
    outreach(asked, cause="surgery")
    asked.say("yes", word)
    tasks = asked.tasks()
    asked.until(1.1)
    assert asked.tasks() == [*tasks, "unclear_safety"]
