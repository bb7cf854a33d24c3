"""A ZIP code that a patient states, and what is left to read without it. Pure.

A number counts as a ZIP code only when it is called one, when somebody lives there, or when it is all that is said and
no number was asked for: "pain 10000" names no place. Whether it exists, bot/places.py knows.
"""

from __future__ import annotations

import re

_NUMBER = r"(?<!\d)(?P<zip{n}>\d{{5}})(?:-\d{{4}})?(?!\d)(?!\.\d)"
_NAMED = (
    r"(?:\b(?:my|the|our|new|mi|el|nuevo)\s+)*\b(?:zip(?:\s*-?\s*code)?|postal\s*code|c[oó]digo\s+postal|c\.?\s?p\.?)"
    r"(?:\s+(?:is|now|es|ahora|de|nuevo))*\s*[:=#,-]?\s*"
)
_LIVES = (
    r"\b(?:i(?:'m|\s+am)?\s+|im\s+|we\s+)?(?:now\s+)?(?:live|living|moved|vivo|vivimos|me\s+mud[eé])(?:\s+(?:now|ahora))?"
    r"\s+(?:in|to|at|en|a|al)\s+(?:zip\s+)?"
)
_STATED = re.compile(f"(?:{_NAMED}){_NUMBER.format(n=1)}|(?:{_LIVES}){_NUMBER.format(n=2)}", re.IGNORECASE)
_FIVE = re.compile(r"\d{5}")
_ALONE = re.compile(r"(\d{5})(?:-\d{4})?[.!]?")
_EMPTY = re.compile(r"[\W_]*", re.UNICODE)
LONGEST = 1600


def stated(said: str, *, asked: bool) -> tuple[str, str]:
    """(the five digits, what is left to read); ("", *said*) when no ZIP code is stated. *asked*: a question for a
    number is open."""
    if len(said) > LONGEST or not _FIVE.search(said):
        return "", said
    said = " ".join(said.split())
    alone = None if asked else _ALONE.fullmatch(said)
    if alone:
        return alone[1], ""
    found = _STATED.search(said)
    if not found:
        return "", said
    rest = f"{said[: found.start()]} {said[found.end() :]}".strip()
    return found["zip1"] or found["zip2"], "" if _EMPTY.fullmatch(rest) else rest
