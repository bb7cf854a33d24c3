"""What a visit changes: reminders before it, how it went after it, and the clocks that count from it. Pure.

Told by a booking page, by staff, or by a file; never by what a patient says. Nothing here sends.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Literal
from zoneinfo import ZoneInfo

from bot.flow import model
from bot.record import Record
from bot.turn import Clinic, Heard, Later, Turn

Happened = Literal["booked", "moved", "cancelled", "missed"]
REMINDERS = "appointment"  # the flow whose follow-ups go with a visit
BEFORE, AFTER_MISSED = ("F6", "F7", "F8"), ("F9",)
DAYS = {
    "en": ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"),
    "es": ("lun", "mar", "mié", "jue", "vie", "sáb", "dom"),
}
MONTHS = {
    "en": ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"),
    "es": ("ene", "feb", "mar", "abr", "may", "jun", "jul", "ago", "sep", "oct", "nov", "dic"),
}


def due_of(one: model.FollowUp, visit_at: float, now: float) -> float | None:
    """When a follow-up that is planned *now* is due (epoch seconds); None when it needs a visit and none is known."""
    if one.before is not None:
        due = visit_at - model.minutes(one.before) * 60
        return due if visit_at > now and due > now else None
    start = visit_at if one.clock == "visit" and visit_at > now else now
    return start + model.minutes(one.after or "PT0M") * 60


def spoken(visit_at: float, zone: str, language: str) -> dict[str, str]:
    """{day} and {time} of a visit, at the clinic: Tue, Dec 2 and 2:30 PM; nothing when none is known."""
    if not visit_at:
        return {}
    at = datetime.fromtimestamp(visit_at, ZoneInfo(zone))
    day, month = DAYS[language][at.weekday()], MONTHS[language][at.month - 1]
    words = f"{day} {at.day} {month}" if language == "es" else f"{day}, {month} {at.day}"
    return {"day": words, "time": f"{at.hour % 12 or 12}:{at.minute:02} {'AM' if at.hour < 12 else 'PM'}"}


def told(clinic: Clinic, patient: str, record: Record, happened: Happened, at: float, now: float) -> Turn:
    """A visit was booked for *at*, moved to it, cancelled or missed: what is planned anew and what is taken back."""
    standing = happened in ("booked", "moved")
    facts = record.facts - {"confirmed", "released", "booked"} | ({"booked"} if standing else set())
    visit_at = at if standing else 0.0 if happened == "cancelled" else record.visit_at
    again = {*BEFORE, *AFTER_MISSED}
    if standing:
        again |= {name for name, one, _ in _declared(clinic) if "booked" in one.cancel_on or _follows_visit(one)}
    planned = {name: effect for name, effect in record.planned.items() if name not in again}
    dropped = tuple(effect for name, effect in record.planned.items() if name in again)
    wanted = {*BEFORE, *_moved(clinic, record)} if standing else set(AFTER_MISSED) if happened == "missed" else set()
    later = []
    for name, one, flow in _declared(clinic):
        due = due_of(one, visit_at, now) if name in wanted else None
        if due is not None:
            body = {"s": record.session.id if record.session else "", "n": name, "f": flow, "d": due}
            later.append(Later(clinic.new_effect(patient), "follow_up", due, body))
            planned[name] = later[-1].id
    session = record.session
    heard = Heard("sms", session.language if session else "en", silent=True, session=session)
    event = {"at": now, "in": "visit", "what": happened, "visit": visit_at}
    return Turn(record.but(facts=facts, visit_at=visit_at, planned=planned), heard, tuple(later), dropped, event=event)


def _declared(clinic: Clinic) -> list[tuple[str, model.FollowUp, str]]:
    found: list[tuple[str, Mapping[str, Any], str]] = [
        (name, loaded.flow.follow_ups, loaded.flow.id)
        for loaded in clinic.flows.values()
        for name in loaded.flow.follow_ups
    ]
    return [(name, every[name], flow) for name, every, flow in found]


def _follows_visit(one: model.FollowUp) -> bool:
    return one.clock == "visit" and one.before is None


def _moved(clinic: Clinic, record: Record) -> set[str]:
    """Follow-ups that are planned already and count from the visit."""
    return {name for name, one, _ in _declared(clinic) if name in record.planned and _follows_visit(one)}
