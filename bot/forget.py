"""``python -m bot forget``: one patient erased everywhere, on request. Prints a receipt without the number.

What stays: that an id was erased (audit trail), and for a person who wrote STOP a record of nothing but that, under the
keyed hash of the number alone, for ever: whoever imports the number again meets it. For others a bare record stays for
30 days, so that what was sent before the erasure and arrives after it revives nothing.
"""

from __future__ import annotations

import json
import sys
import time
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path

import click
import phonenumbers

from bot.record import BARE_SECONDS, Record, bare_of, from_bytes
from bot.running import note_act, present, running_store
from bot.settings import Settings
from bot.store.cipher import Cipher, UnreadableError
from bot.store.erase import EraseError, erase, left
from bot.store.files import rewrite
from bot.store.store import Store

ERASED_IDS = "erased.jsonl"  # in DATA_DIR: [time, id], so that restoring an older backup erases them again


@click.command()
@click.argument("patient", required=False)
def forget(patient: str | None) -> None:
    """Erase one patient everywhere. PATIENT is the id the console shows; without it the phone number is asked for (or read
    from standard input), so that it does not stand in the list of processes. 0: erased. 1: not known, or not all of it."""
    if patient and patient.lstrip("+").replace("-", "").isdecimal():
        click.echo("A phone number here can be read in the list of processes. Run forget alone; it asks.", err=True)
        sys.exit(2)
    settings, store = running_store()
    phone = "" if patient else _asked(settings)
    patient = patient or store.cipher.patient_id(phone)
    if store.load(patient, "").record is None:
        click.echo("Nobody is known under this.", err=True)
        sys.exit(1)
    note_act(settings, store, "patient erased", patient)
    with (settings.data_dir / ERASED_IDS).open("a", encoding="utf-8") as file:
        file.write(json.dumps([time.time(), patient]) + "\n")
    try:
        gone, stopped = erase_patient(store, patient, present(settings))
    except EraseError as error:
        click.echo(str(error), err=True)
        sys.exit(1)
    spooled = erase_spooled(settings.data_dir / "spool", store.cipher, patient)
    rewritten = rewrite(store.client)
    rest = left(store, patient, (patient.encode(),))
    _receipt(patient, gone, spooled, stopped)
    for problem in (rewritten, f"Still there, run it again: {len(rest)} values." if rest else ""):
        if problem:
            click.echo(problem, err=True)
    sys.exit(1 if rewritten or rest else 0)


def erase_patient(store: Store, patient: str, now: float) -> tuple[Counter[str], bool]:
    """How many values of which kind are gone, and whether a STOP stays."""
    raw = store.load(patient, "").record
    record = from_bytes(raw) if raw else Record("")
    words = (patient.encode(), *([record.phone.encode()] if record.phone else []))
    return erase(store, patient, words, bare_of(record, now), 0 if record.opted_out else BARE_SECONDS), record.opted_out


def erased_ids(folder: Path) -> list[str]:
    """Everybody who was erased by this machine."""
    try:
        lines = (folder / ERASED_IDS).read_text("utf-8").splitlines()
    except OSError:
        return []
    return [str(json.loads(line)[1]) for line in lines]


def erase_spooled(folder: Path, cipher: Cipher, patient: str) -> int:
    """What this patient wrote and this machine still keeps on disk; how many entries."""
    gone = 0
    for path in [*folder.glob("*.in"), *folder.glob("*.bad")] if folder.is_dir() else []:
        try:
            entry = json.loads(cipher.open(f"spool:{path.name.removesuffix('.bad')}", path.read_bytes()))
        except (OSError, UnreadableError):
            continue
        named = [one for one in entry.get("given") or entry.get("args") or [] if isinstance(one, str)]
        if any(cipher.patient_id(one) == patient for one in named):
            path.unlink(missing_ok=True)
            gone += 1
    return gone


def _asked(settings: Settings) -> str:
    typed = click.prompt("Phone number", hide_input=True) if sys.stdin.isatty() else sys.stdin.readline()
    try:
        parsed = phonenumbers.parse(typed.strip(), settings.allowed_regions[0])
    except phonenumbers.NumberParseException:
        click.echo("That is not a phone number.", err=True)
        sys.exit(2)
    return str(phonenumbers.format_number(parsed, phonenumbers.PhoneNumberFormat.E164))


def _receipt(patient: str, gone: Counter[str], spooled: int, stopped: bool) -> None:
    click.echo(f"Erased {datetime.now(UTC).isoformat(timespec='seconds')}, patient {patient}")
    for name, many in sorted((gone + Counter({"kept on disk": spooled})).items()):
        click.echo(f"  {name}: {many}")
    click.echo("Their STOP stays, under a keyed hash of the number alone." if stopped else "They had not written STOP.")
    click.echo("Not reached from here: Twilio's own logs and recordings, other machines' spools, earlier backups.")
