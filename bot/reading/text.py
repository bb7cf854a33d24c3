"""A patient's raw text -> plain lower-case words with the punctuation between them.

Pure and linear. Must not know any word of any language: meaning starts in ``words`` and ``parse``.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass

MAX_CHARACTERS = 1600
_TOKEN = re.compile(r"[a-z]+[0-9][a-z0-9]*|[0-9]+(?:[.,][0-9]+)?|[a-z]+|[^\x00-\x7f]+")
_STRONG = frozenset(".!?;:()\n[]{}=<>|")
_EMOJI = {
    "👍": " emojiyes ", "👌": " emojiyes ", "✅": " emojiyes ", "✔": " emojiyes ", "☑": " emojiyes ",
    "👎": " emojino ", "❌": " emojino ", "🚫": " emojino ", "🙅": " emojino ", "✖": " emojino ",
    "😂": " emojilaugh ", "🤣": " emojilaugh ", "😆": " emojilaugh ", "😅": " emojilaugh ", "💀": " emojilaugh ",
    "🤷": " emojishrug ", "🤔": " emojishrug ", "🔟": " 10 ", "½": " half ", "¼": " half ", "¾": " half ",
    "’": "'", "‘": "'", "´": "'", "`": "'", "ʼ": "'", "′": "'", "“": '"', "”": '"', "„": '"', "«": '"', "»": '"',
    "–": "-", "—": " - ", "―": " - ", "‑": "-", "−": "-", "…": ". ", "¿": " ", "¡": " ", "·": " ", "•": "\n",
    "°": " degrees ", "ª": " a ", "º": " o ", "⁄": "/", "，": ",", "。": ".", "＋": "+", "％": "%",
}  # fmt: skip


class _Fold(dict[int, str]):
    """Code point -> its plain form, worked out once each; bounded so that odd input cannot fill memory."""

    def __missing__(self, code: int) -> str:
        plain = _plain(chr(code))
        if len(self) < 8192:
            self[code] = plain
        return plain


def _plain(char: str) -> str:
    if char in _EMOJI:
        return _EMOJI[char]
    if char in "\n\r\u2028\u2029":
        return "\n"
    category = unicodedata.category(char)
    if category == "Nd":
        return str(unicodedata.decimal(char))
    if category == "No":
        return " oddnumber "
    if category in ("Mn", "Me", "Cf"):
        return ""
    if category[0] in "CZ" or category == "Sk":
        return " "
    plain = "".join(c for c in unicodedata.normalize("NFKD", char) if unicodedata.category(c) not in ("Mn", "Me"))
    plain = plain.casefold()
    if plain.isascii():
        return plain
    return plain if category[0] == "L" else " "


_FOLD = _Fold()


def fold(text: str) -> str:
    """*text* in lower case without accents, invisible characters or styled letters; emoji become marker words."""
    return text[:MAX_CHARACTERS].translate(_FOLD) if not text.isascii() else _fold_ascii(text[:MAX_CHARACTERS])


def _fold_ascii(text: str) -> str:
    return text.lower().translate(_ASCII_CONTROL)


_ASCII_CONTROL = {
    **dict.fromkeys((*range(9), 9, 11, 12, *range(14, 32)), " "), 127: " ", 13: "\n", ord("`"): "'",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Text:
    """Words of one input. ``before[i]`` is the punctuation between word i-1 and word i ("" for a plain space);
    ``before`` has one more entry than ``words``: what follows the last word."""

    words: list[str]
    before: list[str]
    folded: str


def split(folded: str) -> Text:
    """Cut folded text into words and the punctuation between them."""
    plain = folded
    if "'" in plain:
        plain = plain.replace("'", "")
    if "/" in plain:
        plain = plain.replace("w/o", " without ").replace("w/", " with ").replace("n/a", " na ")
    if "&" in plain:
        plain = plain.replace("pm&r", "pmr").replace("&", " and ")
    if "%" in plain:
        plain = plain.replace("%", " percent ")
    words: list[str] = []
    before: list[str] = []
    last = 0
    for found in _TOKEN.finditer(plain):
        start = found.start()
        before.append(_gap(plain[last:start]) if start > last else ("" if not words else "~"))
        words.append(found.group())
        last = found.end()
    before.append(_gap(plain[last:]))
    return Text(words, before, folded)


def _gap(raw: str) -> str:
    if raw == " " or not raw:
        return ""
    kept = raw.strip(" _*'\"~^")
    if kept == "-" and raw != "-":
        return "--"
    return kept if kept or "\n" not in raw else "\n"


def is_strong(gap: str) -> bool:
    """Whether *gap* ends a clause for sure: a full stop, a question mark, a line break, a spaced dash."""
    return bool(gap) and (gap == "--" or not _STRONG.isdisjoint(gap))
