"""The parameters of Twilio's webhooks, strictly typed. Pure: bytes in, frozen values out.

Known parameters must have the documented shape (https://www.twilio.com/docs/messaging/guides/webhook-request,
/docs/voice/twiml); unknown ones are signed but ignored, since Twilio adds some without notice. The signature has no
separators between names and values, so a strict shape is also what stops text being moved from one into another.
Errors name the parameter, never its value.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import unquote

Form = Mapping[str, Sequence[str]]

FIELD_LIMIT = 500  # 30 media take 60; the 64 kB cap comes first
TEXT_LIMIT = 8192  # characters; Twilio's own limits are 1,600 for a text and 4,096 for speech

_ACCOUNT = re.compile(r"AC[0-9a-fA-F]{32}")
_MESSAGE = re.compile(r"(?:SM|MM)[0-9a-fA-F]{32}")
_CALL = re.compile(r"CA[0-9a-fA-F]{32}")
_SERVICE = re.compile(r"MG[0-9a-fA-F]{32}")
_RECORDING = re.compile(r"/(RE[0-9a-fA-F]{32})(?:\.(?:wav|mp3|json))?$")
_WORD = re.compile(r"[A-Za-z_-]{1,40}")
_NUMBER = re.compile(r"[0-9]{1,9}")
_PHONE = re.compile(r"(?:(?:whatsapp|rcs):)?(\+[1-9][0-9]{6,14})")
_KEYS = re.compile(r"[^0-9*#A-D]")
_OPT_OUTS = frozenset({"STOP", "START", "HELP"})


class ParameterError(ValueError):
    """A webhook whose parameters are not those Twilio documents. The message names the parameter, never the value."""


@dataclass(frozen=True, slots=True)
class InboundMessage:
    """A text. *phone*: E.164, or None for a sender that is no phone (short code, chat id). *media*: how many."""

    sid: str
    account: str
    phone: str | None
    to: str
    service: str | None
    said: str
    media: int
    opt_out_type: str | None


@dataclass(frozen=True, slots=True)
class Call:
    """A fetch of a voice document. *phone*: E.164 of the person, or ``call:<CallSid>`` for one who hides it, to whom
    nothing can be sent. *ours*: the other end. *digits* None and *speech* "" together are silence."""

    sid: str
    account: str
    phone: str
    ours: str
    status: str
    speech: str
    digits: str | None
    answered_by: str | None
    dialled: str | None
    recording: str | None = None


@dataclass(frozen=True, slots=True)
class Delivery:
    """What became of a text. *error_code*: Twilio's, only with failed and undelivered."""

    sid: str
    account: str
    status: str
    error_code: int | None
    to: str | None = None


@dataclass(frozen=True, slots=True)
class CallProgress:
    """What became of a call with *person*. *sequence* orders the callbacks of one call (from 0); they arrive in any order.
    *seconds*: how long it was, at its end."""

    sid: str
    account: str
    status: str
    sequence: int | None
    answered_by: str | None
    person: str | None = None
    seconds: int | None = None


def parse(body: bytes) -> dict[str, list[str]]:
    """Every value of every parameter of an urlencoded *body*, empty ones kept. Raises `ParameterError`."""
    pairs = body.decode("utf-8", "replace").replace("+", " ").split("&")
    if len(pairs) > FIELD_LIMIT:
        raise ParameterError(f"more than {FIELD_LIMIT} parameters")
    form: dict[str, list[str]] = {}
    for pair in filter(None, pairs):
        name, _, value = pair.partition("=")
        # urllib's parse_qsl takes everything apart, quoted or not (4 % of a whole turn).
        if "%" in pair:
            name, value = unquote(name, errors="replace"), unquote(value, errors="replace")
        if name in form:
            form[name].append(value)
        else:
            form[name] = [value]
    return form


def inbound_message(form: Form) -> InboundMessage:
    """Raises `ParameterError` for a missing or misshapen identifier; tolerates every text, however long or odd."""
    sender = _phone_of(_one(form, "From"))
    opt_out = _one(form, "OptOutType").upper()
    if opt_out and opt_out not in _OPT_OUTS:
        raise ParameterError("OptOutType is none of STOP, START, HELP")
    return InboundMessage(
        sid=_shaped(form, "MessageSid", _MESSAGE),
        account=_shaped(form, "AccountSid", _ACCOUNT),
        phone=sender,
        to=_bare(_one(form, "To")),
        service=_optional(form, "MessagingServiceSid", _SERVICE),
        said=_one(form, "Body")[:TEXT_LIMIT],
        media=int(_optional(form, "NumMedia", _NUMBER) or 0),
        opt_out_type=opt_out or None,
    )


def call(form: Form) -> Call:
    """Any fetch of a voice document: the start, a Gather's action, a Dial's action. Raises `ParameterError`."""
    sid = _shaped(form, "CallSid", _CALL)
    outbound = _one(form, "Direction").startswith("outbound")
    person, ours = _one(form, "To" if outbound else "From"), _one(form, "From" if outbound else "To")
    keys = _one(form, "Digits")
    recording = _RECORDING.search(_one(form, "RecordingUrl"))
    return Call(
        sid=sid,
        account=_shaped(form, "AccountSid", _ACCOUNT),
        phone=_phone_of(person) or f"call:{sid}",
        ours=_bare(ours),
        status=_shaped(form, "CallStatus", _WORD),
        speech=_one(form, "SpeechResult")[:TEXT_LIMIT],
        digits=_KEYS.sub("", keys)[:20] if keys else None,
        answered_by=_optional(form, "AnsweredBy", _WORD),
        dialled=_optional(form, "DialCallStatus", _WORD),
        recording=recording[1] if recording else None,
    )


def delivery(form: Form) -> Delivery:
    """Raises `ParameterError`."""
    code = _optional(form, "ErrorCode", _NUMBER)
    return Delivery(
        sid=_shaped(form, "MessageSid", _MESSAGE),
        account=_shaped(form, "AccountSid", _ACCOUNT),
        status=_shaped(form, "MessageStatus", _WORD),
        error_code=int(code) if code else None,
        to=_phone_of(_one(form, "To")),
    )


def call_progress(form: Form) -> CallProgress:
    """Raises `ParameterError`."""
    sequence, seconds = _optional(form, "SequenceNumber", _NUMBER), _optional(form, "CallDuration", _NUMBER)
    outbound = _one(form, "Direction").startswith("outbound")
    return CallProgress(
        sid=_shaped(form, "CallSid", _CALL),
        account=_shaped(form, "AccountSid", _ACCOUNT),
        status=_shaped(form, "CallStatus", _WORD),
        sequence=int(sequence) if sequence else None,
        answered_by=_optional(form, "AnsweredBy", _WORD),
        person=_phone_of(_one(form, "To" if outbound else "From")),
        seconds=int(seconds) if seconds else None,
    )


def _one(form: Form, name: str) -> str:
    values = form.get(name, ())
    if len(values) > 1 and len(set(values)) > 1:
        # Twilio signs repeated values as a set, so nothing says which of them it meant.
        raise ParameterError(f"{name} is given twice with different values")
    return values[0] if values else ""


def _shaped(form: Form, name: str, shape: re.Pattern[str]) -> str:
    value = _one(form, name)
    if not shape.fullmatch(value):
        raise ParameterError(f"{name} is missing or not of the documented shape")
    return value


def _optional(form: Form, name: str, shape: re.Pattern[str]) -> str | None:
    return _shaped(form, name, shape) if _one(form, name) else None


def _phone_of(address: str) -> str | None:
    found = _PHONE.fullmatch(address)
    return found[1] if found else None


def _bare(address: str) -> str:
    return _phone_of(address) or address
