"""Exchanges that end: with a mail server or a webhook that answers a byte at a time. Libraries bound each wait, which such
a server never exceeds; here one clock for the whole exchange shuts its socket.

Must never know what is said. Only bot/staff_channels.py opens these.
"""

from __future__ import annotations

import contextlib
import smtplib
import socket
import threading
from collections.abc import Callable, Iterator
from typing import Any

from requests.adapters import HTTPAdapter


@contextlib.contextmanager
def ends_within(seconds: float, door: Callable[[], socket.socket | None]) -> Iterator[None]:
    """After *seconds* the socket of *door* is shut: whoever reads or writes on it gets an error at once."""
    clock = threading.Timer(seconds, lambda: _shut(door()))
    clock.daemon = True
    clock.start()
    try:
        yield
    finally:
        clock.cancel()


def _shut(door: socket.socket | None) -> None:
    if door is not None:
        with contextlib.suppress(OSError):  # it is closed already
            # The plain way also for TLS, whose own shutdown would let what follows go out unencrypted.
            socket.socket.shutdown(door, socket.SHUT_RDWR)


class _Known:
    """Of smtplib: one that can be shut while its constructor waits for the first word."""

    sock: socket.socket | None = None

    def __init__(self, seconds: float, *given: Any, **more: Any) -> None:
        with ends_within(seconds, lambda: self.sock):
            super().__init__(*given, **more)


class Mail(_Known, smtplib.SMTP):
    """smtplib.SMTP whose greeting comes within *seconds* or not at all."""


class TlsMail(_Known, smtplib.SMTP_SSL):
    """smtplib.SMTP_SSL, likewise."""


class Post(HTTPAdapter):
    """For a requests session with one request: *door* is its socket while it is under way."""

    def __init__(self) -> None:
        super().__init__()
        self._open: list[Any] = []

    def door(self) -> socket.socket | None:
        """The socket, or None."""
        return self._open[-1].sock if self._open else None

    def get_connection_with_tls_context(self, *given: Any, **more: Any) -> Any:
        """See HTTPAdapter; each connection is noted before it says anything."""
        pool, noted = super().get_connection_with_tls_context(*given, **more), self._open
        made: Any = pool.ConnectionCls

        class Noted(made):  # type: ignore[misc]  # which of two it is depends on the address
            def connect(self) -> None:
                noted.append(self)
                super().connect()

        pool.ConnectionCls = Noted
        return pool
