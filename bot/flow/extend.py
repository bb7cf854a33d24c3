"""A flow that says ``"extends": NAME`` shares what stands in flows/parts/NAME.json. Pure; the text of the parts comes in.

Sharing is by name and the flow's own always wins whole: nothing is mixed inside a state or a text. Of the part's texts
only those that the flow uses come along, and its invariants stand behind the flow's own.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from bot.flow.positions import Located, Path

BY_NAME = ("context", "states", "on", "sources")
WHOLE = ("defaults", "greeting", "initial", "languages", "channels")


@dataclass(frozen=True)
class Extended:
    """The whole document, and where each piece of it stands."""

    value: Any
    own: Located
    part: Located | None
    files: tuple[str, str]

    def place(self, path: Path) -> tuple[str, int, int]:
        """File, line and column of *path*, or of the deepest part of it that exists."""
        count = _count(self.own.value)
        inherited = path[:1] == ("invariants",) and len(path) > 1 and int(path[1]) >= count
        if self.part is None or not (inherited or self._only_there(path)):
            return (self.files[0], *self.own.line_column(self.own.nearest(path)))
        there = ("invariants", int(path[1]) - count, *path[2:]) if inherited else path
        return (self.files[1], *self.part.line_column(self.part.nearest(there)))

    def _only_there(self, path: Path) -> bool:
        head = path[:1] if path[:1] and path[0] in WHOLE else path[:2]
        return self.part is not None and head in self.part.offsets and head not in self.own.offsets


def extend(own: Located, part: Located | None, files: tuple[str, str]) -> Extended:
    """*own* with what it shares of *part*; without a part it is what it is."""
    if part is None or not isinstance(own.value, dict) or not isinstance(part.value, dict):
        return Extended(own.value, own, None, files)
    whole: dict[str, Any] = dict(own.value)
    for key in WHOLE:
        if key in part.value:
            whole.setdefault(key, part.value[key])
    for key in BY_NAME:
        whole[key] = {**_dict(part.value.get(key)), **_dict(own.value.get(key))}
    mine, theirs = _dict(own.value.get("texts")), _dict(part.value.get("texts"))
    used = set(_words({**whole, "texts": None})) | {"lang_switch"}
    whole["texts"] = {**{name: text for name, text in theirs.items() if name in used}, **mine}
    whole["invariants"] = [*_list(own.value.get("invariants")), *_list(part.value.get("invariants"))]
    return Extended(json.loads(json.dumps(whole)), own, part, files)


def _count(value: Any) -> int:
    return len(_list(value.get("invariants"))) if isinstance(value, dict) else 0


def _dict(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _words(value: Any) -> Iterator[str]:
    """Every word that stands for something: a text that is used is among them."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for inner in value.values():
            yield from _words(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _words(inner)
