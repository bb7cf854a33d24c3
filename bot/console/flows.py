"""The flows that patients are in: the picture, the version, what was proved of it. Drawn by bot/proof; only reads."""

from __future__ import annotations

from collections.abc import Mapping

from flask import Response, abort

from bot.console.desk import Visit
from bot.flow.load import Loaded
from bot.proof.graph import outline
from bot.proof.picture import draw
from bot.proved import what_was_proved


def page(visit: Visit) -> Response:
    """All flows."""
    flows = _flows(visit)
    proved = _proved(visit)
    rows = [(name, loaded, _told(visit, proved, name)) for name, loaded in flows.items()]
    return visit.page("flows.html", rows=rows)


def one(visit: Visit, name: str) -> Response:
    """One flow."""
    loaded = _flows(visit).get(name) or abort(404)
    told = _told(visit, _proved(visit), name)
    return visit.page("flow.html", name=name, loaded=loaded, told=told, outline=outline(loaded))


def picture(visit: Visit, name: str) -> Response:
    """The picture alone, as large as it is."""
    loaded = _flows(visit).get(name) or abort(404)
    return Response(draw(loaded), content_type="image/svg+xml; charset=utf-8")


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
