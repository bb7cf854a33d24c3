"""When it is day for a patient: ZIP code or number to zones and state, both clock changes, stricter hours by state."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from bot.consent import Hours, hours_for
from bot.places import PREFIXES, ZONES, state_of, zip_state, zones_of
from bot.setting_shapes import hours_by_state


@pytest.mark.parametrize(
    ("whereabouts", "state", "zones"),
    [
        ("+17135550142", "TX", ("America/Chicago",)), ("+14805550100", "AZ", ("America/Phoenix",)),
        ("+17875550100", "PR", ("America/Puerto_Rico",)), ("+18085550100", "HI", ("Pacific/Honolulu",)),
        ("+12125551212", "NY", ("America/New_York",)), ("+18005550100", None, ()),
        ("77030", "TX", ("America/Chicago", "America/Denver")), ("96813", "HI", ("Pacific/Honolulu",)),
        ("85001", "AZ", ("America/Phoenix", "America/Denver")), ("00901", "PR", ("America/Puerto_Rico",)),
        ("99999", "AK", ("America/Anchorage", "America/Adak")), ("00000", None, ()), ("x", None, ()), ("", None, ()),
    ],
)  # fmt: skip
def test_a_zip_code_or_a_number_tells_the_zones_and_the_state(
    whereabouts: str, state: str | None, zones: tuple[str, ...]
) -> None:
    """Every zone that is possible; nothing when it tells nothing."""
    assert state_of(whereabouts) == state
    assert zones_of(whereabouts) == zones


def test_every_state_has_zip_codes_and_zones_that_exist() -> None:
    """No state is forgotten, and no prefix belongs to two."""
    named = {part.split()[0] for line in PREFIXES.split("\n") for part in line.split("|") if part.strip()}
    assert named == set(ZONES)
    assert len([code for code in named if code not in ("GU", "PR", "VI", "DC")]) == 50
    for zones in ZONES.values():
        assert all(ZoneInfo(zone) for zone in zones)
    assert zip_state("10001-1234") == "NY"


def local(hours: Hours, at: float) -> list[str]:
    return [datetime.fromtimestamp(at, zone).strftime("%a %H:%M") for zone in hours.zones]


@pytest.mark.parametrize(
    "zone", ["America/Chicago", "America/Phoenix", "America/Puerto_Rico", "Pacific/Honolulu", "America/Adak"]
)
@pytest.mark.parametrize("change", [datetime(2026, 3, 8, tzinfo=UTC), datetime(2026, 11, 1, tzinfo=UTC)])
def test_around_both_clock_changes_the_window_is_the_local_one(zone: str, change: datetime) -> None:
    """Every half hour of five days: the next opening is never at night, never in the past, never skipped."""
    hours = hours_for((zone,), "America/Chicago", "09:00", "20:00")
    for step in range(5 * 48):
        at = (change - timedelta(days=2) + timedelta(minutes=30 * step)).timestamp()
        opens = hours.next_open(at, f"effect{step}")
        wall = datetime.fromtimestamp(opens, ZoneInfo(zone))
        assert at <= opens < at + 14 * 3600 + 2_700
        assert 9 <= wall.hour < 20
        if opens > at:
            assert wall.hour == 9
        assert datetime.fromtimestamp(wall.timestamp(), ZoneInfo(zone)) == wall


def test_all_zones_must_be_open_and_what_waited_is_spread() -> None:
    """Chicago and Honolulu share eight or nine hours a day; a thousand texts of one night leave over 45 minutes."""
    both = hours_for(("America/Chicago", "Pacific/Honolulu"), "America/Chicago", "09:00", "20:00")
    night = datetime(2026, 1, 12, 6, 0, tzinfo=UTC).timestamp()
    assert local(both, both.next_open(night)) == ["Mon 13:00", "Mon 09:00"]
    times = {both.next_open(night, f"e{number}") for number in range(1000)}
    assert len(times) > 700
    assert max(times) - min(times) < 2_700
    assert both.next_open(night, "e1") == both.next_open(night, "e1")


def test_a_state_may_be_stricter() -> None:
    """Texas on a Sunday: not before noon."""
    texas = hours_by_state("TX Mo-Sa 09:00-20:00; Su 12:00-20:00 / FL Mo-Su 09:00-19:00")["TX"]
    plain = hours_for(("America/Chicago",), "America/Chicago", "09:00", "20:00")
    strict = Hours(plain.start, plain.end, plain.zones, texas.is_open)
    sunday = datetime(2026, 1, 11, 10, 0, tzinfo=ZoneInfo("America/Chicago")).timestamp()
    assert plain.open(sunday)
    assert local(strict, strict.next_open(sunday)) == ["Sun 12:00"]
    with pytest.raises(ValueError, match="no state"):
        hours_by_state("Texas Mo-Su 09:00-19:00")
