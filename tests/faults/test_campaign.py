"""A campaign under fire: its sender, workers (each with a relay), web and store die at random; paused, resumed, cancelled.

``make faults`` prints figures and seed; FAULTS_SEED repeats a run, FAULTS_ROWS is the number of rows. What was sent is
what the local Twilio took, and every row of the result is held against it.
"""

from __future__ import annotations

import csv
import io
import json
import os
import random
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from redis.exceptions import RedisError

from bot.outreach.roster import Roster, parts_of
from tests.faults.count import Books
from tests.faults.enemy import Enemy, Hunter
from tests.faults.product import Product
from tests.faults.stage import settings_of
from tests.outreach_stage import HEAD, phone
from tests.whole import ROOT
from workers.executor import BATCH

pytestmark = [pytest.mark.faults, pytest.mark.timeout(3600)]
ROWS = int(os.environ.get("FAULTS_ROWS", "10000"))
SEED = int(os.environ.get("FAULTS_SEED", "0")) or random.randrange(1, 10**6)
WORKERS = 2
SENDER = {"SENDER_RATE": "200", "OUTREACH_FIRST_HOUR": "0", "OUTREACH_OPEN_TASKS": "0", "DAILY_SPEND_LIMIT": "0",
          "OUTREACH_APPROVAL": "10"}  # fmt: skip
STUCK_SECONDS = 90.0
# Clocks that jump would send early, and time that is moved would bring the nudges of those who do not answer.
SPARED = frozenset({"clock_ahead", "clock_behind", "freeze_worker"})


class Staff:
    """At the command line. A command that was killed, or whose store was away, is given again."""

    def __init__(self, product: Product, dice: random.Random) -> None:
        self.product, self.dice, self.killed = product, dice, 0
        public = f"http://127.0.0.1:{product.environment['WEB_PORT']}"
        self.env = {**product.environment, "SANDBOX": "1", "PUBLIC_URL": public}

    def start(self, *words: str) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "bot", "outreach", *words]
        return subprocess.Popen(command, cwd=ROOT, env=self.env, stdout=-1, stderr=-2, text=True)

    def does(self, *words: str, also: str = "\0") -> str:
        """Until it was done, or says *also*, which is as good."""
        for _ in range(60):
            told, _ = (process := self.start(*words)).communicate()
            if process.returncode == 0 or also in told:
                return told
            time.sleep(0.5)
        raise AssertionError(f"outreach {words[0]}: {told}")

    def sends(self, file: Path, count: int, deaths: int) -> str:
        """The id of the campaign; the command dies *deaths* times on its way, and the same is typed again."""
        words = ("send", str(file), "--confirm", str(count), "--by", "ana")
        while self.killed < deaths:
            process = self.start(*words)
            try:
                process.wait(self.dice.uniform(1.5, 6))
            except subprocess.TimeoutExpired:
                process.kill()
            process.communicate()
            self.killed += 1
        # A try that was to die may have been quicker than its death.
        self.does(*words, also="was sent with this flow before")
        campaign = self.does("list").split()[0]
        self.does("approve", campaign, "--by", "ben")
        return campaign


class Watch:
    """How far campaigns have come, by the ledger past the door and by what the carrier took."""

    def __init__(self, product: Product, enemy: Enemy) -> None:
        self.product, self.enemy, self.books = product, enemy, Books(product, settings_of(product))
        self.roster = Roster(self.books.store)

    def out(self, campaign: str) -> Iterator[str]:
        """The effects of *campaign* that the carrier took."""
        return (one for one, _ in self.product.carrier_door.taken if (parts_of(one) or ("",))[0] == campaign)

    def until(self, campaign: str, left: int) -> None:
        """At most *left* recipients wait for their turn. Fails when nothing moves any more."""
        before, since = -1, time.monotonic()
        while True:
            try:
                waiting = self.roster.counts(campaign)["queued"]
            except (RedisError, OSError):
                waiting = before
            if 0 <= waiting <= left:
                return
            if waiting != before or self.enemy.raging:
                before, since = waiting, time.monotonic()
            assert time.monotonic() < since + STUCK_SECONDS, f"{waiting} left\n{self.product.log()[-3000:]}"
            time.sleep(0.2)

    def still_leave(self, campaign: str, do: Callable[[], object]) -> int:
        """How many texts leave after *do* has said that it is done."""
        do()
        before = sum(1 for _ in self.out(campaign))
        time.sleep(5)
        return sum(1 for _ in self.out(campaign)) - before


def made_up(count: int, dice: random.Random) -> tuple[str, list[str | None]]:
    """A file, and for each of its rows the number that is to be texted, None for one that must be refused."""
    lines, expected = [], list[str | None]()
    for number in range(count):
        ours, kind = phone(number), dice.randrange(100) if number else 99
        bad = {
            0: f"{ours},en,,,\n", 1: f"{ours[:-3]},en,yes,form,\n", 2: f"{phone(0)},es,yes,form,\n",
            3: "+14165550142,en,yes,form,\n", 4: f"{ours},en,no,form,\n",
        }  # fmt: skip
        lines.append(bad.get(kind, f"{ours},{'es' if number % 3 else 'en'},yes,form,\n"))
        expected.append(None if kind in bad else ours)
    return HEAD + "".join(lines), expected


def test_a_campaign_loses_nobody_and_writes_to_nobody_twice_whatever_dies() -> None:
    """Each row's result is what the carrier has; pause and cancel hold within one batch of each worker."""
    dice, began = random.Random(SEED), time.monotonic()
    with Product(workers=WORKERS, settle=15.0, **SENDER) as product:
        staff, enemy = Staff(product, dice), Enemy(product, SEED, 1.5, rounds=max(1, min(4, ROWS // 2500)))
        watch = Watch(product, enemy)
        enemy.spare = SPARED
        text, expected = made_up(ROWS, dice)
        (first := product.folder / "first.csv").write_text(text)
        (second := product.folder / "second.csv").write_text(
            HEAD + "".join(f"{phone(5_000_000 + n)},en,yes,form,\n" for n in range(ROWS // 5))
        )
        wanted = sum(number is not None for number in expected)
        product.carrier_door.moment = Hunter(enemy, ROWS // 20).moment
        with enemy:
            one = staff.sends(first, wanted, deaths=3)
            watch.until(one, wanted * 4 // 5)
            paused = watch.still_leave(one, lambda: staff.does("pause", one))
            staff.does("resume", one)
            watch.until(one, wanted // 2)
        watch.until(one, 0)
        two = staff.sends(second, ROWS // 5, deaths=0)
        watch.until(two, ROWS // 6)
        cancelled = watch.still_leave(two, lambda: staff.does("cancel", two))
        watch.until(two, 0)
        figures = {"seed": SEED, "rows": ROWS, "still left after pause": paused, "after cancel": cancelled,
                   "sender killed": staff.killed, "harm": dict(enemy.done), "answers lost": product.carrier_door.lost}  # fmt: skip
        found = [
            compare(watch, staff, one, expected),
            compare(watch, staff, two, [phone(5_000_000 + n) for n in range(ROWS // 5)]),
        ]
        print("\n" + json.dumps({**figures, "campaigns": found, "seconds": round(time.monotonic() - began)}))
        assert max(paused, cancelled) <= BATCH * WORKERS
        assert [one["wrong"] for one in found] == [{}, {}]


def _taken(states: Counter[str]) -> Counter[str]:
    """Sent or delivered is one here: reports that were lost with a web process may still come while this looks."""
    return Counter({**states, "sent": states["sent"] + states["delivered"], "delivered": 0})


def compare(watch: Watch, staff: Staff, campaign: str, expected: list[str | None]) -> dict[str, dict[str, int]]:
    """The result file against what the carrier took, row by row."""
    file = watch.product.folder / f"{campaign}.result.csv"
    staff.does("result", campaign, str(file))
    results = list(csv.DictReader(io.StringIO(file.read_text("utf-8-sig"), newline="")))
    assert [int(row["row"]) for row in results] == list(range(2, len(expected) + 2))
    listed = {one["sid"]: one["to"] for one in watch.books.taken()}
    sids: dict[str, list[str]] = {}
    for effect, sid in watch.product.carrier_door.taken:
        sids.setdefault(effect, []).append(sid)
    wrong, seen = Counter[str](), Counter[str]()
    for row, number in zip(results, expected, strict=True):
        state, effect = row["result"], watch.roster.effect(campaign, row["patient"], int(row["row"]))
        out = [listed[sid] for sid in sids.get(effect, [])] if row["patient"] else []
        seen[state] += 1
        seen["twice, and known to be"] += len(out) > 1
        wrong["refused"] += (number is None) != (state == "refused")
        wrong["no reason"] += not row["detail"]
        wrong["to another"] += any(to != number for to in out)
        wrong["lost"] += number is not None and not out and state not in ("cancelled", "unknown")
        wrong["result"] += state != "unknown" and bool(out) != (state in ("sent", "delivered"))
        wrong["twice unknowingly"] += len(out) > 1 and watch.books.sends.how(effect) != "again"
    wrong["progress"] = sum((_taken(+watch.roster.counts(campaign)) - _taken(seen)).values())
    return {"results": dict(+seen), "wrong": dict(+wrong)}
