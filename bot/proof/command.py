"""``python -m bot check``: what can be said of a flow file today - its shape and that everything in it agrees.

Opens the files; the checks are pure and stand in their own modules. Exit codes: 0 no problem, 1 problems, 2 unreadable.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path

from bot.flow.load import FlowError, load_flow

FLOWS = Path(__file__).parents[2] / "flows"


def run_check(files: Sequence[str], machine: bool, out: Callable[[str], None]) -> int:
    """Check *files* (none: every flow of flows/). *machine*: one JSON object; else lines for a person."""
    paths = [Path(file) for file in files] or [
        path for path in sorted(FLOWS.glob("*.json")) if path.name != "schema.json"
    ]
    problems, status = [], 0
    for path in paths:
        name = f"flows/{path.name}" if path.parent == FLOWS else str(path)
        try:
            load_flow(path.read_text("utf-8"), name)
        except FlowError as error:
            problems += [str(problem) for problem in error.problems]
            status = max(status, 1)
        except (OSError, UnicodeDecodeError) as error:
            problems.append(f"{name}:1:1 This file cannot be read: {type(error).__name__}.")
            status = 2
    if machine:
        out(json.dumps({"files": [str(path) for path in paths], "problems": problems}))
    else:
        for problem in problems:
            out(problem)
        out(f"{len(paths)} flow(s), {len(problems)} problem(s).")
    return status
