"""Text of a flow -> Flow, or every problem at once as ``file:line:column message``. Reads no file itself.

Shape comes from model.py; here is what must agree: names that point somewhere, guards within declared answers, texts
in every language. What a *safe* flow is belongs to bot/proof.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from types import MappingProxyType
from typing import Any

from pydantic import ValidationError

from bot.flow import model
from bot.flow.extend import Extended, extend
from bot.flow.guard import UNCLEAR, Answer, Guard
from bot.flow.positions import JsonError, Located, Path, parse

BUILT_IN: dict[str, tuple[Answer, ...]] = {
    "channel": ("sms", "voice"),
    "language": ("en", "es"),
    "outcome": ("none", "emergency", "urgent", "pmr", "both", "pt"),
}
EVENTS = frozenset(
    {
        "emergency", "crisis", "urgent", "minor", "opt_out", "human", "help", "schedule", "cancel_appt", "change_appt",
        "info_pmr", "info_pt", "info_both", "info_visit",
        "zip",
    }
)  # fmt: skip
LANGUAGE_EVENT = "language"
PLACEHOLDER = re.compile(r"\{([a-z_]+)\}")
NO_PARTS: Mapping[str, str] = MappingProxyType({})
VALUES = frozenset({"clinic", "phone", "link", "reason", "a", "b", "day", "time", "surg"})


@dataclass(frozen=True, order=True)
class Problem:
    """Something wrong in a flow file; prints as ``file:line:column message``."""

    file: str
    line: int
    column: int
    message: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column} {self.message}"


class FlowError(ValueError):
    """The file is no flow. *problems* are all of them, in the order of the file."""

    def __init__(self, problems: list[Problem]) -> None:
        super().__init__("\n".join(str(problem) for problem in problems))
        self.problems = problems


@dataclass(frozen=True)
class Loaded:
    """A flow with the hash of its content (what a session pins), its *text*, and the texts of flows/parts by name."""

    flow: model.Flow
    hash: str
    file: str
    text: str
    parts: Mapping[str, str]

    @cached_property
    def placed(self) -> Extended:
        """Where everything stands. Only proofs and editors ask; kept from the start it was 5 MB of each web process."""
        return _placed(self.text, self.file, self.parts)

    @cached_property
    def states(self) -> dict[str, model.State]:
        return dict(self.flow.states)

    @cached_property
    def stored(self) -> frozenset[str]:
        """The answers that questions ask for; the other names of the context are told by the host."""
        return frozenset(one.store for one in self.flow.states.values() if isinstance(one, model.Question))

    def problem(self, path: Path, message: str) -> Problem:
        """A problem at *path* of this flow's JSON."""
        return Problem(*self.placed.place(path), message)


def load_flow(text: str, file: str, parts: Mapping[str, str] = NO_PARTS) -> Loaded:
    """The flow in *text*; *file* is only named in errors, *parts* are the texts of flows/parts by name. Raises FlowError
    with every problem."""
    placed = _placed(text, file, parts)

    def at(path: Path, message: str) -> Problem:
        return Problem(*placed.place(path), message)

    problems = [at(path, f"The key {path[-1]!r} stands here twice.") for path in placed.own.repeated]
    try:
        flow = model.Flow.model_validate(placed.value)
    except ValidationError as error:
        raise FlowError(sorted(problems + [at(*_shape_problem(one)) for one in error.errors()])) from None
    problems += [at(path, message) for path, message in _disagreements(flow)]
    if problems:
        raise FlowError(sorted(set(problems)))
    return Loaded(flow, content_hash(placed.value), file, text, parts)


def _placed(text: str, file: str, parts: Mapping[str, str]) -> Extended:
    return _extended(_parsed(text, file), file, parts)


def _parsed(text: str, file: str) -> Located:
    try:
        return parse(text)
    except JsonError as problem:
        line, column = Located(text).line_column(problem.offset)
        raise FlowError([Problem(file, line, column, str(problem))]) from None


def _extended(own: Located, file: str, parts: Mapping[str, str]) -> Extended:
    name = own.value.get("extends") if isinstance(own.value, dict) else None
    if name is None:
        return extend(own, None, (file, file))
    if not isinstance(name, str) or name not in parts:
        line, column = own.line_column(own.nearest(("extends",)))
        raise FlowError([Problem(file, line, column, f"There is no part {name!r} in flows/parts.")])
    other = f"flows/parts/{name}.json"
    return extend(own, _parsed(parts[name], other), (file, other))


def content_hash(value: Any) -> str:
    """16 hex digits over the content, not the layout, of a flow document."""
    canonical = json.dumps(value, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()[:16]


def base_hash(wording: model.Wording) -> str:
    """8 hex digits of a base text; a translation keeps them in ``of``."""
    body = json.dumps([wording.text, wording.sms, wording.voice], ensure_ascii=False)
    return hashlib.sha256(body.encode()).hexdigest()[:8]


def _shape_problem(error: Any) -> tuple[Path, str]:
    path: Path = tuple(error["loc"])
    kind, message = error["type"], error["msg"]
    if kind == "guard":
        return (*path, *error["ctx"]["path"]), message
    if kind == "extra_forbidden":
        message = f"The key {path[-1]!r} is not known here."
    elif kind == "missing":
        message = f"The key {path[-1]!r} is missing here."
    elif kind == "union_tag_not_found":
        message = "The key 'type' is missing here."
    elif kind == "string_pattern_mismatch":
        message = f"{error['input']!r} is no valid name here (wanted: {error['ctx']['pattern']})."
    return path, message if message.endswith(".") else message + "."


# -- what must agree -------------------------------------------------------------------------------------------------


def domain(flow: model.Flow, name: str) -> tuple[Answer, ...] | None:
    """Every value that the answer *name* can have ("unclear" included), or None when it is not declared."""
    if name in BUILT_IN:
        return BUILT_IN[name]
    variable = flow.context.get(name)
    if variable is None:
        return None
    if isinstance(variable, model.IntVar):
        return (*range(variable.min, variable.max + 1), UNCLEAR)
    if isinstance(variable, model.BoolVar):
        return (True, False, UNCLEAR)
    return (*variable.values, UNCLEAR)


def guards(flow: model.Flow) -> Iterator[tuple[Path, Guard]]:
    """Every guard of the flow with its path."""
    for name, state in flow.states.items():
        yield from ((("states", name, *path), guard) for path, guard in _state_guards(state))
    for name, events in flow.on.items():
        for at, event in enumerate(events):
            if event.guard:
                yield ("on", name, at, "guard"), event.guard
    for name, follow_up in flow.follow_ups.items():
        if follow_up.when:
            yield ("follow_ups", name, "when"), follow_up.when


def _state_guards(state: model.State) -> Iterator[tuple[Path, Guard]]:
    if isinstance(state, model.Question) and state.skip_if:
        yield ("skip_if",), state.skip_if
    if isinstance(state, model.Question | model.Message):
        for at, arrow in enumerate(state.transitions):
            if arrow.guard:
                yield ("transitions", at, "guard"), arrow.guard
    if isinstance(state, model.Decision):
        for at, rule in enumerate(state.rules):
            yield ("rules", at, "guard"), rule.guard


def targets(flow: model.Flow) -> Iterator[tuple[Path, str]]:
    """Every name of a state that something in this flow points to, with its path."""
    if flow.resume:
        yield ("resume", "target"), flow.resume.target
    for channel, name in flow.initial.items():
        yield ("initial", channel), name
    for name, state in flow.states.items():
        yield from (((("states", name, *path)), target) for path, target in _state_targets(state))
    for path, holder in (("no_match", flow.defaults.no_match), ("no_input", flow.defaults.no_input)):
        yield from (((("defaults", path, *rest)), target) for rest, target in _silence_targets(holder))
    for name, events in flow.on.items():
        for at, event in enumerate(events):
            if event.target:
                yield ("on", name, at, "target"), event.target


def _state_targets(state: model.State) -> Iterator[tuple[Path, str]]:
    if isinstance(state, model.Question | model.Message):
        for at, arrow in enumerate(state.transitions):
            yield ("transitions", at, "target"), arrow.target
    if isinstance(state, model.Question):
        for key, holder in (("no_match", state.no_match), ("no_input", state.no_input)):
            yield from (((key, *rest), target) for rest, target in _silence_targets(holder))
    if isinstance(state, model.Decision):
        for at, name in enumerate(state.asks):
            yield ("asks", at), name
        for at, rule in enumerate(state.rules):
            yield ("rules", at, "target"), rule.target
        yield ("otherwise", "target"), state.otherwise.target


def _silence_targets(holder: model.NoMatch | model.NoInput | None) -> Iterator[tuple[Path, str]]:
    if isinstance(holder, model.NoMatch):
        yield ("target",), holder.target
    elif isinstance(holder, model.NoInput):
        for channel, part in (("sms", holder.sms), ("voice", holder.voice)):
            if part:
                yield (channel, "target"), part.target


def texts_used(value: Any, path: Path = ()) -> Iterator[tuple[Path, str]]:
    """Every name of a text inside a piece of flow JSON, with its path."""
    if isinstance(value, dict):
        for key, inner in value.items():
            if key in ("say", "before", "after", "again") and isinstance(inner, list):
                yield from (((*path, key, at), name) for at, name in enumerate(inner))
            elif key in ("ask", "suggest", "nudge", "reason", "greeting") and isinstance(inner, str):
                yield (*path, key), inner
            else:
                yield from texts_used(inner, (*path, key))
    elif isinstance(value, list):
        for at, inner in enumerate(value):
            yield from texts_used(inner, (*path, at))


def _disagreements(flow: model.Flow) -> Iterator[tuple[Path, str]]:
    checks: tuple[Callable[[model.Flow], Iterator[tuple[Path, str]]], ...] = (
        _bad_targets, _bad_guards, _bad_texts, _bad_questions, _bad_names, _bad_later,
    )  # fmt: skip
    for check in checks:
        yield from check(flow)


def _bad_targets(flow: model.Flow) -> Iterator[tuple[Path, str]]:
    for path, name in targets(flow):
        if name not in flow.states:
            yield path, f"There is no state {name!r} in this flow."
    for name, state in flow.states.items():
        if isinstance(state, model.Decision):
            for at, asked in enumerate(state.asks):
                if asked in flow.states and not isinstance(flow.states[asked], model.Question):
                    yield ("states", name, "asks", at), f"The state {asked!r} is no question."


def _bad_guards(flow: model.Flow) -> Iterator[tuple[Path, str]]:
    for path, guard in guards(flow):
        for node in guard.walk():
            if not node.name:
                continue
            values = domain(flow, node.name)
            if values is None:
                yield path, f"The answer {node.name!r} is not declared in 'context'."
            elif node.op != "answered":
                wanted = node.value if isinstance(node.value, tuple) else (node.value,)
                for value in wanted:
                    if not any(value == one and isinstance(value, bool) == isinstance(one, bool) for one in values):
                        yield path, f"The answer {node.name!r} can never be {value!r}."


def _bad_texts(flow: model.Flow) -> Iterator[tuple[Path, str]]:
    for path, name in texts_used(
        flow.model_dump(mode="json", by_alias=True, exclude={"texts", "context", "invariants"})
    ):
        if name not in flow.texts:
            yield path, f"There is no text {name!r} in 'texts'."
    for name, wordings in flow.texts.items():
        for language in flow.languages:
            if language not in wordings:
                yield ("texts", name), f"The text {name!r} has no wording in {language!r}."
        for tongue, wording in wordings.items():
            here: Path = ("texts", name, tongue)
            if tongue not in flow.languages:
                yield here, f"The language {tongue!r} is not one of this flow's."
            for channel in ("text", "sms", "voice"):
                body = getattr(wording, channel) or ""
                for placeholder in PLACEHOLDER.findall(body):
                    if placeholder not in VALUES:
                        yield (*here, channel), f"Nothing fills the placeholder {{{placeholder}}}."


def _bad_questions(flow: model.Flow) -> Iterator[tuple[Path, str]]:
    for name, state in flow.states.items():
        if not isinstance(state, model.Question):
            continue
        here: Path = ("states", name)
        if not (state.no_match or flow.defaults.no_match):
            yield here, "This question names no 'no_match', and 'defaults' has none."
        for channel in flow.channels:
            if not any(getattr(one, channel) for one in (state.no_input, flow.defaults.no_input) if one):
                yield here, f"This question names no 'no_input' for {channel}, and 'defaults' has none."
        silence = state.no_input.sms if state.no_input else None
        if silence and bool(silence.nudge or silence.do) != bool(silence.nudge_after):
            yield (
                (*here, "no_input", "sms"),
                "'nudge_after' says when 'nudge' is said or 'do' is done: give both or neither.",
            )
        if state.store not in flow.context:
            yield (*here, "store"), f"The answer {state.store!r} is not declared in 'context'."
            continue
        variable, takes = flow.context[state.store], state.takes
        wanted: tuple[Answer, ...] = ("yes", "no") if takes.type == "yesno" else tuple(o.value for o in takes.options)
        if takes.type == "scale0_10":
            wanted = tuple(range(11))
        if takes.type == "choice" and not 2 <= len(wanted) <= 9:
            yield (*here, "takes"), "A choice has 2 to 9 options: one digit each."
        if set(wanted) != set(domain(flow, state.store) or ()) - {UNCLEAR} or isinstance(variable, model.SetVar):
            yield (*here, "takes"), f"What this question takes and the values of {state.store!r} differ."


def _bad_names(flow: model.Flow) -> Iterator[tuple[Path, str]]:
    for name in flow.context:
        if name in BUILT_IN:
            yield ("context", name), f"{name!r} is built in; give the answer another name."
    for name in flow.on:
        if name not in EVENTS:
            yield ("on", name), f"{name!r} is no event; there are: {', '.join(sorted(EVENTS))}."
    for channel in flow.channels:
        if channel not in flow.initial:
            yield ("initial",), f"There is no initial state for {channel}."
    for path, do in _deeds(flow):
        if sum(value is not None for value in do.model_dump().values()) != 1:
            yield path, "An effect has exactly one key."
        for at, name in enumerate(do.plan or ()):
            if name not in flow.follow_ups:
                yield (*path, "plan", at), f"There is no follow-up {name!r} in 'follow_ups'."
        if do.score is not None and do.score not in flow.scores:
            yield (*path, "score"), f"There is no score {do.score!r} in 'scores'."


def _bad_later(flow: model.Flow) -> Iterator[tuple[Path, str]]:
    for name, one in flow.follow_ups.items():
        here: Path = ("follow_ups", name)
        if (one.after is None) == (one.before is None):
            yield here, "A follow-up is due either 'after' so long or 'before' the visit."
        if one.before is not None and one.clock != "visit":
            yield (*here, "before"), "What comes before the visit counts from it: set 'clock' to 'visit'."
        if bool(one.say) == bool(one.flow):
            yield here, "A follow-up either says a text of this flow or begins another flow."
    for name, score in flow.scores.items():
        for at, answer in enumerate(score.of):
            if not isinstance(flow.context.get(answer), model.IntVar):
                yield ("scores", name, "of", at), f"{answer!r} is no number declared in 'context'."


def _silent_deeds(path: Path, holder: model.NoInput | None) -> Iterator[tuple[Path, model.Do]]:
    if holder and holder.sms:
        yield from (((*path, "no_input", "sms", "do", at), do) for at, do in enumerate(holder.sms.do))


def _deeds(flow: model.Flow) -> Iterator[tuple[Path, model.Do]]:
    yield from _silent_deeds(("defaults",), flow.defaults.no_input)
    for name, state in flow.states.items():
        if isinstance(state, model.Message | model.Final | model.Handover):
            yield from ((("states", name, "do", at), do) for at, do in enumerate(state.do))
        if isinstance(state, model.Question):
            yield from _silent_deeds(("states", name), state.no_input)
    for name, events in flow.on.items():
        for at, event in enumerate(events):
            yield from ((("on", name, at, "do", nth), do) for nth, do in enumerate(event.do))
