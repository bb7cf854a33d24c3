"""Real conversations through the real doors (memory in place of the store): texts and a call, start to outcome."""

from __future__ import annotations

import itertools
import xml.etree.ElementTree as ET
from collections.abc import Iterator

import pytest
from flask.testing import FlaskClient

from bot.catalog import make_clinic
from bot.consent import hours_for
from bot.conversation import Conversation
from bot.sandbox.grammar import problems
from bot.store.memory import MemoryStore
from bot.web import create_app
from bot.web.answers import Answers
from tests.web_fake import PUBLIC, FakeConversation, call, post, settings, text

SIDS = itertools.count(1)


@pytest.fixture
def client() -> Iterator[FlaskClient]:
    configured = settings(OPT_OUT_MODE="app")
    ids = itertools.count(1)
    hours = hours_for((), "America/Chicago", "00:00", "23:59:59")
    clock = itertools.count(1_780_000_000, 5)
    conversation = Conversation(
        make_clinic(
            values={"clinic": configured.clinic_name, "phone": configured.clinic_phone_shown},
            link=lambda patient: (f"b00.{next(ids):016d}", f"{PUBLIC}/go/b00.{next(ids):016d}"),
            new_id=lambda: f"id{next(ids)}",
            new_effect=lambda patient: f"e{next(ids)}",
            opt_out_mode="app",
        ),
        MemoryStore(),
        lambda phone: "patient-" + phone[-4:],
        now=lambda: float(next(clock)),
        hours=lambda phone: hours,
        render=Answers(configured).render,
        booking={"pmr": configured.booking_url_pmr, "pt": configured.booking_url_pt},
    )
    with create_app(configured, conversation, FakeConversation()).test_client() as opened:
        yield opened


def send(client: FlaskClient, body: str) -> str:
    answer = post(client, "/sms", text(body, sid=f"SM{next(SIDS):032x}"))
    assert answer.status_code == 200
    assert problems(answer.text, "messaging") == []
    return ET.fromstring(answer.data).findtext("Message") or ""


class Caller:
    """Follows the actions a call is given, as Twilio does."""

    def __init__(self, client: FlaskClient) -> None:
        self.client, self.sid = client, f"CA{next(SIDS):032x}"
        self.steps: list[str] = []
        self.path = "/voice"
        self.said = ""
        self.over = False
        self.does()

    def does(self, **params: str) -> str:
        answer = post(self.client, self.path, call(sid=self.sid, **params))
        assert answer.status_code == 200
        assert problems(answer.text, "voice") == []
        document = ET.fromstring(answer.data)
        action = next((one.attrib["action"] for one in document.iter() if "action" in one.attrib), None)
        self.said = " ".join(document.itertext())
        self.over = action is None
        if action:
            self.path = action.removeprefix(PUBLIC)
            self.steps.append(self.path)
        return self.said


def test_a_texting_patient_reaches_an_outcome_and_its_link(client: FlaskClient) -> None:
    said = [send(client, word) for word in ("hi", "yes", "no", "no", "no", "8")]
    assert "911" in said[0]
    assert f"{PUBLIC}/go/b00." in said[-1]


def test_an_emergency_in_the_first_spanish_text_is_answered_at_once(client: FlaskClient) -> None:
    assert "No maneje" in send(client, "me duele mucho el pecho y no puedo respirar")


def test_a_caller_reaches_an_outcome_by_keys(client: FlaskClient) -> None:
    caller = Caller(client)
    for keys in ("1", "1", "2", "2", "2", "2", "8", "1", "1", "1", "1"):
        if caller.over or "/dialled" in caller.path:
            break
        caller.does(Digits=keys)
    assert len(caller.steps) >= 6


def test_no_two_questions_of_one_call_share_an_address(client: FlaskClient) -> None:
    """The address is half of the key under which an answer is stored: sharing one would replay an old answer."""
    caller = Caller(client)
    for given in (
        {"Digits": "1"},
        {"SpeechResult": "restart"},
        {"Digits": "1"},
        {},
        {"SpeechResult": "go back"},
        {"Digits": "*"},
    ):
        if not caller.over:
            caller.does(**given)
    assert len(caller.steps) == len(set(caller.steps)), caller.steps


def test_a_caller_who_never_speaks_is_not_kept_for_ever(client: FlaskClient) -> None:
    caller = Caller(client)
    for _ in range(20):
        if caller.over or "/dialled" in caller.path:
            return
        caller.does()
    raise AssertionError("twenty silences and still asking")
