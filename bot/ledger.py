"""A turn in the store's terms: what conversation.py needs of a store, and how a turn is written there. Decides nothing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

from bot.alerts import planned
from bot.counts import Count, Prices, of_turn
from bot.eventlog import line
from bot.packed import pack
from bot.record import Record, to_bytes
from bot.store import Committed, Effect, LinkToken, Loaded, Task
from bot.tasks import TASKS
from bot.turn import Clinic, Turn


class Ledger(Protocol):
    """What a turn needs of the store (bot/store, or bot/store/memory.py for chat and replay)."""

    def load(self, patient: str, key: str) -> Loaded: ...

    def commit(
        self,
        patient: str,
        key: str,
        version: str,
        *,
        record: bytes,
        answer: bytes,
        effects: Sequence[Effect] = (),
        cancels: Sequence[str] = (),
        events: Sequence[bytes] = (),
        tasks: Sequence[Task] = (),
        links: Sequence[LinkToken] = (),
        counts: Sequence[Count] = (),
        heard: str = "",
        now: float,
    ) -> Committed: ...

    def link(self, token: str) -> LinkToken | None: ...

    def effect(self, effect_id: str) -> Effect | None: ...


def written(patient: str, before: Record, found: Turn, clinic: Clinic, now: float) -> dict[str, Any]:
    """A turn in the store's terms; *before*: the record it was decided on. What tells staff of its tasks is part of it."""
    event, prices = line(before, found, clinic.mark, now), Prices(*clinic.prices, clinic.opt_out_mode)
    session = found.record.session.id if found.record.session else ""
    tasks = [
        Task(
            id=f"{session or patient}.{found.heard.step or 0}.{now:.3f}.{kind}",
            patient=patient,
            kind=kind,
            urgency=TASKS[kind].urgency,
            at=now,
        )
        for kind in dict.fromkeys(found.tasks)
    ]
    return {
        "record": to_bytes(found.record),
        "effects": [
            Effect(id=later.id, kind=later.kind, due=later.due, body=pack({"p": patient, **later.body}))
            for later in found.later
        ]
        + list(planned(tasks, clinic.alerts, found.record.owner, clinic.new_effect)),
        "cancels": list(found.dropped),
        "events": [pack(event)] if event else [],
        "tasks": tasks,
        "counts": of_turn(before, found, event, clinic.first_flow, clinic.zone, prices),
        "heard": event["door"] if event.get("in") in ("said", "call") and "door" in event else "",
        "links": [LinkToken(token=token, patient=patient, visit=visit, at=now) for token, visit in found.links],
    }
