"""One worker process: an RQ worker on one queue, and a relay that hands it what is due.

Started by ``make run`` and the Procfile. Runs jobs in the process itself (a fork costs 10 ms, a job of ours less); what
dies with it is done again from the ledger when its lease ends.
"""

from __future__ import annotations

import random
import signal
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any, Literal

from rq import SimpleWorker
from rq.job import Job
from rq.serializers import JSONSerializer

from bot.catalog import load_flows
from bot.flow.load import FlowError
from bot.logs import places, set_up_logs
from bot.proved import RefusedError, require_proof
from bot.relay import JOB, QUEUE, Relay
from bot.settings import Settings, SettingsError
from bot.store.client import AWAY, connect
from bot.unread import Unread
from bot.wiring import build, go_live
from workers import executor

SWEEP_SECONDS = 0.1
AGAIN_SECONDS = 0.5


class JobFailedError(RuntimeError):
    """A job of ours broke; what was due is due again when its lease ends."""


class AllowedJob(Job):
    """Runs the one function that this queue is for. JSON is no boundary: a forged job may name ``os.system``."""

    def _refuse_others(self) -> None:
        named = (self.func_name, self._success_callback_name, self._failure_callback_name, self._stopped_callback_name)
        if named[0] != JOB or any(named[1:]):
            raise PermissionError("This queue runs one function, and this job names another.")

    def perform(self) -> Any:
        """Refuse before anything of the job is imported. RQ keeps and logs the text of an exception, which may hold a
        number or a patient's words: it gets the kind and the place."""
        self._refuse_others()
        try:
            return super().perform()
        except Exception as error:
            raise JobFailedError(f"{type(error).__name__} at {places(error)}") from None

    @property
    def success_callback(self) -> None:
        """No job of ours has one; a forged one is not imported."""
        return

    @property
    def failure_callback(self) -> None:
        """As success_callback."""
        return

    @property
    def stopped_callback(self) -> None:
        """As success_callback."""
        return


class Worker(SimpleWorker):
    """Public knobs of RQ, tuned: a dead worker's claim on its job ends within half a minute."""

    job_class = AllowedJob
    max_connection_wait_time = 2.0  # RQ's own doubles up to a minute, which is then lost when the store is back
    told_to_stop = False

    def get_heartbeat_ttl(self, job: Job, working_time: float = 0.0) -> int:
        """Seconds; RQ's own adds a fixed minute."""
        return 20

    def handle_warm_shutdown_request(self) -> None:
        """A signal came: this end is no fault of the store's."""
        self.told_to_stop = True
        super().handle_warm_shutdown_request()  # type: ignore[no-untyped-call]  # no annotations there

    def teardown(self) -> None:
        """As RQ's; when the store is away and cannot be told, the listening thread ends all the same."""
        try:
            super().teardown()  # type: ignore[no-untyped-call]  # no annotations there
        except AWAY:
            if self.pubsub_thread:
                self.pubsub_thread.stop()


def make_worker(queue_client: Any) -> Worker:
    """An RQ worker on the one queue, with a random name."""
    return Worker(
        [QUEUE],
        connection=queue_client,
        serializer=JSONSerializer,
        job_class=AllowedJob,
        worker_ttl=30,
        maintenance_interval=15,
        job_monitoring_interval=5,
        log_job_description=False,
        disable_default_exception_handler=True,
        exception_handlers=[lambda *_: False],
    )


def work_until_told(queue_client: Any) -> None:
    """RQ's worker ends at the first word of a store that is full, read-only or away. This process goes on with a new
    one: to start it again costs two seconds of imports and its supervisor's pause, at every such word."""
    told = False
    while not told:
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, _leave)  # RQ's own handlers are those of a worker that works
        worker = make_worker(queue_client)
        with suppress(*AWAY):
            worker.work(logging_level="WARNING")
        told = worker.told_to_stop
        if not told:
            time.sleep(AGAIN_SECONDS * (0.5 + random.random()))  # noqa: S311  # jitter, not a secret


def _leave(*_: object) -> None:
    raise SystemExit(0)


def _relay_for_ever(relay: Relay, stop: threading.Event) -> None:
    """Sweep until told to stop. A store that is away is tried again; nothing is lost meanwhile."""
    while not stop.wait(SWEEP_SECONDS):
        try:
            relay.sweep()
        except AWAY:
            stop.wait(1.0)


def main(mode: Literal["serve", "burst"] = "serve") -> int:
    """Run until a signal comes; with ``--burst`` until nothing is due."""
    try:
        settings = Settings.load()
    except SettingsError as error:
        print("The settings do not fit:", *error.problems, sep="\n  - ", file=sys.stderr)
        return 2
    try:
        require_proof(load_flows(), settings.data_dir, settings.secret_keys[0])
        set_up_logs(settings.log_level)
        app = build(settings, role="worker")
        go_live(settings, app.state_url)
    except (FlowError, RefusedError) as error:
        print(error, file=sys.stderr)
        return 2
    except AWAY:
        return 1  # the supervisor starts a new one
    pool = ThreadPoolExecutor(settings.worker_threads, "effects")
    executor.install(executor.Executor(app.store, app.office(), app.now, pool.submit))
    try:
        app.retention().plant(app.now())
        Unread(app.store).plant(app.now())
    except AWAY:
        return 1  # the supervisor starts a new one
    queue_client = connect(settings.queue_url or app.state_url, role="worker")
    relay = Relay(app.store, connect(settings.queue_url or app.state_url, role="web"), app.now)
    if mode == "burst":
        while relay.sweep():
            make_worker(queue_client).work(burst=True, logging_level="WARNING")
        return 0
    stop = threading.Event()
    threading.Thread(target=_relay_for_ever, args=(relay, stop), daemon=True).start()
    try:
        work_until_told(queue_client)
    finally:
        stop.set()
    return 0


if __name__ == "__main__":
    sys.exit(main("burst" if "--burst" in sys.argv[1:] else "serve"))
