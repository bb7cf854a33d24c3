"""What a visit changes: reminders before it, how it went after it, and the clocks that count from it. Pure.

Told by a booking page, by staff, or by a file; never by what a patient says. Nothing here sends.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Literal
from zoneinfo import ZoneInfo

from bot.flow import model
from bot.record import CLOSED, Record
from bot.turn import Clinic, Heard, Later, Turn

Happened = Literal["booked", "moved", "cancelled", "missed"]
REMINDERS = "appointment"  # the flow whose follow-ups go with a visit
BEFORE, AFTER_MISSED, AFTER_CANCELLED = ("F6", "F7", "F8"), ("F9",), ("F10", "F11")
# A fact that is no longer so once another is.
UNDOES = {"released": frozenset({"booked", "link_opened"}), "booked": frozenset({"released"})}
DAYS = {
    "en": ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"),
    "es": ("lunes", "martes", "miércoles", "jueves", "viernes", "sábado", "domingo"),
}
MONTHS = {
    "en": ("January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November",
           "December"),
    "es": ("enero", "febrero", "marzo", "abril", "mayo", "junio", "julio", "agosto", "septiembre", "octubre",
           "noviembre", "diciembre"),
}  # fmt: skip


def due_of(one: model.FollowUp, visit_at: float, now: float) -> float | None:
    """When a follow-up that is planned *now* is due (epoch seconds); None when it needs a visit and none is known."""
    if one.before is not None:
        due = visit_at - model.minutes(one.before) * 60
        return due if visit_at > now and due > now else None
    start = visit_at if one.clock == "visit" and visit_at > now else now
    return start + model.minutes(one.after or "PT0M") * 60


def spoken(visit_at: float, zone: str, language: str, channel: str = "sms") -> dict[str, str]:
    """{day} and {time} of a visit, at the clinic: Tue, Dec 2 and 2:30 PM, for the ear Tuesday, December 2; nothing when
    none is known."""
    if not visit_at:
        return {}
    at = datetime.fromtimestamp(visit_at, ZoneInfo(zone))
    day, month, of = DAYS[language][at.weekday()], MONTHS[language][at.month - 1], " de "
    if channel == "sms":
        day, month, of = day[:3], month[:3], " "
    words = f"{day} {at.day}{of}{month}" if language == "es" else f"{day}, {month} {at.day}"
    return {"day": words, "time": f"{at.hour % 12 or 12}:{at.minute:02} {'AM' if at.hour < 12 else 'PM'}"}


def told(clinic: Clinic, patient: str, record: Record, happened: Happened, at: float, now: float) -> Turn:
    """A visit was booked for *at*, moved to it, cancelled or missed: what is planned anew and what is taken back.

    Who loses a visit that was known of is nudged again as after a recommendation, and a person is told. After a
    patient's own "can't come" both have happened already.
    """
    standing, lost = happened in ("booked", "moved"), happened == "cancelled"
    known = "booked" in record.facts
    facts = record.facts - {"confirmed", "released", "booked", *({"link_opened"} if lost and known else ())}
    facts = facts - {CLOSED} if standing else facts
    facts |= {"booked"} if standing else {"released"} & record.facts if lost else set()
    visit_at = at if standing else 0.0 if lost else record.visit_at
    dues = _dues(clinic, record, happened, visit_at, now)
    again = {*BEFORE, *AFTER_MISSED, *dues}
    if standing:
        again |= {name for name, one, _ in _declared(clinic) if "booked" in one.cancel_on or _follows_visit(one)}
    planned = {name: effect for name, effect in record.planned.items() if name not in again}
    dropped = tuple(effect for name, effect in record.planned.items() if name in again)
    later = []
    for name, (due, flow) in dues.items():
        body = {"s": record.session.id if record.session else "", "n": name, "f": flow, "d": due}
        later.append(Later(clinic.new_effect(patient), "follow_up", due, body))
        planned[name] = later[-1].id
    session = record.session
    heard = Heard("sms", session.language if session else "en", silent=True, session=session)
    tasks = ("visit_cancelled",) if lost and "released" not in record.facts else ()
    event = {"at": now, "in": "visit", "what": happened, "visit": visit_at, **({"tasks": list(tasks)} if tasks else {})}
    # Who books has reacted to what we wrote, as who opens the link has.
    after = record.but(facts=frozenset(facts), visit_at=visit_at, visit_mark=None, planned=planned,
                       unanswered=0 if standing else record.unanswered)  # fmt: skip
    return Turn(after, heard, tuple(later), dropped, tasks, event=event)


def _dues(
    clinic: Clinic, record: Record, happened: Happened, visit_at: float, now: float
) -> dict[str, tuple[float, str]]:
    """What is planned anew: name -> (when it is due, the flow that declares it)."""
    counted = {name for name, one, _ in _declared(clinic) if name in record.planned and _follows_visit(one)}
    wanted: set[str] = {*BEFORE, *counted} if happened in ("booked", "moved") else set()
    if happened == "missed":
        wanted = set(AFTER_MISSED)
    if happened == "cancelled" and "booked" in record.facts:
        wanted = {*AFTER_CANCELLED, *(counted - set(BEFORE))}
    found = {}
    for name, one, flow in _declared(clinic):
        # Without a visit the clock counts from the triage again, unless that has run out: then what is planned stays.
        start = record.started_at if happened == "cancelled" and name in counted else now
        due = due_of(one, visit_at, start) if name in wanted else None
        if due is not None and due >= now:
            found[name] = due, flow
    return found


def _declared(clinic: Clinic) -> list[tuple[str, model.FollowUp, str]]:
    found: list[tuple[str, Mapping[str, Any], str]] = [
        (name, loaded.flow.follow_ups, loaded.flow.id)
        for loaded in clinic.flows.values()
        for name in loaded.flow.follow_ups
    ]
    return [(name, every[name], flow) for name, every, flow in found]


def _follows_visit(one: model.FollowUp) -> bool:
    return one.clock == "visit" and one.before is None
