"""``python -m bot backup FILE``, ``restore FILE``: the state in one sealed file, also to move from any server to any other.

The file opens only with the SECRET_KEY that made it: keep that key somewhere else than the file. A restore brings back the
past: who was erased since is erased again when this machine's DATA_DIR still knows it; a STOP written since is not in it.
"""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import click

from bot.forget import ERASED_IDS, erase_patient
from bot.running import note_act, present, running_store
from bot.settings import Settings, SettingsError
from bot.store import backup as files
from bot.store.audit import Audit
from bot.store.backup import About, BackupError
from bot.store.cipher import Cipher
from bot.store.client import AWAY
from bot.store.embedded import EmbeddedServer, ServerError
from bot.store.store import Store, open_store

REFUSED: tuple[type[Exception], ...] = (BackupError, SettingsError, ServerError, OSError, *AWAY)


@click.command()
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@click.option(
    "--verify", is_flag=True, help="Write nothing: restore FILE into a server made for it, and check all of it."
)
def backup(file: Path, verify: bool) -> None:
    """Write the whole state into FILE, sealed; safe while serving. 0: done, or whole. 1: not, and why."""
    try:
        if verify:
            _drill(Settings.load(), file)
            return
        settings, store = running_store()
        note_act(settings, store, "backup written")
        about = files.write(store.client, store.cipher, settings.buckets, file)
    except REFUSED as error:
        click.echo(f"No backup: {error}", err=True)
        sys.exit(1)
    click.echo(f"{about.keys} keys are in {file}. Try it out: python -m bot backup --verify {file}")


@click.command()
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@click.option(
    "--moved", is_flag=True, help="The old server was stopped before the backup: what is due was not done yet."
)
def restore(file: Path, moved: bool) -> None:
    """FILE into an empty server; stop web, workers and console first. 0: done. 1: refused, and why."""
    try:
        settings = Settings.load()
        with _target(settings) as store:
            now = present(settings)
            about = files.restore(store.client, store.cipher, settings.buckets, file, moved=moved, now=now)
            note_act(settings, store, "restored", detail=_day(about))
            again = _erase_again(settings, store, about, now)
    except REFUSED as error:
        click.echo(f"Not restored: {error}", err=True)
        sys.exit(1)
    click.echo(f"{about.keys} keys of {_day(about)} are back; {again} who were erased since are erased again.")
    if not moved:
        click.echo("What was due by now may have been sent: it becomes a task, and is not sent again.")
    click.echo("A STOP that was written since the backup is not in it: look at the carrier's list before outreach.")


@contextmanager
def _target(settings: Settings) -> Iterator[Store]:
    """STATE_URL, or the embedded server of DATA_DIR, started for this when it does not run."""
    server = None
    if settings.state_url is None:
        server = EmbeddedServer(settings.data_dir)
        server.start()
    try:
        yield open_store(settings.state_url or server.url, settings.secret_keys, settings.buckets)  # type: ignore[union-attr]
    finally:
        if server:
            server.stop()


def _drill(settings: Settings, file: Path) -> None:
    with tempfile.TemporaryDirectory(prefix="tb-") as folder:
        server = EmbeddedServer(Path(folder), fsync="no")
        server.start()
        try:
            about, _ = files.read(file, Cipher(settings.secret_keys))
            store = open_store(server.url, settings.secret_keys, about.buckets)
            files.restore(store.client, store.cipher, about.buckets, file, moved=True, now=0.0)
            faults = Audit(store.client, store.cipher).faults()
            patients = list(store.patients())
            faults += [f"The log of patient {one} does not hold." for one in patients if store.verify(one) is not None]
        finally:
            server.stop()
    if faults:
        raise BackupError("It restores, but: " + " ".join(faults))
    click.echo(
        f"{file} of {_day(about)} is whole: {about.keys} keys, {len(patients)} patients, all logs and the trail hold."
    )


def _erase_again(settings: Settings, store: Store, about: About, now: float) -> int:
    again = 0
    try:
        lines = (settings.data_dir / ERASED_IDS).read_text("utf-8").splitlines()
    except OSError:
        return 0
    for line in lines:
        at, patient = json.loads(line)
        if at >= about.made and store.load(patient, "").record is not None:
            erase_patient(store, patient, now)
            again += 1
    return again


def _day(about: About) -> str:
    return datetime.fromtimestamp(about.made, UTC).isoformat(timespec="minutes")
