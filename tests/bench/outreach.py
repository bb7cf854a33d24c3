"""How long a plan of 100,000 recipients takes, how much memory, and what one recipient costs in the store.

.venv/bin/python -m tests.bench.outreach [ROWS]
"""

from __future__ import annotations

import logging
import random
import resource
import shutil
import sys
import tempfile
import time
from pathlib import Path

import structlog

from bot.store.cipher import Cipher
from bot.store.client import connect
from bot.store.embedded import EmbeddedServer
from bot.store.store import Store
from tests.outreach_stage import HEAD, Clinic

AREAS = (713, 281, 832, 512, 214, 305, 212, 415, 206, 303, 602, 404)


def megabytes() -> int:
    """The most that this process ever had."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024


def measure(store: Store, count: int) -> None:
    """Print one line for each step."""
    clinic, dice = Clinic(store, rate=100.0, approval=10**9), random.Random(3)
    lines = (
        f"+1{dice.choice(AREAS)}{dice.randint(2_000_000, 9_999_999)},{'es' if n % 3 else 'en'},yes,intake form,yes\n"
        for n in range(count)
    )
    raw = (HEAD + "".join(lines)).encode()
    before, began = store.client.info("memory")["used_memory"], time.perf_counter()
    plan = clinic.plan(raw)
    print(f"plan of {len(plan.accepted)}: {time.perf_counter() - began:.1f} s, {megabytes()} MB", flush=True)
    began = time.perf_counter()
    campaign = clinic.campaigns.send(plan, "ana")
    size = (store.client.info("memory")["used_memory"] - before) // len(plan.accepted)
    print(f"entered: {time.perf_counter() - began:.1f} s, {size} bytes of the store for each recipient", flush=True)
    for name in ("pause", "resume"):
        began = time.perf_counter()
        getattr(clinic.campaigns, name)(campaign, "ana")
        print(f"{name}: {time.perf_counter() - began:.3f} s", flush=True)


def main(count: int) -> None:
    """Against a server of its own."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    folder = Path(tempfile.mkdtemp(prefix="tb-"))
    server = EmbeddedServer(folder, fsync="no")
    server.start()
    try:
        measure(Store(connect(server.url), Cipher([bytes(range(32))])), count)
    finally:
        server.stop()
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 100_000)
