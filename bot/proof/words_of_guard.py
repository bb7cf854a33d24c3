"""Guards as words that a clinician reads. Pure; English only, because it is for staff."""

from __future__ import annotations

from bot.flow.guard import Guard


def say(guard: Guard | None, inner: bool = False) -> str:
    """``severity is at least 7 and trend is worse``; "anything else" for no guard."""
    if guard is None:
        return "anything else"
    if guard.op in ("all", "any"):
        if len(guard.parts) == 1:
            return say(guard.parts[0], inner)
        text = (" and " if guard.op == "all" else " or ").join(say(part, True) for part in guard.parts)
        return f"({text})" if inner else text
    if guard.op == "not":
        return f"not {say(guard.parts[0], True)}"
    name = guard.name.replace("_", " ")
    if guard.op == "answered":
        return f"{name} is known"
    values = [str(one) for one in (guard.value if isinstance(guard.value, tuple) else (guard.value,))]
    if guard.op == "between":
        return f"{name} is from {values[0]} to {values[1]}"
    verb = {"eq": "is", "in": "is", "ne": "is not", "has": "has", "gte": "is at least", "lte": "is at most"}[guard.op]
    return f"{name} {verb} {' or '.join(values)}"


def short(guard: Guard | None, store: str) -> str:
    """For an arrow's label: the bare value where the guard is about the question's own answer."""
    if guard is None:
        return ""
    if guard.op in ("eq", "in") and guard.name == store:
        return " / ".join(str(one) for one in (guard.value if guard.op == "in" else (guard.value,)))
    if guard.op == "all":
        return ", ".join(short(part, store) for part in guard.parts)
    if guard.op == "eq" and guard.name in ("channel", "outcome"):
        return {"voice": "call", "sms": "text"}.get(guard.value, str(guard.value))
    if guard.op == "eq" and (guard.name, guard.value) == ("textable", "no"):
        return "no texts"
    return say(guard)
