"""One patient's conversation: what was said, how it was read, why the recommendation, and taking over."""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

from flask import Response, abort

from bot.console import story, terms
from bot.console.desk import Visit
from bot.console.languages import sentence
from bot.console.queue import against
from bot.record import CLOSED, Record, from_bytes
from bot.sending import stops_in_force
from bot.takeover import Done, TakeOver, as_sent
from bot.tasks import TASKS
from bot.wording import fill, segments

LONGEST_REPLY = 640
EMPTY = sentence("The reply is empty.")


def page(visit: Visit, patient: str) -> Response:
    """The conversation."""
    return _page(visit, patient)


def reveal(visit: Visit, patient: str) -> Response:
    """The telephone number, shown once on this answer; the press is in the audit chain."""
    return _page(visit, patient, phone=_record(visit, patient).phone)


def claim(visit: Visit, patient: str) -> Response:
    """Take over."""
    _record(visit, patient)
    return _after(visit, patient, _hands(visit).claim(patient, visit.who.id, visit.typed("once", 40)))


def release(visit: Visit, patient: str) -> Response:
    """Hand back: at the same question, or with the safety questions asked again."""
    _record(visit, patient)
    screens = visit.typed("screens") == "yes"
    done = _hands(visit).release(patient, visit.who.id, visit.typed("once", 40), screens=screens)
    return _after(visit, patient, done)


def reply(visit: Visit, patient: str) -> Response:
    """A text of the nurse's own; with *template*, one more sentence in the field and nothing sent."""
    record = _record(visit, patient)
    body = as_sent(visit.typed("reply", LONGEST_REPLY))
    if visit.typed("template").isdecimal():
        return _page(visit, patient, reply=_with_template(visit, record, body))
    if not body:
        return _page(visit, patient, 422, said=visit.say(EMPTY))
    return _after(visit, patient, _hands(visit).reply(patient, visit.who.id, body, visit.typed("once", 40)), body)


def note(visit: Visit, patient: str) -> Response:
    """A note for colleagues."""
    _record(visit, patient)
    words = visit.typed("note", 1000).strip()
    if words:
        _hands(visit).note(patient, visit.who.id, words, visit.typed("once", 40))
    return visit.go(f"/patients/{patient}")


def finish(visit: Visit, patient: str) -> Response:
    """The matter is closed: no more check-ins. Tasks that are open stay open."""
    _record(visit, patient)
    return _after(visit, patient, _hands(visit).close(patient, visit.who.id, visit.typed("once", 40)))


def reopen(visit: Visit, patient: str) -> Response:
    """The matter is open again."""
    _record(visit, patient)
    return _after(visit, patient, _hands(visit).reopen(patient, visit.who.id, visit.typed("once", 40)))


def close(visit: Visit, patient: str, task: str) -> Response:
    """A task is done. Not when something came after the page was opened: it has to be read first."""
    record = _record(visit, patient)
    if visit.typed("seen") not in ("", str(record.last_at)):
        return _page(
            visit, patient, 409, said=visit.say("The patient wrote since you opened this page. Read it first.")
        )
    for one in visit.desk.lists.tasks_of(patient):
        if one.id == task and one.closed_by is None and visit.desk.store.close_task(one, visit.who.id):
            return visit.go(f"/patients/{patient}")
    return _page(visit, patient, 409, said=visit.say("This task was closed already."))


def _hands(visit: Visit) -> TakeOver:
    return TakeOver(visit.desk.conversation)


def _after(visit: Visit, patient: str, done: Done, body: str = "") -> Response:
    if done.ok:
        return visit.go(f"/patients/{patient}")
    owner = visit.desk.people.names().get(done.owner or "", "")
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
    desk, record, names = visit.desk, _record(visit, patient), visit.desk.people.names()
    events = story.read_log(visit, patient)
    reasons = story.reasons(visit, events)
    tasks = [
        {"id": one.id, "reason": reasons.get((one.at, one.kind), ""),
         "says": visit.say(TASKS[one.kind].says), "against": against(visit, one), "urgency": one.urgency,
         "closed": names.get(one.closed_by, one.closed_by) if one.closed_by else ""}
        for one in desk.lists.tasks_of(patient) if one.kind in TASKS
    ]  # fmt: skip
    hours = desk.conversation.hours(record.whereabouts)
    return visit.page(
        "patient.html",
        status,
        patient=patient,
        record=record,
        phone=phone,
        said=said,
        reply=reply,
        tasks=tasks,
        bubbles=story.tell(visit, events, names),
        planned=desk.conversation.upcoming(patient),
        owner=names.get(record.owner or "", record.owner or ""),
        mine=record.owner == visit.who.id,
        nurse=visit.who.may("nurse"),
        why=_why(visit, record),
        closed=CLOSED in record.facts,
        quiet=not hours.open(desk.now()),
        stopped=bool(stops_in_force(desk.store, desk.now())),
        templates=_templates(visit, record),
        price=desk.settings.price_per_segment,
        count=segments(reply).count if reply else 0,
    )


@cache
def _replies() -> list[dict[str, str]]:
    found: list[dict[str, str]] = json.loads((Path(__file__).parent / "replies.json").read_text("utf-8"))
    return found


def _templates(visit: Visit, record: Record) -> list[str]:
    """Ready sentences in the patient's language."""
    language = record.language
    values = {**visit.desk.conversation.clinic.values, "name": visit.who.name}
    return [as_sent(fill(one.get(language, one["en"]), values)) for one in _replies()]


def _with_template(visit: Visit, record: Record, body: str) -> str:
    ready = _templates(visit, record)
    number = int(visit.typed("template", 3))
    return f"{body} {ready[number]}".strip()[:LONGEST_REPLY] if number < len(ready) else body


def _why(visit: Visit, record: Record) -> dict[str, Any] | None:
    """Answers -> rule -> the sentences of the clinic that the rule stands on."""
    session = record.session
    loaded = visit.desk.conversation.clinic.of(session) if session else None
    if session is None or loaded is None or session.outcome is None:
        return None
    flow = loaded.flow.model_dump(mode="json")
    named = list(_sources(flow["states"], session.rule)) + list(_sources(flow["on"], session.rule))
    return {
        "outcome": visit.say(terms.OUTCOMES.get(session.outcome, session.outcome)),
        "rule": session.rule,
        "answers": [(terms.plain(name), terms.plain(value)) for name, value in session.answers.items()],
        "sources": [(name, flow["sources"].get(name, "")) for name in dict.fromkeys(named)],
    }


def _sources(part: Any, rule: str | None) -> Iterator[str]:
    """The sources of every place in a flow that gives *rule*."""
    if isinstance(part, dict):
        if rule and rule in (part.get("id"), part.get("rule")):
            yield from part.get("source") or ()
        part = list(part.values())
    if isinstance(part, list):
        for one in part:
            yield from _sources(one, rule)
