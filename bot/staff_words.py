"""What is said to staff, in the console and in alerts: English stands in the code, words/es/*.json has the Spanish.

A page brings its own file of words, so that two people can write two pages. A test finds every sentence that is said
and fails for one that has no Spanish, or other {places} than the English. Never holds a text that a patient gets.
"""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Literal

Language = Literal["en", "es"]
FOLDER = Path(__file__).parent / "console" / "words"


def sentence(text: str) -> str:
    """Marks *text* as a sentence that is said elsewhere, so that the test of the words finds it. Changes nothing."""
    return text


@cache
def catalogue(language: Language) -> dict[str, str]:
    """English sentence -> the same in *language*. Raises ValueError when two files disagree."""
    found: dict[str, str] = {}
    for path in sorted((FOLDER / language).glob("*.json")):
        for english, other in json.loads(path.read_text("utf-8")).items():
            if found.setdefault(english, other) != other:
                raise ValueError(f"{path.name}: {english!r} has another translation in another file.")
    return found


def say(language: Language, text: str, /, **values: object) -> str:
    """A sentence of the interface, its {names} filled."""
    text = catalogue(language).get(text, text)
    return text.format(**values) if values else text
