"""A connection to the store that a thread keeps: one command, one answer.

redis-py takes a connection from its pool and asks it for a sign of life at every command, which costs more than packing
and reading the command (a third of a whole turn with two; shared/reference/performance.md). Only for commands that may
safely run twice: one whose connection broke is sent once more on a new one.
"""

from __future__ import annotations

import threading
from typing import Any

from redis import ConnectionError, Redis, TimeoutError


class Wire:
    """The commands of one client. A client without a pool of its own (a cluster's) is simply asked."""

    def __init__(self, client: Redis) -> None:
        self._client: Any = client
        self._pool: Any = getattr(client, "connection_pool", None)
        self._mine = threading.local()

    def ask(self, *command: str | bytes | int | float) -> Any:
        """The answer to *command*. Raises what redis-py raises; a frozen server is a TimeoutError, never tried again."""
        if self._pool is None:
            return self._client.execute_command(*command)
        kept = getattr(self._mine, "connection", None)
        if kept is not None:
            try:
                return self._once(kept, command)
            except TimeoutError:
                raise
            except ConnectionError:
                pass  # the server closed it while the thread was idle, or restarted
        self._mine.connection = kept = kept or self._pool.get_connection()
        return self._once(kept, command)

    @staticmethod
    def _once(connection: Any, command: tuple[Any, ...]) -> Any:
        try:
            if not connection.is_connected:
                connection.connect()  # which asks the Sentinels who is the primary now; sending alone would not
            connection.send_packed_command(_packed(command), check_health=False)
            return connection.read_response()
        except (OSError, ConnectionError, TimeoutError):
            connection.disconnect()
            raise


def _packed(command: tuple[Any, ...]) -> list[bytes]:
    parts = [each if isinstance(each, bytes) else str(each).encode() for each in command]
    return [b"*%d\r\n%b" % (len(parts), b"".join([b"$%d\r\n%b\r\n" % (len(part), part) for part in parts]))]
