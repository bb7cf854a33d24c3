"""Follow-ups: what is planned is what is sent, once, to whom agreed, when it is day; the check-in always re-screens."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest

from bot.catalog import make_clinic
from bot.consent import hours_for
from bot.conversation import Conversation
from bot.outgoing import Outgoing
from bot.plan import due_effect, judge
from bot.record import Consent, Record, from_bytes, to_bytes
from bot.store.memory import MemoryStore

PHONE = "+17135550142"
MONDAY = 1_764_007_200.0  # 24 November 2025, 12:00 in Chicago
DAY = 86_400.0
TO_PMR = ("hi", "yes", "no", "no", "no", "9")
TO_PT = ("hi", "yes", "no", "no", "no", "3", "2", "3", "1", "3")


@dataclass
class Weeks:
    """A patient, a clock, and whatever the ledger has due."""

    clock: list[float] = field(default_factory=lambda: [MONDAY])
    store: MemoryStore = field(default_factory=MemoryStore)
    language: str | None = "en"

    def __post_init__(self) -> None:
        self.ids = itertools.count()
        clinic = make_clinic(
            values={"clinic": "CLS Health", "phone": "(713) 555-0100"},
            link=lambda patient: (f"t{next(self.ids)}", "https://clinic.example/go/x"),
            new_id=lambda: f"s{next(self.ids)}",
            new_effect=lambda patient: f"e{next(self.ids)}",
            opt_out_mode="app",
            language=self.language,
        )
        hours = hours_for((), "America/Chicago", "09:00", "20:00")
        self.conversation = Conversation(
            clinic, self.store, lambda phone: "p", now=lambda: self.clock[-1], hours=lambda _: hours,
            render=lambda heard: (heard.text or "").encode(), booking={"pmr": "https://b.example/pmr"},
        )  # fmt: skip

    def say(self, *words: str) -> str:
        answer = b""
        for said in words:
            self.clock.append(self.clock[-1] + 5)
            answer = self.conversation.hear(PHONE, "sms", said, f"SM{next(self.ids)}")
        return answer.decode()

    def until(self, days: float) -> list[str]:
        """Move the clock and do what comes due on the way, as a worker does; the texts that went out."""
        end, sent = MONDAY + days * DAY, []
        while due := min(
            (one for one in self.store.effects.values() if one.due <= end), key=lambda e: e.due, default=None
        ):
            self.clock.append(max(self.clock[-1], due.due))
            body = json.loads(due.body)
            does: dict[str, Callable[..., Outgoing]] = {
                "silence": self.conversation.tick, "follow_up": self.conversation.follow_up, "text": self.conversation.asked_for,
            }  # fmt: skip
            out = does[due.kind]("p", due.id, body)
            if out.later is not None:
                self.store.effects[due.id] = type(due)(due.id, due.kind, out.later, due.body)
                continue
            self.store.effects.pop(due.id, None)
            if out.body:
                sent.append(out.body)
        self.clock.append(max(self.clock[-1], end))
        return sent

    def tasks(self) -> list[str]:
        return [one.kind for one in self.store.tasks.values()]

    @property
    def record(self) -> Record:
        return from_bytes(self.store.load("p", "-").record or b"")


@pytest.fixture
def weeks() -> Weeks:
    return Weeks()


def test_a_patient_who_agrees_gets_each_follow_up_once(weeks: Weeks) -> None:
    """The link on day 1, the check-in on day 3, the visit on day 7, PEG at two and six weeks, and nothing else."""
    weeks.say(*TO_PMR, "yes")
    assert [text[:30] for text in weeks.until(1.5)] == ["CLS Health: Do you still need "]
    assert ["check-in: How is the problem" in text for text in weeks.until(3.5)] == [True]
    assert "Any NEW: chest pain" in weeks.say("2")
    assert "Good to hear" in weeks.say("no")
    assert ["Did you set up your visit" in text for text in weeks.until(7.5)] == [True]
    assert "Good." in weeks.say("1")
    assert ["pain on average" in text for text in weeks.until(14.5)] == [True]
    assert "enjoyment" in weeks.say("5")
    assert "general activity" in weeks.say("5")
    assert "care team will see this" in weeks.say("5")
    assert ["pain on average" in text for text in weeks.until(42.5)] == [True]
    weeks.say("6", "7")
    assert weeks.tasks() == []
    weeks.say("8")
    assert weeks.tasks() == ["score"]
    assert weeks.until(120) == []
    assert weeks.record.scores == {"peg": (15, 21)}


def test_the_plan_says_what_then_happens(weeks: Weeks) -> None:
    """The times that were foreseen are the times at which the texts leave, night and jitter included."""
    weeks.clock[:] = [MONDAY + 11 * 3600]  # 23:00, so that every follow-up falls into the night
    weeks.say(*TO_PMR, "yes")
    weeks.say("no")  # to the baseline
    plan = weeks.conversation.upcoming("p")
    assert [one.name for one in plan] == ["F1", "F2", "F3", "F4", "F5"]
    assert all(one.local.endswith("CST") and " 09:" in one.local for one in plan)
    assert "the scheduling link is opened" in plan[0].cancelled_by
    for one in plan[:2]:
        assert one.at is not None
        assert weeks.until((one.at - 1 - MONDAY) / DAY) == []
        assert len(weeks.until((one.at - MONDAY) / DAY)) == 1
        weeks.say("2", "no")


def test_worse_is_a_task_at_once_and_therapy_becomes_the_doctor(weeks: Weeks) -> None:
    """I26, and the text that promises a call."""
    weeks.say(*TO_PT, "yes")
    assert weeks.record.result == "pt"
    weeks.until(3.5)
    assert "Any NEW" in weeks.say("worse")
    assert (weeks.record.result, weeks.tasks()) == ("pmr", ["worse"])
    assert "Our staff will call you" in weeks.say("no")


@pytest.mark.parametrize("answer", [("yes",), ("hm maybe", "kind of", "dunno")])
def test_yes_or_nothing_clear_to_the_re_screen_asks_the_full_screens(weeks: Weeks, answer: tuple[str, ...]) -> None:
    """I25: screen A from the top, a task, and nothing automatic until they are clear."""
    weeks.say(*TO_PT, "yes")
    weeks.until(3.5)
    weeks.say("better")
    assert "Do you have ANY of these now?" in weeks.say(*answer)
    assert weeks.tasks() == ["new_signs"]
    assert set(weeks.record.planned) <= {"silence"}
    session = weeks.record.session
    assert session is not None
    assert (session.flow, session.state, session.outcome, session.answers) == ("triage", "screen_a", None, {})
    assert "EMERGENCY" in weeks.say("yes")
    assert weeks.until(60) == []


def test_an_emergency_word_in_a_check_in_ends_all_follow_ups(weeks: Weeks) -> None:
    """I24: nothing automatic afterwards."""
    weeks.say(*TO_PMR, "yes")
    weeks.until(3.5)
    assert "EMERGENCY" in weeks.say("my chest hurts and i cant breathe")
    assert "emergency" in weeks.tasks()
    assert weeks.until(60) == []


def test_two_unanswered_in_a_row_end_them(weeks: Weeks) -> None:
    """The link and the check-in go out; then silence is respected."""
    weeks.say(*TO_PMR, "yes")
    assert len(weeks.until(60)) == 2


def test_stop_takes_back_what_is_planned_at_once(weeks: Weeks) -> None:
    """Nothing is left in the ledger to be suppressed later."""
    weeks.say(*TO_PMR, "yes")
    weeks.say("STOP")
    assert not [one for one in weeks.store.effects.values() if one.kind == "follow_up"]
    assert weeks.until(60) == []


def test_no_to_check_ins_is_recorded_and_obeyed(weeks: Weeks) -> None:
    """A later no outweighs an earlier yes; the wording that was shown is kept with it."""
    weeks.say(*TO_PMR, "yes")
    weeks.say("RESTART", *TO_PMR[1:], "no")
    assert [(one.granted, one.channel) for one in weeks.record.consents] == [(True, "text"), (False, "text")]
    assert weeks.record.consents[0].wording.startswith("followup_consent en ")
    assert weeks.until(60) == []


def test_a_late_reply_begins_anew_and_the_check_ins_go_on(weeks: Weeks) -> None:
    """Thanks, a day and a half later: hello and consent again; the check-in waits for that conversation, and comes."""
    weeks.say(*TO_PMR, "yes")
    weeks.until(2.9)
    assert "not a doctor" in weeks.say("thanks")
    assert ["check-in" in text for text in weeks.until(5) if "Still there" not in text and "closed" not in text] == [
        True
    ]


def test_a_check_in_in_spanish(weeks: Weeks) -> None:
    """The same walk in the patient's language."""
    spanish = Weeks(language="es")
    spanish.say("hola", "si", "no", "no", "no", "9", "si")
    assert "¿Como sigue?" in spanish.until(3.5)[-1]
    assert "¿Algo NUEVO" in spanish.say("igual")
    assert "Vaya a su cita" in spanish.say("no")


def test_scores_rise_by_the_mean_and_only_when_complete() -> None:
    """Every pair of sums: two points of the mean of three are six points of the sum."""
    from bot.catalog import load_flows
    from bot.session import Session, Step
    from bot.work import Work

    clinic: Any = Weeks().conversation.clinic
    loaded = load_flows()["peg"]
    for before, after in itertools.product(range(0, 31, 3), range(31)):
        p = max(0, after - 20)
        e = min(10, after - p)
        session = Session(
            "s", "peg", loaded.hash, "en", "sms", answers={"peg_p": p, "peg_e": e, "peg_g": after - p - e}
        )
        work = Work(clinic, "p", Record(PHONE, scores={"peg": (before, 30)}), Step(session), 0.0)
        work._do_score("peg")
        assert ("score" in work.tasks) is (after - before >= 6)
        assert work.record.scores["peg"] == (before, after)
    partial = Work(clinic, "p", Record(PHONE), Step(session.but(answers={"peg_p": 9, "peg_e": "unclear"})), 0.0)
    partial._do_score("peg")
    assert partial.record.scores == {}


# -- visits ----------------------------------------------------------------------------------------------------------

VISITS = (Consent("visits", True, 1.0, "booking form", "v1", "text", "patient"),)


def booked(weeks: Weeks, days: float, *, consent: bool = True) -> None:
    """A visit, *days* after Monday noon; the patient agreed to reminders in the booking form."""
    if consent:
        weeks.conversation.agree(PHONE, "form", VISITS)
    weeks.conversation.visit(PHONE, f"b{days}", "booked", MONDAY + days * DAY)


def test_a_reminder_comes_two_days_before_and_again_only_without_an_answer(weeks: Weeks) -> None:
    """1 keeps it and takes back the second; the day and hour are the clinic's."""
    weeks.say(*TO_PMR, "yes")
    booked(weeks, 10)
    (reminder,) = weeks.until(8.5)[-1:]
    assert "You have a visit Thu, Dec 4 at 12:00 PM. Reply 1 to keep it" in reminder
    assert "See you Thu, Dec 4 at 12:00 PM" in weeks.say("1")
    assert weeks.until(9.9) == []
    assert ["How did your visit go" in text for text in weeks.until(11.5)] == [True]


def test_no_answer_to_the_reminders_is_a_task_and_releases_nothing(weeks: Weeks) -> None:
    """Two texts, then a person."""
    booked(weeks, 10)
    assert len(weeks.until(9.9)) == 2
    assert weeks.tasks() == ["no_reply", "no_reply"]
    assert "released" not in weeks.record.facts


@pytest.mark.parametrize(("said", "released"), [("3", True), ("I can't come", True), ("2", False)])
def test_only_who_cannot_come_gives_the_visit_up(weeks: Weeks, said: str, released: bool) -> None:
    """Change and give up both make a task and offer a new time."""
    booked(weeks, 10)
    weeks.until(8.5)
    assert "Pick a new time: https://" in weeks.say(said)
    assert weeks.tasks() == ["visit_change"]
    assert ("released" in weeks.record.facts) is released


def test_who_gives_a_visit_up_is_nudged_again_and_not_asked_how_it_went(weeks: Weeks) -> None:
    """3: the link a day later, in a week whether a new one is set up; once the page says it too, nothing more of it."""
    weeks.say(*TO_PMR, "yes")
    weeks.until(3.5)
    weeks.say("better", "no")
    booked(weeks, 12)
    weeks.until(10.5)
    weeks.say("3")
    weeks.conversation.visit(PHONE, "gone", "cancelled")
    assert weeks.tasks() == ["visit_change"]
    assert {"F10", "F11"} <= set(weeks.record.planned)
    assert ["Do you still need a visit? Book: https://" in text for text in weeks.until(12.5)] == [True]
    assert not [text for text in weeks.until(14) if "How did your visit go" in text]
    booked(weeks, 20)
    assert {"F10", "F11"}.isdisjoint(weeks.record.planned)
    assert {"F6", "F7", "F8"} <= set(weeks.record.planned)


def test_a_booking_moves_the_clock_and_stops_the_nudges(weeks: Weeks) -> None:
    """F1 and F3 go; PEG counts from the visit; a cancelled visit takes its reminders back."""
    weeks.say(*TO_PMR, "yes", "no")
    booked(weeks, 10)
    plan = {one.name: one for one in weeks.conversation.upcoming("p")}
    assert set(plan) == {"F2", "F4", "F5", "F6", "F7", "F8"}
    assert plan["F4"].at is not None
    assert MONDAY + 24 * DAY <= plan["F4"].at < MONDAY + 25 * DAY
    weeks.conversation.visit(PHONE, "gone", "cancelled")
    assert {"F6", "F7", "F8"}.isdisjoint(weeks.record.planned)
    assert {"F10", "F11"} <= set(weeks.record.planned)
    assert weeks.tasks() == ["visit_cancelled"]


def test_a_missed_visit_gets_a_new_link_once(weeks: Weeks) -> None:
    """Two hours later; 1 gives the link."""
    booked(weeks, 0.1)
    weeks.clock.append(MONDAY + 0.15 * DAY)
    weeks.conversation.visit(PHONE, "missed", "missed")
    (text,) = weeks.until(0.3)
    assert "We missed you" in text
    assert "Pick a time: https://" in weeks.say("1")
    assert weeks.until(5) == []


def test_without_consent_to_reminders_none_is_sent_and_the_plan_says_why(weeks: Weeks) -> None:
    """Agreeing to check-ins is not agreeing to reminders."""
    weeks.say(*TO_PMR, "yes")
    booked(weeks, 10, consent=False)
    plan = {one.name: one for one in weeks.conversation.upcoming("p")}
    assert (plan["F6"].at, plan["F6"].why) == (None, "no consent")
    assert not [text for text in weeks.until(9.9) if "You have a visit" in text]


def test_feeling_worse_after_the_visit_asks_the_screens(weeks: Weeks) -> None:
    """I25 for the visit check-in."""
    weeks.say(*TO_PMR, "yes")
    booked(weeks, 2)
    weeks.until(1.5)
    weeks.say("1")
    assert "How did your visit go" in weeks.until(3.2)[-1]  # due a moment before the check-in, which waits
    assert "ANY of these now?" in weeks.say("3")


# -- outreach --------------------------------------------------------------------------------------------------------


def outreach(weeks: Weeks, **answers: str) -> str:
    """Staff begin it, as a campaign does: consent recorded by a file, an effect that names the flow."""
    consents = (Consent("outreach", True, 1.0, "file", "form 2", "any", "nurse"),)
    weeks.conversation.agree(PHONE, f"file{next(weeks.ids)}", consents)
    name = f"e{next(weeks.ids)}"
    record = weeks.record
    _, version = weeks.store.records["p"]
    weeks.store.records["p"] = (to_bytes(record.but(planned={**record.planned, "campaign": name})), version)
    body = {"n": "campaign", "w": "outreach", "needs": "outreach", "a": answers}
    return weeks.conversation.follow_up("p", name, body).body or ""


def test_outreach_asks_the_screens_the_flags_the_pain_and_the_plan(weeks: Weeks) -> None:
    """After surgery and after an injury the first line differs, and never names a body part."""
    assert "after your procedure" in outreach(weeks, cause="surgery")
    assert "ANY of these now?" in weeks.say("yes")
    assert "Any of these since you left" in weeks.say("no")
    assert "How bad is your pain now?" in weeks.say("no")
    assert "home plan" in weeks.say("5")
    assert "care team will see this" in weeks.say("yes")
    assert weeks.record.scores == {"pain": (5, 5)}
    weeks.until(8)
    assert "after your care" in outreach(weeks, cause="injury")
    weeks.say("yes", "no", "no", "8", "no")
    assert weeks.tasks() == ["score", "no_plan"]


@pytest.mark.parametrize(("said", "words"), [(("yes",), "EMERGENCY"), (("no", "yes"), "checked TODAY")])
def test_a_sign_in_outreach_is_an_emergency_or_urgent(weeks: Weeks, said: tuple[str, ...], words: str) -> None:
    """Screen A is 911, a flag after surgery is today."""
    outreach(weeks, cause="surgery")
    assert words in weeks.say("yes", *said)


@pytest.mark.parametrize("said", ["wrong number", "sorry you have the wrong person", "número equivocado"])
def test_a_wrong_number_ends_everything_and_staff_correct_it(weeks: Weeks, said: str) -> None:
    """It is read as STOP, and a person learns why; START takes it back."""
    weeks.say(*TO_PMR, "yes")
    assert weeks.say(said)
    assert weeks.tasks() == ["wrong_number"]
    assert "wrong_number" in weeks.record.facts
    assert weeks.until(60) == []
    weeks.say("START")
    assert "wrong_number" not in weeks.record.facts


def test_what_could_not_be_sent_in_its_time_is_a_task_not_a_late_text(weeks: Weeks) -> None:
    """The program was down for three weeks: the link, the check-in and the visit question are over, PEG is not."""
    weeks.say(*TO_PMR, "yes")
    weeks.clock.append(MONDAY + 20 * DAY)
    assert ["pain on average" in text for text in weeks.until(20)] == [True]
    assert set(weeks.tasks()) == {"not_sent"}


def test_a_conversation_that_is_open_is_not_talked_into(weeks: Weeks) -> None:
    """The check-in comes due while screens are being asked: it waits, and then it comes."""
    weeks.say(*TO_PMR, "yes")
    weeks.until(2.99)
    weeks.say("RESTART", "yes")
    due = next(one for one in weeks.store.effects.values() if one.kind == "silence")
    assert due.due > MONDAY + 2.99 * DAY
    session = weeks.record.session
    assert session is not None
    assert session.state == "screen_a"
    assert not [text for text in weeks.until(3.6) if "check-in" in text]


def test_what_was_taken_back_or_has_no_result_is_never_sent(weeks: Weeks) -> None:
    """A worker may hold an effect that a STOP has just removed; a check-in needs a recommendation to follow."""
    conversation, hours = weeks.conversation, hours_for((), "America/Chicago", "09:00", "20:00")
    due = due_effect("e1", {"n": "F2", "f": "triage", "d": MONDAY})
    agreed = Record(PHONE, consents=(Consent("follow_up", True, 1.0, "t"),), planned={"F2": "e1"}, result="pt")
    assert judge(conversation.clinic, agreed, due, hours, MONDAY).go
    assert judge(conversation.clinic, agreed.but(planned={"F2": "e2"}), due, hours, MONDAY).why == "taken back"
    assert judge(conversation.clinic, agreed.but(result=None), due, hours, MONDAY).why == "its condition does not hold"
