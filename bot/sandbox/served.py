"""A server on a thread of its own, for whoever needs the bot and the local Twilio in one process. Loopback only."""

from __future__ import annotations

import threading
from typing import Any


class Served:
    """A waitress server on a thread of its own until :meth:`stop`."""

    def __init__(self, server: Any) -> None:
        self._server, self._stopping = server, threading.Event()
        self.port: int = server.effective_port
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._stopping.set()
        self._thread.join(10)

    def _run(self) -> None:
        # Not server.run(): closing it from another thread races with the descriptors it waits for.
        while not self._stopping.is_set():
            self._server.asyncore.loop(timeout=0.01, map=self._server._map, count=1)
        for channel in list(self._server._map.values()):
            channel.close()
        self._server.task_dispatcher.shutdown()
