"""``python -m bot plan`` and ``python -m bot consent``: what will be sent to a patient and why, and what they agreed to.

Shows no number and no patient's words. Starts nothing and changes nothing.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import click

from bot.conversation import Conversation
from bot.flow.load import base_hash
from bot.record import from_bytes
from bot.running import note_act, present, running_store
from bot.store.store import Store
from bot.wiring import put_together

MOST = 10_000  # patients that are looked through for a session's id


@click.command("plan")
@click.argument("who")
def plan(who: str) -> None:
    """Every future message of a patient (id, session id, or phone number): local time, reason, what would cancel it."""
    settings, store = running_store()
    patient = _patient(store, who)
    note_act(settings, store, "plan shown", patient)
    conversation = put_together(settings, "", store, lambda: present(settings)).conversation
    found = conversation.upcoming(patient)
    for one in found:
        click.echo(f"{one.local or 'never':<27} {one.by:<5} {one.name:<8} {one.title}")
        click.echo(f"{'':<27} {one.why}; taken back by: {', '.join(one.cancelled_by)}")
    click.echo(f"{len(found)} planned.")


@click.command("consent")
@click.argument("who")
def consent(who: str) -> None:
    """The evidence of what a patient agreed to, refused and stopped: one JSON object a line, oldest first."""
    settings, store = running_store()
    patient = _patient(store, who)
    note_act(settings, store, "consent exported", patient)
    broken = store.verify(patient)
    for one in evidence(
        put_together(settings, "", store, lambda: present(settings)).conversation, store.events(patient)
    ):
        click.echo(json.dumps(one, ensure_ascii=False))
    if broken is not None:
        click.echo(f"The log of this patient was changed at entry {broken}: what follows it proves nothing.", err=True)
        sys.exit(1)


def evidence(conversation: Conversation, events: list[bytes]) -> Iterator[dict[str, Any]]:
    """Every grant, refusal, STOP and START in a patient's log, with the wording that was shown: *at* is when we learnt of
    it, *given* when it was given."""
    for raw in events:
        event = json.loads(raw)
        at = _iso(event["at"]) if "at" in event else ""
        for purpose, granted, given, source, wording, channel, by in event.get("consents", ()):
            yield {
                "at": at, "given": _iso(given), "purpose": purpose, "channel": channel, "granted": granted,
                "source": source, "who": by, "wording": wording, "shown": _shown(conversation, wording),
            }  # fmt: skip
        kind, _, why = event.get("reading") or ("", "", "")
        if kind in ("opt_out", "opt_in"):
            source = f"said by {event.get('door', 'sms')}: {why}"
            yield {
                "at": at,
                "purpose": "all",
                "channel": "all",
                "granted": kind == "opt_in",
                "source": source,
                "who": "patient",
            }
        elif event.get("opted_out"):
            yield {
                "at": at,
                "purpose": "all",
                "channel": "all",
                "granted": False,
                "source": event["why"],
                "who": "carrier",
            }


def _iso(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="seconds")


def _shown(conversation: Conversation, wording: str) -> str:
    """The text of "key language hash", when a flow of this version still has it."""
    key, _, rest = wording.partition(" ")
    language, _, digest = rest.partition(" ")
    for loaded in conversation.clinic.flows.values():
        text = loaded.flow.texts.get(key, {}).get(language)
        if text and base_hash(text) == digest:
            return text.sms or text.text or ""
    return ""


def _patient(store: Store, who: str) -> str:
    """The patient id of *who*; ends with 2 when nobody is known by it."""
    if who.startswith("+"):
        who = store.cipher.patient_id(who)
    if store.load(who, "-").record is not None:
        return who
    for patient in store.recent(MOST):
        raw = store.load(patient, "-").record
        session = from_bytes(raw).session if raw else None
        if session and session.id == who:
            return patient
    click.echo("Nobody is known by this: give a patient's id, a session's id, or a phone number with +.", err=True)
    sys.exit(2)
