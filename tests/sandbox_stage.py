"""A stand-in for the bot that checks signatures with twilio's own validator, and a served sandbox, for tests.

with Stage() as stage:
    stage.answer = lambda form: message("hello")
    stage.sandbox.text_in(PATIENT, "hi")
    stage.client.messages.create(...)      # the unmodified twilio client
"""

from __future__ import annotations

import json
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

from flask import Flask, Response, request
from twilio.request_validator import RequestValidator
from twilio.rest import Client
from waitress.server import create_server

from bot.sandbox.clock import SandboxClock
from bot.sandbox.exchange import Sandbox
from bot.sandbox.model import SandboxConfig
from bot.sandbox.served import Served
from bot.sandbox.server import create_sandbox, listen

ACCOUNT = "AC" + "1" * 32
TOKEN = "a-token-only-for-tests"
SERVICE = "MG" + "2" * 32
OURS = "+17135550100"
PATIENT = "+17135550123"
OTHER = "+17135550124"
XML = "text/xml"
OPENAPI = Path(__file__).resolve().parents[2] / "shared" / "twilio" / "twilio_api_v2010_messages_calls.min.json"


def message(*texts: str) -> str:
    return "<Response>" + "".join(f"<Message>{escape(text)}</Message>" for text in texts) + "</Response>"


class Stage:
    """Both servers on loopback ports of their own. ``posts`` is every (path, form) that carried a valid signature.

    *bot*: makes the WSGI application that stands behind ``public_url``, from that address; without it, the stand-in.
    """

    def __init__(self, directory: Path, *, bot: Callable[[str], Any] | None = None, **config: Any) -> None:
        self.answer: Callable[[str, dict[str, str]], Any] = lambda path, form: message("ok")
        self.posts: list[tuple[str, dict[str, str]]] = []
        self.tokens: list[str] = []
        self.methods: list[str] = []
        self.forged = 0
        self._servers: list[Served] = []
        application: Any = None
        port = self._serve(
            create_server(lambda environ, start: application(environ, start), host="127.0.0.1", port=0, threads=4)
        )
        self.public_url = f"http://127.0.0.1:{port}"
        application = bot(self.public_url) if bot else self._bot()
        clock = SandboxClock(directory / "clock.json")
        self.clock = clock
        settings: dict[str, Any] = {
            "account_sid": ACCOUNT,
            "auth_token": TOKEN,
            "public_url": self.public_url,
            "numbers": (OURS,),
            "clock": clock,
            "advance": clock.advance,
            "steps": (0.0, 0.0),
            "messaging_service_sid": SERVICE,
        }
        app = create_sandbox(SandboxConfig(**{**settings, **config}))
        self.app = app
        self.sandbox: Sandbox = app.extensions["sandbox"]
        self.port = self._serve(listen(app, port=0))
        self.client = Client(ACCOUNT, TOKEN)
        self.client.http_client.timeout = 5
        self.client.api.base_url = f"http://127.0.0.1:{self.port}"

    def __enter__(self) -> Stage:
        return self

    def __exit__(self, *_: object) -> None:
        self.sandbox.close()
        self.client.http_client.session.close()
        for served in self._servers:
            served.stop()

    def quit_twilio(self) -> None:
        """Stops the local Twilio's server, as if its process had died."""
        self._servers[-1].stop()

    def forms(self, path: str) -> list[dict[str, str]]:
        """What was posted to *path*, in order of arrival."""
        return [form for where, form in self.posts if where.partition("?")[0] == path]

    def _serve(self, server: Any) -> int:
        self._servers.append(Served(server))
        return self._servers[-1].port

    def _bot(self) -> Flask:
        app = Flask("stand-in")

        @app.route("/<path:_>", methods=["GET", "POST"])
        def webhook(_: str) -> Any:
            query = request.query_string.decode()
            path = request.path + (f"?{query}" if query else "")
            url = self.public_url + path
            if not RequestValidator(TOKEN).validate(url, request.form, request.headers.get("X-Twilio-Signature", "")):
                self.forged += 1
                return "forged", 403
            form = request.form.to_dict()
            self.posts.append((path, form))
            self.tokens.append(request.headers["I-Twilio-Idempotency-Token"])
            self.methods.append(request.method)
            answer = self.answer(path, form)
            return Response(answer, content_type=XML) if isinstance(answer, str) else answer

        return app


def openapi() -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads(OPENAPI.read_text(encoding="utf-8"))
    return loaded


def unused_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
