"""Single pieces per call: reading, the engine, the proof (configurations a second of CPU); and eight writers of one patient."""

from __future__ import annotations

import json
import statistics
import threading
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from bot.catalog import load_flows, load_words, reader
from bot.conversation import BusyError
from bot.engine import advance, start, waiting
from bot.proof.check import check
from bot.reading.model import Reading
from bot.session import Session
from bot.store import scripts
from bot.wiring import build
from tests.bench import doors

CORPUS = Path(__file__).parents[1] / "reading" / "corpus"


def per_call() -> dict[str, float]:
    """Median microseconds: reading a reply of the labelled corpus (none twice), and one step of the engine."""
    flow, read = load_flows()["triage"], reader(load_words())
    said = [json.loads(line)["text"] for line in (CORPUS / "blind_en.jsonl").read_text().splitlines() if line.strip()]
    at_severity = start(flow, Session("s", "triage", flow.hash, "en", "sms"), at="severity").session
    expects = waiting(flow, at_severity)
    took = [_took(lambda text=text: read(text, expects, "en", "sms")) for text in dict.fromkeys(said)]
    step = [_took(lambda: advance(flow, at_severity, Reading("answer", 5))) for _ in range(2_000)]
    spent = [_took(lambda: check(flow), time.process_time) for _ in range(3)]
    configurations = check(flow).counts["configurations"]
    return {
        "proof_configurations_per_cpu_s": round(configurations / statistics.median(spent) * 1e6),
        "reading_us": round(statistics.median(took), 1),
        "reading_p99_us": round(sorted(took)[len(took) * 99 // 100], 1),
        "engine_us": round(statistics.median(step), 1),
    }


def _took(act: Callable[[], Any], clock: Callable[[], float] = time.perf_counter) -> float:
    began = clock()
    act()
    return (clock() - began) * 1e6


def contended(state_url: str, data_dir: Path, turns: int = 60, writers: int = 8, rounds: int = 3) -> dict[str, float]:
    """Turns a second of *writers* threads that write for one patient, refused ones, and the same without the check."""
    safe, unsafe, refused = [], [], 0
    for _ in range(rounds):
        speed, busy = _race(state_url, data_dir, turns, writers, check=True)
        safe.append(speed)
        refused += busy
        unsafe.append(_race(state_url, data_dir, turns, writers, check=False)[0])
    return {"turns_per_s": round(statistics.median(safe)), "refused": refused,
            "x_unsafe": round(statistics.median(safe) / statistics.median(unsafe), 2)}  # fmt: skip


def _race(state_url: str, data_dir: Path, turns: int, writers: int, *, check: bool) -> tuple[float, int]:
    app = build(doors.settings(state_url, data_dir))
    if not check:
        racy = scripts.COMMIT.replace("if version ~= ARGV[1] then return {'conflict'} end", "")
        app.store._commit = partial(app.store._commit.func, racy)
    phone, busy = doors.phone_of(int(time.time() * 1000)), []

    def write(number: int) -> None:
        for turn in range(turns):
            try:
                app.conversation.hear(
                    phone, "sms", "repeat" if turn % 2 else "what?", f"{check}-{number}-{turn}-{phone}"
                )
            except BusyError:
                busy.append(1)

    threads = [threading.Thread(target=write, args=(number,)) for number in range(writers)]
    began = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return turns * writers / (time.perf_counter() - began), len(busy)
