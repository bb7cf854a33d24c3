"""``python -m bot dead``: effects that were given up, each with its reason, and what a person decides about them.

Shows opaque ids and kinds only; who is meant and what it says is for the console.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable

import click

from bot.running import note_act, running_store
from bot.settings import Settings
from bot.store.store import Store


@click.group()
def dead() -> None:
    """What could not be done outside: list it, try again, or drop it."""


@dead.command("list")
def show() -> None:
    """One line each: id, kind, reason."""
    found = running_store()[1].dead_letters()
    for effect_id, kind, why in found:
        click.echo(f"{effect_id}  {kind}  {why}")
    click.echo(f"{len(found)} given up." + (" Try again: python -m bot dead retry ID" if found else ""))


@dead.command()
@click.argument("ids", nargs=-1, required=True)
def retry(ids: tuple[str, ...]) -> None:
    """Make it due again now. One whose reason says "unknown" may have been sent already: look at the carrier first."""
    settings, store = running_store()
    _each(ids, settings, store, lambda effect_id: store.retry(effect_id, time.time()), "is due again")


@dead.command()
@click.argument("ids", nargs=-1, required=True)
def drop(ids: tuple[str, ...]) -> None:
    """Forget it for good; nothing is sent."""
    settings, store = running_store()
    _each(ids, settings, store, store.drop, "is dropped")


def _each(ids: tuple[str, ...], settings: Settings, store: Store, act: Callable[[str], None], said: str) -> None:
    known = {effect_id for effect_id, _, _ in store.dead_letters()}
    for effect_id in ids:
        if effect_id in known:
            note_act(settings, store, f"dead letter {said.removeprefix('is ')}", effect_id)
            act(effect_id)
            for task in store.tasks():
                if task.id == f"fault.{effect_id}":
                    store.close_task(task, "command")
            click.echo(f"{effect_id} {said}.")
        else:
            click.echo(f"{effect_id} is not among those given up; python -m bot dead list shows them.", err=True)
    sys.exit(0 if set(ids) <= known else 1)
