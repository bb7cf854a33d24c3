"""What needs a human, by risk and then by waiting time, and the newest conversations."""

from __future__ import annotations

from typing import Any

from flask import Response

from bot.console.desk import Clock, Visit
from bot.record import from_bytes
from bot.store import Task
from bot.tasks import TASKS

LEVELS = ("now", "today", "soon", "check", "when there is time")
SHOWN = 100


def page(visit: Visit) -> Response:
    """The landing page: every open task."""
    return visit.page("queue.html", rows=[_row(visit, task) for task in visit.desk.store.tasks()[:SHOWN]])


def patients(visit: Visit) -> Response:
    """The newest conversations, without a word or a number of anybody."""
    rows = []
    for patient in visit.desk.store.recent(50):
        loaded = visit.desk.store.load(patient, "")
        if loaded.record:
            record = from_bytes(loaded.record)
            session = record.session
            state, outcome = (session.state, session.outcome) if session else ("", None)
            rows.append({"id": patient, "at": record.last_at, "state": state, "outcome": outcome})
    return visit.page("patients.html", rows=rows)


def _row(visit: Visit, task: Task) -> dict[str, Any]:
    kind, clock = TASKS[task.kind], Clock(visit)
    loaded = visit.desk.store.load(task.patient, "")
    owner = from_bytes(loaded.record).owner if loaded.record else None
    waits = visit.desk.now() - task.at
    if kind.minutes is None:
        against = visit.say("due by the end of the next work day")
    elif waits > kind.minutes * 60:
        against = visit.say("LATE by {age}", age=clock.ago(waits - kind.minutes * 60))
    else:
        against = visit.say("{age} left", age=clock.ago(kind.minutes * 60 - waits))
    person = visit.desk.people.by_id(owner) if owner else None
    level = visit.say(LEVELS[min(task.urgency, len(LEVELS) - 1)])
    return {
        "task": task,
        "says": kind.says,
        "level": level,
        "against": against,
        "owner": person.name if person else owner,
    }
