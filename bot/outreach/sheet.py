"""The bytes of a CSV file -> rows, or every fault with its row. Pure; judges the form of a file, never a patient.

Takes what spreadsheets save: UTF-8 with or without a mark, UTF-16 with one; comma, semicolon or tab. Anything doubtful is
a fault of the whole file, because a file that is read wrongly writes to the wrong people.
"""

from __future__ import annotations

import codecs
import csv
import io
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import zip_longest

MOST_BYTES = 50_000_000  # a hundred thousand rows of a phone, a language and a consent are 6 MB
MOST_ROWS = 500_000
MOST_FAULTS = 20  # more are counted, not listed
FIELDS = ("phone", "language", "consent", "consent_source", "consent_date", "consent_calls")
_KNOWN = {
    "phone": "phone telephone tel mobile mobilephone cell cellphone phonenumber telefono celular movil",
    "language": "language lang idioma preferredlanguage",
    "consent": "consent consented smsconsent textconsent optin consentimiento",
    "consent_source": "consentsource source consentform fuente",
    "consent_calls": "consentcalls callconsent voiceconsent",
    "consent_date": "consentdate consentedon consentedat dateofconsent fecha",
}
_FORMULA = re.compile(r"\s*(?:[=@]|[+-](?![\d(. ]))")


@dataclass(frozen=True, slots=True)
class Fault:
    """What is wrong with a file. *row* as a spreadsheet numbers it (the header is 1); 0: the file as a whole."""

    row: int
    says: str

    def __str__(self) -> str:
        return f"row {self.row}: {self.says}" if self.row else self.says


class SheetError(ValueError):
    """The file cannot be used; nothing was changed. *faults*: all of them, in order of rows, none repeats a value."""

    def __init__(self, faults: list[Fault]) -> None:
        self.faults = faults
        super().__init__("\n".join(["The file cannot be used:", *(f"  - {fault}" for fault in faults)]))


@dataclass(frozen=True, slots=True)
class Sheet:
    """A file that could be read. *headers* as written; *mapping*: field -> number of its column; *rows*: (row number,
    cells as written)."""

    headers: tuple[str, ...]
    mapping: Mapping[str, int]
    rows: list[tuple[int, list[str]]]

    def cell(self, cells: list[str], field: str) -> str:
        """The value of *field* without spaces around it; "" when the file has no such column."""
        column = self.mapping.get(field)
        return "" if column is None else cells[column].strip()


def read_sheet(raw: bytes, mapping: Mapping[str, str] | None = None) -> Sheet:
    """*raw* read whole. *mapping*: field -> header, where the header does not say it. Raises SheetError."""
    if len(raw) > MOST_BYTES:
        raise SheetError([too_large(len(raw))])
    text = _decoded(raw)
    records, faults = _records(text)
    if not records and not faults:
        faults.append(Fault(0, "It is empty; it needs a first row with the names of its columns."))
    if faults and not records:
        raise SheetError(faults)
    (number, first), body = records[0], records[1:]
    if any("\0" in name for name in first):
        raise SheetError([Fault(number, 'it has a NUL character; save the file as "CSV UTF-8".')])
    headers = tuple(name.strip() for name in first)
    columns = _columns(headers, mapping or {}, faults)
    faults += _shape_faults(len(headers), columns, body)
    if not body and not faults:
        faults.append(Fault(0, "It has a first row with names and nothing below it."))
    if faults:
        faults.sort(key=lambda fault: fault.row)
        more = len(faults) - MOST_FAULTS
        raise SheetError([*faults[:MOST_FAULTS], *([Fault(0, f"... and {more} more.")] if more > 0 else [])])
    return Sheet(headers, columns, body)


def too_large(size: int) -> Fault:
    """The fault of a file that nobody should read into memory."""
    return Fault(0, f"It has {size / 1e6:.0f} MB; at most {MOST_BYTES / 1e6:.0f} MB can be taken. Split it.")


def _decoded(raw: bytes) -> str:
    if raw.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        try:
            return raw.decode("utf-16")
        except UnicodeDecodeError:
            raise SheetError([Fault(0, 'It begins as UTF-16 but is not; save it as "CSV UTF-8".')]) from None
    raw = raw.removeprefix(codecs.BOM_UTF8)
    try:
        return raw.decode()
    except UnicodeDecodeError as error:
        row = _row_at_the_end_of(raw[: error.start].decode() + "x")
        says = 'has letters that are not UTF-8; save the file as "CSV UTF-8 (comma delimited)".'
        raise SheetError([Fault(row, says)]) from None


def _row_at_the_end_of(text: str) -> int:
    try:
        return sum(1 for _ in csv.reader(io.StringIO(text, newline="")))
    except csv.Error:
        return text.count("\n") + 1


def _records(text: str) -> tuple[list[tuple[int, list[str]]], list[Fault]]:
    """(row number, cells) of every row that is not blank."""
    head = next((line for line in io.StringIO(text, newline="") if not line.isspace()), "")
    delimiter = max(",;\t", key=head.count)
    lines = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    found: list[tuple[int, list[str]]] = []
    faults: list[Fault] = []
    above: list[str] = []
    number, begins = 0, 1
    while True:
        number, begins = number + 1, lines.line_num + 1
        try:
            cells = next(lines)
        except StopIteration:
            return found, faults
        except csv.Error as error:
            faults.append(Fault(number, _quotes(str(error), begins)))
            return found, faults
        if any(cell and not cell.isspace() for cell in cells):
            # What is as in the row above is kept once: half the memory of a large file.
            above = [old if old == new else new for old, new in zip_longest(above, cells)][: len(cells)]
            found.append((number, above))
        if number > MOST_ROWS + 1:
            return found, [Fault(0, f"It has more than {MOST_ROWS} rows; split it.")]


def _quotes(error: str, line: int) -> str:
    if "unexpected end" in error or "limit" in error:
        return f'a quote (") that opens here, at line {line}, is never closed.'
    return f'its quotes (") do not fit, at line {line}: a quote inside a value is written twice.'


def _columns(headers: tuple[str, ...], mapping: Mapping[str, str], faults: list[Fault]) -> dict[str, int]:
    plain = [re.sub(r"[^a-z]", "", _unaccented(name.lower())) for name in headers]
    columns: dict[str, int] = {}
    for field in FIELDS:
        if field in mapping:
            fits = [at for at, name in enumerate(headers) if name.lower() == mapping[field].strip().lower()]
        else:
            known = _KNOWN[field].split()
            fits = [at for at, name in enumerate(plain) if name in known]
        if len(fits) == 1:
            columns[field] = fits[0]
        elif fits:
            faults.append(Fault(1, f"{len(fits)} columns could be the {field}; say which with --map {field}=NAME."))
        elif field in mapping:
            faults.append(Fault(1, f"there is no column with the name that --map gives for {field}."))
    faults += [Fault(0, f"--map {name}: there is no such field; there are {', '.join(FIELDS)}.")
               for name in mapping if name not in FIELDS]  # fmt: skip
    if "phone" not in columns and not faults:
        faults.append(Fault(1, "no column is named phone; say which one it is with --map phone=NAME."))
    return columns


def _shape_faults(width: int, columns: Mapping[str, int], body: list[tuple[int, list[str]]]) -> Iterator[Fault]:
    used = list(columns.items())
    for number, cells in body:
        if len(cells) != width:
            yield Fault(number, f"it has {len(cells)} values and the first row has {width}: a comma without quotes?")
            continue
        for cell in cells:
            if "\0" in cell:
                yield Fault(number, "it has a NUL character; the file was damaged on its way.")
                break
        else:
            for field, column in used:
                if _FORMULA.match(cells[column]):
                    yield Fault(number, f"the {field} is a formula; paste it as a value.")


def _unaccented(text: str) -> str:
    return text.translate(str.maketrans("áéíóúñ", "aeioun"))
