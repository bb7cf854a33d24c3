"""What is kept as JSON comes back as it was, whatever a person typed."""

import json

from hypothesis import given
from hypothesis import strategies as st

from bot.packed import pack, unpack

VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


@given(VALUES)
def test_whatever_is_kept_comes_back_as_it_was(value: object) -> None:
    assert unpack(pack(value)) == value == json.loads(pack(value))


@given(st.text(st.characters(codec=None, categories=["Cs", "Ll"]), min_size=1))
def test_half_a_surrogate_pair_loses_itself_and_nothing_else(said: str) -> None:
    kept = unpack(pack({"said": said, "at": 1.5}))
    assert kept["at"] == 1.5
    assert kept["said"] == "".join("?" if "\ud800" <= one <= "\udfff" else one for one in said)


def test_what_the_standard_library_wrote_before_is_still_read() -> None:
    assert (
        unpack(json.dumps({"p": "+1", "said": "dolor de espalda ñ \u2019"}).encode())["said"] == "dolor de espalda ñ ’"
    )
