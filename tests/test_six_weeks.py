"""Six weeks of a patient on the virtual clock: the real app behind signed webhooks, the real worker's job, the real client,
the local Twilio. Every line is what arrived on the phone, with its local time."""

from __future__ import annotations

from datetime import datetime

import pytest

from bot.plan_command import evidence
from bot.record import Consent
from bot.store import lanes
from bot.undelivered import Lost
from tests.call_stage import CHICAGO, Line
from tests.call_stage import line as line  # the fixture: one clinic on the local Twilio
from tests.sandbox_stage import PATIENT
from workers.executor import Executor

DAY = 86_400.0


class Weeks:
    """One patient's phone: what is texted, what arrives, and the days between."""

    def __init__(self, line: Line) -> None:
        self.line, self.start = line, line.stage.clock()
        self.worker = Executor(line.store, line.office, line.stage.clock)
        self.read = 0

    def say(self, *words: str) -> str:
        for said in words:
            self.line.stage.sandbox.text_in(PATIENT, said)
            self.line.stage.sandbox.settle()
        return self.new()[-1]

    def new(self) -> list[str]:
        texts = self.line.texts()
        fresh, self.read = texts[self.read :], len(texts)
        return fresh

    def until(self, days: float) -> list[tuple[str, str]]:
        """Every text that came on the way: (local time, first words)."""
        came, end, self.read = [], self.start + days * DAY, len(self.line.texts())
        while (due := self._next()) is not None and due <= end:
            self._to(due)
            for bucket in range(self.line.store.buckets):
                self.worker.drain(bucket)
            self.line.stage.sandbox.settle()
            at = datetime.fromtimestamp(self.line.stage.clock(), CHICAGO).strftime("%a %H:%M")
            came += [(at, text[:44]) for text in self.new()]
        self._to(end)
        return came

    def _next(self) -> float | None:
        return lanes.oldest(self.line.store.each)

    def _to(self, at: float) -> None:
        self.line.stage.clock.advance(max(0.0, at - self.line.stage.clock()) + 0.01)


def test_a_patient_who_agrees_and_gets_better(line: Line) -> None:
    """A baseline, then messages in daytime for six weeks, each answered; the score rises by two points from the baseline
    and a nurse is told; then silence."""
    weeks = Weeks(line)
    assert "check in with you" in weeks.say("hi", "yes", "no", "no", "nope", "9", "yes")
    assert "care team will see this" in weeks.say("yes", "4", "4", "4")  # the baseline
    plan = line.app.conversation.upcoming(line.patient())
    assert [text for _, text in weeks.until(2)] == ["CLS Health: Do you still need a visit? Book:"]
    assert [text for _, text in weeks.until(4)] == ["CLS Health check-in: How is the problem we t"]
    assert "Any NEW" in weeks.say("a little better")
    assert "Keep your visit" in weeks.say("no")
    assert [text for _, text in weeks.until(8)] == ["CLS Health: Did you set up your visit? Reply"]
    line.app.conversation.agree(PATIENT, "form", (Consent("visits", True, 1.0, "booking form", "", "text"),))
    visit = weeks.start + 12 * DAY
    line.app.conversation.visit(PATIENT, "booked", "booked", visit)
    assert "feel worse" in weeks.say("1")
    assert [text[:28] for _, text in weeks.until(10.5)] == ["CLS Health: You have a visit"]
    assert "See you" in weeks.say("1")
    assert [text for _, text in weeks.until(13.5)] == ["CLS Health: How did your visit go? Do you kn"]
    weeks.say("1")
    assert [text for _, text in weeks.until(26.5)] == ["CLS Health: What number best describes your "]
    assert "care team will see this" in weeks.say("5", "5", "5")
    assert line.tasks() == []
    last = weeks.until(54.5)
    assert [text for _, text in last] == ["CLS Health: What number best describes your "]
    weeks.say("6", "6", "6")
    assert line.tasks() == ["score"]
    assert weeks.until(120) == []
    assert [one.name for one in plan] == ["F1", "F2", "F3", "F4", "F5"]
    assert line.stage.sandbox.debugger == []
    assert all("09:00" <= at[-5:] < "20:00" for at, _ in last)


def test_a_patient_who_reports_something_new_and_then_says_stop(line: Line) -> None:
    """The re-screen leads to 911; nothing automatic follows; STOP is kept as evidence."""
    weeks = Weeks(line)
    weeks.say("hola", "si", "no", "no", "no", "9", "si")
    weeks.until(3.5)
    assert "¿Algo NUEVO" in weeks.say("igual")
    assert "ALGO de esto ahora" in weeks.say("si")
    assert "EMERGENCIA" in weeks.say("si")
    assert set(line.tasks()) == {"emergency", "new_signs"}
    assert weeks.until(60) == []
    line.stage.sandbox.text_in(PATIENT, "ALTO")
    line.stage.sandbox.settle()
    found = list(evidence(line.app.conversation, line.store.events(line.patient())))
    assert [(one["purpose"], one["granted"], one["channel"]) for one in found] == [
        ("follow_up", True, "text"), ("all", False, "all"),
    ]  # fmt: skip
    assert found[0]["shown"].startswith("¿Podemos mandarle")
    assert line.record().opted_out


@pytest.mark.parametrize("agreed", [True, False])
def test_a_landline_is_called_for_its_check_in_only_when_it_agreed_to_calls(line: Line, agreed: bool) -> None:
    """The same flow, for the ear: a good time, worse same or better, the re-screen."""
    weeks = Weeks(line)
    weeks.say("hi", "yes", "no", "no", "no", "9", "yes")
    by: tuple[Consent, ...] = (Consent("follow_up", agreed, 1.0, "form", "", "call"),)
    line.app.conversation.agree(PATIENT, "form", by)
    line.app.conversation.not_arrived(line.patient(), "landline", Lost("0-x", "text", {}, 30006))
    weeks.until(3.1)
    ringing = line.stage.sandbox.ringing(PATIENT)
    assert len(ringing) == int(agreed)
    if agreed:
        line.stage.sandbox.answer(ringing[0], "human")
        assert "Is now a good time" in " ".join(ringing[0].heard)
        assert "How is the problem you told us about?" in " ".join(ringing[0].press("1"))
        assert "Do you have anything new" in " ".join(ringing[0].press("3"))
        assert "Keep your visit" in " ".join(ringing[0].press("2"))


def test_a_patient_who_gets_worse_misses_a_visit_and_gives_the_next_one_up(line: Line) -> None:
    """Worse is a task and is re-screened; a missed visit gets one new link; a visit given up is nudged for again."""
    weeks, visit = Weeks(line), line.app.conversation.visit
    weeks.say("hi", "yes", "no", "no", "no", "9", "yes", "no")
    weeks.until(3.5)
    assert "Any NEW" in weeks.say("worse")
    assert "Our staff will call you" in weeks.say("no")
    assert line.tasks() == ["worse"]
    line.app.conversation.agree(PATIENT, "form", (Consent("visits", True, 1.0, "booking form", "", "text"),))
    visit(PATIENT, "b1", "booked", weeks.start + 6.5 * DAY)
    assert [text[:28] for _, text in weeks.until(5)] == ["CLS Health: You have a visit"]
    assert "See you" in weeks.say("1")
    weeks.until(6.6)
    visit(PATIENT, "m1", "missed")
    # The fourth text of the week waits for the eighth day.
    assert [text for _, text in weeks.until(8.7)] == ["CLS Health: We missed you at your visit. Rep"]
    assert "Pick a time: http" in weeks.say("1")
    visit(PATIENT, "b2", "booked", weeks.start + 14.5 * DAY)
    assert [text[:28] for _, text in weeks.until(13)] == ["CLS Health: You have a visit"]
    assert "Pick a new time" in weeks.say("3")
    assert line.tasks() == ["worse", "visit_change"]
    assert [text for _, text in weeks.until(15)] == ["CLS Health: Do you still need a visit? Book:"]
    assert line.stage.sandbox.debugger == []
