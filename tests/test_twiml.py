"""The documents Twilio executes: equal in meaning to the library's classes, well-formed on any text, in the grammar."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from twilio.twiml.messaging_response import MessagingResponse
from twilio.twiml.voice_response import Dial, Gather, VoiceResponse

from bot import twiml
from bot.twiml import Spoken
from bot.wording import safe_text

GRAMMAR = Path(__file__).resolve().parents[2] / "shared" / "twilio" / "twiml_grammar_flat.json"
ANY_TEXT = st.text(st.characters(codec=None), max_size=200)
ACTION = "https://clinic.example/voice/s1-Ab_9"
EN = Spoken('Do you have <pain> & "fever"?', "en-US", "Polly.Joanna-Neural")
ES = Spoken("¿Tiene dolor?", "es-US", "Polly.Lupe-Neural")


def meaning(document: str) -> Any:
    def walk(element: ET.Element) -> Any:
        return element.tag, dict(sorted(element.attrib.items())), element.text or "", [walk(child) for child in element]

    return walk(ET.fromstring(document.encode()))


def library_say(response: Any, *parts: Spoken) -> None:
    for part in parts:
        response.say(part.text, language=part.language, voice=part.voice)


def test_a_message_means_what_the_library_writes() -> None:
    expected = MessagingResponse()
    expected.message("a < b & \"c\" 'd' ñ 👍\nnext")
    assert meaning(twiml.message("a < b & \"c\" 'd' ñ 👍\nnext")) == meaning(str(expected))


@pytest.mark.parametrize("nothing", [None, "", "  \n", "\x00\x08", "\u202e"])
def test_nothing_to_say_is_the_empty_response(nothing: str | None) -> None:
    assert meaning(twiml.message(nothing)) == meaning(str(MessagingResponse()))


def test_listening_means_what_the_library_writes() -> None:
    expected = VoiceResponse()
    gather = Gather(
        input="dtmf speech", action=ACTION, method="POST", action_on_empty_result=True, timeout=7, speech_timeout=3,
        finish_on_key="", language="es-US", profanity_filter=False, num_digits=1, hints="sí,no,uno",
    )  # fmt: skip
    library_say(gather, EN, ES)
    expected.append(gather)
    ours = twiml.listen([EN, ES], ACTION, hints="sí, no,, uno", timeout=7, digits=1, finish_on_key="", speech_timeout=3)
    assert meaning(ours) == meaning(str(expected))


def test_speaking_and_hanging_up_means_what_the_library_writes() -> None:
    expected = VoiceResponse()
    library_say(expected, EN, EN)
    expected.hangup()
    assert meaning(twiml.speak_and_hang_up([EN, EN])) == meaning(str(expected))


def test_dialling_means_what_the_library_writes() -> None:
    expected = VoiceResponse()
    library_say(expected, EN)
    dial = Dial(action=ACTION, method="POST", timeout=20, answer_on_bridge=True, caller_id="+17135550100")
    dial.number("+17135550199")
    expected.append(dial)
    ours = twiml.dial([EN], "+17135550199", ACTION, timeout=20, caller_id="+17135550100")
    assert meaning(ours) == meaning(str(expected))


def test_rejecting_means_what_the_library_writes() -> None:
    expected = VoiceResponse()
    expected.reject(reason="busy")
    assert meaning(twiml.reject("busy")) == meaning(str(expected))


@given(ANY_TEXT)
@settings(max_examples=300, deadline=None)
def test_any_text_gives_one_well_formed_message_that_reads_back(text: str) -> None:
    document = ET.fromstring(twiml.message(text).encode())
    assert len(document) <= 1
    wanted = safe_text(text).strip().replace("\r\n", "\n").replace("\r", "\n")
    assert (document.findtext("Message") or "") == wanted


@given(ANY_TEXT, ANY_TEXT)
@settings(max_examples=200, deadline=None)
def test_any_text_and_hints_give_a_well_formed_question(text: str, hints: str) -> None:
    document = ET.fromstring(twiml.listen([Spoken(text, "en-US", text)], ACTION, hints=hints).encode())
    assert [child.tag for child in document] == ["Gather"]
    assert {child.tag for child in document[0]} <= {"Say"}


def test_a_text_longer_than_twilio_takes_is_cut_not_refused() -> None:
    assert len(ET.fromstring(twiml.message("x" * 5000)).findtext("Message") or "") == 1600


def test_speech_longer_than_one_say_is_split_between_words() -> None:
    words = ("pain " * 2000).strip()
    said = [say.text or "" for say in ET.fromstring(twiml.speak_and_hang_up([Spoken(words, "en-US", "x")])).iter("Say")]
    assert max(map(len, said)) <= twiml.SAY_LIMIT
    assert " ".join(said) == words


def test_hints_stay_inside_twilios_limits() -> None:
    gather = ET.fromstring(twiml.listen([EN], ACTION, hints=",".join(["w" * 300] * 900)))[0]
    hints = gather.attrib["hints"].split(",")
    assert (len(hints), max(map(len, hints))) == (500, 100)


def test_a_relative_action_is_refused() -> None:
    with pytest.raises(ValueError, match="absolute"):
        twiml.listen([EN], "/voice/s1")
    with pytest.raises(ValueError, match="absolute"):
        twiml.dial([EN], "+17135550199", "voice/s1")


@pytest.mark.parametrize("number", ["911", "9-1-1", "988"])
def test_an_emergency_number_is_never_dialled_for_the_caller(number: str) -> None:
    with pytest.raises(ValueError, match="emergency"):
        twiml.dial([EN], number, ACTION)


def test_every_document_is_in_twilios_grammar() -> None:
    if not GRAMMAR.exists():
        pytest.skip(f"{GRAMMAR} is absent: Twilio's grammar is only checked beside the shared folder")
    grammar = json.loads(GRAMMAR.read_text())
    for document in (twiml.message("x"), twiml.EMPTY):
        assert faults(ET.fromstring(document.encode()), grammar["messaging"]) == []
    for document in (
        twiml.listen([EN, ES], ACTION, hints="yes,no", digits=1),
        twiml.listen([EN], ACTION),
        twiml.speak_and_hang_up([EN, ES]),
        twiml.dial([EN], "+17135550199", ACTION, caller_id="+17135550100"),
        twiml.reject(),
    ):
        assert faults(ET.fromstring(document.encode()), grammar["voice"]) == []


def faults(element: ET.Element, grammar: dict[str, Any]) -> list[str]:
    rule, found = grammar[element.tag], []
    for name, value in element.attrib.items():
        known = rule["attributes"].get(name)
        if known is None:
            found.append(f"{element.tag} has no {name}")
        elif known.get("enum"):
            values = value.split() if known.get("space_separated_list") else [value]
            found += [f"{element.tag}.{name}={one}" for one in values if one not in known["enum"]]
        elif known["type"] == "number" and not value.isdecimal():
            found.append(f"{element.tag}.{name}={value}")
    for child in element:
        if child.tag not in rule["children"]:
            found.append(f"{child.tag} inside {element.tag}")
        else:
            found += faults(child, grammar)
    return found
