"""One patient's conversation: what was said, how it was read, why the recommendation, and taking over."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path

from flask import Response, abort

from bot.console import story
from bot.console.desk import Visit
from bot.console.languages import sentence
from bot.console.queue import against
from bot.console.why import Why, explain
from bot.record import CLOSED, Record, from_bytes
from bot.takeover import WROTE_SINCE, Done, TakeOver, as_sent
from bot.tasks import TASKS
from bot.wording import LOOK_ALIKE, fill, segments

LONGEST_REPLY, LONGEST_NOTE = 640, 1000
TYPED = ("reply", "note")
EMPTY = sentence("The reply is empty.")
TOO_LONG = sentence("That is too long: at most {most} characters. Nothing was sent.")


def page(visit: Visit, patient: str) -> Response:
    """The conversation."""
    return _page(visit, patient)


def reveal(visit: Visit, patient: str) -> Response:
    """The telephone number, shown once on this answer; the press is in the audit chain."""
    return _page(visit, patient, phone=_record(visit, patient).phone)


def claim(visit: Visit, patient: str) -> Response:
    """Take over, also from somebody else when their name was on the button."""
    _record(visit, patient)
    once, after = visit.typed("once", 40), visit.typed("after", 40)
    return _after(visit, patient, _hands(visit).claim(patient, visit.who.id, once, after=after))


def release(visit: Visit, patient: str) -> Response:
    """Hand back: at the same question, or with the safety questions asked again."""
    _record(visit, patient)
    screens = visit.typed("screens") == "yes"
    done = _hands(visit).release(patient, visit.who.id, visit.typed("once", 40), screens=screens)
    return _after(visit, patient, done)


def reply(visit: Visit, patient: str) -> Response:
    """A text of the nurse's own; with *template*, one more sentence in the field and nothing sent."""
    record = _record(visit, patient)
    body = as_sent(_words(visit, "reply"))
    if visit.typed("template").isdecimal():
        return _page(visit, patient, reply=_with_template(visit, record, body))
    if not body:
        return _page(visit, patient, 422, said=visit.say(EMPTY))
    if len(body) > LONGEST_REPLY:
        return _page(visit, patient, 422, said=visit.say(TOO_LONG, most=LONGEST_REPLY))
    seen = visit.typed("seen", 40)
    waiting = [one for one in visit.desk.lists.tasks_of(patient)
               if (one.kind, one.closed_by) == ("wrote", None) and one.at <= _moment(seen)]  # fmt: skip
    done = _hands(visit).reply(patient, visit.who.id, body, visit.typed("once", 40), seen=seen)
    for task in waiting if done.read else ():
        visit.desk.store.close_task(task, visit.who.id)  # answered; what comes after *seen* is a task of its own
    return _after(visit, patient, done, used="reply")


def note(visit: Visit, patient: str) -> Response:
    """A note for colleagues."""
    _record(visit, patient)
    words = _words(visit, "note").strip()
    if len(words) > LONGEST_NOTE:
        return _page(visit, patient, 422, said=visit.say(TOO_LONG, most=LONGEST_NOTE))
    if words:
        _hands(visit).note(patient, visit.who.id, words, visit.typed("once", 40))
    return _after(visit, patient, Done(True, "", None), used="note")


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
    record, seen = _record(visit, patient), visit.typed("seen", 40)
    if seen not in ("", str(record.last_at)):
        return _page(visit, patient, 409, said=visit.say(WROTE_SINCE))
    for one in visit.desk.lists.tasks_of(patient):
        if one.id != task or one.closed_by is not None:
            continue
        if one.kind == "wrote":  # first, so that a word that comes in between is a task of its own
            done = _hands(visit).read(patient, visit.who.id, visit.typed("once", 40), seen=str(record.last_at))
            if not done.ok:
                return _after(visit, patient, done)
        if visit.desk.store.close_task(one, visit.who.id):
            return _after(visit, patient, Done(True, "", None))
    return _page(visit, patient, 409, said=visit.say("This task was closed already."))


def _hands(visit: Visit) -> TakeOver:
    return TakeOver(visit.desk.conversation)


def _moment(seen: str) -> float:
    try:
        return float(seen)
    except ValueError:
        return 0.0


def _words(visit: Visit, field: str) -> str:
    """What was typed, all of it; a line's end is one character, as the browser counted it."""
    return visit.typed(field, 4 * LONGEST_NOTE).replace("\r\n", "\n")


def _after(visit: Visit, patient: str, done: Done, used: str = "") -> Response:
    """The conversation after a press. What was typed and not *used* by it stays in its field."""
    left = {name: "" if name == used and done.ok else _words(visit, name) for name in TYPED}
    if done.ok and not any(left.values()):
        return visit.go(f"/patients/{patient}")
    said = ""
    if not done.ok:
        owner = visit.desk.people.names().get(done.owner or "", "")
        said = visit.say(done.why) + (" " + visit.say("{name} has it now.", name=owner) if owner else "")
    return _page(visit, patient, 200 if done.ok else 409, said=said, **left)


def _record(visit: Visit, patient: str) -> Record:
    loaded = visit.desk.store.load(patient, "")
    if loaded.record is None:
        abort(404)
    return from_bytes(loaded.record)


def _page(visit: Visit, patient: str, status: int = 200, **shown: str) -> Response:
    """*shown*: ``phone``, ``said`` (what went wrong), and ``reply`` and ``note`` where they are not what was typed."""
    desk, record, names = visit.desk, _record(visit, patient), visit.desk.people.names()
    shown = {"phone": "", "said": "", **{name: _words(visit, name) for name in TYPED}, **shown}
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
        **shown,
        tasks=tasks,
        bubbles=story.tell(visit, events, names),
        planned=desk.conversation.upcoming(patient),
        owner=names.get(record.owner or "", record.owner or ""),
        mine=record.owner == visit.who.id,
        nurse=visit.who.may("nurse"),
        why=_why(visit, record),
        closed=CLOSED in record.facts,
        quiet=not hours.open(desk.now()),
        stopped=visit.held,
        templates=_templates(visit, record),
        price=desk.settings.price_per_segment,
        look_alike=LOOK_ALIKE,
        count=segments(shown["reply"]).count if shown["reply"] else 0,
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
    return f"{body} {ready[number]}".strip() if number < len(ready) else body


def _why(visit: Visit, record: Record) -> Why | None:
    session = record.session
    loaded = visit.desk.conversation.clinic.of(session) if session else None
    return explain(loaded, session, visit.say, visit.language) if session and loaded else None
