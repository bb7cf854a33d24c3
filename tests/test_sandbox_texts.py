"""The local Twilio takes and brings texts as the real one does."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests
from flask import Response
from twilio.base.exceptions import TwilioRestException

from bot.sandbox.model import RestFault, SandboxConfig
from tests.sandbox_stage import OTHER, OURS, PATIENT, SERVICE, Stage, message


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    with Stage(tmp_path) as made:
        yield made


def refusal(stage: Stage, **fields: object) -> int:
    with pytest.raises(TwilioRestException) as refused:
        stage.client.messages.create(**({"to": PATIENT, "from_": OURS, "body": "hi"} | fields))
    return int(refused.value.code)


def test_an_inbound_text_is_posted_signed_with_the_parameters_twilio_sends(stage: Stage) -> None:
    stage.answer = lambda path, form: message("¿Listo? 🙂 a<b&c")
    replies = stage.sandbox.text_in(PATIENT, "Hola, ¿qué tal? 🙂")
    assert [reply.body for reply in replies] == ["¿Listo? 🙂 a<b&c"]
    (form,) = stage.forms("/sms")
    assert form["Body"] == "Hola, ¿qué tal? 🙂"
    assert form["MessageSid"] == form["SmsSid"] == form["SmsMessageSid"]
    assert (form["From"], form["To"], form["FromCity"], form["FromZip"]) == (PATIENT, OURS, "HOUSTON", "77002")
    assert (form["NumMedia"], form["NumSegments"], form["SmsStatus"]) == ("0", "1", "received")
    assert stage.forged == 0
    assert stage.sandbox.debugger == []


def test_a_picture_arrives_with_numbered_media_and_an_mm_sid(stage: Stage) -> None:
    stage.sandbox.text_in(
        PATIENT, media=[("http://127.0.0.1/a.jpg", "image/jpeg"), ("http://127.0.0.1/b", "image/png")]
    )
    (form,) = stage.forms("/sms")
    assert form["MessageSid"].startswith("MM")
    assert (form["NumMedia"], form["MediaContentType1"], form["Body"]) == ("2", "image/png", "")


def test_a_redelivery_repeats_the_message_sid_and_the_idempotency_token(stage: Stage) -> None:
    stage.sandbox.text_in(PATIENT, "hi")
    sid = stage.forms("/sms")[0]["MessageSid"]
    assert stage.sandbox.redeliver(sid).body.decode() == message("ok")
    first, second = stage.forms("/sms")
    assert first == second
    assert stage.tokens[0] == stage.tokens[1]
    assert len(stage.sandbox.texts(PATIENT)) == 2


def test_the_unmodified_client_sends_fetches_and_lists(stage: Stage) -> None:
    made = stage.client.messages.create(to=PATIENT, from_=OURS, body="x" * 161)
    assert (made.status, made.num_segments, made.date_sent) == ("queued", "2", None)
    stage.sandbox.settle()
    fetched = stage.client.messages(made.sid).fetch()
    assert (fetched.status, fetched.body, fetched.to) == ("delivered", "x" * 161, PATIENT)
    stage.client.messages.create(to=OTHER, from_=OURS, body="other")
    assert [found.sid for found in stage.client.messages.list(to=PATIENT)] == [made.sid]
    assert fetched.date_sent is not None
    assert [found.sid for found in stage.client.messages.list(to=PATIENT, date_sent_after=fetched.date_sent)] == [
        made.sid
    ]
    stage.clock.advance(3 * 86400)
    assert stage.client.messages.list(to=PATIENT, date_sent_after=fetched.date_sent.replace(year=2099)) == []


def test_a_long_list_comes_in_pages_the_client_follows(stage: Stage) -> None:
    for number in range(7):
        stage.sandbox.send(PATIENT, f"text {number}")
    found = stage.client.messages.list(to=PATIENT, page_size=3)
    assert [each.body for each in found] == [f"text {number}" for number in reversed(range(7))]


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"to": "+15005550001"}, 21211),
        ({"to": "+15005550002"}, 21612),
        ({"to": "+15005550003"}, 21408),
        ({"to": "+15005550004"}, 21610),
        ({"to": "+15005550009"}, 21614),
        ({"from_": "+15005550001"}, 21212),
        ({"from_": "+15005550007"}, 21606),
        ({"from_": "+15005550008"}, 21611),
        ({"to": "12"}, 21211),
        ({"to": "713 555 0123"}, 21211),
        ({"to": "+442079460000"}, 21408),
        ({"to": OURS}, 21266),
        ({"from_": OTHER}, 21606),
        ({"body": "x" * 1601}, 21617),
        ({"body": ""}, 21602),
        ({"status_callback": "http://a_b.example/x"}, 21609),
        ({"from_": None, "messaging_service_sid": "MG" + "9" * 32}, 21701),
        ({"from_": None, "messaging_service_sid": "nonsense"}, 21705),
    ],
)  # fmt: skip
def test_a_bad_request_gets_twilios_code(stage: Stage, fields: dict[str, object], code: int) -> None:
    assert refusal(stage, **fields) == code
    assert stage.sandbox.messages == {}


def test_the_magic_sender_works_and_wrong_credentials_do_not(stage: Stage) -> None:
    assert stage.client.messages.create(to=PATIENT, from_="+15005550006", body="hi").status == "queued"
    stage.client.auth = (stage.client.username, "wrong")
    assert refusal(stage) == 20003


def test_no_callback_comes_for_the_first_status_and_then_one_for_each(stage: Stage) -> None:
    callback = f"{stage.public_url}/status?m=o%2F1"
    stage.client.messages.create(to=PATIENT, from_=OURS, body="hi", status_callback=callback)
    stage.sandbox.settle()
    assert [form["MessageStatus"] for form in stage.forms("/status")] == ["sent", "delivered"]
    assert stage.posts[0][0] == "/status?m=o%2F1"
    assert "Body" not in stage.forms("/status")[0]
    assert "RawDlrDoneDate" in stage.forms("/status")[1]
    stage.posts.clear()
    made = stage.client.messages.create(
        to=PATIENT, messaging_service_sid=SERVICE, body="hi", status_callback=f"{stage.public_url}/status"
    )
    stage.sandbox.settle()
    assert made.status == "accepted"
    assert [form["MessageStatus"] for form in stage.forms("/status")] == ["queued", "sent", "delivered"]
    assert (stage.forged, stage.sandbox.debugger) == (0, [])


def test_callbacks_can_be_reversed_doubled_lost_and_end_badly(stage: Stage) -> None:
    callback = f"{stage.public_url}/status"
    faults = stage.sandbox.faults
    faults.reverse, faults.duplicate, faults.lose = True, True, frozenset({"queued"})
    faults.undeliverable[PATIENT] = 30003
    stage.client.messages.create(to=PATIENT, messaging_service_sid=SERVICE, body="hi", status_callback=callback)
    stage.sandbox.settle()
    statuses = [(form["MessageStatus"], form.get("ErrorCode")) for form in stage.forms("/status")]
    assert statuses == [("undelivered", "30003")] * 2 + [("sent", None)] * 2


def test_stop_is_answered_by_twilio_and_blocks_the_bot_until_start(stage: Stage) -> None:
    stage.answer = lambda path, form: message("the bot should have kept quiet")
    (own,) = stage.sandbox.text_in(PATIENT, " Stop ")
    assert "unsubscribed" in own.body
    assert len(stage.forms("/sms")) == 1
    assert "OptOutType" not in stage.forms("/sms")[0]
    assert [alert.code for alert in stage.sandbox.debugger] == [21610]
    assert refusal(stage) == 21610
    assert stage.sandbox.text_in(PATIENT, "stop") == []
    (again, answer) = stage.sandbox.text_in(PATIENT, "YES")
    assert "again" in again.body
    assert answer.body == "the bot should have kept quiet"
    assert stage.client.messages.create(to=PATIENT, from_=OURS, body="hi").error_code is None


def test_a_bare_yes_of_somebody_subscribed_and_stop_please_are_ordinary_words(stage: Stage) -> None:
    assert [reply.body for reply in stage.sandbox.text_in(PATIENT, "YES")] == ["ok"]
    assert [reply.body for reply in stage.sandbox.text_in(PATIENT, "stop please")] == ["ok"]


def test_advanced_opt_out_says_so_and_refuses_a_service_message_later(tmp_path: Path) -> None:
    with Stage(tmp_path, opt_out_mode="advanced") as stage:
        stage.answer = lambda path, form: "<Response/>"
        stage.sandbox.text_in(PATIENT, "STOP")
        assert stage.forms("/sms")[0]["OptOutType"] == "STOP"
        assert stage.forms("/sms")[0]["MessagingServiceSid"] == SERVICE
        made = stage.client.messages.create(
            to=PATIENT, messaging_service_sid=SERVICE, body="hi", status_callback=f"{stage.public_url}/status"
        )
        stage.sandbox.settle()
        assert made.status == "accepted"
        (form,) = stage.forms("/status")
        assert (form["MessageStatus"], form["ErrorCode"]) == ("failed", "21610")


def test_in_app_mode_twilio_keeps_out_of_it(tmp_path: Path) -> None:
    with Stage(tmp_path, opt_out_mode="app") as stage:
        assert [reply.body for reply in stage.sandbox.text_in(PATIENT, "STOP")] == ["ok"]
        assert stage.client.messages.create(to=PATIENT, from_=OURS, body="hi").error_code is None


def test_a_scheduled_message_waits_for_the_virtual_clock_and_can_be_canceled(stage: Stage) -> None:
    from datetime import UTC, datetime

    soon = datetime.fromtimestamp(stage.clock() + 3600, UTC)
    fields = {
        "to": PATIENT,
        "messaging_service_sid": SERVICE,
        "body": "later",
        "schedule_type": "fixed",
        "send_at": soon,
    }
    kept, dropped = stage.client.messages.create(**fields), stage.client.messages.create(**fields)
    assert kept.status == "scheduled"
    assert stage.client.messages(dropped.sid).update(status="canceled").status == "canceled"
    stage.clock.advance(3601)
    stage.sandbox.deliver_scheduled()
    stage.sandbox.settle()
    assert stage.client.messages(kept.sid).fetch().status == "delivered"
    assert stage.client.messages(dropped.sid).fetch().status == "canceled"
    assert refusal(stage, send_at=soon, schedule_type="fixed") == 35118


def test_rest_faults_come_once_and_in_order(stage: Stage) -> None:
    faults = stage.sandbox.faults.rest
    faults.extend([RestFault("error", 429, 20429), RestFault("error", 500, 20500), RestFault("html", 502)])
    assert [refusal(stage), refusal(stage), refusal(stage)] == [20429, 20500, 502]
    assert stage.client.messages.create(to=PATIENT, from_=OURS, body="hi").status == "queued"


def test_an_answer_can_be_lost_or_late_although_the_message_went_out(stage: Stage) -> None:
    stage.sandbox.faults.rest.append(RestFault("lost"))
    with pytest.raises(requests.RequestException):
        stage.client.messages.create(to=PATIENT, from_=OURS, body="one")
    stage.sandbox.faults.rest.append(RestFault("slow", seconds=0.3))
    stage.client.http_client.timeout = 0.1
    with pytest.raises(requests.Timeout):
        stage.client.messages.create(to=PATIENT, from_=OURS, body="two")
    assert sorted(found.body for found in stage.sandbox.texts(PATIENT)) == ["one", "two"]


def test_a_failing_webhook_goes_to_the_fallback_with_the_error(tmp_path: Path) -> None:
    with Stage(tmp_path, sms_fallback_path="/fallback") as stage:
        stage.answer = lambda path, form: message("safe words") if path == "/fallback" else Response("boom", 500)
        assert [reply.body for reply in stage.sandbox.text_in(PATIENT, "hi")] == ["safe words"]
        assert stage.forms("/fallback")[0]["ErrorCode"] == "11200"
        assert [alert.code for alert in stage.sandbox.debugger] == [11200]


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        (Response("boom", 500), 11200),
        (Response("no", 403), 11200),
        (Response("<Response><Message>a</Message>", content_type="text/xml"), 12100),
        (Response("<Response><Message>a\x0b</Message></Response>", content_type="text/xml"), 12100),
        (Response("{}", content_type="application/json"), 12300),
        (Response("<Response>" + " " * 70000 + "</Response>", content_type="text/xml"), 11750),
        (Response(message(*"abcdefghijk"), content_type="text/xml"), 14109),
        (Response(message("x" * 1601), content_type="text/xml"), 21617),
        (Response(message(""), content_type="text/xml"), 14103),
    ],
)
def test_a_bad_answer_reaches_nobody_and_shows_in_the_debugger(stage: Stage, answer: Response, code: int) -> None:
    stage.answer = lambda path, form: answer
    assert stage.sandbox.text_in(PATIENT, "hi") == []
    assert code in [alert.code for alert in stage.sandbox.debugger]


def test_plain_text_is_sent_as_it_stands_and_an_unknown_verb_only_warns(stage: Stage) -> None:
    stage.answer = lambda path, form: Response("plain words", content_type="text/plain")
    assert [reply.body for reply in stage.sandbox.text_in(PATIENT, "hi")] == ["plain words"]
    stage.answer = lambda path, form: "<Response><Message>a</Message><Sing/></Response>"
    assert [reply.body for reply in stage.sandbox.text_in(PATIENT, "hi")] == ["a"]
    assert [alert.code for alert in stage.sandbox.debugger] == [12200]


def test_nobody_listening_is_tried_twice_and_then_an_alert(stage: Stage) -> None:
    stage.sandbox.config = SandboxConfig(
        account_sid=stage.sandbox.config.account_sid,
        auth_token="x",
        public_url="http://127.0.0.1:1",
        numbers=(OURS,),
        clock=time.time,
        advance=lambda seconds: 0.0,
    )
    assert stage.sandbox.text_in(PATIENT, "hi") == []
    assert [alert.code for alert in stage.sandbox.debugger] == [11205]
