"""A log line holds the fields of the allow-list and nothing else, whoever writes it."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from pathlib import Path

import pytest

from bot.logs import FIELDS, LONGEST_EVENT

ROOT = Path(__file__).parents[1]
LEVELS = {"debug", "info", "warning", "error", "critical", "exception"}
STRUCTURED = [path for path in ROOT.glob("[bw]o*/**/*.py") if "structlog.get_logger" in path.read_text("utf-8")]
PROGRAM = """
import logging, structlog
from bot.logs import set_up_logs
set_up_logs("INFO")
log = structlog.get_logger("worker")
log.info("effect", effect="e1", phone="+12125550188", said="my chest hurts")
log.info("effect", effect="e2", why="my chest hurts " * 20)
log.debug("quiet")
logging.getLogger("bot.web").info("refused %s: %s", "/sms", "signature: mismatch\\nforged line")
logging.getLogger("bot.web").error("x" * 9000)
try:
    raise ValueError("+12125550188 said my chest hurts")
except ValueError:
    logging.getLogger("bot.web").exception("failed")
    logging.getLogger("urllib3.pool").exception("GET %s", "https://api/Messages?To=+12125550188")
logging.getLogger("urllib3.pool").info("silent")
logging.getLogger("urllib3.pool").warning("to=+12125550188")
"""


@pytest.fixture(scope="module")
def lines() -> list[dict[str, str]]:
    """What a process printed that logs in every way there is."""
    ran = subprocess.run([sys.executable, "-c", PROGRAM], cwd=ROOT, capture_output=True, text=True, check=True)
    assert ran.stderr == ""
    return [json.loads(line) for line in ran.stdout.splitlines()]


def test_every_line_is_json_with_fields_of_the_allow_list_only(lines: list[dict[str, str]]) -> None:
    assert len(lines) == 7
    for line in lines:
        assert set(line) <= FIELDS
        assert {"event", "level", "timestamp"} <= set(line)
    assert not [line for line in lines if "5550188" in str(line) or "chest" in str(line)]


def test_what_is_allowed_is_there_and_what_is_long_is_dropped_or_cut(lines: list[dict[str, str]]) -> None:
    bare = [{name: value for name, value in line.items() if name != "timestamp"} for line in lines]
    assert bare[0] == {"event": "effect", "level": "info", "effect": "e1"}
    assert bare[1] == {"event": "effect", "level": "info", "effect": "e2"}
    assert bare[2] == {"event": "refused /sms: signature: mismatch\nforged line", "level": "info"}
    assert bare[3] == {"event": "x" * LONGEST_EVENT, "level": "error"}


def test_an_exception_is_its_name_and_a_library_is_its_place(lines: list[dict[str, str]]) -> None:
    assert (lines[4]["event"], lines[4]["error"]) == ("failed", "ValueError")
    assert (lines[5]["event"], lines[5]["error"]) == ("urllib3.pool at <string>:15", "ValueError")
    assert lines[6]["event"] == "urllib3.pool at <string>:17"


@pytest.mark.parametrize("path", STRUCTURED, ids=lambda path: path.name)
def test_no_line_of_the_program_names_a_field_that_would_be_dropped(path: Path) -> None:
    """Whoever writes it would think that it is logged."""
    for call in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(call, ast.Call) and isinstance(call.func, ast.Attribute) and call.func.attr in LEVELS:
            named = {str(one.arg) for one in call.keywords}
            assert named <= FIELDS, f"{path.name}:{call.lineno} logs {named - FIELDS}"


def test_the_program_logs_with_structure_somewhere() -> None:
    """Else the test above looks at nothing."""
    assert {"executor.py", "reconcile.py"} <= {path.name for path in STRUCTURED}
