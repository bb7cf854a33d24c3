"""The servers' files written anew: what was erased, or was too old, is out of the store at once and out of its AOF and
snapshot only then."""

from __future__ import annotations

import time
from typing import Any

from redis.exceptions import RedisError

REWRITE_SECONDS = 600.0


def nodes_of(client: Any) -> list[Any]:
    """Every server that *client* writes to."""
    return (
        [client.get_redis_connection(node) for node in client.get_nodes()] if hasattr(client, "get_nodes") else [client]
    )


def rewrite(client: Any) -> str:
    """Wait until it is done; "" or what went wrong, in words."""
    try:
        failed = [
            node for node in nodes_of(client) if not _rewritten(node)
        ]  # each is tried, also after one that failed
    except Exception as error:  # a managed server may refuse these commands
        return f"Erased, but the server's files were not rewritten ({type(error).__name__}): have its AOF rewritten."
    return (
        "" if not failed else "Erased, but the server's rewrite of its AOF failed: look at its log and run this again."
    )


def begin_rewrite(client: Any) -> bool:
    """Begin it and do not wait; False where a server refused, which python -m bot doctor looks at."""
    begun = True
    for node in nodes_of(client):
        try:
            if node.info("persistence").get("aof_enabled"):
                node.bgrewriteaof()
            node.bgsave(schedule=True)
        except RedisError:
            begun = False
    return begun


def failed_rewrite(client: Any) -> bool:
    """Whether a server's last one failed; False also where it does not say."""
    try:
        about = [node.info("persistence") for node in nodes_of(client)]
    except RedisError:
        return False
    return any("err" in (one.get("aof_last_bgrewrite_status"), one.get("rdb_last_bgsave_status")) for one in about)


def _rewritten(node: Any) -> bool:
    until = time.monotonic() + REWRITE_SECONDS
    _rest(node, until)  # a rewrite that began before the erasure does not count
    if node.info("persistence").get("aof_enabled"):
        node.bgrewriteaof()
        _rest(node, until)
    node.bgsave()
    _rest(node, until)
    about = node.info("persistence")
    return "ok" == about["aof_last_bgrewrite_status"] == about["rdb_last_bgsave_status"] and time.monotonic() < until


def _rest(node: Any, until: float) -> None:
    busy = ("aof_rewrite_in_progress", "aof_rewrite_scheduled", "rdb_bgsave_in_progress")
    while any(node.info("persistence")[name] for name in busy) and time.monotonic() < until:
        time.sleep(0.05)
