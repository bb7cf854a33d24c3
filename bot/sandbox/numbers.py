"""Phone numbers as the local Twilio sees them: which are possible, where they are, and which are magic. Pure.

Magic numbers are those of Twilio's test credentials, so that a test written for one works with the other.
"""

from __future__ import annotations

import phonenumbers

from bot.sandbox.model import RefusedError

VALID_FROM = "+15005550006"
_TEXT_FROM = {"+15005550001": 21212, "+15005550007": 21606, "+15005550008": 21611}
_TEXT_TO = {
    "+15005550001": 21211,
    "+15005550002": 21612,
    "+15005550003": 21408,
    "+15005550004": 21610,
    "+15005550009": 21614,
}
_CALL_FROM = {"+15005550001": 21212}
_CALL_TO = {"+15005550001": 21217, "+15005550002": 21214, "+15005550003": 21215, "+15005550004": 21216}
# Enough places for the demo phones; a number from elsewhere comes without geography, as it may with Twilio.
_PLACES = {
    "713": ("HOUSTON", "TX", "77002"),
    "832": ("HOUSTON", "TX", "77030"),
    "281": ("SUGAR LAND", "TX", "77478"),
    "787": ("SAN JUAN", "PR", "00901"),
    "212": ("NEW YORK", "NY", "10001"),
}


def country_code(number: str) -> int | None:
    """The calling code of an E.164 *number*, or None when it cannot be a phone number."""
    try:
        parsed = phonenumbers.parse(number, None)
    except phonenumbers.NumberParseException:
        return None
    exact = phonenumbers.format_number(parsed, phonenumbers.PhoneNumberFormat.E164) == number
    return parsed.country_code if exact and phonenumbers.is_possible_number(parsed) else None


def place(role: str, number: str) -> dict[str, str]:
    """``FromCity``, ``FromState``, ``FromZip``, ``FromCountry`` and the like for *role*; empty for unknown areas."""
    known = _PLACES.get(number[2:5]) if number.startswith("+1") else None
    if known is None:
        return {}
    city, state, zip_code = known
    return {f"{role}City": city, f"{role}State": state, f"{role}Zip": zip_code, f"{role}Country": "US"}


def check_text(from_: str, to: str, ours: tuple[str, ...], countries: tuple[int, ...]) -> None:
    """Raises RefusedError when a text from *from_* to *to* would be refused."""
    if from_ in _TEXT_FROM:
        raise RefusedError(_TEXT_FROM[from_])
    if from_ not in ours and from_ != VALID_FROM:
        raise RefusedError(21606 if country_code(from_) else 21212)
    if to in _TEXT_TO:
        raise RefusedError(_TEXT_TO[to])
    _check_to(from_, to, countries, invalid=21211, region=21408)


def check_call(from_: str, to: str, ours: tuple[str, ...], countries: tuple[int, ...]) -> None:
    """Raises RefusedError when a call from *from_* to *to* would be refused."""
    if from_ in _CALL_FROM:
        raise RefusedError(_CALL_FROM[from_])
    if from_ not in ours and from_ != VALID_FROM:
        raise RefusedError(21210 if country_code(from_) else 21212)
    if to in _CALL_TO:
        raise RefusedError(_CALL_TO[to])
    _check_to(from_, to, countries, invalid=21211, region=21215)


def _check_to(from_: str, to: str, countries: tuple[int, ...], *, invalid: int, region: int) -> None:
    code = country_code(to)
    if code is None:
        raise RefusedError(invalid)
    if to == from_:
        raise RefusedError(21266)
    if code not in countries:
        raise RefusedError(region)
