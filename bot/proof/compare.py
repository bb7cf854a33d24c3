"""``python -m bot draw`` and ``diff``: reads the files, prints pictures and sentences. Opens files; decides nothing."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from bot.flow.load import FlowError, Loaded, Problem
from bot.proof.command import FLOWS, beside, flow_files, labelled_replies, read_flow, word_texts
from bot.proof.difference import compare, tell
from bot.proof.explore import TooManyError
from bot.proof.graph import mermaid, outline
from bot.proof.picture import draw
from bot.proof.reading_changes import word_changes
from bot.proof.tree import TooManyAnswersError
from bot.reading.words import WordsError, words_hash

Say = Callable[[str], None]
ACCEPTED = FLOWS / "accepted.jsonl"


def run_draw(file: str | None, form: str, out: Say) -> int:
    """Print the picture of *file* (None: triage). 2 when it is no flow."""
    try:
        loaded = read_flow(Path(file) if file else FLOWS / "triage.json")
    except FlowError as error:
        out(str(error))
        return 2
    if form == "outline":
        out("\n".join(outline(loaded)))
    else:
        out((mermaid(loaded) if form == "mermaid" else draw(loaded)).rstrip("\n"))
    return 0


def run_diff(old: str, new: str, accept: str | None, reason: str | None, out: Say, record: Path = ACCEPTED) -> int:
    """Print what changes between two files or two folders of flows, and the words beside them. 0: nothing is lost; 1: less
    care somewhere, not accepted; 2: not readable."""
    paths = Path(old), Path(new)
    if paths[0].is_dir() != paths[1].is_dir():
        out("Give two flow files, or two folders with flows.")
        return 2
    try:
        sides = [_flows(path) for path in paths]
        if not paths[0].is_dir() and sides[0].keys() != sides[1].keys():
            out(f"{new} is the flow {next(iter(sides[1]))!r}, no version of {next(iter(sides[0]))!r} ({old}).")
            return 2
        bodies = [body for body in (*_compare(sides[0], sides[1], out), _words(paths, sides[1], out)) if body["losses"]]
    except (FlowError, TooManyAnswersError, TooManyError, WordsError) as error:
        out(str(error))
        return 2
    if not bodies:
        return 0
    if not (accept and reason):
        out('This lowers care somewhere. Whoever answers for it publishes it with --accept NAME --reason "TEXT".')
        return 1
    who = {"name": accept, "reason": reason, "at": int(time.time())}
    with record.open("a", encoding="utf-8") as kept:
        kept.writelines(json.dumps({**body, **who}, ensure_ascii=False) + "\n" for body in bodies)
    out(f"Accepted by {accept}; recorded in {record.name}.")
    return 0


def _flows(path: Path) -> dict[str, Loaded]:
    found = [read_flow(one) for one in (flow_files(path) if path.is_dir() else [path])]
    if not found:
        raise FlowError([Problem(str(path), 1, 1, "There is no flow in this folder.")])
    return {loaded.flow.id: loaded for loaded in found}


def _compare(old: Mapping[str, Loaded], new: Mapping[str, Loaded], out: Say) -> Iterator[dict[str, Any]]:
    """Prints each flow that differs; what is recorded when somebody answers for it."""
    others = beside(list(new.values()))
    for name in dict.fromkeys((*old, *new)):
        pair = old.get(name), new.get(name)
        if len(old) + len(new) > 2:
            out(f"== {name} " + " -> ".join(one.hash if one else "none" for one in pair))
        if pair[0] and pair[1]:
            found = compare(pair[0], pair[1], others)
            out("\n".join(tell(found, pair[0], pair[1])))
            losses, counts = found.losses, {"lowered": found.lowered, "of": found.total}
        else:
            losses, counts = [] if pair[1] else ["the whole flow is gone"], {}
            out(f"The flow {name} is {'new' if pair[1] else 'gone (LESS)'}.")
        hashes = {"old": pair[0].hash if pair[0] else "", "new": pair[1].hash if pair[1] else ""}
        yield {"flow": name, **hashes, **counts, "losses": losses}


def _words(paths: tuple[Path, Path], flows: Mapping[str, Loaded], out: Say) -> dict[str, Any]:
    """As _compare, of the words that lie beside both; nothing when they do not."""
    folders = [(path if path.is_dir() else path.parent) / "words" for path in paths]
    if not all(folder.is_dir() for folder in folders):
        out("Words of replies are not compared: only flows/words beside both would be.")
        return {"losses": []}
    old, new = (word_texts(folder) for folder in folders)
    found = list(word_changes(old, new, labelled_replies(), flows.get("triage")))
    marks = words_hash(old), words_hash(new)
    if found:
        out(f"\n== words of replies {marks[0]} -> {marks[1]}")
    for one in found:
        out(f"{one.says}{' (LESS)' if one.less else ''}.")
    return {"flow": "words", "old": marks[0], "new": marks[1], "losses": [one.says for one in found if one.less]}
