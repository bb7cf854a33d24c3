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

from bot.told import Told, told

MOST_BYTES = 50_000_000  # a hundred thousand rows of a phone, a language and a consent are 6 MB
MOST_ROWS = 500_000
MOST_FAULTS = 20  # more are counted, not listed
FIELDS = ("phone", "language", "consent", "consent_source", "consent_date", "consent_calls")
_KNOWN = {  # letters only, without accents
    "phone": "phone telephone tel mobile mobilephone mobilenumber cell cellphone cellnumber cellphonenumber phonenumber "
             "telephonenumber patientphone contactphone telefono celular movil numerodetelefono numerotelefono "
             "telefonocelular telefonomovil numerocelular numerodecelular",
    "language": "language lang preferredlanguage idioma lengua idiomapreferido",
    "consent": "consent consented smsconsent textconsent optin consentimiento consiente consentimientosms",
    "consent_source": "consentsource source consentform fuente fuentedelconsentimiento fuentedeconsentimiento origen",
    "consent_calls": "consentcalls callconsent voiceconsent consentimientollamadas consentimientoparallamadas",
    "consent_date": "consentdate consentedon consentedat dateofconsent fecha fechadelconsentimiento fechadeconsentimiento "
                    "fechaconsentimiento",
}  # fmt: skip
_SPREADSHEET = told(
    "It is a spreadsheet file, not CSV: open it, choose Save as, and there CSV UTF-8 (comma delimited)."
)
_PICTURE = told("It is a picture. It has to be a table, saved as CSV UTF-8.")
# How files begin that people take for a table. None of them is ever opened, so none can unpack itself.
_NO_TABLE = (
    (b"PK\x03\x04", _SPREADSHEET),
    (b"PK\x05\x06", _SPREADSHEET),
    (b"\xd0\xcf\x11\xe0", _SPREADSHEET),
    (b"%PDF", told("It is a PDF. It has to be a table, saved as CSV UTF-8.")),
    (b"\x89PNG", _PICTURE),
    (b"\xff\xd8\xff", _PICTURE),
    (b"GIF8", _PICTURE),
    (b"\x1f\x8b", told("It is a packed file. Unpack it first, then give the CSV file.")),
)
_FORMULA = re.compile(r"\s*(?:[=@]|[+-](?![\d(. ]))")


@dataclass(frozen=True, slots=True)
class Fault:
    """What is wrong with a file. *row* as a spreadsheet numbers it (the header is 1); 0: the file as a whole."""

    row: int
    told: Told

    def __str__(self) -> str:
        return f"row {self.row}: {self.told}" if self.row else str(self.told)


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


@dataclass(frozen=True, slots=True)
class Glance:
    """The top of a file, for whoever says which column is which. *found*: field -> the one column whose name says it;
    *samples*: the first of its *rows*."""

    headers: tuple[str, ...]
    found: Mapping[str, int]
    samples: list[list[str]]
    rows: int


def read_sheet(raw: bytes, mapping: Mapping[str, str | int] | None = None) -> Sheet:
    """*raw* read whole. *mapping*: field -> header, or number of the column from 0, where the header does not say it; ""
    where the file has no such column whatever its headers say. Raises SheetError."""
    headers, body, faults = _opened(raw)
    columns = _columns(headers, mapping or {}, faults)
    faults += _shape_faults(len(headers), columns, body)
    if not body and not faults:
        faults.append(Fault(0, told("It has a first row with names and nothing below it.")))
    if faults:
        raise SheetError(_first_of(faults))
    return Sheet(headers, columns, body)


def glance(raw: bytes, rows: int = 3) -> Glance:
    """The names of the columns and the first *rows* of a file. Raises SheetError for one that is no table at all."""
    headers, body, faults = _opened(raw)
    faults += _shape_faults(len(headers), {}, body)
    if not body and not faults:
        faults.append(Fault(0, told("It has a first row with names and nothing below it.")))
    if faults:
        raise SheetError(_first_of(faults))
    fits = {field: _fits(headers, field) for field in FIELDS}
    found = {field: columns[0] for field, columns in fits.items() if len(columns) == 1}
    return Glance(headers, found, [cells for _, cells in body[:rows]], len(body))


def too_large(size: int) -> Fault:
    """The fault of a file that nobody should read into memory."""
    return Fault(0, told("It has {mb} MB; at most {most} MB can be taken. Split it.",
                         mb=f"{size / 1e6:.0f}", most=f"{MOST_BYTES / 1e6:.0f}"))  # fmt: skip


def _opened(raw: bytes) -> tuple[tuple[str, ...], list[tuple[int, list[str]]], list[Fault]]:
    """Headers, rows below them, and what is wrong so far. Raises SheetError when there is no table to speak of."""
    if len(raw) > MOST_BYTES:
        raise SheetError([too_large(len(raw))])
    for begins, says in _NO_TABLE:
        if raw.startswith(begins):
            raise SheetError([Fault(0, says)])
    records, faults = _records(_decoded(raw))
    if not records and not faults:
        faults.append(Fault(0, told("It is empty; it needs a first row with the names of its columns.")))
    if faults and not records:
        raise SheetError(faults)
    (number, first), body = records[0], records[1:]
    if any("\0" in name for name in first):
        raise SheetError([Fault(number, told('it has a NUL character; save the file as "CSV UTF-8".'))])
    return tuple(name.strip() for name in first), body, faults


def _first_of(faults: list[Fault]) -> list[Fault]:
    found = sorted(faults, key=lambda fault: fault.row)
    more = len(found) - MOST_FAULTS
    return [*found[:MOST_FAULTS], *([Fault(0, told("... and {n} more.", n=more))] if more > 0 else [])]


def _decoded(raw: bytes) -> str:
    if raw.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        try:
            return raw.decode("utf-16")
        except UnicodeDecodeError:
            says = told('It begins as UTF-16 but is not; save it as "CSV UTF-8".')
            raise SheetError([Fault(0, says)]) from None
    raw = raw.removeprefix(codecs.BOM_UTF8)
    try:
        return raw.decode()
    except UnicodeDecodeError as error:
        row = _row_at_the_end_of(raw[: error.start].decode() + "x")
        says = told('has letters that are not UTF-8; save the file as "CSV UTF-8 (comma delimited)".')
        raise SheetError([Fault(row, says)]) from None


def _row_at_the_end_of(text: str) -> int:
    try:
        return sum(1 for _ in csv.reader(io.StringIO(text, newline="")))
    except csv.Error:
        return text.count("\n") + 1


def _records(text: str) -> tuple[list[tuple[int, list[str]]], list[Fault]]:
    """(row number, cells) of every row that is not blank."""
    head = next((line for line in io.StringIO(text, newline="") if not line.isspace()), "")
    named = re.fullmatch(r"(?i)\"?sep=([,;\t])\"?\s*", head)  # what some programs say to Excel before the first row
    delimiter = named[1] if named else max(",;\t", key=head.count)
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
            if named:
                named = None
                continue
            # What is as in the row above is kept once: half the memory of a large file.
            above = [old if old == new else new for old, new in zip_longest(above, cells)][: len(cells)]
            found.append((number, above))
        if number > MOST_ROWS + 1:
            return found, [Fault(0, told("It has more than {n} rows; split it.", n=MOST_ROWS))]


def _quotes(error: str, line: int) -> Told:
    if "unexpected end" in error or "limit" in error:
        return told('a quote (") that opens here, at line {line}, is never closed.', line=line)
    return told('its quotes (") do not fit, at line {line}: a quote inside a value is written twice.', line=line)


def _fits(headers: tuple[str, ...], field: str) -> list[int]:
    """The columns whose names say that they are *field*."""
    known = _KNOWN[field].split()
    return [at for at, name in enumerate(headers) if re.sub(r"[^a-z]", "", _unaccented(name.lower())) in known]


def _named(headers: tuple[str, ...], wanted: str | int) -> list[int]:
    if isinstance(wanted, int):
        return [wanted] if 0 <= wanted < len(headers) else []
    return [at for at, name in enumerate(headers) if name.lower() == wanted.strip().lower()]


def _columns(headers: tuple[str, ...], mapping: Mapping[str, str | int], faults: list[Fault]) -> dict[str, int]:
    columns: dict[str, int] = {}
    for field in FIELDS:
        wanted = mapping.get(field)
        if wanted == "":
            continue
        fits = _fits(headers, field) if wanted is None else _named(headers, wanted)
        if len(fits) == 1:
            columns[field] = fits[0]
        elif fits:
            faults.append(Fault(1, told("{n} columns could be the {field}; say which with --map {field}=NAME.",
                                        n=len(fits), field=field)))  # fmt: skip
        elif wanted is not None:
            faults.append(Fault(1, told("there is no column with the name that --map gives for {field}.", field=field)))
    faults += [Fault(0, told("--map {name}: there is no such field; there are {fields}.",
                             name=name, fields=", ".join(FIELDS)))
               for name in mapping if name not in FIELDS]  # fmt: skip
    if "phone" not in columns and not faults:
        faults.append(Fault(1, told("no column is named phone; say which one it is with --map phone=NAME.")))
    return columns


def _shape_faults(width: int, columns: Mapping[str, int], body: list[tuple[int, list[str]]]) -> Iterator[Fault]:
    used = list(columns.items())
    for number, cells in body:
        if len(cells) != width:
            yield Fault(number, told("it has {n} values and the first row has {width}: a comma without quotes?",
                                     n=len(cells), width=width))  # fmt: skip
            continue
        for cell in cells:
            if "\0" in cell:
                yield Fault(number, told("it has a NUL character; the file was damaged on its way."))
                break
        else:
            for field, column in used:
                if _FORMULA.match(cells[column]):
                    yield Fault(number, told("the {field} is a formula; paste it as a value.", field=field))


def _unaccented(text: str) -> str:
    return text.translate(str.maketrans("áéíóúñ", "aeioun"))
