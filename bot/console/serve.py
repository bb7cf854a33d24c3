"""``python -m bot.console.serve``: the console's process. One process of a few threads is plenty for a clinic's staff.

It also serves Prometheus, because it is the one process that runs once and neither forks nor ends with a worker.
"""

from __future__ import annotations

import importlib
import signal
import sys

from bot.console.app import create_app
from bot.console.door import make_server
from bot.logs import set_up_logs
from bot.metrics import MetricsError, serve_metrics
from bot.settings import Settings, SettingsError


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
    server = make_server(app, settings.host, settings.console_port)
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
