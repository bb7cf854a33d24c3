"""A command's way to the store that the settings name; an embedded one that does not run is started for the while."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

import click

from bot.settings import Settings, SettingsError
from bot.store.embedded import EmbeddedServer, ServerError
from bot.store.store import Store, open_store


def settings_or_exit() -> Settings:
    """The settings; what is wrong with them is printed and ends the command with 2."""
    try:
        return Settings.load()
    except SettingsError as error:
        click.echo(f"{error}\nFor what `make run` keeps: SANDBOX=true python -m bot ...", err=True)
        sys.exit(2)


@contextmanager
def opened(settings: Settings) -> Iterator[Store]:
    """The store. One that cannot be had is said, and ends the command with 2."""
    server = None
    try:
        if settings.state_url is None:
            server = EmbeddedServer(settings.data_dir)
            server.start()
        yield open_store(settings.state_url or (server.url if server else ""), settings.secret_keys, settings.buckets)
    except (ServerError, OSError) as error:
        click.echo(f"The store cannot be used: {error}", err=True)
        sys.exit(2)
    finally:
        if server:
            server.stop()
