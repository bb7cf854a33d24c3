"""One seeded enemy of one running product: every kind of harm comes before any comes twice, and is healed after a moment."""

from __future__ import annotations

import os
import random
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress

from redis import Redis
from redis.exceptions import RedisError

from bot.sandbox.clock import clock_in
from bot.store.client import connect
from tests.faults.between import losses
from tests.faults.product import SERVERS, Product

JUMP = 120.0
BREATH_SECONDS = 10.0
LEASE = 25.0  # a little more than an effect is claimed for
WORKERS = ("tests.faults.part worker", "tests.faults.part other worker")


class Enemy:
    """In a ``with`` block it rages on a thread of its own. *longest*: seconds that a harm lasts. *spare*: names of harms
    that are left out; *rounds*: ends by itself after every kind came so often. *life*: what changes while the product
    gets on; on a slow machine the next harm waits for that, or nothing would ever come up again."""

    def __init__(self, product: Product, seed: int, longest: float, rounds: int = 0) -> None:
        self.product, self.dice, self.longest, self.rounds = product, random.Random(seed), longest, rounds
        self.done: Counter[str] = Counter()
        self.spare: frozenset[str] = frozenset()
        self.life: Callable[[], object] = time.monotonic
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._rage, daemon=True)
        self.kinds: list[Callable[[], None]] = [
            self.kill_web, self.kill_all_web, self.kill_worker, self.kill_store, self.freeze_store, self.freeze_worker,
            self.fill_memory, self.make_read_only, self.ask_for_a_replica, self.fill_disk, self.lose_answers_of_store,
            self.delay_answers_of_store, self.lose_sends, self.clock_ahead, self.clock_behind,
        ]  # fmt: skip

    def __enter__(self) -> Enemy:
        self._stop.clear()
        self._thread = threading.Thread(target=self._rage, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join(60)
        self.heal()

    @property
    def raging(self) -> bool:
        return self._thread.is_alive()

    def _rage(self) -> None:
        turn = 0
        while not self._stop.is_set() and (not self.rounds or turn < self.rounds):
            turn += 1
            for harm in self.dice.sample(self.kinds, len(self.kinds)):
                if harm.__name__ in self.spare or self._stop.wait(self.dice.uniform(0.05, self.longest / 2)):
                    continue
                with suppress(OSError, RedisError, IndexError):  # it was dead already
                    harm()
                self.done[harm.__name__] += 1
                before, until = self.life(), time.monotonic() + BREATH_SECONDS
                while self.life() == before and time.monotonic() < until and not self._stop.wait(0.05):
                    pass

    def heal(self) -> None:
        """Whatever was done is undone; what was killed comes back by itself."""
        for pid in self.product.pids(*SERVERS, *WORKERS):
            with suppress(OSError):
                os.kill(pid, signal.SIGCONT)
        self.product.make_room()
        door = self.product.store_door
        door.cut = door.stall = 0
        self.product.carrier_door.plan.clear()
        for role in ("web", "worker", "other worker"):
            self.product.skew[role] = 0.0

    # -- processes --

    def kill_web(self) -> None:
        os.kill(self.dice.choice(self.product.pids("tests.faults.part web")[1:]), signal.SIGKILL)

    def kill_all_web(self) -> None:
        """The parent; its children follow it."""
        os.kill(self.product.pids("tests.faults.part web")[0], signal.SIGKILL)

    def kill_worker(self) -> None:
        os.kill(self.dice.choice(self.product.pids(*WORKERS)), signal.SIGKILL)

    def kill_workers(self) -> None:
        for pid in self.product.pids(*WORKERS):
            os.kill(pid, signal.SIGKILL)

    def freeze_worker(self) -> None:
        """Longer than what it has claimed is its own."""
        pid = self.dice.choice(self.product.pids(*WORKERS))
        os.kill(pid, signal.SIGSTOP)
        clock_in(self.product.folder).advance(LEASE)
        self._last()
        os.kill(pid, signal.SIGCONT)

    # -- the store --

    def kill_store(self) -> None:
        os.kill(self.product.pids(*SERVERS)[0], signal.SIGKILL)

    def freeze_store(self) -> None:
        pid = self.product.pids(*SERVERS)[0]
        os.kill(pid, signal.SIGSTOP)
        self._last(1.2)
        os.kill(pid, signal.SIGCONT)

    def fill_memory(self) -> None:
        self._configured("maxmemory", "1", "0")

    def ask_for_a_replica(self) -> None:
        """Writes are refused until a replica is there, which never comes."""
        self._configured("min-replicas-to-write", "1", "0")

    def make_read_only(self) -> None:
        with self._store() as client:
            client.replicaof("127.0.0.1", "1")
            self._last()
            client.replicaof("NO", "ONE")

    def fill_disk(self) -> None:
        self.product.fill_disk()
        self._last()
        self.product.make_room()

    def _store(self) -> Redis:
        """A client that waits, so that what was done is also undone on a busy machine."""
        return connect(self.product.server.url, role="worker")

    def _configured(self, name: str, bad: str, good: str) -> None:
        with self._store() as client:
            client.config_set(name, bad)
            self._last()
            client.config_set(name, good)

    # -- answers and clocks --

    def lose_answers_of_store(self) -> None:
        self.product.store_door.cut += self.dice.randint(1, 6)

    def delay_answers_of_store(self) -> None:
        self.product.store_door.stall += self.dice.randint(1, 3)

    def lose_sends(self) -> None:
        self.product.carrier_door.plan += losses(self.dice)

    def clock_ahead(self) -> None:
        self.product.skew[self._somebody()] = JUMP

    def clock_behind(self) -> None:
        self.product.skew[self._somebody()] = -JUMP

    def _somebody(self) -> str:
        return self.dice.choice(("web", "worker", "other worker"))

    def _last(self, least: float = 0.2) -> None:
        time.sleep(self.dice.uniform(least, max(least, self.longest)))


class Hunter:
    """Kills every worker at the worst moment of a send: before it reaches the carrier, when it was taken, right after."""

    def __init__(self, enemy: Enemy, every: int) -> None:
        self.enemy, self.every, self._left = enemy, every, 3 * every
        self._lock = threading.Lock()

    def moment(self) -> None:
        """Called by the carrier's door, three times for each text."""
        with self._lock:
            self._left -= 1
            if self._left > 0:
                return
            self._left = self.enemy.dice.randint(1, 2 * 3 * self.every)
        with suppress(OSError):
            self.enemy.kill_workers()
            self.enemy.done["kill_workers in a send"] += 1
