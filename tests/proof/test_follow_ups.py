"""What the follow-ups promise about people who do not answer, and a few more rules: each is seen to catch the change that
would break it. All mechanical changes of every flow: mutants.py."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from bot.catalog import load_flows
from bot.flow import model
from bot.flow.inherit import no_input_of
from bot.flow.load import load_flow
from bot.proof.check import check, entries
from bot.proof.explore import Explorer, Move
from tests.proof.mutants import body_of

SCREENS = ("screen_a", "flags")

# (flow, where in its document, what is put there; None: it is taken away, rule that must catch it)
CASES: list[tuple[str, str, Any, str]] = [
    *(("outreach", f"states.{name}.no_input.sms.do", [{"task": "person"}], "O4") for name in SCREENS),
    *(("outreach", f"states.{name}.no_input.sms", {"expire_after": "P7D", "target": "lapsed"}, "O4") for name in SCREENS),
    *(("outreach", f"states.{name}.no_input.voice.target", "goodbye", "O4") for name in SCREENS),
    ("outreach", "states.declined.do", None, "O5"),
    ("outreach", "states.agree_injury.takes.strictness", None, "O9"),
    ("outreach", "states.begin.transitions", [{"target": "agree"}], "O8"),
    ("appointment", "states.visit.no_input.sms.do", [{"record": "confirmed"}], "A2"),
    ("appointment", "states.visit.no_input.sms", {"expire_after": "P2D", "target": "lapsed"}, "A2"),
    ("appointment", "states.no_reply_call.do", None, "A2"),
    ("appointment", "states.visit.no_input.voice.target", "goodbye", "A2"),
    ("appointment", "states.not_clear.do", None, "A2"),
    ("appointment", "states.visit.no_match.target", "kept", "A2"),
    ("appointment", "states.change.do", [{"record": "confirmed"}], "A2"),
    ("appointment", "states.cant_come.transitions", [{"target": "not_clear"}], "A5"),
    ("peg", "states.peg_p.transitions.0.guard", {"gte": ["peg_p", 6]}, "P1"),
    ("peg", "states.incomplete.do", None, "P4"),
    ("peg", "states.complete.do", None, "I36b"),
    ("post_visit", "states.to_screens.do", [{"task": "worse"}], "I25"),
]  # fmt: skip


@pytest.mark.parametrize(("flow", "where", "put", "rule"), CASES, ids=lambda one: str(one)[:40])
def test_a_change_that_leaves_somebody_without_a_person_is_caught_by_its_rule(
    flow: str, where: str, put: Any, rule: str
) -> None:
    body = json.loads(body_of(flow))
    *path, last = [int(step) if step.isdecimal() else step for step in where.split(".")]
    inside = body
    for step in path:
        inside = inside[step]
    if put is None:
        del inside[last]
    else:
        inside[last] = put
    # Of the rules only this one: the document is small to prove, and no other one answers for it.
    body["invariants"] = [one for one in body["invariants"] if one["id"] == rule]
    broken = load_flow(json.dumps(body), f"flows/{flow}.json")
    found = check(broken, flows={**load_flows(), flow: broken})
    assert any(re.match(rf"{rule}\b", one.problem.message) for one in found.problems), found.problems


@pytest.mark.parametrize("name", [name for name, one in sorted(load_flows().items()) if "sms" in one.flow.channels])
def test_every_question_that_waits_by_text_waits_with_a_timer(name: str) -> None:
    """After every turn there is: a command, an info word, a ZIP code or a change of language too. Without one, whoever then
    says no more would never be asked again, and nobody would know."""
    loaded, bare, seen = load_flows()[name], set[str](), 0

    def visit(move: Move) -> None:
        nonlocal seen
        session = move.step.session
        state = loaded.states.get(session.state)
        if session.channel == "sms" and isinstance(state, model.Question) and not session.ended:
            seen += 1
            if no_input_of(loaded, state, "sms") and not any(one.kind == "silence" for one in move.step.effects):
                bare.add(f"{move.heard.name} at {move.before.state} -> {session.state}")

    Explorer(loaded, visit=visit, entries=entries(loaded, load_flows())).run()
    assert seen > 5
    assert not bare
