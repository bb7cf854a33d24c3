"""Small flows made by a seeded die, for comparing two ways to explore, and long ones for the cost. Not realistic."""

from __future__ import annotations

import json
import random
from typing import Any

from bot.flow.load import Loaded, load_flow


def loaded(body: dict[str, Any]) -> Loaded:
    """The flow that *body* is."""
    return load_flow(json.dumps(body), "made.json")


def frame(states: dict[str, Any], context: dict[str, Any], first: str, **more: Any) -> dict[str, Any]:
    """A flow around *states*: two languages, both channels, one text each for whatever is said."""
    body: dict[str, Any] = {
        "spec": "pmr-flow/1", "id": "made", "version": "1.0.0", "title": "Made", "languages": ["en"],
        "channels": ["sms", "voice"], "greeting": "hello", "initial": {"sms": first, "voice": first}, "context": context,
        "defaults": {
            "no_match": {"retries": 1, "say": ["retry"], "target": "unclear"},
            "no_input": {"sms": {"expire_after": "PT24H", "target": "gone"}, "voice": {"retries": 1, "target": "gone"}},
        },
        "on": {"emergency": [{"target": "emergency"}], "opt_out": [{"target": "gone"}]},
        "states": {
            **states,
            "emergency": {"type": "final", "say": ["danger"], "outcome": "emergency"},
            "unclear": {"type": "final", "say": ["doctor"], "outcome": "pmr"},
            "gone": {"type": "final", "say": ["bye"], "disposition": "expired"},
        },
    }  # fmt: skip
    body |= more
    keys = {"hello", "retry", "danger", "doctor", "bye"} | {key for key in _said(body) if key}
    body["texts"] = {key: {"en": {"text": f"This is {key}."}} for key in sorted(keys)} | body.get("texts", {})
    return body


def _said(value: Any) -> set[str]:
    found: set[str] = set()
    if isinstance(value, dict):
        for key, inner in value.items():
            found |= {inner} if key in ("ask", "nudge") else set(inner) if key == "say" else _said(inner)
    elif isinstance(value, list):
        for inner in value:
            found |= _said(inner)
    return found


def small(seed: int) -> dict[str, Any]:
    """Three yes/no questions with guards, events and invariants by chance; many are broken, and are meant to be."""
    luck = random.Random(seed)
    asked = ["q1", "q2", "q3"]
    names = [*asked, "told"]  # told by the host: no question asks for it
    context = {name: {"type": "enum", "values": ["yes", "no"]} for name in names}
    later = {"q1": ["q2", "m", "table"], "q2": ["q3", "m", "table"], "q3": ["table", "end", "m"]}
    states: dict[str, Any] = {
        "m": {"type": "message", "say": ["told"], "outcome": luck.choice(["pt", "both", "urgent"]),
              "transitions": [{"target": luck.choice(["end", "after", "q3"])}]},
        "table": {"type": "decision", "asks": luck.sample(asked, 2), "otherwise": {"id": "R9", "target": "end"},
                  "rules": [{"id": f"R{at}", "guard": _guard(luck, names), "target": luck.choice(["m", "unclear"])}
                            for at in (1, 2)]},
        "after": _question("q3", "q3", [{"target": "end"}]),
        "end": {"type": "final", "say": ["done"], "outcome": luck.choice(["pt", "pmr"]), "again": []},
    }  # fmt: skip
    for name in asked:
        states[name] = _question(
            name,
            name,
            [{"guard": _guard(luck, names), "target": luck.choice(later[name])}, {"target": luck.choice(later[name])}],
        )
        if luck.random() < 0.4:
            states[name]["takes"]["strictness"] = "red_flag"
    more: dict[str, Any] = {
        "invariants": [{"id": f"I{at}", "says": "by chance", "check": _check(luck, names)} for at in range(1, 13)]
    }
    if luck.random() < 0.5:
        more["resume"] = {"after": "PT30M", "target": luck.choice(asked)}
    body = frame(states, context, "q1", **more)
    body["on"]["human"] = [{"guard": _guard(luck, names), "target": luck.choice(["end", "m", "gone"])}]
    return body


def _question(name: str, store: str, arrows: list[Any]) -> dict[str, Any]:
    return {"type": "question", "ask": name, "store": store, "takes": {"type": "yesno"}, "transitions": arrows}


def _guard(luck: random.Random, names: list[str]) -> dict[str, Any]:
    one: dict[str, Any] = {"eq": [luck.choice(names), luck.choice(["yes", "no"])]}
    other: dict[str, Any] = {"eq": [luck.choice(names), luck.choice(["yes", "no", "unclear"])]}
    return luck.choice(
        [one, {"not": one}, {"all": [one, other]}, {"any": [one, {"not": other}]}, {"answered": luck.choice(names)}]
    )


def _part(luck: random.Random, names: list[str]) -> dict[str, Any]:
    outcome = {"guard": {"in": ["outcome", luck.sample(["none", "pt", "both", "pmr", "urgent", "emergency"], 2)]}}
    return luck.choice([
        outcome, {"guard": _guard(luck, names)}, {"was": _guard(luck, names)}, {"to": [luck.choice(["end", "m", "q2", "gone"])]},
        {"heard": [luck.choice(["answer", "unclear", "silence", "back", "human", "return", "switch"])]}, {"not": outcome},
        {"says": [luck.choice(["told", "done", "doctor"])]}, {"moves": False}, {"from": [luck.choice(["q1", "q3", "end"])]},
    ])  # fmt: skip


def _check(luck: random.Random, names: list[str]) -> dict[str, Any]:
    some = {"all": [_part(luck, names) for _ in range(luck.randint(1, 3))]}
    other = {"any": [_part(luck, names) for _ in range(luck.randint(1, 2))]}
    return luck.choice(
        [{"never": some}, {"when": some, "then": other}, {"after": some, "never": other}, {"always": {"not": some}}]
    )


def ladder(questions: int) -> dict[str, Any]:
    """A screening of so many yes/no questions: each yes ends it, each no goes on. Nothing is remembered."""
    names = [f"q{at}" for at in range(questions)]
    states: dict[str, Any] = {}
    for name, after in zip(names, [*names[1:], "end"], strict=True):
        states[name] = _question(name, name, [{"guard": {"eq": [name, "yes"]}, "target": "urgent"}, {"target": after}])
    states["urgent"] = {"type": "final", "say": ["today"], "outcome": "urgent"}
    states["end"] = {"type": "final", "say": ["done"], "outcome": "pmr"}
    return frame(states, {name: {"type": "enum", "values": ["yes", "no"]} for name in names}, "q0")


def hoard(questions: int) -> dict[str, Any]:
    """The same, but one table at the end reads every answer, so all of them are remembered: twice as much each time."""
    names = [f"q{at}" for at in range(questions)]
    states: dict[str, Any] = {}
    for name, after in zip(names, [*names[1:], "table"], strict=True):
        states[name] = _question(name, name, [{"target": after}])
    whole = {"all": [{"eq": [name, "yes"]} for name in names]}
    states["table"] = {
        "type": "decision",
        "rules": [{"id": "R1", "guard": whole, "target": "both"}],
        "otherwise": {"id": "R2", "target": "end"},
    }
    states["both"] = {"type": "final", "say": ["both"], "outcome": "both"}
    states["end"] = {"type": "final", "say": ["done"], "outcome": "pmr"}
    return frame(states, {name: {"type": "enum", "values": ["yes", "no"]} for name in names}, "q0")
