"""Any text at all is refused in sentences with a place, or is a flow; never a traceback."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bot.catalog import FLOWS
from bot.flow.load import FlowError, Loaded, Problem, load_flow
from bot.proof.check import check
from bot.proof.command import run_check
from tests.proof import made

KEYS = [
    "spec",
    "id",
    "states",
    "texts",
    "on",
    "context",
    "initial",
    "type",
    "guard",
    "target",
    "invariants",
    "check",
    "all",
]
LEAVES = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=6) | st.sampled_from(KEYS)
ANY = st.recursive(
    LEAVES, lambda part: st.lists(part, max_size=4) | st.dictionaries(st.sampled_from(KEYS) | st.text(max_size=4), part, max_size=5)
)  # fmt: skip
QUICK = settings(max_examples=120, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))


def read(text: str) -> Loaded | None:
    """The flow, or None when it was refused as it should be: each problem with its place and a sentence."""
    problems: list[Problem] = []
    loaded = None
    try:
        loaded = load_flow(text, "x.json")
    except FlowError as error:
        problems = error.problems
    assert (loaded is None) == bool(problems)
    for problem in problems:
        assert problem.line >= 1
        assert problem.column >= 1
        assert problem.message.endswith((".", "?")), problem.message
    return loaded


@QUICK
@given(ANY)
def test_any_json_is_refused_with_places(value: Any) -> None:
    """Whatever JSON can say."""
    assert read(json.dumps(value)) is None


@QUICK
@given(st.text(max_size=60) | st.binary(max_size=60).map(lambda raw: raw.decode("latin-1")))
def test_any_text_is_refused_with_places(text: str) -> None:
    """No JSON at all."""
    assert read(text) is None


@QUICK
@given(st.integers(0, 10**6), ANY)
def test_a_real_flow_with_anything_anywhere_is_refused_or_proved(seed: int, value: Any) -> None:
    """One value of call.json, or of a small flow that hands over and decides, replaced by anything."""
    luck = random.Random(seed)
    body = made.small(seed % 50) if seed % 2 else json.loads((FLOWS / "call.json").read_text("utf-8"))
    spoiled(body, luck, value)
    loaded = read(json.dumps(body))
    if loaded is not None:
        check(loaded, limit=1_500)


def spoiled(body: Any, luck: random.Random, value: Any) -> None:
    """Put *value*, or something else that stands in *body*, or nothing, in a place of *body* by chance."""
    places = list(_places(body))
    holder, key = luck.choice(places)
    what = luck.randrange(4)
    if what == 0:
        del holder[key]
    elif what == 1:
        other, there = luck.choice(places)
        holder[key] = json.loads(json.dumps(other[there]))
    elif what == 2 and isinstance(holder, dict):
        holder[luck.choice(KEYS)] = holder.pop(key)
    else:
        holder[key] = value


def _places(value: Any) -> Any:
    for key in list(value) if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ():
        yield value, key
        yield from _places(value[key])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[" * 1000 + "]" * 1000, "x.json:1:62 The document nests deeper than 60 levels."),
        ('{"a":' * 1000 + "1" + "}" * 1000, "nests deeper than 60 levels."),
        ('"' + "a" * 10_000_000 + '"', "x.json:1:1 The document has 10,000,002 characters; a flow may have 2,000,000."),
    ],
)
def test_a_flow_too_deep_or_too_long_is_refused_in_words(text: str, message: str) -> None:
    """Before anything is parsed that could exhaust the stack or the memory."""
    with pytest.raises(FlowError) as refused:
        load_flow(text, "x.json")
    assert message in str(refused.value)


def test_a_guard_of_guards_is_refused_in_words() -> None:
    """Deep inside a flow, as well."""
    body = made.ladder(2)
    guard: Any = {"eq": ["q0", "yes"]}
    for _ in range(1000):
        guard = {"not": guard}
    body["states"]["q0"]["transitions"][0]["guard"] = "here"
    text = json.dumps(body).replace('"here"', '{"not":' * 1000 + '{"eq":["q0","yes"]}' + "}" * 1000)
    with pytest.raises(FlowError, match="nests deeper than 60 levels"):
        load_flow(text, "x.json")


def test_the_command_refuses_what_is_no_text_and_no_file(tmp_path: Path) -> None:
    """2, and one line for each file, each with its place."""
    (tmp_path / "long.json").write_bytes(b" " * 10_000_000)
    (tmp_path / "bytes.json").write_bytes(b"\xff\xfe{")
    (tmp_path / "empty.json").write_bytes(b"")
    said: list[str] = []
    names = ["long.json", "bytes.json", "empty.json", "absent.json"]
    assert run_check([str(tmp_path / name) for name in names], False, said.append) == 2
    for name in names:
        assert any(f"{name}:1:1 " in line and line.endswith(".") for line in said), (name, said)
