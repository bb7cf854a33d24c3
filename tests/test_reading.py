"""Reading: the measured gate over every labelled reply, and what no wording around an answer may do."""

from __future__ import annotations

import json
import random
import sys
from collections import Counter
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.catalog import load_words
from bot.reading.lines import read_line, read_lines
from bot.reading.model import Expects, Reading
from bot.reading.reader import read
from bot.reading.words import WordsError, parse_words
from tests.reading.report import judge, kind, replies

WORDS = load_words()
JUDGED = judge(replies())
SCREEN = Expects("yesno", "red_flag", topics=("chest_pain", "breathing", "fainting", "stroke_signs"))
SCALE = Expects("scale0_10")
TREND = Expects("choice", options=("worse", "same", "better"))


def heard(said: str, expects: Expects | None = None, channel: Any = "sms") -> Reading:
    return read(said, expects=expects, language="en", channel=channel, words=WORDS)


def test_no_labelled_reply_is_read_on_the_unsafe_side() -> None:
    """The gate: over 3,000 replies written by people who had not seen the words."""
    assert len(JUDGED) >= 1500
    assert not [reply["text"] for reply, value, _ in JUDGED if value in reply["unsafe"]]


def test_97_of_100_labelled_replies_are_accepted_and_95_in_every_cell() -> None:
    """Over all, and for each type, language and channel."""
    cells: dict[tuple[str, str, str], Counter[bool]] = {}
    for reply, value, _ in JUDGED:
        cell = cells.setdefault((kind(reply), reply["language"], reply["channel"]), Counter())
        cell[value in reply["accepted"]] += 1
    total = sum((cell for cell in cells.values()), Counter[bool]())
    assert total[True] / total.total() >= 0.97
    assert {name: cell for name, cell in cells.items() if cell[True] / cell.total() < 0.95} == {}


# -- what is put around an answer ------------------------------------------------------------------------------------

SCREENED = [reply for reply, value, _ in JUDGED if kind(reply) == "yesno/red_flag" and reply["channel"] != "dtmf"]
RATED = [reply for reply, _, _ in JUDGED if kind(reply) == "scale0_10" and reply["channel"] == "sms"]
SYMPTOMS = (
    "my chest hurts",
    "i fainted",
    "no puedo respirar",
    "tengo fiebre",
    "i cant pee",
    "se me durmieron las dos piernas",
)
DOUBTS = ("maybe", "not sure", "idk", "tal vez", "no estoy seguro", "kind of", "más o menos")
HARMLESS = ("{}!!", "{} 🙏", "  {}  ", "{} thanks", "{}...", "{} gracias", "{}\n\nSent from my iPhone", "{} lol")


@settings(max_examples=400, deadline=None, derandomize=True, database=None)
@given(st.sampled_from(SCREENED), st.sampled_from(SYMPTOMS), st.booleans())
def test_another_symptom_beside_an_answer_never_leaves_a_no(reply: dict[str, Any], symptom: str, first: bool) -> None:
    """Said before or after whatever was labelled: yes, unclear or an alarm."""
    said = f"{symptom}. {reply['text']}" if first else f"{reply['text']}. {symptom}"
    reading = heard(said, SCREEN)
    assert (reading.kind, reading.value) != ("answer", "no"), said


@settings(max_examples=400, deadline=None, derandomize=True, database=None)
@given(st.sampled_from(SCREENED), st.sampled_from(DOUBTS), st.booleans())
def test_a_doubt_beside_an_answer_never_makes_it_safer(reply: dict[str, Any], doubt: str, first: bool) -> None:
    """A hedge is never an answer to a red-flag question, and takes no alarm away."""
    said = f"{doubt}, {reply['text']}" if first else f"{reply['text']}, {doubt}"
    reading, alone = heard(said, SCREEN), heard(reply["text"], SCREEN)
    assert (reading.kind, reading.value) != ("answer", "no"), said
    if alone.kind == "emergency" and first:
        assert reading.kind in ("emergency", "opt_out"), said


@settings(max_examples=300, deadline=None, derandomize=True, database=None)
@given(st.sampled_from(SCREENED), st.sampled_from(HARMLESS))
def test_harmless_noise_around_an_answer_never_makes_it_safer(reply: dict[str, Any], noise: str) -> None:
    """What was no clear no stays so."""
    alone, noisy = heard(reply["text"], SCREEN), heard(noise.format(reply["text"]), SCREEN)
    if (alone.kind, alone.value) != ("answer", "no"):
        assert (noisy.kind, noisy.value) != ("answer", "no")


@pytest.mark.parametrize("negator", ["not", "no longer", "isn't", "never", "no es", "ya no es", "not even"])
@pytest.mark.parametrize("rating", [8, 9, 10])
def test_a_negated_rating_is_never_that_rating_or_less(negator: str, rating: int) -> None:
    """ "Not an 8" is unclear; it is neither 8 nor something milder."""
    assert heard(f"{negator} {rating}", SCALE).kind != "answer" or heard(f"{negator} {rating}", SCALE).value == rating


@settings(max_examples=300, deadline=None, derandomize=True, database=None)
@given(st.sampled_from(RATED), st.integers(0, 10))
def test_a_second_higher_number_never_lowers_a_rating(reply: dict[str, Any], other: int) -> None:
    """Of two ratings the higher counts, or it is asked again."""
    alone, both = heard(reply["text"], SCALE), heard(f"{reply['text']} or {other}", SCALE)
    if alone.kind == "answer" and both.kind == "answer" and reply["expected"] == alone.value:
        assert int(both.value or 0) >= min(int(alone.value or 0), other)


@pytest.mark.parametrize("noise", ["{}", "{}!!", "um {}", "{} 🙏", "  {}  ", "{} thanks", "well {}", "{}\n"])
@pytest.mark.parametrize(
    "said", ["i have chest pain", "chest pain", "kinda", "maybe", "not sure", "a little", "no idea"]
)
def test_noise_never_makes_a_doubt_or_a_symptom_a_no(said: str, noise: str) -> None:
    """On a screen, what is not a clear no stays so with anything harmless around it."""
    reading = heard(noise.format(said), SCREEN)
    assert (reading.kind, reading.value) != ("answer", "no")


@settings(max_examples=300, deadline=None, derandomize=True, database=None)
@given(st.text(max_size=200), st.sampled_from([None, SCREEN, SCALE, TREND]), st.sampled_from(["sms", "speech", "dtmf"]))
def test_any_text_at_all_gives_a_reading(said: str, expects: Expects | None, channel: str) -> None:
    """Total; an answer is always one that the question takes."""
    reading = heard(said, expects, channel)
    if reading.kind == "answer":
        assert expects is not None
        domain = {"yesno": ("yes", "no"), "scale0_10": tuple(range(11)), "choice": TREND.options}[expects.type]
        assert reading.value in domain


@settings(max_examples=200, deadline=None, derandomize=True, database=None)
@given(st.lists(st.sampled_from([reply["text"] for reply, _, _ in JUDGED]), min_size=2, max_size=3))
def test_an_emergency_stays_one_whatever_is_said_before_it(parts: list[str]) -> None:
    """ "... . I have chest pain and I can't breathe now": the last sentence is never lost."""
    assert heard(". ".join([*parts, "I have chest pain and I can't breathe now"]), SCREEN).kind in (
        "emergency",
        "opt_out",
    )


@pytest.mark.parametrize(
    "said",
    ["a" * 1600, "no " * 533, "stop the " * 180, "my my my my " * 130, "🦴" * 1600, "cant * " * 230, "1 2 3 4 " * 200,
     "i no my " * 200, "no i cant feel my legs and " * 60, "chest pain no i dont have my mom had " * 43, "no puedo y " * 145],
)  # fmt: skip
def test_sixteen_hundred_characters_cost_no_more_per_word_than_sixteen(said: str) -> None:
    """Linear: the automaton takes a bounded number of steps for each word. (The benchmark has the milliseconds.)"""
    net, steps = WORDS.matcher._net, 0
    plain = net.step

    def counted(state: Any, word: str) -> Any:
        nonlocal steps
        steps += 1
        return plain(state, word)

    net.step = counted  # type: ignore[method-assign]
    try:
        heard(said, SCREEN)
    finally:
        net.step = plain  # type: ignore[method-assign]
    assert steps <= 25 * 540


def mutate(said: str, other: str, luck: random.Random) -> str:
    """One small accident of typing, dictation or malice."""
    at, to = sorted((luck.randint(0, len(said)), luck.randint(0, len(said))))
    return luck.choice(
        (
            said[:at] + said[to:], said[:at] + other + said[at:], said[:to] + said[at:], said.upper(),
            said[:at] + luck.choice(ODD) + said[at:], f"{said} {other}", said.replace(" ", ""), said[::-1],
        )
    )[:2000]  # fmt: skip


ODD = [
    "",
    "\x00",
    "\u202e",
    "🤷🏽‍♀️",
    "½",
    "٣",
    "“",
    "/10",
    "no ",
    "?",
    "\n",
    "¿",
    "'",
    "ﬁ",
    "\ud800",
    "*" * 40,
    "~~",
    "1" * 50,
]


def test_input_grown_by_coverage_finds_no_exception_and_no_foreign_answer() -> None:
    """Every mutant that reaches a new line of the reading room becomes a parent. Seeded; 600 rounds."""
    luck, lines = random.Random(20261124), set[tuple[str, int]]()
    pool = [reply["text"] for reply, _, _ in JUDGED[::60]]

    def trace(frame: Any, event: str, _: Any) -> Any:
        if "/bot/reading/" not in frame.f_code.co_filename:
            return None
        lines.add((frame.f_code.co_filename, frame.f_lineno))
        return trace

    for _ in range(600):
        said, before = mutate(luck.choice(pool), luck.choice(pool), luck), len(lines)
        expects = luck.choice((SCREEN, SCALE, TREND, None))
        sys.settrace(trace)
        try:
            reading = heard(said, expects, luck.choice(("sms", "speech", "dtmf")))
        finally:
            sys.settrace(None)
        if len(lines) > before:
            pool.append(said)
        if reading.kind == "answer":
            assert expects is not None
            domain = {"yesno": ("yes", "no"), "scale0_10": tuple(range(11)), "choice": TREND.options}[expects.type]
            assert reading.value in domain


@pytest.mark.parametrize(
    ("said", "kind", "value"),
    [
        ("STOP", "opt_out", None), ("stop asking me stuff i cant breathe", "emergency", "emergency"),
        ("AYUDA no puedo respirar", "emergency", "emergency"), ("help i cant move my legs", "emergency", "emergency"),
        ("please stop texting me", "opt_out", None), ("ya no me manden mensajes", "opt_out", None),
        ("can you cancel my appointment", "command", "cancel_appt"), ("my 9 year old has knee pain", "minor", None),
        ("START", "opt_in", None), ("i dont want to live anymore", "emergency", "crisis"),
    ],
)  # fmt: skip
def test_the_order_of_readings_holds(said: str, kind: str, value: str | None) -> None:
    """Exact opt-out, then the scan, then free-form opt-out, then commands."""
    reading = heard(said, SCREEN)
    assert (reading.kind, reading.value) == (kind, value)


@pytest.mark.parametrize(
    ("said", "value"),
    [
        ("6 or 7", 7),
        ("was a 9 now 4", 4),
        ("usually 4 but 8 when I walk", 8),
        ("7/10", 7),
        ("8ish", 8),
        ("between 5 and 6", 6),
    ],
)
def test_the_traps_of_the_scale_are_read_as_a_nurse_would(said: str, value: int) -> None:
    """Ranges take the higher, now beats then."""
    assert heard(said, SCALE).value == value


@pytest.mark.parametrize("said", ["2 weeks", "L4", "my 2 knees", "11", "½", "²", "not really", "-1"])
def test_a_number_that_is_no_rating_is_asked_again(said: str) -> None:
    """Quantities, levels of the spine and powers are not pain."""
    assert heard(said, SCALE).kind == "unclear"


def test_the_keypad_has_its_own_few_rules() -> None:
    """0 is a person unless it is a rating, star repeats, pound alone is silence."""
    assert heard("0", SCREEN, "dtmf").value == "human"
    assert heard("0#", SCALE, "dtmf").value == 0
    assert heard("10", SCALE, "dtmf").value == 10
    assert heard("*", SCREEN, "dtmf").value == "repeat"
    assert heard("#", SCREEN, "dtmf").kind == "silence"
    assert heard("7", TREND, "dtmf").kind == "unclear"


def test_the_command_answers_every_line_with_one_line() -> None:
    """Broken lines get a sentence; five thousand lines take seconds."""
    out: list[str] = []
    lines = ["{", "[]", '{"text": 1}', '{"text": "x", "type": "mood"}', '{"text": "x", "state": "nowhere"}']
    read_lines(lines, out.append, explain=False, words=WORDS, questions={"screen_a": SCREEN})
    assert all("error" in json.loads(line) for line in out)
    assert len(out) == len(lines)
    good = read_line('{"text": "nope", "state": "screen_a"}', True, WORDS, {"screen_a": SCREEN})
    assert good["value"] == "no"
    assert good["words"] == ["nope"]
    assert good["layer"] == "exact"


@pytest.mark.parametrize(
    ("said", "layer"),
    [
        ("no", "exact"),
        ("NOPE!!", "normalised"),
        ("yes please señorita", "phrase"),
        ("not really", "none"),
        ("2#", "none"),
    ],
)
def test_explain_names_the_layer_that_decided(said: str, layer: str) -> None:
    """exact, normalised, phrase, number, structure, keys; none for what stays unclear."""
    line = json.dumps({"text": said, "state": "screen_a"})
    assert read_line(line, True, WORDS, {"screen_a": SCREEN})["layer"] == layer


@pytest.mark.parametrize(
    "text", ["{", '{"moods": []}', '{"yes": "si"}', '{"yes": ["(si"]}', '{"symptoms": {"fever": [1]}}']
)
def test_a_word_file_that_cannot_be_used_is_refused_in_words(text: str) -> None:
    """The file and the key are named."""
    with pytest.raises(WordsError, match="flows/words"):
        parse_words({"en": text})
