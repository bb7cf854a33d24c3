"""The phone page: what it may do, what it shows, and who may use it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient

from bot.sandbox.phone import FILES, PAGES
from tests.sandbox_stage import PATIENT, Stage

HOME = "http://127.0.0.1"
GATHER = (
    '<Gather input="dtmf speech" action="/step" timeout="6" numDigits="1"><Say language="es-US">Diga.</Say></Gather>'
)


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    with Stage(tmp_path, clinic_name="CLS Health") as made:
        yield made


@pytest.fixture
def page(stage: Stage) -> FlaskClient:
    return stage.app.test_client()


def press(page: FlaskClient, path: str, **body: Any) -> Any:
    answer = page.post(f"/phone/api/{path}", json=body, headers={"X-Phone": "1"}, base_url=HOME)
    assert answer.status_code == 200, answer.text
    return answer.get_json()


def state(page: FlaskClient, phone: str = "p1", hurry: str = "0") -> dict[str, Any]:
    answer = page.get("/phone/api/state", query_string={"phone": phone, "hurry": hurry}, base_url=HOME)
    assert answer.status_code == 200
    shown: dict[str, Any] = answer.get_json()
    return shown


def test_the_page_runs_nothing_but_its_own_files(page: FlaskClient) -> None:
    answer = page.get("/", base_url=HOME)
    policy = answer.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    html = answer.get_data(as_text=True)
    assert not re.search(r"<style|\sstyle=|\son\w+=|javascript:|<script>", html)
    assert set(re.findall(r'(?:src|href)="([^"]+)"', html)) == {f"/phone/{name}" for name in FILES}
    for name in FILES:
        assert page.get(f"/phone/{name}", base_url=HOME).status_code == 200
        text = (PAGES / name).read_text(encoding="utf-8").replace("http://www.w3.org/2000/svg", "")
        assert not re.search(r"https?://\w", text), f"{name} names another site"
        assert "innerHTML" not in text
    assert page.get("/phone/..%2Fphone.py", base_url=HOME).status_code == 404
    assert page.get("/phone/phone.html", base_url=HOME).status_code == 404


def test_a_booking_page_stands_in_for_the_clinics_own(page: FlaskClient) -> None:
    assert "nothing is booked" in page.get("/booking/pmr", base_url=HOME).get_data(as_text=True)
    assert page.get("/booking/other", base_url=HOME).status_code == 404


def test_both_languages_have_every_word_the_page_uses() -> None:
    words = (PAGES / "words.js").read_text(encoding="utf-8")
    english, spanish = (set(re.findall(r"(\w+): \"", part)) for part in words.split("  es: {"))
    assert english == spanish
    used = set(re.findall(r'data-(?:word|label|hint)="(\w+)"', (PAGES / "phone.html").read_text(encoding="utf-8")))
    assert used <= english


def test_only_this_page_on_this_machine_may_press_buttons(page: FlaskClient, stage: Stage) -> None:
    body = {"phone": "p1", "text": "hi"}
    assert page.post("/phone/api/text", json=body, base_url=HOME).status_code == 403
    assert page.post("/phone/api/text", data=body, headers={"X-Phone": "1"}, base_url=HOME).status_code == 403
    rebound = page.post("/phone/api/text", json=body, headers={"X-Phone": "1"}, base_url="http://evil.example")
    assert rebound.status_code == 421
    assert page.get("/", base_url="http://evil.example:8010").status_code == 421
    assert page.get("/", base_url="http://localhost:8010").status_code == 200
    assert stage.posts == []


def test_a_text_and_its_reply_show_with_ticks_segments_and_time(page: FlaskClient, stage: Stage) -> None:
    press(page, "text", phone="p1", text="my back hurts ☹")
    stage.sandbox.settle()
    mine, theirs = state(page)["messages"]
    assert (mine["mine"], mine["text"], mine["encoding"], mine["status"]) == (
        True,
        "my back hurts ☹",
        "UCS-2",
        "received",
    )
    assert (theirs["mine"], theirs["text"], theirs["status"], theirs["segments"]) == (False, "ok", "delivered", 1)
    assert state(page, "p2")["messages"] == []
    assert state(page)["clinic"] == "CLS Health"


def test_later_moves_the_clock_of_everybody_and_only_by_what_the_buttons_say(page: FlaskClient, stage: Stage) -> None:
    before = stage.clock()
    press(page, "later", seconds=86400)
    assert 86400 <= stage.clock() - before < 86410
    odd = page.post("/phone/api/later", json={"seconds": -5}, headers={"X-Phone": "1"}, base_url=HOME)
    assert odd.status_code == 400


def test_a_new_patient_gets_a_number_of_their_own_that_cannot_exist(page: FlaskClient) -> None:
    made = [press(page, "phones")["id"] for _ in range(45)]
    numbers = {phone["id"]: phone["number"] for phone in state(page, made[-1])["phones"]}
    assert len(set(numbers.values())) == len(numbers)
    assert all(re.fullmatch(r"\+1\d{3}55501\d\d", number) for number in numbers.values())
    assert page.get("/phone/api/state?phone=p999", base_url=HOME).status_code == 404
    assert page.get("/phone/api/state?phone=x", base_url=HOME).status_code == 404


def test_the_size_of_a_text_is_counted_while_typing(page: FlaskClient) -> None:
    assert press(page, "size", text="x" * 161) == {"encoding": "GSM-7", "count": 2, "units": 161, "guilty": []}
    assert press(page, "size", text="así")["guilty"] == ["í"]


def test_a_call_is_made_keyed_spoken_and_ended_from_the_page(page: FlaskClient, stage: Stage) -> None:
    stage.answer = lambda path, form: f"<Response>{GATHER}</Response>"
    made = press(page, "call", phone="p1")["id"]
    press(page, "input", call=made, kind="press", value="1")
    press(page, "input", call=made, kind="say", value=" no sé ")
    call = state(page)["call"]
    assert [(line["kind"], line["text"]) for line in call["lines"]] == [
        ("say", "Diga."), ("you", "1"), ("say", "Diga."), ("you", "no sé"), ("say", "Diga."),
    ]  # fmt: skip
    assert (call["waiting"], call["lines"][0]["language"]) == ("gather", "es-US")
    press(page, "input", call=made, kind="hang_up")
    assert state(page)["call"]["active"] is False
    for wrong in ({"kind": "press", "value": "A"}, {"kind": "sing"}, {"kind": "say", "value": " "}):
        body = {"call": made, **wrong}
        answer = page.post("/phone/api/input", json=body, headers={"X-Phone": "1"}, base_url=HOME)
        assert answer.status_code == 400


def test_a_silent_caller_is_only_timed_out_when_asked_for(page: FlaskClient, stage: Stage) -> None:
    stage.answer = lambda path, form: f"<Response>{GATHER}<Say>Bye.</Say></Response>"
    press(page, "call", phone="p1")
    stage.clock.advance(60)
    assert state(page)["call"]["waiting"] == "gather"
    assert state(page, hurry="1")["call"]["lines"][-1]["text"] == "Bye."


def test_an_incoming_call_rings_until_answered(page: FlaskClient, stage: Stage) -> None:
    stage.answer = lambda path, form: f"<Response>{GATHER}</Response>"
    made = stage.client.calls.create(to=PATIENT, from_=stage.sandbox.config.numbers[0], url=f"{stage.public_url}/out")
    stage.sandbox.settle()
    assert state(page)["call"]["waiting"] == "ring"
    press(page, "input", call=made.sid, kind="answer", value="human")
    assert state(page)["call"]["waiting"] == "gather"


def test_odd_bodies_are_refused(page: FlaskClient) -> None:
    for body in ([], {"phone": 5}, {"phone": "p1", "text": 5}, "x"):
        answer = page.post("/phone/api/text", json=body, headers={"X-Phone": "1"}, base_url=HOME)
        assert answer.status_code in (400, 404)
    lone = page.post(
        "/phone/api/text", data=b'{"phone":"p1","text":"\\ud83d"}', content_type="application/json",
        headers={"X-Phone": "1"}, base_url=HOME,
    )  # fmt: skip
    assert lone.status_code == 200
