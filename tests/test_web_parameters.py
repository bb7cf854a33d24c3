"""Twilio's parameters: strict where a shape is documented, tolerant where a person writes."""

from __future__ import annotations

import json
from pathlib import Path
from urllib.parse import parse_qsl, urlencode

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.web import parameters
from bot.web.parameters import FIELD_LIMIT, TEXT_LIMIT, ParameterError
from tests.web_fake import OURS, PHONE, call, text

TEMPLATES = Path(__file__).resolve().parents[2] / "shared" / "twilio" / "twilio_webhook_templates.json"


def form(params: dict[str, str]) -> dict[str, list[str]]:
    return parameters.parse(urlencode(params).encode())


def test_what_twilio_really_sends_is_understood() -> None:
    if not TEMPLATES.exists():
        pytest.skip(f"{TEMPLATES} is absent: captured webhooks are only read beside the shared folder")
    templates = json.loads(TEMPLATES.read_text())
    message = parameters.inbound_message(form(templates["sms"]))
    assert (message.phone, message.to, message.said, message.media) == ("+15017122661", "+15558675310", "Ahoy", 0)
    started = parameters.call(form(templates["voice"]))
    assert (started.phone, started.ours, started.status, started.digits) == (
        "+15017122661",
        "+15558675310",
        "ringing",
        None,
    )


@given(
    st.lists(st.one_of(st.sampled_from([b"&", b"=", b"%", b"+", b"%2B", b"%C3%B1", b"a", b"\xff", b";"]), st.binary()))
)
@settings(max_examples=500, deadline=None)
def test_a_body_is_taken_apart_as_the_standard_library_does(parts: list[bytes]) -> None:
    """Ours is faster; what the signature is computed over must not differ by one character."""
    body = b"".join(parts)
    theirs = parse_qsl(body.decode("utf-8", "replace"), keep_blank_values=True, errors="replace")
    assert [(name, value) for name, values in parameters.parse(body).items() for value in values] == [
        (name, value)
        for wanted in dict.fromkeys(name for name, _ in theirs)
        for name, value in theirs
        if name == wanted
    ]


@given(st.binary(max_size=2000))
@settings(max_examples=500, deadline=None)
def test_any_bytes_are_either_understood_or_refused_in_words(body: bytes) -> None:
    for read in (parameters.inbound_message, parameters.call, parameters.delivery, parameters.call_progress):
        with pytest.raises(ParameterError):
            read(parameters.parse(body))


@pytest.mark.parametrize("name", ["MessageSid", "AccountSid"])
@pytest.mark.parametrize("value", ["", "SM1", "AC" + "g" * 32, "XX" + "a" * 32, "SM" + "a" * 32 + "\n"])
def test_a_text_without_proper_identifiers_is_refused_by_name(name: str, value: str) -> None:
    with pytest.raises(ParameterError, match=name) as caught:
        parameters.inbound_message(form(text(**{name: value})))
    assert value not in str(caught.value) or not value


def test_the_boundary_shift_that_keeps_a_signature_valid_is_refused() -> None:
    # {Body:'hi', From:'+1'} and {Body:'hiFrom+1'} are signed alike.
    shifted = text("hiFrom" + PHONE)
    del shifted["From"]
    message = parameters.inbound_message(form(shifted))
    assert message.phone is None, "without a sender nobody is answered"


@pytest.mark.parametrize(
    ("sender", "phone"),
    [(PHONE, PHONE), ("whatsapp:" + PHONE, PHONE), ("rcs:" + PHONE, PHONE), ("22395", None), ("CLINIC", None),
     ("messenger:123", None), ("+0123456789", None), ("+1", None), ("+1٢٣٤٥٦٧٨٩", None)],
)  # fmt: skip
def test_only_a_phone_is_a_patient(sender: str, phone: str | None) -> None:
    assert parameters.inbound_message(form(text(From=sender))).phone == phone


@pytest.mark.parametrize("body", ["", " ", "\x00\x08", "👍" * 1600, "a" * 60_000, "&=%", "\ufffe\u202e"])
def test_any_words_are_taken(body: str) -> None:
    assert parameters.inbound_message(form(text(body))).said == body[:TEXT_LIMIT]


def test_a_picture_without_words_and_thirty_pictures_are_texts_too() -> None:
    media = {f"MediaUrl{number}": f"https://api.twilio.com/{number}" for number in range(30)}
    silent = text(NumMedia="30", **media)
    del silent["Body"]
    message = parameters.inbound_message(form(silent))
    assert (message.said, message.media) == ("", 30)


def test_new_parameters_are_ignored_and_repeated_ones_must_agree() -> None:
    params = [*text().items(), ("BrandNew", "1"), ("BrandNew", "2"), ("Body", "hello")]
    assert parameters.inbound_message(parameters.parse(urlencode(params).encode())).said == "hello"
    with pytest.raises(ParameterError, match="Body is given twice"):
        parameters.inbound_message(parameters.parse(urlencode([*params, ("Body", "other")]).encode()))


def test_more_parameters_than_any_webhook_has_are_refused() -> None:
    with pytest.raises(ParameterError, match="more than"):
        parameters.parse(b"&".join(b"a=1" for _ in range(FIELD_LIMIT + 1)))


@pytest.mark.parametrize("caller", ["anonymous", "unknown", "client:nurse", "sip:a@b", "", "Restricted"])
def test_a_caller_who_hides_the_number_is_known_by_the_call(caller: str) -> None:
    sid = "CA" + "d" * 32
    assert parameters.call(form(call(sid=sid, From=caller))).phone == f"call:{sid}"


def test_in_a_call_of_ours_the_patient_is_the_one_called() -> None:
    placed = parameters.call(form(call(Direction="outbound-api", From=OURS, To=PHONE, AnsweredBy="machine_end_beep")))
    assert (placed.phone, placed.ours, placed.answered_by) == (PHONE, OURS, "machine_end_beep")


@pytest.mark.parametrize(
    ("params", "digits", "speech"),
    [({}, None, ""), ({"Digits": "1"}, "1", ""), ({"Digits": "#"}, "#", ""), ({"Digits": "x"}, "", ""),
     ({"Digits": "9" * 999}, "9" * 20, ""), ({"SpeechResult": "yes", "Confidence": "0.9"}, None, "yes"),
     ({"SpeechResult": "yes"}, None, "yes"), ({"SpeechResult": "a" * 4096}, None, "a" * 4096)],
)  # fmt: skip
def test_keys_and_speech_are_taken_with_or_without_confidence(
    params: dict[str, str], digits: str | None, speech: str
) -> None:
    answered = parameters.call(form(call(**params)))
    assert (answered.digits, answered.speech) == (digits, speech)


def test_a_delivery_report_has_a_code_only_when_it_failed() -> None:
    report = {"AccountSid": "AC" + "b" * 32, "MessageSid": "MM" + "a" * 32, "MessageStatus": "undelivered"}
    assert parameters.delivery(form(report)).error_code is None
    assert parameters.delivery(form(report | {"ErrorCode": "30003"})).error_code == 30003
    with pytest.raises(ParameterError, match="ErrorCode"):
        parameters.delivery(form(report | {"ErrorCode": "no"}))
