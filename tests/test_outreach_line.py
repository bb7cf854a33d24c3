"""Campaigns on the local Twilio: the real app behind signed webhooks, the real worker with its threads, the real client.

Who cannot be texted is called; a hundred rows survive deaths, pause and resume; the result is what the carrier has.
"""

from __future__ import annotations

import csv
import io
import random
from collections import Counter
from dataclasses import replace
from typing import Any

import pytest

from bot.carrier import Carrier
from bot.outreach.campaigns import Campaigns
from bot.outreach.plan import Options
from bot.outreach.roster import RANK, parts_of
from bot.sandbox.player import Call
from bot.undelivered import Lost
from tests.call_stage import Line, line
from tests.outreach_stage import HEAD, Died, phone
from workers.executor import Executor

__all__ = ["line"]
FAST = {"SENDER_RATE": "100", "OUTREACH_FIRST_HOUR": "0", "OUTREACH_OPEN_TASKS": "0", "OUTREACH_APPROVAL": "1000"}
HOUR = 3600.0
ANA, BEN, CARO, DAN = (phone(number) for number in range(4))


class Outreach:
    """One campaign of one line, by the program's own campaigns and worker."""

    def __init__(self, line: Line) -> None:
        self.line, self.campaigns = line, line.app.campaigns()
        self.worker = Executor(line.store, line.office, line.stage.clock)

    def send(self, text: str, **options: Any) -> str:
        plan = self.campaigns.plan(text.encode(), Options(**options))
        made = self.campaigns.send(plan, "ana")
        self.later(0)  # a worker gives them their times
        return made

    def later(self, seconds: float, steps: int = 1) -> None:
        """Time goes on; the worker does what is due."""
        for _ in range(steps):
            self.line.stage.clock.advance(seconds / steps)
            for bucket in range(self.line.store.buckets):
                try:
                    self.worker.drain(bucket)
                except Died:
                    continue
            self.line.stage.sandbox.settle()

    def results(self, campaign: str) -> list[dict[str, str]]:
        return list(csv.DictReader(io.StringIO("".join(self.campaigns.result_lines(campaign)), newline="")))

    def ringing(self, number: str) -> Call | None:
        found = self.line.stage.sandbox.ringing(number)
        return found[0] if found else None


def landline(line: Line, number: str) -> None:
    """A text to it failed once, for that reason."""
    line.app.conversation.not_arrived(line.patient(number), "known", Lost("0-x", "reply", {}, 30006), number)
    for task in line.store.tasks():
        line.store.close_task(task, "ana")


def says(call: Call) -> str:
    return " ".join(call.heard)


@pytest.mark.parametrize("line", [FAST], indirect=True)
def test_landlines_are_called_in_their_language_with_consent_to_calls_and_by_day(line: Line) -> None:
    """In the evening nothing rings; in the morning the questions of the campaign itself are asked, by ear."""
    outreach = Outreach(line)
    for number in (ANA, BEN, CARO):
        landline(line, number)
    line.stage.clock.advance(8.5 * HOUR)  # half past eight in the evening
    table = [(ANA, "en", "yes"), (BEN, "es", "yes"), (CARO, "en", "no"), (DAN, "es", "no")]
    text = HEAD + "".join(f"{number},{language},yes,form,{calls}\n" for number, language, calls in table)
    refused = outreach.campaigns.plan(text.encode(), Options())
    assert [row.why for row in refused.rows] == ["landline", "landline", "landline", None]
    plan = outreach.campaigns.plan(text.encode(), Options(call_landlines=True))
    assert [(row.why, row.via) for row in plan.rows[:2]] == [(None, "call"), (None, "call")]
    assert plan.rows[2].why == "no_call_consent"
    campaign = outreach.campaigns.send(plan, "ana")
    outreach.later(11 * HOUR, 4)
    assert not outreach.ringing(ANA), "it is half past seven"
    outreach.later(3 * HOUR, 6)
    english, spanish = outreach.ringing(ANA), outreach.ringing(BEN)
    assert english
    assert spanish
    assert not outreach.ringing(CARO)
    for call, hears, asks in ((english, "Is now a good time", "surgery"), (spanish, "¿Puede contestar ahora", "cirug")):
        line.stage.sandbox.answer(call, "human")
        assert hears in says(call)
        assert asks not in says(call), "nobody hears why we call before it is a good time"
    assert "procedure" in " ".join(english.press("1"))
    assert "procedimiento" in " ".join(spanish.press("1"))
    english.hang_up()
    spanish.hang_up()
    line.stage.sandbox.settle()
    assert [(row["result"], row["detail"]) for row in outreach.results(campaign)] == [
        ("delivered", "it arrived, or the call was answered"), ("delivered", "it arrived, or the call was answered"),
        ("refused", "a landline, and no consent to calls is recorded or stated (consent_calls)"),
        ("delivered", "it arrived, or the call was answered"),
    ]  # fmt: skip
    assert len(line.texts(DAN)) == 1
    assert not line.texts(ANA) + line.texts(BEN)


@pytest.mark.parametrize("line", [FAST], indirect=True)
def test_a_machine_hears_nothing_of_the_patient_in_its_language_and_a_person_is_told(line: Line) -> None:
    outreach = Outreach(line)
    landline(line, BEN)
    campaign = outreach.send(HEAD + f"{BEN},es,yes,form,yes\n", call_landlines=True)
    outreach.later(10)
    call = outreach.ringing(BEN)
    assert call
    line.stage.sandbox.answer(call, "machine_start")
    line.stage.sandbox.settle()
    assert "Mensaje de" in says(call) or "Llame" in says(call) or "Hola" in says(call)
    assert "cirug" not in says(call)
    assert "procedimiento" not in says(call)
    assert line.tasks() == ["not_reached"]
    assert [(row["result"], row["detail"]) for row in outreach.results(campaign)] == [
        ("failed", "nobody answered the call")
    ]


@pytest.mark.parametrize("line", [FAST], indirect=True)
def test_who_does_not_answer_the_text_is_called_by_day_only_with_consent_to_calls(line: Line) -> None:
    """Thirty hours after the text it is evening: the call waits for the morning. Who answered, or never agreed to calls,
    is not called."""
    outreach = Outreach(line)
    line.stage.clock.advance(3 * HOUR)
    table = [(ANA, "es", "yes"), (BEN, "en", "yes"), (CARO, "en", "no")]
    text = HEAD + "".join(f"{number},{language},yes,form,{calls}\n" for number, language, calls in table)
    outreach.send(text, call_after_hours=30)
    outreach.later(10)
    assert [len(line.texts(number)) for number in (ANA, BEN, CARO)] == [1, 1, 1]
    line.stage.sandbox.text_in(BEN, "yes")
    outreach.later(33 * HOUR, 11)
    assert not outreach.ringing(ANA), "it is midnight"
    outreach.later(12 * HOUR, 24)
    call = outreach.ringing(ANA)
    assert call
    assert not outreach.ringing(BEN)
    assert not outreach.ringing(CARO)
    line.stage.sandbox.answer(call, "human")
    assert "¿Puede contestar ahora" in says(call)


class Deadly:
    """The real carrier of a worker that dies before or after the carrier has it."""

    def __init__(self, carrier: Carrier, dice: random.Random) -> None:
        self.carrier, self.dice, self.deadly = carrier, dice, 0.0
        self.listed, self.call = carrier.listed, carrier.call

    def text(self, to: str, body: str, effect_id: str) -> str:
        deadly = parts_of(effect_id) is not None
        if deadly and self.dice.random() < self.deadly:
            raise Died
        sid = self.carrier.text(to, body, effect_id)
        if deadly and self.dice.random() < self.deadly:
            raise Died
        return sid


@pytest.mark.parametrize("line", [FAST], indirect=True)
def test_a_hundred_rows_survive_deaths_pause_and_resume_and_the_result_is_what_the_carrier_has(line: Line) -> None:
    """On the local Twilio, with its reports: nobody lost, nobody twice, every row with its reason, before and after."""
    deadly = Deadly(line.office.carrier, random.Random(5))  # type: ignore[arg-type]
    line.office = replace(line.office, carrier=deadly, settle=0.0)
    outreach = Outreach(line)
    numbers = [phone(number) for number in range(100)]
    text = (
        HEAD
        + "".join(f"{one},{'es' if at % 3 else 'en'},yes,form,\n" for at, one in enumerate(numbers))
        + "12,en,yes,x,\n"
    )
    campaign = outreach.send(text)
    deadly.deadly = 0.1
    outreach.later(0.4, 4)
    outreach.campaigns.pause(campaign, "ana")
    paused = len(line.stage.sandbox.messages)
    outreach.later(30, 3)
    assert 0 < paused == len(line.stage.sandbox.messages) < 100
    restarted: Campaigns = line.app.campaigns()  # nothing of it is in a process's memory
    assert restarted.progress(campaign).state == "paused"
    restarted.resume(campaign, "ben")
    outreach.later(120, 8)
    deadly.deadly = 0.0
    outreach.later(300, 10)
    taken = Counter(one.to for one in line.stage.sandbox.messages.values() if one.direction == "outbound-api")
    results = outreach.results(campaign)
    assert len(results) == 101
    assert all(row["detail"] for row in results)
    assert results[-1]["result"] == "refused"
    reached = {number for number, row in zip(numbers, results, strict=False) if row["result"] in ("sent", "delivered")}
    unclear = {number for number, row in zip(numbers, results, strict=False) if row["result"] == "unknown"}
    assert reached | unclear == set(numbers)
    assert reached == set(taken) - unclear
    again = [number for number, count in taken.items() if count > 1]
    effects = {number: outreach.campaigns.roster.effect(campaign, row["patient"], int(row["row"]))
               for number, row in zip(numbers, results, strict=False)}  # fmt: skip
    assert all(line.office.sends.how(effects[number]) == "again" for number in again)
    counts = restarted.progress(campaign).counts
    assert counts == +Counter(row["result"] for row in results[:-1])
    assert set(counts) <= set(RANK)
    assert line.stage.sandbox.debugger == []
