"""A reply without what could tell who wrote it: no digit, no name, no date, no address.

For lists that staff read to find words the bot should know. It removes too much rather than too little; that at least
five patients wrote the same is asked for as well (bot/unread.py), because no list of names is complete.
"""

from __future__ import annotations

import re
from pathlib import Path

from bot.reading.text import fold

LONGEST = 80
# Common given names and surnames in the United States, without those that are words of a reply (will, may, rose, dolores).
NAMES = frozenset(Path(__file__).with_name("names.txt").read_text("utf-8").split())
_TITLE = r"(?:mr|mrs|ms|dr|dra|sr|sra|doctora?|nurse|enfermer[ao]|senora?)\b\.?\s+"
_INTRO = re.compile(
    r"\b(?:my name(?: is|s|'s)?|name(?:'s| is|:(?= ))|this is|i'?m called|call me|signed|sincerely|mr|mrs|ms|miss|dr|dra|don|"
    r"dona|nurse|senora?|sr|sra|me llamo|mi nombre es|mi nombre|"
    r"atentamente|atte|habla|soy|doctora|enfermera)\b\.?,?\s+"
    rf"((?:{_TITLE})?[^\s,.;!?]+(?:\s+[^\s,.;!?]+)?)"
)
# A capital in the middle of a sentence is a name, or near enough.
_CAPITAL = re.compile(r"(?<=[^\W\d_][ ,])[ ]?[^\W\d_a-z][^\W\d_A-Z]{2,}(?:[ '-][^\W\d_a-z][^\W\d_A-Z]+)*")
_SIGNED = re.compile(
    r"(?:(?<=\bthanks)|(?<=\bthank you)|(?<=\bgracias)|(?<=\s)-)[\s,.!-]+[^\W\d_]+(?:\s[^\W\d_]+)?[.!]*$"
)
_LETTERS = re.compile(r"\b[^\W\d_](?:[\s.]+[^\W\d_]\b){2,}\.?")
_STREET = re.compile(
    r"\b[^\W\d_]+\s+(?:street|avenue|ave|road|rd|lane|ln|blvd|boulevard|court)\b|\b(?:calle|avenida|colonia|calzada)\s+[^\W\d_]+"
)
_MAIL = re.compile(r"\S*(?:@|\bat\b\s+(?:gmail|hotmail|yahoo|outlook|icloud)\b|\barroba\b)\s*\S*")
_LINK = re.compile(r"(?:https?:|www\.)\S*|\b[a-z0-9-]+\.(?:com|net|org|edu|gov|mx|us|io)\b\S*")
_MONTHS = (
    "january|february|march|april|june|july|august|september|october|november|december|jan|feb|mar|apr|jun|jul|aug|sept?|oct|"
    "nov|dec|enero|febrero|marzo|abril|mayo|junio|julio|agosto|septiembre|octubre|noviembre|diciembre|ene|abr|ago|dic"
)
_NUMBER = re.compile(r"\S*\d\S*")
_DATE = re.compile(
    rf"#(?:\s*(?:of|de|st|nd|rd|th))?\s+(?:{_MONTHS}|may)\b(?:\s*,?\s*(?:de\s+|del\s+)?#)?|\b(?:{_MONTHS})\b(?:\s*,?\s*#)*|\bmay\s+#"
)
_NUMBERS = re.compile(r"#(?:[\s,./:()-]*#)+")
_DIGIT = "zero|oh|one|two|three|four|five|six|seven|eight|nine|cero|uno|una|dos|tres|cuatro|cinco|seis|siete|ocho|nueve"
_SPELLED = re.compile(rf"\b(?:{_DIGIT})(?:[\s,-]+(?:{_DIGIT}))" + r"{2,}\b")
_TENS = (
    "eleven|twelve|(?:thir|four|fif|six|seven|eigh|nine)teen|twenty|thirty|fou?rty|fifty|sixty|seventy|eighty|ninety|hundred|thousand|"
    "doce|trece|catorce|quince|dieci[a-z]+|veint[a-z]+|treinta|cuarenta|cincuenta|sesenta|setenta|ochenta|noventa|cien|ciento|mil"
)
_SPOKEN = re.compile(rf"\b(?:{_TENS})(?:[\s-]+(?:y[\s]+)?(?:{_TENS}|{_DIGIT})\b)*\b")
_WORD = re.compile(r"[^\W\d_]+")


def scrub(said: str) -> str:
    """*said* in lower case without accents, with ``#`` for numbers and ``[name]``, ``[date]``, ``[mail]``, ``[link]``,
    ``[address]`` for what they stand for; "" when nothing is left to learn from."""
    text = " ".join(fold(_CAPITAL.sub(" [name]", " ".join(said[: 4 * LONGEST].split()))).split())
    text = _MAIL.sub(" [mail] ", text)
    text = _LINK.sub(" [link] ", text)
    text = _STREET.sub(" [address] ", text)
    text = _NUMBER.sub("#", _SPOKEN.sub("#", _SPELLED.sub("#", text)))
    text = _LETTERS.sub("[name]", _SIGNED.sub(" [name]", text))
    text = _NUMBERS.sub("#", _DATE.sub("[date]", text))
    text = _INTRO.sub(lambda found: found[0].replace(found[1], "[name]"), text)
    text = _WORD.sub(lambda found: "[name]" if found[0] in NAMES and not _in_brackets(text, found) else found[0], text)
    text = re.sub(r"\[name\](?:['\s-]*\[name\])+", "[name]", " ".join(text.split()))[:LONGEST].strip()
    left = re.sub(r"\[\w+\]?|#", " ", text)
    return text if any(char.isalpha() for char in left) else ""


def _in_brackets(text: str, found: re.Match[str]) -> bool:
    return text[found.start() - 1 : found.start()] == "["
