"""The web server: waitress in several processes on one port, used by `make run` and the Procfile alike.

waitress reads a whole request before a thread sees it, so clients that send slowly cost a descriptor and not a thread
(measured against gunicorn and granian in shared/reference/performance.md). Knows nothing of what is served.
"""

from __future__ import annotations

import errno
import gc
import importlib
import logging
import os
import resource
import select
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import waitress
from waitress import wasyncore

from bot.flow.load import FlowError
from bot.logs import places, set_up_logs
from bot.proved import RefusedError, require_proof
from bot.settings import Settings, SettingsError
from bot.store.client import AWAY
from bot.store.embedded import EmbeddedServer, ServerError

_waitress: Any = waitress  # untyped
_loop: Any = wasyncore.loop
log = logging.getLogger("bot.web.serve")

CONNECTION_LIMIT = 4000
BODY_LIMIT = 64 * 1024
SILENT_SECONDS = 20  # a connection that sends nothing for so long is closed
WHOLE_SECONDS = 20  # and one whose request is not whole after so long, however often it sends a byte
DRAIN_SECONDS = 10.0  # how long accepted requests may take to finish after SIGTERM
QUICK_DEATH_SECONDS, QUICK_DEATHS = 5.0, 5  # a process that dies so soon so often will not do better

Application = Callable[..., Any]


class ServeError(Exception):
    """The server cannot run; the message says why and what to do."""


@dataclass(frozen=True)
class Place:
    """Where and how wide to serve. *port* 0 takes a free one."""

    host: str = "127.0.0.1"
    port: int = 8000
    processes: int = 2
    threads: int = 4


def serve(build: Callable[[], Application], place: Place, announce: Callable[[int], None] = lambda port: None) -> int:
    """Serves until SIGTERM or SIGINT, then finishes what was accepted. Returns the exit status.

    *build* makes the application inside each process, after the fork, so that no connection is shared. *announce* gets
    the port once it is held. A process that dies is replaced. Raises `ServeError` when the port is taken.
    """
    if threading.active_count() > 1:
        raise ServeError("the web server forks, so it must start before any thread; call serve() first")
    with _hold(place) as held:
        port = held.getsockname()[1]
        announce(port)
        return _Family(build, Place(place.host, port, place.processes, place.threads)).run()


def _hold(place: Place) -> socket.socket:
    """The port, bound but not listening: it stays ours, and every process can bind it too."""
    with socket.socket() as probe:
        # Without this try a second server would silently share the port with the first.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((place.host, place.port))
            probe.listen(1)
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                hint = "stop what uses it, or set WEB_PORT"
            else:
                hint = "set WEB_HOST and WEB_PORT to an address of this machine"
            raise ServeError(
                f"{place.host}:{place.port} cannot be used ({os.strerror(error.errno or 0)}); {hint}"
            ) from None
    return _shared_socket(place.host, place.port)


def _shared_socket(host: str, port: int) -> socket.socket:
    shared = socket.socket()
    shared.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    shared.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    shared.bind((host, port))
    return shared


class _Family:
    """The parent: starts the processes, replaces the dead, passes the signal to stop."""

    def __init__(self, build: Callable[[], Application], place: Place) -> None:
        self._build, self._place = build, place
        self._children: dict[int, float] = {}
        self._quick_deaths = 0
        self._stopping = False
        # Children read this pipe: it ends when the parent does, however it dies.
        self._alive_read, self._alive_write = os.pipe()

    def run(self) -> int:
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._stop)
        # What is loaded by now stays for good. Collections that would walk it in every process would also unshare it.
        gc.collect()
        gc.freeze()
        for _ in range(self._place.processes):
            self._start()
        while self._children:
            child, status = os.wait()
            self._bury(child, status)
        os.close(self._alive_write)
        return 1 if self._quick_deaths >= QUICK_DEATHS else 0

    def _start(self) -> None:
        # Blocked across the fork: a signal between it and the child's own handlers would be lost.
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM, signal.SIGINT})
        child = _fork(lambda: _child(self._build, self._place, self._alive_read), self._alive_write)
        self._children[child] = time.monotonic()
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM, signal.SIGINT})
        if self._stopping:
            os.kill(child, signal.SIGTERM)

    def _bury(self, child: int, status: int) -> None:
        started = self._children.pop(child, None)
        if started is None or self._stopping:
            return
        quick = time.monotonic() - started < QUICK_DEATH_SECONDS
        self._quick_deaths = self._quick_deaths + 1 if quick else 0
        log.error("a web process ended (status %s); %s", status, "giving up" if self._hopeless else "starting another")
        if self._hopeless:
            self._stop()
        else:
            self._start()

    @property
    def _hopeless(self) -> bool:
        return self._quick_deaths >= QUICK_DEATHS

    def _stop(self, *_: object) -> None:
        self._stopping = True
        for child in list(self._children):
            try:
                os.kill(child, signal.SIGTERM)
            except ProcessLookupError:
                continue


def _fork(work: Callable[[], int], ours: int) -> int:
    """A process that runs *work*, without our end *ours* of a pipe, and exits with what it gives. Its process id."""
    child = os.fork()
    if child == 0:
        status = 1
        try:
            os.close(ours)
            status = work()
        except Exception as error:
            log.error("a process of the web server broke: %s at %s", type(error).__name__, places(error))
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(status)
    return child


def _child(build: Callable[[], Application], place: Place, alive: int) -> int:
    # Until it serves, a process may simply die. Unblocked before *build*, since what that starts inherits the mask and
    # would never hear SIGTERM. Ctrl-C reaches the whole group; the parent turns it into one SIGTERM each.
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM, signal.SIGINT})
    server = _Draining(build(), place)
    signal.signal(signal.SIGTERM, server.stop)
    threading.Thread(target=_follow_parent, args=(alive,), daemon=True).start()
    server.run()
    return 0


def _follow_parent(alive: int) -> None:
    os.read(alive, 1)
    os.kill(os.getpid(), signal.SIGTERM)


class _Draining:
    """One waitress server that stops accepting on SIGTERM and leaves when the accepted requests are answered."""

    def __init__(self, application: Application, place: Place) -> None:
        # It warns on every queued request, which is its normal work.
        logging.getLogger("waitress.queue").setLevel(logging.ERROR)
        self._server: Any = _waitress.create_server(
            application,
            sockets=[_shared_socket(place.host, place.port)],
            threads=place.threads,
            asyncore_use_poll=True,
            connection_limit=_connections(),
            backlog=1024,
            channel_timeout=SILENT_SECONDS,
            cleanup_interval=5,
            max_request_body_size=BODY_LIMIT,
            max_request_header_size=32 * 1024,
            clear_untrusted_proxy_headers=True,
            ident=None,
            expose_tracebacks=False,
        )
        self._deadline: float | None = None
        self._half: dict[Any, float] = {}
        self._looked = 0.0

    def stop(self, *_: object) -> None:
        self._deadline = self._deadline or time.monotonic() + DRAIN_SECONDS

    def run(self) -> None:
        while self._deadline is None:
            self._turn(1.0)
            if time.monotonic() - self._looked > 2.0:
                self._drop_the_slow()
        self._accept_the_waiting()
        self._close_door()
        quiet = 0
        # Twice, so that a request whose bytes were just arriving is seen as well.
        while quiet < 2 and time.monotonic() < self._deadline:
            self._turn(0.05)
            quiet = 0 if self._busy() else quiet + 1
        self._server.task_dispatcher.shutdown()

    def _drop_the_slow(self) -> None:
        """waitress only closes what is silent; a client that sends a byte now and then would stay for ever."""
        self._looked = now = time.monotonic()
        half = {channel.request for channel in self._server.active_channels.values() if channel.request is not None}
        self._half = {request: self._half.get(request, now) for request in half}
        for channel in self._server.active_channels.values():
            if channel.request is not None and now - self._half.get(channel.request, now) > WHOLE_SECONDS:
                channel.will_close = True

    def _turn(self, seconds: float) -> None:
        _loop(timeout=seconds, use_poll=True, map=self._server._map, count=1)

    def _accept_the_waiting(self) -> None:
        """Connections the system has accepted for this process would be reset by closing; take them in first."""
        for _ in range(200):
            if not select.select([self._server.socket], [], [], 0)[0]:
                return
            self._turn(0)

    def _close_door(self) -> None:
        self._server.accepting = False
        self._server.del_channel()
        self._server.socket.close()

    def _busy(self) -> bool:
        return any(channel.requests or channel.total_outbufs_len for channel in self._server.active_channels.values())


def _connections() -> int:
    """The connection limit, lowered to what the process may open."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = CONNECTION_LIMIT + 200
    if soft < wanted:
        limit = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (limit, hard))
        soft = limit
    return min(CONNECTION_LIMIT, max(64, soft - 200))


def main() -> int:
    """``python -m bot.web.serve``: the web part of the product, from the environment."""
    try:
        settings = Settings.load()
        set_up_logs(settings.log_level)
        # By name: the parts are put together above this room. Before the fork, so that the processes share its memory.
        # A flow that is malformed or breaks an invariant is refused here, once, with every error.
        catalog = importlib.import_module("bot.catalog")
        catalog.load_words(), catalog.load_flows()
        make = importlib.import_module("bot.wiring").make_web_app
        place = Place(settings.host, settings.web_port, settings.web_processes, settings.web_threads)
        with _store_for(settings) as state_url:
            refused = _apart(lambda: _prove_and_publish(settings, state_url))
            if refused:
                return refused
            with_store = settings.model_copy(update={"state_url": state_url})
            return serve(lambda: make(with_store), place)
    except (SettingsError, ServerError, ServeError, FlowError) as error:
        print(error, file=sys.stderr)
        return 2


def _apart(work: Callable[[], int]) -> int:
    """The exit status of *work* in a process of its own: what it leaves in memory is then in none that serves."""
    alive, ours = os.pipe()

    def run() -> int:
        threading.Thread(target=_follow_parent, args=(alive,), daemon=True).start()
        return work()

    child = _fork(run, ours)
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    os.close(alive)
    os.close(ours)
    if status < 0:
        log.error("signal %s ended the process that proves and publishes the flows; nothing is served", -status)
    return abs(status)


def _prove_and_publish(settings: Settings, state_url: str) -> int:
    """0 when what will be served may be served. Proofs and comparisons are 2 MB, and 30 where something had to be proved."""
    try:
        require_proof(importlib.import_module("bot.catalog").load_flows(), settings.data_dir, settings.secret_keys[0])
        _go_live(settings, state_url)
    except (FlowError, RefusedError) as error:
        print(error, file=sys.stderr)
        return 2
    return 0


def _go_live(settings: Settings, state_url: str) -> None:
    """Publish what will be served. Without a store it is served nobody until that was possible (bot/wiring.py)."""
    try:
        for sentence in importlib.import_module("bot.wiring").go_live(settings, state_url):
            log.warning("%s", sentence)
    except AWAY as error:
        log.error("the store is away (%s): every webhook gets the static answer until it is back", type(error).__name__)


@contextmanager
def _store_for(settings: Settings) -> Iterator[str]:
    """STATE_URL, or an embedded server held by this parent: owned by one of the processes it would die with that one."""
    if settings.state_url is not None:
        yield settings.state_url
        return
    server = EmbeddedServer(settings.data_dir)
    server.start()
    try:
        yield server.url
    finally:
        server.stop()


if __name__ == "__main__":
    sys.exit(main())
