"""The flows that patients are in: the picture with its traffic, the version, what was proved of it, the booklet, what changed
since the version before. Drawn and compared by bot/proof; only reads.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Mapping
from functools import lru_cache

from flask import Response, abort
from markupsafe import Markup

from bot.booklet_command import SIGNED, TEMPLATE, RecordError, make_booklet
from bot.catalog import FLOWS
from bot.console.desk import Visit, policy
from bot.console.figures import FEW, Board
from bot.console.languages import sentence
from bot.edition import kept_flow, kept_text
from bot.flow.load import FlowError, Loaded
from bot.proof.difference import compare, tell
from bot.proof.explore import TooManyError
from bot.proof.graph import outline
from bot.proof.picture import Seen, draw
from bot.proof.tree import TooManyAnswersError
from bot.proved import what_was_proved
from bot.shift import pairs_of
from bot.store.published import Published

FIRST_VERSION = sentence("This is the first version that was published here, so there is nothing to compare it with.")
NOT_COMPARED = sentence("The version before cannot be compared: it is not kept here, or this program cannot read it.")
NO_BOOKLET = sentence("The booklet cannot be made here: {why}")
_STYLE = re.compile(r"<style>(.*?)</style>", re.S)


def page(visit: Visit) -> Response:
    """All flows."""
    flows = _flows(visit)
    proved = _proved(visit)
    rows = [(name, loaded, _told(visit, proved, name)) for name, loaded in flows.items()]
    return visit.page("flows.html", rows=rows)


def one(visit: Visit, name: str) -> Response:
    """One flow."""
    loaded = _flows(visit).get(name) or abort(404)
    board = Board(visit, Board.of(visit).span, name)
    return visit.page(
        "flow.html", name=name, loaded=loaded, told=_told(visit, _proved(visit), name), board=board,
        outline=outline(loaded, visit.say), picture=Markup(_drawn(visit, loaded, board)),  # noqa: S704  # ours, escaped
    )  # fmt: skip


def picture(visit: Visit, name: str) -> Response:
    """The picture alone, as large as it is, with its traffic."""
    loaded = _flows(visit).get(name) or abort(404)
    svg = _drawn(visit, loaded, Board(visit, Board.of(visit).span, name))
    return Response(svg, content_type="image/svg+xml; charset=utf-8")


def _drawn(visit: Visit, loaded: Loaded, board: Board) -> str:
    lost = {
        asked.state: (
            asked.lost / asked.reached, visit.say("{share} stop here", share=share),
            board.counted("lost", flow=board.flow, state=asked.state),
        )
        for asked in board.figures.questions(loaded)
        if asked.lost and (share := board.share(asked.lost, asked.reached))
    }  # fmt: skip
    traffic = board.figures.traffic(loaded)

    def to(source: str, target: str) -> str:
        return board.along(source, target) if board.shown(traffic[source, target]) == traffic[source, target] else ""

    return draw(loaded, Seen(traffic, lost, lambda many: _shown(board, many), to), visit.say)


def changes(visit: Visit, name: str) -> Response:
    """What is different from the version that was live before."""
    loaded = _flows(visit).get(name) or abort(404)
    log = Published(visit.desk.store.client, visit.desk.store.cipher)
    pair = pairs_of(log.log(), name)
    if pair is None:
        return visit.page("changes.html", name=name, loaded=loaded, why=visit.say(FIRST_VERSION), lines=[], old="")
    before = log.text(pair[0])
    lines = _compared(before, pair[0], kept_text(loaded), loaded.hash) if before else None
    why = "" if lines else visit.say(NOT_COMPARED)
    return visit.page("changes.html", name=name, loaded=loaded, why=why, lines=lines or (), old=pair[0])


def booklet(visit: Visit, name: str) -> Response:
    """The page for a clinician's signature, as ``python -m bot booklet`` prints it."""
    loaded = _flows(visit).get(name) or abort(404)
    try:
        signed = SIGNED.stat().st_mtime if SIGNED.exists() else 0.0
        html = _booklet(name, loaded.hash, signed)
    except (FlowError, TooManyAnswersError, TooManyError, RecordError) as error:
        return visit.page("refused.html", 409, why=visit.say(NO_BOOKLET, why=str(error)))
    style = "".join(_STYLE.findall(html))
    mark = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    response = Response(html, content_type="text/html; charset=utf-8")
    response.headers["Content-Security-Policy"] = policy(f"'sha256-{mark}'")
    return response


@lru_cache(maxsize=16)
def _booklet(name: str, content: str, signed: float) -> str:
    """Made once for a version and its signatures: the proof in it takes seconds."""
    html = make_booklet(FLOWS / f"{name}.json", None, SIGNED).html(TEMPLATE.read_text("utf-8"))
    return re.sub(r' style="[^"]*"', "", html)  # only the one sheet may style here


@lru_cache(maxsize=16)
def _compared(before: str, old: str, after: str, new: str) -> tuple[str, ...] | None:
    """Compared once: two texts of a flow and their hashes."""
    try:
        pair = kept_flow(before, old), kept_flow(after, new)
        return tuple(tell(compare(*pair), *pair))
    except (FlowError, TooManyAnswersError, TooManyError):
        return None


def _shown(board: Board, many: int) -> str:
    shown = board.shown(many)
    return f"{shown:,}" if isinstance(shown, int) else f"<{FEW}"


def _flows(visit: Visit) -> Mapping[str, Loaded]:
    return visit.desk.conversation.clinic.flows


def _proved(visit: Visit) -> Mapping[str, Mapping[str, int]] | None:
    settings = visit.desk.settings
    return what_was_proved(_flows(visit), settings.data_dir, settings.secret_keys[0])


def _told(visit: Visit, proved: Mapping[str, Mapping[str, int]] | None, name: str) -> str:
    if proved is None:
        return visit.say(
            "This machine keeps no proof of this version. Whatever serves patients proves it before it starts: "
            "python -m bot check shows the proof."
        )
    counts = {key.replace(" ", "_"): f"{count:,}" for key, count in proved[name].items()}
    if not {"invariants", "configurations", "turns"} <= counts.keys():
        return visit.say("Proved before it was served: its safety rules hold on every way through.")
    return visit.say(
        "Proved before it was served: {invariants} safety rules hold on every way through "
        "({turns} turns from {configurations} situations were looked at).",
        invariants=counts["invariants"],
        turns=counts["turns"],
        configurations=counts["configurations"],
    )
