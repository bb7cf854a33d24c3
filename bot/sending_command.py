"""``python -m bot sending``: is anything sent, why not, stop it, go on. The rules are in bot/sending.py."""

from __future__ import annotations

import getpass
import sys
from datetime import datetime
from zoneinfo import ZoneInfo

import click

from bot.running import note_act, present, running_store
from bot.sending import Stop, pause, resume, stops_in_force


@click.group()
def sending() -> None:
    """Texts and calls that the program sends on its own: are they going out? Stop them; go on."""


@sending.command()
def status() -> None:
    """0: sending goes on. 1: it is stopped; each reason with its time and who."""
    settings, store = running_store()
    found = stops_in_force(store, present(settings))
    for stop in found:
        click.echo(_said(stop, ZoneInfo(settings.clinic_timezone)))
    click.echo("Sending is stopped. Go on: python -m bot sending resume" if found else "Sending goes on.")
    sys.exit(1 if found else 0)


@sending.command("pause")
@click.option("--reason", required=True, help="Why; no patient's name or number, please.")
@click.option("--by", default=getpass.getuser, help="Who; your login when not given.")
def pause_now(reason: str, by: str) -> None:
    """Stop all texts and calls of the program's own. Answers to patients go on, and an emergency's advice does."""
    settings, store = running_store()
    note_act(settings, store, "sending paused", detail=by)
    if pause(store, reason, by, present(settings)):
        click.echo("Sending is stopped; what is due waits. Go on: python -m bot sending resume")
    else:
        click.echo("Sending was stopped already: python -m bot sending status")


@sending.command("resume")
@click.option("--by", default=getpass.getuser, help="Who; your login when not given.")
def resume_now(by: str) -> None:
    """Go on, whatever stopped it. What waited goes out within two minutes, each under its own conditions."""
    settings, store = running_store()
    zone = ZoneInfo(settings.clinic_timezone)
    note_act(settings, store, "sending resumed", detail=by)
    for stop in resume(store, by, present(settings), zone):
        click.echo(f"Lifted: {_said(stop, zone)}")
    click.echo("Sending goes on.")


def _said(stop: Stop, zone: ZoneInfo) -> str:
    since = datetime.fromtimestamp(stop.since, zone).strftime("%Y-%m-%d %H:%M")
    until = "" if stop.until is None else datetime.fromtimestamp(stop.until, zone).strftime(", until %Y-%m-%d %H:%M")
    return f"{stop.cause}: {stop.why} (by {stop.by}, since {since}{until})"
