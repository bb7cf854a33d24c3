"""Prompts into what a patient reads or hears: placeholders, SMS folding and segments, speech, safe characters.

Pure: no clock, no random, no network, no flow. Must never decide *what* is said, only how it travels.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

_GSM_BASIC = frozenset(
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?"
    "¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
# Sent as an escape and a second septet, so each costs two (3GPP 23.038).
_GSM_DOUBLE = frozenset("\f^{}\\[~]|€")
_GSM = _GSM_BASIC | _GSM_DOUBLE

LOOK_ALIKE = {
    character: plain
    for plain, characters in {
        '"': "«»“”ʺˮ‟„❝❞〝〞",
        "'": "‘’ʻˈʼʽʹ‛´ˊ`ˋ❛❜︐︑",
        "-": "–—―‐‑‒−⁃⎼⎽•·‧",
        "...": "…",
        "/": "÷⧸⁄∕",
        "\\": "⧹⧵",
        "|": "∣⎸⎹⏐⎜⎟",
        ",": "‚､、",
        ".": "。",
        "(": "❨⟮❪⦅",
        ")": "❩⟯❫⦆",
        "{": "❴",
        "}": "❵",
        "*": "⁎∗⊛✢✣✤✥✱✲✳✺✻✼✽❃❉❊❋⧆",
        "+": "˖",
        ":": "ː˸⦂꞉",
        ";": "⁏",
        "!": "ǃ",
        "=": "꞊",
        "<": "‹",
        ">": "›",
        "^": "ˆ",
        "~": "˜˷∼",
        "_": "‗",
        " ": "\t\v\u2028\u2029",
        # A leading space, so that "7½" is not read as seventy-one halves.
        " 1/4": "¼",
        " 1/2": "½",
        " 3/4": "¾",
    }.items()
    for character in characters
}

# Illegal in XML 1.0 (production Char), C1 controls, and format characters that reorder or hide text. U+200D stays:
# it joins emoji. Lone surrogates cannot be encoded at all.
_UNSAFE = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u00ad\u061c\u180e\u200b\u200c\u200e\u200f\u202a-\u202e\u2060-\u206f"
    "\ud800-\udfff\ufdd0-\ufdef\ufeff\ufff9-\ufffb\ufffe\uffff\U000e0000-\U000e007f]"
)

_PLACEHOLDER = re.compile(r"\{([^{}]*)\}")

_PHONE = re.compile(
    r"(?<![\w.+-])"
    r"(?:\+\d{8,15}|(?:\+?1[ .-]?)?(?:\(\d{3}\) ?|\d{3}[ .-])\d{3}[ .-]\d{4}|\d{3}-\d{4}|\d{10,11})"
    r"(?![\w-])"
)
_SHORT_NUMBER = re.compile(r"(?<![\d.,:/-])(911|988|112)(?![\d:/-]|[.,]\d)")


class MissingPlaceholderError(ValueError):
    """A prompt asks for a value nobody gave; the message names it."""


@dataclass(frozen=True, slots=True)
class Segments:
    """What a text costs. *units*: septets for GSM-7, UTF-16 code units for UCS-2. *guilty*: the characters, in order of
    first appearance, that force UCS-2."""

    encoding: Literal["GSM-7", "UCS-2"]
    units: int
    count: int
    guilty: tuple[str, ...]


@lru_cache(maxsize=4096)
def _fold_character(character: str) -> str:
    plain = LOOK_ALIKE.get(character)
    if plain is not None:
        return plain
    if _UNSAFE.match(character):
        return ""
    if unicodedata.combining(character):
        return ""
    decomposed = unicodedata.normalize("NFKD", character)
    if decomposed == character:
        return character
    folded = "".join(part if part in _GSM else _fold_character(part) for part in decomposed)
    return folded if folded and all(part in _GSM for part in folded) else character


@lru_cache(maxsize=512)  # what a flow says is said to many
def fold(text: str) -> str:
    """*text* as an SMS carries it: letters with accents outside GSM-7 lose the accent (á í ó ú; é ñ ü ¿ ¡ stay),
    typographic marks become plain ones. Characters with no plain form (emoji) stay; `segments` names them."""
    composed = unicodedata.normalize("NFC", text)
    if _GSM.issuperset(composed):
        return composed
    return "".join(character if character in _GSM else _fold_character(character) for character in composed)


def segments(text: str) -> Segments:
    """Encoding, units and number of SMS segments of *text* exactly as given (fold it first).

    160 septets or 70 code units in one; 153 or 67 each when concatenated; no escape pair or surrogate pair is split.
    Equal to Twilio's own calculator on shared/twilio/segments_golden.json.
    """
    if not _GSM.issuperset(text):
        guilty = tuple(dict.fromkeys(character for character in text if character not in _GSM))
        costs = [2 if ord(character) > 0xFFFF else 1 for character in text]
        return Segments("UCS-2", sum(costs), _count(costs, 70, 67), guilty)
    if _GSM_DOUBLE.isdisjoint(text):  # nearly every text, and each turn counts two
        return Segments("GSM-7", len(text), 1 if len(text) <= 160 else -(-len(text) // 153), ())
    costs = [2 if character in _GSM_DOUBLE else 1 for character in text]
    return Segments("GSM-7", sum(costs), _count(costs, 160, 153), ())


def _count(costs: list[int], alone: int, joined: int) -> int:
    if sum(costs) <= alone:
        return 1
    count, used = 1, 0
    for cost in costs:
        if used + cost > joined:
            count, used = count + 1, 0
        used += cost
    return count


def safe_text(text: str) -> str:
    """*text* without anything XML 1.0 forbids and without invisible or direction-changing characters.

    The one gate before TwiML: twilio's classes write such characters out as they are, Twilio then refuses the document
    (12100) and the patient gets silence.
    """
    return _UNSAFE.sub("", text)


def fill(template: str, values: Mapping[str, str]) -> str:
    """*template* with every ``{name}`` replaced from *values*; what a value contains is never expanded again.

    Raises `MissingPlaceholderError`, naming every placeholder that has no value.
    """
    if "{" not in template:
        return template
    missing = [name for name in _PLACEHOLDER.findall(template) if name not in values]
    if missing:
        names = ", ".join("{" + name + "}" for name in dict.fromkeys(missing))
        known = ", ".join(sorted(values)) or "none"
        raise MissingPlaceholderError(f"prompt asks for {names}, but the only placeholders with a value are: {known}")
    return _PLACEHOLDER.sub(lambda found: values[found[1]], template)


def placeholders(template: str) -> frozenset[str]:
    """The names of the ``{name}`` placeholders in *template*, for the flow check."""
    return frozenset(_PLACEHOLDER.findall(template))


def spoken(text: str) -> str:
    """*text* for the ear: phone numbers, 911, 988 and 112 digit by digit; other numbers ("24 hours") are left alone.

    A voice reads unspaced digits as one number ("nine hundred eleven"). The US country code is dropped.
    """
    return _SHORT_NUMBER.sub(lambda found: " ".join(found[1]), _PHONE.sub(_spell_phone, text))


def _spell_phone(found: re.Match[str]) -> str:
    digits = "".join(character for character in found[0] if character.isdecimal())
    if len(digits) == 11 and digits.startswith("1"):
        digits = digits[1:]
    if len(digits) == 10:
        groups = [digits[:3], digits[3:6], digits[6:]]
    elif len(digits) == 7:
        groups = [digits[:3], digits[3:]]
    else:
        groups = [digits[start : start + 3] for start in range(0, len(digits), 3)]
    return ", ".join(" ".join(group) for group in groups)
