"""A connection to the store that a thread keeps: one command, one answer.

redis-py takes a connection from its pool and asks it for a sign of life at every command, which costs more than packing
and reading the command (a third of a whole turn with two; shared/reference/performance.md). Only for commands that may
safely run twice: one whose connection broke is sent once more on a new one.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Any

from redis import ConnectionError, Redis, TimeoutError
from redis.exceptions import ResponseError

Command = Sequence[str | bytes | int | float]


class Wire:
    """The commands of one client. A client without a pool of its own (a cluster's) is simply asked."""

    def __init__(self, client: Redis) -> None:
        self._client: Any = client
        self._pool: Any = getattr(client, "connection_pool", None)
        self.spread = self._pool is None  # over many servers
        self._mine = threading.local()

    def ask(self, *command: str | bytes | int | float) -> Any:
        """The answer to *command*. Raises what redis-py raises; a frozen server is a TimeoutError, never tried again."""
        if self._pool is None:
            return self._client.execute_command(*command)
        found = self._kept(_packed(command), 1)[0]
        if isinstance(found, ResponseError):
            raise found
        return found

    def ask_all(self, commands: Sequence[Command]) -> list[Any]:
        """The answers to all *commands* in one round trip; where the server refuses one, its error in the answer's place.
        They run one by one, each by itself; on a cluster each is asked by itself."""
        if self._pool is None:
            return [self._client.execute_command(*command) for command in commands]
        return self._kept(b"".join(map(_packed, commands)), len(commands))

    def _kept(self, packed: bytes, many: int) -> list[Any]:
        kept = getattr(self._mine, "connection", None)
        if kept is not None:
            try:
                return self._once(kept, packed, many)
            except TimeoutError:
                raise
            except ConnectionError:
                pass  # the server closed it while the thread was idle, or restarted
        self._mine.connection = kept = kept or self._pool.get_connection()
        return self._once(kept, packed, many)

    @staticmethod
    def _once(connection: Any, packed: bytes, many: int) -> list[Any]:
        try:
            if not connection.is_connected:
                connection.connect()  # which asks the Sentinels who is the primary now; sending alone would not
            connection.send_packed_command([packed], check_health=False)
            return [_answer(connection) for _ in range(many)]
        except (OSError, ConnectionError, TimeoutError):
            connection.disconnect()
            raise


def _answer(connection: Any) -> Any:
    try:
        return connection.read_response()
    except ResponseError as error:
        return error  # the answers behind it are read all the same, else the next command would get them


def _packed(command: Command) -> bytes:
    parts = [each if isinstance(each, bytes) else str(each).encode() for each in command]
    return b"*%d\r\n%b" % (len(parts), b"".join([b"$%d\r\n%b\r\n" % (len(part), part) for part in parts]))
