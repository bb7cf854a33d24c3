"""What must hold on every path of a flow, as data in the flow file. Shape only; bot/proof proves it.

A *condition* speaks of one turn: what was heard, where the session stood and stands, what was said and done. Its guards
count as true only when they are decided true; ``not`` turns the two-valued result round.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from functools import cached_property
from typing import Annotated, Any, Literal, overload

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    PlainSerializer,
    PlainValidator,
    TypeAdapter,
    WithJsonSchema,
    WrapSerializer,
    WrapValidator,
    model_validator,
)
from pydantic_core import PydanticCustomError

from bot.flow.guard import GUARD_SCHEMA, Guard, GuardError, parse_guard

Key = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,39}$")]
Phrases = Annotated[list[str], Field(min_length=1)]


def _guard(raw: Any) -> Guard:
    if isinstance(raw, Guard):
        return raw
    try:
        return parse_guard(raw)
    except GuardError as problem:
        raise PydanticCustomError("guard", "{text}", {"text": str(problem), "path": problem.path}) from None


Test = Annotated[
    Guard, PlainValidator(_guard), PlainSerializer(lambda guard: guard.to_json()), WithJsonSchema(GUARD_SCHEMA)
]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class Condition(_Part):
    """One thing about one turn. Exactly one key is given."""

    all: Annotated[list[Condition], Field(min_length=1)] | None = None
    any: Annotated[list[Condition], Field(min_length=1)] | None = None
    not_: Condition | None = Field(None, alias="not")
    guard: Test | None = Field(None, description="Over the answers and the outcome after the turn.")
    was: Test | None = Field(None, description="Over the answers and the outcome before the turn.")
    heard: list[Key] | None = Field(None, description="answer, unclear, silence, or an event (emergency, back).")
    from_: list[Key] | None = Field(None, alias="from", description="The state before the turn is one of these.")
    to: list[Key] | None = Field(None, description="The state after the turn is one of these.")
    says: list[Key] | None = Field(None, description="At least one of these texts is said.")
    first: list[Key] | None = Field(None, description="The first text said is one of these.")
    does: list[str] | None = Field(None, description="At least one effect is of this kind, or kind:value.")
    text: dict[str, Phrases] | None = Field(None, description="What is said contains every phrase, by language.")
    starts: Literal[True] | None = Field(None, description="The first turn of a walk, or the first after a restart.")
    moves: bool | None = Field(None, description="The turn leads to another state, or asks a question anew.")
    nudged: bool | None = Field(None, description="The open question was met by silence before this turn.")
    ends: Literal["listen", "hangup", "dial"] | None = Field(None, description="What a call does after the turn.")
    ended: bool | None = Field(None, description="The walk is over after the turn.")
    disposition: list[Key] | None = Field(None, description="The disposition after the turn is one of these.")
    keeps: list[Literal["outcome", "state"]] | None = Field(None, description="The turn leaves these alone.")

    @model_validator(mode="after")
    def _one_key(self) -> Condition:
        if sum(getattr(self, name) is not None for name in type(self).model_fields) != 1:
            raise PydanticCustomError("condition", "A condition has exactly one key.")
        return self


class EveryPath(_Part):
    """Limits of every walk. *questions*: how many different ones may be asked before the outcome, by channel."""

    ends: bool = True
    questions: dict[Literal["sms", "voice"], Annotated[int, Field(ge=1, le=60)]] = {}
    apart_from: list[Key] = []
    asks: Annotated[int, Field(ge=1, le=9, description="How often a question may be put in all when unclear.")] = 3


class Monotone(_Part):
    """Making an answer worse never lowers the outcome. *order*: outcomes from low to high. *worse*: groups of values
    of an answer from good to bad; *doubt*: staying unclear counts as worse than every group but the last."""

    order: list[Key]
    worse: dict[Key, list[list[str | int]]]
    doubt: list[Key] = []
    unless: Test | None = None


class Parity(_Part):
    """The same answers give the same outcome on every channel. *joins*: answers that are one question elsewhere."""

    apart_from: list[Key] = []
    joins: dict[Key, list[Key]] = {}


class NoClaim(_Part):
    """No sentence of any text says this. ``...`` stands for any words of one sentence; *unless* the sentence has a
    word of denial."""

    says: dict[str, Phrases]
    unless: dict[str, list[str]] = {}


class Unasked(_Part):
    """Texts that are sent later, not as an answer, are filled with nothing but these placeholders."""

    only: list[Key]


class Lengths(_Part):
    """Septets of one text as SMS carries it, after the longest values; *but*: texts with their own limit."""

    sms: Annotated[int, Field(ge=1, le=1530)] = 160
    but: dict[Key, int] = {}


_ALLOWED = (
    {"never"}, {"always"}, {"when", "then"}, {"after", "never"}, {"every_path"}, {"monotone"}, {"parity"},
    {"early_exit"}, {"no_claim"}, {"unasked"}, {"lengths"}, {"strictness"},
)  # fmt: skip


class Check(_Part):
    """What is proved: of every turn (never, always, when/then), of every walk, of pairs of walks, of every text."""

    never: Condition | None = None
    always: Condition | None = None
    when: Condition | None = None
    then: Condition | None = None
    after: Condition | None = Field(None, description="From the turn on where this held, until the walk is restarted.")
    every_path: EveryPath | None = None
    monotone: Monotone | None = None
    parity: Parity | None = None
    early_exit: Literal[True] | None = Field(None, description="What was not asked could not have changed the result.")
    no_claim: NoClaim | None = None
    unasked: Unasked | None = None
    lengths: Lengths | None = None
    strictness: dict[Literal["consent", "red_flag"], Phrases] | None = Field(
        None, description="The states whose questions are read so: only a clear yes agrees, only a clear no denies."
    )

    @model_validator(mode="after")
    def _known_shape(self) -> Check:
        given = {name for name in type(self).model_fields if getattr(self, name) is not None}
        if given not in _ALLOWED:
            wanted = "; ".join(" + ".join(sorted(one)) for one in _ALLOWED)
            raise PydanticCustomError("check", "{text}", {"text": f"A check is one of: {wanted}."})
        return self


class Invariant(_Part):
    """One promise of a flow: *id* (SPEC section E), *says* in plain words, and what bot/proof checks."""

    id: Annotated[str, Field(pattern=r"^[A-Z]{1,3}\d{1,3}[a-z]?$")]
    says: str
    source: list[str] = Field([], description="The seed rules that it keeps.")
    check: Check


class Promises(Sequence[Invariant]):
    """The invariants of a flow, kept as text until somebody asks for one. They are checked when the flow is loaded; but a
    web process never asks, and made they were 2 MB of it."""

    def __init__(self, text: str) -> None:
        self._text = text

    @cached_property
    def _made(self) -> list[Invariant]:
        return _LIST.validate_json(self._text)

    @overload
    def __getitem__(self, at: int) -> Invariant: ...
    @overload
    def __getitem__(self, at: slice) -> list[Invariant]: ...
    def __getitem__(self, at: int | slice) -> Invariant | list[Invariant]:
        return self._made[at]

    def __iter__(self) -> Iterator[Invariant]:
        return iter(self._made)

    def __len__(self) -> int:
        return len(self._made)


def _checked(raw: Any, check: Callable[[Any], list[Invariant]]) -> Promises:
    check(raw)
    return Promises(json.dumps(raw))


_LIST = TypeAdapter(list[Invariant])
Invariants = Annotated[list[Invariant], WrapValidator(_checked), WrapSerializer(lambda kept, write: write(list(kept)))]


def conditions(check: Check) -> list[tuple[str, Condition]]:
    """Every top-level condition of a check with its key."""
    names = ("never", "always", "when", "then", "after")
    return [(name, getattr(check, name)) for name in names if getattr(check, name) is not None]


def tests_of(condition: Condition) -> list[Guard]:
    """Every guard inside a condition."""
    inner = [*(condition.all or ()), *(condition.any or ()), *([condition.not_] if condition.not_ else [])]
    own = [one for one in (condition.guard, condition.was) if one is not None]
    return own + [found for part in inner for found in tests_of(part)]
