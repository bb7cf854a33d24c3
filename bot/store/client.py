"""The one place that makes a Redis client: one server, a Sentinel trio or a Cluster, by the address alone.

Short timeouts and no silent retry: redis-py 8 by default waits 58 s on a frozen server and applies non-idempotent
commands twice after one lost reply (measured in shared/reference/redis_rq.md C and trust.md M1, M2); Twilio gives up
after 15 s. A script whose reply was lost is run again by whoever still holds the webhook, never from here.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any, Literal, cast
from urllib.parse import urlsplit

from redis import Redis
from redis.backoff import NoBackoff
from redis.cluster import ClusterNode, RedisCluster
from redis.connection import parse_url
from redis.exceptions import ConnectionError as AwayConnectionError
from redis.exceptions import RedisClusterException, RedisError
from redis.retry import Retry
from redis.sentinel import Sentinel

Role = Literal["web", "worker"]

# What a store that is away raises. redis-py's cluster errors are no RedisError.
AWAY: tuple[type[Exception], ...] = (RedisError, RedisClusterException, OSError)


def connect(url: str, *, role: Role = "web") -> Redis:
    """A client for ``unix://``, ``redis(s)://``, ``redis(s)+sentinel://host:port,.../name`` or
    ``redis(s)+cluster://host:port,...``. *role* worker waits longer, because RQ blocks on its queue.

    A query holds redis-py's own options, such as ``?ssl_ca_certs=/etc/ca.pem``; ``sentinel_password`` is for the
    Sentinels themselves. What comes back for a Cluster answers the same commands, for keys of one slot at a time.
    """
    options: dict[str, Any] = {
        "socket_connect_timeout": 1.0,
        "socket_timeout": 1.0 if role == "web" else 30.0,
        "protocol": 3,
        "health_check_interval": 0,
        "max_connections": 64,
    }
    kind = urlsplit(url).scheme.partition("+")[2]
    if kind == "sentinel":
        return _through_sentinels(url, options)
    if kind == "cluster":
        return cast(Redis, _Cluster(lambda: _cluster(url, options)))
    if url.startswith("unix://"):
        options.pop("socket_connect_timeout")
    client: Redis = Redis.from_url(url, retry=Retry(NoBackoff(), 0), **options)
    return client


def has_replicas(url: str) -> bool:
    """Whether the address is of servers that follow one another, so that a write can be waited for until it is copied."""
    return urlsplit(url).scheme.endswith(("+sentinel", "+cluster"))


def _through_sentinels(url: str, options: dict[str, Any]) -> Redis:
    hosts, given = _taken_apart(url)
    options |= given | {"retry": Retry(NoBackoff(), 0)}
    asking: dict[str, Any] = {
        name: options[name] for name in ("ssl", "ssl_ca_certs", "ssl_cert_reqs") if name in options
    }
    # A Sentinel answers at once or is dead; a short wait leaves time to ask the next one.
    asking |= {"socket_timeout": 0.5, "socket_connect_timeout": 0.5, "retry": Retry(NoBackoff(), 0)}
    asking["password"] = options.pop("sentinel_password", None)
    name = urlsplit(url).path.strip("/").partition("/")[0]
    sentinel: Any = Sentinel(hosts, sentinel_kwargs=asking, **options)  # type: ignore[no-untyped-call]  # the library has no annotations here
    primary: Redis = sentinel.master_for(name)
    return primary


def _cluster(url: str, options: dict[str, Any]) -> RedisCluster:
    hosts, given = _taken_apart(url)
    options = {**options, **given}
    options.pop("db", None)
    nodes = [ClusterNode(host, port) for host, port in hosts]  # type: ignore[no-untyped-call]  # the library has no annotations here
    # No retry: after a failure the library only learns the cluster's new shape, and the next command goes by that.
    return RedisCluster(startup_nodes=nodes, retry=Retry(NoBackoff(), 0), reinitialize_steps=1, **options)


def _taken_apart(url: str) -> tuple[list[tuple[str, int]], dict[str, Any]]:
    """(host, port) of every server, and what the rest of the address means to redis-py."""
    parts = urlsplit(url)
    secure = parts.scheme.startswith("rediss")
    access, _, listed = parts.netloc.rpartition("@")
    hosts = []
    for one in listed.split(","):
        host, _, port = one.rpartition(":") if ":" in one else (one, "", "")
        hosts.append((host, int(port or (26379 if parts.scheme.endswith("sentinel") else 6379))))
    database = parts.path.strip("/").partition("/")[2]
    one_server = f"redis{'s' * secure}://{access + '@' if access else ''}host/{database}?{parts.query}"
    found: dict[str, Any] = {**parse_url(one_server)}  # type: ignore[no-untyped-call]  # the library has no annotations here
    for name in ("host", "port", "connection_class"):
        found.pop(name, None)
    return hosts, found | ({"ssl": True} if secure else {})


class _Cluster:
    """A cluster's client, made when it is first used and asked for again until the cluster answers.

    The library's own asks the cluster while it is being made, and a web process must start, and answer with the static
    text, while the store is away.
    """

    connection_pool = None  # each of its servers has one

    def __init__(self, make: Callable[[], RedisCluster]) -> None:
        self._make, self._lock = make, threading.Lock()
        self._made: RedisCluster | None = None

    def __getattr__(self, name: str) -> Any:
        return getattr(self._reached(), name)

    def _reached(self) -> RedisCluster:
        made = self._made
        if made is None:
            with self._lock:
                try:
                    made = self._made = self._made or self._make()
                except RedisClusterException as error:
                    raise AwayConnectionError(f"The cluster does not answer ({type(error).__name__}).") from None
        return made
