"""What the dashboard counts: in the commit itself, once, the same as the logs tell, and nothing of a patient."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from bot import counts_command
from bot.counts import Prices, day_of, of_log, week_of
from bot.counts_command import missing
from bot.forget import erase_patient
from bot.reports import Reports
from bot.sending import Gate, spent_today
from bot.simulate.command import _move_in
from bot.simulate.town import Town, opened
from bot.store.counted import Counted
from bot.store.store import Store
from tests.test_console import PHONE, Place

ZONE = "America/Chicago"


PRICES = Prices(12_000, 10_800, "twilio")


def told_and_counted(town: Town) -> tuple[Counter[str], Counter[str]]:
    """What the logs and the journal tell, and what was counted."""
    store, told = town.store, Counter[str]()
    for patient in store.patients():
        for _, (week, field, many) in of_log(map(json.loads, store.events(patient)), "triage", ZONE, PRICES):
            told[f"{week} {field}"] += many
    for bucket, week in Counted(store).journals():
        told.update({f"{week} {field}": many for field, many in Counted(store).journal(bucket, week).items()})
    weeks = sorted({week.partition(" ")[0] for week in told})
    counted = Counter[str]()
    for week, fields in zip(weeks, Counted(store).weeks(weeks), strict=True):
        counted.update({f"{week} {field}": many for field, many in fields.items()})
    return told, counted


def test_what_is_counted_is_what_the_logs_tell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A town of all personas in bad weather: webhooks twice, late and lost; calls, follow-ups, visits, STOP. Then the counts
    are lost and come back by the command."""
    with opened(tmp_path, 7, "twilio", lambda app: app) as town:
        _move_in(town, 14, 7, "both", 3)
        town.live()
        told, counted = told_and_counted(town)
        assert {field: many for field, many in counted.items() if many} == {f: m for f, m in told.items() if m}
        assert sum(many for field, many in counted.items() if " o|triage|" in field) > 3
        for what in ("heard", "reply", "text", "minutes"):
            assert any(" $|" in field and f"|{what}|" in field for field in counted), what
        assert any(" m|delivered|0" in field for field in counted)
        assert {"sms", "voice", "text report"} <= Counted(town.store).heard().keys()
        assert not missing(town.store, town.clock(), ZONE, PRICES)
        for key in town.store.client.keys("*n:20*"):
            town.store.client.delete(key)
        for (bucket, week), fields in missing(town.store, town.clock(), ZONE, PRICES).items():
            Counted(town.store).raise_to(bucket, week, fields.items())
        again = told_and_counted(town)[1]
        assert {field: many for field, many in again.items() if many > 0} == {f: m for f, m in told.items() if m > 0}
    assert counts_command.FIRST == "triage"


@pytest.fixture
def place(store: Store, tmp_path: Path) -> Place:
    return Place(store, str(tmp_path))


def test_a_repeated_webhook_is_counted_once(place: Place) -> None:
    """The count is part of the commit, and a commit is made once for its key."""
    for key in ("SM1", "SM1", "SM2", "SM2"):
        place.conversation.hear(PHONE, "sms", "hi", key)
    fields = Counted(place.desk.store).weeks([week_of(place.at, ZONE)])[0]
    assert sum(many for field, many in fields.items() if field.startswith("e|")) == 2
    assert fields["e|triage|" + place.conversation.clinic.flows["triage"].hash + "|@sms|unclear|consent|sms"] == 1


def test_counts_name_no_patient_and_stay_when_one_is_erased(place: Place) -> None:
    """What is left after an erasure could be of anybody."""
    for text in ("hi", "yes", "my name is Zebulon"):
        place.says(text)
    store, week = place.desk.store, week_of(place.at, ZONE)
    before = Counted(store).weeks([week])[0]
    assert before
    assert not [field for field in before if place.patient in field or "zebulon" in field.lower() or PHONE in field]
    erase_patient(store, place.patient, place.at)
    assert Counted(store).weeks([week])[0] == before
    assert not missing(store, place.at, ZONE, PRICES)


def test_a_log_that_was_cut_begins_nothing() -> None:
    """The first line of what is left only tells where the walk stood."""
    line = {"at": 1.0, "in": "said", "door": "sms", "session": "s", "flow": ["triage", "h"], "turn": 4, "state": "goal",
            "reading": ["answer", "yes", ""], "said": "x", "result": [None, None, None, None]}  # fmt: skip
    after = {**line, "at": 2.0, "state": "pmr", "result": ["pmr", None, None, None]}
    fields = [field for _, (_, field, _) in of_log([line, after], "triage", ZONE, PRICES, whole=False)]
    assert [field for field in fields if field[0] != "$"] == ["e|triage|h|goal|answer|pmr|sms", "o|triage|h|pmr"]


def test_days_and_weeks_are_the_clinics() -> None:
    """Sunday evening in Houston is Monday in London, and still last week here."""
    sunday_evening = 1_795_406_400.0  # 2026-11-23 00:00 UTC
    assert (week_of(sunday_evening, ZONE), day_of(sunday_evening, ZONE)) == ("2026-11-16", "2026-11-22")
    assert week_of(sunday_evening, "UTC") == "2026-11-23"


def test_minutes_of_calls_cost_what_they_last_and_count_once(place: Place) -> None:
    """A call to us by the begun minute, one of ours from its second minute on; a report that comes twice or for a call that
    nobody answered costs nothing more."""
    reports = Reports(place.desk.store, place.conversation, lambda: place.at, 30_000)
    for sid, status, seconds, effect in (
        ("CA1", "completed", 61, None),
        ("CA1", "completed", 61, None),
        ("CA2", "completed", 59, "0-ours"),
        ("CA3", "completed", 125, "0-longer"),
        ("CA4", "no-answer", 0, None),
        ("CA5", "in-progress", 40, None),
    ):
        reports.call_status(sid, status, PHONE, seconds=seconds, sequence=1, answered_by=None, effect_id=effect)
    fields = Counted(place.desk.store).weeks([week_of(place.at, ZONE)])[0]
    assert {field: many for field, many in fields.items() if "minutes" in field} == {
        f"$|{day_of(place.at, ZONE)}|minutes|30000": 4
    }


def test_what_the_carrier_took_is_counted_once_and_comes_back_from_the_journal(place: Place) -> None:
    """Also when whoever had handed it over died before saying so, and said it again."""
    store, day = place.desk.store, day_of(place.at, ZONE)
    gate = Gate(store, lambda: place.at, limit=0, zone=ZoneInfo(ZONE))
    for effect in ("0-a", "0-a", "0-b"):
        gate.worked(12_000, "text", place.patient, effect)
    field, week = f"$|{day}|text|1", week_of(place.at, ZONE)
    assert Counted(store).weeks([week])[0][field] == spent_today(store, place.at, ZoneInfo(ZONE)) == 24_000
    for key in store.client.keys("*n:20*"):
        store.client.delete(key)
    for (bucket, at), fields in missing(store, place.at, ZONE, PRICES).items():
        Counted(store).raise_to(bucket, at, fields.items())
    assert Counted(store).weeks([week])[0][field] == 24_000


def test_a_price_that_changed_makes_nothing_dearer_afterwards(place: Place) -> None:
    """Mending adds what is missing, at today's price; what was counted at another is there."""
    place.says("hi")
    found = missing(place.desk.store, place.at, ZONE, Prices(99_000, 88_000, "app"))
    assert not found
    for key in place.desk.store.client.keys("*n:20*"):
        place.desk.store.client.delete(key)
    back = Counter[str]()
    for fields in missing(place.desk.store, place.at, ZONE, Prices(99_000, 88_000, "app")).values():
        back.update(fields)
    day = day_of(place.at, ZONE)
    assert back[f"$|{day}|heard|88000"] == 1
    assert back[f"$|{day}|reply|99000"] == 2
