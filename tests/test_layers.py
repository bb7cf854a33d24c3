"""Architecture as a test: who may import whom, what the pure rooms may not touch, and how large a file may grow."""

import ast
import importlib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FILES = sorted([*ROOT.glob("bot/**/*.py"), *ROOT.glob("workers/**/*.py")])
PURE = ("bot/flow/", "bot/engine.py", "bot/reading/", "bot/wording.py", "bot/prompts.py", "bot/twiml.py", "bot/turn.py",
        "bot/decide.py", "bot/hearing.py", "bot/work.py",
        "bot/record.py", "bot/consent.py", "bot/tasks.py", "bot/codes.py", "bot/proof/",
        "bot/booking.py", "bot/counts.py", "bot/figures.py", "bot/shift.py", "bot/tryout.py",
        *(f"bot/outreach/{name}.py" for name in ("sheet", "judge", "pacing", "plan", "opening", "csvout")))  # fmt: skip
IMPURE = {"flask", "redis", "rq", "twilio", "requests", "os", "time", "random", "secrets", "socket", "subprocess",
          "threading", "pathlib", "sqlite3", "urllib", "http", "waitress", "logging"}  # fmt: skip
FORBIDDEN = {
    "bot/web/": ("workers", "bot.console", "bot.sandbox", "bot.carrier"),
    "bot/console/": ("workers", "bot.web"),
    "workers/": ("bot.web", "bot.console"),
    "bot/": ("workers",),
    "bot/store/": ("bot.web", "bot.conversation", "bot.engine", "bot.sandbox"),
    "bot/reading/": ("bot.flow", "bot.engine", "bot.store", "bot.web"),
    "bot/flow/": ("bot.engine", "bot.store", "bot.web", "bot.reading"),
}
LINES, FUNCTION_LINES = 400, 40
DOORS_OF_PURE_ROOMS = {
    "bot/reading/__main__.py",
    "bot/proof/command.py",
    "bot/proof/compare.py",
}  # commands open files; their rooms do not


def imports(path: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            found |= {name.name for name in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module, *(f"{node.module}.{name.name}" for name in node.names)}
    return found


def relative(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


@pytest.mark.parametrize("path", FILES, ids=relative)
def test_a_module_imports_only_downward(path: Path) -> None:
    """Web, console and workers never import each other; bot never imports workers; pure rooms import no IO."""
    name, used = relative(path), imports(path)
    for room, banned in FORBIDDEN.items():
        if name.startswith(room):
            wrong = {one for one in used for ban in banned if one == ban or one.startswith(ban + ".")}
            assert not wrong, f"{name} imports {wrong}"
    if name.startswith(PURE) and name not in DOORS_OF_PURE_ROOMS:
        wrong = {one for one in used if one.split(".")[0] in IMPURE}
        assert not wrong, f"{name} is a pure room and imports {wrong}"


@pytest.mark.parametrize("path", FILES, ids=relative)
def test_files_and_functions_stay_small_and_say_what_they_are(path: Path) -> None:
    """A file under 400 lines that begins with its docstring; a function under 40 lines without its docstring."""
    text = path.read_text("utf-8")
    tree = ast.parse(text)
    assert text.count("\n") <= LINES, f"{relative(path)} has {text.count(chr(10))} lines"
    assert not text.strip() or ast.get_docstring(tree), f"{relative(path)} does not say what it is"
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            body = node.body[1:] if ast.get_docstring(node) else node.body
            size = (body[-1].end_lineno or 0) - body[0].lineno + 1 if body else 0
            assert size <= FUNCTION_LINES, f"{relative(path)}:{node.lineno} {node.name} has {size} lines"


def test_no_module_is_a_drawer() -> None:
    """Names that say nothing collect everything."""
    drawers = {"utils", "helpers", "common", "manager", "core", "misc"}
    assert not [relative(path) for path in FILES if drawers & set(relative(path).removesuffix(".py").split("/"))]


def test_the_job_that_the_relay_names_exists() -> None:
    """bot names a job by dotted string; a test, not an import, keeps it true."""
    from bot import relay

    module, _, name = relay.JOB.rpartition(".")
    assert callable(getattr(importlib.import_module(module), name))
