"""The error table of reading over every labelled reply: by type, language and channel. ``make reading-report``."""

from __future__ import annotations

import json
import sys
from collections import Counter
from pathlib import Path
from typing import Any

from bot.catalog import load_flows, load_words
from bot.engine import expects
from bot.flow.model import Question
from bot.reading.lines import read_line

CORPUS = Path(__file__).parent / "corpus"


def replies() -> list[dict[str, Any]]:
    """Every labelled reply."""
    return [
        json.loads(line) for path in sorted(CORPUS.glob("*.jsonl")) for line in path.read_text("utf-8").splitlines()
    ]


def judge(found: list[dict[str, Any]]) -> list[tuple[dict[str, Any], Any, str]]:
    """(reply, value, why) of each."""
    words = load_words()
    states = load_flows()["triage"].states
    questions = {name: expects(state) for name, state in states.items() if isinstance(state, Question)}
    judged = []
    for reply in found:
        got = read_line(json.dumps(reply), False, words, questions)
        judged.append((reply, got.get("value", got.get("error")), got.get("why", "")))
    return judged


def kind(reply: dict[str, Any]) -> str:
    """The row of the table a reply belongs to."""
    state = str(reply.get("state", ""))
    if state.startswith("screen_"):
        return "yesno/red_flag"
    if state:
        return {"consent": "yesno/consent", "severity": "scale0_10"}.get(state, "choice")
    return reply["type"] + (f"/{reply['strictness']}" if "strictness" in reply else "")


def main() -> int:
    """Print the table; with -v every miss; 1 when anything is unsafe."""
    judged = judge(replies())
    cells: dict[tuple[str, str, str], Counter[str]] = {}
    unsafe = 0
    for reply, value, why in judged:
        cell = cells.setdefault((kind(reply), reply["language"], reply["channel"]), Counter())
        bad = value in reply["unsafe"]
        good = value in reply["accepted"]
        unsafe += bad
        cell["all"] += 1
        cell["accepted"] += good
        cell["unsafe"] += bad
        wanted = sys.argv[2] if len(sys.argv) > 2 else ""
        if "-v" in sys.argv and not good and wanted in kind(reply):
            mark = "UNSAFE" if bad else "miss"
            print(f"{mark:6} {kind(reply):16} {reply['text']!r} -> {value} ({why}); wanted {reply['expected']}")
    for (name, language, channel), cell in sorted(cells.items()):
        share = cell["accepted"] / cell["all"]
        print(f"{name:18} {language:5} {channel:6} {cell['all']:5} accepted {share:6.1%} unsafe {cell['unsafe']}")
    total = sum(cell["all"] for cell in cells.values())
    print(f"all {total}: accepted {sum(cell['accepted'] for cell in cells.values()) / total:.1%}, unsafe {unsafe}")
    return int(unsafe > 0)


if __name__ == "__main__":
    sys.exit(main())
