"""The phone page: what a patient's phone shows, served on this machine only, and the JSON it polls.

Shows and forwards; texts, calls and time are decided by the sandbox. Phones have ids here, so that no address holds a
number.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from flask import Blueprint, Response, abort, jsonify, request

from bot.sandbox.exchange import Sandbox
from bot.sandbox.model import Message
from bot.sandbox.player import Call
from bot.wording import segments

PAGES = Path(__file__).with_name("pages")
FILES = {
    "phone.css": "text/css",
    "phone.js": "text/javascript",
    "words.js": "text/javascript",
    "icon.svg": "image/svg+xml",
}
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self'; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'"
)
# 555-01xx is set aside for fiction: nobody can own these.
FIRST_PHONES = ("+17135550123", "+18325550144", "+17875550155", "+12125550166")
FICTION = re.compile(r"\+1\d{3}55501\d\d")
TEXT_LIMIT = 1600
LATER = (3600, 86400)
ALERTS_SHOWN = 20


class Phones:
    """The demo phones, by id: ``p1``, ``p2`` ... A new patient is one more."""

    def __init__(self) -> None:
        self._numbers = list(FIRST_PHONES)
        self._made = 0

    def number(self, phone_id: str) -> str:
        """Answers 404 for an id nobody has."""
        index = int(phone_id[1:]) - 1 if phone_id[:1] == "p" and phone_id[1:].isdecimal() else -1
        if not 0 <= index < len(self._numbers):
            abort(404)
        return self._numbers[index]

    def add(self, wanted: str = "") -> str:
        """One more phone, with a number that cannot exist: the *wanted* one when it is of those. Answers 400 for others."""
        if wanted and not FICTION.fullmatch(wanted):
            abort(400)
        if wanted:
            if wanted not in self._numbers:
                self._numbers.append(wanted)
            return f"p{self._numbers.index(wanted) + 1}"
        areas = ("713", "832", "281", "346")
        extra = self._made
        self._made += 1
        self._numbers.append(f"+1{areas[extra // 20 % 4]}55501{70 + extra % 20}")
        return f"p{len(self._numbers)}"

    def shown(self) -> list[dict[str, str]]:
        return [{"id": f"p{i}", "number": number} for i, number in enumerate(self._numbers, 1)]


def phone_doors(sandbox: Sandbox) -> Blueprint:
    """The page at ``/`` and its JSON below ``/phone/api/``."""
    doors = Blueprint("phone", __name__)
    phones = Phones()
    _pages(doors)
    _reading(doors, sandbox, phones)
    _writing(doors, sandbox, phones)
    _calling(doors, sandbox, phones)
    return doors


def _pages(doors: Blueprint) -> None:
    @doors.get("/")
    def page() -> Response:
        return Response((PAGES / "phone.html").read_bytes(), content_type="text/html; charset=utf-8")

    @doors.get("/booking/<any(pmr, pt, both):visit>")
    def booking(visit: str) -> Response:
        return Response((PAGES / "booking.html").read_bytes(), content_type="text/html; charset=utf-8")

    @doors.get("/phone/<name>")
    def part(name: str) -> Response:
        if name not in FILES:
            abort(404)
        return Response((PAGES / name).read_bytes(), content_type=f"{FILES[name]}; charset=utf-8")

    @doors.before_request
    def same_page() -> None:
        # A header no foreign form or image can send: another site open in the same browser cannot press buttons here.
        if request.method == "POST" and (request.headers.get("X-Phone") != "1" or not request.is_json):
            abort(403)

    @doors.after_request
    def sealed(answer: Response) -> Response:
        answer.headers["Content-Security-Policy"] = POLICY
        answer.headers["X-Content-Type-Options"] = "nosniff"
        answer.headers["Referrer-Policy"] = "no-referrer"
        answer.headers["Cache-Control"] = "no-store"
        answer.headers["Cross-Origin-Resource-Policy"] = "same-origin"
        return answer


def _reading(doors: Blueprint, sandbox: Sandbox, phones: Phones) -> None:
    @doors.get("/phone/api/state")
    def state() -> Response:
        number = phones.number(request.args.get("phone", "p1"))
        sandbox.deliver_scheduled()
        call = _current_call(sandbox, number)
        if call is not None:
            call.tick(patient_caller=request.args.get("hurry") != "1")
        with sandbox.lock:
            alerts = sandbox.debugger[-ALERTS_SHOWN:]
        return jsonify(
            clinic=sandbox.config.clinic_name,
            ours=sandbox.config.numbers[0],
            now=sandbox.config.clock(),
            phones=phones.shown(),
            messages=[_message(message, number) for message in sandbox.texts(number)],
            call=None if call is None else _call(call),
            alerts=[{"code": alert.code, "text": alert.text} for alert in alerts],
        )

    @doors.post("/phone/api/size")
    def size() -> Response:
        counted = segments(_text("text"))
        return jsonify(encoding=counted.encoding, count=counted.count, units=counted.units, guilty=counted.guilty)


def _writing(doors: Blueprint, sandbox: Sandbox, phones: Phones) -> None:
    @doors.post("/phone/api/text")
    def text() -> Response:
        sandbox.text_in(phones.number(_text("phone")), _text("text")[:TEXT_LIMIT])
        return jsonify(ok=True)

    @doors.post("/phone/api/phones")
    def another() -> Response:
        return jsonify(id=phones.add(_text("number")))

    @doors.post("/phone/api/later")
    def later() -> Response:
        seconds = _body().get("seconds")
        if seconds not in LATER:
            abort(400)
        return jsonify(now=sandbox.config.advance(float(seconds)))


def _calling(doors: Blueprint, sandbox: Sandbox, phones: Phones) -> None:
    @doors.post("/phone/api/call")
    def call() -> Response:
        made = sandbox.call_in(phones.number(_text("phone")))
        return jsonify(id=made.sid)

    @doors.post("/phone/api/input")
    def act() -> Response:
        line = sandbox.calls.get(_text("call"))
        if line is None:
            abort(404)
        _act(sandbox, line, _text("kind"), _text("value"))
        return jsonify(ok=True)


def _act(sandbox: Sandbox, call: Call, kind: str, value: str) -> None:
    if kind == "press" and value and set(value) <= set("0123456789*#"):
        call.press(value)
    elif kind == "say" and value.strip():
        call.say(value.strip()[:4096])
    elif kind == "silence":
        call.silence()
    elif kind == "hang_up":
        call.hang_up()
    elif kind == "dialled" and value in ("completed", "busy", "no-answer", "failed"):
        call.dialled(value)
    elif kind == "record":
        call.record(seconds=8, key="#")
    elif kind in ("answer", "decline") and call.waiting == "ring":
        if kind == "answer":
            sandbox.answer(call, value or "human")
        else:
            sandbox.decline(call, value or "busy")
    else:
        abort(400)


def _current_call(sandbox: Sandbox, number: str) -> Call | None:
    """The call this phone is in or hears ringing, else its last one."""
    with sandbox.lock:
        calls = [call for call in sandbox.calls.values() if call.patient == number]
    active = [call for call in calls if call.active]
    return (active or calls)[-1] if calls else None


def _message(message: Message, number: str) -> dict[str, Any]:
    return {
        "id": message.sid,
        "mine": message.from_ == number,
        "text": message.body,
        "media": len(message.media),
        "status": message.status,
        "error": message.error_code,
        "segments": message.segments,
        "encoding": message.encoding,
        "time": message.created,
    }


def _call(call: Call) -> dict[str, Any]:
    return {
        "id": call.sid,
        "direction": call.direction,
        "status": call.status,
        "active": call.active,
        "waiting": call.waiting,
        "dialing": call.dialing,
        "digits": call.digits,
        "lines": [{"kind": p.kind, "text": p.text, "language": p.language} for p in list(call.prompts)],
    }


def _body() -> dict[str, Any]:
    body = request.get_json(silent=True)
    if not isinstance(body, dict):
        abort(400)
    return body


def _text(name: str) -> str:
    """A text field of the JSON body, without lone surrogates, which no phone can send."""
    value = _body().get(name, "")
    if not isinstance(value, str):
        abort(400)
    return value.encode("utf-8", "replace").decode()
