"""The kept connection: a restarted server costs nobody an answer, a frozen one costs one short timeout."""

from __future__ import annotations

import os
import shutil
import signal
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from redis import Redis
from redis.exceptions import ResponseError, TimeoutError

from bot.store.client import connect
from bot.store.embedded import EmbeddedServer
from bot.store.runner import Runner
from bot.store.wire import Wire


@pytest.fixture
def own_server() -> Iterator[EmbeddedServer]:
    """A server that a test may kill."""
    folder = Path(tempfile.mkdtemp(prefix="tw-"))
    server = EmbeddedServer(folder)
    server.start()
    yield server
    server.stop()
    shutil.rmtree(folder, ignore_errors=True)


def test_every_kind_of_argument_and_answer_is_that_of_the_client(redis_client: Redis) -> None:
    """Packed by hand, read by redis-py: bytes, words of any language, numbers, nothing, lists, errors."""
    wire = Wire(redis_client)
    assert wire.ask("SET", "k", b"\x00\r\n\xff") == b"OK"
    assert wire.ask("MGET", "k", "none", "k") == redis_client.mget("k", "none", "k")
    wire.ask("ZADD", "z", 1.5, "ñandú", 2, b"")
    assert wire.ask("ZRANGE", "z", 0, -1) == redis_client.zrange("z", 0, -1)
    with pytest.raises(ResponseError):
        wire.ask("INCR", "z")
    assert wire.ask("GET", "k") == b"\x00\r\n\xff", "an error answer leaves the connection in step"


def test_of_commands_that_travel_together_each_has_its_own_answer_though_one_is_refused(redis_client: Redis) -> None:
    """One round trip; and the next command gets its own answer, not one that was left over."""
    wire = Wire(redis_client)
    found = wire.ask_all([("SET", "k", 1), ("HGET", "k", "f"), ("GET", "k"), ("NOSUCH",), ("INCR", "k")])
    assert [type(one) if isinstance(one, Exception) else one for one in found] == [
        b"OK", ResponseError, b"1", ResponseError, 2,
    ]  # fmt: skip
    assert wire.ask("GET", "k") == b"2"


def test_a_script_that_the_server_forgot_is_loaded_again(redis_client: Redis) -> None:
    """SCRIPT FLUSH, or a server that was restarted."""
    runner, script = Runner(redis_client, Wire(redis_client)), "return ARGV[1]"
    assert runner.run(script, keys=["k"], args=["one"]) == b"one"
    redis_client.script_flush()
    assert runner.run(script, keys=["k"], args=["two"]) == b"two"


def test_a_restarted_server_is_met_by_a_new_connection(own_server: EmbeddedServer) -> None:
    """The connection that a thread kept is dead; the command goes out once more instead of failing."""
    wire = Wire(connect(own_server.url))
    wire.ask("SET", "k", "kept")
    own_server.stop()
    own_server.start()
    assert wire.ask("GET", "k") == b"kept"


def test_a_frozen_server_costs_one_timeout_and_is_not_asked_twice(own_server: EmbeddedServer) -> None:
    """What was sent may still run when the server thaws, so only its caller may decide to send it again."""
    wire = Wire(connect(own_server.url))
    wire.ask("SET", "n", 0)
    assert own_server.process
    os.kill(own_server.process.pid, signal.SIGSTOP)
    began = time.monotonic()
    try:
        with pytest.raises(TimeoutError):
            wire.ask("INCR", "n")
        assert time.monotonic() - began < 1.8
    finally:
        os.kill(own_server.process.pid, signal.SIGCONT)
    assert wire.ask("INCR", "n") in (1, 2)
    assert wire.ask("GET", "n") in (b"1", b"2"), "answers stay in step with their commands"
