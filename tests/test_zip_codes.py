"""A ZIP code that a patient states tells where they are; no other number of five digits does, and it is never an answer."""

from __future__ import annotations

import time

import pytest

from bot.reading.zip_code import stated
from tests.test_plan import Weeks


@pytest.mark.parametrize(
    ("said", "zip_code", "rest"),
    [
        ("ZIP 77030", "77030", ""),
        ("zip77030", "77030", ""),
        ("My zip code is 33101-1234.", "33101", ""),
        ("mi código postal es 00901", "00901", ""),
        ("MI CODIGO POSTAL ES 00901", "00901", ""),
        ("no, my zip is 77030", "77030", "no,"),
        ("8, zip: 90210", "90210", "8,"),
        ("i live in 96813 now", "96813", "now"),
        ("me mudé a 79901", "79901", ""),
        ("pain 10000", "", None),
        ("10000/10", "", None),
        ("zip 770301", "", None),
        ("my code is 77030", "", None),
        ("el código 77030", "", None),
        ("call me at 713 555 01420", "", None),
        ("my case number 77030", "", None),
        ("77030", "", None),
    ],
)
def test_only_a_number_that_is_said_to_be_one_is_a_zip_code(said: str, zip_code: str, rest: str | None) -> None:
    assert stated(said, asked=True) == (zip_code, said if rest is None else rest)


def test_alone_it_counts_when_nothing_was_asked() -> None:
    assert [stated(said, asked=False)[0] for said in ("77030", "77030-1234", "7703", "pain 10000")] == [
        "77030", "77030", "", "",
    ]  # fmt: skip


def test_no_text_takes_long() -> None:
    long = ("zip " * 400, "my the " * 230, "i live in " * 160, "zip code is now is now " * 70, " " * 1595)
    began = time.process_time()
    for said in long:
        stated(said[:1590] + " 77030", asked=True)
    assert time.process_time() - began < 0.5


def test_a_stated_zip_code_is_kept_thanked_for_and_asks_the_open_question_again() -> None:
    weeks = Weeks()
    assert "not a doctor" in weeks.say("hi, my zip is 96813")
    assert weeks.record.zip_code == "96813"
    weeks.say("yes", "no", "no")
    answer = weeks.say("ZIP 77030")
    assert "by the time there" in answer
    assert "Hot red joint" in answer
    assert weeks.record.session is not None
    assert weeks.record.session.misses == 0
    assert "How bad is your pain" in weeks.say("no, I live in 79901")
    assert (weeks.record.zip_code, weeks.record.whereabouts) == ("79901", "79901")


@pytest.mark.parametrize(("said", "state"), [("77030", "severity"), ("zip", "severity"), ("my pain is 10000", None)])
def test_at_a_question_for_a_number_five_digits_are_neither_a_rating_nor_a_place(said: str, state: str | None) -> None:
    """10000 on a scale to ten is read as the worst pain, which is the safe side."""
    weeks = Weeks()
    weeks.say("hi", "yes", "no", "no", "no", said)
    assert weeks.record.zip_code == ""
    assert weeks.record.session is not None
    assert weeks.record.session.state == (state or "follow_up_consent")


def test_a_zip_code_that_nobody_has_is_not_kept() -> None:
    weeks = Weeks()
    weeks.say("hi", "yes")
    weeks.say("zip 00000")
    assert weeks.record.zip_code == ""


def test_an_alarm_beside_a_zip_code_is_an_alarm() -> None:
    weeks = Weeks()
    weeks.say("hi", "yes")
    assert "may be an EMERGENCY" in weeks.say("zip 77030 i cant breathe")
    assert weeks.record.zip_code == "77030"


def test_it_is_kept_in_spanish_too() -> None:
    weeks = Weeks(language="es")
    weeks.say("hola", "si")
    assert "Le escribiremos a la hora de alli" in weeks.say("mi codigo postal es 79901")


def test_alone_it_counts_at_a_question_for_yes_or_no_which_is_put_again() -> None:
    """The text that invites a ZIP code ends with such a question."""
    weeks = Weeks()
    assert "Text ZIP" in weeks.say("hi", "yes", "no", "no", "no", "9", "yes")
    answer = weeks.say("79901")
    assert "by the time there" in answer
    assert "May we ask 3 quick questions" in answer
    assert weeks.record.zip_code == "79901"
