"""Where a patient may be: a ZIP code or a phone number -> time zones and state. Pure; the numbers come from libphonenumber.

A ZIP code that was stated counts before the number, which people keep when they move. Every zone that is possible counts:
a text leaves only when it is day in all of them.
"""

from __future__ import annotations

from functools import cache
from zoneinfo import available_timezones

import phonenumbers
from phonenumbers.timezone import time_zones_for_number

MOST_ZONES = 8  # the four of the mainland and a few more; a toll-free number lists dozens and says nothing
# The first three digits of ZIP codes by state, as the postal service gives them out (USPS publication 65).
PREFIXES = """
NY 005 100-149|PR 006-007 009|VI 008|MA 010-027 055|RI 028-029|NH 030-038|ME 039-049|VT 050-054 056-059|CT 060-069|NJ 070-089
PA 150-196|DE 197-199|DC 200-205|MD 206-219|VA 201 220-246|WV 247-268|NC 270-289|SC 290-299|GA 300-319 398-399|FL 320-349
AL 350-369|TN 370-385|MS 386-397|KY 400-427|OH 430-459|IN 460-479|MI 480-499|IA 500-528|WI 530-549|MN 550-567|SD 570-577
ND 580-588|MT 590-599|IL 600-629|MO 630-658|KS 660-679|NE 680-693|LA 700-714|AR 716-729|OK 730-749|TX 733 750-799 885
CO 800-816|WY 820-831|ID 832-838|UT 840-847|AZ 850-865|NM 870-884|NV 889-898|CA 900-961|HI 967-968|GU 969|OR 970-979
WA 980-994|AK 995-999
"""
EAST, CENTRAL, MOUNTAIN, WEST = "America/New_York", "America/Chicago", "America/Denver", "America/Los_Angeles"
_BY_ZONES = {
    (EAST,): "NY MA RI NH ME VT CT NJ PA DE DC MD VA WV NC SC GA OH",
    (CENTRAL,): "AL MS IA WI MN IL MO LA AR OK",
    (MOUNTAIN,): "MT CO WY UT NM",
    (WEST,): "CA WA",
    (EAST, CENTRAL): "FL IN KY TN MI",
    (CENTRAL, MOUNTAIN): "TX KS NE ND SD",
    (MOUNTAIN, WEST): "ID OR NV",
}
ZONES: dict[str, tuple[str, ...]] = {
    **{state: zones for zones, states in _BY_ZONES.items() for state in states.split()},
    "AZ": ("America/Phoenix", MOUNTAIN),  # the Navajo Nation keeps daylight saving time, the rest of the state does not
    "PR": ("America/Puerto_Rico",),
    "VI": ("America/St_Thomas",),
    "HI": ("Pacific/Honolulu",),
    "GU": ("Pacific/Guam",),
    "AK": ("America/Anchorage", "America/Adak"),
}
NAMES = {
    "Alabama": "AL", "Alaska": "AK", "Arizona": "AZ", "Arkansas": "AR", "California": "CA", "Colorado": "CO",
    "Connecticut": "CT", "Delaware": "DE", "Florida": "FL", "Georgia": "GA", "Hawaii": "HI", "Idaho": "ID",
    "Illinois": "IL", "Indiana": "IN", "Iowa": "IA", "Kansas": "KS", "Kentucky": "KY", "Louisiana": "LA", "Maine": "ME",
    "Maryland": "MD", "Massachusetts": "MA", "Michigan": "MI", "Minnesota": "MN", "Mississippi": "MS", "Missouri": "MO",
    "Montana": "MT", "Nebraska": "NE", "Nevada": "NV", "New Hampshire": "NH", "New Jersey": "NJ", "New Mexico": "NM",
    "New York": "NY", "North Carolina": "NC", "North Dakota": "ND", "Ohio": "OH", "Oklahoma": "OK", "Oregon": "OR",
    "Pennsylvania": "PA", "Puerto Rico": "PR", "Rhode Island": "RI", "South Carolina": "SC", "South Dakota": "SD",
    "Tennessee": "TN", "Texas": "TX", "Utah": "UT", "Vermont": "VT", "Virginia": "VA", "Washington": "WA",
    "West Virginia": "WV", "Wisconsin": "WI", "Wyoming": "WY", "Washington D.C.": "DC",
}  # fmt: skip


def zip_state(zip_code: str) -> str | None:
    """The state of a five-digit ZIP code, or None."""
    digits = zip_code.strip()[:5]
    return _PREFIX.get(digits[:3]) if len(digits) == 5 and digits.isascii() and digits.isdecimal() else None


def state_of(whereabouts: str) -> str | None:
    """The state of a ZIP code or of a number in international form, or None when it tells nothing."""
    if not whereabouts.startswith("+"):
        return zip_state(whereabouts)
    from phonenumbers import geocoder  # its tables are large, and only state windows ask for them

    try:
        place = geocoder.description_for_number(phonenumbers.parse(whereabouts), "en")
    except phonenumbers.NumberParseException:
        return None
    return NAMES.get(place) or next((code for code in ZONES if place.endswith(f", {code}")), None)


def zones_of(whereabouts: str) -> tuple[str, ...]:
    """Every zone that a ZIP code or a number can be in; () when it tells nothing (toll-free, unknown)."""
    if not whereabouts.startswith("+"):
        return ZONES.get(zip_state(whereabouts) or "", ())
    try:
        zones = time_zones_for_number(phonenumbers.parse(whereabouts))
    except phonenumbers.NumberParseException:
        return ()
    known = tuple(zone for zone in zones if zone in _zones_here())
    return known if len(known) <= MOST_ZONES else ()


@cache
def _zones_here() -> frozenset[str]:
    """The zones this machine knows; to list them reads its disk for 10 ms."""
    return frozenset(available_timezones())


def _prefixes() -> dict[str, str]:
    found: dict[str, str] = {}
    for line in PREFIXES.replace("\n", "|").split("|"):
        code, *spans = line.split() or ("",)
        for span in spans:
            first, _, last = span.partition("-")
            found |= {f"{number:03}": code for number in range(int(first), int(last or first) + 1)}
    return found


_PREFIX = _prefixes()
