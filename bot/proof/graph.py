"""A flow as states and arrows, and its Mermaid text and outline: what every picture of it is made from. Pure.

English stands here; *tell* says it in another language (bot/staff_words.py).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from bot.flow import model
from bot.flow.load import Loaded
from bot.proof.words_of_guard import Tell, plain, plainly, say, short


@dataclass(frozen=True, slots=True)
class Edge:
    """One arrow. *net*: what happens when an answer stays unclear or away. *source* ``@sms``: a text begins."""

    source: str
    target: str
    label: str = ""
    net: bool = False


STARTS = {"@sms": "a text comes", "@voice": "a call comes"}
KINDS = {
    "start": "beginning", "question": "question", "decision": "decision table", "message": "message", "handover": "hand-over",
    "final": "end without a visit", "emergency": "outcome: emergency", "urgent": "outcome: urgent, today",
    "pmr": "outcome: doctor (PM&R)", "both": "outcome: doctor, then therapist", "pt": "outcome: physical therapist",
}  # fmt: skip
UNCLEAR, SILENT = "unclear", "silent"
ANYWHERE = {"no_match": "stays unclear", "sms": "no reply to texts", "voice": "silent caller"}


def edges(loaded: Loaded, tell: Tell = plainly) -> list[Edge]:
    """Every arrow between states, one for each pair; what counts in every state is in ``anywhere``."""
    found: dict[tuple[str, str], list[Edge]] = {}
    for edge in _all(loaded.flow, tell):
        found.setdefault((edge.source, edge.target), []).append(edge)
    merged = []
    for (source, target), every in found.items():
        plain = [one for one in every if not one.net] or every
        labels = list(dict.fromkeys(one.label for one in plain if one.label))
        merged.append(Edge(source, target, ", ".join(labels), all(one.net for one in every)))
    return merged


def _all(flow: model.Flow, tell: Tell) -> Iterator[Edge]:
    for channel, name in flow.initial.items():
        yield Edge(f"@{channel}", name)
    for name, state in flow.states.items():
        if isinstance(state, model.Question | model.Message):
            store = state.store if isinstance(state, model.Question) else ""
            yield from (Edge(name, arrow.target, short(arrow.guard, store, tell)) for arrow in state.transitions)
        if isinstance(state, model.Question):
            if state.no_match:
                yield Edge(name, state.no_match.target, tell(UNCLEAR), net=True)
            for part in (state.no_input.sms, state.no_input.voice) if state.no_input else ():
                if part:
                    yield Edge(name, part.target, tell(SILENT), net=True)
        if isinstance(state, model.Decision):
            yield from (Edge(name, asked) for asked in state.asks)
            yield from (Edge(name, rule.target, rule.id) for rule in state.rules)
            yield Edge(name, state.otherwise.target, state.otherwise.id)


def anywhere(loaded: Loaded, tell: Tell = plainly) -> list[tuple[str, str]]:
    """(what is heard, state): what leads out of every state or every question that says nothing of its own."""
    flow, found = loaded.flow, []
    for name, arms in flow.on.items():
        found += [(plain(name, tell), arm.target) for arm in arms if arm.target]
    if flow.defaults.no_match:
        found.append((tell(ANYWHERE["no_match"]), flow.defaults.no_match.target))
    if flow.defaults.no_input:
        parts = (("sms", flow.defaults.no_input.sms), ("voice", flow.defaults.no_input.voice))
        found += [(tell(ANYWHERE[door]), part.target) for door, part in parts if part]
    return list(dict.fromkeys(found))


def label_of(name: str, tell: Tell = plainly) -> str:
    """How a state's name is written in a picture."""
    return tell(STARTS[name]) if name in STARTS else plain(name, tell)


def kind_of(loaded: Loaded, name: str) -> str:
    """What colours a state: its outcome, else its type; ``start`` for where a walk begins."""
    state = loaded.flow.states.get(name)
    if state is None:
        return "start"
    return getattr(state, "outcome", None) or state.type


def outline(loaded: Loaded, tell: Tell = plainly) -> list[str]:
    """The flow in sentences, one a line: the picture's text alternative."""
    lines = []
    every = edges(loaded, tell)
    for name in [*(f"@{channel}" for channel in loaded.flow.initial), *loaded.flow.states]:
        out = [
            f"{label_of(one.target, tell)}{f' ({one.label})' if one.label else ''}"
            for one in every
            if one.source == name
        ]
        begins = f"{label_of(name, tell)} [{tell(KINDS[kind_of(loaded, name)])}]"
        lines.append(tell("{begins}: to {targets}.", begins=begins, targets="; ".join(out)) if out else f"{begins}.")
    for heard, target in anywhere(loaded, tell):
        lines.append(tell("In every state, {heard}: to {target}.", heard=heard, target=label_of(target, tell)))
    return lines


def rules(loaded: Loaded, tell: Tell = plainly) -> Iterator[tuple[str, str, str, str | None, list[str]]]:
    """(table, rule, in words, reason, seed rules) with the target in the words: every row of every decision."""
    for name, state in loaded.flow.states.items():
        if isinstance(state, model.Decision):
            for rule in state.rules:
                words = f"{say(rule.guard, tell=tell)}: {label_of(rule.target, tell)}"
                yield name, rule.id, words, rule.reason, rule.source
            last = state.otherwise
            yield name, last.id, f"{say(None, tell=tell)}: {label_of(last.target, tell)}", last.reason, last.source


def mermaid(loaded: Loaded) -> str:
    """The same arrows as Mermaid text."""
    shapes = {"question": ("[", "]"), "decision": ("{", "}"), "message": ("(", ")"), "start": ("((", "))")}
    edge_list = edges(loaded)
    lines = ["flowchart TD"]
    starts = [f"@{channel}" for channel in loaded.flow.initial]
    for name in [*starts, *loaded.flow.states]:
        state = loaded.flow.states.get(name)
        left, right = shapes.get(state.type if state else "start", ("([", "])"))
        lines.append(f'  {_id(name)}{left}"{label_of(name)}"{right}')
    for one in edge_list:
        arrow = "-.->" if one.net else "-->"
        label = f'|"{one.label}"|' if one.label else ""
        lines.append(f"  {_id(one.source)} {arrow}{label} {_id(one.target)}")
    for at, (heard, target) in enumerate(anywhere(loaded)):
        lines.append(f'  any{at}(("{heard}")) -.-> {_id(target)}')
    return "\n".join(lines) + "\n"


def _id(name: str) -> str:
    return "s_" + name.replace("@", "from_")
