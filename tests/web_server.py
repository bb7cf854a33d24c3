"""Run as a process by test_web_serve.py: the real server with the fake conversation, on a free port it prints."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterable
from typing import Any

from bot.web.serve import Place, serve
from tests.web_fake import FakeConversation, make_app


def build() -> Callable[..., Iterable[bytes]]:
    app = make_app(FakeConversation())

    def wrapped(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        path = environ["PATH_INFO"]
        if path == "/pid":
            start_response("200 OK", [("Content-Type", "text/plain")])
            return [str(os.getpid()).encode()]
        if path == "/slow":
            time.sleep(0.6)
            start_response("200 OK", [("Content-Type", "text/plain")])
            return [b"finished"]
        return app(environ, start_response)

    return wrapped


def broken() -> Callable[..., Iterable[bytes]]:
    raise RuntimeError("the application cannot be made")


if __name__ == "__main__":
    port, processes = int(sys.argv[1]), int(sys.argv[2])
    place = Place("127.0.0.1", port, processes, 2)
    make = broken if "broken" in sys.argv else build
    sys.exit(serve(make, place, lambda held: print(held, flush=True)))
