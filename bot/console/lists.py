"""A list that pages by cursor and has three forms under one address: a page, ``.csv`` and ``.json``.

A page of rows costs the same wherever it stands. A cell that a spreadsheet would run as a formula is made text.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Literal

from flask import Response, stream_with_context
from werkzeug.datastructures import MultiDict

from bot.console.desk import Visit
from bot.console.languages import sentence
from bot.outreach.csvout import safe_cell

Row = Mapping[str, Any]
SHOWN, AT_ONCE = 50, 500  # rows of a page; rows that a file is read by


@dataclass(frozen=True, slots=True)
class Column:
    """*key* of the row's value; *title* is a sentence; *kind* tells how it is shown.

    ``time``: epoch seconds. ``link``: the text, which leads to the row's ``href``.
    """

    key: str
    title: str
    kind: Literal["text", "time", "number", "link"] = "text"


@dataclass(frozen=True, slots=True)
class Part:
    """Some rows, and the cursor of what comes after them (None: that was all). *seen*: of a number's list, how much of the
    number was found until here."""

    rows: list[Row]
    after: str | None
    seen: int = 0


@dataclass(frozen=True, slots=True)
class Listing:
    """*title* and *empty* (what would appear here) are sentences; *name* is the file's name.

    *part* gives the rows after a cursor ("" = from the beginning), at most as many as asked.
    """

    name: str
    title: str
    empty: str
    columns: tuple[Column, ...]
    part: Callable[[str, int], Part]


def show(visit: Visit, listing: Listing, template: str = "list.html", **values: Any) -> Response:
    """The list in the form that the address asks for."""
    listing = _marked(visit, listing)
    after = visit.request.args.get("after", "")[:200]
    if visit.form == "csv":
        return _csv(visit, listing)
    part = listing.part(after, SHOWN if visit.form == "html" else AT_ONCE)
    if visit.form == "json":
        return _json(visit, listing, part)
    following = _address(visit, after=part.after) if part.after else ""
    files = [(form, _address(visit, form=form)) for form in ("csv", "json")]
    return visit.page(
        template,
        listing=listing,
        part=part,
        rows=part.rows,
        following=following,
        first=not after,
        files=files,
        **values,
    )


def _marked(visit: Visit, listing: Listing) -> Listing:
    """While demo data is here each row of a made-up patient says so, in every form."""
    made_up = visit.demo
    if not made_up:
        return listing

    def part(after: str, limit: int) -> Part:
        given = listing.part(after, limit)
        says = visit.say("made up")
        return replace(given, rows=[{**row, "demo": says if row.get("id") in made_up else ""} for row in given.rows])

    return replace(listing, columns=(*listing.columns, Column("demo", sentence("Demo data"))), part=part)


def _address(visit: Visit, *, after: str | None = None, form: str = "") -> str:
    """This list with the same filters, at a cursor or as a file."""
    args: MultiDict[str, str] = visit.request.args.copy()
    args.pop("after", None)
    if after:
        args["after"] = after
    path = visit.request.path.removesuffix(f".{visit.form}").rstrip("/") or "/queue"
    return visit.address(path + (f".{form}" if form else ""), args)


def _json(visit: Visit, listing: Listing, part: Part) -> Response:
    following = _address(visit, after=part.after, form="json") if part.after else None
    rows = [{one.key: row.get(one.key) for one in listing.columns} for row in part.rows]
    return visit.json({listing.name: rows, "next": following})


def _csv(visit: Visit, listing: Listing) -> Response:
    response = Response(stream_with_context(_lines(visit, listing)), content_type="text/csv; charset=utf-8")
    response.headers["Content-Disposition"] = f'attachment; filename="{listing.name}.csv"'
    return response


def _lines(visit: Visit, listing: Listing) -> Iterator[str]:
    yield "\ufeff" + _line([visit.say(one.title) for one in listing.columns])  # the mark makes Excel read UTF-8
    after: str | None = ""
    while after is not None:
        part = listing.part(after, AT_ONCE)
        for row in part.rows:
            yield _line([_value(visit, one, row.get(one.key)) for one in listing.columns])
        after = part.after


def _value(visit: Visit, column: Column, value: Any) -> str:
    if column.kind == "time" and value:
        return datetime.fromtimestamp(value, visit.desk.zone).isoformat(timespec="seconds")
    return "" if value is None else str(value)


def _line(cells: list[str]) -> str:
    out = io.StringIO()
    csv.writer(out).writerow([safe_cell(cell) for cell in cells])
    return out.getvalue()
