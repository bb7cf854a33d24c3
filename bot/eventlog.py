"""The patient's log: what a line carries so that its turn can be run again, and the running again. Pure.

A turn of the patient is run again from what came in and from the ids that were drawn. Whatever else was committed (by
staff, a pressed link, a send, a report) is a fact from outside: its line carries the fields of the record it changed.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from bot import late
from bot.consent import Hours
from bot.decide import open_walk, take
from bot.record import Record, from_bytes, to_bytes
from bot.turn import Clinic, Input, Turn

Event = Mapping[str, Any]
Then = Callable[[str], tuple[Clinic, Hours]]  # what decided under an edition's mark; raises UnknownEditionError
TURNS = frozenset({"said", "call", "silence"})
WALK = ("session", "flow", "turn", "state", "language", "says", "result")  # what a line says of where a walk stands


@dataclass(frozen=True, slots=True)
class Difference:
    """The first thing of one log that came out otherwise: the line's number (from 0; None: the record at the end), its
    field, and the two values."""

    number: int | None
    field: str
    was: Any
    now: Any


class UnknownEditionError(LookupError):
    """A line was written under flows, words or settings that were never published here, so it cannot be run again."""


def line(before: Record, found: Turn, mark: str, now: float) -> dict[str, Any]:
    """The log's line of one commit on *before*; {} when nothing happened. *mark* names the edition that decided it."""
    event = dict(found.event)
    if not event and found.record == before:
        return {}
    event.setdefault("at", now)
    event.setdefault("in", "kept")
    if found.tasks:
        event["tasks"] = list(found.tasks)
    if found.later:
        event["ids"] = [one.id for one in found.later]
    if found.links:
        event["links"] = [token for token, _ in found.links]
    if is_turn(event) or event["in"] == "begun":
        event["on"] = mark
    if not is_turn(event):
        event["sets"] = _changes(before, found.record)
    return event


def is_turn(event: Event) -> bool:
    """The line of something that the patient said, keyed, or was silent about."""
    return event["in"] in TURNS and "reading" in event


def run_again(clinic: Clinic, hours: Hours, patient: str, record: Record, event: Event) -> tuple[Record, Turn]:
    """The turn of *event* and the record after it. *clinic* and *hours* are those of the event's edition."""
    clinic = _drawing(clinic, event)
    if is_turn(event):
        given, now = input_of(event), event["at"]
        if "came" in event:
            found = late.taken_up(clinic, patient, record, given, now, came=event["came"], hours=hours)
        else:
            found = take(clinic, patient, record, given, now)
        return found.record, found
    begun = open_walk(clinic, patient, record, event["opens"], event["door"], event["at"])
    return outside(record, event), begun


def outside(record: Record, event: Event) -> Record:
    """The record after something that no patient said. Raises UnknownEditionError for a line that does not tell."""
    if "sets" not in event:
        raise UnknownEditionError
    body = {name: value for name, value in {**_fields(record), **event["sets"]}.items() if value is not None}
    return from_bytes(json.dumps(body).encode())


def input_of(event: Event) -> Input:
    """What came in, from its line."""
    keys, said = event.get("keys", False), event["said"]
    return Input(
        event["door"], "" if keys else said, said if keys else None, event.get("step"), event.get("type"), event["in"]
    )


def replay(patient: str, events: Iterable[Event], final: Record, then: Then) -> tuple[Record, Difference | None]:
    """Run a whole log again; the record it comes to, and the first thing that differs."""
    record = Record(final.phone)
    for number, event in enumerate(events):
        found, before = None, record
        if "on" in event:
            record, found = run_again(*then(event["on"]), patient, record, event)
        else:
            record = outside(record, event)
        if found is not None:
            now = json.loads(json.dumps(line(before, found, event["on"], event["at"])))
            difference = _compare(number, event, now)
            if difference:
                return record, difference
    return record, _compare_records(final, record)


def _compare(number: int, was: Event, now: Event) -> Difference | None:
    names = WALK if was["in"] == "begun" else dict.fromkeys((*(was.keys() - {"fx"}), *now))  # fx: the effect that ran
    for name in names:
        if was.get(name) != now.get(name):
            return Difference(number, name, was.get(name), now.get(name))
    return None


def _compare_records(was: Record, now: Record) -> Difference | None:
    if to_bytes(was) == to_bytes(now):
        return None
    old, new = _fields(was), _fields(now)
    for name in dict.fromkeys((*old, *new)):
        if old.get(name) != new.get(name):
            return Difference(None, name, old.get(name), new.get(name))
    return Difference(None, "order", list(old), list(new))


def _drawing(clinic: Clinic, event: Event) -> Clinic:
    """The clinic that draws again what was drawn then; what was not drawn then is "?", which no line has."""
    ids: Iterator[str] = iter(event.get("ids", ()))
    tokens: Iterator[str] = iter(event.get("links", ()))

    def link(patient: str) -> tuple[str, str]:
        token = next(tokens, "?")
        return token, clinic.link(token)[1]

    return replace(
        clinic, new_id=lambda: event.get("session", "?"), new_effect=lambda patient: next(ids, "?"), link=link
    )


def _changes(before: Record, after: Record) -> dict[str, Any]:
    """The fields of the record's JSON that differ; None: the field is gone."""
    old, new = _fields(before), _fields(after)
    return {name: new.get(name) for name in dict.fromkeys((*old, *new)) if old.get(name) != new.get(name)}


def _fields(record: Record) -> dict[str, Any]:
    body: dict[str, Any] = json.loads(to_bytes(record))
    return body
