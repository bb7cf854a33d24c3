"""The commands of ``python -m bot``. Each only reads its arguments and calls the room that does the work."""

from __future__ import annotations

import importlib
import io
import os
import sys
from collections.abc import Mapping

import click


class Commands(click.Group):
    """Commands with modules of their own, imported when they are run (or all are listed): some are slow to import."""

    LATER: Mapping[str, str] = {
        "booklet": "bot.booklet_command:booklet_command",
        "counts": "bot.counts_command:counts_command",
        "publish": "bot.publish_command:publish_command",
        "replay": "bot.replay:replay_command",
        "simulate": "bot.simulate.command:simulate_command",
    }

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted([*super().list_commands(ctx), *self.LATER])

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in self.LATER:
            return super().get_command(ctx, cmd_name)
        module, _, name = self.LATER[cmd_name].partition(":")
        command: click.Command = getattr(importlib.import_module(module), name)
        return command


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
def cli() -> None:
    """SMS and phone triage for a physiatry clinic."""


@cli.command()
def run() -> None:
    """Start everything on this machine: store, web, worker, local Twilio and the phone page."""
    from bot.flow.load import FlowError
    from bot.proved import RefusedError
    from bot.run import run as run_all
    from bot.settings import SettingsError

    try:
        sys.exit(run_all(dict(os.environ), click.echo))
    except SettingsError as error:
        _refuse(error.problems)
    except (FlowError, RefusedError) as error:
        click.echo(str(error), err=True)
        sys.exit(2)


@cli.command()
@click.option("--channel", type=click.Choice(["sms", "dtmf", "speech"]), default="sms")
@click.option("--language", type=click.Choice(["en", "es"]), default=None)
@click.option("--json", "machine", is_flag=True, help="One JSON object per input line.")
def chat(channel: str, language: str | None, machine: bool) -> None:
    """Talk with the bot in the terminal; nothing is sent or kept. An empty line is silence."""
    from bot.chat import run_chat

    known = language or ("en" if channel != "sms" else None)
    run_chat(_lines(), lambda line: print(line, flush=True), channel, known, machine)  # type: ignore[arg-type]


@cli.command()
@click.option("--explain", is_flag=True, help="Say which layer and which words decided.")
def read(explain: bool) -> None:
    """Read JSON lines {"text", "language", "channel", "state" or "type"} and print what each was understood as."""
    from bot.catalog import load_flows, load_words
    from bot.engine import expects
    from bot.flow.model import Question
    from bot.reading.lines import read_lines

    states = load_flows()["triage"].states
    questions = {name: expects(state) for name, state in states.items() if isinstance(state, Question)}
    read_lines(_lines(), lambda line: print(line), explain=explain, words=load_words(), questions=questions)


@cli.command()
def schema() -> None:
    """Print the JSON Schema of the flow language."""
    from bot.flow.schema import schema_text

    click.echo(schema_text(), nl=False)


@cli.command()
@click.argument("files", nargs=-1, type=click.Path(exists=True))
@click.option("--json", "machine", is_flag=True)
def check(files: tuple[str, ...], machine: bool) -> None:
    """Prove flows (files or folders) safe. 0: safe. 1: problems, each with its place. 2: not readable."""
    from bot.proof.command import run_check

    sys.exit(run_check(files, machine, click.echo))


@cli.command()
@click.argument("file", default=None, required=False, type=click.Path(exists=True, dir_okay=False))
@click.option("--mermaid", "form", flag_value="mermaid", help="Mermaid text.")
@click.option("--outline", "form", flag_value="outline", help="Sentences, one for each state.")
def draw(file: str | None, form: str | None) -> None:
    """Print a flow (default: triage) as an SVG picture. 2: not readable."""
    from bot.proof.compare import run_draw

    sys.exit(run_draw(file, form or "svg", click.echo))


@cli.command()
@click.argument("old", type=click.Path(exists=True))
@click.argument("new", type=click.Path(exists=True))
@click.option("--accept", default=None, help="Who accepts that some answers get less urgent care.")
@click.option("--reason", default=None, help="Why; it is recorded with the name.")
def diff(old: str, new: str, accept: str | None, reason: str | None) -> None:
    """What a new version of a flow (or of a folder of flows, with its words) changes for whom. 0: nothing is lost. 1: less
    care, a task, a link or the like lost, and not accepted. 2: not readable."""
    from bot.proof.compare import run_diff

    sys.exit(run_diff(old, new, accept, reason, click.echo))


def _lines() -> io.TextIOWrapper:
    """Standard input as text; bytes that are no UTF-8 become U+FFFD, never an error."""
    return io.TextIOWrapper(sys.stdin.buffer, encoding="utf-8", errors="replace")


def _refuse(problems: list[str]) -> None:
    click.echo("The settings do not fit:", err=True)
    for problem in problems:
        click.echo(f"  - {problem}", err=True)
    sys.exit(2)


def main() -> None:
    """Entry point."""
    from bot.audit import audit
    from bot.backup import backup, restore
    from bot.dead import dead
    from bot.doctor import doctor
    from bot.forget import forget
    from bot.keys import keys
    from bot.outreach.command import outreach
    from bot.plan_command import consent, plan
    from bot.sending_command import sending

    for group in (audit, backup, consent, dead, doctor, forget, keys, outreach, plan, restore, sending):
        cli.add_command(group)
    cli()
