"""The local Twilio plays calls as the real one does: what is heard, gathered, asked for and told."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from flask import Response, redirect
from twilio.base.exceptions import TwilioRestException

from bot.sandbox.line import APPLICATION_ERROR
from bot.sandbox.model import RestFault
from tests.sandbox_stage import OTHER, OURS, PATIENT, Stage

NURSE = "+17135550199"


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    with Stage(tmp_path, call_status_path="/ended") as made:
        yield made


def doc(inside: str) -> str:
    return f'<?xml version="1.0" encoding="UTF-8"?><Response>{inside}</Response>'


def ask(text: str = "Say yes or press 1.", **attributes: str) -> str:
    given = {"input": "dtmf speech", "action": "/step?t=a%2F1", "timeout": "6", "numDigits": "1"} | attributes
    listed = " ".join(f'{name}="{value}"' for name, value in given.items())
    return f"<Gather {listed}><Say>{text}</Say></Gather>"


def plays(stage: Stage, **documents: str) -> None:
    """Answers each path with its document; ``voice`` for /voice and so on."""

    def answer(path: str, form: dict[str, str]) -> Any:
        return doc(documents.get(path.partition("?")[0].strip("/"), "<Hangup/>"))

    stage.answer = answer


def test_a_call_is_heard_keyed_and_ends(stage: Stage) -> None:
    plays(stage, voice="<Say>Hello.</Say>" + ask(), step='<Say language="es-US" voice="Polly.Lupe-Neural">Bien.</Say>')
    call = stage.sandbox.call_in(PATIENT)
    assert call.heard == ["Hello.", "Say yes or press 1."]
    assert call.waiting == "gather"
    assert call.press("1") == ["Bien."]
    assert (call.active, call.status, call.prompts[-1].language) == (False, "completed", "es-US")
    first, second = stage.forms("/voice")[0], stage.forms("/step")[0]
    assert (first["CallStatus"], first["Direction"], first["Caller"]) == ("ringing", "inbound", PATIENT)
    assert (second["CallStatus"], second["Digits"], second["CallSid"]) == ("in-progress", "1", call.sid)
    assert "SpeechResult" not in second
    stage.sandbox.settle()
    (ended,) = stage.forms("/ended")
    assert (ended["CallStatus"], ended["SequenceNumber"], ended["Duration"]) == ("completed", "0", "1")
    assert (stage.forged, stage.sandbox.debugger) == (0, [])


def test_speech_arrives_with_or_without_confidence(stage: Stage) -> None:
    plays(stage, voice=ask(), step=ask())
    call = stage.sandbox.call_in(PATIENT)
    call.say("sí, claro")
    call.say("no", confidence=0.31)
    first, second = stage.forms("/step")
    assert first["SpeechResult"] == "sí, claro"
    assert "Confidence" not in first
    assert second["Confidence"] == "0.31"


def test_the_first_input_wins_and_a_menu_of_keys_only_hears_keys(stage: Stage) -> None:
    plays(stage, voice=ask(numDigits="2"), step=ask(input="dtmf"))
    call = stage.sandbox.call_in(PATIENT)
    call.press("1")
    assert call.say("yes") == []
    call.press("2")
    assert stage.forms("/step")[-1]["Digits"] == "12"
    assert call.say("anybody there?") == []
    assert len(stage.forms("/step")) == 1


def test_the_finishing_key_submits_and_is_not_sent(stage: Stage) -> None:
    plays(stage, voice=ask(numDigits=""), step=ask(finishOnKey="*"))
    call = stage.sandbox.call_in(PATIENT)
    call.press("10#99")
    assert stage.forms("/step")[-1]["Digits"] == "10"
    call.press("#")
    assert stage.forms("/step")[-1]["Digits"] == "#"


def test_keys_without_an_end_are_submitted_by_silence(stage: Stage) -> None:
    plays(stage, voice=ask(numDigits=""), step="<Say>Thanks.</Say>")
    call = stage.sandbox.call_in(PATIENT)
    call.press("10")
    assert stage.forms("/step") == []
    assert call.silence() == ["Thanks."]
    assert stage.forms("/step")[0]["Digits"] == "10"


def test_silence_falls_through_unless_the_action_wants_it(stage: Stage) -> None:
    plays(stage, voice=ask() + "<Say>Nothing heard.</Say>" + ask(actionOnEmptyResult="true"), step="<Say>Empty.</Say>")
    before = stage.clock()
    call = stage.sandbox.call_in(PATIENT)
    assert call.silence() == ["Nothing heard.", "Say yes or press 1."]
    assert stage.clock() - before >= 6
    assert call.silence() == ["Empty."]
    (form,) = stage.forms("/step")
    assert "Digits" not in form
    assert "SpeechResult" not in form


def test_silence_can_also_arrive_as_blank_values(stage: Stage) -> None:
    stage.sandbox.faults.blank_empty_result = True
    plays(stage, voice=ask(actionOnEmptyResult="true"))
    stage.sandbox.call_in(PATIENT).silence()
    assert (stage.forms("/step")[0]["Digits"], stage.forms("/step")[0]["SpeechResult"]) == ("", "")


def test_the_finishing_key_alone_is_no_input(stage: Stage) -> None:
    plays(stage, voice=ask() + "<Say>Nothing heard.</Say>")
    assert stage.sandbox.call_in(PATIENT).press("#") == ["Nothing heard."]
    assert stage.forms("/step") == []


def test_time_passing_on_the_virtual_clock_times_out_a_gather(stage: Stage) -> None:
    plays(stage, voice=ask() + "<Say>Nothing heard.</Say>")
    call = stage.sandbox.call_in(PATIENT)
    call.tick(patient_caller=False)
    assert call.waiting == "gather"
    stage.clock.advance(60)
    call.tick(patient_caller=True)
    assert call.waiting == "gather"
    call.tick(patient_caller=False)
    assert call.heard[-1] == "Nothing heard."


def test_redirects_follow_and_a_ring_of_them_ends_the_call(stage: Stage) -> None:
    plays(stage, voice="<Redirect>/next</Redirect>", next="<Say>Arrived.</Say>")
    assert stage.sandbox.call_in(PATIENT).heard == ["Arrived."]
    plays(stage, voice="<Redirect>/next</Redirect>", next="<Redirect>/voice</Redirect>")
    call = stage.sandbox.call_in(PATIENT)
    assert call.heard == [APPLICATION_ERROR]
    assert "50 documents" in stage.sandbox.debugger[-1].text


def test_a_repeated_request_carries_the_same_parameters_and_token(stage: Stage) -> None:
    plays(stage, voice=ask(), step=ask("Next."))
    call = stage.sandbox.call_in(PATIENT)
    call.press("1")
    assert call.retry().body.decode() == doc(ask("Next."))
    one, two = stage.forms("/step")
    assert one == two
    assert stage.tokens[-1] == stage.tokens[-2]
    assert call.heard[-1] == "Next."


@pytest.mark.parametrize("outcome", ["completed", "busy", "no-answer", "failed"])
def test_dial_tells_its_action_how_it_went(stage: Stage, outcome: str) -> None:
    dial = (
        f'<Dial action="/dialled" timeout="20" answerOnBridge="true" callerId="{OURS}"><Number>{NURSE}</Number></Dial>'
    )
    plays(stage, voice=f"<Say>One moment.</Say>{dial}<Say>never</Say>", dialled="<Say>After.</Say>")
    call = stage.sandbox.call_in(PATIENT)
    assert (call.waiting, call.dialing) == ("dial", NURSE)
    assert call.dialled(outcome, seconds=42) == ["After."]
    (form,) = stage.forms("/dialled")
    assert form["DialCallStatus"] == outcome
    assert form.get("DialCallDuration") == ("42" if outcome == "completed" else None)


def test_dial_outcomes_can_be_set_beforehand_and_bad_numbers_fail(stage: Stage) -> None:
    stage.sandbox.dial_outcomes[NURSE] = "busy"
    plays(stage, voice=f'<Dial action="/dialled">{NURSE}</Dial>', dialled='<Dial action="/again">911</Dial>')
    stage.sandbox.call_in(PATIENT)
    assert stage.forms("/dialled")[0]["DialCallStatus"] == "busy"
    assert stage.forms("/again")[0]["DialCallStatus"] == "failed"
    assert [alert.code for alert in stage.sandbox.debugger] == [13223]


def test_hanging_up_tells_the_action_of_dial_and_record_but_not_of_gather(stage: Stage) -> None:
    plays(stage, voice=f'<Dial action="/dialled">{NURSE}</Dial>')
    stage.sandbox.call_in(PATIENT).hang_up()
    assert stage.forms("/dialled")[0]["CallStatus"] == "completed"
    plays(stage, voice='<Record action="/kept"/>')
    stage.sandbox.call_in(PATIENT).hang_up()
    assert stage.forms("/kept")[0]["Digits"] == "hangup"
    plays(stage, voice=ask())
    call = stage.sandbox.call_in(PATIENT)
    call.hang_up()
    assert call.press("1") == []
    assert stage.forms("/step") == []


def test_a_recording_is_reported_by_address_and_silence_is_not(stage: Stage) -> None:
    record = '<Record action="/kept" maxLength="60" recordingStatusCallback="/recording"/>'
    plays(stage, voice=record, kept=record + "<Say>No message.</Say>")
    call = stage.sandbox.call_in(PATIENT)
    call.record(seconds=9, key="#")
    stage.sandbox.settle()
    (kept,), (told,) = stage.forms("/kept"), stage.forms("/recording")
    assert (kept["RecordingDuration"], kept["Digits"]) == ("9", "#")
    assert kept["RecordingUrl"].endswith(told["RecordingSid"])
    assert call.silence() == ["No message."]


def test_reject_ends_the_call_before_anybody_answers(stage: Stage) -> None:
    plays(stage, voice='<Reject reason="busy"/>')
    call = stage.sandbox.call_in(PATIENT)
    assert (call.rejected, call.status, call.heard) == (True, "busy", [])


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        (Response("boom", 500), 11200),
        (Response("<Response><Say>a</Response>", content_type="text/xml"), 12100),
        (Response(doc("<Say>" + "a" * 4097 + "</Say>"), content_type="text/xml"), 13521),
        (Response(doc(ask(speechTimeout="auto", speechModel="phone_call")), content_type="text/xml"), 13335),
        (Response(doc(" " * 66000), content_type="text/xml"), 11750),
        (Response("{}", content_type="application/json"), 12300),
    ],
)
def test_a_document_twilio_cannot_play_is_an_application_error(stage: Stage, answer: Response, code: int) -> None:
    stage.answer = lambda path, form: answer
    call = stage.sandbox.call_in(PATIENT)
    assert (call.heard, call.active) == ([APPLICATION_ERROR], False)
    assert code in [alert.code for alert in stage.sandbox.debugger]


def test_the_fallback_saves_the_call_once(tmp_path: Path) -> None:
    with Stage(tmp_path, voice_fallback_path="/safe") as stage:
        stage.answer = lambda path, form: doc("<Say>Safe.</Say>") if path == "/safe" else Response("boom", 500)
        assert stage.sandbox.call_in(PATIENT).heard == ["Safe."]
        assert stage.forms("/safe")[0]["ErrorCode"] == "11200"
        stage.answer = lambda path, form: Response("boom", 500)
        assert stage.sandbox.call_in(PATIENT).heard == [APPLICATION_ERROR]


def test_a_redirected_action_loses_the_digits_and_says_so(stage: Stage) -> None:
    def answer(path: str, form: dict[str, str]) -> Any:
        return redirect("/elsewhere") if path.startswith("/step") else doc(ask())

    stage.answer = answer
    stage.sandbox.call_in(PATIENT).press("1")
    assert (stage.methods[-1], stage.posts[-1]) == ("GET", ("/elsewhere", {}))
    assert "drops every parameter" in stage.sandbox.debugger[-1].text


def test_an_anonymous_caller_comes_without_geography(stage: Stage) -> None:
    plays(stage, voice="<Hangup/>")
    stage.sandbox.call_in("anonymous")
    assert "FromCity" not in stage.forms("/voice")[0]


# --- calls the bot makes ---------------------------------------------------------------------------------------------


def dial(stage: Stage, **fields: Any) -> Any:
    given = {"to": PATIENT, "from_": OURS, "url": f"{stage.public_url}/outbound", "timeout": 25} | fields
    made = stage.client.calls.create(**given)
    stage.sandbox.settle()
    return made


def test_an_outbound_call_rings_is_answered_and_counts_its_callbacks(stage: Stage) -> None:
    plays(stage, outbound=ask())
    made = dial(
        stage,
        status_callback=f"{stage.public_url}/progress",
        status_callback_event=["initiated", "ringing", "answered", "completed"],
        machine_detection="Enable",
    )
    assert made.status == "queued"
    (call,) = stage.sandbox.ringing(PATIENT)
    stage.sandbox.answer(call, "human")
    assert (stage.forms("/outbound")[0]["AnsweredBy"], stage.forms("/outbound")[0]["Direction"]) == (
        "human",
        "outbound-api",
    )
    call.hang_up()
    stage.sandbox.settle()
    told = [(form["CallStatus"], form["SequenceNumber"]) for form in stage.forms("/progress")]
    assert told == [("initiated", "0"), ("ringing", "1"), ("in-progress", "2"), ("completed", "3")]
    fetched = stage.client.calls(made.sid).fetch()
    assert (fetched.status, fetched.answered_by, fetched.direction) == ("completed", "human", "outbound-api")
    assert [found.sid for found in stage.client.calls.list(to=PATIENT, status="completed")] == [made.sid]


@pytest.mark.parametrize("status", ["busy", "no-answer", "failed"])
def test_nobody_picking_up_ends_with_that_status(stage: Stage, status: str) -> None:
    stage.sandbox.pickups[PATIENT] = status
    made = dial(stage, status_callback=f"{stage.public_url}/progress")
    stage.sandbox.settle()
    assert [form["CallStatus"] for form in stage.forms("/progress")] == [status]
    assert stage.client.calls(made.sid).fetch().status == status
    assert stage.forms("/outbound") == []


def test_a_machine_found_later_is_told_by_callback(stage: Stage) -> None:
    plays(stage, outbound="<Say>Please call the clinic.</Say>")
    stage.sandbox.pickups[PATIENT] = "machine_end_beep"
    dial(
        stage,
        machine_detection="DetectMessageEnd",
        async_amd="true",
        async_amd_status_callback=f"{stage.public_url}/amd",
    )
    stage.sandbox.settle()
    assert "AnsweredBy" not in stage.forms("/outbound")[0]
    assert stage.forms("/amd")[0]["AnsweredBy"] == "machine_end_beep"


def test_inline_documents_need_absolute_addresses(stage: Stage) -> None:
    stage.sandbox.pickups |= {PATIENT: "human", OTHER: "human"}
    dial(stage, url=None, twiml=doc(ask()))
    dial(stage, to=OTHER, url=None, twiml=doc(ask(action=f"{stage.public_url}/step")))
    broken, working = stage.sandbox.calls.values()
    assert (broken.heard, working.waiting) == ([APPLICATION_ERROR], "gather")
    assert [alert.code for alert in stage.sandbox.debugger] == [11100]


def test_the_bot_can_end_redirect_and_cancel_its_calls(stage: Stage) -> None:
    plays(stage, outbound=ask(), other="<Say>Elsewhere.</Say>" + ask())
    stage.sandbox.pickups[PATIENT] = "human"
    made = dial(stage)
    stage.client.calls(made.sid).update(url=f"{stage.public_url}/other")
    assert stage.sandbox.calls[made.sid].heard[-2] == "Elsewhere."
    assert stage.client.calls(made.sid).update(status="completed").status == "completed"
    ringing = dial(stage, to=OTHER)
    assert stage.client.calls(ringing.sid).update(status="canceled").status == "canceled"


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"to": "+15005550001"}, 21217),
        ({"to": "+15005550002"}, 21214),
        ({"to": "+15005550003"}, 21215),
        ({"to": "+15005550004"}, 21216),
        ({"from_": OTHER}, 21210),
        ({"to": "12"}, 21211),
        ({"url": None}, 21205),
        ({"status_callback_event": ["sung"]}, 21208),
        ({"async_amd": "true", "machine_detection": "Enable"}, 21262),
        ({"machine_detection": "Perhaps"}, 20001),
        ({"timeout": 601}, 20001),
    ],
)
def test_a_bad_call_gets_twilios_code(stage: Stage, fields: dict[str, Any], code: int) -> None:
    with pytest.raises(TwilioRestException) as refused:
        dial(stage, **fields)
    assert refused.value.code == code
    assert stage.sandbox.calls == {}


def test_faults_hit_calls_too(stage: Stage) -> None:
    stage.sandbox.faults.rest.append(RestFault("error", 429, 20429))
    with pytest.raises(TwilioRestException) as refused:
        dial(stage)
    assert (refused.value.status, refused.value.code) == (429, 20429)
