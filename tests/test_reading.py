"""Reading: the measured gate over every labelled reply, and what no wording around an answer may do."""

from __future__ import annotations

import json
import time
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


def test_nineteen_of_twenty_labelled_replies_are_accepted_and_no_large_cell_is_far_below() -> None:
    """Accepted share over all, and per type and language where there are at least forty replies."""
    cells: dict[tuple[str, str], Counter[bool]] = {}
    for reply, value, _ in JUDGED:
        cells.setdefault((kind(reply), reply["language"]), Counter())[value in reply["accepted"]] += 1
    total = sum((cell for cell in cells.values()), Counter[bool]())
    assert total[True] / total.total() >= 0.96
    low = {name: cell for name, cell in cells.items() if cell.total() >= 40 and cell[True] / cell.total() < 0.85}
    assert not low


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
    ["a" * 1600, "no " * 533, "stop the " * 180, "my my my my " * 130, "🦴" * 1600, "cant * " * 230, "1 2 3 4 " * 200],
)
def test_sixteen_hundred_characters_take_milliseconds(said: str) -> None:
    """No phrase can make the matcher backtrack. Generous here (a shared machine); the benchmark has the figure."""
    started = time.perf_counter()
    heard(said, SCREEN)
    assert time.perf_counter() - started < 0.25


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


@pytest.mark.parametrize(
    "text", ["{", '{"moods": []}', '{"yes": "si"}', '{"yes": ["(si"]}', '{"symptoms": {"fever": [1]}}']
)
def test_a_word_file_that_cannot_be_used_is_refused_in_words(text: str) -> None:
    """The file and the key are named."""
    with pytest.raises(WordsError, match="flows/words"):
        parse_words({"en": text})
