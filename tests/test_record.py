"""The bytes of a record give the same record back."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

import pytest

from bot.record import Consent, Record, from_bytes, to_bytes
from bot.session import Session

FULL: dict[str, Any] = {
    "phone": "+17135550199",
    "session": Session("i", "triage", "h", "es", "voice", "goal", 3, {"a": ("x", "y"), "b": 3}, ("q", "r"), 1),
    "started_at": 1.5, "last_at": 2.5, "opted_out": True, "consents": (Consent("follow_up", True, 1.0, "sms"),),
    "planned": {"F1": "0-e"}, "sent": (1.0, 2.0), "unanswered": 1, "facts": frozenset({"booked"}), "owner": "nurse",
    "echoes": (("mark", 1.0),), "calling": ("0-e", "call"), "result": "pt", "scores": {"peg": (3, 5)},
    "visit_at": 4.0, "visit_mark": ("a", 2.0), "zip_code": "77002", "speaks": "es",
}  # fmt: skip


@pytest.mark.parametrize("name", [field.name for field in fields(Record)])
def test_every_field_of_a_record_comes_back_as_it_was(name: str) -> None:
    """One field at a time, so that a field nobody reads back is named; a new field must be added to FULL."""
    record = Record(**{"phone": "", name: FULL[name]})
    assert from_bytes(to_bytes(record)) == record


def test_a_whole_record_comes_back_as_it_was() -> None:
    """All fields at once, and none."""
    assert from_bytes(to_bytes(Record(**FULL))) == Record(**FULL)
    assert from_bytes(to_bytes(Record(""))) == Record("")
