"""``python -m bot draw`` and ``diff``: reads the files, prints pictures and sentences. Opens files; decides nothing."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path

from bot.flow.load import FlowError
from bot.proof.command import FLOWS, read_flow
from bot.proof.difference import compare, tell
from bot.proof.explore import TooManyError
from bot.proof.graph import mermaid, outline
from bot.proof.picture import draw
from bot.proof.tree import TooManyAnswersError

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
    """Print what changes. 0: nothing, or nothing is lost; 1: less care somewhere, not accepted; 2: not readable."""
    try:
        pair = read_flow(Path(old)), read_flow(Path(new))
        if pair[0].flow.id != pair[1].flow.id:
            out(f"{new} is the flow {pair[1].flow.id!r}, no version of {pair[0].flow.id!r} ({old}).")
            return 2
        found = compare(*pair)
    except (FlowError, TooManyAnswersError, TooManyError) as error:
        out(str(error))
        return 2
    out("\n".join(tell(found, *pair)))
    if not found.needs_acceptance:
        return 0
    if not (accept and reason):
        out('This lowers care somewhere. Whoever answers for it publishes it with --accept NAME --reason "TEXT".')
        return 1
    body = {
        "flow": pair[1].flow.id, "old": pair[0].hash, "new": pair[1].hash, "name": accept, "reason": reason,
        "lowered": found.lowered, "of": found.total, "losses": found.losses, "at": int(time.time()),
    }  # fmt: skip
    with record.open("a", encoding="utf-8") as kept:
        kept.write(json.dumps(body, ensure_ascii=False) + "\n")
    out(f"Accepted by {accept}; recorded in {record.name}.")
    return 0
