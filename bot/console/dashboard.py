"""The dashboard: every table of figures.py on one page with its picture, each also under an address of its own."""

from __future__ import annotations

from flask import Response

from bot.console import lists
from bot.console.desk import Visit
from bot.console.figures import SPANS, TABLES, Board, listing_of
from bot.console.health import in_words
from bot.console.languages import sentence
from bot.doctor import tell_shift
from bot.shift import Shift
from bot.shifted import WEEKS, shifts_now

WHO = sentence(
    "Counts from 1 to 10 are told as <11 to a viewer, so that a report names nobody; who treats patients sees them."
)


def page(visit: Visit) -> Response:
    """All of it."""
    board = Board.of(visit)
    flows = visit.desk.conversation.clinic.flows
    found = shifts_now(visit.desk.store, visit.desk.now(), visit.desk.zone.key)
    shifts = [(in_words(visit, tell_shift(one)), _behind(visit, one)) for one in found]
    tables = []
    for name in TABLES:
        if name == "traffic":
            continue  # on the flow's own page
        listing = listing_of(board, name)
        query = {"weeks": str(board.span), "flow": board.flow}
        address = visit.address(f"/dashboard/{name}", query)
        files = [(form, visit.address(f"/dashboard/{name}.{form}", query)) for form in ("csv", "json")]
        tables.append((name, listing, listing.part("", 500).rows, address, files))
    return visit.page(
        "dashboard.html",
        board=board,
        tables=tables,
        spans=SPANS,
        flows=[(name, loaded.flow.title) for name, loaded in flows.items()],
        shifts=shifts,
        who=visit.say(WHO) if board.outside else "",
    )


def table(visit: Visit, table: str) -> Response:
    """One table alone."""
    board = Board.of(visit)
    return lists.show(visit, listing_of(board, table), "table.html")


def _behind(visit: Visit, one: Shift) -> tuple[str, str]:
    """The conversations of a change: now, and before."""
    board = Board(visit, WEEKS, one.flow)
    now, before = (
        board.counted("ended", flow=one.flow, version=version, result=one.result) for version in (one.new, one.old)
    )
    return now, before
