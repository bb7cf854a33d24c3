"""STOP attacked: in a call, behind a worker's back, twice, in French, inside a sentence; START without STOP."""

from __future__ import annotations

import json
from typing import Any

import pytest

from bot.plan_command import evidence
from bot.record import Consent
from tests.test_plan import DAY, MONDAY, PHONE, TO_PMR, Weeks


@pytest.fixture
def weeks() -> Weeks:
    found = Weeks()
    found.say(*TO_PMR, "yes", "no")
    return found


@pytest.mark.parametrize(
    "said",
    [
        "ARRET",
        "Arrêt",
        "s t o p",
        "Stop!!!",
        "NO MÁS",
        "stop calling me",
        "ya no me manden mensajes",
        "opt-out",
        "ALTO.",
    ],
)
def test_every_wording_stops_texts_and_calls(weeks: Weeks, said: str) -> None:
    weeks.until(3.5)
    weeks.say(said)
    assert weeks.record.opted_out
    assert weeks.record.planned == {}
    call = weeks.conversation.place_call("p", "c1", {"f": "check_in", "needs": "follow_up"})
    assert (call.call, call.why) == (False, "opted out")
    assert weeks.until(60) == []


@pytest.mark.parametrize("said", ["my pain won't stop", "can you stop the pain", "I want to stop taking my meds"])
def test_stop_inside_a_sentence_about_something_else_stops_nothing(weeks: Weeks, said: str) -> None:
    weeks.until(3.5)
    weeks.say(said)
    assert not weeks.record.opted_out


@pytest.mark.parametrize(
    "said",
    [
        "stop texting me, call me instead", "stop texts but call me", "no more texts please call me back",
        "ya no me manden mensajes, mejor llamenme", "no more texts, I want to talk to a nurse",
    ],
)  # fmt: skip
def test_who_wants_a_call_and_no_texts_gets_no_more_texts_and_a_person(weeks: Weeks, said: str) -> None:
    """Nothing automatic any more, by text or by call; the call that they asked for is a task for a person."""
    weeks.until(3.5)
    assert "no more texts" in weeks.say(said)
    assert (weeks.record.opted_out, weeks.tasks()) == (True, ["person"])
    assert weeks.until(60) == []
    weeks.store.tasks.clear()  # closed by staff
    assert weeks.say("please call me") == ""
    assert weeks.tasks() == ["person"]


@pytest.mark.parametrize("said", ["stop calling me", "stop texting and don't call me", "do not call me, no more texts"])
def test_who_wants_neither_texts_nor_calls_is_not_called(weeks: Weeks, said: str) -> None:
    weeks.say(said)
    assert (weeks.record.opted_out, weeks.tasks()) == (True, [])


def test_what_is_written_after_stop_is_one_task_a_day_not_one_for_ever(weeks: Weeks) -> None:
    weeks.say("STOP", "thanks", "bye")
    assert weeks.tasks() == ["wrote_after_stop"]
    weeks.store.tasks.clear()  # closed by staff
    weeks.until(2)
    weeks.say("hello?")
    assert weeks.tasks() == ["wrote_after_stop"]


def test_a_stop_between_the_decision_and_the_carrier_keeps_the_text_back(weeks: Weeks) -> None:
    name, body = weeks.record.planned["F2"], {"n": "F2", "f": "triage"}
    weeks.clock.append(MONDAY + 3.1 * DAY)
    assert weeks.conversation.follow_up("p", name, body).body
    weeks.say("STOP")
    kept = weeks.store.load("p", "").record
    verdict = weeks.conversation.still("p", name, "follow_up", {"p": "p", **body}, kept, call=False)
    assert (verdict.go, verdict.why) == (False, "opted out since")


def _decided(weeks: Weeks, name: str) -> tuple[str, dict[str, object]]:
    """A follow-up for which a worker has decided its text, and that has not left yet."""
    effect, planned = weeks.record.planned[name], {one.id: one for one in weeks.store.effects.values()}
    body = json.loads(planned[effect].body)
    weeks.clock.append(planned[effect].due + 0.1 * DAY)
    assert weeks.conversation.follow_up("p", effect, body).body
    return effect, body


def _still(weeks: Weeks, effect: str, body: dict[str, object]) -> tuple[bool, str]:
    verdict = weeks.conversation.still("p", effect, "follow_up", body, weeks.store.load("p", "").record, call=False)
    return verdict.go, verdict.why


def test_a_booking_between_the_decision_and_the_carrier_keeps_the_nudge_back(weeks: Weeks) -> None:
    effect, body = _decided(weeks, "F1")
    assert _still(weeks, effect, body) == (True, "still holds")
    weeks.conversation.visit(PHONE, "one", "booked", weeks.clock[-1] + 9 * DAY)
    assert _still(weeks, effect, body) == (False, "cancelled: a visit is booked")


@pytest.mark.parametrize("what", ["moved", "cancelled"])
def test_a_reminder_of_a_visit_that_is_at_another_time_meanwhile_does_not_leave(weeks: Weeks, what: Any) -> None:
    weeks.conversation.agree(PHONE, "form", (Consent("visits", True, weeks.clock[-1], "form", "", "text"),))
    weeks.conversation.visit(PHONE, "one", "booked", weeks.clock[-1] + 9 * DAY)
    effect, body = _decided(weeks, "F6")
    assert _still(weeks, effect, body)[0]
    weeks.conversation.visit(PHONE, "two", what, weeks.clock[-1] + 12 * DAY)
    assert _still(weeks, effect, body) == (False, "the visit is at another time, or given up")


def test_stop_twice_is_confirmed_once_and_only_start_revives(weeks: Weeks) -> None:
    assert "no more texts" in weeks.say("STOP")
    assert weeks.say("STOP") == ""
    assert weeks.say("hello") == ""
    assert weeks.say("yes") == ""
    assert "not a doctor" in weeks.say("START")
    assert not weeks.record.opted_out
    found = list(evidence(weeks.conversation, [one for one in weeks.store.events["p"] if one]))
    assert [(one["purpose"], one["granted"]) for one in found] == [
        ("follow_up", True), ("all", False), ("all", False), ("all", True),
    ]  # fmt: skip


def test_start_without_a_stop_is_no_consent(weeks: Weeks) -> None:
    new = Weeks()
    assert "not a doctor" in new.say("START")
    assert new.record.consents == ()
    assert not new.record.opted_out


def test_a_stop_by_text_during_a_call_ends_texts_and_the_caller_still_gets_help() -> None:
    weeks = Weeks()
    say = weeks.conversation.hear
    say(PHONE, "voice", "", "CA1:0")
    for number, said in enumerate(("yes", "no", "no", "no", "no")):
        assert weeks.record.session is not None
        say(PHONE, "voice", said, f"CA1:{number + 1}", step=str(weeks.record.session.turn))
    weeks.say("STOP")
    assert weeks.record.opted_out
    assert weeks.record.session is not None
    heard = say(PHONE, "voice", "9", "CA1:9", step=str(weeks.record.session.turn)).decode()
    assert "911" in heard or "9 1 1" in heard
    assert "press 1" in heard  # a question: the line is not dead
    assert "EMERGENCY" in say(PHONE, "voice", "I can't breathe", "CA1:10", step="x").decode().upper()
    assert weeks.record.opted_out
    assert not [one for one in weeks.store.effects.values() if one.kind == "text"]
