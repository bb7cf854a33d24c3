"""The local Twilio against Twilio's own descriptions: its OpenAPI, its TwiML grammar, its golden documents."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from openapi_core import OpenAPI
from openapi_core.contrib.requests import RequestsOpenAPIRequest, RequestsOpenAPIResponse
from twilio.base.exceptions import TwilioRestException

from bot.sandbox.clock import SandboxClock
from bot.sandbox.grammar import problems, shipped_grammar
from bot.sandbox.server import listen
from tests.sandbox_stage import OPENAPI, OURS, PATIENT, SERVICE, Stage, openapi
from tests.twiml_grammar import FULL, SHARED, derive, faults

shared = pytest.mark.skipif(not OPENAPI.exists(), reason="shared/twilio is not beside this clone")


@pytest.fixture
def checked(tmp_path: Path) -> Iterator[Stage]:
    """A stage whose client checks every request it sends and every answer it gets against Twilio's OpenAPI."""
    with Stage(tmp_path) as stage:
        described = openapi()
        for path in described["paths"].values():
            path["servers"] = [{"url": f"http://127.0.0.1:{stage.port}"}]
        judge = OpenAPI.from_dict(described)

        def judged(answer: Any, *_: Any, **__: Any) -> None:
            request = RequestsOpenAPIRequest(answer.request)
            judge.validate_request(request)
            if answer.ok:
                judge.validate_response(request, RequestsOpenAPIResponse(answer))

        stage.client.http_client.session.hooks["response"].append(judged)
        yield stage


@shared
def test_messages_keep_to_twilios_openapi_both_ways(checked: Stage) -> None:
    send = checked.client.messages.create
    one = send(to=PATIENT, from_=OURS, body="hi", status_callback=f"{checked.public_url}/status", smart_encoded=True)
    soon = datetime.fromtimestamp(checked.clock() + 3600, UTC)
    two = send(to=PATIENT, messaging_service_sid=SERVICE, body="later", schedule_type="fixed", send_at=soon)
    send(to=PATIENT, from_=OURS, media_url=["http://127.0.0.1/a.jpg"], validity_period=3600)
    checked.sandbox.settle()
    checked.client.messages(one.sid).fetch()
    checked.client.messages(two.sid).update(status="canceled")
    assert len(checked.client.messages.list(to=PATIENT, date_sent_before=datetime.now(UTC), page_size=2)) == 3
    checked.sandbox.text_in(PATIENT, "hello")
    checked.client.messages.list()
    assert checked.client.messages(one.sid).delete()
    with pytest.raises(TwilioRestException):
        checked.client.messages(one.sid).fetch()


@shared
def test_calls_keep_to_twilios_openapi_both_ways(checked: Stage) -> None:
    made = checked.client.calls.create(
        to=PATIENT,
        from_=OURS,
        url=f"{checked.public_url}/voice",
        machine_detection="Enable",
        status_callback=f"{checked.public_url}/status",
        status_callback_event=["initiated", "completed"],
        timeout=20,
    )
    checked.sandbox.settle()
    checked.client.calls(made.sid).fetch()
    checked.client.calls.list(to=PATIENT, start_time_after=datetime(2020, 1, 1, tzinfo=UTC))
    checked.client.calls(made.sid).update(status="completed")
    assert checked.client.calls(made.sid).fetch().status == "completed"


@shared
def test_the_shipped_grammar_is_derived_from_twilios() -> None:
    derived = derive(json.loads(FULL.read_text(encoding="utf-8")))
    assert shipped_grammar() == derived


@shared
def test_twilios_own_documents_pass_both_grammars() -> None:
    documents = sorted((SHARED / "twiml_golden").glob("*.xml"))
    assert len(documents) == 16
    for path in documents:
        kind = "messaging" if "_message_" in path.name else "voice"
        # Two samples leave out the action, which Twilio allows and we do not.
        loops = ["gather-1.xml", "gather-2.xml"]
        assert bool(faults(path.read_bytes(), kind)) == path.name.endswith(tuple(loops)), path.name
        french = "fr-FR" in path.read_text(encoding="utf-8")
        assert french or problems(path.read_bytes(), kind) == problems(
            path.read_bytes(), kind, grammar=shipped_grammar()
        )


@pytest.mark.parametrize(
    ("inside", "code"),
    [
        ("<Gather input=\"['dtmf', 'speech']\" action=\"/a\"/>", 12200),
        ('<Gather timeout="soon" action="/a"/>', 12200),
        ('<Gather action="/a" finishonkey="#"/>', 12200),
        ('<Gather action="/a"><Hangup/></Gather>', 12200),
        ('<Gather action="/a" actionOnEmptyResult="yes"/>', 12200),
        ('<Say language="es">Hola</Say>', 12200),
        ('<Say voice="Polly.Nobody">Hi</Say>', 12200),
        ('<Say voice="Polly.Lupe-Neural" language="en-US">Hi</Say>', 0),
        ('<Say voice="Google.es-US-Neural2-A" language="en-US">Hi</Say>', 0),
        ("<Gather/>", 0),
        (f'<Gather action="/a" hints="{"a," * 501}"/>', 0),
        (f'<Gather action="/a" hints="{"a" * 101}"/>', 0),
        ("<Say> </Say>", 13520),
        ("<Sing>la</Sing>", 12200),
        ('<Gather action="/a" speechTimeout="auto" speechModel="phone_call"/>', 13335),
        ("<!-- fine --><Say>\x00</Say>", 12100),
    ],
)
def test_each_fault_of_a_voice_document_is_named(inside: str, code: int) -> None:
    for grammar in (None, shipped_grammar()):
        found = problems(f"<Response>{inside}</Response>", "voice", grammar=grammar)
        assert [problem.code for problem in found] == [code]


def test_entities_and_lone_surrogates_are_refused() -> None:
    bomb = '<!DOCTYPE r [<!ENTITY a "aaaa">]><Response><Say>&a;</Say></Response>'
    assert [problem.code for problem in problems(bomb, "voice")] == [12100]
    assert [problem.code for problem in problems("<Response><Say>\ud83d</Say></Response>", "voice")] == [12100]


def test_what_we_speak_passes() -> None:
    document = """<Response><Gather input="dtmf speech" action="http://127.0.0.1/v?t=1" actionOnEmptyResult="true"
    timeout="6" speechTimeout="3" numDigits="1" finishOnKey="" language="es-US" hints="sí, no">
    <Say language="es-US" voice="Polly.Lupe-Neural">Diga <say-as interpret-as="digits">911</say-as></Say></Gather>
    <Dial action="http://127.0.0.1/d" timeout="20" answerOnBridge="true">+17135550199</Dial></Response>"""
    assert faults(document, "voice", inline=True) == []


def test_the_sandbox_only_exists_on_this_machine(tmp_path: Path) -> None:
    with (
        pytest.raises(ValueError, match="only talks to this machine"),
        Stage(tmp_path, public_url="https://bot.example"),
    ):
        raise AssertionError("it started")
    for host in ("0.0.0.0", "192.168.1.5", "clinic.example", "::"):
        with pytest.raises(ValueError, match="only listens on 127"):
            listen(None, host)  # type: ignore[arg-type]


def test_a_callback_elsewhere_is_never_called(tmp_path: Path) -> None:
    with Stage(tmp_path) as stage:
        stage.client.messages.create(to=PATIENT, from_=OURS, body="hi", status_callback="http://clinic.example/x")
        stage.sandbox.settle()
        assert {alert.text for alert in stage.sandbox.debugger} == {"The local Twilio only calls this machine."}


def test_the_virtual_clock_is_shared_and_only_moves_forward(tmp_path: Path) -> None:
    one, two = SandboxClock(tmp_path / "clock.json"), SandboxClock(tmp_path / "clock.json")
    before = two()
    one.advance(86400)
    one.advance(3600)
    assert 90000 <= two() - before < 90010
    for wrong in (-1, float("nan")):
        with pytest.raises(ValueError, match="only moves forward"):
            one.advance(wrong)
    (tmp_path / "clock.json").write_text("[]")
    with pytest.raises(ValueError, match="not a sandbox clock"):
        two()


def test_every_door_of_the_local_twilio_is_locked(tmp_path: Path) -> None:
    """The whole map of addresses: REST wants the account's token, a press of the phone its own header, and whatever comes
    under another name than this machine's is sent away. A new door without a lock fails here."""
    with Stage(tmp_path) as stage:
        client, seen = stage.app.test_client(), 0
        for rule in stage.app.url_map.iter_rules():
            path = re.sub(r"<any\((\w+)[^>]*>", r"\1", rule.rule)
            path = re.sub(r"<[^>]+>", "p1", path)
            for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}:
                seen += 1
                rebound = client.open(path, method=method, base_url="http://evil.example")
                assert rebound.status_code == 421, (method, rule.rule)
                if rule.endpoint.startswith("rest"):
                    assert client.open(path, method=method, base_url="http://127.0.0.1").status_code == 401, rule.rule
                elif method != "GET":
                    pressed = client.open(path, method=method, json={}, base_url="http://127.0.0.1")
                    assert pressed.status_code == 403, (method, rule.rule)
        assert seen > 15
