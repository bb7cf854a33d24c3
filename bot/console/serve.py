"""``python -m bot.console.serve``: the console's process. One process of a few threads is plenty for a clinic's staff.

It also serves Prometheus, because it is the one process that runs once and neither forks nor ends with a worker.
"""

from __future__ import annotations

import importlib
import signal
import sys
from typing import Any

import waitress

from bot.console.app import CSP, UPLOAD_LIMIT, create_app
from bot.logs import set_up_logs
from bot.metrics import MetricsError, serve_metrics
from bot.settings import Settings, SettingsError

_waitress: Any = waitress  # untyped
MOST_BODY = UPLOAD_LIMIT + 65_536
IN_MEMORY = 64_000_000  # what is larger goes into a temporary file, where patients' numbers would lie in clear


TOO_LARGE = """<!doctype html><html lang="en"><meta charset="utf-8"><title>Too large</title><main>
<h1>That is too large</h1>
<p>A file may have 4 MB. Nothing of it was kept. Save only the columns that are needed, or split it.</p>
<p lang="es">Un archivo puede tener 4 MB. No se guardó nada. Guarde solo las columnas necesarias, o divídalo.</p>
<p><a href="/outreach/new">Choose another file / <span lang="es">Elegir otro archivo</span></a></p></main></html>
"""


def say_too_large() -> None:
    """What is far too large is refused while it comes in, before any page of ours: also then a person reads a sentence."""

    def to_response(error: Any, ident: object = None) -> tuple[str, list[tuple[str, str]], bytes]:
        headers = {
            "Content-Type": "text/html; charset=utf-8",
            "Content-Security-Policy": CSP,
            "Cache-Control": "no-store",
        }
        return f"{error.code} {error.reason}", list(headers.items()), TOO_LARGE.encode()

    _waitress.utilities.RequestEntityTooLarge.to_response = to_response


def main() -> int:
    """Serve until SIGTERM or Ctrl-C."""
    try:
        settings = Settings.load()
    except SettingsError as error:
        print(error, file=sys.stderr)
        return 2
    set_up_logs(settings.log_level)
    # By name: the parts are put together above this room.
    desk = importlib.import_module("bot.wiring").make_console_desk(settings)
    app = create_app(desk)
    try:
        serve_metrics(desk.store, settings, desk.now)
    except MetricsError as error:
        print(error, file=sys.stderr)  # staff can work without it
    say_too_large()
    server = _waitress.create_server(
        app,
        host=settings.host,
        port=settings.console_port,
        threads=4,
        max_request_body_size=MOST_BODY,
        inbuf_overflow=IN_MEMORY,
        outbuf_overflow=IN_MEMORY,
        clear_untrusted_proxy_headers=True,
        ident=None,
        expose_tracebacks=False,
    )
    if desk.people.nobody_yet():
        token = desk.people.invite("administrator", "first run")
        print(f"Staff console, first administrator (one time, 24 hours): {desk.address}/join/{token}", flush=True)
    else:
        print(f"Staff console: {desk.address}/", flush=True)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the supervisor passes Ctrl-C on as SIGTERM
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    try:
        server.run()
    finally:
        server.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
