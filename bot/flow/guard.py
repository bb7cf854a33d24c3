"""Guards: JSON trees over declared, finite answers. No code, no regular expressions, no text templates.

Evaluation is three-valued (Kleene): a guard over a question that was not asked yet may be *undecided* (None). A guard
that is already True or False stays so whatever is answered later; that is why a decision may stop asking early.
``answered`` alone is two-valued. An answer that stayed unclear is the value "unclear": it equals nothing else and is
neither high nor low.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

Answer = str | int | bool | tuple[str, ...]
Context = Mapping[str, Answer]
UNCLEAR = "unclear"

MANY = ("all", "any")
PAIRS = ("eq", "ne", "in", "has", "gte", "lte", "between")
OPERATORS = (*MANY, "not", *PAIRS, "answered")


class GuardError(ValueError):
    """*path* inside the guard, and a sentence."""

    def __init__(self, path: tuple[str | int, ...], message: str) -> None:
        super().__init__(message)
        self.path = path


@dataclass(frozen=True, slots=True)
class Guard:
    """One node. *parts* for all/any/not; *name* and *value* for the rest (a tuple for in and between)."""

    op: str
    parts: tuple[Guard, ...] = ()
    name: str = ""
    value: Any = None

    def decide(self, context: Context) -> bool | None:
        """True, False, or None when it depends on what was not asked yet."""
        compare = _COMPARE.get(self.op)
        if compare is not None:
            return compare(context[self.name], self.value) if self.name in context else None
        if self.op == "answered":
            return self.name in context
        if self.op == "not":
            inner = self.parts[0].decide(context)
            return None if inner is None else not inner
        return self._combine(context)

    def _combine(self, context: Context) -> bool | None:
        settles = self.op == "any"
        result: bool | None = not settles
        for part in self.parts:
            got = part.decide(context)
            if got is settles:
                return settles
            if got is None:
                result = None
        return result

    def walk(self) -> Iterator[Guard]:
        """This node and every node below it."""
        yield self
        for part in self.parts:
            yield from part.walk()

    def to_json(self) -> dict[str, Any]:
        """The JSON this guard was read from."""
        if self.op in MANY:
            return {self.op: [part.to_json() for part in self.parts]}
        if self.op == "not":
            return {"not": self.parts[0].to_json()}
        if self.op == "answered":
            return {"answered": self.name}
        if self.op == "between":
            return {"between": [self.name, *self.value]}
        return {self.op: [self.name, list(self.value) if isinstance(self.value, tuple) else self.value]}


def _number(check: Callable[[int, Any], bool]) -> Callable[[Any, Any], bool]:
    return lambda have, want: isinstance(have, int) and not isinstance(have, bool) and check(have, want)


_COMPARE: dict[str, Callable[[Any, Any], bool]] = {
    "eq": lambda have, want: have == want and isinstance(have, bool) == isinstance(want, bool),
    "ne": lambda have, want: have != want,
    "in": lambda have, want: have in want,
    "has": lambda have, want: isinstance(have, tuple) and want in have,
    "gte": _number(lambda have, want: have >= want),
    "lte": _number(lambda have, want: have <= want),
    "between": _number(lambda have, want: want[0] <= have <= want[1]),
}


def parse_guard(raw: Any, path: tuple[str | int, ...] = ()) -> Guard:
    """A guard from its JSON. Raises GuardError with the path of what is wrong."""
    if not isinstance(raw, dict) or len(raw) != 1:
        raise GuardError(path, f"A guard is one object with one key out of: {', '.join(OPERATORS)}.")
    op, body = next(iter(raw.items()))
    here = (*path, op)
    if op not in OPERATORS:
        raise GuardError(here, f"{op!r} is no guard; use one of: {', '.join(OPERATORS)}.")
    if op in MANY:
        if not isinstance(body, list) or not body:
            raise GuardError(here, f"{op!r} takes a list of at least one guard.")
        return Guard(op, tuple(parse_guard(part, (*here, at)) for at, part in enumerate(body)))
    if op == "not":
        return Guard(op, (parse_guard(body, here),))
    if op == "answered":
        if not isinstance(body, str):
            raise GuardError(here, "'answered' takes the name of an answer.")
        return Guard(op, name=body)
    return _comparison(op, body, here)


def _comparison(op: str, body: Any, here: tuple[str | int, ...]) -> Guard:
    size = 3 if op == "between" else 2
    if not isinstance(body, list) or len(body) != size or not isinstance(body[0], str):
        shape = '["answer", low, high]' if op == "between" else '["answer", value]'
        raise GuardError(here, f"{op!r} takes {shape}.")
    value: Any = body[1]
    if op == "between":
        value = (body[1], body[2])
    elif op == "in":
        if not isinstance(value, list) or not value:
            raise GuardError((*here, 1), "'in' takes a list of values.")
        value = tuple(value)
    values = value if isinstance(value, tuple) else (value,)
    if any(isinstance(one, dict | list | float) or one is None for one in values):
        raise GuardError((*here, 1), "A guard compares with words, whole numbers, true or false.")
    if op in ("gte", "lte", "between") and not all(type(number) is int for number in values):
        raise GuardError((*here, 1), f"{op!r} compares with whole numbers.")
    return Guard(op, name=body[0], value=value)


GUARD_SCHEMA: dict[str, Any] = {
    "title": "Guard",
    "type": "object",
    "minProperties": 1,
    "maxProperties": 1,
    "additionalProperties": False,
    "properties": {
        "all": {"type": "array", "minItems": 1, "items": {"type": "object"}},
        "any": {"type": "array", "minItems": 1, "items": {"type": "object"}},
        "not": {"type": "object"},
        "answered": {"type": "string"},
        **{op: {"type": "array", "minItems": 2, "maxItems": 3 if op == "between" else 2} for op in PAIRS},
    },
}
