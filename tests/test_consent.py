"""Who is never written to by the bot on its own, and how often at most: each condition by itself (SPEC D, I24)."""

from __future__ import annotations

from datetime import UTC, datetime
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.catalog import load_flows
from bot.consent import DAY, JITTER, may_follow_up, may_still_send
from bot.consent import hours_for as hours_of
from bot.engine import Session
from bot.outreach.judge import Stated, consents_of, entered, refusal
from bot.plan import due_effect, judge, upcoming
from bot.plan_command import evidence
from bot.record import CLOSED, Channel, Consent, Record, from_bytes
from bot.store.store import Store
from tests.outreach_stage import NOON, Clinic, phone
from tests.test_plan import MONDAY, PHONE, Weeks

HOURS = hours_of((), "America/Chicago", "09:00", "20:00")
AGREED = (Consent("follow_up", True, 1.0, "t"), Consent("outreach", True, 1.0, "t"))
WILLING = Record(PHONE, consents=AGREED, result="pmr")
OVER = Session("s0", "triage", "h", "en", "sms", ended=True)


def texts_only(purpose: str) -> Consent:
    return Consent(purpose, True, 1.0, "t", "", "text")


# Why, whose, by which channel. Emergency covers a crisis: see below.
NEVER: list[tuple[str, Record, Channel]] = [
    ("opted out", WILLING.but(opted_out=True), "text"),
    ("opted out", WILLING.but(opted_out=True), "call"),
    ("wrong number", WILLING.but(facts=frozenset({"wrong_number"})), "text"),
    ("wrong number", WILLING.but(facts=frozenset({"wrong_number"})), "call"),
    ("no consent", WILLING.but(consents=()), "text"),
    ("no consent", WILLING.but(consents=(*AGREED, *(Consent(one.purpose, False, 2.0, "t") for one in AGREED))), "text"),
    ("no consent to calls", WILLING.but(consents=(texts_only("follow_up"), texts_only("outreach"))), "call"),
    ("a person has taken over", WILLING.but(owner="ana"), "text"),
    *(("a person follows up after an emergency", WILLING.but(result=one), "text") for one in ("emergency", "urgent")),
    *(("a person follows up after an emergency", WILLING.but(session=OVER.but(outcome=one)), "text")
      for one in ("emergency", "urgent")),
    ("a person follows up with a minor", WILLING.but(session=OVER.but(disposition="minor")), "text"),
    ("a landline takes no texts", WILLING.but(facts=frozenset({"landline"})), "text"),
    ("two follow-ups were not answered", WILLING.but(unanswered=2), "text"),
    ("two follow-ups were not answered", WILLING.but(unanswered=2), "call"),
]  # fmt: skip


@pytest.mark.parametrize("purpose", ["follow_up", "outreach"])
@pytest.mark.parametrize(("why", "record", "channel"), NEVER)
def test_each_reason_alone_keeps_everything_automatic_back_for_good(
    why: str, record: Record, channel: Channel, purpose: str
) -> None:
    assert may_follow_up(WILLING, purpose, HOURS, MONDAY, channel=channel).go
    verdict = may_follow_up(record, purpose, HOURS, MONDAY, channel=channel)
    assert (verdict.go, verdict.why, verdict.later) == (False, why, None)


def test_a_closed_matter_ends_follow_ups_but_not_what_staff_begin() -> None:
    closed = WILLING.but(facts=frozenset({CLOSED}))
    assert not may_follow_up(closed, "follow_up", HOURS, MONDAY).go
    assert may_follow_up(closed, "outreach", HOURS, MONDAY).go


def test_a_landline_and_one_silence_are_no_reason_against_a_call() -> None:
    assert may_follow_up(WILLING.but(facts=frozenset({"landline"})), "outreach", HOURS, MONDAY, channel="call").go
    assert may_follow_up(WILLING.but(unanswered=1), "follow_up", HOURS, MONDAY).go


def test_a_crisis_counts_as_an_emergency() -> None:
    assert load_flows()["triage"].flow.states["crisis"].outcome == "emergency"  # type: ignore[union-attr]


@given(st.lists(st.floats(0.0, 20 * DAY), min_size=1, max_size=25))
@settings(max_examples=60, deadline=None)
def test_whatever_is_due_when_no_patient_gets_more_than_one_a_day_and_three_a_week(dues: list[float]) -> None:
    """Each waits as long as it is told; what was to be sent is sent in the end, by day."""
    sent: list[float] = []
    for due in sorted(dues):
        at = max([MONDAY + due, *sent])
        for _ in range(10):
            verdict = may_follow_up(WILLING.but(sent=tuple(sent)), "follow_up", HOURS, at, salt=f"e{due}")
            if verdict.go:
                break
            assert verdict.later is not None
            assert verdict.later > at
            at = verdict.later
        assert verdict.go
        assert HOURS.open(at)
        sent.append(at)
    assert all(second - first >= DAY for first, second in pairwise(sent))
    assert all(sum(at <= one < at + 7 * DAY for one in sent) <= 3 for at in sent)


def test_the_caps_hold_no_longer_than_they_must() -> None:
    """A day after the last one, a week after the third last; at night until the morning, spread."""
    noon = may_follow_up(WILLING.but(sent=(MONDAY,)), "follow_up", HOURS, MONDAY + 60)
    assert noon.later == MONDAY + DAY
    week = may_follow_up(WILLING.but(sent=tuple(MONDAY - n * DAY for n in (5, 3, 1))), "follow_up", HOURS, MONDAY)
    assert week.later == MONDAY + 2 * DAY
    night = may_follow_up(WILLING, "follow_up", HOURS, MONDAY + 10 * 3600, salt="e1")
    assert night.later is not None
    assert 0 <= night.later - (MONDAY + 21 * 3600) < JITTER


# -- the plan of a campaign and the moment of sending ------------------------------------------------------------------

CHANNELS = st.sampled_from(["any", "text", "call"])
WORDS = st.lists(
    st.builds(lambda yes, by: Consent("outreach", yes, 1.0, "t", "", by), st.booleans(), CHANNELS), max_size=3
)
RECORDS = st.builds(
    lambda words, facts, outcome, disposition, result, stopped, owner, unanswered: Record(
        PHONE, session=OVER.but(outcome=outcome, disposition=disposition), consents=tuple(words), facts=facts,
        opted_out=stopped, owner=owner, result=result, unanswered=unanswered,
    ),
    WORDS, st.frozensets(st.sampled_from(["wrong_number", "landline", CLOSED, "booked"]), max_size=2),
    st.sampled_from([None, None, "pmr", "urgent"]), st.sampled_from([None, None, "minor", "expired"]),
    st.sampled_from([None, None, "pt", "emergency"]), st.sampled_from([False, False, False, True]),
    st.sampled_from([None, None, None, "ana"]), st.integers(0, 2),
)  # fmt: skip


@given(RECORDS, st.booleans(), st.booleans(), st.booleans())
@settings(max_examples=400, deadline=None)
def test_whom_a_campaigns_plan_accepts_is_written_to_or_called_when_it_is_their_turn(
    record: Record, states: bool, calls: bool, landlines: bool
) -> None:
    """And who said no or STOP is never made willing by a file: what is accepted by the plan is accepted by the last look."""
    stated = Stated("en", ("form", 2.0) if states else None, states and calls)
    if refusal(record, stated, False, landlines, MONDAY) is not None:
        return
    after = entered(record, PHONE, consents_of(record, stated, "ana", "f1"))
    channel: Channel = "call" if "landline" in record.facts else "text"
    assert may_follow_up(after, "outreach", HOURS, MONDAY, channel=channel).go
    assert all(one.granted for one in record.consents[-1:])


def test_what_a_file_states_is_evidence_with_its_source_its_day_and_who_entered_it(store: Store) -> None:
    """In the log of the patient, as their own answers are; a channel on which they have said something keeps their word."""
    clinic = Clinic(store)
    day = datetime.fromtimestamp(NOON - 30 * DAY, UTC).date().isoformat()
    head = "phone,consent,consent_source,consent_calls,consent_date\n"
    campaign = clinic.campaigns.send(clinic.plan(f"{head}{phone(0)},yes,intake form,yes,{day}\n"), "ana")
    events = store.events(store.cipher.patient_id(phone(0)))
    found = list(evidence(clinic.conversation, events))
    assert [(one["channel"], one["granted"], one["who"], one["wording"]) for one in found] == [
        ("text", True, "ana", campaign), ("call", True, "ana", campaign),
    ]  # fmt: skip
    assert all(one["source"] == f"file {campaign}, entered by ana: intake form" for one in found)
    assert all((one["given"][:10], one["at"][:10]) == (day, "2025-11-24") for one in found)
    (raw, _), *_ = clinic.roster.load([store.cipher.patient_id(phone(0))]).values()
    assert consents_of(from_bytes(raw), Stated("en", ("another form", 3.0), True), "ben", "f2") == ()  # a word stands
    clinic.until(NOON + 10, 1.0)
    clinic.conversation.hear(phone(0), "sms", "STOP", "s1")
    last = list(evidence(clinic.conversation, store.events(store.cipher.patient_id(phone(0)))))[-1]
    assert (last["purpose"], last["granted"], last["who"]) == ("all", False, "patient")


def test_a_patients_own_answer_is_evidence_with_the_words_that_were_shown_in_their_language() -> None:
    weeks = Weeks(language=None)
    weeks.say("hola", "si", "no", "no", "no", "9", "si")
    (found,) = evidence(weeks.conversation, [one for one in weeks.store.events["p"] if one])
    assert (found["purpose"], found["granted"], found["who"]) == ("follow_up", True, "patient")
    assert found["shown"].startswith("¿Podemos mandarle")
    assert found["source"].startswith("sms answer in triage ")


def test_what_waited_for_the_morning_leaves_in_the_window_also_where_it_is_short() -> None:
    """Twenty minutes are open: nobody is spread behind their end."""
    short = hours_of((), "America/Chicago", "09:00", "09:20")
    night = MONDAY + 9 * 3600
    for number in range(50):
        assert short.open(short.next_open(night, f"e{number}"))


# -- what a flow declares --------------------------------------------------------------------------------------------


def test_a_reminder_of_a_visit_that_is_over_and_the_link_of_an_older_conversation_are_never_sent() -> None:
    """Although nothing took them back: the program was down, or a booking page told us late."""
    clinic = Weeks().conversation.clinic
    consents = (*AGREED, Consent("visits", True, 1.0, "t"))
    record = WILLING.but(consents=consents, planned={"F6": "e6", "F1": "e1"}, visit_at=MONDAY + 60)
    reminder = due_effect("e6", {"n": "F6", "f": "appointment"})
    assert judge(clinic, record, reminder, HOURS, MONDAY).go
    assert judge(clinic, record.but(visit_at=MONDAY), reminder, HOURS, MONDAY).why == "the visit is over"
    link = due_effect("e1", {"n": "F1", "f": "triage", "d": MONDAY - 60, "s": "s1"})
    old = record.but(session=OVER.but(id="s1", outcome="pmr"))
    assert judge(clinic, old, link, HOURS, MONDAY).go
    newer = record.but(session=OVER.but(id="s2", outcome="pmr"))
    assert judge(clinic, newer, link, HOURS, MONDAY).why == "cancelled: a new conversation begins"


def test_the_plan_counts_what_leaves_before_against_the_caps_of_what_comes_after() -> None:
    """Three follow-ups that are due at the same moment are shown on three days, and a fourth in the next week."""
    clinic, names = Weeks().conversation.clinic, ("F2", "F3", "F4", "F5")
    record = WILLING.but(planned={name: f"e{name}" for name in names}, session=OVER.but(id="s1", outcome="pmr"))
    effects = [(f"e{name}", "follow_up", MONDAY, {"n": name, "f": "triage", "d": MONDAY, "s": "s1"}) for name in names]
    found = upcoming(clinic, record, effects, HOURS, MONDAY)
    leaves = [one.at for one in found if one.at is not None]
    assert leaves == [MONDAY, MONDAY + DAY, MONDAY + 2 * DAY, MONDAY + 7 * DAY]
    assert all("STOP" in " ".join(one.cancelled_by) for one in found)


def test_what_was_decided_is_asked_again_right_before_it_leaves() -> None:
    """A stop, a person, a closed matter, a landline, the night: of the record as it is then."""
    told = {"n": "F2", "f": "triage", "p": "p"}
    assert may_still_send(WILLING, "follow_up", told, lambda _: HOURS, MONDAY, call=False).go
    for record, why in (
        (WILLING.but(opted_out=True), "opted out since"), (WILLING.but(owner="ana"), "a person has taken over since"),
        (WILLING.but(facts=frozenset({CLOSED})), "the clinic has closed the matter"),
        (WILLING.but(facts=frozenset({"landline"})), "a landline takes no texts"),
    ):  # fmt: skip
        verdict = may_still_send(record, "follow_up", told, lambda _: HOURS, MONDAY, call=False)
        assert (verdict.go, verdict.why, verdict.later) == (False, why, None)
    assert (
        may_still_send(WILLING, "follow_up", told, lambda _: HOURS, MONDAY + 12 * 3600, call=False).later
        == MONDAY + 21 * 3600
    )
