"""The flow language: every error at once, each with its place; the schema is the model's."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.catalog import load_flows, part_files
from bot.flow.guard import GuardError, parse_guard
from bot.flow.load import FlowError, load_flow
from bot.flow.positions import JsonError, _walk, parse
from bot.flow.schema import schema_text

FLOWS = Path(__file__).parents[1] / "flows"
TRIAGE = (FLOWS / "triage.json").read_text("utf-8")


def problems(text: str) -> list[str]:
    with pytest.raises(FlowError) as caught:
        load_flow(text, "flows/x.json")
    return [str(problem) for problem in caught.value.problems]


def changed(change: Any) -> str:
    """triage.json after *change* edited its parsed form, laid out one key a line."""
    document = json.loads(TRIAGE)
    change(document)
    return json.dumps(document, indent=1, ensure_ascii=False)


def test_the_published_schema_is_generated_from_the_model() -> None:
    """flows/schema.json is what ``python -m bot schema`` prints."""
    assert (FLOWS / "schema.json").read_text("utf-8") == schema_text()


@pytest.mark.parametrize("path", sorted(FLOWS.glob("*.json")), ids=lambda path: path.name)
def test_every_flow_of_this_checkout_loads(path: Path) -> None:
    """A flow that does not load cannot be served, so it cannot be committed."""
    if path.name != "schema.json":
        assert load_flow(path.read_text("utf-8"), path.name, part_files()).flow.id == path.stem


def test_every_error_of_a_file_is_reported_at_once_with_its_line_and_column() -> None:
    """Four unrelated slips in one file give four lines, in the order of the file."""

    def slips(document: Any) -> None:
        document["states"]["screen_a"]["transitions"][0]["target"] = "emergencia"
        document["states"]["route"]["rules"][0]["guard"] = {"gte": ["severety", 7]}
        document["states"]["goal"]["ask"] = "gaol"
        del document["texts"]["hello"]["es"]

    text = changed(slips)
    found = problems(text)
    assert len(found) == 4
    for line, words in zip(found, ("'emergencia'", "'severety'", "'gaol'", "'es'"), strict=True):
        place, message = line.split(" ", 1)
        file, row, column = place.split(":")
        assert file == "flows/x.json"
        assert words in message
        assert int(column) >= 1
        assert 1 <= int(row) <= text.count("\n") + 1


def test_the_place_of_an_error_is_the_place_in_the_text() -> None:
    """Line and column point at the first character of what is wrong."""
    text = TRIAGE.replace('"gte": ["severity", 7]', '"gtee": ["severity", 7]')
    line, column = (int(part) for part in problems(text)[0].split(" ")[0].split(":")[1:])
    assert text.splitlines()[line - 1][column - 1 :].startswith('"gtee"')


def test_unknown_keys_are_refused() -> None:
    """A slip in a key is an error, not a silent nothing."""

    def slip(document: Any) -> None:
        document["states"]["trend"]["no_macth"] = {}

    assert "'no_macth' is not known" in problems(changed(slip))[0]


def test_a_key_given_twice_is_refused() -> None:
    """JSON parsers keep the last one in silence; an author never meant that."""
    assert any("twice" in line for line in problems(TRIAGE.replace('"title":', '"title": "a",\n "title":', 1)))


def test_a_question_must_say_what_happens_when_it_is_not_understood_or_not_answered() -> None:
    """Without defaults, every waiting state is reported for both."""

    def bare(document: Any) -> None:
        document["defaults"] = {}

    found = problems(changed(bare))
    assert sum("no_match" in line for line in found) > 3
    assert sum("no_input" in line for line in found) > 10


def test_options_and_declared_values_must_be_the_same() -> None:
    """An option that no guard can name would be a hole in the proof."""

    def slip(document: Any) -> None:
        document["context"]["trend"]["values"].append("gone")

    assert any("'trend' differ" in line for line in problems(changed(slip)))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "missing"), ("{", "key"), ('{"a": 1,}', "key"), ("[1 2]", '","'), ('{"a": tru}', "cannot start"),
        ('{"a": 1} x', "more text"), ('{"a": "b\n"}', "closing quote"), ('{"a": "\\ud800"}', "escape"),
        ("[" * 1000, "deeper"), ("9" * 400, "longer"),
    ],
)  # fmt: skip
def test_text_that_is_no_json_is_refused_in_words(text: str, words: str) -> None:
    """One sentence with a place, never a traceback; nesting of a thousand is refused, not followed."""
    found = problems(text)
    assert len(found) == 1
    assert words in found[0]


def test_a_huge_document_is_refused_in_words() -> None:
    """Ten megabytes are no flow."""
    assert "characters" in problems(" " * 10_000_000)[0]


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-9, 9)
    | st.floats(allow_nan=False, allow_infinity=False, width=16)
    | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=12,
)


@settings(max_examples=150, deadline=None, derandomize=True, database=None)
@given(json_values)
def test_any_json_at_all_gives_problems_with_places(value: Any) -> None:
    """Whatever the document is, the answer is a list of sentences."""
    for line in problems(json.dumps(value)):
        assert line.startswith("flows/x.json:")


@settings(max_examples=50, deadline=None, derandomize=True, database=None)  # `make soak` goes on for minutes
@given(st.data())
def test_any_part_of_a_flow_replaced_by_any_json_never_gives_a_traceback(data: st.DataObject) -> None:
    """One spot of the real flow is overwritten: it loads, or it says what is wrong and where."""
    document = json.loads(TRIAGE)
    at = document
    for _ in range(data.draw(st.integers(1, 5))):
        if not isinstance(at, dict | list) or not at:
            break
        key = data.draw(st.sampled_from(sorted(at)) if isinstance(at, dict) else st.integers(0, len(at) - 1))
        parent, at = at, at[key]
    parent[key] = data.draw(json_values)
    try:
        load_flow(json.dumps(document), "flows/x.json")
    except FlowError as error:
        assert error.problems  # noqa: PT017  # loading may succeed too


@settings(max_examples=200, deadline=None, derandomize=True, database=None)
@given(json_values)
def test_our_parser_and_pythons_agree_on_every_document(value: Any) -> None:
    """Places are our own work, values must not be; the walk that finds places reads the same."""
    text = json.dumps(value, ensure_ascii=False)
    try:
        assert repr(parse(text).value) == repr(_walk(text).value) == repr(json.loads(text))
    except JsonError as error:
        assert "broken escape" in str(error)  # noqa: PT017  # parsing may succeed too


@settings(max_examples=300, deadline=None, derandomize=True, database=None)
@given(st.data())
def test_the_quick_way_takes_and_refuses_what_the_walk_does(data: st.DataObject) -> None:
    """Pieces of JSON in any order: what Python's parser lets pass and we do not is refused with its place all the same."""
    pieces = ["[", "]", "{", "}", ",", ":", '"a"', '"\\u0041"', '"\\ud800"', '"\ud800"', "NaN", "-Infinity", "1", "-0", "01",
              "1.5e3", "9" * 41, '{"a": 1, "a": 2}', "[" * 70, "]" * 70, " ", "\ufeff", "\x0b", '"\t"', "true"]  # fmt: skip
    text = "".join(data.draw(st.lists(st.sampled_from(pieces), max_size=8)))
    if data.draw(st.booleans()):
        text = "[" * 60 + "[1]" * data.draw(st.booleans()) + "]" * 60

    def told(read: Any) -> object:
        try:
            got = read(text)
        except JsonError as error:
            return str(error), error.offset
        return repr(got.value), got.repeated

    assert told(parse) == told(_walk)


def test_a_guard_over_what_was_not_asked_is_undecided_and_a_decided_one_stays() -> None:
    """Kleene logic: later answers never turn a yes or no around. That is what makes early exit sound."""
    guard = parse_guard(
        {"all": [{"eq": ["cause", "unknown"]}, {"any": [{"gte": ["severity", 1]}, {"eq": ["goal", "rehab"]}]}]}
    )
    assert guard.decide({}) is None
    assert guard.decide({"cause": "injury"}) is False
    assert guard.decide({"cause": "unknown", "severity": 0}) is None
    assert guard.decide({"cause": "unknown", "severity": 3}) is True
    assert guard.decide({"cause": "unknown", "severity": "unclear"}) is None
    assert guard.decide({"cause": "unknown", "severity": "unclear", "goal": "unclear"}) is False


@pytest.mark.parametrize(
    "raw",
    [
        {},
        [],
        1,
        {"eq": ["a"]},
        {"eq": ["a", 1.5]},
        {"in": ["a", []]},
        {"gte": ["a", "b"]},
        {"not": []},
        {"like": ["a", "b"]},
    ],
)
def test_what_is_no_guard_is_refused(raw: Any) -> None:
    """No code, no floats, no regular expressions."""
    with pytest.raises(GuardError):
        parse_guard(raw)


def test_every_problem_of_every_file_of_a_folder_is_reported_at_once(tmp_path: Path) -> None:
    """The server and ``make run`` load through this: a malformed flow is refused at start."""
    (tmp_path / "a.json").write_text("{", "utf-8")
    (tmp_path / "b.json").write_text(TRIAGE.replace('"pmr-flow/1"', '"pmr-flow/2"'), "utf-8")
    with pytest.raises(FlowError) as caught:
        load_flows(tmp_path)
    assert [problem.file for problem in caught.value.problems] == ["flows/a.json", "flows/b.json"]
