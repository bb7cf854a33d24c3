"""``python -m bot keys``: change SECRET_KEY without losing a patient, a STOP or a link.

1. Start every process with ``SECRET_KEY=old,new``, so that all of them can read both. 2. ``SECRET_KEY=new,old``: from now
on everything is sealed with the new one. 3. ``keys rotate`` seals the rest again, while serving. 4. When it says that
nothing is left, ``SECRET_KEY=new``. Backups made before still need the old key: keep it with them.
"""

from __future__ import annotations

import os
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import click

from bot.running import note_act, running_store
from bot.store.cipher import Cipher
from bot.store.walk import put, walk

ROUNDS = 5  # a value that changed under our hands is met again in the next round


@click.group()
def keys() -> None:
    """The keys that seal what is kept."""


@keys.command()
def status() -> None:
    """What is sealed with an older key. 0: nothing. 1: something, or something that no key opens."""
    settings, store = running_store()
    _report(*count(store.client, store.cipher), spooled(settings.data_dir, store.cipher))


@keys.command()
def rotate() -> None:
    """Seal everything again with the first key of SECRET_KEY. Safe while serving; run again when it was interrupted."""
    settings, store = running_store()
    note_act(settings, store, "keys rotated")
    done = reseal(store.client, store.cipher)
    click.echo(f"{done} values sealed again.")
    _report(*count(store.client, store.cipher), spooled(settings.data_dir, store.cipher))


def reseal(client: Any, cipher: Cipher) -> int:
    """How many values were sealed again with the current key."""
    done = 0
    for _ in range(ROUNDS):
        missed = 0
        for value in walk(client, cipher):
            if value.plain is not None and not cipher.is_current(value.raw[value.start :]):
                if put(client, value, cipher.seal(value.bound, value.plain)):
                    done += 1
                else:
                    missed += 1
        if not missed:
            break
    return done


def count(client: Any, cipher: Cipher) -> tuple[Counter[str], Counter[str]]:
    """By kind of key: how many values are under an older key, and how many no key opens."""
    older: Counter[str] = Counter()
    closed: Counter[str] = Counter()
    for value in walk(client, cipher):
        if value.plain is None and value.looks_sealed:
            closed[value.family] += 1
        elif value.plain is not None and not cipher.is_current(value.raw[value.start :]):
            older[value.family] += 1
    return older, closed


def spooled(data_dir: Path, cipher: Cipher) -> int:
    """How many inputs kept on this machine's disk are under an older key."""
    folder = data_dir / "spool"
    names = [name for name in os.listdir(folder) if name.endswith((".in", ".bad"))] if folder.is_dir() else []
    return sum(not cipher.is_current((folder / name).read_bytes()[:2]) for name in names)


def _report(older: Counter[str], closed: Counter[str], kept: int) -> None:
    for name, many in sorted(older.items()):
        click.echo(f"{many} of {name} are under an older key: run python -m bot keys rotate (again).")
    for name, many in sorted(closed.items()):
        click.echo(f"{many} of {name} open with no key of SECRET_KEY: add the key that sealed them, or they are lost.")
    if kept:
        click.echo(f"{kept} inputs kept on disk are under an older key; they go when the store takes them up.")
    if older or closed or kept:
        sys.exit(1)
    click.echo("Nothing is left under an older key: it may be removed from SECRET_KEY. Keep it for older backups.")
