"""What needs a human: every open task by risk and then by waiting time, with its clock in words."""

from __future__ import annotations

from flask import Response

from bot.console import lists, terms
from bot.console.desk import Clock, Visit
from bot.console.languages import sentence
from bot.console.lists import Column, Listing, Part, Row
from bot.record import Record, from_bytes
from bot.store import Task
from bot.store.model import CLINIC
from bot.tasks import TASKS

LEVELS = (
    sentence("now"),
    sentence("today"),
    sentence("soon"),
    sentence("check"),
    sentence("when there is time"),
)
COLUMNS = (
    Column("level", sentence("How urgent")),
    Column("says", sentence("What")),
    Column("at", sentence("Since"), "time"),
    Column("against", sentence("Clock")),
    Column("owner", sentence("Who has it")),
    Column("language", sentence("Language")),
    Column("channel", sentence("By")),
    Column("id", sentence("Conversation"), "link"),
)
EMPTY = sentence(
    "Nothing waits. Emergency and crisis alerts, people who asked for a person, and texts that failed would appear here."
)


def page(visit: Visit) -> Response:
    """The landing page."""

    def part(after: str, limit: int) -> Part:
        tasks, rest = visit.desk.lists.open_tasks(after, limit)
        names = visit.desk.people.names()
        records = visit.desk.lists.records([task.patient for task in tasks])
        kept = [from_bytes(raw) if raw else None for raw in records]
        return Part([_row(visit, task, record, names) for task, record in zip(tasks, kept, strict=True)], rest)

    listing = Listing("tasks", sentence("Needs attention"), EMPTY, COLUMNS, part)
    waiting = visit.desk.lists.waiting()
    return lists.show(visit, listing, "queue.html", waiting=waiting, campaigns=_campaigns(visit), stopped=visit.held)


def _campaigns(visit: Visit) -> list[str]:
    """Campaigns that wait for a second person, for those who may be one."""
    return visit.desk.campaigns.roster.waiting() if visit.who.may("manager") and visit.form == "html" else []


def _row(visit: Visit, task: Task, record: Record | None, names: dict[str, str]) -> Row:
    kind, owner, session = TASKS[task.kind], record.owner if record else None, record.session if record else None
    late = kind.minutes is not None and visit.desk.now() - task.at > kind.minutes * 60
    return {
        "language": visit.say(terms.LANGUAGES.get(record.language, record.language)) if record else "",
        "channel": visit.say(terms.CHANNELS.get(session.channel, session.channel)) if session else "",
        "late": late,
        "id": task.patient,
        "href": _where(task),
        "done": f"/tasks/{task.id}/close" if task.patient == CLINIC and not task.id.startswith("sending.") else "",
        "task": task.id,
        "urgency": task.urgency,
        "kind": task.kind,
        "says": visit.say(kind.says),
        "level": visit.say(LEVELS[min(task.urgency, len(LEVELS) - 1)]),
        "at": task.at,
        "against": against(visit, task),
        "owned": bool(owner),
        "owner": names.get(owner or "", owner or ""),
    }


def close(visit: Visit, task: str) -> Response:
    """A task about the clinic itself is done. One that stops sending ends by letting sending go on."""
    one = visit.desk.lists.task(CLINIC, task)
    if one is not None and one.patient == CLINIC and not task.startswith("sending."):
        visit.desk.store.close_task(one, visit.who.id)
    return visit.go("/")


def _where(task: Task) -> str:
    if task.patient != CLINIC:
        return f"/patients/{task.patient}"
    return "/health" if task.id.startswith("sending.") else ""


def against(visit: Visit, task: Task) -> str:
    """A task's age against its clock."""
    minutes, waits = TASKS[task.kind].minutes, visit.desk.now() - task.at
    if minutes is None:
        return visit.say("due by the end of the next work day")
    if waits > minutes * 60:
        return visit.say("LATE by {age}", age=Clock(visit).ago(waits - minutes * 60))
    return visit.say("{age} left", age=Clock(visit).ago(minutes * 60 - waits))
