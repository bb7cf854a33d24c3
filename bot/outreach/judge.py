"""One row of a file -> a recipient, or the reason why nobody is written to. Pure; the record is handed in.

The same questions as at the moment of sending (opening.py), asked early so that staff see the answer before they send;
what is refused here is never sent, what is accepted here is asked again.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime
from functools import lru_cache
from typing import Literal
from zoneinfo import ZoneInfo

import phonenumbers
from phonenumbers import PhoneNumberType as Kind

from bot.consent import ALARMING, SILENT_FOLLOW_UPS
from bot.record import ERASED, Channel, Consent, Record
from bot.work import with_consent

Via = Literal["sms", "call"]
Why = Literal[
    "no_phone", "bad_phone", "damaged_phone", "extension", "no_person", "region", "landline", "duplicate", "opted_out",
    "no_consent", "no_source", "bad_date", "said_no", "wrong_number", "taken_over", "emergency", "open_session",
    "bad_language", "no_call_consent", "erased", "minor", "silent",
]  # fmt: skip

SAYS: dict[Why, str] = {
    "no_phone": "there is no phone number",
    "bad_phone": "this is not a phone number that exists",
    "damaged_phone": "a spreadsheet damaged the number (1.7E+10): format the column as text",
    "extension": "a number with an extension cannot be texted",
    "no_person": "this is a service number, not a person's phone",
    "region": "the number's country is not in ALLOWED_REGIONS",
    "landline": "a landline takes no texts; choose to call landlines (--call-landlines)",
    "duplicate": "the same number is in an earlier row",
    "opted_out": "this patient has opted out",
    "no_consent": "no consent to outreach is recorded and the row states none",
    "no_source": "the row states consent but not where it was given (consent_source)",
    "bad_date": "the date of the consent is not a past date like 2026-03-31",
    "said_no": "this patient has said no to outreach (a recorded answer, or this row)",
    "wrong_number": "whoever has this number said that it is the wrong one",
    "taken_over": "a member of staff is writing with this patient",
    "emergency": "an emergency or urgent sign was reported last; a person follows up",
    "open_session": "this patient is in a conversation right now",
    "bad_language": "the language is not en or es",
    "no_call_consent": "a landline, and no consent to calls is recorded or stated (consent_calls)",
    "minor": "this patient is under 18 or writes about a child; a person follows up",
    "silent": "the last two automatic texts or calls were not answered",
    "erased": "this patient was erased after the file was given",
}
REST_SECONDS = 24 * 3600  # as in a turn: a walk that rested longer is history
# As people and spreadsheets write them; Excel in Spanish says VERDADERO and FALSO.
_YES = frozenset({"yes", "y", "true", "1", "x", "si", "sí", "s", "verdadero"})
_NO = frozenset({"no", "n", "false", "0", "falso"})
_LANGUAGES = {"": "", "en": "en", "eng": "en", "english": "en", "inglés": "en", "ingles": "en", "es": "es", "spa": "es",
              "spanish": "es", "español": "es", "espanol": "es", "castellano": "es", "castilian": "es"}  # fmt: skip
_FIRST_WORD = re.compile(r"[^\W\d_]+")  # of es-MX, en_US, English (US), Spanish; Castilian
_DAY = re.compile(r"(\d{1,2})([/.-])(\d{1,2})\2(\d{4}|\d{2})(?:[ T].*)?")
_OLDEST = 1990  # years; an older consent to texts is a slip of the pen
_NO_PERSON = frozenset({Kind.TOLL_FREE, Kind.PREMIUM_RATE, Kind.SHARED_COST, Kind.PAGER, Kind.UAN, Kind.VOICEMAIL})


# As people write numbers of +1: 713 200 0000, (713) 200-0000, +1.713.200.0000. Everything else is parsed the long way.
_USUAL = re.compile(r"(\+?1[ .-]?)?(?:\(([2-9][0-9]{2})\) ?|([2-9][0-9]{2})[ .-]?)([2-9][0-9]{2})[ .-]?([0-9]{4})")
_WHOLE = re.compile(r"^(\+?[0-9]{10,15})\.0+$")  # a number that some program took for a quantity
_DIVIDED = ("246", "876")  # area codes where exchanges are given out in parts: Barbados, Jamaica


@dataclass(frozen=True, slots=True)
class Number:
    """A phone number that exists: E.164, and whether it is known to be a landline."""

    phone: str
    landline: bool


@dataclass(frozen=True, slots=True)
class Stated:
    """What a row says beside its number. *consent*: (source, epoch seconds), None when none is stated;
    *calls*: it is for calls, too."""

    language: str
    consent: tuple[str, float] | None
    calls: bool = False


def number_in(text: str, regions: tuple[str, ...]) -> Number | Why:
    """The number a cell holds; the first of *regions* is where a number without a country code is from."""
    if not text:
        return "no_phone"
    text = _WHOLE.sub(r"\1", text)
    usual = _USUAL.fullmatch(text)
    area = usual[2] or usual[3] if usual else _DIVIDED[0]
    if usual and area not in _DIVIDED and (text[0] == "+" or _in_plan_1(regions[0])):
        found, last = _of_exchange(f"+1{area}{usual[4]}", regions), usual[5]
        return Number(f"{found.phone[:8]}{last}", found.landline) if isinstance(found, Number) else found
    if "e+" in text.lower():
        return "damaged_phone"
    return _parsed(text, regions)


@lru_cache(maxsize=16)
def _in_plan_1(region: str) -> bool:
    return phonenumbers.country_code_for_region(region) == 1


@lru_cache(maxsize=32_768)
def _of_exchange(exchange: str, regions: tuple[str, ...]) -> Number | Why:
    """Any number of an exchange (+1 and six digits): the last four decide nothing, as a test reads in the library."""
    return _parsed(f"{exchange}0000", regions)


def _parsed(text: str, regions: tuple[str, ...]) -> Number | Why:
    try:
        parsed = phonenumbers.parse(text, regions[0])
    except phonenumbers.NumberParseException:
        return "bad_phone"
    region = phonenumbers.region_code_for_number(parsed)  # None for a number that is not valid
    if region is None:
        return "bad_phone"
    if parsed.extension:
        return "extension"
    kind = phonenumbers.number_type(parsed)
    if kind in _NO_PERSON:
        return "no_person"
    if kind == Kind.UNKNOWN:
        return "bad_phone"
    if region not in regions:
        return "region"
    return Number(f"+{parsed.country_code}{phonenumbers.national_significant_number(parsed)}", kind == Kind.FIXED_LINE)


@lru_cache(maxsize=8192)  # rows say the same things again and again
def stated_in(
    language: str,
    consent: str,
    calls: str,
    source: str,
    day: str,
    now: float,
    zone: ZoneInfo,
    *,
    day_first: bool = False,
) -> Stated | Why:
    """What the other cells of a row say. A consent counts only with its source; its date may be missing. *day_first*:
    31/03/2026 rather than 03/31/2026."""
    word = _FIRST_WORD.match(language.lower())
    spoken = _LANGUAGES.get(word[0] if word else language)
    if spoken is None:
        return "bad_language"
    if consent.lower() in _NO:
        return "said_no"
    if consent.lower() not in _YES:
        return "no_consent" if consent else Stated(spoken, None)
    if not source:
        return "no_source"
    if not day:
        return Stated(spoken, (source[:80], now), calls.lower() in _YES)
    given = _day(day, zone, day_first)
    if given is None or given > now:
        return "bad_date"
    return Stated(spoken, (source[:80], given), calls.lower() in _YES)


def says_day_first(dates: Iterable[str]) -> bool:
    """Whether a column of dates is written as 31/03/2026: one of them can only be read so, and none can only be read the
    other way. Where nothing decides, the month is first, as in the United States."""
    found = [(int(one[1]), int(one[3])) for one in map(_DAY.fullmatch, dates) if one]
    return any(a > 12 >= b for a, b in found) and not any(b > 12 >= a for a, b in found)


def _day(text: str, zone: ZoneInfo, day_first: bool) -> float | None:
    written = _DAY.fullmatch(text)
    try:
        if written:
            first, second, year = int(written[1]), int(written[3]), int(written[4])
            day, month = (first, second) if day_first else (second, first)
            found = date(year if len(written[4]) == 4 else 2000 + year, month, day)
        else:
            found = date.fromisoformat(text[:10])
        return datetime(found.year, found.month, found.day, tzinfo=zone).timestamp() if found.year >= _OLDEST else None
    except (ValueError, OverflowError):
        return None


def refusal(record: Record | None, stated: Stated, landline: bool, calls: bool, now: float) -> Why | None:
    """Why this patient is not written to, or None. *calls*: a landline is called instead."""
    by_call = landline or (record is not None and "landline" in record.facts)
    if by_call:
        if not calls:
            return "landline"
        if not stated.calls and not (record and record.consents_to("outreach", "call")):
            return "no_call_consent"
    if record is None:
        return None if stated.consent else "no_consent"
    why = _kept_from(record, now)
    if why:
        return why
    words = [one for one in record.consents if one.purpose == "outreach"]
    here = [one for one in words if one.channel in ("any", "call" if by_call else "text")]
    if not all(newest[-1].granted for newest in (words, here) if newest):
        return "said_no"
    return None if here or stated.consent else "no_consent"


def _kept_from(record: Record, now: float) -> Why | None:
    """As consent.may_follow_up, in the words of a file's rows; a test holds the two together."""
    if record.opted_out:
        return "opted_out"
    if "wrong_number" in record.facts:
        return "wrong_number"
    if record.owner:
        return "taken_over"
    session = record.session
    if record.result in ALARMING or (session and session.outcome in ALARMING):
        return "emergency"
    if session and session.disposition == "minor":
        return "minor"
    if record.unanswered >= SILENT_FOLLOW_UPS:
        return "silent"
    if session and not session.ended and now - record.last_at < REST_SECONDS:
        return "open_session"
    return None


def consents_of(record: Record | None, stated: Stated, by: str, mark: str) -> tuple[Consent, ...]:
    """What the row states that is not known yet: for a channel on which there is a word already, that word stands. *mark*
    names the file, so that the evidence can be found."""
    if stated.consent is None:
        return ()
    source, at = stated.consent
    says = f"file {mark}, entered by {by}: {source}"
    known = {one.channel for one in (record.consents if record else ()) if one.purpose == "outreach"}
    stands: tuple[Channel, ...] = ("text", "call") if stated.calls else ("text",)
    return tuple(
        Consent("outreach", True, at, says, mark, channel, by) for channel in stands if not known & {channel, "any"}
    )


def entered(record: Record | None, phone: str, given: tuple[Consent, ...]) -> Record:
    """The record of a recipient, with what was *given*; one that was erased begins anew."""
    kept = record or Record(phone)
    if ERASED in kept.facts and not kept.opted_out:
        kept = kept.but(phone=phone, facts=kept.facts - {ERASED})
    for one in given:
        kept = kept.but(consents=with_consent(kept.consents, one))
    return kept
