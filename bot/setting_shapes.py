"""The shapes a setting may have: each validator takes what the environment says and raises ValueError in words.

Pure: reads no environment and no file. A message must never repeat a secret; settings.py puts the name in front.
"""

from __future__ import annotations

import base64
import binascii
import re
from dataclasses import dataclass
from datetime import datetime, time
from typing import Annotated, Self
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

import phonenumbers
from pydantic import AfterValidator, BeforeValidator, Field, SecretStr

from bot.places import ZONES

LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})
EMAIL = r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]+@[A-Za-z0-9.-]+"
_DAYS = ("Mo", "Tu", "We", "Th", "Fr", "Sa", "Su")
_SPAN = re.compile(r"(?P<first>[A-Z][a-z])(?:-(?P<last>[A-Z][a-z]))? (?P<opens>\d\d:\d\d)-(?P<closes>\d\d:\d\d)")


@dataclass(frozen=True, slots=True)
class OpeningHours:
    """The clinic's week. *spans*: (weekday 0 = Monday, opens, closes), local time, closing time excluded."""

    spans: tuple[tuple[int, time, time], ...]

    @classmethod
    def parse(cls, text: str) -> Self:
        """From ``Mo-Fr 08:00-17:00; Sa 09:00-12:00``. Raises ValueError with what is wrong."""
        spans = []
        for part in filter(None, (part.strip() for part in text.split(";"))):
            found = _SPAN.fullmatch(part)
            if not found or found["first"] not in _DAYS or (found["last"] or "Mo") not in _DAYS:
                raise ValueError(
                    f'"{part}" is not like "Mo-Fr 08:00-17:00" (days: {" ".join(_DAYS)}; parts split by ;)'
                )
            opens, closes = _clock_time(found["opens"]), _clock_time(found["closes"])
            first, last = _DAYS.index(found["first"]), _DAYS.index(found["last"] or found["first"])
            if opens >= closes or last < first:
                raise ValueError(f'"{part}" ends before it starts')
            spans += [(day, opens, closes) for day in range(first, last + 1)]
        if not spans:
            raise ValueError("no opening hours at all; a clinic that never opens cannot call anybody back")
        return cls(tuple(spans))

    def is_open(self, local: datetime) -> bool:
        """Whether the clinic is open at *local*, an aware datetime in the clinic's own zone."""
        now = local.time().replace(tzinfo=None)
        return any(day == local.weekday() and opens <= now < closes for day, opens, closes in self.spans)


def _clock_time(text: object) -> time:
    if isinstance(text, time):
        return text
    try:
        return datetime.strptime(str(text), "%H:%M").time()  # noqa: DTZ007 - a time of day has no zone
    except ValueError:
        raise ValueError(f'"{text}" is not a time like 08:30') from None


def _split(value: object) -> object:
    return tuple(filter(None, re.split(r"[,\s]+", value))) if isinstance(value, str) else value


def _web_address(value: str) -> str:
    parts = urlsplit(value)
    host = parts.hostname
    if parts.scheme not in ("http", "https") or not host:
        raise ValueError("must be a full address such as https://triage.clinic.example")
    if "@" in parts.netloc or "[" in parts.netloc:
        raise ValueError(
            "must not contain a user, a password or an IPv6 literal: Twilio signs such addresses differently"
        )
    if parts.scheme == "http" and host not in LOOPBACK:
        raise ValueError("must start with https:// (http:// only for this machine)")
    parts.port  # noqa: B018 - raises ValueError in words for a port that is none
    return value


def _public_address(value: str) -> str:
    _web_address(value)
    if "?" in value or "#" in value:
        raise ValueError("must not contain a query or a fragment")
    return value.rstrip("/")


def _phone(value: str) -> str:
    if not re.fullmatch(r"\+[1-9]\d{6,14}", value):
        raise ValueError("must be a phone number written with + and country code, such as +17135550100")
    if not phonenumbers.is_possible_number(phonenumbers.parse(value)):
        raise ValueError("is not a possible phone number in its country")
    return value


def _phones(value: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(_phone(one) for one in value)


def _emails(value: tuple[str, ...]) -> tuple[str, ...]:
    if not all(re.fullmatch(EMAIL, one) for one in value):
        raise ValueError("must be e-mail addresses such as nurse@clinic.example, split by commas")
    return value


def _mail_server(value: SecretStr) -> SecretStr:
    try:
        parts = urlsplit(value.get_secret_value())
        fits = parts.scheme in ("smtp", "smtps") and parts.hostname and (parts.port or 1) and not parts.query
    except ValueError:
        fits = False
    if not fits:
        raise ValueError("must be like smtps://user:password@mail.clinic.example, with %xx for signs in the password")
    return value


def _zone(value: str) -> str:
    try:
        ZoneInfo(value)
    except (OSError, ValueError, KeyError):
        raise ValueError("is not a time zone name such as America/Chicago") from None
    return value


def _hours(value: str) -> str:
    OpeningHours.parse(value)
    return value


def hours_by_state(text: str) -> dict[str, OpeningHours]:
    """From ``TX Mo-Sa 09:00-20:00; Su 12:00-20:00 / FL Mo-Su 09:00-19:00``. Raises ValueError with what is wrong."""
    found = {}
    for part in filter(None, (part.strip() for part in text.split("/"))):
        state, _, spans = part.partition(" ")
        if state not in ZONES:
            raise ValueError(f'"{state}" is no state such as TX')
        found[state] = OpeningHours.parse(spans)
    return found


def _state_hours(value: str) -> str:
    hours_by_state(value)
    return value


def _voice(value: str) -> str:
    if not re.fullmatch(r"(?:Polly|Google)\.[A-Za-z0-9-]+", value):
        raise ValueError("must be a Twilio voice such as Polly.Joanna-Neural")
    return value


def _regions(value: tuple[str, ...]) -> tuple[str, ...]:
    wrong = [region for region in value if region not in phonenumbers.SUPPORTED_REGIONS]
    if wrong or not value:
        raise ValueError(f"must be country codes such as US,PR; not known: {', '.join(wrong) or '(empty)'}")
    return value


def key_bytes(text: str) -> bytes:
    if re.fullmatch(r"(?:[0-9a-fA-F]{2}){32,}", text):
        return bytes.fromhex(text)
    try:
        decoded = base64.b64decode(text.translate(str.maketrans("-_", "+/")) + "=" * (-len(text) % 4), validate=True)
    except (binascii.Error, ValueError):
        decoded = b""
    return decoded if len(decoded) >= 32 else text.encode()


def _secret_keys(value: tuple[SecretStr, ...]) -> tuple[SecretStr, ...]:
    if any(len(key_bytes(key.get_secret_value())) < 32 for key in value):
        raise ValueError("each key must be at least 32 bytes; make one with: openssl rand -base64 32")
    return value


def _store_address(value: str) -> str:
    scheme, _, rest = value.partition("://")
    if scheme == "unix":
        return value
    if not rest or not re.fullmatch(r"rediss?(?:\+sentinel|\+cluster)?", scheme):
        raise ValueError("must start with redis://, rediss:// or unix:// (or redis+sentinel://, redis+cluster://)")
    servers, _, name = rest.partition("/")
    if scheme.endswith("+sentinel") and not name.partition("/")[0].partition("?")[0]:
        raise ValueError("must end with the name the Sentinels know the primary by: redis+sentinel://host:26379/NAME")
    access, _, hosts = servers.rpartition("@")
    names = {host.rpartition(":")[0] or host for host in hosts.split(",")}
    if not names <= LOOPBACK and not (scheme.startswith("rediss") and access.partition(":")[2]):
        raise ValueError("a server on another machine needs rediss:// (TLS) and a password: it holds patient data")
    return value


Address = Annotated[str, AfterValidator(_web_address)]
Phone = Annotated[str, AfterValidator(_phone)]
Phones = Annotated[tuple[str, ...], BeforeValidator(_split), AfterValidator(_phones)]
Emails = Annotated[tuple[str, ...], BeforeValidator(_split), AfterValidator(_emails)]
MailServer = Annotated[SecretStr, AfterValidator(_mail_server)]
TimeOfDay = Annotated[time, BeforeValidator(_clock_time)]
SpeechLanguage = Annotated[str, Field(pattern=r"^(en|es)-[A-Z0-9]{2,3}$")]
Voice = Annotated[str, AfterValidator(_voice)]
Port = Annotated[int, Field(ge=1, le=65535)]
StoreAddress = Annotated[str, AfterValidator(_store_address)]
Regions = Annotated[tuple[str, ...], BeforeValidator(_split), AfterValidator(_regions)]
Secrets = Annotated[tuple[SecretStr, ...], BeforeValidator(_split)]
SecretKeys = Annotated[Secrets, AfterValidator(_secret_keys)]
PublicAddress = Annotated[str, AfterValidator(_public_address)]
Zone = Annotated[str, AfterValidator(_zone)]
Hours = Annotated[str, AfterValidator(_hours)]
StateHours = Annotated[str, AfterValidator(_state_hours)]
