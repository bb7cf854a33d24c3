"""What a booking page tells of a visit: signed bytes in; a `Booking`, nothing for us, or a refusal in words out. Pure.

Calendly and our own header for FHIR R4 sign ``t=SECONDS,v1=HEX``, HMAC-SHA256 over ``t.body``; Cal.com signs the bare
body, so its own createdAt says how old it is. Calendly tries again for 24 hours and does not say whether it signs anew
for that, so what is signed is good for an hour more; a repeated one is known by its key, which is kept for two days
(store.ANSWER_SECONDS). Nothing of a payload may be in a refusal. Sources: developer.calendly.com (webhook signatures,
webhook errors, rescheduled events), cal.com/docs/developing/guides/automation/webhooks, hl7.org/fhir/R4/appointment.html.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import phonenumbers

from bot.visits import Happened

DAY = 86_400.0
A_TIME = 1e9
FRESH_SECONDS, EARLY_SECONDS = 25 * 3600.0, 180.0
AHEAD_SECONDS = 3 * 366 * DAY  # nobody books further; a date beyond it is a mistake
REF = "urn:triage:ref"  # the system of a FHIR identifier that holds a scheduling link's token
_TOKEN = re.compile(r"[A-Za-z0-9_.-]{16,100}")
_STAMPED = re.compile(r"t=(\d{1,12}),\s*v1=([0-9a-f]{64})")
_ASKS_PHONE = re.compile(r"phone|mobile|cell|tel[eé]fono|celular|m[oó]vil|text (?:message|number)", re.IGNORECASE)
_OTHERS = re.compile(r"emergenc|contact person|family|caregiver|familiar|doctor|m[eé]dic|pharmacy|farmacia|work|trabajo",
                     re.IGNORECASE)  # fmt: skip


class RefusedBookingError(Exception):
    """Not taken. *status* is the HTTP status; the text says why and holds nothing of the payload."""

    def __init__(self, status: int, why: str) -> None:
        super().__init__(why)
        self.status = status


@dataclass(frozen=True, slots=True)
class Booking:
    """*what* became of the visit at *at* (epoch seconds; 0: not said). Whose: the scheduling link's token *ref*, else
    *phone* (E.164); either may be empty. *key* names this message; once the key *unless* is known, what this one says
    is over and it came late. *visit* names the visit, *before* the one that it was moved from, *order* says which of
    two words is newer: epoch seconds, or a version of this visit's alone, which is below A_TIME (0: not said)."""

    ref: str
    phone: str
    what: Happened
    at: float
    key: str
    unless: str = ""
    visit: str = ""
    before: str = ""
    order: float = 0.0


@dataclass(frozen=True, slots=True)
class Mail:
    """One request as it came (header names as Title-Case), its keys (current first), the clinic's region for numbers."""

    headers: Mapping[str, str]
    body: bytes
    keys: tuple[str, ...]
    now: float
    region: str = "US"


def read(page: str, mail: Mail) -> Booking | None:
    """What *page* (a name of PAGES) tells; None for what changes no visit. Raises `RefusedBookingError`."""
    found = PAGES[page](mail)
    if found is not None and found.at > mail.now + AHEAD_SECONDS:
        raise RefusedBookingError(400, "its visit is years away")
    return found


# -- the pages --


def _calendly(mail: Mail) -> Booking | None:
    told = _stamped(mail, "Calendly-Webhook-Signature")
    event, payload = told.get("event"), _part(told, "payload")
    if event not in ("invitee.created", "invitee.canceled"):
        return None
    if event == "invitee.canceled" and payload.get("rescheduled") is True:
        return None  # the other half of a move, which the new invitee tells
    this, before = _name(payload.get("uri")), payload.get("old_invitee")
    ref, at = (
        _ref(_part(payload, "tracking").get("utm_content")),
        _time(_part(payload, "scheduled_event"), "start_time"),
    )
    phone = _only([payload.get("text_reminder_number")], mail.region) or _only(_answers(payload), mail.region)
    over, said_at = _key("calendly", "over", this), _said_at(told, "created_at")
    if event == "invitee.canceled":
        return Booking(ref, phone, "cancelled", at, over, visit=over, order=said_at)
    if not before:
        return Booking(ref, phone, "booked", at, _key("calendly", "new", this), over, over, order=said_at)
    gone = _key("calendly", "over", _name(before))
    return Booking(ref, phone, "moved", at, gone, over, over, gone, said_at)


def _calcom(mail: Mail) -> Booking | None:
    given = mail.headers.get("X-Cal-Signature-256", "")
    _check(mail.keys, mail.body, given)
    told = _json(mail.body)
    event, payload = told.get("triggerEvent"), _part(told, "payload")
    if event not in ("BOOKING_CREATED", "BOOKING_RESCHEDULED", "BOOKING_CANCELLED"):
        return None
    said_at = _time(told, "createdAt")
    _check_age(said_at, mail.now)
    if event != "BOOKING_CANCELLED" and payload.get("status", "ACCEPTED") != "ACCEPTED":
        return None  # not confirmed yet: nudges go on
    this, at = _name(payload.get("uid")), _time(payload, "startTime")
    ref, answers = _ref(_part(payload, "metadata").get("ref")), _part(payload, "responses")
    numbers = [_value(answers.get(name)) for name in ("attendeePhoneNumber", "smsReminderNumber")]
    attendees = [one.get("phoneNumber") for one in _list(payload, "attendees")[:1]]
    phone = _only([*numbers, payload.get("smsReminderNumber"), *attendees], mail.region)
    over = _key("calcom", "over", this)
    if event == "BOOKING_CANCELLED":
        return Booking(ref, phone, "cancelled", at, over, "", over, order=said_at)
    if event == "BOOKING_CREATED":
        return Booking(ref, phone, "booked", at, _key("calcom", "new", this), over, over, order=said_at)
    before = _name(payload.get("rescheduleUid") or this)
    gone = _key("calcom", "over", before)
    moved = gone if before != this else _key("calcom", "moved", this, str(at), str(said_at))
    return Booking(ref, phone, "moved", at, moved, over, over, gone, said_at)


_FHIR: dict[str, Happened] = {
    "booked": "booked", "cancelled": "cancelled", "entered-in-error": "cancelled", "noshow": "missed",
}  # fmt: skip


def _fhir(mail: Mail) -> Booking | None:
    told = _stamped(mail, "X-Booking-Signature")
    if told.get("resourceType") != "Appointment":
        raise RefusedBookingError(400, "it is no FHIR Appointment")
    what = _FHIR.get(str(told.get("status")))
    if what is None:
        return None
    at = _time(told, "start") if what == "booked" or told.get("start") else 0.0
    refs = [one.get("value") for one in _list(told, "identifier") if one.get("system") == REF]
    patients = [one for one in _list(told, "contained") if one.get("resourceType") == "Patient"]
    lines = [line for one in patients[:1] for line in _list(one, "telecom") if line.get("system") in ("phone", "sms")]
    phone = _only((one.get("value") for one in lines if one.get("use") == "mobile"), mail.region)
    phone = phone or _only((one.get("value") for one in lines), mail.region)
    version, this = _part(told, "meta"), _name(told.get("id"))
    mark = str(version.get("versionId") or version.get("lastUpdated") or "")
    key = _key("fhir", this, str(told["status"]), str(at), mark)
    return Booking(
        _ref(refs[0] if refs else ""), phone, what, at, key, visit=_key("fhir", this), order=_version(version)
    )


PAGES: dict[str, Callable[[Mail], Booking | None]] = {"calendly": _calendly, "calcom": _calcom, "fhir": _fhir}


# -- signatures --


def _stamped(mail: Mail, header: str) -> dict[str, Any]:
    found = _STAMPED.fullmatch(mail.headers.get(header, ""))
    if not found:
        raise RefusedBookingError(403, "it is not signed")
    _check(mail.keys, f"{found[1]}.".encode() + mail.body, found[2])
    _check_age(float(found[1]), mail.now)
    return _json(mail.body)


def _check_age(signed_at: float, now: float) -> None:
    if not -EARLY_SECONDS <= now - signed_at <= FRESH_SECONDS:
        raise RefusedBookingError(403, "it was signed more than a day ago, or is from the future")


def _check(keys: Iterable[str], signed: bytes, given: str) -> None:
    made = [hmac.digest(key.encode(), signed, "sha256").hex().encode() for key in keys]
    if not any(hmac.compare_digest(one, given.encode("utf-8", "replace")) for one in made):
        raise RefusedBookingError(403, "its signature is not ours")


# -- parts of a payload, which is signed but may still be anything --


def _json(body: bytes) -> dict[str, Any]:
    try:
        found = json.loads(body)
    except (ValueError, RecursionError):
        raise RefusedBookingError(400, "it is not JSON") from None
    if not isinstance(found, dict):
        raise RefusedBookingError(400, "it is no JSON object")
    return found


def _part(of: Mapping[str, Any], name: str) -> dict[str, Any]:
    found = of.get(name)
    return found if isinstance(found, dict) else {}


def _list(of: Mapping[str, Any], name: str) -> list[dict[str, Any]]:
    found = of.get(name)
    return [one for one in found if isinstance(one, dict)] if isinstance(found, list) else []


def _value(answer: object) -> object:
    return answer.get("value") if isinstance(answer, dict) else answer


def _name(given: object) -> str:
    if not isinstance(given, str) or not given:
        raise RefusedBookingError(400, "it does not name the booking")
    return given


def _time(of: Mapping[str, Any], name: str) -> float:
    try:
        at = datetime.fromisoformat(of[name])
        seconds = at.timestamp() if at.tzinfo else 0.0
    except (KeyError, TypeError, ValueError, OverflowError, OSError):
        seconds = 0.0
    if seconds <= 0:
        raise RefusedBookingError(400, f"{name} is no time with a zone")
    return seconds


def _version(meta: Mapping[str, Any]) -> float:
    """How new a FHIR resource is: when it was changed last, else its version where that is a number; 0: not said."""
    number = meta.get("versionId")
    known = isinstance(number, str) and number.isascii() and number.isdecimal() and len(number) < 9
    return _said_at(meta, "lastUpdated") or (float(str(number)) if known else 0.0)


def _said_at(of: Mapping[str, Any], name: str) -> float:
    return _time(of, name) if isinstance(of.get(name), str) else 0.0


def _ref(given: object) -> str:
    return given if isinstance(given, str) and _TOKEN.fullmatch(given) else ""


def _answers(payload: Mapping[str, Any]) -> list[object]:
    """Answers to questions for the patient's own number."""
    asked = [(str(one.get("question")), one.get("answer")) for one in _list(payload, "questions_and_answers")]
    return [answer for question, answer in asked if _ASKS_PHONE.search(question) and not _OTHERS.search(question)]


def _only(given: Iterable[object], region: str) -> str:
    """The one phone number among *given*, E.164; empty for none, and for two, which nobody can choose between."""
    found = set()
    for one in given:
        if isinstance(one, str) and len(one) <= 40:
            try:
                number = phonenumbers.parse(one, region)
            except phonenumbers.NumberParseException:
                continue
            if phonenumbers.is_possible_number(number) and not number.extension:
                found.add(phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164))
    return found.pop() if len(found) == 1 else ""


def _key(*parts: str) -> str:
    return "booking:" + hashlib.sha256("\0".join(parts).encode("utf-8", "replace")).hexdigest()[:32]
