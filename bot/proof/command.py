"""``python -m bot check``: reads the files, proves each, prints sentences. The one module of this room that opens files."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from bot.flow.load import FlowError, Loaded, Problem, load_flow
from bot.proof.check import Report, check
from bot.proof.evidence import unhonoured
from bot.proof.words import Read
from bot.reading.model import Expects, Reading
from bot.reading.reader import read as read_words
from bot.reading.words import WordsError, parse_words, words_hash

FLOWS = Path(__file__).parents[2] / "flows"
REPLIES = FLOWS.parent / "tests" / "reading" / "corpus"
MAX_FILE = 8_000_000  # bytes; bot/flow/positions.py refuses long before, in characters
Say = Callable[[str], None]


def flow_files(folder: Path = FLOWS) -> list[Path]:
    """Every flow of a folder."""
    return [path for path in sorted(folder.glob("*.json")) if path.name != "schema.json"]


def word_texts(folder: Path = FLOWS / "words") -> dict[str, str]:
    """Language -> the text of its word file."""
    return {path.stem: path.read_text("utf-8") for path in sorted(folder.glob("*.json"))}


def reader(folder: Path = FLOWS / "words") -> Read:
    """The reading room with the words of *folder*, to see that answers are read as what they stand for."""
    words = parse_words(word_texts(folder))

    def read(said: str, expects: Expects | None, language: str, channel: str) -> Reading:
        return read_words(said, expects=expects, language=language, channel=channel, words=words)  # type: ignore[arg-type]

    return read


def labelled_replies(folder: Path = REPLIES) -> list[dict[str, Any]]:
    """The replies that show what a change of words does; none where only the program is installed."""
    lines = [line for path in sorted(folder.glob("*.jsonl")) for line in path.read_text("utf-8").splitlines()]
    return [json.loads(line) for line in lines]


def run_check(files: Sequence[str], machine: bool, out: Say) -> int:
    """Check *files* (none: all of flows/; a folder: all of it). 0: proved safe; 1: problems; 2: some file is no flow."""
    try:
        read = reader()
    except WordsError as error:
        out(str(error))
        return 2
    named = [Path(name) for name in files] or [FLOWS]
    paths = list(
        dict.fromkeys(
            path for one in named for path in (flow_files(one) if one.is_dir() else [one]) if path.name != "schema.json"
        )
    )
    if not paths:
        out(f"There is no flow in {', '.join(map(str, named))}.")
        return 2
    loaded: list[Loaded] = []
    unreadable: list[Problem] = []
    for path in paths:
        try:
            loaded.append(read_flow(path))
        except FlowError as error:
            unreadable += error.problems
    others = beside(loaded)
    reports = [check(one, flows=others, read=read) for one in loaded]
    missing = unhonoured(others.values()) if not files else []
    version = words_hash(word_texts())
    if machine:
        out(_machine(unreadable, reports, missing, version))
    else:
        for problem in unreadable:
            out(str(problem))
        for report in reports:
            _print(report, out)
        if missing:
            out(f"Seed rules that nothing in flows/ cites: {', '.join(missing)}.")
        out(
            f"A version covers the flow and its parts; replies were read with the words of flows/words, version {version}."
        )
    if unreadable:
        return 2
    return 1 if missing or any(report.problems for report in reports) else 0


def read_flow(path: Path) -> Loaded:
    """The flow in a file, with the parts beside it (else those of flows/). Raises FlowError, in words, for whatever is
    wrong with it."""
    try:
        if path.stat().st_size > MAX_FILE:
            raise FlowError([Problem(str(path), 1, 1, f"A flow of more than {MAX_FILE:,} bytes is not read.")])
        own = path.parent / "parts"
        folder = own if own.is_dir() else FLOWS / "parts"
        parts = {part.stem: part.read_text("utf-8") for part in sorted(folder.glob("*.json"))}
        return load_flow(path.read_text("utf-8"), str(path), parts)
    except (OSError, UnicodeDecodeError) as error:
        raise FlowError([Problem(str(path), 1, 1, f"This file cannot be read as text: {error}.")]) from None


def beside(loaded: Sequence[Loaded]) -> dict[str, Loaded]:
    """The given flows and, for handovers, those of flows/ that load."""
    found: dict[str, Loaded] = {}
    for path in flow_files():
        try:
            one = read_flow(path)
        except FlowError:
            continue
        found[one.flow.id] = one
    return found | {one.flow.id: one for one in loaded}


def _machine(unreadable: Sequence[Problem], reports: Sequence[Report], missing: Sequence[str], version: str) -> str:
    body = {
        "words": version,
        "unreadable": [str(problem) for problem in unreadable],
        "flows": [json.loads(report.to_json()) for report in reports],
        "seed_rules_not_cited": list(missing),
    }
    return json.dumps(body, ensure_ascii=False, indent=1)


def _print(report: Report, out: Say) -> None:
    for finding in report.problems:
        out(str(finding.problem))
        for line in finding.talk:
            out(line)
    for warning in report.warnings:
        out(f"{warning} (advice)")
    counts = ", ".join(f"{number:,} {name}" for name, number in report.counts.items())
    verdict = f"{len(report.problems)} problems" if report.problems else "proved safe"
    out(f"{report.file}: {verdict}; {len(report.held)} invariants hold; {counts}; version {report.hash}.")
