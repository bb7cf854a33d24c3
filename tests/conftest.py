"""One real server for the whole run, empty for every test; the rest is built from it."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from redis import Redis

from bot.store import embedded
from bot.store.cipher import Cipher
from bot.store.client import connect
from bot.store.embedded import EmbeddedServer
from bot.store.store import Store

SECRET = bytes(range(32))


@pytest.fixture(scope="session")
def server() -> Iterator[EmbeddedServer]:
    """The embedded server in a folder of its own; a short path, because a socket's name is."""
    if other := os.environ.get("TEST_SERVER"):
        embedded.find_server = lambda: Path(other)  # the whole run on another server, such as Debian's
    folder = Path(tempfile.mkdtemp(prefix="tb-"))
    running = EmbeddedServer(folder, fsync="no")
    running.start()
    yield running
    running.stop()
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def redis_client(server: EmbeddedServer) -> Iterator[Redis]:
    """A client of the emptied server."""
    client = connect(server.url)
    client.flushall()
    yield client
    client.close()


@pytest.fixture
def cipher() -> Cipher:
    """One secret."""
    return Cipher([SECRET])


@pytest.fixture
def store(redis_client: Redis, cipher: Cipher) -> Store:
    """The ledger on the emptied server, in three buckets so that nothing relies on one."""
    return Store(redis_client, cipher, buckets=3)
