"""One clinic and its town in one process: the real app behind signed webhooks, an embedded store, the worker's executor,
the local Twilio and its clock. What is due and what people do happens in the order of that clock; nothing waits.

A process that dies loses everything but the store: app, conversation and worker are built anew.
"""

from __future__ import annotations

import heapq
import importlib
import itertools
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Literal
from zoneinfo import ZoneInfo

from waitress.server import create_server

from bot.catalog import load_flows, word_files
from bot.publish import keep
from bot.record import Record, from_bytes
from bot.relay import JOB
from bot.reports import Reports
from bot.sandbox.clock import SandboxClock, clock_in
from bot.sandbox.exchange import Sandbox
from bot.sandbox.model import SandboxConfig
from bot.sandbox.player import Call
from bot.sandbox.served import Served
from bot.sandbox.server import create_sandbox, listen
from bot.settings import Settings
from bot.simulate.deaths import DiedError, MortalCarrier
from bot.simulate.weather import Weather
from bot.store import lanes
from bot.store.embedded import EmbeddedServer
from bot.store.published import Published
from bot.store.store import Store, open_store
from bot.web import create_app
from bot.wiring import App, edition_of, put_together

ACCOUNT, TOKEN = "AC" + "5" * 32, "a-token-of-the-simulation"  # of the local Twilio only
OURS, NURSE = "+17135550100", "+17135550111"
BUCKETS = 3
Wsgi = Callable[[Any, Any], Any]
Change = Callable[[Wsgi], Wsgi]
Begin = Callable[[], tuple[App, Any]]
Mode = Literal["twilio", "advanced", "app"]


class Town:
    """*store*, *app*, *sandbox*, *weather* and *clock* of the running program, and the calendar of what will happen.
    *begin* starts the program's processes; *rings* is told of each call that we place, once its line rings."""

    def __init__(self, begin: Begin, sandbox: Sandbox, weather: Weather, clock: SandboxClock) -> None:
        self.sandbox, self.weather, self.clock = sandbox, weather, clock
        self.rings: Callable[[Call], None] = lambda call: None
        self._begin = begin
        self.app, self.worker = begin()
        self.store: Store = self.app.store
        self._calendar: list[tuple[float, int, Callable[[], None]]] = []
        self._count, self._lock = itertools.count(), threading.Lock()
        self._rung: set[str] = set()
        weather.later, weather.die = self.later, self.die

    def later(self, seconds: float, do: Callable[[], None]) -> None:
        """*do* happens in *seconds* of the virtual clock."""
        with self._lock:
            heapq.heappush(self._calendar, (self.clock() + seconds, next(self._count), do))

    def die(self) -> None:
        """The processes end with all that they remembered, and new ones begin on the same store."""
        self.app, self.worker = self._begin()

    def live(self) -> None:
        """Everything in the calendar, and everything that the bot plans meanwhile, in order of time."""
        while self._calendar:
            at, _, do = heapq.heappop(self._calendar)
            self.work_until(at)
            do()
            self.sandbox.settle()
            self._ring()

    def work_until(self, at: float) -> None:
        """What is due up to *at* is done, each thing at its time."""
        while (due := self._next_due()) is not None and due <= at:
            self._to(due)
            before = self._next_due()
            for bucket in self.store.due_buckets(self.clock()):
                self._drain(bucket)
            self.sandbox.settle()
            self._ring()
            if self._next_due() == before:  # held by a lease: it is looked at again with the next thing that happens
                break
        self._to(at)

    def patient(self, phone: str) -> str:
        """The opaque id."""
        return self.store.cipher.patient_id(phone)

    def record(self, phone: str) -> Record:
        """What the store holds of a phone."""
        raw = self.store.load(self.patient(phone), "-").record
        return from_bytes(raw) if raw else Record(phone)

    def _drain(self, bucket: int) -> None:
        try:
            self.worker.drain(bucket)
        except DiedError:
            self.weather.fates["worker died"] += 1
            self.die()

    def _ring(self) -> None:
        for call in list(self.sandbox.calls.values()):
            if call.waiting == "ring" and call.sid not in self._rung:
                self._rung.add(call.sid)
                self.rings(call)

    def _next_due(self) -> float | None:
        return lanes.oldest(self.store.each)

    def _to(self, at: float) -> None:
        self.clock.advance(max(0.0, at - self.clock()) + 0.001)


@contextmanager
def opened(folder: Path, seed: int, mode: Mode, change: Change) -> Iterator[Town]:
    """A town in *folder* on a Monday morning. *change* may put something before the app, such as a fault."""
    with ExitStack() as closing:
        server = EmbeddedServer(folder, fsync="no")
        server.start()
        closing.callback(server.stop)
        serving: list[Wsgi] = []
        bot = Served(create_server(lambda env, start: serving[-1](env, start), host="127.0.0.1", port=0, threads=2))  # type: ignore[no-untyped-call]
        closing.callback(bot.stop)
        settings = _settings(folder, bot.port, mode)
        clock = clock_in(folder)
        clock.advance(_monday_morning() - clock())
        store = open_store(server.url, settings.secret_keys, BUCKETS)
        keep(Published(store.client, store.cipher), edition_of(settings), load_flows(), word_files())
        sandbox, weather, port = _local_twilio(settings, clock, seed, mode, closing)
        sends: Counter[str] = Counter()

        def begin() -> tuple[App, Any]:
            app = put_together(settings, server.url, store, clock)
            reports = Reports(app.store, app.conversation, app.now, round(settings.price_per_minute * 1e6))
            web = create_app(settings, app.conversation, reports)
            serving[:] = [change(web.wsgi_app)]
            office = app.office()
            office.carrier.client.api.base_url = f"http://127.0.0.1:{port}"
            closing.callback(office.carrier.client.http_client.session.close)
            # How long a lost send is waited for is real time, of which none passes here.
            mortal = replace(office, carrier=MortalCarrier(office.carrier, seed, sends), settle=0.0)
            # By name, as the relay names its job: bot never imports workers.
            return app, importlib.import_module(JOB.rpartition(".")[0]).Executor(store, mortal, clock)

        yield Town(begin, sandbox, weather, clock)


def _settings(folder: Path, port: int, mode: Mode) -> Settings:
    return Settings.load(
        {
            "SANDBOX": "true", "DATA_DIR": str(folder), "PUBLIC_URL": f"http://127.0.0.1:{port}", "OPT_OUT_MODE": mode,
            "TWILIO_ACCOUNT_SID": ACCOUNT, "TWILIO_AUTH_TOKENS": TOKEN, "TWILIO_FROM": OURS, "CLINIC_PHONE": OURS,
            "NURSE_LINE": NURSE, "DAILY_SPEND_LIMIT": "100000",
        }
    )  # fmt: skip


def _local_twilio(
    settings: Settings, clock: SandboxClock, seed: int, mode: Mode, closing: ExitStack
) -> tuple[Sandbox, Weather, int]:
    config = SandboxConfig(
        ACCOUNT, TOKEN, settings.public_url, (OURS,), clock, clock.advance, opt_out_mode=mode,
        call_status_path="/call-status", steps=(0.0, 0.0),
    )  # fmt: skip
    web = create_sandbox(config)
    sandbox: Sandbox = web.extensions["sandbox"]
    closing.callback(sandbox.close)
    weather = sandbox.hooks = Weather(TOKEN, seed)
    sandbox.faults.duplicate = sandbox.faults.reverse = True
    served = Served(listen(web, port=0))
    closing.callback(served.stop)
    return sandbox, weather, served.port


def _monday_morning() -> float:
    """The next one: the clock only moves forward."""
    today = datetime.now(ZoneInfo("America/Chicago")).replace(hour=10, minute=0, second=0, microsecond=0)
    return (today + timedelta(days=7 - today.weekday())).timestamp()
