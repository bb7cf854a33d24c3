"""How long the console's pages take with 100,000 conversations stored."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from bot.counts import week_of
from bot.store.store import Store
from tests import dash_stage
from tests.test_console import Place


@pytest.mark.faults
@pytest.mark.timeout(600)
def test_a_hundred_thousand_sessions_do_not_slow_a_page(store: Store, tmp_path: Path) -> None:
    """``pytest -m faults tests/test_console_time.py -s`` prints the times, in ms."""
    place = Place(store, str(tmp_path))
    nurse = place.browser(place.person("nurse", "Ana"))
    dash_stage.seed(place, weeks=52, walks=2_000)
    dash_stage.crowd(place.desk.store, 100_000, place.at)
    since = week_of(place.at - 40 * 7 * 86_400, dash_stage.ZONE)
    paths = ("/dashboard", "/dashboard?weeks=52", f"/patients?since={since}&result=pt", "/patients?result=pt&stage=booked",
             "/patients", "/flows/triage", "/health")  # fmt: skip
    for path in paths:
        nurse.get(path)
        times = []
        for _ in range(5):
            begun = time.perf_counter()
            assert nurse.get(path).status_code == 200
            times.append((time.perf_counter() - begun) * 1000)
        print(f"{path}: {min(times):.0f} to {max(times):.0f} ms")
        assert min(times) < 300, (path, times)
