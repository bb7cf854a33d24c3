"""JSON text -> values plus the line and column of every one of them. Knows nothing of flows.

Python's own parser gives values without places; an author needs the place. Limits are refused in words: a
document deeper than MAX_DEPTH or longer than MAX_BYTES is no flow.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, NoReturn

MAX_DEPTH = 60  # the deepest real flow nests 12; a guard of guards gets room, a stack overflow does not
MAX_BYTES = 2_000_000
MAX_DIGITS = 40

Path = tuple[str | int, ...]

_SPACE = re.compile(r"[ \t\r\n]*")
_NUMBER = re.compile(r"-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?")
_STRING = re.compile(r'"(?:[^"\\\x00-\x1f]|\\.)*"', re.DOTALL)
_WORDS = {"true": True, "false": False, "null": None}


class JsonError(ValueError):
    """The text is no JSON that we accept: *offset* is where, the message says what."""

    def __init__(self, message: str, offset: int) -> None:
        super().__init__(message)
        self.offset = offset


@dataclass
class Located:
    """A parsed document: *value*, and for every path the offset where it starts; *repeated* are keys given twice."""

    text: str
    value: Any = None
    repeated: list[Path] = field(default_factory=list)

    @cached_property
    def offsets(self) -> dict[Path, int]:
        """Found when they are first asked for: they take twenty times the memory of the text."""
        return _walk(self.text).offsets

    def line_column(self, offset: int) -> tuple[int, int]:
        """1-based line and column of *offset*."""
        line = self.text.count("\n", 0, offset) + 1
        return line, offset - (self.text.rfind("\n", 0, offset) + 1) + 1

    def nearest(self, path: Iterator[str | int] | Path) -> int:
        """The offset of *path*, or of the deepest part of it that exists in the text."""
        at: Path = ()
        for step in path:
            if (*at, step) in self.offsets:
                at = (*at, step)
        return self.offsets.get(at, 0)


def parse(text: str) -> Located:
    """Parse *text* (JSON, RFC 8259). Raises JsonError with the offset of the first thing that is wrong."""
    if len(text) > MAX_BYTES:
        raise JsonError(f"The document has {len(text):,} characters; a flow may have {MAX_BYTES:,}.", 0)
    try:
        # Python's own parser where all is in order: a start takes a seventh less CPU (0.98 to 0.83 s).
        return Located(text, _in_order(text))
    except (ValueError, RecursionError):
        walked = _walk(text)
        return Located(text, walked.value, walked.repeated)


def _in_order(text: str) -> Any:
    """The value of a document in which nothing is odd. Raises ValueError or RecursionError for one that must be walked."""
    text.encode()
    value = json.loads(text, object_pairs_hook=_each_once, parse_int=_int, parse_float=_float, parse_constant=_odd)
    if "\\u" in text or _depth(value) > MAX_DEPTH:
        _odd(text)
    return value


def _odd(_: object) -> NoReturn:
    raise ValueError


def _each_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    return made if len(made) == len(pairs) else _odd(pairs)


def _int(digits: str) -> int:
    return int(digits) if len(digits) <= MAX_DIGITS else _odd(digits)


def _float(digits: str) -> float:
    return float(digits) if len(digits) <= MAX_DIGITS else _odd(digits)


def _depth(value: Any) -> int:
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return max((1 + _depth(one) for one in inner), default=0)


@dataclass
class _Walk:
    """One walk through a text that notes every place."""

    text: str
    value: Any = None
    offsets: dict[Path, int] = field(default_factory=dict)
    repeated: list[Path] = field(default_factory=list)


def _walk(text: str) -> _Walk:
    walk = _Walk(text)
    walk.value, end = _value(walk, _skip(text, 0), (), 0)
    end = _skip(text, end)
    if end != len(text):
        raise JsonError("There is more text after the end of the document.", end)
    return walk


def _skip(text: str, at: int) -> int:
    match = _SPACE.match(text, at)
    return match.end() if match else at


def _value(doc: _Walk, at: int, path: Path, depth: int) -> tuple[Any, int]:
    text = doc.text
    doc.offsets[path] = at
    if depth > MAX_DEPTH:
        raise JsonError(f"The document nests deeper than {MAX_DEPTH} levels.", at)
    char = text[at : at + 1]
    if char == "{":
        return _object(doc, at, path, depth)
    if char == "[":
        return _array(doc, at, path, depth)
    if char == '"':
        return _string(text, at)
    for word, value in _WORDS.items():
        if text.startswith(word, at):
            return value, at + len(word)
    match = _NUMBER.match(text, at)
    if match and match.end() > at:
        if len(match.group()) > MAX_DIGITS:
            raise JsonError("This number is longer than any a flow can need.", at)
        return json.loads(match.group()), match.end()
    raise JsonError("A value is missing here." if not char else f"A value cannot start with {char!r}.", at)


def _string(text: str, at: int) -> tuple[str, int]:
    match = _STRING.match(text, at)
    if not match:
        raise JsonError("This text has no closing quote, or has a raw control character in it.", at)
    try:
        value = json.loads(match.group())
        value.encode()
    except ValueError:
        raise JsonError("This text has a broken escape in it.", at) from None
    return value, match.end()


def _object(doc: _Walk, at: int, path: Path, depth: int) -> tuple[dict[str, Any], int]:
    text = doc.text
    result: dict[str, Any] = {}
    at = _skip(text, at + 1)
    if text[at : at + 1] == "}":
        return result, at + 1
    while True:
        if text[at : at + 1] != '"':
            raise JsonError('A key in double quotes, or "}", is expected here.', at)
        start = at
        key, at = _string(text, at)
        at = _skip(text, at)
        if text[at : at + 1] != ":":
            raise JsonError('":" is expected after the key.', at)
        if key in result:
            doc.repeated.append((*path, key))
        result[key], at = _value(doc, _skip(text, at + 1), (*path, key), depth + 1)
        doc.offsets[(*path, key)] = start
        at = _skip(text, at)
        if text[at : at + 1] == "}":
            return result, at + 1
        if text[at : at + 1] != ",":
            raise JsonError('"," or "}" is expected here.', at)
        at = _skip(text, at + 1)


def _array(doc: _Walk, at: int, path: Path, depth: int) -> tuple[list[Any], int]:
    text = doc.text
    result: list[Any] = []
    at = _skip(text, at + 1)
    if text[at : at + 1] == "]":
        return result, at + 1
    while True:
        item, at = _value(doc, at, (*path, len(result)), depth + 1)
        result.append(item)
        at = _skip(text, at)
        if text[at : at + 1] == "]":
            return result, at + 1
        if text[at : at + 1] != ",":
            raise JsonError('"," or "]" is expected here.', at)
        at = _skip(text, at + 1)
