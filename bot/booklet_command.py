"""``python -m bot booklet``: a flow as one page for the clinician's signature, and the record of who signed which version.

Reads flows; writes the page, ``flows/signed.jsonl`` and beside it the signed texts (``flows/signed/``). What stands on the
page belongs to bot/proof/booklet.py.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from dataclasses import asdict, replace
from datetime import UTC, datetime
from pathlib import Path

import click

from bot.edition import kept_flow, kept_text
from bot.flow.load import FlowError, Loaded
from bot.proof.booklet import Booklet, Signature, Since, since
from bot.proof.check import check
from bot.proof.command import FLOWS, beside, labelled_replies, read_flow, reader, word_texts
from bot.proof.difference import compare
from bot.proof.explore import TooManyError
from bot.proof.reading_changes import word_changes
from bot.proof.tree import TooManyAnswersError
from bot.proof.turns import Fact
from bot.reading.words import WordsError, words_hash

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
@click.option("--since", "older", type=FILE, help="An older flow file; without it, the version that was signed last.")
@click.option("--signed", "name", default=None, help="Record that this person signed this version today.")
@click.option("--version", "mark", default=None, help="With --signed: the version that stands on the signed page.")
def booklet_command(file: Path, target: Path | None, older: Path | None, name: str | None, mark: str | None) -> None:
    """Print a flow (default: triage) as one HTML page to sign. 1: not proved, so it should not be signed. 2: not
    readable."""
    if (name is None) != (mark is None):
        raise click.UsageError("--signed NAME and --version VERSION (as printed on the signed page) go together.")
    if target and not target.parent.is_dir():
        raise click.UsageError(f"There is no folder {target.parent} to write the page into.")
    try:
        book = make_booklet(file, older, SIGNED, name, mark)
        page = book.html(TEMPLATE.read_text("utf-8"))
        if target:
            target.write_text(page, "utf-8")
    except (FlowError, TooManyAnswersError, TooManyError, WordsError, RecordError, OSError) as error:
        click.echo(str(error), err=True)
        sys.exit(2)
    if not target and name is None:
        click.echo(page, nl=False)
    if name:
        click.echo(f"Recorded: {name.strip()} signed {book.loaded.flow.id}, version {book.mark}.", err=True)
    sys.exit(1 if book.report.problems else 0)


def make_booklet(
    file: Path, older: Path | None, record: Path, name: str | None = None, mark: str | None = None
) -> Booklet:
    """The booklet of the flow in *file*, after *name* signed the version *mark* of it. Raises FlowError, WordsError,
    TooManyAnswersError, TooManyError, RecordError."""
    now = datetime.now(UTC)
    loaded, texts = read_flow(file), word_texts()
    signatures = read_signatures(record)
    changed = _since(loaded, texts, older, signatures, record)
    report = check(loaded, flows=beside([loaded]), read=reader())
    book = Booklet(loaded, report, f"{now:%Y-%m-%d %H:%M} UTC", words_hash(texts), signatures, changed)
    if name is None:
        return book
    if report.problems:
        raise RecordError(f"{file} has {len(report.problems)} problems (python -m bot check), so nobody can sign it.")
    if mark != book.mark:
        raise RecordError(
            f"{file} is version {book.mark} now, not {mark}: what was signed is another text. Print it again and sign that."
        )
    one = Signature(loaded.flow.id, loaded.hash, book.words, name.strip(), f"{now:%Y-%m-%d}")
    return replace(book, signatures=[*signatures, *sign(record, signatures, one, kept_text(loaded), texts)])


def _since(
    loaded: Loaded, texts: Mapping[str, str], older: Path | None, signatures: list[Signature], record: Path
) -> Since | None:
    """The comparison with the file *older*, else with what was signed last; None when there is nothing to compare with."""
    last = next((one for one in reversed(signatures) if one.flow == loaded.flow.id), None)
    words: list[Fact] = []
    if older is None:
        kept = _kept(record, last.flow, last.hash) if last else None
        if last is None or kept is None or not kept.exists():
            return None
        old = kept_flow(kept.read_text("utf-8"), last.hash)
        spoken = _kept(record, "words", last.words)
        before = json.loads(spoken.read_text("utf-8")) if spoken.exists() else texts
        words = list(word_changes(before, texts, labelled_replies(), beside([loaded]).get("triage")))
    else:
        old = read_flow(older)
    if old.flow.id != loaded.flow.id:
        raise RecordError(f"{older} is the flow {old.flow.id!r}, not an older {loaded.flow.id!r}.")
    return since(old, loaded, compare(old, loaded, beside([loaded])), words)


def _kept(record: Path, name: str, content: str) -> Path:
    """Where the text of what was signed lies: beside the record of who signed it."""
    return record.parent / record.stem / f"{name}-{content}.json"


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


def sign(record: Path, before: list[Signature], new: Signature, flow: str, words: Mapping[str, str]) -> list[Signature]:
    """Write *new* down, and what was signed beside it; nothing when the same person signed the same before. Raises
    RecordError."""
    if not new.name:
        raise RecordError("A signature needs a name.")
    if any(replace(one, on=new.on) == new for one in before):
        return []
    texts = {_kept(record, new.flow, new.hash): flow, _kept(record, "words", new.words): json.dumps(dict(words))}
    for path, text in texts.items():
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, "utf-8")
    with record.open("a", encoding="utf-8") as kept:
        kept.write(json.dumps(asdict(new), ensure_ascii=False) + "\n")
    return [new]
