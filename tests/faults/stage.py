"""One crash run from beginning to end, of any size."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from bot.settings import Settings
from tests.faults.count import Books, Figures, count, overdue
from tests.faults.enemy import Enemy, Hunter
from tests.faults.people import ANSWER_SECONDS, Hooks, Patient, Watch
from tests.faults.product import Product

HALF_AN_HOUR = 3600.0  # and a half more: every reminder is due


@dataclass(frozen=True)
class Run:
    """*turns_per_harm*: how many webhooks are answered between two harms, so that the fire lasts as long as the talk.
    *settle*, *longest*, *rounds*: as in part.py and enemy.py; *texts_per_kill*: as for the Hunter."""

    seed: int
    patients: int
    workers: int
    settle: float
    longest: float
    turns_per_harm: float
    texts_per_kill: int
    rounds: int = 0


def settings_of(product: Product) -> Settings:
    """What the web process runs with: a wanted port that was taken is another one there."""
    given = Path(f"/proc/{product.pids('tests.faults.part web')[0]}/environ").read_text().split("\0")
    return Settings.load(dict(one.split("=", 1) for one in given if "=" in one))


def crash(run: Run) -> Figures:
    """Talk under fire, be reminded under fire, count. Prints the figures."""
    with Product(workers=run.workers, settle=run.settle) as product, _told(product):
        settings = settings_of(product)
        books = Books(product, settings)
        enemy = Enemy(product, run.seed, run.longest, run.rounds)
        began = time.monotonic()
        patients, hooks = _talk(run, settings, enemy)
        _rest(books)
        _remind(run, books, enemy)
        _rest(books)
        figures = count(books, patients)
        figures.check("answer that took too long", round(hooks.slowest, 1), hooks.slowest < ANSWER_SECONDS)
        figures.check("kinds of harm left out", "", {one.__name__ for one in enemy.kinds} <= enemy.done.keys())
        figures.seen = {
            "seed": run.seed, **figures.seen, "slowest answer ms": round(hooks.slowest * 1000),
            "harms": sum(enemy.done.values()), "harm": dict(sorted(enemy.done.items())), **hooks.counts,
            "seconds": round(time.monotonic() - began), "wrong": dict(figures.wrong),
        }  # fmt: skip
        print("\n" + json.dumps(figures.seen))
        return figures


@contextmanager
def _told(product: Product) -> Iterator[None]:
    """A run that ends otherwise than by counting shows what the product and its store said last."""
    try:
        yield
    except BaseException:
        for pid in product.pids("tests.faults.part"):
            os.kill(pid, signal.SIGUSR1)
        time.sleep(1.0)
        print(
            product.log()[-20_000:], (product.server.folder / "log").read_text("utf-8", "replace")[-4000:], sep="\n--\n"
        )
        raise


def _talk(run: Run, settings: Settings, enemy: Enemy) -> tuple[Sequence[Patient], Hooks]:
    """Everybody says what they have to say, no faster than harm is done."""
    watch = Watch(enemy.product.cpu_seconds)

    def pace(answered: int) -> None:
        while answered > run.turns_per_harm * (1 + sum(enemy.done.values())) and enemy.raging:
            watch.look(sum(enemy.done.values()))
            time.sleep(0.02)

    hooks = Hooks(settings, pace)
    hooks.watch.used = enemy.product.cpu_seconds
    enemy.life = lambda: hooks.counts["answers"]
    with enemy, ThreadPoolExecutor(8) as pool:
        return list(pool.map(lambda number: Patient(hooks, number, run.seed).talk(), range(1, run.patients + 1))), hooks


def _remind(run: Run, books: Books, enemy: Enemy) -> None:
    """Half an hour later everyone who left a question open is reminded once; the workers die in the middle of it."""
    # The hunter has the workers for itself; in a short run it is alone.
    spared = (one.__name__ for one in enemy.kinds) if run.rounds else ("kill_worker", "freeze_worker", "clock_behind")
    enemy.spare = frozenset(spared)
    books.product.carrier_door.moment = Hunter(enemy, run.texts_per_kill).moment
    books.now.advance(HALF_AN_HOUR)
    enemy.lose_sends()
    enemy.life = lambda: len(books.product.carrier_door.taken)
    with enemy:
        _rest(books)
    books.product.carrier_door.moment = lambda: None


def _rest(books: Books) -> None:
    """Until nothing is kept, due or begun any more."""
    watch = Watch(books.product.cpu_seconds)
    while (left := overdue(books)) is None or any(left[:3]):
        _wait(books, watch)


def _wait(books: Books, watch: Watch) -> None:
    """Time goes twenty times as fast, so that leases, looks and rests of the carrier are not waited for."""
    watch.look(overdue(books))
    time.sleep(0.25)
    books.now.advance(5.0)
