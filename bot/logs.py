"""Structured logs with an allow-list: a field that is not named here is dropped, so no number or word can slip in."""

from __future__ import annotations

import logging
import sys
import traceback
from collections.abc import MutableMapping
from typing import Any

import structlog

FIELDS = frozenset(
    {"event", "level", "timestamp", "effect", "kind", "status", "why", "error", "route", "reason", "bucket", "turn",
     "session", "state", "outcome", "rule", "milliseconds", "code",
     "actor", "action", "about", "detail"}
)  # fmt: skip
LONGEST, LONGEST_EVENT = 120, 400  # characters; a longer event is cut, since a line that says nothing helps nobody


def only_known(_: Any, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """A structlog processor: keeps the fields of the allow-list, and of their values only what is short and plain."""
    known = {name: value for name, value in event.items() if name in FIELDS and len(str(value)) <= LONGEST}
    return (
        known if "event" in known or "event" not in event else {**known, "event": str(event["event"])[:LONGEST_EVENT]}
    )


_STEPS: list[Any] = [
    structlog.processors.add_log_level,
    structlog.processors.TimeStamper(fmt="iso", utc=True),
    only_known,
    structlog.processors.JSONRenderer(),
]


class _Line(logging.Formatter):
    """A record of Python's logging in the same form. Of a library's only where it was said: its text and its exceptions
    may hold addresses and numbers, and whoever has the place finds the text in the library."""

    def format(self, record: logging.LogRecord) -> str:
        ours = record.name.partition(".")[0] in ("bot", "workers")
        said = record.getMessage() if ours else f"{record.name} at {record.filename}:{record.lineno}"
        line: Any = {"event": said}
        if record.exc_info and record.exc_info[0]:
            line["error"] = record.exc_info[0].__name__
        for step in _STEPS:
            line = step(None, record.levelname.lower(), line)
        return str(line)


def set_up_logs(level: str) -> None:
    """One JSON line per event on standard output, of structlog and of logging alike; libraries are silent below WARNING."""
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(_Line())
    logging.basicConfig(level=logging.WARNING, handlers=[handler])
    logging.getLogger("bot").setLevel(level)
    structlog.configure(
        processors=_STEPS,
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelName(level)),
        cache_logger_on_first_use=True,
    )


def places(error: BaseException) -> str:
    """Where it broke. The text of an exception is left out: it may hold a number or a patient's words."""
    frames = traceback.extract_tb(error.__traceback__)[-4:]
    return " < ".join(f"{frame.filename.rpartition('/')[2]}:{frame.lineno}" for frame in reversed(frames))
