"""The interface in two languages: every sentence that is said has its Spanish, with the same places to fill."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from bot.catalog import load_flows
from bot.codes import CODES, NO_CODE, OTHER
from bot.consent import MATTER_CLOSED
from bot.console.languages import FOLDER, catalogue
from bot.flow import model
from bot.outreach.campaigns import BECOMES
from bot.outreach.judge import SAYS
from bot.outreach.roster import RANK
from bot.plan import FACTS
from bot.proof import graph, picture, words_of_guard
from bot.record import GONE
from bot.reports import NOBODY
from bot.takeover import NOT_YOURS, STOPPED, WROTE_SINCE
from bot.tasks import TASKS

ROOM = Path(__file__).parents[1] / "bot"
IN_TEMPLATE = re.compile(r"""\bt\(\s*(?:"((?:[^"\\]|\\.)*)"|'((?:[^'\\]|\\.)*)')""")
# What other rooms tell staff: a call of one of these, with a sentence at this place.
SAID_BY = {"say": 0, "sentence": 0, "PersonError": 0, "Done": 1, "told": 0, "tell": 0}
PLACE = re.compile(r"\{\w*\}")


def of_templates() -> Iterator[tuple[str, str]]:
    for path in sorted((ROOM / "console" / "templates").glob("*.html")):
        for found in IN_TEMPLATE.finditer(path.read_text("utf-8")):
            yield path.name, found.group(1) or found.group(2)


def of_code() -> Iterator[tuple[str, str]]:
    for path in [
        *sorted((ROOM / "console").glob("*.py")),
        *sorted((ROOM / "outreach").glob("*.py")),
        ROOM / "takeover.py",
        ROOM / "doctor.py",
        ROOM / "alerts.py",
        *(ROOM / "proof" / f"{name}.py" for name in ("graph", "picture", "words_of_guard")),
    ]:
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if not isinstance(node, ast.Call):
                continue
            name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            place = SAID_BY.get(name, 99)
            if len(node.args) > place and isinstance(node.args[place], ast.Constant) and node.args[place].value:
                yield path.name, node.args[place].value


def of_reasons() -> Iterator[tuple[str, str]]:
    """Why something was not sent: what a verdict says, what a rule returns, and what is noted."""
    for path in sorted([*ROOM.glob("*.py"), *(ROOM / "outreach").glob("*.py")]):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            found: list[ast.expr] = []
            if isinstance(node, ast.Call):
                name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
                found = node.args[1:2] if name == "Verdict" else []
                found += [one.value for one in node.keywords if one.arg == "why" and name in ("note", "Sending")]
            elif isinstance(node, ast.FunctionDef) and node.name in ("_never", "_not_now"):
                found = [one.value for one in ast.walk(node) if isinstance(one, ast.Return) and one.value]
            for one in found:
                parts = [one.body, one.orelse] if isinstance(one, ast.IfExp) else [one]
                yield from ((path.name, part.value) for part in parts if isinstance(part, ast.Constant) and part.value)


RESULTS = (
    "row",
    "patient",
    "result",
    "detail",
    "reason",
    "refused",
    "not entered",
    "will be called",
    "will be texted",
    *RANK,
)


def of_flows() -> Iterator[tuple[str, str]]:
    """What staff read of the flows themselves: titles, states, answers and what they can be, what counts in every state."""
    for name, loaded in load_flows().items():
        flow = loaded.flow
        yield name, flow.title
        yield from ((name, one.title) for one in flow.follow_ups.values())
        yield from ((name, one.says) for one in flow.invariants)
        yield from ((name, one) for one in flow.sources.values())
        names = [*flow.states, *flow.context, *flow.on]
        for state in flow.states.values():
            if isinstance(state, model.Question):
                names += [str(option.value) for option in state.takes.options]
            names += [value for key in ("disposition", "outcome") if (value := getattr(state, key, None))]
        for answer in flow.context.values():
            names += [str(value) for value in getattr(answer, "values", ())]
        yield from ((name, words_of_guard.NAMES.get(one, one.replace("_", " "))) for one in names)


def of_readings() -> Iterator[tuple[str, str]]:
    """Commands that a reply was read as, and kinds and titles of what is planned (bot/plan.py, bot/turn.py)."""
    commands = json.loads((ROOM.parent / "flows" / "words" / "en.json").read_text("utf-8"))["commands"]
    kinds = (
        "silence",
        "text",
        "call",
        "follow up",
        "late",
        "outreach",
        "crisis",
        "emergency",
        "urgent",
        "wrong number",
        "zip",
        "none",
        "other",
    )
    titles = ("The open question is asked about once more, or closed", "Begun by staff")
    assert all(title in (ROOM / "plan.py").read_text("utf-8") for title in titles)
    yield from (("words", name.replace("_", " ")) for name in (*commands, *kinds, *titles))


def of_pictures() -> Iterator[tuple[str, str]]:
    """Words of a flow's picture and of its rules that stand in tables."""
    for words in (
        graph.KINDS,
        graph.STARTS,
        graph.ANYWHERE,
        words_of_guard.SAYS,
        words_of_guard.JOINS,
        words_of_guard.NAMES,
    ):
        yield from (("graph.py", one) for one in words.values())
    constants = (graph.UNCLEAR, graph.SILENT, picture.EVERYWHERE, picture.COLOURS_SAY, picture.NET_SAYS)
    yield from (("picture.py", one) for one in constants)


def said() -> dict[str, str]:
    """Sentence -> where it is said."""
    reasons = {*BECOMES.values(), *FACTS.values(), *RESULTS, NOBODY, GONE, MATTER_CLOSED}
    return _said() | dict.fromkeys(reasons, "reasons") | {text: where for where, text in of_reasons()}


def _said() -> dict[str, str]:
    found = {kind.says: "tasks.py" for kind in TASKS.values()}
    found |= {text: "codes.py" for one in (*CODES.values(), NO_CODE, OTHER) for text in (one.says, one.do)}
    found |= dict.fromkeys(SAYS.values(), "judge.py")
    found |= dict.fromkeys((NOT_YOURS, STOPPED, WROTE_SINCE), "takeover.py")
    found.update(
        {text: where for where, text in (*of_templates(), *of_code(), *of_flows(), *of_readings(), *of_pictures())}
    )
    return found


def test_every_sentence_has_its_spanish() -> None:
    """English in the middle of a Spanish page would be the first thing a nurse sees."""
    known = catalogue("es")
    missing = {text: where for text, where in said().items() if text not in known}
    assert not missing, json.dumps(missing, indent=1)


def test_no_spanish_is_left_over() -> None:
    """A sentence that nobody says any more goes."""
    for name in ("console", "names", "numbers", "rules", "seeds", "why"):
        own = json.loads((FOLDER / "es" / f"{name}.json").read_text("utf-8"))
        assert not sorted(set(own) - set(said())), name


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*/*.json")), ids=lambda path: f"{path.parent.name}-{path.name}")
def test_the_places_to_fill_are_the_same(path: Path) -> None:
    """{name} in one and {nombre} in the other would be a fault on the page."""
    for english, other in json.loads(path.read_text("utf-8")).items():
        assert sorted(PLACE.findall(english)) == sorted(PLACE.findall(other)), english
        assert other.strip(), english
