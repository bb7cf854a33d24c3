"""Structured logs with an allow-list: a field that is not named here is dropped, so no number or word can slip in."""

from __future__ import annotations

import logging
from collections.abc import MutableMapping
from typing import Any

import structlog

FIELDS = frozenset(
    {"event", "level", "timestamp", "effect", "kind", "status", "why", "error", "route", "reason", "bucket", "turn",
     "session", "state", "outcome", "rule", "milliseconds", "code",
     "actor", "action", "about", "detail"}
)  # fmt: skip


def only_known(_: Any, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """A structlog processor: keeps the fields of the allow-list, and of their values only what is short and plain."""
    return {name: value for name, value in event.items() if name in FIELDS and len(str(value)) <= 120}


def set_up_logs(level: str) -> None:
    """One JSON line per event on standard output; libraries are silent below WARNING (they print URLs)."""
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(name)s %(message)s")
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            only_known,
            structlog.processors.JSONRenderer(),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelName(level)),
        cache_logger_on_first_use=True,
    )
