"""Conversations that read like conversations.

A file: ``# what it shows``, ``language en|es``, ``channel sms|dtmf|speech``, ``flow name [outcome]``
when the bot itself begins a walk (what it says first stands under the first ``>``), then ``> said`` by the patient, ``< words``
the answer must have in this order (``< -`` = no answer), and ``= state [outcome rule]`` where the walk then stands (``-`` =
none). ``> ~`` is silence; on a call the first one begins it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

FOLDER = Path(__file__).parent


@dataclass
class Exchange:
    """One thing said and everything that must be true afterwards."""

    said: str
    line: int
    words: list[str] = field(default_factory=list)
    stands: list[str] = field(default_factory=list)


@dataclass
class Transcript:
    """One conversation."""

    name: str
    language: str
    exchanges: list[Exchange]
    channel: Literal["sms", "dtmf", "speech"] = "sms"
    flow: tuple[str, str | None] | None = None


def transcripts() -> list[Transcript]:
    """Every transcript of this folder."""
    return [_read(path) for path in sorted(FOLDER.glob("*.txt"))]


def _read(path: Path) -> Transcript:
    language, exchanges = "en", []
    channel: Any = "sms"
    flow: tuple[str, str | None] | None = None
    for number, line in enumerate(path.read_text("utf-8").splitlines(), 1):
        mark, _, rest = line.partition(" ")
        if mark == ">":
            exchanges.append(Exchange("" if rest == "~" else rest, number))
        elif mark == "<":
            exchanges[-1].words.append(rest)
        elif mark == "=":
            exchanges[-1].stands = rest.split()
        elif mark == "language":
            language = rest
        elif mark == "channel":
            channel = rest
        elif mark == "flow":
            name, _, outcome = rest.partition(" ")
            flow = (name, outcome or None)
        elif line and mark != "#":
            raise ValueError(f"{path.name}:{number} starts with none of > < = # language")
    return Transcript(path.stem, language, exchanges, channel, flow)


def check(transcript: Transcript, exchange: Exchange, answer: str | None, stands: tuple[str | None, ...]) -> None:
    """Raises AssertionError naming the line of the transcript."""
    where = f"{transcript.name}.txt:{exchange.line} after {exchange.said!r}"
    if exchange.words == ["-"]:
        assert not answer, f"{where}: expected no answer, got {answer!r}"
    else:
        at = 0
        for words in exchange.words:
            found = (answer or "").find(words, at)
            assert found >= 0, f"{where}: {words!r} is not in {answer!r}"
            at = found + len(words)
    for wanted, got in zip(exchange.stands, stands, strict=False):
        assert wanted == (got or "-"), f"{where}: stands at {stands}, not {exchange.stands}"
