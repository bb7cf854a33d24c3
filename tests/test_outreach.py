"""Outreach: every row has its reason, and a campaign loses nobody and asks nobody twice."""

from __future__ import annotations

import csv
import io
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import replace
from threading import Event
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from bot.calls import answered
from bot.decide import take
from bot.followups import carry_out
from bot.forget import erase_patient
from bot.outreach.campaigns import CampaignError
from bot.outreach.opening import opening
from bot.outreach.pacing import Pace, times
from bot.outreach.roster import parts_of
from bot.outreach.steps import PARK_SECONDS
from bot.record import Consent, Record, from_bytes, to_bytes
from bot.sending import pause as stop_all
from bot.sending import resume as go_on
from bot.store.store import Store
from bot.turn import Input
from bot.undelivered import Lost
from tests.outreach_stage import HEAD, NOON, OURS, ZONE, Clinic, phone, rows


@pytest.fixture
def clinic(store: Store) -> Clinic:
    return Clinic(store)


def test_every_row_has_its_reason(clinic: Clinic, store: Store) -> None:
    """Twelve rows, eleven reasons, one recipient."""
    talk = clinic.conversation
    talk.hear(phone(1), "sms", "hi", "a1")
    talk.hear(phone(2), "sms", "hi", "b1")
    talk.hear(phone(2), "sms", "STOP", "b2")
    talk.not_arrived(store.cipher.patient_id(phone(3)), "n3", Lost("0-x", "text", {}, 30006))
    table = [
        ("", "yes", "form", "no_phone"), ("12345", "yes", "form", "bad_phone"), ("1.71E+10", "yes", "form", "damaged_phone"),
        ("+14165550142", "yes", "form", "region"), ("+18005550142", "yes", "form", "no_person"),
        ("(713) 200-0000", "yes", "form", None), (phone(0), "yes", "form", "duplicate"),
        (phone(1), "yes", "form", "open_session"), (phone(2), "yes", "form", "opted_out"),
        (phone(3), "yes", "form", "landline"), (phone(4), "", "", "no_consent"), (phone(5), "yes", "", "no_source"),
        (phone(6), "no", "form", "said_no"),
    ]  # fmt: skip
    plan = clinic.plan(HEAD + "".join(f"{number},en,{yes},{source},\n" for number, yes, source, _ in table))
    assert [row.why for row in plan.rows] == [why for *_, why in table]
    assert [one.row for one in plan.examples] == [7]
    told = list(csv.reader(io.StringIO("".join(clinic.campaigns.plan_lines(plan)))))
    assert told[7][-2:] == ["refused", "the same number is in an earlier row (row 7)"]
    assert not [cell for line in told for cell in line if cell.lstrip().startswith(("=", "+", "-", "@"))]


def test_a_plan_changes_nothing_and_says_what_the_patient_will_get(clinic: Clinic, store: Store) -> None:
    """The example of the plan is, word for word, what is sent."""
    clinic.plan(rows(1))  # a new store makes its identity
    before = set(store.client.keys())
    plan = clinic.plan(rows(6))
    assert set(store.client.keys()) == before
    assert plan.cost == sum(plan.segments[row.language("en")] for row in plan.accepted) * 12_000
    said: list[str] = []
    clinic.line.text = lambda to, body, effect: said.append(body) or "SM1"  # type: ignore[method-assign,func-returns-value]
    clinic.campaigns.send(plan, "ana")
    clinic.until(NOON + 10, 1.0)
    assert sorted(set(said)) == sorted({one.body for one in plan.examples})


def test_the_pace_begins_slowly_and_waits_for_each_zone() -> None:
    """100 in the first hour, 200 in the second; a zone that is still asleep lets the other go first."""
    from bot.consent import hours_for

    hours = {
        0: hours_for(("America/Chicago",), ZONE, "09:00", "20:00"),
        1: hours_for(("America/Los_Angeles",), ZONE, "09:00", "20:00"),
    }
    found = list(times([0] * 300, [1] * 300, hours, Pace(10, 100), NOON))
    assert found[100][1] - NOON == pytest.approx(3600)
    assert found[299][1] - NOON == pytest.approx(7200, abs=30)
    morning = NOON - 3 * 3600  # 09:00 in Chicago, 07:00 in Los Angeles
    order = list(times([1, 0, 1, 0], [1] * 4, hours, Pace(1), morning))
    assert [index for index, _ in order] == [1, 3, 0, 2]
    assert order[2][1] == morning + 2 * 3600


def test_a_campaign_of_300_rows_survives_deaths_pause_and_resume(clinic: Clinic, store: Store) -> None:
    """Workers die on both sides of the carrier all the time; nobody is lost, nobody is sent to twice."""
    plan = clinic.plan(rows(300))
    assert len(plan.accepted) == 300
    campaign = clinic.campaigns.send(plan, "ana")
    clinic.line.deadly = 0.15
    clinic.until(NOON + 12, 1.0)
    clinic.campaigns.pause(campaign, "ana")
    before = sum(clinic.line.taken.values())
    clinic.until(NOON + 60, 5.0)
    assert before == sum(clinic.line.taken.values()) < 200
    clinic.campaigns.resume(campaign, "ben")
    clinic.line.deadly = 0.15
    clinic.until(NOON + 100, 2.0)
    clinic.until(NOON + 700, 20.0)
    clinic.line.deadly = 0.0
    clinic.until(NOON + 1500, 50.0)
    counts = clinic.campaigns.progress(campaign).counts
    assert max(clinic.line.taken.values()) == 1
    flagged = [task for task in store.tasks() if task.kind == "ambiguous_send"]
    assert counts["sent"] + counts["unknown"] == 300
    assert len(flagged) == counts["unknown"] == sum(state.count("unknown") for state in clinic.states(campaign)) < 40
    assert len(clinic.line.taken) >= counts["sent"]
    assert clinic.campaigns.progress(campaign).state == "done"


def test_cancel_takes_back_all_who_wait_and_is_for_good(clinic: Clinic, store: Store) -> None:
    campaign = clinic.campaigns.send(clinic.plan(rows(40)), "ana")
    clinic.until(NOON + 1, 0.5)
    clinic.campaigns.cancel(campaign, "ana")
    sent = sum(clinic.line.taken.values())
    clinic.until(NOON + 30_000, 3_000)
    assert sum(clinic.line.taken.values()) == sent < 40
    assert clinic.campaigns.progress(campaign).counts == {"sent": sent, "cancelled": 40 - sent}
    with pytest.raises(CampaignError, match="cancelled"):
        clinic.campaigns.resume(campaign, "ana")


@pytest.mark.parametrize("does", ["cancel", "pause"])
def test_a_send_that_never_reached_the_carrier_ends_with_its_campaign(clinic: Clinic, does: str) -> None:
    """The worker died before the carrier; it is looked up, not sent, and does not look for ever."""
    campaign = clinic.campaigns.send(clinic.plan(rows(6)), "ana")
    clinic.line.deadly = 1.0
    clinic.line.dice = type("Before", (), {"random": lambda self: 0.0})()
    clinic.until(NOON + 10, 2.0)
    getattr(clinic.campaigns, does)(campaign, "ana")
    clinic.line.deadly = 0.0
    clinic.until(NOON + 400, 20.0)
    assert not clinic.line.taken
    left = {"cancelled": 6} if does == "cancel" else {"queued": 6}
    assert clinic.campaigns.progress(campaign).counts == left
    waiting = [one for bucket in range(3) for one in clinic.store.claim(bucket, clinic.at + 100_000)]
    assert sum(parts_of(one.id) is not None for one in waiting) == (0 if does == "cancel" else 6)


def test_a_large_campaign_needs_a_second_person(store: Store) -> None:
    clinic = Clinic(store, approval=5)
    campaign = clinic.campaigns.send(clinic.plan(rows(6)), "ana")
    clinic.until(NOON + 30_000, 3_000)
    assert not clinic.line.taken
    with pytest.raises(CampaignError, match="another person"):
        clinic.campaigns.approve(campaign, "Ana")
    clinic.at = NOON + 86_400
    clinic.campaigns.approve(campaign, "ben")
    clinic.until(NOON + 86_430, 1)
    assert sum(clinic.line.taken.values()) == 6


def test_sending_that_died_half_way_goes_on_with_the_same_file_and_never_again_after(
    clinic: Clinic, store: Store
) -> None:
    """The second try enters who is missing; a third is refused."""
    plan = clinic.plan(rows(1200))
    entered, whole = 0, clinic.roster.enter

    def dying(campaign: str, some: Any) -> Any:
        nonlocal entered
        entered += 1
        if entered == 2:
            whole(campaign, some[:100])
            raise KeyboardInterrupt
        return whole(campaign, some)

    clinic.roster.enter = dying  # type: ignore[method-assign]
    with pytest.raises(KeyboardInterrupt):
        clinic.campaigns.send(plan, "ana")
    assert clinic.campaigns.progress(plan.mark).state == "entering"
    clinic.work()
    assert not clinic.line.taken
    clinic.campaigns.send(clinic.plan(rows(1200)), "ana")
    assert clinic.campaigns.progress(plan.mark).counts == {"queued": 1200}
    assert "sent with this flow before" in str(clinic.plan(rows(1200)).blockers[0])


def test_who_stops_between_plan_and_turn_is_not_written_to(clinic: Clinic) -> None:
    """The consent is asked at the moment of sending; the result says why."""
    campaign = clinic.campaigns.send(clinic.plan(rows(3)), "ana")
    clinic.conversation.hear(phone(1), "sms", "STOP", "s1")
    clinic.until(NOON + 10, 1.0)
    assert phone(1) not in clinic.line.taken
    results = list(csv.reader(io.StringIO("".join(clinic.campaigns.result_lines(campaign)))))
    assert [(row[0], row[2], row[3]) for row in results[1:]] == [
        ("2", "sent", "the carrier has it"), ("3", "not_sent", "opted out"), ("4", "sent", "the carrier has it")
    ]  # fmt: skip


def test_who_stops_between_plan_and_send_does_not_even_enter(clinic: Clinic, store: Store) -> None:
    """Judged once more with the newest record, in the same step that enters; the result says why."""
    plan = clinic.plan(rows(3))
    clinic.conversation.hear(phone(1), "sms", "STOP", "s1")
    campaign = clinic.campaigns.send(plan, "ana")
    assert clinic.states(campaign) == ["queued", "", "queued"]
    assert '"3","' in (told := "".join(clinic.campaigns.result_lines(campaign)))
    assert '"refused","this patient has opted out"' in told


def test_a_campaign_that_goes_on_finds_whom_a_worker_had_in_hand_and_put_off(clinic: Clinic, store: Store) -> None:
    """A worker saw the pause, staff went on, and then the worker put its recipient off for hours: half a minute later they
    are looked for, and nobody waits longer than that."""
    clinic.at = NOON + 12 * 3600.0  # at night, so that the first times are given and done with
    campaign = clinic.campaigns.send(clinic.plan(rows(1)), "ana")
    clinic.until(clinic.at + 60, 20)
    clinic.campaigns.pause(campaign, "ana")
    clinic.at = NOON + 22 * 3600.0
    (claim,) = (one for bucket in range(3) for one in store.claim(bucket, clinic.at))
    clinic.campaigns.resume(campaign, "ben")
    clinic.work()
    store.put_off(claim.id, clinic.at + PARK_SECONDS, fresh=True, fence=claim.till)
    assert (parked := store.effect(claim.id)) is not None
    assert parked.due == clinic.at + PARK_SECONDS
    clinic.until(clinic.at + 20, 5)
    assert not clinic.line.taken
    clinic.until(clinic.at + 20, 5)
    assert sum(clinic.line.taken.values()) == 1


def test_cancel_takes_everybody_back_at_once_and_not_when_their_time_comes(clinic: Clinic) -> None:
    clinic.at = NOON + 12 * 3600.0  # at night: they wait for the morning, and nothing else is left to do
    campaign = clinic.campaigns.send(clinic.plan(rows(30)), "ana")
    clinic.until(clinic.at + 60, 20)
    clinic.campaigns.cancel(campaign, "ana")
    clinic.work()
    assert clinic.campaigns.progress(campaign).counts == {"cancelled": 30}
    assert not [one for bucket in range(3) for one in clinic.store.claim(bucket, clinic.at + 1e6) if parts_of(one.id)]


def test_while_sending_is_stopped_nothing_leaves_that_may_have_been_sent_or_that_answers_a_silence(
    clinic: Clinic, store: Store
) -> None:
    """The worker died before the carrier, and somebody stopped all sending: it is looked for, and waits; so does a nudge."""
    clinic.conversation.hear(phone(9), "sms", "hi", "h1")
    nudges: list[str] = []
    whole = clinic.line.text

    def text(to: str, body: str, effect: str) -> str:
        if to == phone(9):
            nudges.append(body)
        return whole(to, body, effect)

    clinic.line.text = text  # type: ignore[method-assign]
    clinic.campaigns.send(clinic.plan(rows(3)), "ana")
    clinic.line.deadly, clinic.line.dice = 1.0, type("Before", (), {"random": lambda self: 0.0})()
    clinic.until(NOON + 10, 2.0)
    stop_all(store, "a wrong text", "ben", clinic.at)
    clinic.line.deadly = 0.0
    clinic.until(NOON + 3600, 60.0)
    assert (dict(clinic.line.taken), nudges) == ({}, [])
    go_on(store, "ben", clinic.at, ZoneInfo(ZONE))
    clinic.until(NOON + 4200, 20.0)
    assert sum(clinic.line.taken.values()) == 3
    assert len(nudges) == 1


def test_who_begins_to_write_before_their_turn_is_not_talked_into_and_one_a_day_counts_campaigns_too(
    clinic: Clinic,
) -> None:
    campaign = clinic.campaigns.send(clinic.plan(rows(2)), "ana")
    clinic.conversation.hear(phone(0), "sms", "hi", "h1")
    clinic.until(NOON + 10, 1.0)
    assert clinic.states(campaign) == ["not_sent|in a conversation", "sent"]
    assert dict(clinic.line.taken) == {phone(1): 1}
    (raw, _), *_ = clinic.roster.load([clinic.store.cipher.patient_id(phone(1))]).values()
    assert from_bytes(raw).sent == pytest.approx((NOON,), abs=10)  # what the caps count


def test_the_switch_and_a_full_inbox_hold_a_campaign(store: Store) -> None:
    clinic = Clinic(store, open_tasks=50)
    clinic.campaigns.send(clinic.plan(rows(3)), "ana")
    stop_all(store, "a wrong text", "ben", clinic.at)
    clinic.until(NOON + 1000, 100)
    assert not clinic.line.taken
    go_on(store, "ben", clinic.at, ZoneInfo(ZONE))
    for number in range(50):
        clinic.conversation.note(store.cipher.patient_id(f"x{number}"), f"t{number}", tasks=("person",))
    clinic.until(NOON + 4000, 100)
    assert not clinic.line.taken
    for task in store.tasks():
        store.close_task(task, "ben")
    clinic.until(NOON + 6000, 100)
    assert sum(clinic.line.taken.values()) == 3


def test_what_a_full_inbox_held_back_leaves_at_the_pace_of_the_first_hour(store: Store) -> None:
    """Sixty recipients wait for two hours; when the inbox is empty again, they do not leave all at once."""
    clinic = Clinic(store, rate=10.0, first_hour=20, open_tasks=50)
    clinic.campaigns.send(clinic.plan(rows(60)), "ana")
    for number in range(50):
        clinic.conversation.note(store.cipher.patient_id(f"x{number}"), f"t{number}", tasks=("person",))
    clinic.until(NOON + 2 * 3600, 300)
    assert not clinic.line.taken
    for task in store.tasks():
        store.close_task(task, "ben")
    start = clinic.at
    clinic.until(start + 3600, 60)
    first = sum(clinic.line.taken.values())
    clinic.until(start + 2 * 3600, 60)
    second = sum(clinic.line.taken.values()) - first
    assert 15 <= first <= 21
    assert 30 <= second <= 41
    assert max(clinic.line.taken.values()) == 1


def test_each_failure_is_a_task_of_its_own(clinic: Clinic, store: Store) -> None:
    """Of patients who never had a conversation, and again after the first was closed."""
    for number in range(9):
        clinic.conversation.note(store.cipher.patient_id(f"x{number}"), "n", tasks=("undelivered",))
    assert len(store.tasks()) == 9
    store.close_task(store.tasks()[0], "ana")
    clinic.at += 1
    clinic.conversation.note(store.cipher.patient_id("x0"), "n2", tasks=("undelivered",))
    clinic.conversation.note(store.cipher.patient_id("x0"), "n2", tasks=("undelivered",))
    assert len(store.tasks()) == 9


def test_what_the_carrier_reports_reaches_the_campaign_once(clinic: Clinic, store: Store) -> None:
    """Late, twice and out of order: delivered stays delivered, a failure has its code."""
    campaign = clinic.campaigns.send(clinic.plan(rows(2)), "ana")
    clinic.until(NOON + 5, 1.0)
    first, second = (clinic.roster.effect(campaign, store.cipher.patient_id(phone(n)), n + 2) for n in (0, 1))
    for status in ("delivered", "sent", "delivered", "undelivered"):
        clinic.reports.delivered("SM" + "1" * 32, status, 30003 if status == "undelivered" else None, first)
    clinic.reports.delivered("SM" + "1" * 32, "undelivered", 30005, second)
    assert clinic.campaigns.progress(campaign).counts == {"delivered": 1, "failed": 1}
    assert "Ask for the right number. (30005)" in "".join(clinic.campaigns.result_lines(campaign))


def test_who_does_not_answer_the_text_is_called_and_who_does_is_not(clinic: Clinic) -> None:
    clinic.campaigns.send(clinic.plan(rows(2), call_after_hours=25), "ana")
    clinic.until(NOON + 5, 1.0)
    clinic.conversation.hear(phone(0), "sms", "yes", "y1")
    clinic.at = NOON + 26 * 3600
    clinic.until(NOON + 26 * 3600 + 100, 20)
    assert dict(clinic.line.calls) == {phone(1): 1}


def test_after_an_injury_the_words_are_those_of_an_injury(clinic: Clinic) -> None:
    """Staff say it of everybody; example, text and call have it, and it is another campaign than that after an operation."""
    told = {"flow": "outreach", "told": {"cause": "injury"}}
    text = rows(1) + f"{phone(5)},es,yes,form,yes\n"
    plan = clinic.plan(text, **told)
    bodies: list[str] = []
    clinic.line.text = lambda to, body, effect: bodies.append(body) or "SM1"  # type: ignore[method-assign,func-returns-value]
    clinic.campaigns.send(plan, "ana")
    clinic.until(NOON + 10, 1.0)
    assert sorted(bodies) == sorted(one.body for one in plan.examples)
    assert ["after your care" in body or "después de su atencion" in body for body in bodies] == [True, True]
    effect = "0-x.1"
    body = {"c": "x", "f": "outreach", "v": "call", "cf": "outreach", "k": {"cause": "injury"}}
    consents = (Consent("outreach", True, 1.0, "t", "", "call"),)
    made = opening(
        clinic.conversation.clinic,
        "p",
        Record(phone(9), consents=consents),
        effect,
        body,
        clinic.conversation.hours(""),
        NOON,
    )
    record = from_bytes(to_bytes(made.turn.record))
    said = answered(clinic.conversation.clinic, "p", record, effect, "human", NOON + 9)
    yes = take(clinic.conversation.clinic, "p", said.record, Input("voice", "yes", step=said.heard.step), NOON + 20)
    assert "after your care" in " ".join(yes.heard.says)
    other = clinic.plan(text, flow="outreach")
    assert other.mark != plan.mark
    assert "after your procedure" in clinic.plan(rows(1, 50), flow="outreach").examples[0].body
    for bad in ({"cause": "flu"}, {"textable": "no"}, {"agreed": "yes"}):
        assert "cannot be told" in str(clinic.plan(text, flow="outreach", told=bad).blockers[0])


def test_a_patient_who_chose_a_language_is_planned_and_written_to_in_it(clinic: Clinic) -> None:
    """Whatever the file says; the plan's price is that of the text that goes out."""
    clinic.conversation.hear(phone(0), "sms", "hola, me duele la espalda", "h1")
    clinic.conversation.hear(phone(0), "sms", "REINICIAR", "h2")
    clinic.until(NOON + 2 * 86_400, 3_600)
    plan = clinic.plan(HEAD + f"{phone(0)},en,yes,form,\n")
    assert [one.language for one in plan.examples] == ["es"]
    clinic.campaigns.send(plan, "ana")
    clinic.until(clinic.at + 10, 1.0)
    assert [body for *_, body in clinic.line.log] == [plan.examples[0].body]


def test_two_campaigns_share_one_pace(store: Store) -> None:
    """Ten a second for the sender, not for each campaign, whatever was planned."""
    clinic = Clinic(store, rate=10.0)
    for start in (0, 1000):
        clinic.campaigns.send(clinic.plan(rows(60, start)), "ana")
    clinic.until(NOON + 30, 0.1)
    moments = [at for at, *_ in clinic.line.log]
    assert len(moments) == 120
    each = [sum(second <= at - NOON < second + 1 for at in moments) for second in range(12)]
    assert max(each) <= 12


def test_one_slow_send_holds_up_nobody(clinic: Clinic) -> None:
    """Threads of one worker: the first waits at the carrier until all others are through."""
    campaign = clinic.campaigns.send(clinic.plan(rows(30)), "ana")
    others, first, whole = Event(), Event(), clinic.line.text

    def text(to: str, body: str, effect: str) -> str:
        sid = whole(to, body, effect)
        if not first.is_set():
            first.set()
            assert others.wait(20)
        if len(clinic.line.taken) == 30:
            others.set()
        return sid

    clinic.line.text = text  # type: ignore[method-assign]
    clinic.at = NOON + 60
    with ThreadPoolExecutor(4) as pool:
        given: list[Future[None]] = []

        def submit(*work: Any) -> Future[None]:
            given.append(pool.submit(*work))
            return given[-1]

        clinic.executor = replace(clinic.executor, submit=submit)
        for _ in range(40):  # at its pace, 0.1 s apart
            clinic.work()
            # All are done but the one that waits at the carrier, once there is one.
            while len(busy := [one for one in given if not one.done()]) > first.is_set():
                wait(busy, timeout=0.05, return_when=FIRST_COMPLETED)
            clinic.at += 0.5
    assert clinic.campaigns.progress(campaign).counts == {"sent": 30}
    assert set(clinic.line.taken.values()) == {1}


def test_a_record_that_was_erased_is_nobody_to_write_to(clinic: Clinic) -> None:
    told = {"c": "x", "f": "triage", "v": "sms"}
    hours = clinic.conversation.hours("")
    made = opening(clinic.conversation.clinic, "p", Record(""), "0-x.1", told, hours, NOON)
    assert (made.body, made.call) == (None, False)
    willing = Record(OURS, consents=(Consent("outreach", True, 1.0, "t"),))
    assert opening(clinic.conversation.clinic, "p", willing, "0-x.1", told, hours, NOON).body


def test_a_recipient_erased_while_a_worker_holds_the_effect_ends_as_erased(clinic: Clinic, store: Store) -> None:
    """Also in the roster; it is no fault of ours, and nothing is sent."""
    made = clinic.campaigns.send(clinic.plan(rows(1)), "ana")
    patient = store.cipher.patient_id(phone(0))
    clinic.campaigns.steps.go_on("step", made)
    clinic.at = NOON + 5
    claim = next(one for bucket in range(3) for one in store.claim(bucket, clinic.at) if parts_of(one.id))
    begun = store.begin(claim)
    erase_patient(store, patient, clinic.at)
    result = carry_out(clinic.office, claim, begun)
    assert (result.status, result.why) == ("done", "This patient was erased.")
    assert clinic.line.log == []
    assert clinic.states(made) == ["not_sent|This patient was erased."]
    assert clinic.campaigns.progress(made).counts == {"not_sent": 1}  # the campaign itself names nobody
