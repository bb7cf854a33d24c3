"""The carrier's codes in words that staff can act on, in both languages, and what is done about landlines."""

from __future__ import annotations

import pytest

from bot.carrier import BUSY, CONFIGURATION, OPTED_OUT
from bot.codes import CODES, LANDLINE, NO_CODE, OTHER, UNREGISTERED, in_words, reason_in_words
from bot.reports import Reports
from bot.store.sends import Sends, Sent
from bot.store.store import Store
from tests.test_console import Place


@pytest.fixture
def place(store: Store, tmp_path: object) -> Place:
    return Place(store, str(tmp_path))


def test_every_code_that_the_program_acts_on_has_words() -> None:
    """carrier.py decides by code; staff must read the same code in words."""
    assert {*CONFIGURATION, *BUSY, OPTED_OUT, *LANDLINE, *UNREGISTERED} <= set(CODES)
    assert (LANDLINE, len(UNREGISTERED)) == ({21614, 30006}, 4)


def test_a_reason_is_read_by_its_code_and_an_unknown_code_says_so() -> None:
    """The code stays beside the words, for whoever asks the carrier."""
    assert reason_in_words("carrier permanent, code 30005").startswith("The number does not exist")
    assert reason_in_words("carrier code 30005").endswith("Ask for the right number. (30005)")
    assert in_words(39999) == f"{OTHER.says} {OTHER.do} (39999)"
    assert reason_in_words("carrier code 0") == f"{NO_CODE.says} {NO_CODE.do}"
    assert reason_in_words("they moved to unit code 12 b") == "they moved to unit code 12 b"


@pytest.mark.parametrize(
    ("language", "words"),
    [("en", "The number is a landline, which takes no texts."), ("es", "El número es un teléfono fijo")],
)
def test_the_task_of_a_text_that_did_not_arrive_says_why_and_what_to_do(
    place: Place, store: Store, language: str, words: str
) -> None:
    """On the conversation page, beside the task and in the story."""
    place.says("hi")
    effect = store.new_effect_id(place.patient)
    Sends(store).keep(effect, Sent(place.patient, "text", {}))
    Reports(store, place.conversation, lambda: place.at).delivered("SM" + "1" * 32, "undelivered", 30006, effect)
    client = place.browser(place.person("nurse", "Ana"))
    client.set_cookie("console-language", language)
    page = client.get(f"/patients/{place.patient}").text
    task = page.partition('<ul class="rows">')[2].partition("</ul>")[0]
    assert words in task
    assert page.count("(30006)") == 2
