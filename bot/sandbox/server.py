"""Puts the local Twilio together and serves it: REST double, phone page and their locks. Loopback only, always.

Refuses any address that could be reached from elsewhere; there is no setting that changes this.
"""

from __future__ import annotations

import ipaddress
import logging
from typing import Any

from flask import Flask, request
from waitress.server import create_server

from bot.sandbox.exchange import Sandbox
from bot.sandbox.model import RefusedError, SandboxConfig
from bot.sandbox.phone import phone_doors
from bot.sandbox.rest import guard, refused, rest_doors
from bot.sandbox.rest_calls import call_doors

REQUEST_LIMIT = 256 * 1024


def create_sandbox(config: SandboxConfig) -> Flask:
    """The Flask application; the Sandbox itself is ``app.extensions["sandbox"]``."""
    app = Flask(__name__, static_folder=None)
    app.config["MAX_CONTENT_LENGTH"] = app.config["MAX_FORM_MEMORY_SIZE"] = REQUEST_LIMIT
    sandbox = Sandbox(config)
    app.extensions["sandbox"] = sandbox
    app.register_blueprint(rest_doors(sandbox))
    app.register_blueprint(call_doors(sandbox))
    app.register_blueprint(phone_doors(sandbox))
    app.register_error_handler(RefusedError, refused)

    @app.before_request
    def locks() -> Any:
        host = request.host.rpartition(":")[0] or request.host
        # A page elsewhere could point a name of its own at 127.0.0.1; such a name is not in this list.
        if host not in ("127.0.0.1", "localhost", "[::1]"):
            return "The local Twilio answers to 127.0.0.1 only.\n", 421
        if request.blueprint in ("rest", "rest_calls"):
            guard(sandbox)
        return None

    return app


def listen(app: Flask, host: str = "127.0.0.1", port: int = 8010) -> Any:
    """A waitress server bound to *host* (loopback only) and *port* (0 = any); call ``run()`` on it.

    Raises ValueError for any other host."""
    try:
        loopback = ipaddress.ip_address(host).is_loopback
    except ValueError:
        loopback = host == "localhost"
    if not loopback:
        raise ValueError(f"The local Twilio only listens on 127.0.0.1, not on {host}: anybody could use it.")
    return create_server(  # type: ignore[no-untyped-call]
        app, host=host, port=port, threads=8, ident=""
    )


def serve(config: SandboxConfig, host: str = "127.0.0.1") -> None:
    """Runs until the process is told to stop."""
    logging.getLogger("waitress").setLevel(logging.ERROR)
    app = create_sandbox(config)
    server = listen(app, host, config.port)
    try:
        server.run()
    finally:
        app.extensions["sandbox"].close()
        server.close()
