"""The flows of this checkout are proved safe, fast enough to prove them at every start, and cite every seed rule."""

from __future__ import annotations

import json

import pytest

from bot.catalog import FLOWS, load_flows
from bot.proof.check import Report, check, unhonoured
from bot.proof.command import run_check


@pytest.fixture(scope="module")
def reports() -> dict[str, Report]:
    """Every flow, checked once."""
    flows = load_flows()
    return {name: check(loaded, flows=flows) for name, loaded in flows.items()}


def test_every_flow_is_proved_safe(reports: dict[str, Report]) -> None:
    """No problem at all; the message of a failure is the shortest conversation that shows it."""
    assert {name: [f"{f.problem}\n" + "\n".join(f.talk) for f in one.problems] for name, one in reports.items()} == {
        name: [] for name in reports
    }


def test_triage_declares_every_invariant_that_a_flow_can_show(reports: dict[str, Report]) -> None:
    """SPEC section E, by id; each was seen to speak of something."""
    held = reports["triage"].held
    wanted = {*range(1, 22), 29, 30, 31, 32, 33}  # I23 is about reading (test_reading.py), I24 to I28 about sending
    assert wanted <= {int("".join(c for c in name[1:] if c.isdigit())) for name in held if name.startswith("I")}
    assert all(held.values())


def test_every_seed_rule_is_honoured_somewhere() -> None:
    """S1 to S39, cited by a rule, an arrow, a state, an event or an invariant."""
    assert unhonoured(load_flows().values()) == []


def test_the_exit_code_says_safe_broken_or_unreadable(tmp_path: pytest.TempPathFactory) -> None:
    """0, 1 and 2; one line for each problem with file:line:column, and the same as JSON."""
    from pathlib import Path

    folder = Path(str(tmp_path))
    said: list[str] = []
    assert run_check((str(FLOWS / "call.json"),), False, said.append) == 0
    body = json.loads((FLOWS / "call.json").read_text("utf-8"))
    body["states"]["good_time"]["transitions"] = [{"target": "nowhere"}]
    broken = folder / "call.json"
    broken.write_text(json.dumps(body, indent=1), "utf-8")
    assert run_check((str(broken),), False, said.append) in (1, 2)
    assert any("call.json:" in line and "nowhere" in line for line in said)
    broken.write_text("{", "utf-8")
    assert run_check((str(broken),), True, said.append) == 2
