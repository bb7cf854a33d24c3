"""``python -m bot publish``: prove the flows of this checkout, compare them with what is live, and make them live."""

from __future__ import annotations

import sys
import time
from collections import Counter
from collections.abc import Callable

import click

from bot.catalog import load_flows
from bot.conversation import Conversation
from bot.edition import Edition
from bot.flow.load import FlowError, Loaded
from bot.moving import moved, stays_because
from bot.offline import opened, settings_or_exit
from bot.proved import RefusedError, require_proof
from bot.publish import HOW, Answered, dry_run, publish
from bot.record import Record, from_bytes
from bot.session import Session
from bot.store.published import Published
from bot.store.store import Store
from bot.turn import Heard, Turn
from bot.versions import Versions
from bot.wiring import edition_of, put_together

OPEN_SECONDS = 24 * 3600  # a walk that rested longer begins anew (decide.REST_SECONDS), so it needs no version
Say = Callable[[str], None]


@click.command("publish")
@click.option("--accept", default=None, help="Who answers for it that some answers get less urgent care.")
@click.option("--reason", default=None, help="Why; it is kept with the name.")
@click.option(
    "--dry", is_flag=True, help="Change nothing: say what differs, what would be refused, and who could move."
)
def publish_command(accept: str | None, reason: str | None, dry: bool) -> None:
    """Make this checkout's flows live. 0: live. 1: refused, it lowers care. 2: not proved, or no store."""
    if bool(accept) != bool(reason):
        raise click.UsageError("--accept NAME and --reason TEXT go together.")
    settings = settings_or_exit()
    try:
        require_proof(load_flows(), settings.data_dir, settings.secret_keys[0])
    except FlowError as error:
        click.echo(str(error), err=True)
        sys.exit(2)
    answered = Answered(accept, reason) if accept and reason else None
    with opened(settings) as store:
        published = Published(store.client, store.cipher)
        talk = put_together(settings, "", store, time.time).conversation
        refusal = _make_live(published, edition_of(settings), answered, dry=dry)
        if refusal:
            click.echo(refusal, err=True)
        if dry or not refusal:
            move_open_ones(store, Versions(published), talk, click.echo, dry=dry)
    sys.exit(1 if refusal else 0)


def _make_live(published: Published, edition: Edition, answered: Answered | None, *, dry: bool) -> str:
    """Say what changes and, unless *dry*, change it. Why it is refused, "" when it is not."""
    log = published.log()
    if log and log[-1]["mark"] == edition.mark:
        click.echo(f"Edition {edition.mark} is live already; nothing is published.")
        return ""
    if dry:
        losses = dry_run(published, edition, click.echo)
        click.echo(f"Live now: edition {log[-1]['mark'] if log else 'none'}. This checkout: edition {edition.mark}.")
        return "\n".join([*losses, HOW]) if losses else ""
    try:
        news = publish(published, edition, time.time(), answered, tell_all=click.echo)
    except RefusedError as error:
        return str(error)
    click.echo("\n".join([*news, f"Live: edition {edition.mark}."]))
    return ""


def move_open_ones(store: Store, versions: Versions, talk: Conversation, out: Say, *, dry: bool) -> Counter[str]:
    """Move every open session that may; how many moved ("" ) and how many stay, by reason."""
    found: Counter[str] = Counter()
    flows = talk.clinic.flows
    for patient in store.patients():
        raw = store.load(patient, "").record
        session = from_bytes(raw).session if raw else None
        if session is None or session.ended or session.flow not in flows:
            continue
        if session.flow_hash == flows[session.flow].hash:
            continue
        why = _why(versions, flows[session.flow], session)
        found[why] += 1
        if not why and not dry:
            _move(talk, versions, patient, session)
    verb = "can move" if dry else "moved"
    out(
        f"{found['']:,} open conversations {verb} to the new version (same place by the same answers, proved from there)."
    )
    for why, number in sorted(found.items()):
        if why:
            out(f"{number:,} stay on their version until they end: {why}.")
    return found


def _why(versions: Versions, new: Loaded, session: Session) -> str:
    old = versions.flow(session.flow_hash)
    return stays_because(old, new, session) if old else "its version is not kept, so its next word begins anew"


def _move(talk: Conversation, versions: Versions, patient: str, seen: Session) -> None:
    new = talk.clinic.flows[seen.flow]

    def decide(record: Record, now: float) -> tuple[Turn, bytes]:
        session = record.session
        heard = Heard("sms", seen.language, silent=True, session=session)
        if session is None or session.ended or session.flow != seen.flow or _why(versions, new, session):
            return Turn(record, heard), b"stays"
        event = {"at": now, "in": "moved", "flow": [new.flow.id, new.hash], "from": session.flow_hash}
        return Turn(record.but(session=moved(new, session)), heard, event=event), b"moved"

    talk.staff_turn(patient, f"move:{new.hash}:{seen.id}:{seen.turn}", decide)
