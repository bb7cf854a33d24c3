"""Guards as words that a clinician reads. Pure. English stands here; *tell* says it in another language (bot/staff_words.py)."""

from __future__ import annotations

from collections.abc import Callable

from bot.flow.guard import Guard

Tell = Callable[..., str]  # a sentence, and what fills its {names}
SAYS = {"eq": "{name} is {value}", "in": "{name} is {value}", "ne": "{name} is not {value}", "has": "{name} has {value}",
        "gte": "{name} is at least {value}", "lte": "{name} is at most {value}"}  # fmt: skip
JOINS = {"all": "{one} and {two}", "any": "{one} or {two}"}
NAMES = {"en": "English", "es": "Spanish", "sms": "text", "voice": "call"}


def plainly(text: str, /, **values: object) -> str:
    """In English."""
    return text.format(**values) if values else text


def plain(code: object, tell: Tell = plainly) -> str:
    """A name or a value of a flow as it is said."""
    return tell(NAMES.get(str(code)) or str(code).replace("_", " "))


def say(guard: Guard | None, inner: bool = False, tell: Tell = plainly) -> str:
    """``severity is at least 7 and trend is worse``; "anything else" for no guard."""
    if guard is None:
        return tell("anything else")
    if guard.op in ("all", "any"):
        said = [say(part, len(guard.parts) > 1 or inner, tell) for part in guard.parts]
        text = said[0]
        for one in said[1:]:
            text = tell(JOINS[guard.op], one=text, two=one)
        return f"({text})" if inner and len(said) > 1 else text
    if guard.op == "not":
        return tell("not {what}", what=say(guard.parts[0], True, tell))
    name = plain(guard.name, tell)
    if guard.op == "answered":
        return tell("{name} is known", name=name)
    values = [plain(one, tell) for one in (guard.value if isinstance(guard.value, tuple) else (guard.value,))]
    if guard.op == "between":
        return tell("{name} is from {low} to {high}", name=name, low=values[0], high=values[1])
    value = values[0]
    for one in values[1:]:
        value = tell(JOINS["any"], one=value, two=one)
    return tell(SAYS[guard.op], name=name, value=value)


def short(guard: Guard | None, store: str, tell: Tell = plainly) -> str:
    """For an arrow's label: the bare value where the guard is about the question's own answer."""
    if guard is None:
        return ""
    if guard.op in ("eq", "in") and guard.name == store:
        return " / ".join(plain(one, tell) for one in (guard.value if guard.op == "in" else (guard.value,)))
    if guard.op == "all":
        return ", ".join(short(part, store, tell) for part in guard.parts)
    if guard.op == "eq" and guard.name in ("channel", "outcome"):
        return plain(guard.value, tell)
    if guard.op == "eq" and (guard.name, guard.value) == ("textable", "no"):
        return tell("no texts")
    return say(guard, tell=tell)
