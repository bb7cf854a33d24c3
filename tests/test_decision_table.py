"""All 2,400 rows of the clinical decision table, by driving the engine question by question."""

import csv
from pathlib import Path

import pytest

from bot import engine
from bot.flow import model
from bot.flow.load import Loaded, load_flow
from bot.reading.model import Reading

TABLE = Path(__file__).parents[2] / "shared" / "clinical" / "decision_table.csv"
FLOW = Path(__file__).parents[1] / "flows" / "triage.json"
SEVERITY = {"none": (0,), "mild_mod": (1, 6), "severe": (7, 10), "unclear": ("unclear",)}
COLUMN = {"trend": "worsening"}


def answer(loaded: Loaded, session: engine.Session, value: str | int) -> engine.Session:
    if value == "unclear":
        for _ in range(3):
            session = engine.advance(loaded, session, Reading("unclear")).session
        return session
    return engine.advance(loaded, session, Reading("answer", value)).session


def drive(loaded: Loaded, channel: str, row: dict[str, str], severity: str | int) -> tuple[engine.Session, int]:
    fresh = engine.Session("s", "triage", loaded.hash, "en", channel, answers={"language_choice": "en"})
    session = engine.begin(loaded, fresh, Reading("unclear")).session
    asked = 0
    while session.outcome is None:
        if session.state == "consent":
            session = answer(loaded, session, "yes")
        elif session.state.startswith("screen_"):
            session = answer(loaded, session, "no")
        else:
            asked += 1
            value = severity if session.state == "severity" else row[COLUMN.get(session.state, session.state)]
            session = answer(loaded, session, value)
    return session, asked


@pytest.mark.skipif(not TABLE.exists(), reason="shared/clinical/decision_table.csv is not beside this checkout")
@pytest.mark.parametrize("channel", ["sms", "voice"])
def test_every_row_of_the_decision_table_holds(channel: str) -> None:
    """Outcome, rule, reason, seed rules and the number of questions asked agree with the clinicians' table."""
    loaded = load_flow(FLOW.read_text(), "triage.json")
    table = loaded.states["route"]
    assert isinstance(table, model.Decision)
    sources: dict[tuple[str, str | None], set[str]] = {(rule.id, rule.reason): set() for rule in table.rules}
    for rule in table.rules:
        sources[rule.id, rule.reason].add(" ".join(rule.source))
    for row in csv.DictReader(TABLE.read_text().splitlines()):
        for severity in SEVERITY[row["severity"]]:
            session, asked = drive(loaded, channel, row, severity)
            assert (session.outcome, session.rule, session.reason, str(asked)) == (
                row["outcome"], row["rule"], f"reason_{row['reason']}", row["routing_questions_asked"],
            ), row  # fmt: skip
            assert row["seed_rules"] in sources.get((session.rule, session.reason), {"S34"})
