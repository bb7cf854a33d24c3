"""What a patient reads and hears: folding, segments, placeholders, spoken numbers, safe characters."""

from __future__ import annotations

import json
import time
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.wording import MissingPlaceholderError, Segments, fill, fold, placeholders, safe_text, segments, spoken

TWILIO = Path(__file__).resolve().parents[2] / "shared" / "twilio"
ANY_TEXT = st.text(st.characters(codec=None), max_size=200)


def golden(name: str) -> dict[str, Any]:
    path = TWILIO / name
    if not path.exists():
        pytest.skip(f"{path} is absent: Twilio's golden numbers are only checked beside the shared folder")
    return dict(json.loads(path.read_text()))


def test_segments_equal_twilios_own_calculator() -> None:
    for name, case in golden("segments_golden.json").items():
        ours, theirs = segments(case["text"]), case["auto"]
        bits = 7 if ours.encoding == "GSM-7" else 16
        seen = (ours.encoding, ours.count, ours.units * bits)
        assert seen == (theirs["encoding"], theirs["segments"] or 1, theirs["messageSize"]), name
        if "zwj" not in name:
            assert list(ours.guilty) == theirs["nonGsm"], name


def test_folding_never_costs_more_than_twilios_smart_encoding() -> None:
    for name, case in golden("segments_golden.json").items():
        ours, theirs = segments(fold(case["text"])), case["smart"]
        assert ours.count <= max(1, theirs["segments"]), name
        assert theirs["encoding"] == "UCS-2" or ours.encoding == "GSM-7", name


def test_every_character_smart_encoding_knows_folds_to_gsm7() -> None:
    smart = golden("gsm7_and_smart_encoding.json")["smart"]
    left = {character for character in smart if segments(fold(character)).encoding != "GSM-7"}
    small_capitals = {character for character in left if smart[character].isalpha()}
    assert left == small_capitals, "only the phonetic small capitals, which no prompt uses, stay"


def test_the_gsm7_alphabet_is_twilios() -> None:
    gsm = golden("gsm7_and_smart_encoding.json")["gsm"]
    for code in range(0x3000):
        mine = segments(chr(code))
        assert (mine.encoding == "GSM-7") == (str(code) in gsm), hex(code)
        if mine.encoding == "GSM-7":
            assert mine.units == len(gsm[str(code)]), hex(code)


@pytest.mark.parametrize(
    ("written", "sent"),
    [
        ("¿Cómo está? Sí, mañana. ÁÍÓÚ áéíóú ñ ü ¡", "¿Como esta? Si, mañana. AIOU aéiou ñ ü ¡"),
        ("Don’t wait – call “now”…", 'Don\'t wait - call "now"...'),
        ("a\u00a0b\tc", "a b c"),
        ("\u200bzero\ufeff width\u2060", "zero width"),
        ("cafe\u0301 man\u0303ana", "café mañana"),
        ("façade ŷ Ｆｕｌｌ", "facade y Full"),
        ("7½", "7 1/2"),
        ("👍 ok", "👍 ok"),
        ("", ""),
    ],
)
def test_a_text_is_folded_to_what_sms_carries(written: str, sent: str) -> None:
    assert fold(written) == sent


@given(ANY_TEXT)
@settings(max_examples=300, deadline=None)
def test_folding_twice_changes_nothing_more(text: str) -> None:
    assert fold(fold(text)) == fold(text)


@given(st.text(alphabet="aé€ 👍я\n^", max_size=400))
@settings(max_examples=200, deadline=None)
def test_segment_counts_stay_between_the_two_simple_bounds(text: str) -> None:
    cost = segments(text)
    alone, joined = (160, 153) if cost.encoding == "GSM-7" else (70, 67)
    assert cost.count == 1 if cost.units <= alone else cost.count >= -(-cost.units // joined)
    assert cost.count <= -(-cost.units // (joined - 1)) or cost.count == 1


def test_the_characters_to_blame_for_a_long_text_are_named_once_in_order() -> None:
    assert segments("sí, só sí") == Segments("UCS-2", 9, 1, ("í", "ó"))


@given(ANY_TEXT)
@settings(max_examples=500, deadline=None)
def test_safe_text_always_survives_an_xml_parser(text: str) -> None:
    safe = safe_text(text)
    escaped = safe.replace("&", "&amp;").replace("<", "&lt;")
    root = ET.fromstring(f"<t>{escaped}</t>".encode())
    assert (root.text or "") == safe.replace("\r\n", "\n").replace("\r", "\n")


@pytest.mark.parametrize(
    "character",
    [
        "\x00",
        "\x08",
        "\x0b",
        "\x1b",
        "\x7f",
        "\x85",
        "\ud800",
        "\ufffe",
        "\uffff",
        "\u202e",
        "\u2066",
        "\u200f",
    ],
)
def test_controls_surrogates_and_direction_marks_are_removed(character: str) -> None:
    assert safe_text(f"a{character}b") == "ab"


@pytest.mark.parametrize("kept", ["tab\tlf\ncr\r", "ñ ü ¿¡", "👩\u200d⚕️", "𝒳"])
def test_what_people_write_on_purpose_is_kept(kept: str) -> None:
    assert safe_text(kept) == kept


def test_placeholders_are_filled_once() -> None:
    assert fill("{clinic}: call {phone}", {"clinic": "{phone}", "phone": "555"}) == "{phone}: call 555"
    assert placeholders("{clinic} and {link}, {clinic}") == {"clinic", "link"}


def test_a_missing_placeholder_is_named() -> None:
    with pytest.raises(MissingPlaceholderError, match=r"\{lnik\}, \{Phone\}.*phone"):
        fill("{lnik} {Phone} {phone}", {"phone": "555"})


@pytest.mark.parametrize(
    ("written", "heard"),
    [
        ("Call 911 now.", "Call 9 1 1 now."),
        ("Marque 988, y oprima 2.", "Marque 9 8 8, y oprima 2."),
        ("Call +17135550123.", "Call 7 1 3, 5 5 5, 0 1 2 3."),
        ("(713) 555-0123 or 713-555-0123", "7 1 3, 5 5 5, 0 1 2 3 or 7 1 3, 5 5 5, 0 1 2 3"),
        ("+1 713 555 0123", "7 1 3, 5 5 5, 0 1 2 3"),
        ("within 24 hours, in 2026, 0 to 10", "within 24 hours, in 2026, 0 to 10"),
        ("dial 9 1 1", "dial 9 1 1"),
        ("room 1911, $9.11, 9:11", "room 1911, $9.11, 9:11"),
    ],
)
def test_phone_and_emergency_numbers_are_spoken_digit_by_digit(written: str, heard: str) -> None:
    assert spoken(written) == heard
    assert spoken(heard) == heard


def test_hostile_text_does_not_slow_any_of_them_down() -> None:
    started = time.process_time()
    for hostile in ("{" * 20_000, "1-" * 20_000, "+" + "9" * 20_000, "(555) " * 5_000, "\u0301" * 20_000):
        fold(hostile), segments(hostile), safe_text(hostile), spoken(hostile), placeholders(hostile)
    assert time.process_time() - started < 3
