"""The flows of this checkout are proved safe, fast enough to prove them at every start, and cite every seed rule."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import pytest

from bot.catalog import FLOWS, load_flows
from bot.flow.load import FlowError, Loaded, load_flow
from bot.proof.check import Report, check
from bot.proof.command import run_check
from bot.proof.evidence import unhonoured
from bot.proved import FILE, require_proof


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
    latched = {one.id for one in load_flows()["triage"].flow.invariants if one.check.after}
    assert all(seen for name, seen in held.items() if name not in latched)


def test_every_seed_rule_is_honoured_somewhere() -> None:
    """S1 to S39, cited by a rule, an arrow, a state, an event or an invariant."""
    assert unhonoured(load_flows().values()) == []


def test_a_flow_that_breaks_an_invariant_cannot_be_served(tmp_path: Path) -> None:
    """P9: refused with the conversation that shows it; a proof is kept by version, and no forged note stands in for it."""
    text = (FLOWS / "call.json").read_text("utf-8")
    invariant = {"id": "I90", "says": "Nobody is asked.", "check": {"never": {"to": ["good_time"]}}}
    broken = json.dumps(json.loads(text) | {"invariants": [invariant]}, indent=1)
    flows = {**load_flows(), "call": load_flow(broken, "flows/call.json")}
    (tmp_path / FILE).write_text(json.dumps({"proved": "0" * 64}))
    with pytest.raises(FlowError, match="I90 is broken") as refused:
        require_proof({"call": flows["call"], "triage": tiny(flows)}, tmp_path, b"k")
    assert "Bot: " in str(refused.value)
    good = {"call": load_flows()["call"], "triage": tiny(flows)}
    assert require_proof(good, tmp_path, b"k")
    assert not require_proof(good, tmp_path, b"k")
    assert require_proof(good, tmp_path, b"another key")


def tiny(flows: Mapping[str, Loaded]) -> Loaded:
    """A triage with the states that call.json hands over to, and nothing else to explore."""
    body = json.loads((FLOWS / "triage.json").read_text("utf-8"))
    final = {"type": "final", "say": ["after"]}
    names = ("consent", "emergency", "crisis", "urgent", "minor", "staff")
    body |= {
        "invariants": [],
        "on": {},
        "follow_ups": {},
        "context": {},
        "initial": {"sms": "consent", "voice": "consent"},
    }
    body["states"] = dict.fromkeys(names, final)
    body["texts"] = {
        name: body["texts"][name] for name in ("after", "hello", "keys", "retry_choice", "nudge_mid", "no_sound")
    }
    body["defaults"], body["resume"], body["greeting"] = {}, None, None
    for name in ("hello", "keys", "retry_choice", "nudge_mid", "no_sound"):
        body["texts"].pop(name)
    return load_flow(json.dumps(body), "flows/triage.json")


def test_the_exit_code_says_safe_broken_or_unreadable(tmp_path: Path) -> None:
    """0, 1 and 2; one line for each problem with file:line:column, and the same as JSON."""
    folder, said = tmp_path, list[str]()
    assert run_check((str(FLOWS / "call.json"),), False, said.append) == 0
    body = json.loads((FLOWS / "call.json").read_text("utf-8"))
    body["states"]["good_time"]["transitions"] = [{"target": "nowhere"}]
    broken = folder / "call.json"
    broken.write_text(json.dumps(body, indent=1), "utf-8")
    assert run_check((str(broken),), False, said.append) in (1, 2)
    assert any("call.json:" in line and "nowhere" in line for line in said)
    broken.write_text("{", "utf-8")
    assert run_check((str(broken),), True, said.append) == 2
