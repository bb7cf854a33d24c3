"""P3: an alarm and a STOP are heard before anything else, at every open question of every flow, in both languages."""

from __future__ import annotations

import itertools

import pytest

from bot.catalog import load_flows, make_clinic
from bot.decide import take
from bot.flow.model import Question
from bot.record import Consent, Record
from bot.session import Session
from bot.turn import Input

NOW, PHONE = 1_764_007_200.0, "+17135550142"
IDS = (f"i{number}" for number in itertools.count())
CLINIC = make_clinic(
    values={"clinic": "CLS Health", "phone": "(713) 555-0100"}, link=lambda _: ("t", "https://clinic.example/go/t"),
    new_id=lambda: next(IDS), new_effect=lambda _: next(IDS), opt_out_mode="app",
)  # fmt: skip
OPEN = [
    (flow, name)
    for flow, loaded in load_flows().items()
    for name, state in loaded.states.items()
    if isinstance(state, Question)
]
ALARMS = {
    "en": (
        "I have chest pain and can't breathe",
        "my face is drooping and my speech is slurred",
        "i want to kill myself",
    ),
    "es": ("me duele el pecho y no puedo respirar", "tengo la cara caída y no puedo hablar bien", "me quiero matar"),
}
STOPS = {"en": ("STOP", "unsubscribe", "stop texting me"), "es": ("ALTO", "STOP", "ya no me manden mensajes")}


def standing_at(flow: str, state: str, language: str) -> Record:
    """Somebody who was just asked the question *state*."""
    session = Session("s", flow, load_flows()[flow].hash, language, "sms", state=state, trail=(state,))
    return Record(PHONE, consents=(Consent("follow_up", True, 1.0, "form"),), session=session, last_at=NOW - 60)


@pytest.mark.parametrize("language", ["en", "es"])
def test_an_alarm_and_a_stop_are_heard_before_anything_else_at_every_question(language: str) -> None:
    """An alarm is answered with the emergency's or crisis' words and a task; after a STOP nothing is planned."""
    assert len(OPEN) > 20
    for flow, state in OPEN:
        record = standing_at(flow, state, language)
        for said in ALARMS[language]:
            turn = take(CLINIC, "p", record, Input("sms", said), NOW)
            assert "911" in (turn.heard.text or "") or "988" in (turn.heard.text or ""), (flow, state, said)
            assert {"emergency", "crisis"} & set(turn.tasks), (flow, state, said)
        for said in STOPS[language]:
            turn = take(CLINIC, "p", record, Input("sms", said), NOW)
            assert turn.record.opted_out, (flow, state, said)
            assert turn.later == (), (flow, state, said)
