"""The words a caller is likely to answer with, for the speech recogniser. Made from the word files; decides nothing."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from bot.reading.model import Expects

OF_EACH = 12  # phrases of one answer; a menu of five stays far below Twilio's 500 hints
_PLAIN = re.compile(r"[^\W\d_][\w' ]*")
_KEYS = ("human", "repeat")


def make_hints(texts: Mapping[str, str]) -> Callable[[Expects, str], tuple[str, ...]]:
    """*texts*: language -> the text of its word file. The result gives the hints for a question in a language."""
    words = {language: json.loads(text) for language, text in texts.items()}
    known: dict[tuple[Expects, str], tuple[str, ...]] = {}

    def hints(expects: Expects, language: str) -> tuple[str, ...]:
        key = (expects, language)
        if key not in known:
            known[key] = tuple(dict.fromkeys(_of(words.get(language, {}), expects)))
        return known[key]

    return hints


def _of(body: Mapping[str, Any], expects: Expects) -> Iterable[str]:
    if expects.type == "yesno":
        yield from _plain(body.get("yes", ()))
        yield from _plain(body.get("no", ()))
    else:
        yield from (name for name, value in body.get("numbers", {}).items() if value == int(value) and 0 <= value <= 10)
    for option in expects.options:
        yield from _plain(body.get("options", {}).get(option, ()))
    for command in _KEYS:
        yield from _plain(body.get("commands", {}).get(command, ()))


def _plain(phrases: Iterable[str]) -> list[str]:
    """Those that are words and not patterns, and long enough to be said."""
    return [one for one in phrases if len(one) > 1 and _PLAIN.fullmatch(one)][:OF_EACH]
