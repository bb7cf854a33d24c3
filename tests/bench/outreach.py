"""What a plan of 100,000 recipients costs - CPU, memory, and bytes of the store - unknown ones and ones who are known.

.venv/bin/python -m tests.bench.outreach [ROWS]
Each step is a process of its own. Opening hours are asked as in production, by the zones of each number.
"""

from __future__ import annotations

import logging
import random
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import structlog

from bot.consent import Hours, hours_for
from bot.outreach.plan import Options
from bot.places import zones_of
from bot.record import from_bytes, to_bytes
from bot.store.cipher import Cipher
from bot.store.client import connect
from bot.store.embedded import EmbeddedServer
from bot.store.store import Store
from tests.outreach_stage import HEAD, ZONE, Clinic

AREAS = (713, 281, 832, 512, 214, 305, 212, 415, 206, 303, 602, 404)
WALK = ("hi my back hurts", "yes", "no", "no", "no just my back", "6 or 7", "yes please")
STEPS = ("plan", "send", "know", "plan", "send")


def phones(count: int) -> Iterator[str]:
    """The same for ever."""
    dice = random.Random(3)
    for _ in range(count):
        yield f"+1{dice.choice(AREAS)}{dice.randint(2_000_000, 9_999_999)}"


def file_of(count: int) -> bytes:
    """Rows with a phone, a language and a consent."""
    lines = (f"{one},{'es' if n % 3 else 'en'},yes,intake form,yes\n" for n, one in enumerate(phones(count)))
    return (HEAD + "".join(lines)).encode()


def hours(phone: str) -> Hours:
    """As bot/edition.py asks."""
    return hours_for(zones_of(phone), ZONE, "09:00", "20:00")


def know(clinic: Clinic, count: int) -> None:
    """Everybody has walked to a result last month."""
    first, store = next(phones(1)), clinic.store
    clinic.at -= 30 * 86_400
    for turn, said in enumerate(WALK):
        clinic.conversation.hear(first, "sms", said, f"k{turn}")
    loaded = store.load(store.cipher.patient_id(first), "-")
    assert loaded.record is not None
    model = from_bytes(loaded.record)
    pipe = store.client.pipeline(transaction=False)
    for number, phone in enumerate(phones(count)):
        patient = store.cipher.patient_id(phone)
        sealed, _ = store.sealed_record(patient, "0|", to_bytes(model.but(phone=phone, planned={})), [])
        pipe.set(f"{store.tag(store.bucket(patient))}p:{patient}", sealed)
        if number % 2_000 == 0:
            pipe.execute()
    pipe.execute()


def step(name: str, url: str, count: int) -> None:
    """One step, and a line about it."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    clinic = Clinic(Store(connect(url), Cipher([bytes(range(32))])), rate=100.0, approval=10**9, hours=hours)
    if name == "know":
        know(clinic, count)
        return
    info = partial(clinic.store.client.info, "memory")
    raw, before = file_of(count), info()["used_memory"]
    cpu, wall = time.process_time(), time.perf_counter()
    plan = clinic.campaigns.plan(raw, Options("triage", again=True))
    about = f"plan of {len(plan.accepted)}"
    if name == "send":
        campaign = clinic.campaigns.send(plan, "ana")
        size = (info()["used_memory"] - before) // len(plan.accepted)
        about = f"the same and sent, {size} bytes of the store for each"
    cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    print(f"{about}: {cpu:.1f} s of CPU, {wall:.1f} s, {most} MB", flush=True)
    for act in ("pause", "resume") if name == "send" else ():
        wall = time.perf_counter()
        getattr(clinic.campaigns, act)(campaign, "ana")
        print(f"{act}: {time.perf_counter() - wall:.2f} s", flush=True)


def main(count: int) -> None:
    """Against a server of its own."""
    folder = Path(tempfile.mkdtemp(prefix="tb-"))
    server = EmbeddedServer(folder, fsync="no")
    server.start()
    try:
        for name in STEPS:
            if name == "know":
                connect(server.url).flushall()
                print("the same patients, each known by a finished conversation:", flush=True)
            subprocess.run([sys.executable, "-m", "tests.bench.outreach", str(count), name, server.url], check=True)
    finally:
        server.stop()
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    if len(sys.argv) > 3:
        step(sys.argv[2], sys.argv[3], int(sys.argv[1]))
    else:
        main(int(sys.argv[1]) if len(sys.argv) > 1 else 100_000)
