"""One patient's conversation: what was said, how it was read, why the recommendation, and taking over."""

from __future__ import annotations

import json
from typing import Any

from flask import Response, abort

from bot.console.desk import Visit
from bot.record import Record, from_bytes
from bot.takeover import Done, TakeOver
from bot.tasks import TASKS

LONGEST_REPLY = 640


def page(visit: Visit, patient: str) -> Response:
    """The conversation."""
    return _page(visit, patient)


def reveal(visit: Visit, patient: str) -> Response:
    """The telephone number, shown once on this answer; the press is in the audit chain."""
    return _page(visit, patient, phone=_record(visit, patient).phone)


def claim(visit: Visit, patient: str) -> Response:
    """Take over."""
    _record(visit, patient)
    return _after(
        visit, patient, TakeOver(visit.desk.conversation).claim(patient, visit.who.id, visit.typed("once", 40))
    )


def release(visit: Visit, patient: str) -> Response:
    """Hand back."""
    _record(visit, patient)
    return _after(
        visit, patient, TakeOver(visit.desk.conversation).release(patient, visit.who.id, visit.typed("once", 40))
    )


def reply(visit: Visit, patient: str) -> Response:
    """A text of the nurse's own."""
    _record(visit, patient)
    body = visit.typed("reply", LONGEST_REPLY).replace("\r\n", "\n").strip()
    if not body:
        return _page(visit, patient, 422, said=visit.say("The reply is empty."))
    done = TakeOver(visit.desk.conversation).reply(patient, visit.who.id, body, visit.typed("once", 40))
    return _after(visit, patient, done, body)


def close(visit: Visit, patient: str, task: str) -> Response:
    """A task is done."""
    _record(visit, patient)
    for one in visit.desk.store.tasks():
        if (one.id, one.patient) == (task, patient):
            visit.desk.store.close_task(one, visit.who.id)
            return visit.go(f"/patients/{patient}")
    return _page(visit, patient, 409, said=visit.say("This task was closed already."))


def _after(visit: Visit, patient: str, done: Done, body: str = "") -> Response:
    if done.ok:
        return visit.go(f"/patients/{patient}")
    owner = _name(visit, done.owner)
    said = visit.say(done.why) + (" " + visit.say("{name} has it now.", name=owner) if owner else "")
    return _page(visit, patient, 409, said=said, reply=body)


def _record(visit: Visit, patient: str) -> Record:
    loaded = visit.desk.store.load(patient, "")
    if loaded.record is None:
        abort(404)
    return from_bytes(loaded.record)


def _page(
    visit: Visit, patient: str, status: int = 200, *, phone: str = "", said: str = "", reply: str = ""
) -> Response:
    desk, record = visit.desk, _record(visit, patient)
    tasks = [{"id": one.id, "says": TASKS[one.kind].says} for one in desk.store.tasks() if one.patient == patient]
    events = [json.loads(raw) for raw in desk.store.events(patient)]
    by_staff = {event["says"][0] for event in events if event.get("in") == "staff"}
    bubbles = [bubble for event in events for bubble in _bubbles(visit, event, by_staff)]
    return visit.page(
        "patient.html",
        status,
        patient=patient,
        record=record,
        phone=phone,
        said=said,
        reply=reply,
        tasks=tasks,
        bubbles=bubbles,
        owner=_name(visit, record.owner),
        mine=record.owner == visit.who.id,
        nurse=visit.who.may("nurse"),
        why=_why(visit, record),
        quiet=not desk.conversation.hours(record.phone).open(desk.now()),
    )


def _name(visit: Visit, person_id: str | None) -> str:
    person = visit.desk.people.by_id(person_id) if person_id else None
    return person.name if person else person_id or ""


def _bubbles(visit: Visit, event: dict[str, Any], by_staff: set[str]) -> list[dict[str, Any]]:
    """An event of the log as bubbles: the patient's words beside how they were read, then what was said to them."""
    found, at, kind = [], event.get("at", 0.0), event.get("in", "")
    if kind == "said":
        reading = event.get("reading") or ["", None, ""]
        about = visit.say("read as {kind} {value}", kind=reading[0], value="" if reading[1] is None else reading[1])
        found.append({"side": "patient", "text": event.get("said") or "-", "about": about, "at": at})
    elif kind in ("claimed", "released"):
        says = "{name} took over." if kind == "claimed" else "{name} handed back to the bot."
        name = _name(visit, event.get("by"))
        found.append({"side": "note", "text": visit.say(says, name=name), "about": "", "at": at})
    elif kind in ("not_sent", "note"):
        found.append({"side": "note", "text": event.get("why") or "-", "about": visit.say("note"), "at": at})
    # A nurse's text is shown where it was written; its hand-over to the carrier is a line, not the same bubble again.
    if kind == "text" and event.get("says") and event["says"][0] in by_staff:
        return [{"side": "note", "text": visit.say("The reply was handed to the carrier."), "about": "", "at": at}]
    words = "\n".join(one for one in event.get("says", ()) if one)
    if words:
        who = (
            visit.say("from {name}", name=_name(visit, event.get("by"))) if kind == "staff" else event.get("state", "")
        )
        about = visit.say("handed to the carrier") if kind == "text" else who
        found.append({"side": "staff" if kind == "staff" else "bot", "text": words, "about": about, "at": at})
    return found


def _why(visit: Visit, record: Record) -> dict[str, Any] | None:
    """Answers -> rule -> the sentences of the clinic that the rule stands on."""
    session = record.session
    loaded = visit.desk.conversation.clinic.flows.get(session.flow) if session else None
    if session is None or loaded is None or session.outcome is None:
        return None
    flow = loaded.flow.model_dump(mode="json")
    named: list[str] = []
    for state in flow["states"].values():
        for rule in [*state.get("rules", ()), state.get("otherwise") or {}]:
            if rule.get("id") == session.rule:
                named += rule.get("source", ())
    sources = [flow["sources"].get(name, name) for name in dict.fromkeys(named)]
    return {
        "outcome": session.outcome,
        "rule": session.rule,
        "answers": list(session.answers.items()),
        "sources": sources,
    }
