"""JSON as it is kept: compact bytes, and back. Pure. What people type or read is json's, not this module's.

orjson, because the standard library's encoder and decoder took 5 % of a whole turn.
"""

from __future__ import annotations

import json
from typing import Any

import orjson


def pack(value: Any) -> bytes:
    """*value*: what JSON can hold, tuples as lists. Half a surrogate pair, which UTF-8 cannot carry, is kept as "?"."""
    try:
        return orjson.dumps(value)
    except orjson.JSONEncodeError:
        return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace")


def unpack(raw: bytes) -> Any:
    """What pack was given, tuples as lists; or any other JSON text. Raises ValueError for what is none."""
    return orjson.loads(raw)
