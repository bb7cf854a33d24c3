"""What is wrong with a deployment, in sentences that say what to do: ``python -m bot doctor`` and the console. Only reads.

Names opaque ids and settings, never a number or words of a patient. 0: nothing is wrong. 1: something is. 2: it cannot
look, because the settings or the store are missing.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

import click

from bot.alerts import is_text
from bot.running import present, running_store
from bot.sending import stops_in_force
from bot.settings import Settings
from bot.shift import Shift
from bot.shifted import shifts_now
from bot.staff_words import sentence
from bot.store.audit import NOTE, Audit
from bot.store.client import AWAY
from bot.store.files import failed_rewrite, nodes_of
from bot.store.spool import Spool
from bot.store.store import Store
from bot.tasks import TASKS
from bot.told import Told, told
from bot.vitals import Vitals, clinic_tasks, stale_sessions, vitals

MIX = sentence(
    "Flow {flow}: since version {new}, {after} % of conversations end with {result} instead of {before} % "
    "({walks} conversations, {old_walks} on version {old}). Chance alone does that less than once in {odds}. See "
    "whether the change was meant (the flow's page, python -m bot diff), or whether other patients came."
)
MIX_OF_ANSWERED = sentence(
    "Flow {flow}: since version {new}, {after} % of the conversations that did not fall silent end with {result} instead of "
    "{before} % ({walks} conversations, {old_walks} on version {old}). Chance alone does that less than once in {odds}. See "
    "whether the change was meant (the flow's page, python -m bot diff), or whether other patients came."
)

SKEW_SECONDS = 2.0
BACKLOG_SECONDS = 120.0
SWEEP_SECONDS = 60.0
WANTED = {"appendonly": "yes", "appendfsync": "always", "maxmemory-policy": "noeviction"}


@click.command()
def doctor() -> None:
    """Say what is wrong with this deployment and what to do about it."""
    settings, store = running_store()
    try:
        found = [str(fault) for fault in faults(settings, store, present(settings), time.time())]
    except AWAY as error:
        click.echo(f"The store does not answer ({type(error).__name__}): start it, or correct STATE_URL.", err=True)
        sys.exit(2)
    found += carrier_faults(settings)
    for fault in found:
        click.echo(f"- {fault}")
    click.echo(f"{len(found)} found." if found else "Nothing is wrong.")
    sys.exit(1 if found else 0)


def faults(settings: Settings, store: Store, now: float, wall: float) -> Iterator[Told]:
    """Everything that the store and this machine tell. *now* is the product's time, *wall* this machine's."""
    yield from of_the_trail(settings, store)
    yield from _of_the_work(vitals(store, now, wall))
    yield from _of_the_clinic(store, now)
    yield from of_the_mix(store, now, settings.clinic_timezone)
    if not settings.alert_channels and not settings.sandbox:
        yield told(
            "Nobody is told when a patient needs a person now; it only shows in the console: set ALERT_PHONES, "
            "ALERT_EMAIL with SMTP_URL, or ALERT_URL with ALERT_SECRET."
        )
    if settings.alert_channels and all(map(is_text, settings.alert_channels)):
        yield told(
            "Staff hear by text only, so nobody is told when the carrier refuses our texts: set ALERT_EMAIL with SMTP_URL, "
            "or ALERT_URL with ALERT_SECRET."
        )
    if settings.alert_channels and not settings.console_url and not settings.sandbox:
        yield told("Alerts point staff to the console at an address that opens on this machine only: set CONSOLE_URL.")
    stale = stale_sessions(store, now)
    if stale:
        yield told(
            "{n} conversations wait for a reply and no timer will end them ({ids}): look at them in the console; "
            "their timers were lost with data that was restored or edited.",
            n=len(stale),
            ids=", ".join(stale[:5]) + (" ..." if len(stale) > 5 else ""),
        )
    yield from of_the_server(store)
    yield from _of_the_spool(settings, store)


def _of_the_spool(settings: Settings, store: Store) -> Iterator[Told]:
    spool = Spool(settings.data_dir / "spool", store.cipher)
    waiting, aside = len(spool.names()), spool.aside()
    if waiting:
        yield told(
            "{n} inputs wait in {folder}: the web process takes them up once the store is well.",
            n=waiting,
            folder=spool.folder,
        )
    if aside:
        yield told(
            "{n} inputs in {folder} could not be taken up (*.bad): keep the files and ask a developer; "
            "nobody else will see what they say.",
            n=aside,
            folder=spool.folder,
        )


def of_the_trail(settings: Settings, store: Store) -> Iterator[Told]:
    """A store without what this machine knows was in it: who said STOP would be written to again."""
    gone = Audit(store.client, store.cipher, settings.data_dir).emptied()
    if gone:
        yield told(
            "The store is empty, and this machine knows {n} entries of its audit trail: STATE_URL names another store, or an "
            "older server opened its files empty. Start the server that wrote them, or fill the empty one: python -m bot "
            "restore FILE. To begin anew, without any STOP and consent, remove {note}.",
            n=gone,
            note=settings.data_dir / NOTE,
        )


def of_the_mix(store: Store, now: float, zone: str) -> Iterator[Told]:
    """Flows that give other results since their last version."""
    return map(tell_shift, shifts_now(store, now, zone))


def tell_shift(one: Shift) -> Told:
    """What changed, and what to do."""
    says = MIX_OF_ANSWERED if one.answered else MIX
    return told(
        says,
        flow=one.flow,
        new=one.new[:8],
        old=one.old[:8],
        result=one.result,
        after=f"{100 * one.after:.1f}",
        before=f"{100 * one.before:.1f}",
        walks=f"{one.walks[1]:,}",
        old_walks=f"{one.walks[0]:,}",
        odds="1,000,000" if one.chance < 1e-6 else f"{int(1 / one.chance):,}",
    )


def _of_the_work(found: Vitals) -> Iterator[Told]:
    if found.skew > SKEW_SECONDS:
        yield told(
            "The store's clock is {s} s ahead of this machine's: set both by NTP (timedatectl set-ntp true), "
            "or work is done early, late or twice.",
            s=f"{found.skew:.0f}",
        )
    if found.skew < -SKEW_SECONDS:
        yield told(
            "The store's clock is {s} s behind this machine's: set both by NTP (timedatectl set-ntp true), "
            "or work is done early, late or twice.",
            s=f"{-found.skew:.0f}",
        )
    if found.swept is None:
        yield told("No worker has looked for due work ever: start one with python -m workers.run (Procfile: worker).")
    elif found.swept > SWEEP_SECONDS:
        yield told(
            "No worker has looked for due work for {s} s: start one with python -m workers.run (Procfile: worker).",
            s=f"{found.swept:.0f}",
        )
    if found.backlog > BACKLOG_SECONDS:
        yield told(
            "{n} effects are overdue, the oldest by {s} s: see whether sending is stopped (python -m bot sending), "
            "whether the worker's log names a reason, or start more workers.",
            n=found.overdue,
            s=f"{found.backlog:.0f}",
        )
    if found.dead:
        yield told(
            "{n} effects were given up: python -m bot dead list says why, dead retry ID tries again.", n=found.dead
        )


def _of_the_clinic(store: Store, now: float) -> Iterator[Told]:
    for stop in stops_in_force(store, now):
        yield told(
            "Sending is stopped since {at} UTC: python -m bot sending status says why, and python -m bot sending resume "
            "lets it go on.",
            at=datetime.fromtimestamp(stop.since, UTC).strftime("%Y-%m-%d %H:%M"),
        )
    yield from (told(TASKS[kind].says) for kind in clinic_tasks(store))


def of_the_server(store: Store) -> Iterator[Told]:
    if failed_rewrite(store.client):
        yield told(
            "The server's last rewrite of its AOF or snapshot failed, so what was erased or too old is still in its files: "
            "see its log, and whether its disk is full."
        )
    for name, wanted in WANTED.items():
        for given in sorted(_configured(store, name) - {wanted}):
            yield told(
                "The store has {name} {given}; a clinic needs {wanted}, or a crash loses what was answered "
                "(redis.conf, or CONFIG SET {name} {wanted}).",
                name=name,
                given=given,
                wanted=wanted,
            )


def _configured(store: Store, name: str) -> set[str]:
    """What the servers say that *name* is; nothing of one that is away, or of a managed one, which hides it."""
    found = set()
    for node in nodes_of(store.client):
        with suppress(*AWAY):
            given: Any = node.config_get(name).get(name)
            found.add(given.decode() if isinstance(given, bytes) else str(given))
    return found


def carrier_faults(settings: Settings) -> list[str]:
    """What the carrier has on file for our number, compared with where we listen."""
    from twilio.base.exceptions import TwilioException

    from bot.wiring import carrier_of

    try:
        numbers = carrier_of(settings).client.incoming_phone_numbers.list(phone_number=settings.twilio_from, limit=1)
    except (TwilioException, OSError) as error:
        code = getattr(error, "code", None) or type(error).__name__
        return [f"The carrier cannot be asked about TWILIO_FROM ({code}): check TWILIO_ACCOUNT_SID and the token."]
    if not numbers:
        return ["TWILIO_FROM is no number of this Twilio account: buy it there, or correct TWILIO_FROM."]
    wanted = {"sms_url": "/sms", "voice_url": "/voice"}
    if settings.twilio_messaging_service_sid:
        del wanted["sms_url"]  # the service's own address counts then
    return [
        f"Twilio calls {name.replace('_', ' ')} {given or '(nothing)'} for our number, and this program listens at "
        f"{settings.public_url}{path}: set it in Twilio's console (method POST), or correct PUBLIC_URL."
        for name, path in wanted.items()
        if (given := str(getattr(numbers[0], name) or "").partition("#")[0].rstrip("/")) != settings.public_url + path
    ]
