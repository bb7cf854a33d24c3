"""A stated ZIP code counts at every door that writes on its own, whatever the number says: a number of Chicago in Honolulu,
where it is four hours earlier."""

from __future__ import annotations

import pytest

from bot.consent import Hours, hours_for
from bot.places import zones_of
from bot.record import from_bytes, to_bytes
from bot.store.store import Store
from tests.outreach_stage import NOON, Clinic, phone, rows
from tests.test_plan import MONDAY, PHONE, TO_PMR, Weeks

HOUR = 1 / 24
OPENS = 1 * HOUR  # at 13:00 in Chicago it is nine in Honolulu


def by_place(whereabouts: str) -> Hours:
    return hours_for(zones_of(whereabouts), "America/Chicago", "09:00", "20:00")


@pytest.fixture
def weeks() -> Weeks:
    found = Weeks()
    found.conversation.hours = by_place
    return found


def test_a_follow_up_waits_for_the_morning_of_the_stated_place(weeks: Weeks) -> None:
    weeks.say(*TO_PMR, "yes", "no", "ZIP 96813")
    assert weeks.until(1 + 0.9 * OPENS) == []
    assert len(weeks.until(1 + 2 * OPENS)) == 1


def test_a_nudge_waits_for_the_morning_of_the_stated_place(weeks: Weeks) -> None:
    weeks.say("hi", "yes", "ZIP 96813")
    assert weeks.until(0.9 * OPENS) == []
    assert "Still there" in weeks.until(1.1 * OPENS)[0]


def test_the_last_look_before_the_carrier_knows_the_stated_place(weeks: Weeks) -> None:
    weeks.say(*TO_PMR, "yes", "no")
    told = {"n": "F2", "f": "triage", "p": "p"}
    for zip_code, goes in (("", True), ("96813", False)):
        record = to_bytes(weeks.record.but(zip_code=zip_code))
        assert weeks.conversation.still("p", "e1", "follow_up", told, record, call=False).go is goes


def test_a_planned_call_waits_for_the_morning_of_the_stated_place(weeks: Weeks) -> None:
    weeks.say(*TO_PMR, "yes", "no", "ZIP 96813")
    body = {"f": "check_in", "needs": "outreach"}
    weeks.conversation.agree(
        PHONE, "form", tuple(one._replace(purpose="outreach", channel="any") for one in weeks.record.consents)
    )
    found = weeks.conversation.place_call("p", "c1", body)
    assert (found.call, found.why, found.later) == (False, "quiet hours", found.later)
    assert found.later is not None
    assert MONDAY + 3600 <= found.later < MONDAY + 2 * 3600


def test_a_recipient_of_a_campaign_waits_for_the_morning_of_the_stated_place(store: Store) -> None:
    clinic = Clinic(store, hours=by_place)
    clinic.conversation.hear(phone(0), "sms", "ZIP 96813", "z1")
    clinic.until(NOON + 2 * 86_400, 3600)
    clinic.campaigns.send(clinic.plan(rows(2)), "ana")
    clinic.until(NOON + 2 * 86_400 + 3000, 600)
    assert dict(clinic.line.taken) == {phone(1): 1}
    patient = store.cipher.patient_id(phone(0))
    assert from_bytes(clinic.roster.load([patient])[patient][0]).sent == ()  # nor decided yet: its timers begin with it
    clinic.until(NOON + 2 * 86_400 + 7200, 600)
    assert dict(clinic.line.taken) == {phone(0): 1, phone(1): 1}
