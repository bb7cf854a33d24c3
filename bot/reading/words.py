"""The words of flows/words/<language>.json, checked and made ready. Opens no file: the text comes in."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bot.reading.phrases import Matcher, PhraseError

LISTS = ("yes", "no", "none_all", "hedge", "except", "negator", "past", "now", "third", "worry", "idiom", "minor", "units",
         "no_pain", "range", "outof", "was", "is", "correct", "ordinal_nouns", "optwords", "fillers", "stop_not",
         "past_word", "wrong_number")  # fmt: skip
GROUPS = ("symptoms", "commands", "options", "regions", "duration_words")
MAPS = ("numbers", "teens", "homophones", "ordinals", "duration", "typos")


class WordsError(ValueError):
    """A word file that cannot be used; the message names file, key and what is wrong."""


@dataclass(frozen=True)
class Words:
    """Everything the readers know, of all languages at once: patients mix them."""

    matcher: Matcher
    options: Matcher
    stop_exact: frozenset[tuple[str, ...]]
    numbers: Mapping[str, float]
    homophones: Mapping[str, int]
    ordinals: Mapping[str, int]
    durations: Mapping[str, float]
    typos: Mapping[str, tuple[str, ...]]


def words_hash(texts: Mapping[str, str]) -> str:
    """16 hex digits over the content, not the layout, of word files (language -> text)."""
    content = {language: json.loads(text) for language, text in texts.items()}
    return hashlib.sha256(json.dumps(content, sort_keys=True, ensure_ascii=False).encode()).hexdigest()[:16]


def parse_words(texts: Mapping[str, str]) -> Words:
    """*texts*: language -> the text of its word file. Raises WordsError."""
    tagged: list[tuple[str, str]] = []
    options: list[tuple[str, str]] = []
    exact: set[tuple[str, ...]] = set()
    maps: dict[str, dict[str, Any]] = {name: {} for name in MAPS}
    for language, text in texts.items():
        file = f"flows/words/{language}.json"
        body = _object(file, text)
        unknown = set(body) - {*LISTS, *GROUPS, *MAPS, "stop"}
        if unknown:
            raise WordsError(f"{_place(file, text, min(unknown))} The keys {sorted(unknown)} are not known here.")
        for name in LISTS:
            tagged += [(name, phrase) for phrase in _strings(body.get(name, []), file, name)]
        for group in GROUPS:
            for key, phrases in body.get(group, {}).items():
                into = options if group == "options" else tagged
                into += [(f"{group}:{key}", phrase) for phrase in _strings(phrases, file, f"{group}.{key}")]
        stop = body.get("stop", {})
        tagged += [("stop", phrase) for phrase in _strings(stop.get("phrases", []), file, "stop.phrases")]
        exact |= {tuple(phrase.split()) for phrase in _strings(stop.get("exact", []), file, "stop.exact")}
        for name in MAPS:
            maps[name].update(body.get(name, {}))
    try:
        matchers = Matcher(tagged), Matcher(options)
    except PhraseError as error:
        raise WordsError(f"{_culprit(texts, [*tagged, *options])} {error}") from None
    return Words(
        *matchers,
        frozenset(exact),
        {**maps["teens"], **maps["numbers"]},
        maps["homophones"],
        maps["ordinals"],
        maps["duration"],
        {wrong: tuple(right.split()) for wrong, right in maps["typos"].items() if wrong != right},
    )


def _object(file: str, text: str) -> dict[str, Any]:
    try:
        body = json.loads(text)
    except json.JSONDecodeError as error:
        raise WordsError(f"{file}:{error.lineno}:{error.colno} {error.msg}.") from None
    if not isinstance(body, dict):
        raise WordsError(f"{file}:1:1 A word file is one JSON object.")
    return body


def _culprit(texts: Mapping[str, str], phrases: Sequence[tuple[str, str]]) -> str:
    """Where the first phrase stands that cannot be read."""
    for _, phrase in phrases:
        try:
            Matcher([("", phrase)])
        except PhraseError:
            for language, text in texts.items():
                if json.dumps(phrase, ensure_ascii=False) in text:
                    return _place(f"flows/words/{language}.json", text, phrase)
    return "flows/words:"


def _place(file: str, text: str, phrase: str) -> str:
    """file:line:column of a string in a word file."""
    at = max(text.find(json.dumps(phrase, ensure_ascii=False)), 0)
    return f"{file}:{text.count(chr(10), 0, at) + 1}:{at - text.rfind(chr(10), 0, at)}"


def _strings(value: Any, file: str, key: str) -> list[str]:
    if not isinstance(value, list) or not all(isinstance(one, str) and one.strip() for one in value):
        raise WordsError(f"{file}: {key} takes a list of phrases.")
    return value
