"""Runs the store's scripts, on one server or many. With replicas a write counts once one of them has it.

One command on one server. Where servers follow one another the script and a WAIT travel together in one round trip:
a primary that dies right after its answer must not take the turn with it. Scripts are idempotent, so one may run twice.
"""

from __future__ import annotations

import hashlib
import logging
import time
from collections.abc import Sequence
from typing import Any

from redis import Redis
from redis.exceptions import AskError, ClusterDownError, NoScriptError, ResponseError, TryAgainError

from bot.store.client import AWAY
from bot.store.wire import Wire

log = logging.getLogger("bot.store")
Call = tuple[str, Sequence[str], Sequence[Any]]  # a script, its keys, all in one slot, and its arguments

COPY_MILLISECONDS = 300
ALONE_SECONDS = 30.0  # how long a primary without replicas is not waited for, so that it answers at full speed


class Runner:
    """For one client. *copies*: how many replicas are to have a write; 0 on one server.

    When no replica has it in time the write stands all the same, and the log says that it is on one server only; to
    refuse it instead is the server's own setting (``min-replicas-to-write``).
    """

    def __init__(self, client: Redis, wire: Wire, copies: int = 0) -> None:
        self._client: Any = client
        self._wire = wire
        self._copies = copies
        self._alone_until = 0.0
        self._hashes: dict[str, str] = {}

    def run(self, script: str, *, keys: Sequence[str], args: Sequence[Any]) -> Any:
        """What *script* returns. All *keys* are in one slot."""
        if not self._copies or time.monotonic() < self._alone_until:
            return self._once(script, keys, args)
        return self._copied(script, keys, args)

    def run_all(self, calls: Sequence[Call]) -> list[Any]:
        """What each script returns, in one round trip where there is one server; else one by one. Each stands by itself:
        who dies in the middle has run the first ones."""
        if self._copies or self._wire.spread:
            return [self.run(script, keys=keys, args=args) for script, keys, args in calls]
        found = self._wire.ask_all(
            [("EVALSHA", self._hash(script), len(keys), *keys, *args) for script, keys, args in calls]
        )
        for at, (one, (script, keys, args)) in enumerate(zip(found, calls, strict=True)):
            if isinstance(one, NoScriptError):
                found[at] = self._wire.ask("EVAL", script, len(keys), *keys, *args)
            elif isinstance(one, Exception):
                raise one
        return found

    def _hash(self, script: str) -> str:
        found = self._hashes.get(script)
        if found is None:
            found = self._hashes[script] = hashlib.sha1(script.encode(), usedforsecurity=False).hexdigest()
        return found

    def _once(self, script: str, keys: Sequence[str], args: Sequence[Any]) -> Any:
        try:
            return self._wire.ask("EVALSHA", self._hash(script), len(keys), *keys, *args)
        except NoScriptError:
            return self._wire.ask("EVAL", script, len(keys), *keys, *args)

    def _copied(self, script: str, keys: Sequence[str], args: Sequence[Any]) -> Any:
        found, copies = self._pair(keys, "EVALSHA", self._hash(script), len(keys), *keys, *args)
        if isinstance(found, NoScriptError):
            found, copies = self._pair(keys, "EVAL", script, len(keys), *keys, *args)
        if isinstance(found, AskError | TryAgainError | ClusterDownError):  # MOVED is an ASK to the library
            # The library follows a slot that moves; then once more, for the WAIT where the slot is now.
            found = self._once(script, keys, args)
            _, copies = self._pair(keys, "EVAL", script, len(keys), *keys, *args)
        if isinstance(found, ResponseError):
            raise found
        if not isinstance(copies, int) or copies < self._copies:
            self._alone_until = time.monotonic() + ALONE_SECONDS
            log.warning("no replica has a write after %s ms: the store is on one server only", COPY_MILLISECONDS)
        return found

    def _pair(self, keys: Sequence[str], *command: Any) -> tuple[Any, Any]:
        """*command* and WAIT on one connection, because WAIT speaks of the writes of its own connection."""
        cluster = self._client if hasattr(self._client, "get_node_from_key") else None
        try:
            server = cluster.get_redis_connection(cluster.get_node_from_key(keys[0])) if cluster else self._client
            pipe = server.pipeline(transaction=False)
            pipe.execute_command(*command)
            pipe.execute_command("WAIT", self._copies, COPY_MILLISECONDS)
            found, copies = pipe.execute(raise_on_error=False)
        except AWAY:
            if cluster:
                cluster.nodes_manager.initialize()  # a node failed: learn who has its slots now
            raise
        return found, copies
