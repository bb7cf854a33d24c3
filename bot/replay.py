"""``python -m bot replay``: the stored log of a patient, run again, gives the same states and texts (P6); or would have
ended otherwise under another flow.

Shows opaque ids, names of fields and outcomes; never a word, a text or a number of a patient. Changes nothing.
"""

from __future__ import annotations

import json
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import click

from bot.eventlog import Event, Then, UnknownEditionError, replay
from bot.flow.load import FlowError, Loaded
from bot.offline import opened, settings_or_exit
from bot.record import Record, from_bytes
from bot.store.cipher import UnreadableError
from bot.store.published import Published
from bot.store.store import Store
from bot.versions import Versions
from bot.whatif import Walk, what_if

SHOWN = frozenset({"state", "turn", "language", "result", "tasks", "flow", "door", "in"})  # never words of anybody
Say = Callable[[str], None]


@click.command("replay")
@click.argument("patients", nargs=-1)
@click.option("--all", "everybody", is_flag=True, help="Every patient in the store.")
@click.option("--flow", "file", type=click.Path(exists=True, dir_okay=False), help="How it would have ended with this.")
def replay_command(patients: tuple[str, ...], everybody: bool, file: str | None) -> None:
    """Run stored logs again. 0: identical (with --flow: nobody gets less care). 1: not. 2: cannot be run."""
    if everybody == bool(patients):
        raise click.UsageError("Give the opaque ids of patients, or --all.")
    with opened(settings_or_exit()) as store:
        again = Again(store, click.echo)
        chosen = sorted(store.patients()) if everybody else list(patients)
        if file is None:
            sys.exit(again.compare(chosen))
        from bot.proof.command import read_flow

        try:
            sys.exit(again.otherwise(chosen, read_flow(Path(file))))
        except FlowError as error:
            click.echo(str(error), err=True)
            sys.exit(2)


class Again:
    """The logs of one store."""

    def __init__(self, store: Store, out: Say) -> None:
        self.store, self.out = store, out
        self.versions = Versions(Published(store.client, store.cipher))

    def compare(self, patients: list[str]) -> int:
        """Run each log again and print what differs. The command's exit status."""
        found = Counter(self._compare(patient) for patient in patients)
        self.out(
            f"{found[0]:,} of {len(patients):,} patients: identical states and texts; "
            f"{found[1]:,} differ; {found[2]:,} cannot be run again."
        )
        return 1 if found[1] else 2 if found[2] or not patients else 0

    def otherwise(self, patients: list[str], new: Loaded) -> int:
        """Run each log with *new* in the place of the flow of its id; print the walks that end otherwise."""
        walks: list[Walk] = []
        unknown = 0
        for patient in patients:
            record = self._record(patient)
            try:
                if self.store.cut(patient):
                    unknown += 1
                    continue
                walks += what_if(patient, self._events(patient), record, self._then(record), new) if record else []
            except (UnknownEditionError, UnreadableError):
                unknown += 1
        changed = [walk for walk in walks if walk.otherwise]
        for walk in changed:
            self.out(f"{walk.patient} walk {walk.session}: {_in_words(walk)}")
        lowered = sum(walk.lowers for walk in changed)
        self.out(
            f"{len(changed):,} of {len(walks):,} past walks would have ended otherwise with {new.flow.id} {new.hash}: "
            f"{lowered:,} with less care, {sum(walk.left_emergency for walk in changed):,} leave emergency."
            + (f" {unknown:,} patients cannot be run again." if unknown else "")
        )
        return 1 if lowered else 2 if unknown else 0

    def _compare(self, patient: str) -> int:
        broken = self.store.verify(patient)
        if broken is not None:
            self.out(f"{patient}: line {broken} of the log was changed after it was written.")
            return 1
        record = self._record(patient)
        if record is None:
            self.out(f"{patient}: there is no such patient in this store.")
            return 2
        if self.store.cut(patient):
            self.out(f"{patient}: the beginning of the log was removed as too old.")
            return 2
        events = self._events(patient)
        try:
            _, found = replay(patient, events, record, self._then(record))
        except UnknownEditionError:
            self.out(f"{patient}: written under a version that is not kept in this store.")
            return 2
        if found is None:
            return 0
        if found.number is None and record.session is None:
            self.out(f"{patient}: the log holds; the answers that it led to were removed as too old.")
            return 2
        where = (
            "the record at the end" if found.number is None else f"line {found.number} ({events[found.number]['in']})"
        )
        values = f": was {found.was!r}, now {found.now!r}" if found.field in SHOWN else ""
        self.out(f"{patient}: {where}: {found.field} differs{values}.{self._program(events, found.number)}")
        return 1

    def _program(self, events: list[Event], number: int | None) -> str:
        mark = events[number].get("on") if number is not None else None
        edition = self.versions.edition(mark) if mark else None
        from bot.catalog import program_hash

        old = edition is not None and edition.program != program_hash()
        return " It was decided by another version of the program." if old else ""

    def _record(self, patient: str) -> Record | None:
        raw = self.store.load(patient, "").record
        return from_bytes(raw) if raw else None

    def _events(self, patient: str) -> list[Event]:
        return [json.loads(raw) for raw in self.store.events(patient) if raw]

    def _then(self, record: Record) -> Then:
        return lambda mark: self.versions.then(mark, record.phone)


def _in_words(walk: Walk) -> str:
    ends = walk.was if walk.was == walk.now else f"{walk.was} -> {walk.now}"
    way = "LESS CARE" if walk.lowers else "more care" if walk.was != walk.now else "no less care"
    lost = [f"no longer: task {one}" for one in walk.lost]
    return "; ".join([f"{ends} ({way})", *lost, *(f"new: task {one}" for one in walk.gained)])
