"""Twilio's reports on texts and calls of ours. Answered 204, or 503 when the report could not be kept."""

from __future__ import annotations

import re

from flask import Request, Response

from bot.web import parameters
from bot.web.desk import Desk

_EFFECT = re.compile(r"[A-Za-z0-9_:.-]{1,80}")


def message(desk: Desk, request: Request) -> Response:
    """What became of a text; ``?m=`` in the signed address is the effect that sent it."""
    report = parameters.delivery(desk.signed_form(request))
    desk.ours(report.account)
    desk.reports.delivered(report.sid, report.status, report.error_code, _effect(request), report.to)
    return Response(status=204)


def call(desk: Desk, request: Request) -> Response:
    """What became of a call."""
    report = parameters.call_progress(desk.signed_form(request))
    desk.ours(report.account)
    desk.reports.call_status(
        report.sid,
        report.status,
        report.person,
        seconds=report.seconds,
        sequence=report.sequence,
        answered_by=report.answered_by,
        effect_id=_effect(request),
    )
    return Response(status=204)


def _effect(request: Request) -> str | None:
    given = request.args.get("m", "")
    return given if _EFFECT.fullmatch(given) else None
