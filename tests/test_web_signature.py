"""Only our Twilio account gets in: equal to Twilio's own validator, and nothing odd ever breaks it."""

from __future__ import annotations

import hashlib
from urllib.parse import quote, urlencode

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from twilio.request_validator import RequestValidator
from werkzeug.datastructures import MultiDict

from bot.web.parameters import parse
from bot.web.signature import Signatures

BASE = "https://triage.clinic.example"
SIGNATURES = Signatures(BASE, ["current", "previous"])
TEXT = st.text(st.characters(codec="utf-8"), max_size=20)
FORMS = st.dictionaries(TEXT, st.lists(TEXT, min_size=1, max_size=3), max_size=8)


def signed_by(token: str, address: str, form: dict[str, list[str]]) -> str:
    return str(RequestValidator(token).compute_signature(address, MultiDict(form)))


def test_the_published_vector_verifies() -> None:
    # Verified with twilio 9.13 (shared/reference/twilio.md A3).
    form = {
        "CallSid": ["CA1234567890ABCDE"], "Caller": ["+14158675309"], "Digits": ["1234"], "From": ["+14158675309"],
        "To": ["+18005551212"],
    }  # fmt: skip
    mine = Signatures("https://mycompany.com", ["12345"])
    address = mine.address("/myapp.php", b"foo=1&bar=2")
    assert mine.fault_of_form(address, form, "RSOYDt4T1cUTdK1PDd93/VVr8B8=") is None


@given(form=FORMS, token=st.sampled_from(["current", "previous"]))
@settings(max_examples=300, deadline=None)
def test_whatever_twilio_signs_is_accepted_with_either_token(form: dict[str, list[str]], token: str) -> None:
    address = SIGNATURES.address("/sms", b"m=1")
    assert SIGNATURES.fault_of_form(address, form, signed_by(token, address, form)) is None


@given(form=FORMS, other=FORMS)
@settings(max_examples=300, deadline=None)
def test_exactly_what_the_library_refuses_is_refused(form: dict[str, list[str]], other: dict[str, list[str]]) -> None:
    address = SIGNATURES.address("/sms", b"")
    signature = signed_by("current", address, form)
    library = RequestValidator("current").validate(address, MultiDict(other), signature)
    assert (SIGNATURES.fault_of_form(address, other, signature) is None) == library


@given(form=FORMS)
@settings(max_examples=100, deadline=None)
def test_the_parsed_body_is_what_was_signed(form: dict[str, list[str]]) -> None:
    address = SIGNATURES.address("/sms", b"")
    body = urlencode([(name, value) for name, values in form.items() for value in values]).encode()
    assert SIGNATURES.fault_of_form(address, parse(body), signed_by("current", address, form)) is None


@pytest.mark.parametrize(
    "query", ["", "step=1", "n=a%20b", "x=a%2Bb&y=a+b", "to=%2B15551234567", "empty=", "next=%2Fvoice", "t=%C3%A9"]
)
def test_the_raw_query_is_what_counts(query: str) -> None:
    address = SIGNATURES.address("/voice/s1", query.encode())
    assert address == f"{BASE}/voice/s1" + (f"?{query}" if query else "")
    assert SIGNATURES.fault_of_form(address, {"a": ["b"]}, signed_by("current", address, {"a": ["b"]})) is None


@pytest.mark.parametrize("port", [":443", ""])
def test_twilios_two_ways_with_the_port_are_both_accepted(port: str) -> None:
    signature = signed_by("current", f"{BASE}{port}/sms", {"a": ["b"]})
    assert SIGNATURES.fault_of_form(f"{BASE}/sms", {"a": ["b"]}, signature) is None


def test_a_path_is_quoted_as_it_was_sent() -> None:
    assert SIGNATURES.address("/go/é".encode().decode("latin-1"), b"") == f"{BASE}/go/{quote('é')}"


@pytest.mark.parametrize(
    ("signature", "fault"),
    [(None, "missing"), ("", "missing"), ("x", "malformed"), ("é" * 28, "malformed"), ("\ud800", "malformed"),
     ("A" * 27 + "=", "mismatch"), ("A" * 10_000, "malformed"), ("A" * 27 + "=\n", "malformed")],
)  # fmt: skip
def test_missing_and_odd_signatures_are_named_not_raised(signature: str | None, fault: str) -> None:
    assert SIGNATURES.fault_of_form(f"{BASE}/sms", {"a": ["b"]}, signature) == fault
    assert SIGNATURES.fault_of_json(f"{BASE}/sms?bodySHA256=00", b"{}", signature) in (fault, "mismatch")


def test_json_without_a_body_hash_is_refused_even_when_the_address_is_signed() -> None:
    address = f"{BASE}/sms"
    assert (
        SIGNATURES.fault_of_json(address, b'{"forged":1}', signed_by("current", address, {}))
        == "json without bodySHA256"
    )


def test_json_is_held_to_its_body_hash() -> None:
    body = b'{"CallSid":"CA1234567890ABCDE","Caller":"+12349013030"}'
    digest = hashlib.sha256(body).hexdigest()
    assert digest == "5ccde7145dfb8f56479710896586cb9d5911809d83afbe34627818790db0aec9"
    address = f"{BASE}/sms?bodySHA256={digest}"
    signature = signed_by("current", address, {})
    assert SIGNATURES.fault_of_json(address, body, signature) is None
    assert SIGNATURES.fault_of_json(address, body + b" ", signature) == "mismatch"


def test_an_address_nobody_can_parse_is_a_mismatch() -> None:
    odd = Signatures("https://[", ["current"])
    assert odd.fault_of_form(odd.address("/sms", b""), {}, "A" * 27 + "=") == "mismatch"
