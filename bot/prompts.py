"""Text keys of a step -> what a patient reads or hears. Pure; the words stand in the flow, the values are given.

A key with no wording for the channel is silent there (the spoken reminder of keys has no text twin); the proof refuses
that for anything a patient must answer.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from bot import wording
from bot.flow import model
from bot.flow.load import Loaded


def wording_of(loaded: Loaded, key: str, language: str, channel: str) -> str | None:
    """The template of text *key* in *language* for *channel* (``sms`` or ``voice``), or None when it has none."""
    texts = loaded.flow.texts.get(key)
    if texts is None:
        return None
    spoken: model.Wording = texts.get(language) or texts[loaded.flow.languages[0]]
    return (spoken.voice if channel == "voice" else spoken.sms) or spoken.text


def render(loaded: Loaded, keys: Iterable[str], language: str, channel: str, values: Mapping[str, str]) -> list[str]:
    """One finished text per key. A value that is itself a key of the flow's texts is rendered first."""
    filled = {
        name: wording_of(loaded, value, language, channel) or value if value in loaded.flow.texts else value
        for name, value in values.items()
    }
    parts = []
    for key in keys:
        template = wording_of(loaded, key, language, channel)
        if template:
            text = wording.fill(template, filled)
            parts.append(wording.spoken(text) if channel == "voice" else text)
    return parts


def one_text(parts: Iterable[str]) -> str | None:
    """The parts of one turn as one SMS body, folded to GSM-7 where that loses nothing; None when nothing is said."""
    body = "\n".join(parts)
    return wording.fold(body) if body else None
