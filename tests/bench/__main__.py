"""``make bench``: everything in one interleaved run. Prints a table, writes ``var/bench.json`` and ``var/bench.svg``.

``python -m tests.bench [--quick] [PART ...]``; parts: inprocess stages http cold growth due pace background
pieces.
"""

from __future__ import annotations

import json
import logging
import os
import platform
import resource
import shutil
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import structlog

from bot.store.client import connect
from bot.store.embedded import EmbeddedServer
from tests.bench import background, cold, growth, http, inprocess, pace, pieces, stages
from tests.bench.chart import chart

OUT = Path(__file__).parents[2] / "var"


def main(arguments: list[str]) -> int:
    """Run the parts that are named, or all."""
    quick, wanted = "--quick" in arguments, [each for each in arguments if not each.startswith("-")]
    resource.setrlimit(resource.RLIMIT_NOFILE, (8192, 8192))
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    folder = Path(tempfile.mkdtemp(prefix="bench-"))
    server = EmbeddedServer(folder)
    server.start()
    client: Any = connect(server.url, role="worker")
    big = (1_000, 20_000) if quick else (1_000, 100_000, 1_000_000)
    parts: dict[str, Callable[[], Any]] = {
        "inprocess": lambda: inprocess.compare(server.url, folder, 8 if quick else 40),
        "stages": lambda: stages.stages(server.url, folder, 30 if quick else 200),
        "cold": lambda: cold.start(server.url, folder, 1 if quick else 5),
        "http": lambda: http.compare(server.url, folder, 1 if quick else 3, 0.3 if quick else 1.0),
        "growth": lambda: {
            "turn": growth.turns(folder, big),
            "session": growth.idle_session(folder, 200 if quick else 2_000), "effect": growth.planned_effect(client),
        },
        "due": lambda: growth.due(folder, big),
        "pace": lambda: pace.campaign(server.url, folder, count=500 if quick else 2_000),
        "background": lambda: {
            "speed": background.compare(server.url, folder, 200 if quick else 1_000, 1 if quick else 3),
            "lateness": background.lateness(server.url, folder),
        },
        "pieces": lambda: {**pieces.per_call(), "contended": pieces.contended(server.url, folder)},
    }  # fmt: skip
    try:
        found: dict[str, Any] = {
            "machine": f"{os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}"
        }
        for name, run in parts.items():
            if not wanted or name in wanted:
                found[name] = run()
                print(f"\n{name}")
                _print(found[name], "  ")
                client.flushall()
        OUT.mkdir(exist_ok=True)
        (OUT / "bench.json").write_text(json.dumps(found, indent=1))
        if "inprocess" in found:
            (OUT / "bench.svg").write_text(chart(found))
        return 0
    finally:
        server.stop()
        shutil.rmtree(folder, ignore_errors=True)


def _print(found: Any, indent: str) -> None:
    for name, value in found.items():
        if isinstance(value, dict) and any(isinstance(inner, dict) for inner in value.values()):
            print(f"{indent}{name}")
            _print(value, indent + "  ")
        elif isinstance(value, dict):
            print(f"{indent}{name:22} " + "  ".join(f"{key} {number}" for key, number in value.items()))
        else:
            print(f"{indent}{name:22} {value}")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
