"""How past walks would have ended under another flow: the same words, said again to it. Pure.

Only what patients said is run again; what came from outside (staff, links, sends) is taken as it was. From the first
question that the other flow asks differently, words may answer something else: a count, not a proof. The proof is
``python -m bot diff``.
"""

from __future__ import annotations

from collections import Counter
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
    ``open``. *lost*, *gained*: tasks for staff that it made and would not make, and the other way round."""

    patient: str
    session: str
    was: str
    now: str
    lost: tuple[str, ...] = ()
    gained: tuple[str, ...] = ()

    @property
    def otherwise(self) -> bool:
        """Its end or its tasks differ."""
        return self.was != self.now or bool(self.lost or self.gained)

    @property
    def lowers(self) -> bool:
        """Less care, or not comparable: then it counts as less. A walk without an end had no care to lose, but a task. More
        care brings its own tasks."""
        if self.was not in ("open", "expired", self.now) and less_care(self.was, self.now):
            return True
        return bool(self.lost) and (self.was == self.now or less_care(self.was, self.now))

    @property
    def left_emergency(self) -> bool:
        """It was an emergency and would be none."""
        return self.was == "emergency" != self.now


def what_if(patient: str, events: Iterable[Event], final: Record, then: Then, new: Loaded) -> list[Walk]:
    """Every walk of one log, with *new* in the place of the flow of its id."""
    record, step = Record(final.phone), ""
    walks: dict[str, Walk] = {}
    tasks: dict[str, tuple[Counter[str], Counter[str]]] = {}
    for event in events:
        if "on" not in event:
            record = _outside(record, event)
            continue
        clinic = _with(then(event["on"])[0], new)
        turn = _again(clinic, patient, record, event, step)
        record = turn.record
        if "session" in event:
            name, session = event["session"], record.session
            before, after = tasks.setdefault(name, (Counter(), Counter()))
            before.update(event.get("tasks", ()))
            after.update(turn.tasks)
            now = _end((session.outcome, session.disposition)) if session else "open"
            lost, gained = (tuple(sorted(one.elements())) for one in (before - after, after - before))
            walks[name] = Walk(patient, name, _end(event["result"]), now, lost, gained)
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
