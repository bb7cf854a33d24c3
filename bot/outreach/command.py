"""``python -m bot outreach``: plan, send, approve, pause, resume, cancel, look. What is done stands in campaigns.py."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Iterable
from datetime import datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import click

from bot.outreach.campaigns import CampaignError, Campaigns, Progress
from bot.outreach.judge import SAYS
from bot.outreach.plan import Options, Plan
from bot.outreach.sheet import MOST_BYTES, SheetError, too_large
from bot.running import login, note_act, present, running_store
from bot.wiring import put_together

PLAN_OPTIONS = (
    click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path)),
    click.option("--flow", default="outreach", show_default=True),
    click.option("--map", "mapping", multiple=True, help="FIELD=COLUMN, such as phone=Mobile."),
    click.option("--language", type=click.Choice(["en", "es"]), default="en", help="Where a row names none."),
    click.option("--call-landlines", is_flag=True, help="Call numbers that are known to be landlines."),
    click.option("--call-after", type=click.IntRange(0, 168), default=0, help="Call who has not answered in N hours."),
    click.option("--consent", default="", help="Where everybody in a file without a consent column agreed to texts."),
    click.option("--consent-calls", is_flag=True, help="... and to calls."),
    click.option(
        "--tell", "told", multiple=True, help="What the flow cannot ask: --tell cause=injury (else: surgery)."
    ),
    click.option("--again", is_flag=True, help="The same file with the same flow once more."),
    click.option("--result", type=click.Path(dir_okay=False, path_type=Path), help="CSV with a reason for every row."),
)


@click.group()
def outreach() -> None:
    """Write to many patients at once, from a CSV file."""


def _planned(command: Callable[..., None]) -> Callable[..., None]:
    for option in reversed(PLAN_OPTIONS):
        command = option(command)
    return command


@outreach.command("plan")
@_planned
def plan_file(**given: Any) -> None:
    """Everything that send does, but the sending. 0: it could be sent. 1: something forbids it. 2: the file is bad."""
    campaigns, zone = _campaigns()
    sys.exit(1 if _plan(campaigns, zone, given).blockers else 0)


@outreach.command()
@_planned
@click.option("--confirm", type=int, default=None, help="How many recipients you expect; asked when not given.")
@click.option("--by", default=login, help="Who sends; your login when not given.")
def send(confirm: int | None, by: str, **given: Any) -> None:
    """Plan, and then send."""
    campaigns, zone = _campaigns()
    plan = _plan(campaigns, zone, given)
    count = len(plan.accepted)
    if plan.blockers:
        sys.exit(1)
    if confirm is None:
        confirm = click.prompt(f"Type the number of recipients ({count}) to send", type=int)
    if confirm != count:
        click.echo(f"There are {count} recipients, not {confirm}: nothing is sent.", err=True)
        sys.exit(1)
    campaign = _act("campaign sent", plan.mark, lambda: campaigns.send(plan, by))
    click.echo(f"Campaign {campaign}. " + ("It waits for a second person: python -m bot outreach approve "
               f"{campaign}" if plan.needs_approval else f"Look: python -m bot outreach show {campaign}"))  # fmt: skip


@outreach.command("list")
def show_all() -> None:
    """Every campaign, newest first."""
    campaigns, zone = _campaigns()
    names = _names(campaigns)
    for one in campaigns.all():
        by = names.get(one.by, one.by)
        click.echo(f"{one.id}  {one.state:9}  {_at(one.made, zone)}  {one.recipients} recipients  by {by}")


@outreach.command()
@click.argument("campaign")
def show(campaign: str) -> None:
    """How far a campaign has come."""
    campaigns, zone = _campaigns()
    click.echo("\n".join(_shown(_tried(lambda: campaigns.progress(campaign)), zone, _names(campaigns))))


@outreach.command()
@click.argument("campaign")
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
def result(campaign: str, file: Path) -> None:
    """Write a CSV with what became of every row."""
    campaigns, _ = _campaigns()
    _tried(lambda: campaigns.progress(campaign))
    _write(file, campaigns.result_lines(campaign))


def _change(name: str, said: str, about: str, *, reason: bool = False) -> None:
    def command(campaign: str, by: str, **why: str) -> None:
        campaigns, _ = _campaigns()
        _act(f"campaign {said}", campaign, lambda: getattr(campaigns, name)(campaign, by, *why.values()))
        click.echo(f"Campaign {campaign} is {said}.")

    if reason:
        command = click.option("--why", default="", help="For colleagues; no patient's name or number.")(command)
    command = click.option("--by", default=login, help="Who; your login when not given.")(command)
    outreach.command(name, help=about)(click.argument("campaign")(command))


_change("approve", "approved", "Let a large campaign go; somebody else than who made it.")
_change("pause", "paused", "Stop from the next recipient on; nobody is lost.", reason=True)
_change("resume", "resumed", "Go on with those who wait; nobody is written to twice.")
_change("cancel", "cancelled", "Stop for good and take back all who wait.", reason=True)


# -- inside --


def _campaigns() -> tuple[Campaigns, ZoneInfo]:
    settings, store = running_store()
    app = put_together(settings, "", store, lambda: present(settings))
    return app.campaigns(), ZoneInfo(settings.clinic_timezone)


def _plan(campaigns: Campaigns, zone: ZoneInfo, given: dict[str, Any]) -> Plan:
    file, mapping = given["file"], dict(pair.partition("=")[::2] for pair in given["mapping"])
    options = Options(given["flow"], "", mapping, given["call_landlines"], given["call_after"],
                      given["language"], given["again"], dict(pair.partition("=")[::2] for pair in given["told"]),
                      given["consent"].strip(), given["consent_calls"])  # fmt: skip
    try:
        size = file.stat().st_size
        if size > MOST_BYTES:
            raise SheetError([too_large(size)])
        plan = campaigns.plan(file.read_bytes(), options)
    except SheetError as error:
        click.echo(str(error), err=True)
        sys.exit(2)
    click.echo("\n".join(_summary(plan, zone)))
    if given["result"]:
        _write(given["result"], campaigns.plan_lines(plan))
    return plan


def _summary(plan: Plan, zone: ZoneInfo) -> Iterable[str]:
    yield f"{len(plan.rows)} rows: {len(plan.accepted)} recipients, {sum(plan.refused.values())} refused."
    for why, count in plan.refused.most_common():
        yield f"  {count:6}  {SAYS[why]}"
    for one in plan.examples:
        yield f"Row {one.row} ({one.language}, {one.segments} segments):"
        yield from (f"  | {line}" for line in one.body.splitlines())
    yield f"First {_at(plan.starts, zone)}, last {_at(plan.ends, zone)}, about ${plan.cost / 1e6:.2f}."
    yield (f"In the fullest hour {plan.load.busiest} begin; at most about {math.ceil(plan.load.an_hour)} of them may need a person "
           f"({plan.load.needed} of the last {plan.load.known} did).")  # fmt: skip
    if plan.needs_approval:
        yield "A second person must approve it."
    yield from (f"Note: {text}" for text in plan.warnings)
    yield from (f"Cannot be sent: {text}" for text in plan.blockers)


def _names(campaigns: Campaigns) -> dict[str, str]:
    """What members of staff are called, who are ids where they acted in the console."""
    from bot.console.people import People  # passwords and codes: loaded only where names are shown

    return People(campaigns.roster.store).names()


def _shown(one: Progress, zone: ZoneInfo, names: dict[str, str]) -> Iterable[str]:
    done = one.recipients - one.counts["queued"]
    bar = "#" * (30 * done // max(1, one.recipients))
    yield f"Campaign {one.id}: {one.state}, flow {one.flow}, made by {names.get(one.by, one.by)} {_at(one.made, zone)}"
    yield f"[{bar:30}] {done} of {one.recipients}; the last one {_at(one.ends, zone)}"
    yield from (f"  {count:6}  {state}" for state, count in sorted(one.counts.items()))
    for did in one.log:
        yield f"  {_at(did.at, zone)}  {did.did} by {names.get(did.who, did.who)}" + (f": {did.why}" if did.why else "")


def _act(action: str, about: str, do: Callable[[], Any]) -> Any:
    settings, store = running_store()
    note_act(settings, store, action, about)
    return _tried(do)


def _tried(do: Callable[[], Any]) -> Any:
    try:
        return do()
    except CampaignError as error:
        click.echo(str(error), err=True)
        sys.exit(1)


def _write(path: Path, lines: Iterable[str]) -> None:
    with path.open("w", encoding="utf-8-sig", newline="") as file:
        file.writelines(lines)
    click.echo(f"Every row with its result: {path}")


def _at(when: float, zone: ZoneInfo) -> str:
    return f"{datetime.fromtimestamp(when, zone):%Y-%m-%d %H:%M}"
