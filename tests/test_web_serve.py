"""The server as real processes: slow strangers cost nothing, the dead are replaced, SIGTERM loses nothing."""

from __future__ import annotations

import http.client
import json
import os
import signal
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from urllib.parse import urlencode

import pytest

from bot.logs import FIELDS
from tests.web_fake import PUBLIC, sign, text

ROOT = Path(__file__).resolve().parents[1]
needs_proc = pytest.mark.skipif(not Path("/proc/net/tcp").exists(), reason="looks at processes through /proc (Linux)")


@contextmanager
def running(processes: int = 2, port: int = 0, *more: str) -> Iterator[tuple[subprocess.Popen[str], int]]:
    command = [sys.executable, "-m", "tests.web_server", str(port), str(processes), *more]
    server = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert server.stdout
    assert server.stderr
    try:
        held = server.stdout.readline().strip()
        yield server, int(held or 0)
    finally:
        server.terminate()
        server.wait(15)
        server.stdout.close()
        server.stderr.close()


def fetch(
    port: int, path: str, body: str | None = None, headers: dict[str, str] | None = None
) -> tuple[int, str, dict[str, str]]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("POST" if body is not None else "GET", path, body, headers or {})
        answer = connection.getresponse()
        return answer.status, answer.read().decode(), {name.lower(): value for name, value in answer.getheaders()}
    finally:
        connection.close()


def eventually(check: Callable[[], bool], what: str) -> None:
    until = time.monotonic() + 60  # a first start proves the flows, on a machine that may be busy
    while time.monotonic() < until:
        try:
            if check():
                return
        except OSError:
            pass
        time.sleep(0.02)
    raise AssertionError(f"never happened: {what}")


def awake(port: int, processes: int) -> set[str]:
    seen: set[str] = set()
    eventually(lambda: len(seen.add(fetch(port, "/pid")[1]) or seen) >= processes, f"{processes} processes answer")  # type: ignore[func-returns-value]
    return seen


def honest(port: int, number: int = 0) -> tuple[int, float, dict[str, str]]:
    params = text("hello", sid=f"SM{number:032x}")
    headers = {
        "X-Twilio-Signature": sign(PUBLIC + "/sms", params), "Content-Type": "application/x-www-form-urlencoded",
    }  # fmt: skip
    started = time.monotonic()
    status, _, answered = fetch(port, "/sms", urlencode(params), headers)
    return status, time.monotonic() - started, answered


HEAD = b"POST /sms HTTP/1.1\r\nHost: x\r\n"
HALF_BODY = HEAD + b"Content-Type: application/x-www-form-urlencoded\r\nContent-Length: 500\r\n\r\nBody="


@pytest.fixture(scope="module")
def shared() -> Iterator[int]:
    with running() as (_, port):
        awake(port, 2)
        yield port


@pytest.mark.parametrize("half", [HALF_BODY, HEAD + b"Content-Le"], ids=["half a body", "half the headers"])
def test_two_hundred_half_sent_requests_delay_nobody(shared: int, half: bytes) -> None:
    alone = statistics.median(honest(shared, number)[1] for number in range(20))
    strangers = [socket.create_connection(("127.0.0.1", shared)) for _ in range(200)]
    try:
        for stranger in strangers:
            stranger.sendall(half)
        answers = [honest(shared, 100 + number) for number in range(40)]
    finally:
        for stranger in strangers:
            stranger.close()
    assert {status for status, _, _ in answers} == {200}
    assert statistics.median(took for _, took, _ in answers) < max(0.1, 10 * alone)
    assert max(took for _, took, _ in answers) < 1.0


@pytest.mark.faults
@pytest.mark.timeout(120)
def test_two_thousand_half_sent_requests_delay_nobody_and_are_dropped() -> None:
    """Half headers and half bodies at once; some send a byte now and then. An honest webhook's median stays under 20 ms
    and none takes a second; within 30 s all are gone."""
    with running(2) as (_, port):
        awake(port, 2)
        began = time.monotonic()
        strangers = []
        for number in range(2000):
            stranger = socket.create_connection(("127.0.0.1", port))
            stranger.sendall(HALF_BODY if number % 2 else HEAD + b"X: ")
            strangers.append(stranger)
        honest(port, 999)  # the two thousand are let in before it
        took = [honest(port, number)[1] for number in range(100)]
        assert statistics.median(took) < 0.020
        assert max(took) < 1.0
        drip = strangers[:200]
        while time.monotonic() - began < 30 and strangers:
            for one in drip:
                with suppress(OSError):
                    one.send(b"x")
            strangers = [one for one in strangers if not _closed(one)]
            drip = [one for one in drip if one in strangers]
            time.sleep(0.5)
        assert strangers == []


def _closed(stranger: socket.socket) -> bool:
    stranger.setblocking(False)
    try:
        while stranger.recv(4096):
            pass
    except BlockingIOError:
        return False
    except OSError:
        pass
    stranger.close()
    return True


def test_answers_name_no_server(shared: int) -> None:
    assert "server" not in honest(shared)[2]


def test_too_large_a_body_is_refused_unread(shared: int) -> None:
    status, body, headers = fetch(shared, "/sms", "x" * 70_000, {"Content-Type": "application/x-www-form-urlencoded"})
    assert status == 413
    assert "server" not in headers
    assert "waitress" not in body.lower()


def test_a_process_that_dies_is_replaced_and_the_port_keeps_answering() -> None:
    with running(2) as (_, port):
        before = awake(port, 2)
        victim = before.pop()
        os.kill(int(victim), signal.SIGKILL)
        eventually(lambda: len(awake(port, 2) - {victim}) >= 2, "two living processes")
        assert honest(port)[0] == 200


@needs_proc
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_stopping_finishes_what_was_accepted(number: signal.Signals) -> None:
    with running(2) as (server, port), ThreadPoolExecutor(6) as pool:
        children = awake(port, 2)
        slow = [pool.submit(fetch, port, "/slow") for _ in range(6)]
        eventually(lambda: _established(port) >= 6, "six requests are under way")
        server.send_signal(number)
        assert [answer.result()[1] for answer in slow] == ["finished"] * 6
        assert server.wait(10) == 0
        assert not any(Path(f"/proc/{child}").exists() for child in children)


def _established(port: int) -> int:
    rows = Path("/proc/net/tcp").read_text().splitlines()[1:]
    return sum(row.split()[1].endswith(f":{port:04X}") and row.split()[3] == "01" for row in rows)


@needs_proc
def test_children_do_not_outlive_a_parent_that_was_killed() -> None:
    with running(2) as (server, port):
        children = awake(port, 2)
        server.kill()
        eventually(lambda: not any(Path(f"/proc/{child}").exists() for child in children), "the children ended")


def test_a_port_in_use_is_one_sentence_even_when_it_is_ours(shared: int) -> None:
    port = shared
    with running(1, port) as (second, held):
        assert held == 0
        assert second.wait(10) != 0
        assert second.stderr
        assert f"127.0.0.1:{port} cannot be used" in second.stderr.read()


def test_an_application_that_cannot_be_made_is_given_up() -> None:
    with running(1, 0, "broken") as (server, _):
        assert server.wait(30) == 1
        assert server.stderr
        assert "RuntimeError at web_server.py:" in server.stderr.read(), "and what broke it is told"


@needs_proc
def test_what_is_done_apart_ends_with_the_server_and_its_own_end_is_told() -> None:
    """Proving takes seconds: a server that is killed meanwhile leaves nobody behind who publishes."""
    code = "import time, bot.web.serve as web; web._apart(lambda: print('here', flush=True) or time.sleep(60) or 0)"
    for victim, told in (("server", ""), ("child", "signal 9 ended the process that proves")):
        command = [sys.executable, "-c", code]
        with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as server:
            assert server.stdout
            assert server.stderr
            assert server.stdout.readline() == "here\n"
            child = int(Path(f"/proc/{server.pid}/task/{server.pid}/children").read_text())
            os.kill(server.pid if victim == "server" else child, signal.SIGKILL)
            eventually(lambda child=child: not Path(f"/proc/{child}").exists(), "the child ended")  # type: ignore[misc]
            assert told in server.stderr.read()


def test_started_without_settings_it_lists_every_problem_and_ends_with_2(tmp_path: Path) -> None:
    ran = subprocess.run(
        [sys.executable, "-m", "bot.web.serve"], cwd=tmp_path, capture_output=True, text=True,
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    assert ran.returncode == 2
    assert "PUBLIC_URL: is required" in ran.stderr
    assert "Traceback" not in ran.stderr


@needs_proc
def test_started_alone_in_the_sandbox_it_is_ready_and_leaves_no_process_behind(tmp_path: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    env = {"PATH": os.environ["PATH"], "SANDBOX": "1", "DATA_DIR": str(tmp_path / "var"), "WEB_PORT": str(port)}
    command = [sys.executable, "-m", "bot.web.serve"]
    with subprocess.Popen(command, cwd=ROOT, env=env, stdout=subprocess.PIPE, text=True) as server:
        try:
            eventually(lambda: fetch(port, "/readyz")[0] == 200, "the store is ready")
            assert _mention(tmp_path), "an embedded server runs in the data folder"
            form = {"Content-Type": "application/x-www-form-urlencoded"}
            assert fetch(port, "/sms", "From=%2B12125550188&Body=my+chest", form)[0] == 403
        finally:
            server.terminate()
        assert server.wait(15) == 0
        assert server.stdout
        lines = [json.loads(line) for line in server.stdout]
    assert _mention(tmp_path) == []
    assert [line["event"] for line in lines if "refused /sms: signature" in line["event"]], "forged, and logged so"
    assert not [line for line in lines if not set(line) <= FIELDS or "5550188" in str(line) or "chest" in str(line)]


def _mention(folder: Path) -> list[str]:
    return [one.parent.name for one in Path("/proc").glob("[0-9]*/cmdline") if str(folder).encode() in _read(one)]


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""
