"""Doors between the product and its neighbours where answers get lost: in front of the store, in front of the carrier.

What a door loses has happened on the other side, or has not, and the product cannot know which.
"""

from __future__ import annotations

import asyncio
import json
import random
import threading
from collections import deque
from collections.abc import Callable
from http.client import HTTPConnection, HTTPException
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

STALL_SECONDS = 1.4  # longer than the web process waits for the store


class StoreDoor:
    """Bytes to the store and back. The next *cut* answers to scripts are lost with their connections, the next *stall*
    come too late."""

    def __init__(self, door: Path, upstream: Path) -> None:
        self._door, self._upstream = door, upstream
        self.cut = self.stall = self.lost = 0
        self._loop = asyncio.new_event_loop()
        ready = threading.Event()
        self._thread = threading.Thread(target=self._run, args=(ready,), daemon=True)
        self._thread.start()
        ready.wait(10)

    def close(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)

    def _run(self, ready: threading.Event) -> None:
        asyncio.set_event_loop(self._loop)
        server = self._loop.run_until_complete(asyncio.start_unix_server(self._serve, str(self._door)))
        ready.set()
        self._loop.run_forever()
        server.close()
        for task in asyncio.all_tasks(self._loop):
            task.cancel()
        self._loop.run_until_complete(asyncio.sleep(0))
        self._loop.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked = [False]
        try:
            up_reader, up_writer = await asyncio.open_unix_connection(str(self._upstream))
        except OSError:
            writer.close()
            return
        both = (
            asyncio.ensure_future(self._down(up_reader, writer, asked)),
            asyncio.ensure_future(self._up(reader, up_writer, asked)),
        )
        try:
            await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for one in both:
                one.cancel()
            writer.close()
            up_writer.close()

    async def _up(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, asked: list[bool]) -> None:
        try:
            while said := await reader.read(1 << 16):
                asked[0] = b"EVALSHA" in said
                writer.write(said)
                await writer.drain()
        except OSError:
            return

    async def _down(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, asked: list[bool]) -> None:
        try:
            while said := await reader.read(1 << 16):
                if asked[0] and self.cut:
                    self.cut, self.lost = self.cut - 1, self.lost + 1
                    return
                if asked[0] and self.stall:
                    self.stall, self.lost = self.stall - 1, self.lost + 1
                    await asyncio.sleep(STALL_SECONDS)
                asked[0] = False
                writer.write(said)
                await writer.drain()
        except OSError:
            return


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_: object) -> None:
        """A worker that was killed in the middle of a request."""


class CarrierDoor:
    """HTTP from the workers to the local Twilio. *plan*: what happens to the next texts, ``before`` (lost on the way
    there), ``after`` (taken, but the answer is lost) or ``"" `` for nothing. *taken*: (effect, SID) of all that were
    taken. *moment* is called before each, as it is taken and after."""

    def __init__(self) -> None:
        self.upstream = ""
        self.plan: deque[str] = deque()
        self.taken: list[tuple[str, str]] = []
        self.lost = 0
        self.moment: Callable[[], None] = lambda: None
        door = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                door._pass(self, "")

            def do_POST(self) -> None:
                door._pass(self, door.plan.popleft() if door.plan else "")

            def log_message(self, *_: object) -> None:
                return

        self._server = _Server(("127.0.0.1", 0), Handler)
        self.address = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(10)

    def _pass(self, request: BaseHTTPRequestHandler, fault: str) -> None:
        request.close_connection = bool(fault)
        try:
            body = request.rfile.read(int(request.headers.get("Content-Length") or 0))
            if request.command == "POST":
                self.moment()
            if fault == "before":
                self.lost += 1
                return
            status, kind, answer = self._forward(request, body)
            if request.command == "POST" and status == 201:
                self._note(body, answer)
                self.moment()
            if fault == "after":
                self.lost += 1
                return
            request.send_response(status)
            request.send_header("Content-Type", kind)
            request.send_header("Content-Length", str(len(answer)))
            request.end_headers()
            request.wfile.write(answer)
            if request.command == "POST":
                self.moment()
        except (OSError, HTTPException):
            request.close_connection = True

    def _forward(self, request: BaseHTTPRequestHandler, body: bytes) -> tuple[int, str, bytes]:
        to = urlsplit(self.upstream)
        link = HTTPConnection(to.hostname or "", to.port, timeout=30)
        kept = {name: request.headers[name] for name in ("Authorization", "Content-Type") if name in request.headers}
        try:
            link.request(request.command, request.path, body or None, kept)
            with link.getresponse() as found:
                return found.status, found.headers.get("Content-Type", ""), found.read()
        finally:
            link.close()

    def _note(self, body: bytes, answer: bytes) -> None:
        callback = parse_qs(body.decode())["StatusCallback"][0]
        self.taken.append((parse_qs(urlsplit(callback).query)["m"][0], json.loads(answer)["sid"]))


def losses(dice: random.Random) -> list[str]:
    """Of six texts some get lost there and some back; five lost in a row would stop all sending."""
    return dice.sample(("before", "after", dice.choice(("before", "after")), "", "", ""), 6)
