"""Result files: what became of each row, safe to open in a spreadsheet. Pure."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable, Iterable, Iterator, Sequence

from bot.outreach.judge import SAYS
from bot.outreach.plan import Plan

# What begins a formula; some spreadsheets take the full-width signs, too, and look behind spaces that nobody sees.
_UNSEEN, _SIGNS = r"[\s\ufeff\u200b-\u200d\u2060]*", "[=+\\-@＝＋－＠]"
_BEGINS = re.compile(rf"[\t\r\n]|{_UNSEEN}{_SIGNS}")
# Where commas stand in numbers (Spain, Argentina) a spreadsheet divides at semicolons, and at line ends, inside our quotes.
_DIVIDED = re.compile(rf"([;\t\r\n])(?=[\"']*{_UNSEEN}[\"']*{_SIGNS})")


def safe_cell(text: str) -> str:
    """*text* so that no spreadsheet runs it, or a part of it, as a formula: a quote in front of what could begin one
    (OWASP's list, and what another separator would make a cell of its own)."""
    text = _DIVIDED.sub(r"\1'", text)
    return "'" + text if _BEGINS.match(text) else text


def lines(header: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    """CSV lines, everything quoted, every cell safe."""
    for row in _chained(header, rows):
        out = io.StringIO()
        csv.writer(out, quoting=csv.QUOTE_ALL).writerow([safe_cell(cell) for cell in row])
        yield out.getvalue()


def _chained(header: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[Sequence[str]]:
    yield header
    yield from rows


def plan_lines(plan: Plan, say: Callable[[str], str] = str) -> Iterator[str]:
    """The file as it was given, with a result and a reason for every row, by *say* in the reader's language."""
    cells_of = dict(plan.sheet.rows)

    def rows() -> Iterator[Sequence[str]]:
        for row in plan.rows:
            result = "refused" if row.why else "will be called" if row.via == "call" else "will be texted"
            why = "" if row.why is None else say(SAYS[row.why])
            same = f" ({say('row')} {row.same_as})" if row.same_as else ""
            yield [str(row.number), *cells_of[row.number], say(result), why + same]

    return lines([say("row"), *plan.sheet.headers, say("result"), say("reason")], rows())
