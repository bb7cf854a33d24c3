"""A text that the carrier took and a phone company did not deliver: sent again later, called, or a person's task. Over the
local Twilio's callbacks, the real web app and the real worker's job."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any

import pytest

from bot.codes import UNREGISTERED
from bot.record import Consent
from bot.reports import Reports
from bot.sending import resume, stops_in_force
from bot.undelivered import DAILY_CAP, LATEST, PACIFIC, RETRIES, due_again
from tests.call_stage import Line
from tests.call_stage import line as line  # the fixture: one clinic on the local Twilio
from tests.sandbox_stage import PATIENT
from tests.test_six_weeks import Weeks

TO_CONSENT = ("hi", "yes", "no", "no", "no", "9", "yes")
LINK_AGAIN = "CLS Health: Do you still need a visit? Book:"


@pytest.fixture
def weeks(line: Line) -> Weeks:
    found = Weeks(line)
    found.say(*TO_CONSENT)
    return found


def fails(weeks: Weeks, code: int | None, phone: str = PATIENT) -> None:
    """The phone company's answer to every text to *phone* from now on; None: it arrives."""
    faults = weeks.line.stage.sandbox.faults.undeliverable
    faults.pop(phone, None)
    if code is not None:
        faults[phone] = code


def events(weeks: Weeks) -> list[dict[str, Any]]:
    return [json.loads(raw) for raw in weeks.line.store.events(weeks.line.patient())]


def reports_of(weeks: Weeks) -> Reports:
    return Reports(weeks.line.store, weeks.line.app.conversation, weeks.line.stage.clock)


def starts(weeks: Weeks) -> list[str]:
    return [text[: len(LINK_AGAIN)] for text in weeks.line.texts()]


def test_a_phone_that_is_off_is_tried_again_over_hours_and_gets_the_text_once_it_is_on(weeks: Weeks) -> None:
    """Each try is a new effect that the ledger ties to the first; nobody is called while there is hope."""
    fails(weeks, 30003)
    first = weeks.until(1.04)
    assert [text for _, text in first] == [LINK_AGAIN] * 2, "half an hour later again"
    fails(weeks, None)
    assert len(weeks.until(1.5)) == 1
    assert weeks.line.tasks() == []
    sent = [one for one in weeks.line.stage.sandbox.messages.values() if one.body.startswith(LINK_AGAIN)]
    assert [one.status for one in sent] == ["undelivered", "undelivered", "delivered"]
    notes = [event for event in events(weeks) if event.get("again")]
    assert len({note["again"] for note in notes}) == 2
    assert weeks.until(2.9) == [], "it counts as one text of the week"


def test_after_the_last_try_a_person_gets_one_task_with_the_reason(weeks: Weeks) -> None:
    """Bounded: once and three times more, never in the night."""
    fails(weeks, 30003)
    came = weeks.until(2.9)
    assert len(came) == 1 + len(RETRIES[30003])
    assert all("09:00" <= at[-5:] < "20:00" for at, _ in came)
    assert weeks.line.tasks() == ["undelivered"]
    assert [event["why"] for event in events(weeks) if "undelivered" in event.get("tasks", ())] == [
        "carrier code 30003"
    ]


def test_the_patients_next_word_takes_back_what_was_to_be_sent_again(weeks: Weeks) -> None:
    """A text that is history must not arrive after the answer to something newer."""
    fails(weeks, 30003)
    weeks.until(1.005)
    fails(weeks, None)
    before = starts(weeks).count(LINK_AGAIN)
    weeks.say("what now")
    weeks.until(2.9)
    assert starts(weeks).count(LINK_AGAIN) == before


@pytest.mark.parametrize("word", ["STOP", "claim", "no consent"])
def test_consent_a_stop_and_a_claim_are_asked_again_before_each_try(weeks: Weeks, word: str) -> None:
    """By another channel, so that nothing of it is taken back by a turn."""
    fails(weeks, 30008)
    weeks.until(1.0005)
    talk, patient = weeks.line.app.conversation, weeks.line.patient()
    if word == "STOP":
        weeks.line.app.conversation.hear(PATIENT, "sms", "STOP", "SMx", opt_out_type="STOP")
    elif word == "claim":
        from bot.takeover import TakeOver

        assert TakeOver(talk).claim(patient, "nurse", "once").ok
    else:
        talk.agree(PATIENT, "form", (Consent("follow_up", False, 1.0, "form"),))
    before = len(weeks.line.texts())
    weeks.until(2.9)
    assert len(weeks.line.texts()) == before


def test_a_report_that_comes_twice_or_after_the_delivery_sends_nothing_again(weeks: Weeks) -> None:
    """Out of order: it had arrived."""
    weeks.until(1.01)
    (sid,) = [sid for sid, one in weeks.line.stage.sandbox.messages.items() if one.body.startswith(LINK_AGAIN)]
    found = weeks.line.store.client.keys("*o:*")
    effect = found[-1].decode().rpartition(":")[2]
    reports = reports_of(weeks)
    for _ in range(2):
        reports.delivered(sid, "undelivered", 30003, effect)
    assert weeks.until(2.9) == []
    assert weeks.line.tasks() == []


def test_a_landline_is_called_when_the_patient_agreed_to_calls_and_is_a_task_when_not(weeks: Weeks) -> None:
    """30006 by callback: the check-in comes as a call the next day, the text that never arrived counts for no cap."""
    weeks.until(2.9)
    weeks.line.app.conversation.agree(PATIENT, "f", (Consent("follow_up", True, 1.0, "form", "", "call"),))
    fails(weeks, 30006)
    weeks.until(4.5)
    assert "landline" in weeks.line.record().facts
    assert len(weeks.line.stage.sandbox.calls) == 1
    assert weeks.line.tasks() == []


def test_a_landline_without_consent_to_calls_is_a_task(weeks: Weeks) -> None:
    """Only texts were agreed to."""
    fails(weeks, 30006)
    weeks.until(2.9)
    assert (weeks.line.tasks(), len(weeks.line.stage.sandbox.calls)) == (["landline"], 0)


def test_an_opt_out_that_the_carrier_reports_late_is_kept_and_takes_everything_back(weeks: Weeks) -> None:
    """21610 by callback, of a text of ours and of a reply in a webhook."""
    fails(weeks, 21610)
    weeks.until(1.01)
    assert weeks.line.record().opted_out
    fails(weeks, None)
    assert weeks.until(40) == []
    reports = reports_of(weeks)
    for number, known in (("+17135550199", False), ("+17135550188", True)):
        if known:
            weeks.line.app.conversation.hear(number, "sms", "hi", "SMy")
        reports.delivered("SM" + number[-4:] * 8, "failed", 21610, None, number)
        assert weeks.line.record(number).opted_out
    reports.delivered("SM" + "9" * 32, "undelivered", 30005, None, "+17135550177")
    assert weeks.line.store.load(weeks.line.patient("+17135550177"), "").record is None, (
        "a stranger of whom nothing is kept"
    )


def test_a_number_that_is_not_registered_stops_sending_and_its_text_goes_once_a_person_has_corrected_it(
    weeks: Weeks,
) -> None:
    """30034 by callback: one task, the work is kept."""
    fails(weeks, 30034)
    weeks.until(1.05)
    store, now = weeks.line.store, weeks.line.stage.clock
    assert [stop.cause for stop in stops_in_force(store, now())] == ["configuration"]
    assert starts(weeks).count(LINK_AGAIN) == 1
    fails(weeks, None)
    resume(store, "admin", now(), weeks.line.office.gate.zone)
    weeks.until(1.95)  # what was held is looked at again within hours, the night left out
    assert starts(weeks).count(LINK_AGAIN) == 2
    assert weeks.line.tasks() == []


def test_a_text_of_a_campaign_that_was_cancelled_is_not_sent_again(line: Line) -> None:
    """The campaign is asked like for a first send (P5)."""
    store, now = line.store, line.stage.clock()
    sender: Any = line.office.outreach
    told = {"c": "gone123", "sg": 1}
    out = sender.holds(store.new_effect_id("p"), told, now)
    assert (out.body, out.why) == (None, "cancelled")
    sender.roster.create("gone123", {}, now, "ana")
    assert sender.holds(store.new_effect_id("p"), told, now).later > now, "it is being entered"
    sender.roster.turn("gone123", ["entering"], "running", now, "ana", "begun")
    assert sender.holds(store.new_effect_id("p"), told, now) is None


def test_when_a_code_is_tried_again() -> None:
    """Bounded, spread, and a daily cap of the phone companies after their midnight."""
    noon = datetime(2026, 1, 5, 12, tzinfo=PACIFIC).timestamp()
    for code, waits in RETRIES.items():
        assert due_again(code, len(waits), noon, "x") is None
        assert sum(waits) * 1.5 < LATEST
        for tried, wait in enumerate(waits):
            assert noon + wait <= (due_again(code, tried, noon, f"e{tried}") or 0) <= noon + wait * 1.5
    assert len({due_again(30003, 0, noon, str(one)) for one in range(50)}) > 30
    for code in DAILY_CAP:
        due = due_again(code, 0, noon, "x") or 0
        assert 12 * 3600 + 600 <= due - noon <= 12 * 3600 + 4200
        assert due_again(code, 1, noon, "x") is None
    assert due_again(30007, 0, noon, "x") is None, "the same words would be filtered again"
    assert RETRIES.keys() >= UNREGISTERED
