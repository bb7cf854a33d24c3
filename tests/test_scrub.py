"""What staff read of replies that were not understood tells nobody's name, number, date or address."""

from __future__ import annotations

import json
import re
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.reading.text import fold
from bot.scrub import NAMES, scrub
from bot.unread import unread_in

CORPUS = Path(__file__).parent / "reading" / "corpus"
REPLIES = [
    json.loads(line)["text"] for path in sorted(CORPUS.glob("*.jsonl")) for line in path.read_text("utf-8").splitlines()
]
IN_CORPUS = {"maria", "patel", "alvarez"}
PRIVATE = st.one_of(
    st.sampled_from(sorted(NAMES)).map(str.title),
    st.from_regex(r"[a-z]{2,8}(\.[a-z]{2,6})?@[a-z]{3,8}\.(com|org|mx)", fullmatch=True),
    st.from_regex(r"(\+1)?[ ]?\(?[2-9][0-9]{2}\)?[ .-]?[0-9]{3}[ .-]?[0-9]{4}", fullmatch=True),
    st.from_regex(r"(0?[1-9]|1[0-2])[/-]([0-2]?[0-9])[/-](19|20)[0-9]{2}", fullmatch=True),
    st.from_regex(r"(March|May|enero|Dec) ?[0-9]{1,2}(st|th)?,? (19|20)[0-9]{2}", fullmatch=True),
    st.from_regex(r"(seven|one|three|cinco|dos)( (seven|one|three|cinco|dos)){3,9}", fullmatch=True),
    st.text(alphabet="٠١٢٣٤٥٦٧٨٩０１２３", min_size=4, max_size=10),
)


def words_of(text: str) -> set[str]:
    return set(re.findall(r"[^\W\d_]+", re.sub(r"\[\w+\]", " ", text)))


@settings(max_examples=400, deadline=None)
@given(st.sampled_from(REPLIES), st.lists(PRIVATE, min_size=1, max_size=3), st.integers(0, 40))
def test_what_is_private_never_comes_through(reply: str, private: list[str], place: int) -> None:
    """Put anywhere into any reply of the corpus."""
    pieces = reply.split()
    for one in private:
        pieces.insert(place % (len(pieces) + 1), one)
    found = scrub(" ".join(pieces))
    assert not any(char.isdigit() for char in found), found
    assert "@" not in found
    assert not words_of(found) & NAMES, found
    for one in private:
        if "@" in one:
            assert fold(one) not in found
    assert not re.search(r"\b(?:(?:seven|one|three|cinco|dos)\b\W*){3,}", found), found


def test_no_name_and_no_digit_of_the_corpus_comes_through() -> None:
    """All of its replies."""
    assert any(name in fold(reply) for reply in REPLIES for name in IN_CORPUS)
    for reply in REPLIES:
        found = scrub(reply)
        assert not words_of(found) & IN_CORPUS, reply
        assert not any(char.isdigit() for char in found), reply
        assert len(found) <= 90


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        ("My name is Zebulon Okonkwo", "my name is [name]"),
        ("me llamo Xóchitl", "me llamo [name]"),
        ("kinda sorta idk", "kinda sorta idk"),
        ("nah i'm good fam", "nah i'm good fam"),
        ("since 3/4/2021", "since #"),
        ("call (713) 555-0123 now", "call # now"),
        ("John", ""),
        ("12345", ""),
        ("  ", ""),
    ],
)
def test_what_is_left_still_teaches(said: str, shown: str) -> None:
    """The words around what was private stay; nothing at all is nothing."""
    assert scrub(said) == shown


def test_a_long_hostile_reply_is_quick() -> None:
    """The night has a hundred thousand of them."""
    for text in ("a" * 1600, "a " * 800, "name is " * 200, "#," * 800, "1 " * 800, "@" * 1600, "may " * 400):
        begun = time.process_time()
        scrub(text)
        assert time.process_time() - begun < 0.05, text[:20]


def test_only_typed_or_spoken_replies_to_a_question_that_were_not_understood_are_gathered() -> None:
    """No keys, no first words, no answers, nothing across two walks."""

    def line(session: str, state: str, said: str, kind: str = "unclear", **more: object) -> dict[str, object]:
        return {"at": 1.0, "in": "said", "door": "sms", "session": session, "flow": ["triage", "h"], "state": state,
                "language": "en", "said": said, "reading": [kind, None, ""], **more}  # fmt: skip

    log = [line("a", "consent", "hello there"), line("a", "consent", "why tho"), line("a", "screen_a", "yes", "answer"),
           line("a", "screen_a", "99", keys=True), {"at": 1.0, "in": "note"}, line("b", "consent", "hey again")]  # fmt: skip
    assert list(unread_in(log)) == [(log[1], ("triage", "consent", "en", "why tho"))]


@pytest.mark.parametrize(
    ("said", "left"),
    [
        ("my son Zebediah broke it", "my son [name] broke it"),
        ("mi doctor es Etcheverry", "mi doctor es [name]"),
        ("doctora etcheverry me vio", "doctora [name] vio"),
        ("tell nurse betsy", "tell nurse [name]"),
        ("thanks, kiki", "thanks [name]"),
        ("it hurts. - kiki", "it hurts. [name]"),
        ("m a r i a", ""),
        ("J. o. h. n. here", "[name] here"),
        ("i live on maple street", "i live on [address]"),
        ("vivo en la calle juarez", "vivo en la [address]"),
        ("born nineteen eighty two", "born #"),
        ("tengo cuarenta y dos anos", "tengo # anos"),
        ("depends who you ask LOL", "depends who you ask lol"),
        ("like a seven", "like a seven"),
    ],
)
def test_what_is_on_no_list_of_names_goes_as_well(said: str, left: str) -> None:
    """A capital in the middle of a sentence, a title, a signature, letters one by one, a street, a spoken number."""
    assert scrub(said) == left
