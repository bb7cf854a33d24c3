"""Every transcript, replayed through the turn alone and through the signed webhook on the real store."""

from __future__ import annotations

import itertools
import xml.etree.ElementTree as ET

import pytest

from bot.catalog import make_clinic
from bot.chat import Chat
from bot.consent import hours_for
from bot.conversation import Conversation
from bot.record import from_bytes
from bot.sandbox.grammar import problems
from bot.store.cipher import Cipher
from bot.store.store import Store
from bot.web import create_app
from bot.web.answers import Answers
from bot.wording import fold
from tests.transcripts import Transcript, check, transcripts
from tests.web_fake import FakeConversation, post, settings, text

ALL = transcripts()
DEMO_PHONE = "(713) 555-0142"


@pytest.fixture(params=ALL, ids=lambda one: one.name)
def transcript(request: pytest.FixtureRequest) -> Transcript:
    found: Transcript = request.param
    for exchange in found.exchanges:
        exchange.words = [fold(words) if found.channel == "sms" else words for words in exchange.words]
    return found


@pytest.mark.parametrize("language", ["en", "es"])
@pytest.mark.parametrize("by", ["text", "call"])
@pytest.mark.parametrize(
    "flow", ["appointment", "booked_check", "check_in", "no_show", "outreach", "peg", "post_visit"]
)
def test_every_follow_up_is_shown_in_both_languages_by_text_and_by_call(flow: str, by: str, language: str) -> None:
    """A new flow, or a text that is changed, is read as a conversation once in each."""
    shown = [one for one in ALL if one.flow and one.flow[0] == flow and one.language == language]
    assert any((one.channel == "sms") == (by == "text") for one in shown)


def test_a_conversation_goes_as_written(transcript: Transcript) -> None:
    """By its channel, through the same code as the web, nothing stored."""
    begun = transcript.flow is not None
    chat = Chat(transcript.channel, transcript.language if transcript.channel == "sms" or begun else None)
    for number, exchange in enumerate(transcript.exchanges):
        heard = chat.begin(*transcript.flow) if transcript.flow and not number else chat.say(exchange.said)
        session = heard.session
        stands = (session.state, session.outcome, session.rule) if session else ()
        check(transcript, exchange, heard.text if transcript.channel == "sms" else " ".join(heard.says), stands)


def test_a_conversation_goes_as_written_through_the_webhook(
    transcript: Transcript, store: Store, cipher: Cipher
) -> None:
    """The same file: signed POSTs, TwiML checked against Twilio's grammar, the record read back from Redis each time."""
    if transcript.channel != "sms":
        pytest.skip("calls go through the local Twilio in test_calls.py")
    if transcript.flow:
        pytest.skip("what we begin goes through the local Twilio in test_six_weeks.py")
    configured, ids, clock = settings(OPT_OUT_MODE="app"), itertools.count(1), itertools.count(1_780_000_000, 5)
    hours = hours_for((), "America/Chicago", "09:00", "20:00")
    clinic = make_clinic(
        values={"clinic": "CLS Health", "phone": DEMO_PHONE},
        link=lambda patient: (token := store.new_token(patient), f"https://clinic.example/go/{token}"),
        new_id=lambda: f"s{next(ids)}",
        new_effect=store.new_effect_id,
        opt_out_mode="app",
        language=transcript.language,
    )
    conversation = Conversation(
        clinic, store, cipher.patient_id, now=lambda: float(next(clock)), hours=lambda _: hours,
        render=Answers(configured).render, booking={},
    )  # fmt: skip
    with create_app(configured, conversation, FakeConversation()).test_client() as client:
        for exchange in transcript.exchanges:
            form = text(exchange.said, sid=f"SM{next(ids):032x}")
            answer = post(client, "/sms", form)
            assert problems(answer.text, "messaging") == []
            session = from_bytes(store.load(cipher.patient_id(form["From"]), "-").record or b"").session
            stands = (session.state, session.outcome, session.rule) if session else ()
            check(transcript, exchange, ET.fromstring(answer.data).findtext("Message"), stands)
