"""What a change of flows/words changes: which lists, and which labelled replies are read as something else. Pure."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from bot.engine import expects
from bot.flow.load import Loaded
from bot.flow.model import Question
from bot.proof.turns import Fact
from bot.reading.lines import read_line
from bot.reading.model import Expects
from bot.reading.words import parse_words, words_hash

ALARMING = ("symptoms", "stop", "minor", "wrong_number")  # whoever loses a phrase here is heard less
SOOTHING = ("idiom", "past", "past_word", "third", "stop_not", "fillers")  # and here whoever gains one
SHOWN = 3
Texts = Mapping[str, str]


def word_changes(old: Texts, new: Texts, replies: Iterable[Mapping[str, Any]], triage: Loaded | None) -> Iterator[Fact]:
    """*old*, *new*: language -> the text of its word file; *replies*: those of tests/reading, each with what it may be
    read as in answer to a question of *triage* or of its own. Raises WordsError."""
    if words_hash(old) != words_hash(new):
        states = triage.flow.states if triage else {}
        questions = {name: expects(one) for name, one in states.items() if isinstance(one, Question)}
        yield from _lists(old, new)
        yield from _replies(old, new, replies, questions)


def _lists(old: Texts, new: Texts) -> Iterator[Fact]:
    for language in dict.fromkeys((*old, *new)):
        before, after = (_flat(json.loads(side.get(language, "{}"))) for side in (old, new))
        for name in dict.fromkeys((*before, *after)):
            gone, come = (sorted(one) for one in _two_ways(before.get(name, set()), after.get(name, set())))
            top = name.partition(".")[0]
            if gone:
                less = top in ALARMING or not after
                yield Fact("words", f"words/{language}.json {name}: no longer {', '.join(map(repr, gone))}", less)
            if come:
                yield Fact("words", f"words/{language}.json {name}: new {', '.join(map(repr, come))}", top in SOOTHING)


def _two_ways(before: set[str], after: set[str]) -> tuple[set[str], set[str]]:
    return before - after, after - before


def _flat(value: Any, path: str = "") -> dict[str, set[str]]:
    """List -> its phrases; of a table "word: meaning"."""
    found: dict[str, set[str]] = {}
    for name, inner in value.items() if isinstance(value, dict) else ():
        here = f"{path}.{name}".lstrip(".")
        if isinstance(inner, list):
            found[here] = {str(one) for one in inner}
        elif isinstance(inner, dict) and any(isinstance(one, list | dict) for one in inner.values()):
            found |= _flat(inner, here)
        elif isinstance(inner, dict):
            found[here] = {f"{word}: {meaning}" for word, meaning in inner.items()}
        else:
            found.setdefault(path, set()).add(f"{name}: {inner}")
    return found


def _replies(
    old: Texts, new: Texts, replies: Iterable[Mapping[str, Any]], questions: Mapping[str, Expects]
) -> Iterator[Fact]:
    sides = [_reader(texts, questions) for texts in (old, new)]
    total, found = 0, dict[tuple[Any, Any, bool], list[str]]()
    for reply in replies:
        total += 1
        line = json.dumps(reply)
        was, now = (read(line) for read in sides)
        if was != now:
            bad = now in reply["unsafe"] or (was in reply["accepted"] and now not in reply["accepted"])
            found.setdefault((was, now, bad), []).append(str(reply["text"]))
    for (was, now, bad), texts in sorted(found.items(), key=lambda one: (not one[0][2], -len(one[1]))):
        some = ", ".join(map(repr, texts[:SHOWN])) + (", ..." if len(texts) > SHOWN else "")
        yield Fact("words", f"{len(texts):,} of {total:,} labelled replies: {was} -> {now}: {some}", bad)
    if total and not found:
        yield Fact("words", f"All {total:,} labelled replies are read as before")


def _reader(texts: Texts, questions: Mapping[str, Expects]) -> Callable[[str], Any]:
    words = parse_words(texts)
    return lambda line: read_line(line, False, words, questions).get("value")
