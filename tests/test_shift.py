"""The alarm about the mix of results: a true change is found, chance is not, and what is too small is not called one."""

from __future__ import annotations

from collections import Counter
from random import Random

import pytest

from bot.shift import LEAST, pairs_of, shift, shift_of, survival

MIX = {"pmr": 0.45, "pt": 0.2, "both": 0.15, "urgent": 0.06, "emergency": 0.04, "expired": 0.1}


def drawn(chance: Random, mix: dict[str, float], many: int) -> Counter[str]:
    return Counter(chance.choices(list(mix), list(mix.values()), k=many))


def test_a_true_change_is_found() -> None:
    """Ten points from the therapist to the doctor: seen in seven of ten cases after 500 walks each, nearly always after 900."""
    chance, moved = Random(16), {**MIX, "pmr": 0.55, "pt": 0.1}
    found = [shift("triage", "a", "b", drawn(chance, MIX, 900), drawn(chance, moved, 900)) for _ in range(100)]
    assert sum(one is not None for one in found) >= 90
    assert {one.result for one in found if one} <= {"pmr", "pt"}
    first = next(one for one in found if one)
    assert first.walks == (900, 900)
    assert first.chance < 0.001


def test_half_of_the_emergencies_gone_is_found_although_it_is_two_points() -> None:
    """What is rare and grave counts by its ratio."""
    old, new = Counter(pmr=9_500, emergency=500), Counter(pmr=9_750, emergency=250)
    found = shift("triage", "a", "b", old, new)
    assert found
    assert (found.result, round(found.before, 3), round(found.after, 3)) == ("emergency", 0.05, 0.025)


def test_chance_is_no_alarm_although_somebody_looks_every_day() -> None:
    """300 new versions that changed nothing, looked at on each of 60 days: at most one in fifty is ever called a change."""
    chance, wrong = Random(7), 0
    for _ in range(300):
        old, new = drawn(chance, MIX, 600), Counter[str]()
        for _ in range(60):
            new += drawn(chance, MIX, 10)
            if shift("triage", "a", "b", old, new):
                wrong += 1
                break
    assert wrong <= 6


@pytest.mark.parametrize("day", [10, 50, 200])
def test_silence_that_comes_later_than_all_else_is_no_alarm(day: int) -> None:
    """Versions that changed nothing, *day* walks a day, silence two days after the others, looked at daily for 60 days: at
    most one in twenty-five is ever called a change. (Compared without that care nearly all were, within two days.)"""
    chance, wrong, naive = Random(7), 0, 0
    runs = 60
    for _ in range(runs):
        old, days, hit, rash = drawn(chance, MIX, 600), list[Counter[str]](), False, False
        spoke, every, settled = Counter[str](), Counter[str](), Counter[str]()
        for today in range(60):
            days.append(drawn(chance, MIX, day))
            spoke += Counter({one: n for one, n in days[today].items() if one != "expired"})
            silent = sum(one["expired"] for one in days[: max(0, today - 1)])
            every = spoke + Counter(expired=silent)
            if today % 7 == 0 and today > 7:
                settled += sum(days[today - 14 : today - 7], Counter())
            hit = hit or bool(shift_of("triage", "a", "b", (old, every), (old, settled)))
            rash = rash or bool(shift("triage", "a", "b", old, every))
        wrong, naive = wrong + hit, naive + rash
    assert wrong <= runs / 25
    assert naive > runs / 2 or day == 10


def test_more_silence_is_found_once_it_is_settled() -> None:
    """A version that loses every fifth patient to silence, where one in ten was before."""
    old, new = Counter(pmr=450, pt=450, expired=100), Counter(pmr=400, pt=400, expired=200)
    young = Counter(pmr=40, pt=40)
    assert shift_of("triage", "a", "b", (old, young), (old, Counter())) is None
    found = shift_of("triage", "a", "b", (old, new), (old, new))
    assert found
    assert (found.result, found.answered) == ("expired", False)


def test_few_walks_and_small_changes_are_no_alarm() -> None:
    """49 walks tell nothing; two points of the common outcomes are not worth a nurse's time, however sure."""
    assert shift("triage", "a", "b", Counter(pmr=LEAST - 1), Counter(pt=500)) is None
    assert shift("triage", "a", "b", Counter(pmr=52_000, pt=48_000), Counter(pmr=54_000, pt=46_000)) is None
    assert shift("triage", "a", "b", Counter(pmr=500), Counter(pmr=500)) is None


@pytest.mark.parametrize(
    ("score", "degrees", "expected"),
    [(3.841459, 1, 0.05), (5.991465, 2, 0.05), (7.814728, 3, 0.05), (13.276704, 4, 0.01), (20.515006, 5, 0.001)],
)
def test_the_tail_of_chi_square_is_that_of_the_tables(score: float, degrees: int, expected: float) -> None:
    """NIST/SEMATECH e-Handbook, 1.3.6.7.4."""
    assert survival(score, degrees) == pytest.approx(expected, rel=1e-4)


def test_the_versions_compared_are_the_last_two_that_differ() -> None:
    """Publishing the same flow again with other words is no new version of it."""
    log = [{"flows": {"triage": content}} for content in ("a", "b", "b", "c", "c")]
    assert pairs_of(log, "triage") == ("b", "c")
    assert pairs_of(log[:1], "triage") is None
    assert pairs_of(log, "peg") is None
