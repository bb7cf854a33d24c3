"""Result files: what became of each row, safe to open in a spreadsheet. Pure."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator, Sequence

from bot.outreach.judge import SAYS
from bot.outreach.plan import Plan

_RISKY = tuple("=+-@＝＋－＠\t\r\n")  # some spreadsheets take the full-width signs, too


def safe_cell(text: str) -> str:
    """*text* so that no spreadsheet runs it as a formula: a quote in front of what could begin one (OWASP's list)."""
    return "'" + text if text.startswith(_RISKY) or text.lstrip().startswith(_RISKY) else text


def lines(header: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    """CSV lines, everything quoted, every cell safe."""
    for row in _chained(header, rows):
        out = io.StringIO()
        csv.writer(out, quoting=csv.QUOTE_ALL).writerow([safe_cell(cell) for cell in row])
        yield out.getvalue()


def _chained(header: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[Sequence[str]]:
    yield header
    yield from rows


def plan_lines(plan: Plan) -> Iterator[str]:
    """The file as it was given, with a result and a reason for every row."""
    cells_of = dict(plan.sheet.rows)

    def rows() -> Iterator[Sequence[str]]:
        for row in plan.rows:
            way = "will be called" if row.via == "call" else "will be texted"
            why = "" if row.why is None else SAYS[row.why] + (f" (row {row.same_as})" if row.same_as else "")
            yield [str(row.number), *cells_of[row.number], way if row.why is None else "refused", why]

    return lines(["row", *plan.sheet.headers, "result", "reason"], rows())
