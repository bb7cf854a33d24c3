"""The files of outreach: a bad one is refused with its rows and changes nothing, a good one is read as it was written,
and what is written back runs in no spreadsheet."""

from __future__ import annotations

import codecs
import csv
import io
import os
import re
import tracemalloc
from datetime import datetime
from pathlib import Path
from re import _parser as re_parser  # type: ignore[attr-defined]  # how the library's own patterns are read
from typing import Any
from zoneinfo import ZoneInfo

import phonenumbers
import pytest
from click.testing import CliRunner
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from phonenumbers.phonemetadata import PhoneMetadata

from bot.outreach import command, sheet
from bot.outreach.csvout import lines, safe_cell
from bot.outreach.judge import _DIVIDED, Stated, _parsed, number_in, says_day_first, stated_in
from bot.outreach.plan import Options
from bot.outreach.sheet import MOST_BYTES, MOST_FAULTS, SheetError, read_sheet
from bot.store.store import Store
from tests.outreach_stage import HEAD, Clinic, phone, rows

GENERATED = settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
BAD = [
    (b"", 0, "empty"),
    (b"\xef\xbb\xbf", 0, "empty"),
    (b"phone\n", 0, "nothing below"),
    (b"name,x\na,b\n", 1, "no column is named phone"),
    (b"phone,mobile\n1,2\n", 1, "2 columns"),
    (b"phone,name\n+17135550142,Jos\xe9\n", 2, "UTF-8"),
    (b'phone,name\n+17135550142,"a\nb"\n+17135550143,Jos\xe9\n', 3, "UTF-8"),
    (b"phone,name\n+17135550142,a\n+17135550143,a\0b\n", 3, "NUL"),
    (b'phone,name\n+17135550142,"open\n+1713', 2, "never closed"),
    (b'phone,name\n+17135550142,"' + b"a" * 200_000, 2, "never closed"),
    (b'phone,name\n+17135550142,"a"b"\n', 2, "quotes"),
    (b"phone,name\n+17135550142,a,b\n", 2, "3 values"),
    (b"phone,name\n+17135550142,a\n+17135550142\n", 3, "1 values"),
    (b"phone,name\n=HYPERLINK(1),a\n", 2, "formula"),
    (b"phone,consent\n+17135550142,yes\n+17135550142,@SUM(1)\n", 3, "formula"),
    (b"phone,consent\n+cmd|' /C calc'!A0,yes\n", 2, "formula"),
    (b"\xff\xfeab\x00", 0, "UTF-16"),
    ("phone,name\n+17135550142,a\n".encode("utf-16-le"), 1, "NUL"),
    (bytes(range(256)) * 1_000, 3, "UTF-8"),
    (b"PK\x03\x04" + bytes(100), 0, "spreadsheet file"),
    (b"%PDF-1.7", 0, "a PDF"),
    (b"\x89PNG\r\n", 0, "a picture"),
    (b"\x1f\x8b" + bytes(99), 0, "packed"),
]


@pytest.mark.parametrize(("raw", "row", "word"), BAD)
def test_a_bad_file_is_refused_with_the_row_and_changes_nothing(store: Store, raw: bytes, row: int, word: str) -> None:
    """Nothing of the file's content is repeated: it may be a patient's."""
    clinic = Clinic(store)
    before = set(store.client.keys())
    with pytest.raises(SheetError) as refused:
        clinic.campaigns.plan(raw, Options("triage"))
    found = {fault.row for fault in refused.value.faults}
    assert (row in found, word in str(refused.value)) == (True, True)
    assert "5550142" not in str(refused.value)
    assert set(store.client.keys()) == before


def test_all_faults_come_at_once_and_no_more_than_can_be_read() -> None:
    with pytest.raises(SheetError) as refused:
        read_sheet(b"phone,name\n" + b"1,2,3\n" * 50)
    assert [fault.row for fault in refused.value.faults] == [*range(2, 2 + MOST_FAULTS), 0]
    assert "and 30 more" in str(refused.value)


def test_a_file_of_200_megabytes_is_refused_unread(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By command as by upload; it never comes into memory."""
    file = tmp_path / "large.csv"
    file.touch()
    os.truncate(file, 200_000_000)
    monkeypatch.setattr(command, "_campaigns", lambda: (None, None))
    tracemalloc.start()
    done = CliRunner().invoke(command.outreach, ["plan", str(file)])
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert (done.exit_code, "It has 200 MB" in done.output, most < 20e6) == (2, True, True)
    with pytest.raises(SheetError, match="Split it"):
        read_sheet(bytes(MOST_BYTES + 1))
    monkeypatch.setattr(sheet, "MOST_ROWS", 3)
    with pytest.raises(SheetError, match="more than 3 rows"):
        read_sheet(b"phone\n" + b"1\n" * 4)


@pytest.mark.parametrize("encoded", ["utf-8", "utf-8-sig", "utf-16"])
@pytest.mark.parametrize("mark", [",", ";", "\t"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_what_spreadsheets_save_is_read(encoded: str, mark: str, end: str) -> None:
    raw = f'Teléfono{mark}Name{end}7135550142{mark}"Ana {mark} María"{end}{end}'.encode(encoded)
    found = read_sheet(raw)
    assert [(number, found.cell(cells, "phone"), cells[1]) for number, cells in found.rows] == [
        (2, "7135550142", f"Ana {mark} María")
    ]


MESSY = """Paciente;Celular;Idioma preferido;Consentimiento;Fuente;Fecha de consentimiento
Ana;+1 (713) 200-0000;es-MX;Sí;formulario;31/03/2025
Bea;7132000001.0;Español;VERDADERO;formulario;3/4/25
Caro;713–200–0002;English (US);x;formulario;
Ana María;1-713-200-0000;es;sí;formulario;1/2/2025
Dan;+1 (713) 200-0003 ext 3;es;sí;formulario;1/2/2025
Eva;07132000004;es;sí;formulario;1/2/2025
Fay;1,71E+10;es;sí;formulario;1/2/2025
Gil;713-200-0005 / 713-200-0006;es;sí;formulario;1/2/2025
Hal;7132000007;klingon;sí;formulario;1/2/2025
Ida;7132000008;es;FALSO;formulario;1/2/2025
Jon;7132000009;es;sí;formulario;14/31/2025
Kim;7132000010;es;sí;formulario;1/2/1926
"""


@pytest.mark.parametrize("encoded", ["utf-8-sig", "utf-16"])
@pytest.mark.parametrize("begins", ["", "sep=;\n"])
def test_a_messy_export_of_a_spanish_spreadsheet_is_read_as_it_was_meant(
    store: Store, encoded: str, begins: str
) -> None:
    """Every column is found by its name, every row has its reason, and a date is never read in the wrong order or century."""
    clinic: Any = Clinic(store)
    plan = clinic.plan((begins + MESSY).encode(encoded), language="en")
    assert [row.why for row in plan.rows] == [
        None, None, None, "duplicate", "extension", "bad_phone", "damaged_phone", "bad_phone", "bad_language", "said_no",
        "bad_date", "bad_date",
    ]  # fmt: skip
    said = [(row.phone, row.stated.language, row.stated.consent) for row in plan.accepted]
    noon = [datetime.fromtimestamp(at, ZoneInfo("America/Chicago")).date().isoformat() for *_, (_, at) in said]
    assert [(number, language) for number, language, _ in said] == [
        (phone(0), "es"),
        (phone(1), "es"),
        (phone(2), "en"),
    ]
    assert noon == ["2025-03-31", "2025-04-03", "2025-11-24"]
    assert plan.rows[0].number == (3 if begins else 2)


@pytest.mark.parametrize(
    ("dates", "read"),
    [
        (["3/4/2026", "3/31/2026"], ["2026-03-04", "2026-03-31"]), (["3/4/2026", "31/3/2026"], ["2026-04-03", "2026-03-31"]),
        (["3/4/2026"], ["2026-03-04"]), (["3/31/2026", "31/3/2026"], ["2026-03-31", None]),
        (["3/31/26 14:05", "2026-03-31 00:00:00", "31.3.2026"], ["2026-03-31", "2026-03-31", None]),
        (["31.03.2026", "03-04-2026"], ["2026-03-31", "2026-04-03"]), (["3/31/0026", "46112", "soon"], [None, None, None]),
    ],
)  # fmt: skip
def test_the_dates_of_a_column_are_read_in_one_order(dates: list[str], read: list[str | None]) -> None:
    zone = ZoneInfo("America/Chicago")
    first = says_day_first(dates)
    found = [stated_in("en", "yes", "", "form", day, 1.8e9, zone, day_first=first) for day in dates]
    assert [
        datetime.fromtimestamp(one.consent[1], zone).date().isoformat()
        if isinstance(one, Stated) and one.consent
        else None
        for one in found
    ] == read


CELL = st.text(st.characters(exclude_categories=("Cs",), exclude_characters="\0"), max_size=12)
TABLE = st.integers(1, 4).flatmap(
    lambda width: st.lists(st.lists(CELL, min_size=width, max_size=width), min_size=1, max_size=8)
)


@given(
    table=TABLE, encoded=st.sampled_from(["utf-8", "utf-8-sig", "utf-16"]), end=st.sampled_from(["\n", "\r\n"]),
    all_quoted=st.booleans(), mark=st.sampled_from(",;\t"),
)  # fmt: skip
@GENERATED
def test_whatever_is_in_a_well_formed_file_is_read_as_it_was_written(
    table: list[list[str]], encoded: str, end: str, all_quoted: bool, mark: str
) -> None:
    """Quotes, line ends inside of values, marks and blank rows move nothing to another row."""
    out = io.StringIO()
    written = csv.writer(
        out, delimiter=mark, lineterminator=end, quoting=csv.QUOTE_ALL if all_quoted else csv.QUOTE_MINIMAL
    )
    body = [["+17132000000", *(cell if all_quoted else cell.replace("\r", "") for cell in cells)] for cells in table]
    written.writerow(["phone", *(f"x{at}" for at in range(len(table[0])))])
    written.writerows(body)
    text = out.getvalue()
    found = read_sheet(text.encode(encoded))
    assert found.rows == [(at + 2, cells) for at, cells in enumerate(body)]


@given(st.data())
@GENERATED
def test_a_damaged_file_is_read_whole_or_refused_and_never_in_between(data: st.DataObject) -> None:
    """Bytes changed, cut out and put in at random: rows with as many cells as the header, or faults of rows that exist."""
    raw = bytearray(rows(6).encode(data.draw(st.sampled_from(["utf-8", "utf-8-sig", "utf-16"]))))
    for _ in range(data.draw(st.integers(1, 4))):
        at, some = data.draw(st.integers(0, len(raw))), data.draw(st.binary(max_size=3))
        raw[at : at + data.draw(st.integers(0, 40))] = some
    for bad in (bytes(raw), data.draw(st.binary(max_size=60)), codecs.BOM_UTF16_LE + data.draw(st.binary(max_size=30))):
        try:
            read = read_sheet(bad)
        except SheetError as refused:
            found = [(0 <= fault.row <= len(bad) + 1, bool(fault.told.says)) for fault in refused.faults]
        else:
            found = [(len(cells) == len(read.headers), True) for _, cells in read.rows]
        assert set(found) == {(True, True)}


@given(
    st.lists(st.lists(st.text(max_size=8) | st.sampled_from(["=1", "\u00a0=1", "＝1", "\r-1"]), min_size=2, max_size=2))
)
@GENERATED
def test_no_cell_of_a_result_is_a_formula_and_no_row_is_lost(table: list[list[str]]) -> None:
    out = list(csv.reader(io.StringIO("".join(lines(["a", "b"], table)), newline="")))
    assert len(out) == len(table) + 1
    for given_row, found in zip(table, out[1:], strict=True):
        for cell, kept in zip(given_row, found, strict=True):
            assert "".join(kept.split("'")) == "".join(cell.split("'"))
            assert not re.match(r"[\s]*[=+\-@＝＋－＠]|[\t\r\n]", kept)


def test_only_what_could_be_a_formula_gets_a_quote() -> None:
    for text in ("=1", " =1", "+1", "-1", "@x", "\tx", "\rx", "\nx"):
        assert safe_cell(text) == "'" + text
    for text in ("a=1", "a; b", "x;1", "a, +1 555", "a\nb", "back; pain"):
        assert safe_cell(text) == text


@pytest.mark.parametrize(
    "evil", ["x;=cmd|' /C calc'!A0;", 'x";=1+1', "x\n=1+1", 'x;"=1+1"', "x; +1+1", "x;\u200b@SUM(1)", "x;＝1"]
)
@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_no_cell_is_a_formula_whatever_the_spreadsheet_divides_at(evil: str, separator: str) -> None:
    """Spanish Excel reads our commas as text and divides inside our quotes, at semicolons and line ends."""
    (_, line) = lines(["a", "b"], [["1", evil]])
    cells = [cell for part in line.splitlines() for cell in part.split(separator)]
    assert not [
        cell for cell in cells if re.match(r"""["'\s\u200b]*[=+@＝-]""", cell) and not re.match(r"""["\s]*'""", cell)
    ]


def test_the_last_four_digits_of_a_number_of_plan_1_decide_nothing() -> None:
    """But in two area codes each pattern of the library ends in four places for any digit: an exchange is judged once."""
    kinds = ("general_desc", "fixed_line", "mobile", "toll_free", "premium_rate", "shared_cost", "personal_number", "voip",
             "pager", "uan", "voicemail")  # fmt: skip
    divided, seen = set(), 0
    for region in phonenumbers.COUNTRY_CODE_TO_REGION_CODE[1]:
        about = PhoneMetadata.metadata_for_region(region)
        for pattern in {desc.national_number_pattern for kind in kinds if (desc := getattr(about, kind))} - {None}:
            seen += 1
            if not _ends_in_any_four(re_parser.parse(pattern)):
                divided.add(about.leading_digits or pattern[:3])
    assert (seen > 100, divided) == (True, {"246", "658|876"})
    assert {"246", "876"} == set(_DIVIDED)


def _ends_in_any_four(parsed: Any) -> bool:
    kind, about = list(parsed)[-1]
    if kind is re_parser.MAX_REPEAT:
        least, most, what = about
        return bool(4 <= least == most and str(list(what)) == str(list(re_parser.parse(r"\d"))))
    if kind is re_parser.BRANCH:
        return all(_ends_in_any_four(one) for one in about[1])
    return kind is re_parser.SUBPATTERN and _ends_in_any_four(about[3])


WRITTEN = st.builds(
    lambda front, area, exchange, last, shape: front + shape.format(area, exchange, last),
    st.sampled_from(["", "1", "+1", "+1 ", "1-", "+1."]),
    st.integers(200, 999), st.integers(100, 999), st.from_regex(r"[0-9]{4}", fullmatch=True),
    st.sampled_from(["{}{}{}", "({}) {}-{}", "{}-{}-{}", "{}.{}.{}", "({}){} {}"]),
)  # fmt: skip


@given(WRITTEN | st.text("0123456789+()-. xe", max_size=16))
@GENERATED
def test_a_number_is_judged_as_the_library_judges_it(text: str) -> None:
    for regions in (("US", "PR"), ("GB", "US")):
        found = number_in(text, regions)
        if text and "e+" not in text:
            assert found == _parsed(text, regions)


def test_a_plan_is_the_same_whatever_it_remembers(store: Store) -> None:
    """Numbers of one exchange, one of them twice and one that does not exist: each row is its own."""
    clinic: Any = Clinic(store)
    table = [phone(1), phone(2), phone(1), "+17130000001", phone(3)]
    plan = clinic.plan(HEAD + "".join(f"{one},en,yes,form,\n" for one in table))
    assert [row.why for row in plan.rows] == [None, None, "duplicate", "bad_phone", None]
    assert [row.phone for row in plan.accepted] == [phone(1), phone(2), phone(3)]
