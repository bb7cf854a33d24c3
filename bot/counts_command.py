"""``python -m bot counts``: the dashboard's counts compared with what the patients' logs and the journal tell, and mended.

Only ever adds. What was counted of somebody who was erased since, or of a log that was cut, stays: no log tells it any more.
"""

from __future__ import annotations

import json
import sys
from collections import Counter

import click

from bot.counts import OF_LOGS, Prices, of_log
from bot.running import note_act, present, running_store
from bot.store.counted import Counted
from bot.store.store import Store
from bot.unread import Unread

FIRST = "triage"


@click.command("counts")
@click.option(
    "--rebuild", is_flag=True, help="Add what is missing, and gather the replies that were not understood now."
)
def counts_command(rebuild: bool) -> None:
    """Compare the dashboard's counts with the patients' logs and the journal of what was sent. 0: they agree, or were
    mended. 1: something is missing."""
    settings, store = running_store()
    if rebuild:
        Unread(store).all_now(present(settings))
    prices = Prices(*settings.prices, settings.opt_out_mode)
    found = missing(store, present(settings), settings.clinic_timezone, prices)
    lost = sum(sum(one.values()) for one in found.values())
    if rebuild and lost:
        note_act(settings, store, "counts rebuilt")
        for (bucket, week), fields in sorted(found.items()):
            Counted(store).raise_to(bucket, week, fields.items())
    click.echo(
        "The counts hold everything that the logs tell."
        if not lost
        else f"{lost:,} counts in {len({week for _, week in found})} weeks were missing and are back."
        if rebuild
        else f"{lost:,} counts in {len({week for _, week in found})} weeks are missing: run it with --rebuild."
    )
    sys.exit(1 if lost and not rebuild else 0)


def missing(store: Store, until: float, zone: str, prices: Prices) -> dict[tuple[int, str], Counter[str]]:
    """(bucket, week) -> field -> how many more the logs and the journal tell than were counted. While patients write:
    their turns after *until* are left out, on both sides as nearly as two readings of a running store can."""
    counted, told = Counted(store), dict[tuple[int, str], Counter[str]]()
    have: dict[tuple[int, str], Counter[str]] = {}
    for at in counted.journals():
        have[at], told[at] = counted.of_bucket(*at), counted.journal(*at)
    for patient in store.patients():
        bucket = store.bucket(patient)
        events = [event for raw in store.events(patient) if raw and (event := json.loads(raw))["at"] <= until]
        for _, (week, field, many) in of_log(events, FIRST, zone, prices, whole=not store.cut(patient)):
            if (bucket, week) not in have:
                have[bucket, week] = counted.of_bucket(bucket, week)
            told.setdefault((bucket, week), Counter())[field] += many
    return {at: left for at, fields in told.items() if (left := _left(fields, have[at]))}


def _left(told: Counter[str], have: Counter[str]) -> Counter[str]:
    """What is told and was not counted. A segment costs what it cost when it was counted, whatever the price is now."""
    counted = Counter[str]()
    for field, many in have.items():
        counted[_at_any_price(field)] += many
    return +Counter({field: many - counted[_at_any_price(field)] for field, many in told.items()})


def _at_any_price(field: str) -> str:
    """The journal keeps the price of each; a log does not, and is told at today's."""
    return field.rpartition("|")[0] if field.startswith("$|") and field.split("|")[2] in OF_LOGS else field
