"""How requests come into the console's process: what it holds of those that are not whole yet, and for how long.

waitress buffers a whole request before a thread sees it, so what anybody may send is memory here before any page of ours
knows who they are. A body as large as a file comes only to where files are taken, and only a few at a time; a request has
a minute or two to be whole. Decides nothing about who may do what.
"""

from __future__ import annotations

import time
import weakref
from typing import Any, ClassVar

import waitress
from waitress import channel, parser, utilities

from bot.console.desk import policy

_waitress: Any = waitress  # untyped, as all of it
_Parser: Any = parser.HTTPRequestParser
_Channel: Any = channel.HTTPChannel
_Error: Any = utilities.Error

FORM_LIMIT = 64 * 1024
UPLOAD_LIMIT = 4 * 1024 * 1024
MOST_BODY = UPLOAD_LIMIT + 65_536
IN_MEMORY = 64_000_000  # what is larger goes into a temporary file, where patients' numbers would lie in clear
UPLOAD_PATH = "/outreach/new"
UPLOADS = 6  # bodies larger than a form at one time
CONNECTIONS = 1000
WHOLE_SECONDS, UPLOAD_SECONDS = 20.0, 120.0  # 4 MB at 300 kbit/s

_PAGE = """<!doctype html><html lang="en"><meta charset="utf-8"><title>{title}</title><main>
<h1>{title}</h1>
<p>{en}</p>
<p lang="es">{es}</p>
<p><a href="{way}">Go on / <span lang="es">Continuar</span></a></p></main></html>
"""
TOO_LARGE = _PAGE.format(
    title="That is too large",
    way=UPLOAD_PATH,
    en="A file may have 4 MB. Nothing of it was kept. Save only the columns that are needed, or split it.",
    es="Un archivo puede tener 4 MB. No se guardó nada. Guarde solo las columnas necesarias, o divídalo.",
)
NO_FILE = _PAGE.format(
    title="That is too large",
    way="/",
    en="A form may have 64 kB. Nothing was changed.",
    es="Un formulario puede tener 64 kB. No se cambió nada.",
)
BUSY = _PAGE.format(
    title="Not now",
    way=UPLOAD_PATH,
    en="Several files are being uploaded at this moment. Nothing of yours was kept. Wait a minute, then choose it again.",
    es="En este momento se están subiendo varios archivos. No se guardó nada del suyo. Espere un minuto y elíjalo otra vez.",
)


class _SaidError(_Error):  # type: ignore[misc]
    """A refusal before any page of ours: also then a person reads a sentence."""

    def __init__(self, code: int, reason: str, page: str) -> None:
        super().__init__("")
        self.code, self.reason, self.page = code, reason, page

    def to_response(self, ident: object = None) -> tuple[str, list[tuple[str, str]], bytes]:
        headers = [
            ("Content-Type", "text/html; charset=utf-8"),
            ("Content-Security-Policy", policy()),
            ("X-Content-Type-Options", "nosniff"),
            ("Cache-Control", "no-store"),
        ]
        return f"{self.code} {self.reason}", headers, self.page.encode()


class Reader(_Parser):  # type: ignore[misc]
    """One request while it comes in."""

    large: ClassVar[weakref.WeakSet[Reader]] = (
        weakref.WeakSet()
    )  # those that hold more than a form, until they are answered

    def __init__(self, adj: Any) -> None:
        super().__init__(adj)
        self.until = time.monotonic() + WHOLE_SECONDS
        self.error: Any = None

    def received(self, data: bytes) -> int:
        begun = self.headers_finished
        used: int = super().received(data)
        if not begun and self.headers_finished and not self.error and self._is_large():
            self._let_in()
        if isinstance(self.error, utilities.RequestEntityTooLarge):
            self.error = _SaidError(413, "Request Entity Too Large", TOO_LARGE)
        return used

    def _is_large(self) -> bool:
        return bool(self.chunked or self.content_length > FORM_LIMIT)

    def _let_in(self) -> None:
        if (self.command, self.path) != ("POST", UPLOAD_PATH):
            self.error, self.completed = _SaidError(413, "Request Entity Too Large", NO_FILE), True
        elif len(self.large) >= UPLOADS:
            self.error, self.completed = _SaidError(503, "Service Unavailable", BUSY), True
        else:
            self.until = time.monotonic() + UPLOAD_SECONDS
            self.large.add(self)


class Connection(_Channel):  # type: ignore[misc]
    """One connection; closed when its request is not whole in time, however often it sends a byte."""

    parser_class = Reader

    def readable(self) -> bool:
        if self.request is not None and time.monotonic() > self.request.until:
            self.will_close = True
        return bool(super().readable())

    def handle_close(self) -> None:
        self.request = None
        super().handle_close()


def make_server(app: Any, host: str, port: int) -> Any:
    """The console's server, bound and listening."""
    server = _waitress.create_server(
        app,
        host=host,
        port=port,
        threads=4,
        asyncore_use_poll=True,
        connection_limit=CONNECTIONS,
        channel_timeout=int(UPLOAD_SECONDS),
        cleanup_interval=5,
        max_request_body_size=MOST_BODY,
        max_request_header_size=32 * 1024,
        inbuf_overflow=IN_MEMORY,
        outbuf_overflow=IN_MEMORY,
        clear_untrusted_proxy_headers=True,
        ident=None,
        expose_tracebacks=False,
    )
    server.channel_class = Connection
    return server
