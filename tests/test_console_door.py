"""What the console's server holds of requests that are not whole yet: bombs of uploads, a hundred at once, slow ones, and many
half sent requests. A process of its own, whose memory is measured."""

from __future__ import annotations

import re
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from tests.whole import ROOT

SERVER = """
import resource, sys
from bot.console import door
door.WHOLE_SECONDS = float(sys.argv[1])
door.UPLOAD_SECONDS = float(sys.argv[2])
def app(environ, start):
    size = len(environ["wsgi.input"].read())
    start("200 OK", [("Content-Type", "text/plain")])
    return [f"{environ['REQUEST_METHOD']} {size}".encode()]
server = door.make_server(app, "127.0.0.1", 0)
print(server.effective_port, flush=True)
server.run()
"""
UPLOAD = b"POST /outreach/new HTTP/1.1\r\nHost: x\r\n"
LARGE = 4_000_000


class Served:
    """The server, and connections to it that a test holds open."""

    def __init__(self, *seconds: float) -> None:
        self.folder = tempfile.TemporaryDirectory(prefix="tb-")
        self.process = subprocess.Popen(
            [sys.executable, "-c", SERVER, *map(str, seconds)], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
            env={"PATH": "/usr/bin:/bin", "TMPDIR": self.folder.name},
        )  # fmt: skip
        assert self.process.stdout is not None
        self.port = int(self.process.stdout.readline())
        self.held: list[socket.socket] = []

    def stop(self) -> None:
        for one in self.held:
            one.close()
        self.process.kill()
        self.process.wait(10)
        if self.process.stdout:
            self.process.stdout.close()
        self.folder.cleanup()

    def opened(self, sent: bytes) -> socket.socket:
        one = socket.create_connection(("127.0.0.1", self.port), timeout=10)
        self.held.append(one)
        self.more(one, sent)
        return one

    def more(self, one: socket.socket, sent: bytes) -> None:
        with suppress(OSError):  # refused already, which is what is wanted
            one.sendall(sent)

    def answer(self, one: socket.socket) -> bytes:
        """What came until the server closed, or the whole of a short answer; b"" when it was cut off."""
        found = b""
        try:
            while not (found.endswith(b"</html>\n") or re.search(rb"\r\n\r\n\w+ \d+$", found)):
                piece = one.recv(65536)
                if not piece:
                    break
                found += piece
        except OSError:
            pass
        return found

    def says(self, path: str = "/") -> str:
        """What a nurse's browser gets now."""
        begun = time.monotonic()
        told = self.answer(
            self.opened(f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
        ).decode()
        assert time.monotonic() - begun < 5
        return told

    def peak(self) -> int:
        """The most memory that the process ever held, in bytes."""
        status = Path(f"/proc/{self.process.pid}/status").read_text("utf-8")
        found = re.search(r"VmHWM:\s+(\d+) kB", status)
        assert found
        return int(found.group(1)) * 1000

    def files(self) -> list[Path]:
        """What lies in clear on the disk."""
        held = Path(f"/proc/{self.process.pid}/fd")
        return [one for one in held.iterdir() if self.folder.name in str(one.resolve())]


@pytest.fixture
def served(request: Any) -> Iterator[Served]:
    found = Served(*getattr(request, "param", (20, 120)))
    yield found
    found.stop()


needs_proc = pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="memory is measured by /proc")


@needs_proc
def test_a_hundred_slow_uploads_at_once_are_a_few_in_memory_and_nurses_see_their_page(served: Served) -> None:
    """Nobody has signed in to send these. A few are taken, the others are told so at once; nothing goes to the disk."""
    served.says()
    before = served.peak()
    head = UPLOAD + b"Content-Length: %d\r\n\r\n" % (LARGE + 1)
    chunked = UPLOAD + b"Transfer-Encoding: chunked\r\n\r\n" + b"%x\r\n" % LARGE
    slow = [served.opened((chunked if number % 2 else head) + b"1" * 200_000) for number in range(100)]
    for one in slow:
        served.more(one, b"1" * (LARGE - 200_000))
    assert served.says().endswith("GET 0")
    assert served.peak() - before < 60_000_000
    assert served.files() == []
    told = [one for one in slow[6:12] if b"503" in served.answer(one)[:20]]
    assert told
    for one in slow:
        one.close()
    deadline = time.monotonic() + 10
    while True:  # their places are free again
        one = served.opened(UPLOAD + b"Connection: close\r\nContent-Length: 100000\r\n\r\n" + b"1" * 100_000)
        if served.answer(one).endswith(b"POST 100000"):
            break
        assert time.monotonic() < deadline


def test_only_where_files_are_taken_may_a_body_be_larger_than_a_form(served: Served) -> None:
    """By its length, or in pieces of unknown length; in words and with a way on."""
    for path in ("/sign-in", "/", "/patients/x/reply", "/outreach/new/", "//outreach/new"):
        for how in (b"Content-Length: 100000", b"Transfer-Encoding: chunked"):
            told = served.answer(served.opened(f"POST {path} HTTP/1.1\r\nHost: x\r\n".encode() + how + b"\r\n\r\n"))
            assert told.startswith(b"HTTP/1.1 413"), path
            assert b"64 kB" in told
    small = served.opened(b"POST /sign-in HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n" + b"a" * 10)
    assert served.answer(small).endswith(b"POST 10")


@pytest.mark.parametrize("served", [(0.5, 1.0)], indirect=True)
def test_a_request_that_never_becomes_whole_is_dropped_however_often_it_sends_a_byte(served: Served) -> None:
    """Half a head, half a form, half a file; three hundred of them keep no nurse out."""
    halves = (b"GET / HTTP/1.1\r\nX: ", b"POST / HTTP/1.1\r\nContent-Length: 100\r\n\r\n",
              UPLOAD + b"Content-Length: 1000000\r\n\r\n")  # fmt: skip
    slow = [served.opened(halves[number % 3]) for number in range(300)]
    assert served.says().endswith("GET 0")
    deadline, left = time.monotonic() + 20, list(slow)
    while left:
        assert time.monotonic() < deadline, f"{len(left)} are held for ever"
        for one in list(left):
            try:
                one.sendall(b"x")
            except OSError:
                left.remove(one)
        served.says()


def test_three_hundred_half_sent_requests_keep_no_nurse_out(served: Served) -> None:
    """They cost a descriptor each, and no thread."""
    for _ in range(300):
        served.opened(b"GET / HTTP/1.1\r\nX: ")
    assert served.says().endswith("GET 0")
