"""``python -m bot audit``: read the trail of who did and saw what, and find where it, or a patient's log, was changed.

Shows ids and fixed words; who is meant by an id is for the console.
"""

from __future__ import annotations

import json
import sys
import time
from datetime import UTC, datetime

import click

from bot.forget import erased_ids
from bot.running import running_store, trail
from bot.settings import Settings
from bot.store.anchors import ANCHORED, holds, newest
from bot.store.audit import Audit, Entry, Head
from bot.store.store import Store


@click.group()
def audit() -> None:
    """Who did and saw what."""


@audit.command()
@click.option("--last", "many", default=50, show_default=True, help="How many of the newest; 0: all of them.")
@click.option("--who", default="", help="Only what this member of staff, or command:NAME, did.")
@click.option("--about", default="", help="Only what was done about this patient, account or effect.")
@click.option("--action", default="", help="Only this action.")
@click.option("--json", "machine", is_flag=True, help="One JSON object per line.")
def show(many: int, who: str, about: str, action: str, machine: bool) -> None:
    """The newest entries, one line each: number, time (UTC), who, what, of what."""
    found = [
        (number, entry)
        for number, _, entry in trail(*running_store()).entries()
        if entry is None
        or ((not who or entry.actor == who) and (not about or entry.about == about) and action in ("", entry.action))
    ]
    for number, entry in found[-many:] if many else found:
        click.echo(_machine_line(number, entry) if machine else _line(number, entry))


@audit.command()
def head() -> None:
    """Print the newest entry's number and link. Keep it away from this machine and give it to verify later."""
    click.echo(str(trail(*running_store()).head()))


@audit.command()
@click.option("--head", "kept", default="", help="A head that was kept elsewhere: detects a removed end.")
def verify(kept: str) -> None:
    """Check the trail and every patient's log. 0: whole. 1: something was changed, and where. 2: not readable."""
    settings, store = running_store()
    kept_here = trail(settings, store)
    try:
        noted = Head.parse(kept) if kept else None
    except ValueError as error:
        click.echo(str(error), err=True)
        sys.exit(2)
    faults = kept_here.faults(noted) + log_faults(store) + anchor_faults(settings, store, kept_here)
    for fault in faults:
        click.echo(fault)
    entries = kept_here.head().count
    click.echo(f"{entries} entries; {'the chain holds.' if not faults else f'{len(faults)} faults.'}")
    sys.exit(1 if faults else 0)


def log_faults(store: Store) -> list[str]:
    """Every patient whose log does not hold, in sentences."""
    return [
        f"The log of patient {patient} was changed at entry {number + 1}."
        for patient in store.patients()
        if (number := store.verify(patient)) is not None
    ]


def anchor_faults(settings: Settings, store: Store, trail_: Audit) -> list[str]:
    """Every log that does not have the entry it ended with on some night, in sentences."""
    anchors = newest(entry for _, _, entry in trail_.entries())
    for patient in erased_ids(settings.data_dir):
        anchors.pop(patient, None)
    oldest = time.time() - settings.keep_record_days * 86_400
    return [
        f"The log of patient {anchor.patient} had {anchor.count} entries on {_day(at)}, and that last one is not in it any "
        "more: the record and its log were put back to an older state, or taken away."
        for anchor, at in anchors.values()
        if not holds(store, anchor, may_be_gone=at < oldest)
    ]


def _day(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d")


def _line(number: int, entry: Entry | None) -> str:
    if entry is None:
        return f"{number:>7}  (cannot be opened; run python -m bot audit verify)"
    detail = f"{len(entry.detail.split())} patients" if entry.action == ANCHORED else entry.detail
    return f"{number:>7}  {_time(entry)}  {entry.actor}  {entry.action}  {entry.about}  {detail}".rstrip()


def _machine_line(number: int, entry: Entry | None) -> str:
    if entry is None:
        return json.dumps({"number": number, "unreadable": True})
    told = {"at": _time(entry), "who": entry.actor, "action": entry.action, "about": entry.about}
    return json.dumps({"number": number, **told, "detail": entry.detail})


def _time(entry: Entry) -> str:
    return datetime.fromtimestamp(entry.at, UTC).isoformat(timespec="seconds")
