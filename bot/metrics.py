"""The deployment's figures for Prometheus: ``GET /metrics`` on a port of its own. Read when asked; keeps nothing.

Names counts, ages and fixed words only: no patient, no id, no text. Every figure is the store's, so one process tells
all of them however many web processes and workers there are.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import get_args
from wsgiref.simple_server import WSGIServer

from prometheus_client import start_http_server
from prometheus_client.core import CollectorRegistry, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from bot.sending import Cause, stops_in_force
from bot.settings import Settings
from bot.store.client import AWAY
from bot.store.store import Store
from bot.tasks import CLINICS
from bot.vitals import clinic_tasks, vitals


class MetricsError(Exception):
    """The port cannot be served; the message says what to do."""


@dataclass(frozen=True)
class Figures(Collector):
    """*now* is the product's time, *wall* this machine's."""

    store: Store
    now: Callable[[], float]
    wall: Callable[[], float] = time.time

    def collect(self) -> Iterator[Metric]:
        """All figures; only ``triage_up 0`` while the store is away, so that nobody takes an old figure for a new one."""
        try:
            found = list(self._found())
        except AWAY:
            found = []
        yield _gauge("up", "1 when the store answered this scrape, else 0 and no other figure", float(bool(found)))
        yield from found

    def _found(self) -> Iterator[Metric]:
        now = self.now()
        one = vitals(self.store, now, self.wall())
        stops = {stop.cause for stop in stops_in_force(self.store, now)}
        yield _gauge(
            "oldest_overdue_seconds", "How long the oldest overdue effect waits; 0 when none does", one.backlog
        )
        yield _gauge("overdue_effects", "Effects that are due and not yet done", one.overdue)
        yield _gauge("given_up_effects", "Dead letters: effects given up after many tries", one.dead)
        yield _gauge("open_tasks", "Tasks that wait for a person", one.tasks)
        swept = math.inf if one.swept is None else one.swept  # never: over every limit that an alarm has
        yield _gauge(
            "last_relay_age_seconds", "Since a worker last looked for due work; +Inf when none ever did", swept
        )
        yield _gauge("clock_skew_seconds", "The store's clock minus this machine's", one.skew)
        stopped = GaugeMetricFamily("triage_sending_stopped", "1 while this stops sending", labels=["cause"])
        for cause in get_args(Cause):
            stopped.add_metric([cause], float(cause in stops))
        yield stopped
        open_tasks = GaugeMetricFamily("triage_clinic_tasks", "Open tasks about the clinic itself", labels=["kind"])
        found = clinic_tasks(self.store)
        for kind in CLINICS:
            open_tasks.add_metric([kind], float(found[kind]))
        yield open_tasks


def _gauge(name: str, meaning: str, value: float) -> Metric:
    return GaugeMetricFamily(f"triage_{name}", meaning, value=value)


def serve_metrics(store: Store, settings: Settings, now: Callable[[], float]) -> WSGIServer | None:
    """Serve in a thread until the process ends; None when METRICS_PORT is 0. Raises `MetricsError`."""
    if not settings.metrics_port:
        return None
    registry = CollectorRegistry()
    registry.register(Figures(store, now))
    try:
        return start_http_server(settings.metrics_port, settings.metrics_host, registry)[0]
    except OSError as error:
        raise MetricsError(
            f"METRICS_PORT: {settings.metrics_host}:{settings.metrics_port} cannot be used "
            f"({error.strerror}); nothing is told to Prometheus until you set another and start again."
        ) from None
