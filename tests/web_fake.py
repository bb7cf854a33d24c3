"""A hand-written conversation and a signing client for the web tests. Not a test itself."""

from __future__ import annotations

import base64
import hashlib
import hmac
from typing import Any
from urllib.parse import urlencode

import redis
from flask import Flask
from flask.testing import FlaskClient

from bot.settings import Settings
from bot.turn import Door, Heard, Input
from bot.web import create_app
from bot.web.answers import Answers

PHONE = "+12125550188"
OURS = "+12125550123"
ACCOUNT = "AC" + "b" * 32
TOKEN = "feedfacefeedfacefeedfacefeedface"
PUBLIC = "https://triage.clinic.example"
LINK = "b00.abcdefghijklmnop"


def settings(**changes: str) -> Settings:
    return Settings.load(
        {
            "PUBLIC_URL": PUBLIC,
            "SECRET_KEY": "5a" * 32,
            "TWILIO_ACCOUNT_SID": ACCOUNT,
            "TWILIO_AUTH_TOKENS": TOKEN,
            "TWILIO_FROM": OURS,
            "CLINIC_PHONE": "+17135550100",
            "NURSE_LINE": "+17135550111",
            "BOOKING_URL_PMR": "https://book.example/pmr?visit=1",
            "BOOKING_URL_PT": "https://other.example/pt",
        }
        | changes
    )


ANSWERS = Answers(settings())


class FakeConversation:
    """Answers with what it was told to say, keeps every key's bytes, and can be broken."""

    def __init__(self) -> None:
        self.heard: list[tuple[str, Input, str]] = []
        self.dials: list[tuple[str, str, str, str]] = []
        self.reported: list[tuple[Any, ...]] = []
        self.opens = 0
        self.target = "https://other.example/pt"
        self.broken: Exception | None = None
        self.says = Heard("sms", "en", ("What is your pain, 0 to 10?",))
        self._kept: dict[str, bytes] = {}

    def hear(
        self,
        phone: str,
        channel: Door,
        said: str,
        key: str,
        *,
        step: str | None = None,
        digits: str | None = None,
        opt_out_type: str | None = None,
    ) -> bytes:
        self._break()
        if key not in self._kept:
            self.heard.append((phone, Input(channel, said, digits, step, opt_out_type), key))
            self._kept[key] = ANSWERS.render(self.says)
        return self._kept[key]

    def flooded(self, phone: str, key: str) -> None:
        self.reported.append(("flooded", phone, key))

    def dialled(self, phone: str, key: str, *, step: str, status: str) -> bytes:
        self._break()
        self.dials.append((phone, key, step, status))
        return ANSWERS.render(Heard("voice", "en", () if status == "completed" else ("Nobody came.",), "hangup"))

    def wants_message(self, phone: str, key: str, *, step: str, said: str, digits: str | None) -> bytes:
        return self.hear(phone, "voice", said, key, step=step, digits=digits)

    def left_message(self, phone: str, key: str, *, step: str, recording: str | None) -> bytes:
        return self.hear(phone, "voice", recording or "", key, step=step)

    def picked_up(self, phone: str, key: str, *, effect_id: str, by: str | None) -> bytes:
        return self.hear(phone, "voice", by or "", key, step=effect_id)

    def link(self, token: str) -> str | None:
        self._break()
        return "pt" if token == LINK else None

    def opened(self, token: str) -> str | None:
        self.opens += token == LINK
        return self.target if self.link(token) else None

    def delivered(self, *report: Any) -> None:
        self._break()
        self.reported.append(report)

    def call_status(self, sid: str, status: str, person: str | None = None, **more: Any) -> None:
        self._break()
        self.reported.append((sid, status, {"person": person, **more}))

    def break_like_a_dead_store(self) -> None:
        self.broken = redis.ConnectionError(f"lost while handling {PHONE}: chest pain")

    def _break(self) -> None:
        if self.broken:
            raise self.broken


def make_app(conversation: FakeConversation, **changes: str) -> Flask:
    return create_app(settings(**changes), conversation, conversation, ready=lambda: conversation.broken is None)


def sign(url: str, params: dict[str, str] | list[tuple[str, str]], token: str = TOKEN) -> str:
    pairs = params.items() if isinstance(params, dict) else params
    signed = url + "".join(name + value for name, value in sorted(set(pairs)))
    return base64.b64encode(hmac.new(token.encode(), signed.encode(), hashlib.sha1).digest()).decode()


def post(client: FlaskClient, path: str, params: Any, **options: Any) -> Any:
    """POSTs as Twilio does. *options*: token, signature (overrides), headers."""
    signature = options.pop("signature", None) or sign(PUBLIC + path, params, options.pop("token", TOKEN))
    headers = {"X-Twilio-Signature": signature, "User-Agent": "TwilioProxy/1.1"} | options.pop("headers", {})
    content_type = options.pop("content_type", "application/x-www-form-urlencoded")
    return client.post(path, data=urlencode(params), headers=headers, content_type=content_type, **options)


def text(body: str = "hello", sid: str = "SM" + "a" * 32, **changes: str) -> dict[str, str]:
    return {
        "AccountSid": ACCOUNT, "ApiVersion": "2010-04-01", "Body": body, "From": PHONE, "FromCity": "NEW YORK",
        "MessageSid": sid, "NumMedia": "0", "NumSegments": "1", "SmsMessageSid": sid, "SmsSid": sid,
        "SmsStatus": "received", "To": OURS,
    } | changes  # fmt: skip


def call(sid: str = "CA" + "c" * 32, **changes: str) -> dict[str, str]:
    return {
        "AccountSid": ACCOUNT, "ApiVersion": "2010-04-01", "CallSid": sid, "CallStatus": "in-progress",
        "CallToken": "", "Called": OURS, "Caller": PHONE, "Direction": "inbound", "From": PHONE, "To": OURS,
    } | changes  # fmt: skip
