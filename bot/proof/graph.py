"""A flow as states and arrows, and its Mermaid text and outline: what every picture of it is made from. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from bot.flow import model
from bot.flow.load import Loaded
from bot.proof.words_of_guard import say, short


@dataclass(frozen=True, slots=True)
class Edge:
    """One arrow. *net*: what happens when an answer stays unclear or away. *source* ``@sms``: a text begins."""

    source: str
    target: str
    label: str = ""
    net: bool = False


def edges(loaded: Loaded) -> list[Edge]:
    """Every arrow between states, one for each pair; what counts in every state is in ``anywhere``."""
    found: dict[tuple[str, str], list[Edge]] = {}
    for edge in _all(loaded.flow):
        found.setdefault((edge.source, edge.target), []).append(edge)
    merged = []
    for (source, target), every in found.items():
        plain = [one for one in every if not one.net] or every
        labels = list(dict.fromkeys(one.label for one in plain if one.label))
        merged.append(Edge(source, target, ", ".join(labels), all(one.net for one in every)))
    return merged


def _all(flow: model.Flow) -> Iterator[Edge]:
    for channel, name in flow.initial.items():
        yield Edge(f"@{channel}", name)
    for name, state in flow.states.items():
        if isinstance(state, model.Question | model.Message):
            store = state.store if isinstance(state, model.Question) else ""
            yield from (Edge(name, arrow.target, short(arrow.guard, store)) for arrow in state.transitions)
        if isinstance(state, model.Question):
            if state.no_match:
                yield Edge(name, state.no_match.target, "unclear", net=True)
            for part in (state.no_input.sms, state.no_input.voice) if state.no_input else ():
                if part:
                    yield Edge(name, part.target, "silent", net=True)
        if isinstance(state, model.Decision):
            yield from (Edge(name, asked) for asked in state.asks)
            yield from (Edge(name, rule.target, rule.id) for rule in state.rules)
            yield Edge(name, state.otherwise.target, state.otherwise.id)


def anywhere(loaded: Loaded) -> list[tuple[str, str]]:
    """(what is heard, state): what leads out of every state or every question that says nothing of its own."""
    flow, found = loaded.flow, []
    for name, arms in flow.on.items():
        found += [(name.replace("_", " "), arm.target) for arm in arms if arm.target]
    if flow.defaults.no_match:
        found.append(("stays unclear", flow.defaults.no_match.target))
    if flow.defaults.no_input:
        parts = (("no reply to texts", flow.defaults.no_input.sms), ("silent caller", flow.defaults.no_input.voice))
        found += [(words, part.target) for words, part in parts if part]
    return list(dict.fromkeys(found))


def label_of(name: str) -> str:
    """How a state's name is written in a picture."""
    return {"@sms": "a text comes", "@voice": "a call comes"}.get(name, name.replace("_", " "))


def kind_of(loaded: Loaded, name: str) -> str:
    """What colours a state: its outcome, else its type; ``start`` for where a walk begins."""
    state = loaded.flow.states.get(name)
    if state is None:
        return "start"
    return getattr(state, "outcome", None) or state.type


def outline(loaded: Loaded) -> list[str]:
    """The flow in sentences, one a line: the picture's text alternative."""
    lines = []
    every = edges(loaded)
    for name in [*(f"@{channel}" for channel in loaded.flow.initial), *loaded.flow.states]:
        out = [f"{label_of(one.target)}{f' ({one.label})' if one.label else ''}" for one in every if one.source == name]
        kind = kind_of(loaded, name)
        lines.append(f"{label_of(name)} [{kind}]" + (f": to {'; '.join(out)}." if out else "."))
    lines += [f"In every state, {heard}: to {label_of(target)}." for heard, target in anywhere(loaded)]
    return lines


def rules(loaded: Loaded) -> Iterator[tuple[str, str, str, str | None, list[str]]]:
    """(table, rule, in words, reason, seed rules) with the target in the words: every row of every decision."""
    for name, state in loaded.flow.states.items():
        if isinstance(state, model.Decision):
            for rule in state.rules:
                yield name, rule.id, f"{say(rule.guard)}: {label_of(rule.target)}", rule.reason, rule.source
            last = state.otherwise
            yield name, last.id, f"anything else: {label_of(last.target)}", last.reason, last.source


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
