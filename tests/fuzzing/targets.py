"""What is fuzzed, and the laws that hold for any bytes: webhooks, their parameters, reading, TwiML. Not a test."""

from __future__ import annotations

import json
import re
import xml.etree.ElementTree as ET
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from flask.testing import FlaskClient

from bot import twiml
from bot.catalog import load_words
from bot.reading.model import Expects, Reading
from bot.reading.reader import read
from bot.turn import Heard
from bot.twiml import Spoken
from bot.web import parameters
from bot.web.parameters import TEXT_LIMIT, ParameterError
from tests.reading.report import replies
from tests.test_web import SIGNED, good, path_of
from tests.twiml_grammar import faults
from tests.web_fake import ACCOUNT, OURS, PHONE, PUBLIC, FakeConversation, call, make_app, sign, text

CORPUS = Path(__file__).parent / "corpus"
ALARM = "I have chest pain and I can't breathe now"
SCREEN = Expects("yesno", "red_flag", topics=("chest_pain", "breathing", "fainting", "stroke_signs"))
ASKED = (None, SCREEN, Expects("yesno", "consent"), Expects("yesno"), Expects("scale0_10"),
         Expects("choice", options=("worse", "same", "better")))  # fmt: skip
HEARD = [(language, channel) for language in ("en", "es") for channel in ("sms", "speech", "dtmf")]


Labels = set[Hashable]


@dataclass(frozen=True)
class Target:
    """*rooms*: whose ways are looked at. *words*: pieces of inputs."""

    law: Callable[[bytes], Labels]
    rooms: tuple[str, ...]
    seeds: tuple[bytes, ...]
    words: tuple[bytes, ...]


def kept(name: str) -> list[bytes]:
    """The inputs that earlier runs of the fuzzer kept, one JSON string a line."""
    path = CORPUS / f"{name}.jsonl"
    lines = path.read_text("utf-8").splitlines() if path.exists() else []
    return [json.loads(line).encode("latin-1") for line in lines]


def keep(name: str, found: list[bytes]) -> None:
    """In the place of what was kept."""
    lines = [json.dumps(data.decode("latin-1")) for data in found]
    (CORPUS / f"{name}.jsonl").write_text("\n".join(lines) + "\n", "utf-8")


# -- parameters ---


def of_parameters(body: bytes) -> Labels:
    """Understood within its bounds, or refused by the name of a parameter and without its value."""
    told = set[Hashable]()
    for understand in (parameters.inbound_message, parameters.call, parameters.delivery, parameters.call_progress):
        try:
            found: Any = understand(parameters.parse(body))
        except ParameterError as error:
            reason = str(error)
            told.add((understand.__name__, reason))
            assert_no_value(reason)
            continue
        assert found.account[:2] == "AC"
        assert len(found.sid) == 34
        for name in ("said", "speech"):
            assert len(getattr(found, name, "")) <= TEXT_LIMIT
        phone = getattr(found, "phone", None)
        assert phone is None or re.fullmatch(r"\+[1-9][0-9]{6,14}|call:CA[0-9a-fA-F]{32}", phone)
        digits = getattr(found, "digits", None)
        assert digits is None or re.fullmatch(r"[0-9*#A-D]{0,20}", digits)
        told.add((type(found).__name__, phone is None, digits is None))
    return told


def assert_no_value(reason: str) -> None:
    """A refusal names a parameter and is otherwise of our own words."""
    assert reason == "more than 500 parameters" or reason.partition(" ")[0] in NAMES, reason
    assert re.fullmatch(r"[A-Za-z0-9 ,]+", reason), reason


# -- webhooks ---


@cache
def _client() -> tuple[FlaskClient, FakeConversation]:
    conversation = FakeConversation()
    return make_app(conversation).test_client(), conversation


def of_webhooks(data: bytes) -> Labels:
    """The first byte chooses the route, the rest is its body, signed: TwiML without a fault, or a plain refusal; a patient
    whose text or call is understood is never met with silence."""
    route = SIGNED[data[0] % len(SIGNED) if data else 0]
    path, body = path_of(route.rule), data[1:]
    client, conversation = _client()
    door: Any = "sms" if route.rule == "/sms" else "voice"
    conversation.says = Heard(door, "en", ("What is your pain, 0 to 10?",))
    conversation._kept.clear()
    conversation.heard.clear()
    try:
        pairs = [(name, value) for name, values in parameters.parse(body).items() for value in values]
    except ParameterError:
        pairs = []
    headers = {"X-Twilio-Signature": sign(PUBLIC + path, pairs)}
    answer = client.post(path, data=body, headers=headers, content_type="application/x-www-form-urlencoded")
    assert answer.status_code in (200, 204, 400, 403), answer.status_code
    assert "Set-Cookie" not in answer.headers
    if answer.status_code == 200 and answer.data:
        kind: Any = "messaging" if route.rule == "/sms" else "voice"
        assert not faults(answer.data, kind)
        if conversation.heard:
            assert len(ET.fromstring(answer.data)), "never silent"
    return {(route.rule, answer.status_code, answer.data[:60] if answer.status_code != 200 else b"")}


# -- reading ---


def of_reading(data: bytes) -> Labels:
    """The first byte chooses question, language and channel: an answer is one that the question takes; the same words are
    read the same; an alarm said after anything stays one."""
    first = data[0] if data else 0
    expects, (language, channel) = ASKED[first % len(ASKED)], HEARD[first // len(ASKED) % len(HEARD)]
    said = data[1:].decode("utf-8", "replace")
    reading = _read(said, expects, language, channel)
    assert reading == _read(said, expects, language, channel)
    if reading.kind == "answer":
        assert expects is not None
        domain = {"yesno": ("yes", "no"), "scale0_10": tuple(range(11)), "choice": ("worse", "same", "better")}
        assert reading.value in domain[expects.type]
    if channel != "dtmf":
        loud = _read(f"{said}. {ALARM}", SCREEN, "en", channel)
        assert (loud.kind, loud.value) != ("answer", "no"), "an alarm at the end"
    return {(reading.kind, reading.value), (reading.kind, re.sub(r"\W.*", "", reading.why)), reading.mentions}


def _read(said: str, expects: Expects | None, language: Any, channel: Any) -> Reading:
    return read(said, expects=expects, language=language, channel=channel, words=load_words())


# -- TwiML ---


def of_twiml(data: bytes) -> Labels:
    """Any words in any document: without a fault in Twilio's grammar, and a message reads back as it was."""
    if data[:1] == b"\xff":  # any code unit at all, halves of pairs too
        said = data[1 : 1 + (len(data) - 1) // 2 * 2].decode("utf-16-le", "surrogatepass")
    else:
        said = data.decode("utf-8", "replace")
    where, parts = (
        f"{PUBLIC}/voice/s1",
        (Spoken(said, "en-US", "Polly.Joanna-Neural"), Spoken("x", "es-US", "Polly.Lupe-Neural")),
    )
    document = twiml.message(said)
    assert not faults(document, "messaging")
    spoken = (twiml.listen(parts, where, hints=said, digits=1), twiml.speak_and_hang_up(parts), twiml.record(parts, where),
              twiml.dial(parts, "+17135550111", where, caller_id=OURS))  # fmt: skip
    for one in spoken:
        assert not faults(one, "voice"), one
    return {(twiml.text_of(document) is None, len(spoken[1]) // 4000)}


NAMES = tuple(sorted({*text(), *call(), "Digits", "SpeechResult", "Confidence", "OptOutType", "AnsweredBy", "RecordingUrl",
                      "MessageStatus", "ErrorCode", "SequenceNumber", "DialCallStatus", "MessagingServiceSid"}))  # fmt: skip
VALUES = (ACCOUNT, PHONE, OURS, "SM" + "a" * 32, "CA" + "c" * 32, "MG" + "e" * 32, "STOP", "outbound-api", "human", "busy",
          "whatsapp:" + PHONE, "completed", "anonymous", "30003", "\x00", "\u202e", "٣", "😀")  # fmt: skip
PIECES = tuple(urlencode({name: ""}).encode() for name in NAMES) + tuple(
    urlencode({"": value})[1:].encode() for value in VALUES
) + (b"&", b"=", b"%", b"+", b"%2B", b"%FF", b"&&", b"%00")  # fmt: skip
BODIES = tuple(urlencode(one).encode() for one in (
    text(), call(), call(Digits="1"), call(SpeechResult="yes", Confidence="0.9"), text(OptOutType="STOP"),
    {"AccountSid": ACCOUNT, "MessageSid": "SM" + "a" * 32, "MessageStatus": "undelivered", "ErrorCode": "30003"},
    call(AnsweredBy="machine_end_beep", Direction="outbound-api", From=OURS, To=PHONE, SequenceNumber="3"),
    call(RecordingUrl="https://api.twilio.com/RE" + "a" * 32, DialCallStatus="busy"),
))  # fmt: skip


def _replies() -> tuple[bytes, ...]:
    """Of each kind of labelled reply some, each under a question of its kind."""
    found, many = [], dict[tuple[str, ...], int]()
    for one in replies():
        cell = (one.get("type", "state"), one["language"], one["channel"])
        many[cell] = many.get(cell, 0) + 1
        if many[cell] > 12:
            continue
        asked = next((at for at, question in enumerate(ASKED) if question and question.type == cell[0]), 1)
        mark = asked + len(ASKED) * HEARD.index(("es" if one["language"] == "es" else "en", one["channel"]))
        found.append(bytes([mark]) + one["text"].encode())
    return tuple(found)


def _spoken_words() -> tuple[bytes, ...]:
    return tuple(sorted({b" " + word.encode() for one in replies() for word in one["text"].split()}))


@cache
def targets() -> dict[str, Target]:
    """By name."""
    routes = tuple(bytes([at]) + urlencode(good(route.rule)).encode() for at, route in enumerate(SIGNED))
    said = (b". ", b"?", "🙏".encode(), b"\xc2\xa0", b" not ", *_spoken_words())
    marks = (b"&", b"<", b"]]>", b"\x00", b"\xed\xa0\x80", b",", b" ", b"{link}", b"\xff\xfe")
    texts = (b"hello", b"<&>\"'", "¿Duele? 😀".encode(), b"word " * 900)
    return {
        "parameters": Target(of_parameters, ("bot/web/parameters.py",), BODIES, PIECES),
        "webhooks": Target(of_webhooks, ("bot/web/",), routes, PIECES),
        "reading": Target(of_reading, ("bot/reading/",), _replies(), said),
        "twiml": Target(of_twiml, ("bot/twiml.py", "bot/wording.py"), texts, marks),
    }
