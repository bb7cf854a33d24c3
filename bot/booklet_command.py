"""``python -m bot booklet``: a flow as one page for the clinician's signature, and the record of who signed which version.

Reads flows, writes the page and ``flows/signed.jsonl``; what stands on the page belongs to bot/proof/booklet.py.
"""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path

import click

from bot.flow.load import FlowError
from bot.proof.booklet import Booklet, Signature, Since, since
from bot.proof.check import check
from bot.proof.command import FLOWS, beside, read_flow, reader
from bot.proof.difference import compare
from bot.proof.explore import TooManyError
from bot.proof.tree import TooManyAnswersError

SIGNED = FLOWS / "signed.jsonl"
TEMPLATE = Path(__file__).parent / "proof" / "booklet.html"
FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


class RecordError(ValueError):
    """The record of signatures cannot be read, or may not be written."""


@click.command("booklet")
@click.argument("file", default=FLOWS / "triage.json", required=False, type=FILE)
@click.option(
    "-o", "target", type=click.Path(dir_okay=False, path_type=Path), help="Write the page here, not to stdout."
)
@click.option("--since", "older", type=FILE, help="An older flow file: what changed since then.")
@click.option("--signed", "name", default=None, help="Record that this person signed this version today.")
def booklet_command(file: Path, target: Path | None, older: Path | None, name: str | None) -> None:
    """Print a flow (default: triage) as one HTML page to sign. 1: not proved, so it should not be signed. 2: not
    readable."""
    try:
        book = make_booklet(file, older, SIGNED, name)
    except (FlowError, TooManyAnswersError, TooManyError, RecordError) as error:
        click.echo(str(error), err=True)
        sys.exit(2)
    page = book.html(TEMPLATE.read_text("utf-8"))
    if target:
        target.write_text(page, "utf-8")
    else:
        click.echo(page, nl=False)
    if name:
        click.echo(f"Recorded: {name.strip()} signed {book.loaded.flow.id}, version {book.loaded.hash}.", err=True)
    sys.exit(1 if book.report.problems else 0)


def make_booklet(file: Path, older: Path | None, record: Path, name: str | None = None) -> Booklet:
    """The booklet of the flow in *file*, after *name* signed it. Raises FlowError, TooManyAnswersError, RecordError."""
    now = datetime.now(UTC)
    loaded = read_flow(file)
    changed: Since | None = None
    if older:
        old = read_flow(older)
        if old.flow.id != loaded.flow.id:
            raise RecordError(f"{older} is the flow {old.flow.id!r}, not an older {loaded.flow.id!r}.")
        changed = since(old, loaded, compare(old, loaded))
    signatures = read_signatures(record)
    report = check(loaded, flows=beside([loaded]), read=reader())
    if name is not None:
        if report.problems:
            raise RecordError(
                f"{file} has {len(report.problems)} problems (python -m bot check), so nobody can sign it."
            )
        signatures += sign(record, signatures, Signature(loaded.flow.id, loaded.hash, name.strip(), f"{now:%Y-%m-%d}"))
    return Booklet(loaded, report, f"{now:%Y-%m-%d %H:%M} UTC", signatures, changed)


def read_signatures(record: Path) -> list[Signature]:
    """Every signature, oldest first; none when nothing was ever signed. Raises RecordError, with the line."""
    if not record.exists():
        return []
    found = []
    for number, line in enumerate(record.read_text("utf-8", "replace").splitlines(), 1):
        try:
            found += [Signature(**{key: str(value) for key, value in json.loads(line).items()})] if line.strip() else []
        except (ValueError, TypeError, AttributeError):
            message = f"{record}:{number} is no record of a signature; mend or remove this line."
            raise RecordError(message) from None
    return found


def sign(record: Path, before: list[Signature], new: Signature) -> list[Signature]:
    """Write *new* down; nothing when the same person signed the same version before. Raises RecordError."""
    if not new.name:
        raise RecordError("A signature needs a name.")
    if any((one.flow, one.hash, one.name) == (new.flow, new.hash, new.name) for one in before):
        return []
    with record.open("a", encoding="utf-8") as kept:
        kept.write(json.dumps(asdict(new), ensure_ascii=False) + "\n")
    return [new]
