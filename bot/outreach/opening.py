"""The moment of sending: one recipient of a campaign, asked again, and the first text of the walk or the call. Pure.

Said by the same function in a plan and in reality; only here is decided what a campaign's recipient is told.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

from bot import calls
from bot.consent import Hours, may_follow_up
from bot.decide import open_walk
from bot.outreach.judge import REST_SECONDS
from bot.record import Record
from bot.turn import Clinic, Heard, Later, Turn

PURPOSE: Literal["outreach"] = "outreach"
WEEK = 7 * 86_400.0


@dataclass(frozen=True, slots=True)
class Opening:
    """What is done for a recipient now: *turn* is written; then *body* is sent, or a *call* is placed, or neither,
    because of *why*. *later*: nothing is written, asked again then."""

    turn: Turn
    why: str
    body: str | None = None
    call: bool = False
    later: float | None = None


def opening(
    clinic: Clinic, patient: str, record: Record, effect: str, told: Mapping[str, Any], hours: Hours, now: float
) -> Opening:
    """*told* is the effect's body: ``f`` flow, ``v`` sms or call, ``cf`` flow of a call, ``ch``
    hours after which who has not answered is called, ``a`` set on that call, ``k`` what the walk is told."""
    why = _not_now(clinic, record, told, now)
    if why:
        return Opening(_bare(record, told, why, now), why)
    if told["v"] == "call":
        return _call(clinic, record, effect, told, hours, now)
    verdict = may_follow_up(record, PURPOSE, hours, now)
    if verdict.later is not None:
        return Opening(_bare(record, told, verdict.why, now), verdict.why, later=verdict.later)
    if not verdict.go:
        return Opening(_bare(record, told, verdict.why, now), verdict.why)
    return _text(clinic, patient, record, effect, told, now)


def _not_now(clinic: Clinic, record: Record, told: Mapping[str, Any], now: float) -> str | None:
    if not record.phone.startswith("+"):
        return "no number"
    if told["f"] not in clinic.flows:
        return "its flow is gone"
    if told.get("a") and record.unanswered == 0:
        return "has answered"
    session = record.session
    if session and not session.ended and not told.get("a") and now - record.last_at < REST_SECONDS:
        return "in a conversation"
    return None


def _text(clinic: Clinic, patient: str, record: Record, effect: str, told: Mapping[str, Any], now: float) -> Opening:
    turn = open_walk(clinic, patient, record, told["f"], "sms", now, known=told.get("k"))
    sent = (*(at for at in turn.record.sent if at > now - WEEK), now)
    kept = replace(turn.record, sent=sent, unanswered=record.unanswered + 1)
    later = turn.later
    if told.get("ch"):
        again = {**told, "v": "call", "a": 1}
        later = (*later, Later(f"{effect}c", PURPOSE, now + told["ch"] * 3600.0, again))
    event = {**turn.event, "campaign": told["c"]}
    return Opening(replace(turn, record=kept, later=later, event=event), "consented", body=turn.heard.text)


def _call(clinic: Clinic, record: Record, effect: str, told: Mapping[str, Any], hours: Hours, now: float) -> Opening:
    found = calls.place(clinic, record, effect, told["cf"], PURPOSE, hours, now, known=told.get("k"))
    turn = replace(found.turn, event={**found.turn.event, "campaign": told["c"]})
    return Opening(turn, found.why, call=found.phone is not None, later=found.later)


def _bare(record: Record, told: Mapping[str, Any], why: str, now: float) -> Turn:
    session = record.session
    heard = Heard("sms", session.language if session else "en", silent=True, session=session)
    return Turn(record, heard, event={"at": now, "in": "not_sent", "campaign": told["c"], "why": why})
