"""Mechanical mutants of the flows, and how many of them ``check`` catches: ``python -m tests.proof.mutants`` all of
triage.json, ``... N`` so many of them by chance, ``... FLOW`` those of another flow.

A mutant counts as harmless when nothing that a patient, a nurse or a worker could see differs: the same turns, by what is
heard, said, done and where it leads. Every mutant that changes one of them and is not caught is printed.
"""

from __future__ import annotations

import json
import random
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from bot.catalog import load_flows
from bot.flow.load import FlowError, Loaded, load_flow
from bot.proof.check import check, entries
from bot.proof.command import reader
from bot.proof.explore import Explorer, Move
from bot.proof.words import Read

Mutant = tuple[str, Any]
PROCESSES = 2


@dataclass
class Score:
    """How many mutants were ``refused`` at loading, ``caught`` by check, ``harmless``, or ``survived``; *alive* by name."""

    counts: Counter[str] = field(default_factory=Counter)
    alive: list[str] = field(default_factory=list)

    @property
    def caught(self) -> int:
        return self.counts["refused"] + self.counts["caught"]

    @property
    def changed(self) -> int:
        return self.caught + self.counts["survived"]

    def __str__(self) -> str:
        return (
            f"{sum(self.counts.values())} mutants, {self.counts['harmless']} of them harmless: {self.caught} of the "
            f"{self.changed} that change behaviour are caught ({self.caught / self.changed:.1%})"
        )


@cache
def body_of(name: str) -> str:
    """The whole document of a flow, with what it shares."""
    whole = dict(load_flows()[name].placed.value)
    whole.pop("extends", None)
    return json.dumps(whole, ensure_ascii=False, indent=1)


@cache
def mutants(name: str = "triage") -> list[Mutant]:
    """(what was done, what does it to the JSON) of every mutant, always in the same order."""
    flow = json.loads(body_of(name))
    found: list[Mutant] = []
    for kind, make in (("retarget", _retarget), ("guard", _guards), ("order", _order), ("number", _numbers),
                       ("text", _texts), ("effect", _effects), ("state", _states)):  # fmt: skip
        found += [(f"{kind}: {what}", change) for what, change in make(flow)]
    return found


def _at(body: Any, path: tuple[Any, ...]) -> Any:
    for step in path:
        body = body[step]
    return body


def _walk(body: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[tuple[Any, ...], Any]]:
    yield path, body
    inner = body.items() if isinstance(body, dict) else enumerate(body) if isinstance(body, list) else ()
    for key, value in inner:
        yield from _walk(value, (*path, key))


def _moving(flow: Any) -> Iterator[tuple[tuple[Any, ...], Any]]:
    for part in ("states", "on", "defaults", "initial"):
        yield from _walk(flow[part], (part,))


def _setter(path: tuple[Any, ...], value: Any) -> Any:
    def change(body: Any) -> None:
        _at(body, path[:-1])[path[-1]] = value

    return change


def _dropper(path: tuple[Any, ...]) -> Any:
    def change(body: Any) -> None:
        del _at(body, path[:-1])[path[-1]]

    return change


def _retarget(flow: Any) -> Iterator[tuple[str, Any]]:
    luck, states = random.Random(7), sorted(flow["states"])
    for path, value in _moving(flow):
        if path[-1] == "target" or (path[0] == "initial" and len(path) == 2):
            for other in luck.sample([name for name in states if name != value], 2):
                yield f"{_name(path)} {value} -> {other}", _setter(path, other)


def _guards(flow: Any) -> Iterator[tuple[str, Any]]:
    for path, value in _moving(flow):
        if path[-1] in ("guard", "skip_if") and isinstance(value, dict):
            if "rules" not in path:
                yield f"{_name(path)} dropped", _dropper(path)
            yield f"{_name(path)} turned round", _setter(path, {"not": value})
            for op in ("all", "any"):
                for at in range(len(value.get(op, ()))):
                    if len(value[op]) > 1:
                        yield f"{_name(path)} without part {at}", _dropper((*path, op, at))


def _order(flow: Any) -> Iterator[tuple[str, Any]]:
    for path, value in _moving(flow):
        if path[-1] in ("options", "rules", "transitions") and isinstance(value, list) and len(value) > 1:
            for at in range(len(value) - 1):
                swapped = [*value[:at], value[at + 1], value[at], *value[at + 2 :]]
                yield f"{_name(path)} {at} and {at + 1} swapped", _setter(path, swapped)
            if path[-1] == "rules":
                for at in range(len(value)):
                    yield f"{_name(path)} {at} deleted", _dropper((*path, at))


def _numbers(flow: Any) -> Iterator[tuple[str, Any]]:
    scales = [name for name, one in flow["context"].items() if one["type"] == "int"]
    for path, value in _moving(flow):
        if path[-1] == "retries":
            yield f"{_name(path)} {value} -> {value + 3}", _setter(path, 5)
            yield f"{_name(path)} {value} -> 0", _setter(path, 0)
        if isinstance(value, list) and len(value) == 2 and value[0] in scales and isinstance(value[1], int):
            for other in (value[1] - 1, value[1] + 1):
                if 0 <= other <= 10:
                    yield f"{_name(path)} {value[1]} -> {other}", _setter((*path, 1), other)
        if path[-1] == "outcome" and isinstance(value, str):
            for other in ("pt", "urgent", "pmr"):
                if other != value:
                    yield f"{_name(path)} {value} -> {other}", _setter(path, other)
        if path[-1] in ("then", "disposition", "strictness"):
            yield f"{_name(path)} dropped", _dropper(path)


def _texts(flow: Any) -> Iterator[tuple[str, Any]]:
    luck, names = random.Random(9), sorted(flow["texts"])
    for path, value in _moving(flow):
        if path[-1] in ("say", "again") and isinstance(value, list) and value:
            yield f"{_name(path)} silent", _setter(path, [])
        if path[-1] in ("ask", "reason", "nudge"):
            yield f"{_name(path)} another text", _setter(path, luck.choice([one for one in names if one != value]))


def _effects(flow: Any) -> Iterator[tuple[str, Any]]:
    for path, value in _moving(flow):
        if path[-1] == "do" and isinstance(value, list):
            for at, one in enumerate(value):
                if "record" not in one:
                    yield f"{_name(path)} without {one}", _dropper((*path, at))
                if "link" in one:
                    yield (
                        f"{_name(path)} other link",
                        _setter((*path, at, "link"), "pt" if one["link"] == "pmr" else "pmr"),
                    )


def _states(flow: Any) -> Iterator[tuple[str, Any]]:
    for name, state in flow["states"].items():
        if name.startswith("screen_"):
            after = state["transitions"][-1]["target"]

            def skip(body: Any, name: str = name, after: str = after) -> None:
                for path, value in list(_moving(body)):
                    if path[-1] == "target" and value == name:
                        _at(body, path[:-1])["target"] = after

            yield f"{name} is never put", skip
    for event in flow["on"]:
        yield f"on {event} deleted", _dropper(("on", event))


def _name(path: tuple[Any, ...]) -> str:
    return ".".join(map(str, path))


def judge(at: int, name: str = "triage") -> tuple[str, str, str]:
    """(what, ``refused`` | ``caught`` | ``harmless`` | ``survived``, why) of the mutant at this place of the list."""
    what, change = mutants(name)[at]
    body = json.loads(body_of(name))
    change(body)
    try:
        loaded = load_flow(json.dumps(body, ensure_ascii=False, indent=1), f"flows/{name}.json")
    except FlowError as error:
        return what, "refused", str(error.problems[0])
    report = check(loaded, flows={**load_flows(), name: loaded}, read=read(), hurry=True, limit=8_000)
    if report.problems:
        return what, "caught", report.problems[0].problem.message[:90]
    return what, "harmless" if behaviour(loaded) == usual(name) else "survived", ""


@cache
def read() -> Read:
    """The reading room, its words parsed once."""
    return reader()


@cache
def usual(name: str) -> frozenset[object]:
    """The turns of the flow as it is."""
    return frozenset(behaviour(load_flow(body_of(name), f"flows/{name}.json")))


def behaviour(loaded: Loaded) -> set[object]:
    """Every turn as somebody outside sees it."""
    seen: set[object] = set()

    def visit(move: Move) -> None:
        before, after = move.before, move.step.session
        state = loaded.flow.states.get(before.state)
        takes = getattr(state, "takes", None)
        digits = [one.value for one in takes.options] if takes else []
        said = (
            digits.index(move.heard.reading.value) if move.heard.reading.value in digits else move.heard.reading.value
        )
        seen.add((takes and takes.strictness, said, before.state, before.channel, move.heard.name, before.misses,
                  before.silences, after.state, after.outcome, after.disposition, after.rule, after.reason,
                  move.step.say, tuple(map(repr, move.step.effects)), move.step.end))  # fmt: skip

    Explorer(loaded, visit=visit, entries=entries(loaded, load_flows())).run()
    return seen


def score(places: Sequence[tuple[int, str]], told: bool = True) -> Score:
    """What becomes of the mutants at these (place, flow), in two processes."""
    found = Score()
    with ProcessPoolExecutor(PROCESSES) as pool:
        for (_, name), (what, verdict, _why) in zip(
            places, pool.map(judge, *zip(*places, strict=True), chunksize=4), strict=True
        ):
            found.counts[verdict] += 1
            if verdict == "survived":
                found.alive.append(f"{name}: {what}")
            if told and verdict in ("survived", "harmless"):
                print(f"{verdict}: {name}: {what}", flush=True)
    return found


def sampled(name: str, size: int, seed: int = 1) -> list[tuple[int, str]]:
    """So many mutants of a flow by chance, or all when there are no more."""
    every = range(len(mutants(name)))
    return [(at, name) for at in (every if size >= len(every) else random.Random(seed).sample(every, size))]


def main(asked: str = "triage") -> int:
    """Print every survivor as it is found, and the score; 1 below 95 %."""
    name, size = ("triage", int(asked)) if asked.isdecimal() else (asked, 10_000)
    found = score(sampled(name, size))
    print(f"{name}.json: {found}")
    return int(found.caught < 0.95 * found.changed)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:2]))
