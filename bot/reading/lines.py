"""``python -m bot read``: one JSON line in, one JSON line out. A bad line gets a sentence, never a stop."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from bot.reading import notes, signals
from bot.reading.model import Expects
from bot.reading.reader import read_answer, read_keys
from bot.reading.utterance import Utterance
from bot.reading.words import Words

KNOWN = {
    "language": ("en", "es", "mixed"),
    "channel": ("sms", "speech", "dtmf"),
    "strictness": ("general", "red_flag", "consent"),
}
WEIGHED = ("negator", "past", "third", "worry", "idiom", "was", "correct", "hedge", "except")
KINDS = ("yesno", "scale0_10", "choice", "duration", "body_region", "command", "emergency_scan")


class LineError(ValueError):
    """A line that asks for nothing we know."""


def read_lines(
    lines: Iterable[str], out: Callable[[str], None], *, explain: bool, words: Words, questions: Mapping[str, Expects]
) -> None:
    """Every line of *lines*; *questions* are the states that can be named."""
    for line in lines:
        if line.strip():
            out(json.dumps(read_line(line, explain, words, questions), ensure_ascii=False))


def read_line(line: str, explain: bool, words: Words, questions: Mapping[str, Expects]) -> dict[str, Any]:
    """One line."""
    try:
        asked = json.loads(line)
        if not isinstance(asked, dict) or not isinstance(asked.get("text"), str):
            raise LineError('a line is an object with "text", "channel", and "state" or "type"')
        value, why = _value(asked, words, questions)
    except (LineError, ValueError, RecursionError) as error:
        return {"error": f"This line cannot be read: {error}."}
    return {"value": value, "why": why, **(_explained(asked, value, why, words) if explain else {})}


def _explained(asked: dict[str, Any], value: str | int, why: str, words: Words) -> dict[str, Any]:
    """Which layer decided, and on which words: ``keys``, ``exact`` (as typed), ``normalised`` (after folding and mending),
    ``number``, ``structure`` (negation, time, person, doubt weighed), ``phrase`` (a listed phrase inside more words), or
    ``none`` (nothing decided: unclear)."""
    heard = Utterance(asked["text"], words)
    many = len(heard.words)
    phrases = [
        (tag, " ".join(heard.words[start:end]))
        for matcher in (words.matcher, words.options)
        for tag, start, end in matcher.find(heard.words)
        if tag != "fillers"
    ]
    whole = " ".join(heard.words) in {phrase for _, phrase in phrases}
    if asked.get("channel") == "dtmf":
        layer = "keys"
    elif value in ("unclear", "none"):
        layer = "none"
    elif any(word in why for word in ("rating", "number", "stated time")):
        layer = "number"
    elif whole and many:
        layer = "exact" if asked["text"] == " ".join(heard.words) else "normalised"
    else:
        layer = "structure" if any(heard.has(tag) for tag in WEIGHED) else "phrase"
    return {"layer": layer, "words": heard.words, "phrases": [list(one) for one in phrases]}


def _value(asked: dict[str, Any], words: Words, questions: Mapping[str, Expects]) -> tuple[str | int, str]:
    text, channel, kind = asked["text"], asked.get("channel", "sms"), asked.get("type")
    for name, known in KNOWN.items():
        if asked.get(name, known[0]) not in known:
            raise LineError(f"there is no {name} {asked[name]!r}; there are {', '.join(known)}")
    if not isinstance(asked.get("options", []), list):
        raise LineError('"options" is a list of option ids in menu order')
    if "state" in asked:
        expects = questions.get(str(asked["state"]))
        if expects is None:
            raise LineError(f"there is no state {asked['state']!r}; there are {', '.join(questions)}")
        return _answer(text, channel, expects, words)
    if kind not in KINDS:
        raise LineError(f"there is no type {kind!r}; there are {', '.join(KINDS)}")
    if kind in ("yesno", "scale0_10", "choice"):
        options = tuple(str(one) for one in asked.get("options", ()))
        return _answer(text, channel, Expects(kind, asked.get("strictness", "general"), options), words)
    heard = Utterance(text, words)
    if kind == "command":
        return _command(text, channel, heard, words)
    return {"duration": notes.duration, "body_region": notes.body_region, "emergency_scan": signals.scan}[kind](heard)


def _answer(text: str, channel: str, expects: Expects, words: Words) -> tuple[str | int, str]:
    if channel == "dtmf":
        reading = read_keys(text.strip(), expects)
        return (reading.value if reading.kind == "answer" and reading.value is not None else "unclear"), reading.why
    heard = Utterance(text, words)
    if signals.opts_out(heard, words) == "exact" and expects.type != "choice":
        return "unclear", "an exact opt-out word"
    value, why, _ = read_answer(heard, expects, "speech" if channel == "speech" else "sms")
    return value, why


def _command(text: str, channel: str, heard: Utterance, words: Words) -> tuple[str, str]:
    if channel == "dtmf":
        reading = read_keys(text.strip(), None)
        return (str(reading.value) if reading.kind == "command" else "none"), reading.why
    if signals.opts_out(heard, words) == "exact":
        return "stop", "an exact opt-out word"
    name = signals.command(heard)
    if name in ("cancel_appt", "change_appt") or not signals.opts_out(heard, words):
        return name or "none", "a command" if name else "no command"
    return "stop", "asks not to be written to"
