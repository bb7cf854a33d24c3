"""The store of the product that runs on this machine, or that STATE_URL names, for the commands of ``python -m bot``.

Starts nothing. What a command does is in the audit trail before it is done, under the login of who typed it.
"""

from __future__ import annotations

import getpass
import sys
import time

import click
from redis.exceptions import RedisError

from bot.sandbox.clock import clock_in
from bot.settings import Settings, SettingsError
from bot.store.audit import Audit, Entry
from bot.store.embedded import EmbeddedServer
from bot.store.identity import IdentityError
from bot.store.store import Store, open_store


def running_store() -> tuple[Settings, Store]:
    """Settings and ledger; says in words what is missing and ends with 2 otherwise."""
    try:
        settings = Settings.load()
    except SettingsError as error:
        click.echo(str(error), err=True)
        sys.exit(2)
    url = settings.state_url
    if url is None:
        server = EmbeddedServer(settings.data_dir)
        if not server.running():
            click.echo(f"Nothing runs on {settings.data_dir}: start it first (make run), or set STATE_URL.", err=True)
            sys.exit(2)
        url = server.url
    store = open_store(url, settings.secret_keys, settings.buckets)
    try:
        store.cipher.patient_id("")
    except (IdentityError, RedisError) as error:
        click.echo(f"The store cannot be used: {error}", err=True)
        sys.exit(2)
    return settings, store


def present(settings: Settings) -> float:
    """The time as the product sees it: in the sandbox its own clock."""
    return clock_in(settings.data_dir)() if settings.sandbox else time.time()


def trail(settings: Settings, store: Store) -> Audit:
    """The audit trail of this deployment."""
    return Audit(store.client, store.cipher, settings.data_dir)


def note_act(settings: Settings, store: Store, action: str, about: str = "", detail: str = "") -> None:
    """Who does what by command, before it is done. Ids and fixed words only."""
    trail(settings, store).append(Entry(time.time(), f"command:{login()}", action, about, detail))


def login() -> str:
    """Who typed the command."""
    try:
        return getpass.getuser()
    except (OSError, KeyError):
        return "unknown"
