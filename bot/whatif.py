"""How past walks would have ended under another flow: the same words, said again to it. Pure.

Only what patients said is run again; what came from outside (staff, links, sends) is taken as it was. From the first
question that the other flow asks differently, words may answer something else: a count, not a proof. The proof is
``python -m bot diff``.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from itertools import count

from bot.decide import open_walk, take
from bot.eventlog import Event, Then, input_of, is_turn, outside
from bot.flow.load import Loaded
from bot.proof.turns import less_care
from bot.record import Record
from bot.turn import Clinic, Turn


@dataclass(frozen=True, slots=True)
class Walk:
    """One past walk: how it stood at its last turn, and how it would have. An outcome, else a disposition, else
    ``open``."""

    patient: str
    session: str
    was: str
    now: str

    @property
    def lowers(self) -> bool:
        """Less care, or not comparable: then it counts as less. A walk without an end had no care to lose."""
        return self.was not in ("open", "expired", self.now) and less_care(self.was, self.now)

    @property
    def left_emergency(self) -> bool:
        """It was an emergency and would be none."""
        return self.was == "emergency" != self.now


def what_if(patient: str, events: Iterable[Event], final: Record, then: Then, new: Loaded) -> list[Walk]:
    """Every walk of one log, with *new* in the place of the flow of its id."""
    record, step = Record(final.phone), ""
    walks: dict[str, Walk] = {}
    for event in events:
        if "on" not in event:
            record = _outside(record, event)
            continue
        clinic = _with(then(event["on"])[0], new)
        record = _again(clinic, patient, record, event, step).record
        if "session" in event:
            session = record.session
            now = _end((session.outcome, session.disposition)) if session else "open"
            walks[event["session"]] = Walk(patient, event["session"], _end(event["result"]), now)
            step = str(event["turn"])
    return list(walks.values())


def _again(clinic: Clinic, patient: str, record: Record, event: Event, step: str) -> Turn:
    """*step*: the token of the question that was open then. An answer to it answers what is open now."""
    if not is_turn(event):
        return open_walk(clinic, patient, _outside(record, event), event["opens"], event["door"], event["at"])
    given = input_of(event)
    if given.step is not None and given.step == step and record.session:
        given = replace(given, step=str(record.session.turn))
    return take(clinic, patient, record, given, event["at"])


def _outside(record: Record, event: Event) -> Record:
    """What came from outside; where the walk stands is not taken from there."""
    return replace(outside(record, event), session=record.session)


def _with(clinic: Clinic, new: Loaded) -> Clinic:
    """Draws anything: ids have no part in how a walk ends."""
    ids = count()
    return replace(
        clinic,
        flows={**clinic.flows, new.flow.id: new},
        new_id=lambda: f"w{next(ids)}",
        new_effect=lambda patient: f"e{next(ids)}",
        link=lambda patient: (f"t{next(ids)}", "-"),
    )


def _end(result: Iterable[str | None]) -> str:
    outcome, disposition = list(result)[:2]
    return outcome or disposition or "open"
