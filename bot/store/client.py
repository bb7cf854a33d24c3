"""The one place that makes a Redis client. Short timeouts and no silent retry.

redis-py 8 by default waits 58 s on a frozen server and applies non-idempotent commands twice after one lost reply
(measured in shared/reference/redis_rq.md C and trust.md M1, M2); Twilio gives up after 15 s.
"""

from __future__ import annotations

from typing import Any, Literal

from redis import Redis
from redis.backoff import NoBackoff
from redis.retry import Retry

Role = Literal["web", "worker"]


def connect(url: str, *, role: Role = "web") -> Redis:
    """A client for ``unix://`` or ``redis(s)://``. *role* worker waits longer, because RQ blocks on its queue."""
    options: dict[str, Any] = {
        "socket_connect_timeout": 1.0,
        "socket_timeout": 1.0 if role == "web" else 30.0,
        "retry": Retry(NoBackoff(), 0),
        "protocol": 3,
        "health_check_interval": 0,
        "max_connections": 64,
    }
    if url.startswith("unix://"):
        options.pop("socket_connect_timeout")
    client: Redis = Redis.from_url(url, **options)
    return client
