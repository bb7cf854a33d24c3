"""One webhook inside one process: CPU and wall time, every case in turn, block by block, so that noise hits all alike."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from tests.bench import doors
from tests.bench.doors import Posted

BLOCK = 110  # ten whole walks


def compare(state_url: str, data_dir: Path, blocks: int = 40) -> dict[str, Any]:
    """Per case: microseconds of CPU and wall, and ratios to the floor (above 1: cheaper than the floor)."""
    apps = {name: make(state_url, data_dir) for name, make in doors.DOORS.items()}
    cases: dict[str, Callable[[list[Posted]], None]] = {
        name: lambda batch, app=app: _all(app, batch) for name, app in apps.items()
    }
    sources: dict[str, Iterator[list[Posted]]] = {name: _batches(at) for at, name in enumerate(cases)}
    cases["ours_voice"], sources["ours_voice"] = cases["ours"], _calls(len(cases))
    cpu: dict[str, list[float]] = {name: [] for name in cases}
    wall: dict[str, list[float]] = {name: [] for name in cases}
    for block in range(blocks + 2):
        for name, run in cases.items():
            batch = next(sources[name])
            before, began = time.thread_time(), time.perf_counter()
            run(batch)
            if block >= 2:  # the first blocks fill caches
                cpu[name].append((time.thread_time() - before) / len(batch) * 1e6)
                wall[name].append((time.perf_counter() - began) / len(batch) * 1e6)
    return {name: _line(cpu[name], wall[name], cpu["floor"], wall["floor"]) for name in cases}


def _all(app: doors.Application, batch: list[Posted]) -> None:
    for posted in batch:
        status, body = doors.call(app, posted)
        if status != "200 OK" or b"<Response" not in body:
            raise RuntimeError(f"The bench got {status} instead of an answer.")


def _batches(case: int) -> Iterator[list[Posted]]:
    source = doors.texts(case * 1_000_000)
    while True:
        yield [next(source) for _ in range(BLOCK)]


def _calls(case: int) -> Iterator[list[Posted]]:
    phone = case * 1_000_000
    while True:
        walks = range(phone, phone + BLOCK // len(doors.KEYS))
        yield [doors.keys(str(at), key, phone) for phone in walks for at, key in enumerate(doors.KEYS)]
        phone = walks.stop


def _line(cpu: list[float], wall: list[float], cpu0: list[float], wall0: list[float]) -> dict[str, float]:
    ratios = sorted(zero / one for zero, one in zip(cpu0, cpu, strict=True))
    return {
        "cpu_us": round(statistics.median(cpu), 1),
        "wall_us": round(statistics.median(wall), 1),
        "cpu_ratio": round(statistics.median(ratios), 3),
        "cpu_ratio_p10": round(ratios[len(ratios) // 10], 3),
        "cpu_ratio_p90": round(ratios[len(ratios) * 9 // 10], 3),
        "wall_ratio": round(statistics.median(zero / one for zero, one in zip(wall0, wall, strict=True)), 3),
    }
