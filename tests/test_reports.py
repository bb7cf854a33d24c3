"""What the carrier tells us is never half kept: a report that failed comes again and counts."""

from __future__ import annotations

import pytest

from bot.catalog import make_clinic
from bot.consent import hours_for, may_answer_silence, may_follow_up
from bot.record import Consent, Record
from bot.reports import Reports
from bot.store.sends import Sends, Sent
from bot.store.store import Store
from bot.undelivered import OPTED_OUT, Lost


class Notes:
    """Stands for the conversation: keeps notes by key, and breaks when told."""

    clinic = make_clinic(values={}, link=lambda _: ("", ""), new_id=str, new_effect=str)

    def __init__(self) -> None:
        self.kept: dict[str, Lost] = {}
        self.broken = False

    def not_arrived(self, patient: str, key: str, lost: Lost, phone: str = "") -> bool:
        if self.broken:
            raise ConnectionError("the store is away")
        self.kept.setdefault(key, lost)
        return False


def test_a_late_opt_out_whose_note_failed_counts_when_the_report_comes_again(store: Store) -> None:
    """Error 21610 by callback; the first delivery of the report died between two writes."""
    notes = Notes()
    reports = Reports(store, notes, lambda: 100.0)  # type: ignore[arg-type]
    effect = store.new_effect_id("patient-one")
    Sends(store).keep(effect, Sent("patient-one", "text", {}))
    notes.broken = True
    with pytest.raises(ConnectionError):
        reports.delivered("SM" + "1" * 32, "undelivered", 21610, effect)
    notes.broken = False
    for _ in range(2):
        reports.delivered("SM" + "1" * 32, "undelivered", 21610, effect)
    assert [lost.code for lost in notes.kept.values()] == [OPTED_OUT]


def test_a_landline_is_texted_no_more() -> None:
    """Neither a nudge nor a follow-up; a call is another matter."""
    noon, hours = 1_764_007_200.0, hours_for((), "America/Chicago", "09:00", "20:00")
    record = Record("+17135550142", consents=(Consent("follow_up", True, 1.0, "t"),), facts=frozenset({"landline"}))
    assert may_follow_up(record, "follow_up", hours, noon).why == "a landline takes no texts"
    assert not may_answer_silence(record, hours, noon).go
