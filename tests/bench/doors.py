"""What is compared: our webhook, and references that are built here from what anybody would use.

``constant`` a Flask view that does nothing; ``floor`` Flask + the library's RequestValidator + one EVALSHA; ``naive`` an
if/else bot with GET and SET. All three answer a constant document. Each is a WSGI application over the same server.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import io
import itertools
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit

from flask import Flask, Response, request
from twilio.request_validator import RequestValidator

from bot.settings import Settings
from bot.store.client import connect
from bot.web import create_app
from bot.web.limits import TEXTS, Limits
from bot.wiring import build, make_shelter, urgent_in

ACCOUNT, TOKEN, OURS = "AC" + "b" * 32, "feedfacefeedfacefeedfacefeedface", "+12125550123"
PUBLIC = "http://127.0.0.1:8000"
DOCUMENT = b'<?xml version="1.0" encoding="UTF-8"?><Response><Message>Thanks. How bad is it?</Message></Response>'
TOUCH = "redis.call('SET', KEYS[1], ARGV[1], 'EX', 2592000) return redis.call('GET', KEYS[1])"
WRITTEN = 2_500  # bytes that one of our turns appends to the AOF; the floor 77

# One patient's walk by text to the scheduling link, and the same by keys.
WALK = ("hi my back hurts", "yes", "no", "no", "no", "5", "same", "3", "1", "3", "yes")
KEYS = (None, "1", "1", "2", "2", "2", "2", "5#", "2", "3", "1", "3", "1", "1")

Application = Callable[..., Any]


@dataclass(frozen=True)
class Posted:
    """One signed webhook: its path and body, and the signature Twilio would send."""

    path: str
    body: bytes
    signature: str

    def environ(self) -> dict[str, Any]:
        """As a WSGI server hands it over."""
        return {
            "REQUEST_METHOD": "POST", "SCRIPT_NAME": "", "PATH_INFO": self.path, "QUERY_STRING": "",
            "CONTENT_TYPE": "application/x-www-form-urlencoded", "CONTENT_LENGTH": str(len(self.body)),
            "SERVER_NAME": "127.0.0.1", "SERVER_PORT": "8000", "SERVER_PROTOCOL": "HTTP/1.1",
            "HTTP_HOST": "127.0.0.1:8000", "HTTP_X_TWILIO_SIGNATURE": self.signature, "REMOTE_ADDR": "127.0.0.1",
            "HTTP_USER_AGENT": "TwilioProxy/1.1", "HTTP_ACCEPT": "*/*",
            "HTTP_I_TWILIO_IDEMPOTENCY_TOKEN": "9f8a1c1e-b6f1-4e0c-9f0a-2d0e8b3f6a11",
            "wsgi.url_scheme": "http", "wsgi.input": io.BytesIO(self.body), "wsgi.errors": io.StringIO(),
            "wsgi.version": (1, 0), "wsgi.multithread": True, "wsgi.multiprocess": True, "wsgi.run_once": False,
        }  # fmt: skip

    def raw(self) -> bytes:
        """As bytes on the wire, to be answered on a connection that stays open."""
        head = (
            f"POST {self.path} HTTP/1.1\r\nHost: {urlsplit(PUBLIC).netloc}\r\nUser-Agent: TwilioProxy/1.1\r\n"
            f"Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {len(self.body)}\r\n"
            f"X-Twilio-Signature: {self.signature}\r\n\r\n"
        )
        return head.encode() + self.body


def signed(path: str, params: dict[str, str]) -> Posted:
    """A webhook as Twilio would send it."""
    text = PUBLIC + path + "".join(name + params[name] for name in sorted(params))
    signature = base64.b64encode(hmac.digest(TOKEN.encode(), text.encode(), "sha1")).decode()
    return Posted(path, urlencode(params).encode(), signature)


def text(number: int, said: str, phone: int) -> Posted:
    """A text with the parameters Twilio sends with one; *number* makes its SID."""
    sid = "SM" + hashlib.md5(f"{phone}/{number}".encode()).hexdigest()  # a name
    return signed("/sms", {
        "ToCountry": "US", "ToState": "NY", "SmsMessageSid": sid, "NumMedia": "0", "ToCity": "", "FromZip": "77002",
        "SmsSid": sid, "FromState": "TX", "SmsStatus": "received", "FromCity": "HOUSTON", "Body": said,
        "FromCountry": "US", "To": OURS, "ToZip": "", "NumSegments": "1", "MessageSid": sid, "AccountSid": ACCOUNT,
        "From": phone_of(phone), "ApiVersion": "2010-04-01",
    })  # fmt: skip


def keys(step: str, pressed: str | None, phone: int) -> Posted:
    """A step of a call: its start (*pressed* None), or what was keyed at *step*."""
    params = {
        "AccountSid": ACCOUNT, "ApiVersion": "2010-04-01", "CallSid": f"CA{phone:032x}", "CallStatus": "in-progress",
        "Called": OURS, "Caller": phone_of(phone), "Direction": "inbound", "From": phone_of(phone), "To": OURS,
        "FromState": "TX", "FromCountry": "US", "ToCountry": "US",
    }  # fmt: skip
    if pressed is None:
        return signed("/voice", params)
    return signed(f"/voice/{step}", {**params, "Digits": pressed.rstrip("#"), "msg": "Gather Keys"})


def phone_of(number: int) -> str:
    """Numbers of Houston that phonenumbers takes for valid."""
    return f"+1713{2_000_000 + number % 8_000_000:07d}"


def texts(first: int = 0) -> Iterator[Posted]:
    """Walks of ever new patients."""
    for phone in itertools.count(first):
        yield from (text(number, said, phone) for number, said in enumerate(WALK))


def environment(state_url: str, data_dir: Path) -> dict[str, str]:
    """A production deployment on this machine: no sandbox, everything at its default."""
    return {
        "PUBLIC_URL": PUBLIC, "SECRET_KEY": "5a" * 32, "TWILIO_ACCOUNT_SID": ACCOUNT, "TWILIO_AUTH_TOKENS": TOKEN,
        "TWILIO_FROM": OURS, "CLINIC_PHONE": "+17135550100", "BOOKING_URL_PMR": "https://book.example/pmr",
        "BOOKING_URL_PT": "https://book.example/pt", "STATE_URL": state_url, "DATA_DIR": str(data_dir),
    }  # fmt: skip


def settings(state_url: str, data_dir: Path) -> Settings:
    """The same as the program reads it."""
    return Settings.load(environment(state_url, data_dir))


def ours(state_url: str, data_dir: Path) -> Application:
    """The product's web application, whole."""
    settled = settings(state_url, data_dir)
    app = build(settled)
    shelter = make_shelter(app)
    # All its limits are asked, but on a clock that runs away: a thousand patients a second would be cut off at once.
    texts = Limits(itertools.count(0.0, 60.0).__next__, TEXTS)
    return create_app(settled, shelter, shelter, ready=shelter.well, urgent=urgent_in(app), texts=texts)


def constant(state_url: str, data_dir: Path) -> Application:
    """Flask and nothing else."""
    app = Flask("constant", static_folder=None)

    @app.post("/sms")
    def sms() -> Response:
        return Response(DOCUMENT, content_type="text/xml; charset=utf-8")

    return app


def floor(state_url: str, data_dir: Path, more: str = "") -> Application:
    """The least that any honest bot does: the signature as the library checks it, and one script in the store. *more* is
    written with it."""
    app, validator = Flask("floor", static_folder=None), RequestValidator(TOKEN)
    client = connect(state_url)
    touch: Any = client.register_script(TOUCH)

    @app.post("/sms")
    def sms() -> Response:
        if not validator.validate(PUBLIC + "/sms", request.form, request.headers.get("X-Twilio-Signature", "")):
            return Response(status=403)
        touch(keys=[f"{{b0}}s:{request.form['From']}"], args=[request.form["Body"] + more])
        return Response(DOCUMENT, content_type="text/xml; charset=utf-8")

    return app


def heavy(state_url: str, data_dir: Path) -> Application:
    """The floor, made to write as much as a turn of ours: what the disk alone does to latencies."""
    return floor(state_url, data_dir, "x" * WRITTEN)


def naive(state_url: str, data_dir: Path) -> Application:
    """The bot of a first afternoon: the library's signature check, GET, if/else, SET. No lock, no duplicates, no log."""
    app, validator = Flask("naive", static_folder=None), RequestValidator(TOKEN)
    client = connect(state_url)
    asks = ("Any chest pain?", "New numbness?", "Fever?", "Pain 0-10?", "Worse?", "Cause?", "Where?", "Goal?", "Done.")

    @app.post("/sms")
    def sms() -> Response:
        if not validator.validate(PUBLIC + "/sms", request.form, request.headers.get("X-Twilio-Signature", "")):
            return Response(status=403)
        key = f"n:{request.form['From']}"
        kept: Any = client.get(key)
        state = json.loads(kept) if kept else {"at": 0, "answers": {}}
        said = request.form["Body"].strip().lower()
        if "chest" in said or "breathe" in said:
            says = "Call 911."
        else:
            state["answers"][asks[state["at"] % len(asks)]] = said
            state["at"] += 1
            says = asks[state["at"] % len(asks)]
        client.set(key, json.dumps(state), ex=2592000)
        body = f'<?xml version="1.0" encoding="UTF-8"?><Response><Message>{says}</Message></Response>'
        return Response(body, content_type="text/xml; charset=utf-8")

    return app


DOORS: dict[str, Callable[[str, Path], Application]] = {
    "constant": constant, "floor": floor, "naive": naive, "ours": ours,
}  # fmt: skip


# Where latencies are measured and not work.
AT_A_RATE: dict[str, Callable[[str, Path], Application]] = {
    "constant": constant, "floor": floor, "heavy": heavy, "ours": ours,
}  # fmt: skip


def call(app: Application, posted: Posted) -> tuple[str, bytes]:
    """One request through *app* in this process: status line and body."""
    status: list[str] = []

    def start(line: str, headers: Any, exc_info: Any = None) -> None:
        status.append(line)

    answer = app(posted.environ(), start)
    try:
        return status[0], b"".join(answer)
    finally:
        if hasattr(answer, "close"):
            answer.close()
