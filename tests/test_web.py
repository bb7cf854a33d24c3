"""The doors: one table of routes, refusals without detail, duplicates alike, and 911 when nothing else works."""

from __future__ import annotations

import logging
import subprocess
import sys
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient
from hypothesis import HealthCheck, given
from hypothesis import settings as examples
from hypothesis import strategies as st

from bot.reading.model import Expects
from bot.turn import Heard, Input
from bot.web import ROUTES, create_app
from tests.web_fake import ACCOUNT, OURS, PHONE, PUBLIC, FakeConversation, call, make_app, post, settings, sign, text

ROOT = Path(__file__).resolve().parents[1]
SIGNED = [route for route in ROUTES if route.caller == "twilio"]


def path_of(rule: str) -> str:
    return rule.replace("<step>", "7").replace("<effect>", "0-abc").replace("<token>", "b00.0123456789abcdef")


def good(rule: str) -> dict[str, str]:
    if rule == "/sms":
        return text()
    if rule == "/status":
        return {"AccountSid": ACCOUNT, "MessageSid": "SM" + "a" * 32, "MessageStatus": "delivered"}
    return call(DialCallStatus="busy")


@pytest.fixture
def conversation() -> FakeConversation:
    return FakeConversation()


@pytest.fixture
def client(conversation: FakeConversation) -> Iterator[FlaskClient]:
    with make_app(conversation).test_client() as opened:
        yield opened


# -- who may come in -------------------------------------------------------------------------------------------------


def test_the_table_is_all_there_is(conversation: FakeConversation) -> None:
    rules = {
        (rule.rule, method)
        for rule in make_app(conversation).url_map.iter_rules()
        for method in (rule.methods or set()) - {"HEAD"}
    }
    assert rules == {(route.rule, route.method) for route in ROUTES}


@pytest.mark.parametrize("route", SIGNED, ids=lambda route: route.rule)
def test_every_webhook_takes_a_genuine_request_and_nothing_else(
    client: FlaskClient, conversation: FakeConversation, route: Any
) -> None:
    path, params = path_of(route.rule), good(route.rule)
    assert post(client, path, params).status_code in (200, 204)
    forged: list[dict[str, Any]] = [
        {"headers": {"X-Twilio-Signature": ""}},
        {"signature": "A" * 27 + "="},
        {"signature": "odd\u00e9"},
        {"token": "another token"},
        {"signature": sign(PUBLIC + path, params | {"Body": "other"})},
        {"signature": sign(f"http://localhost{path}", params)},
        {"signature": sign(PUBLIC.replace("https", "http") + path, params)},
        {"signature": sign(PUBLIC + path + "x", params), "headers": {"Host": "evil.example", "X-Forwarded-Host": "e"}},
    ]
    for options in forged:
        assert post(client, path, params, **options).status_code == 403
    assert client.post(path, data=params).status_code == 403
    assert len(conversation.heard) + len(conversation.dials) + len(conversation.reported) == 1


@pytest.mark.parametrize("route", SIGNED, ids=lambda route: route.rule)
def test_every_webhook_refuses_odd_requests_with_a_plain_4xx(client: FlaskClient, route: Any) -> None:
    path = path_of(route.rule)
    for method in ("get", "put", "delete", "options", "head", "patch"):
        assert getattr(client, method)(path).status_code == 405
    assert client.post(path, data=b"x" * 66_000, content_type="application/x-www-form-urlencoded").status_code == 413
    assert post(client, path, good(route.rule), content_type="multipart/form-data").status_code == 415
    assert post(client, path, good(route.rule), content_type="text/plain").status_code == 415
    assert (
        client.post(path, json={"forged": 1}, headers={"X-Twilio-Signature": sign(PUBLIC + path, {})}).status_code
        == 403
    )
    assert post(client, path, {}).status_code == 400
    assert post(client, path, good(route.rule) | {"AccountSid": "AC" + "0" * 32}).status_code == 403
    assert post(client, path, [("a", "1")] * 501).status_code == 400


@pytest.mark.parametrize("path", ["/", "/sms/", "/static/x", "/twilio", "/go/", "/voice/1/2/3", "/go/%00", "/.env"])
def test_there_is_nothing_else(client: FlaskClient, path: str) -> None:
    assert client.get(path).status_code == 404


def test_a_text_or_call_to_a_number_that_is_not_ours_is_refused(client: FlaskClient) -> None:
    assert post(client, "/sms", text(To="+12125550199")).status_code == 403
    assert post(client, "/voice", call(To="+12125550199")).status_code == 403


def test_a_messaging_service_of_ours_may_have_other_numbers(conversation: FakeConversation) -> None:
    service = "MG" + "e" * 32
    with make_app(conversation, TWILIO_MESSAGING_SERVICE_SID=service).test_client() as client:
        assert post(client, "/sms", text(To="+12125550199", MessagingServiceSid=service)).status_code == 200
        assert post(client, "/sms", text(To="+12125550199", MessagingServiceSid="MG" + "f" * 32)).status_code == 403


def test_both_tokens_work_while_one_is_being_changed(conversation: FakeConversation) -> None:
    with make_app(conversation, TWILIO_AUTH_TOKENS="new,old").test_client() as client:
        assert {post(client, "/sms", text(), token=token).status_code for token in ("new", "old")} == {200}
        assert post(client, "/sms", text(), token="older").status_code == 403


# -- texts -----------------------------------------------------------------------------------------------------------


def test_a_text_is_heard_once_and_answered_alike_every_time(
    client: FlaskClient, conversation: FakeConversation
) -> None:
    first, second = post(client, "/sms", text("hola")), post(client, "/sms", text("hola"))
    assert first.data == second.data
    assert first.content_type == "text/xml; charset=utf-8"
    assert ET.fromstring(first.data).findtext("Message") == "What is your pain, 0 to 10?"
    assert conversation.heard == [(PHONE, Input("sms", said="hola"), "SM" + "a" * 32)]


def test_what_twilio_answered_itself_is_passed_on(client: FlaskClient, conversation: FakeConversation) -> None:
    conversation.says = Heard("sms", "en", silent=True)
    answer = post(client, "/sms", text("STOP", OptOutType="STOP"))
    assert list(ET.fromstring(answer.data)) == []
    assert conversation.heard[0][1] == Input("sms", said="STOP", opt_out_type="STOP")


def test_a_whatsapp_sender_is_the_same_patient(client: FlaskClient, conversation: FakeConversation) -> None:
    changes = {"From": f"whatsapp:{PHONE}", "To": f"whatsapp:{OURS}", "WaId": "12125550188", "ProfileName": "A"}
    assert post(client, "/sms", text(**changes)).status_code == 200
    assert conversation.heard[0][0] == PHONE


def test_another_machine_gets_no_answer(client: FlaskClient, conversation: FakeConversation) -> None:
    answer = post(client, "/sms", text(From="22395"))
    assert (answer.status_code, list(ET.fromstring(answer.data))) == (200, [])
    assert conversation.heard == []


@pytest.mark.parametrize("body", ["", "\x00\x0b", "👍" * 1600, "<Redirect>x</Redirect>", "a" * 20_000, "\ufffe\u202e"])
def test_odd_texts_get_a_valid_answer(client: FlaskClient, conversation: FakeConversation, body: str) -> None:
    conversation.says = Heard("sms", "en", (f"You wrote: {body}",))
    answer = post(client, "/sms", text(body))
    assert answer.status_code == 200
    assert [element.tag for element in ET.fromstring(answer.data).iter()] == ["Response", "Message"]


@given(st.text(st.characters(codec="utf-8"), max_size=300))
@examples(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_text_whatever_breaks_the_door(client: FlaskClient, conversation: FakeConversation, body: str) -> None:
    conversation.says = Heard("sms", "en", (body, "ok"))
    answer = post(client, "/sms", text(body, sid=f"SM{abs(hash(body)):032x}"[:34]))
    assert answer.status_code == 200
    assert len(ET.fromstring(answer.data)) == 1


# -- calls -----------------------------------------------------------------------------------------------------------


def test_a_call_begins_and_its_question_leads_back_to_its_own_step(
    client: FlaskClient, conversation: FakeConversation
) -> None:
    conversation.says = Heard(
        "voice", "en", ("Press 1 or 2.",), step="3", expects=Expects("yesno"), hints=("yes", "no")
    )
    gather = ET.fromstring(post(client, "/voice", call(CallStatus="ringing")).data)[0]
    assert conversation.heard == [(PHONE, Input("voice"), f"CA{'c' * 32}:start")]
    assert gather.attrib["action"] == f"{PUBLIC}/voice/3"
    assert (gather.attrib["numDigits"], gather.attrib["finishOnKey"], gather.attrib["hints"]) == ("1", "", "yes,no")
    assert gather.attrib["actionOnEmptyResult"] == "true"
    assert gather[0].attrib == {"language": "en-US", "voice": "Polly.Joanna-Neural"}


def test_a_scale_takes_two_keys_and_pound(client: FlaskClient, conversation: FakeConversation) -> None:
    conversation.says = Heard("voice", "es", ("¿De 0 a 10?",), step="9", expects=Expects("scale0_10"))
    gather = ET.fromstring(post(client, "/voice/8", call(Digits="1")).data)[0]
    assert (gather.attrib["numDigits"], gather.attrib["finishOnKey"], gather.attrib["language"]) == ("2", "#", "es-US")


@pytest.mark.parametrize(
    ("params", "given"),
    [
        ({"Digits": "2"}, Input("voice", digits="2", step="3")),
        ({"SpeechResult": "not sure"}, Input("voice", said="not sure", step="3")),
        ({"SpeechResult": "yes", "Confidence": "0.4"}, Input("voice", said="yes", step="3")),
        ({}, Input("voice", step="3")),
        ({"SpeechResult": "chest pain", "CallStatus": "completed"}, Input("voice", said="chest pain", step="3")),
    ],
)
def test_keys_speech_and_silence_are_heard(
    client: FlaskClient, conversation: FakeConversation, params: dict[str, str], given: Input
) -> None:
    conversation.says = Heard("voice", "en", ("Thank you.",), end="hangup")
    answers = {post(client, "/voice/3", call(**params)).data for _ in range(2)}
    assert len(answers) == 1, "a repeated request gets the same bytes"
    assert conversation.heard == [(PHONE, given, f"CA{'c' * 32}:3")]


def test_hanging_up_is_no_silence(client: FlaskClient, conversation: FakeConversation) -> None:
    assert post(client, "/voice/3", call(CallStatus="completed")).status_code == 200
    assert conversation.heard == []


def test_a_hidden_number_is_a_patient_for_one_call(client: FlaskClient, conversation: FakeConversation) -> None:
    conversation.says = Heard("voice", "en", ("Hello.",), step="1")
    assert post(client, "/voice", call(From="anonymous")).status_code == 200
    assert conversation.heard[0][0] == f"call:CA{'c' * 32}"


def test_a_person_is_dialled_and_the_result_comes_back(client: FlaskClient, conversation: FakeConversation) -> None:
    conversation.says = Heard("voice", "es", ("Le comunico.",), end="dial", step="4")
    dial = ET.fromstring(post(client, "/voice/3", call(Digits="0")).data)[1]
    assert dial.attrib["action"] == f"{PUBLIC}/voice/4/dialled"
    assert dial.attrib["answerOnBridge"] == "true"
    assert dial.findtext("Number") == "+17135550111"


@pytest.mark.parametrize(
    ("sent", "status"),
    [("busy", "busy"), ("no-answer", "no-answer"), ("failed", "failed"), ("canceled", "canceled"), ("", "failed")],
)
def test_how_the_transfer_went_is_told_to_the_conversation(
    client: FlaskClient, conversation: FakeConversation, sent: str, status: str
) -> None:
    assert "Nobody came." in post(client, "/voice/4/dialled", call(DialCallStatus=sent)).text
    assert conversation.dials == [(PHONE, f"CA{'c' * 32}:4:dialled", "4", status)]


def test_after_a_person_was_reached_the_call_just_ends(client: FlaskClient, conversation: FakeConversation) -> None:
    answer = post(client, "/voice/4/dialled", call(DialCallStatus="completed"))
    assert [element.tag for element in ET.fromstring(answer.data)] == ["Hangup"]


def test_a_caller_who_waits_is_never_answered_with_nothing(client: FlaskClient, conversation: FakeConversation) -> None:
    conversation.says = Heard("voice", "en", silent=True)
    assert "9 1 1" in post(client, "/voice/3", call()).data.decode()


# -- reports ---------------------------------------------------------------------------------------------------------


def test_reports_reach_whoever_keeps_them(client: FlaskClient, conversation: FakeConversation) -> None:
    report = {"AccountSid": ACCOUNT, "MessageSid": "SM" + "a" * 32, "MessageStatus": "failed", "ErrorCode": "30003"}
    report |= {"From": "+17135550100", "To": "+17135550142"}
    assert post(client, "/status?m=fx-1", report).status_code == 204
    progress = call(CallStatus="no-answer", SequenceNumber="3", AnsweredBy="unknown")
    assert post(client, "/call-status?m=%3Cx%3E", progress).status_code == 204
    assert conversation.reported == [
        ("SM" + "a" * 32, "failed", 30003, "fx-1", "+17135550142"),
        (
            "CA" + "c" * 32,
            "no-answer",
            {"person": PHONE, "seconds": None, "sequence": 3, "answered_by": "unknown", "effect_id": None},
        ),
    ]


# -- when things break -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("path", "params"), [("/sms", text()), ("/voice", call()), ("/voice/3", call(Digits="1"))])
@pytest.mark.parametrize("fault", [OSError(PHONE), RuntimeError(PHONE), KeyError(PHONE), RecursionError(PHONE)])
def test_without_a_store_the_patient_still_gets_911_and_the_clinic(
    client: FlaskClient,
    conversation: FakeConversation,
    caplog: Any,
    path: str,
    params: dict[str, str],
    fault: Exception,
) -> None:
    conversation.broken = fault
    with caplog.at_level(logging.DEBUG):
        answer = post(client, path, params)
    assert answer.status_code == 200
    said = "".join(ET.fromstring(answer.data).itertext())
    assert ("911" in said and "(713) 555-0100" in said) or ("9 1 1" in said and "7 1 3, 5 5 5, 0 1 0 0" in said)
    assert "EMERGENC" in said.upper()
    assert "Llame" in said or "marque" in said, "both languages, since none is known"
    assert type(fault).__name__ in caplog.text
    assert PHONE not in caplog.text


def test_the_static_text_is_two_segments_at_most(client: FlaskClient, conversation: FakeConversation) -> None:
    from bot.wording import segments

    conversation.break_like_a_dead_store()
    cost = segments(ET.fromstring(post(client, "/sms", text()).data).findtext("Message") or "")
    assert (cost.encoding, cost.count) == ("GSM-7", 2)


def test_a_report_that_cannot_be_kept_says_so(client: FlaskClient, conversation: FakeConversation) -> None:
    conversation.break_like_a_dead_store()
    assert post(client, "/status", good("/status")).status_code == 503
    assert post(client, "/call-status", call()).status_code == 503


def test_refusals_are_logged_without_a_number_or_a_word(client: FlaskClient, caplog: Any) -> None:
    with caplog.at_level(logging.DEBUG):
        post(client, "/sms", text("my chest hurts"), token="x")
        post(client, "/sms", text("my chest hurts", MessageSid=PHONE))
        post(client, "/sms", text("my chest hurts", To="+12125550199"))
    assert "signature: mismatch" in caplog.text
    assert "MessageSid" in caplog.text
    assert not any(private in caplog.text for private in (PHONE, "chest", "5550199"))


def test_health_is_alive_without_the_store_and_ready_only_with_it(
    client: FlaskClient, conversation: FakeConversation
) -> None:
    assert (client.get("/healthz").status_code, client.get("/readyz").status_code) == (200, 200)
    conversation.break_like_a_dead_store()
    assert (client.get("/healthz").status_code, client.get("/readyz").status_code) == (200, 503)


def test_a_readiness_check_that_raises_means_not_ready(conversation: FakeConversation) -> None:
    def ready() -> bool:
        raise OSError("no such socket")

    app = create_app(settings(), conversation, conversation, ready=ready)
    assert app.test_client().get("/readyz").status_code == 503


# -- what every answer carries ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: f"{route.method} {route.rule}")
def test_every_answer_has_the_safe_headers_and_no_cookie(client: FlaskClient, route: Any) -> None:
    answers = [client.open(path_of(route.rule), method=route.method), client.open(path_of(route.rule), method="TRACE")]
    if route.caller == "twilio":
        answers.append(post(client, path_of(route.rule), good(route.rule)))
    for answer in answers:
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert answer.headers["Referrer-Policy"] == "no-referrer"
        assert answer.headers["Cache-Control"] == "no-store"
        assert answer.headers["X-Robots-Tag"] == "noindex, nofollow"
        assert answer.headers["Strict-Transport-Security"]
        assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
        assert "unsafe" not in answer.headers["Content-Security-Policy"]
        assert "Set-Cookie" not in answer.headers
        assert "Server" not in answer.headers


def test_the_web_process_never_loads_the_rest_client() -> None:
    code = "import sys, bot.web.serve, bot.wiring; print([m for m in sys.modules if m.startswith('twilio.rest')])"
    ran = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "[]"
