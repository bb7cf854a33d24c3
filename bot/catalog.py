"""Opens the flow and word files of this checkout, and hands a turn what it needs of them."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from functools import cache, lru_cache
from pathlib import Path
from types import MappingProxyType
from typing import Literal

from bot.flow.load import FlowError, Loaded, load_flow
from bot.reading.hints import make_hints
from bot.reading.model import Expects, Reading
from bot.reading.reader import read
from bot.reading.words import Words, parse_words
from bot.turn import Clinic

PROGRAM = ("engine.py", "session.py", "decide.py", "work.py", "record.py", "late.py", "consent.py", "prompts.py",
           "wording.py", "flow/*.py", "reading/*.py")  # fmt: skip
FLOWS = Path(__file__).parents[1] / "flows"

SHORT = 16  # characters of a reply that is worth keeping; longer ones are seldom said twice


@cache
def load_flows(folder: Path = FLOWS) -> Mapping[str, Loaded]:
    """Every flow of the folder by its id, read once. Raises FlowError with every problem of every file."""
    found, problems, parts = [], [], part_files(folder / "parts")
    for path in sorted(folder.glob("*.json")):
        if path.name != "schema.json":
            try:
                found.append(load_flow(path.read_text("utf-8"), f"flows/{path.name}", parts))
            except FlowError as error:
                problems += error.problems
    if problems:
        raise FlowError(problems)
    return MappingProxyType({loaded.flow.id: loaded for loaded in found})


@cache
def load_words(folder: Path = FLOWS / "words") -> Words:
    """The words of every language in flows/words, read once."""
    return parse_words(word_files(folder))


def part_files(folder: Path = FLOWS / "parts") -> dict[str, str]:
    """What flows share -> the text of its file."""
    return {path.stem: path.read_text("utf-8") for path in sorted(folder.glob("*.json"))}


def word_files(folder: Path = FLOWS / "words") -> dict[str, str]:
    """Language -> the text of its word file."""
    return {path.stem: path.read_text("utf-8") for path in sorted(folder.glob("*.json"))}


@cache
def program_hash() -> str:
    """16 hex digits of the code that decides turns."""
    room, whole = Path(__file__).parent, hashlib.sha256()
    for pattern in PROGRAM:
        for path in sorted(room.glob(pattern)):
            whole.update(path.name.encode() + b"\0" + path.read_bytes())
    return whole.hexdigest()[:16]


def reader(words: Words) -> Callable[[str, Expects | None, str, str], Reading]:
    """The reading room with its words, as a turn wants it. What most people reply ("yes", "no", "7", "la espalda") is read
    once: 40 us less for a turn."""

    def read_it(said: str, expects: Expects | None, language: str, channel: str) -> Reading:
        return read(said, expects=expects, language=language, channel=channel, words=words)  # type: ignore[arg-type]

    kept = lru_cache(maxsize=2048)(read_it)
    return lambda said, *asked: kept(said, *asked) if len(said) <= SHORT else read_it(said, *asked)


def make_clinic(
    *,
    values: Mapping[str, str],
    link: Callable[[str], tuple[str, str]],
    new_id: Callable[[], str],
    new_effect: Callable[[str], str],
    language: str | None = None,
    opt_out_mode: Literal["twilio", "advanced", "app"] = "twilio",
    is_open: Callable[[float], bool] = lambda now: True,
    voicemail: bool = False,
    may_text: Callable[[str], bool] = lambda phone: True,
    zone: str = "America/Chicago",
    alerts: tuple[str, ...] = (),
) -> Clinic:
    """The flows and words of this checkout with the values of one clinic."""
    return Clinic(
        flows=load_flows(),
        read=reader(load_words()),
        values=values,
        new_id=new_id,
        new_effect=new_effect,
        link=link,
        opt_out_mode=opt_out_mode,
        language=language,
        is_open=is_open,
        voicemail=voicemail,
        may_text=may_text,
        zone=zone,
        alerts=alerts,
        hints=make_hints(word_files()),
    )
