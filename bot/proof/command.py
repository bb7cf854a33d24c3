"""``python -m bot check``: reads the files, proves each, prints sentences. The one module of this room that opens files."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path

from bot.flow.load import FlowError, Loaded, Problem, load_flow
from bot.proof.check import Report, check, unhonoured
from bot.proof.words import Read
from bot.reading.model import Expects, Reading
from bot.reading.reader import read as read_words
from bot.reading.words import parse_words

FLOWS = Path(__file__).parents[2] / "flows"
MAX_FILE = 8_000_000  # bytes; bot/flow/positions.py refuses long before, in characters
Say = Callable[[str], None]


def flow_files(folder: Path = FLOWS) -> list[Path]:
    """Every flow of a folder."""
    return [path for path in sorted(folder.glob("*.json")) if path.name != "schema.json"]


def reader(folder: Path = FLOWS / "words") -> Read:
    """The reading room with the words of *folder*, to see that answers are read as what they stand for."""
    words = parse_words({path.stem: path.read_text("utf-8") for path in sorted(folder.glob("*.json"))})

    def read(said: str, expects: Expects | None, language: str, channel: str) -> Reading:
        return read_words(said, expects=expects, language=language, channel=channel, words=words)  # type: ignore[arg-type]

    return read


def run_check(files: Sequence[str], machine: bool, out: Say) -> int:
    """Check *files* (none: all of flows/). 0: proved safe; 1: problems; 2: some file is no flow."""
    read = reader()
    paths = [Path(name) for name in files] or flow_files()
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
    if machine:
        out(_machine(unreadable, reports, missing))
    else:
        for problem in unreadable:
            out(str(problem))
        for report in reports:
            _print(report, out)
        if missing:
            out(f"Seed rules that nothing in flows/ cites: {', '.join(missing)}.")
    if unreadable:
        return 2
    return 1 if any(report.problems for report in reports) else 0


def read_flow(path: Path) -> Loaded:
    """The flow in a file. Raises FlowError, in words, for whatever is wrong with it."""
    try:
        if path.stat().st_size > MAX_FILE:
            raise FlowError([Problem(str(path), 1, 1, f"A flow of more than {MAX_FILE:,} bytes is not read.")])
        parts = {part.stem: part.read_text("utf-8") for part in sorted((FLOWS / "parts").glob("*.json"))}
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


def _machine(unreadable: Sequence[Problem], reports: Sequence[Report], missing: Sequence[str]) -> str:
    body = {
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
