"""Preparing a campaign in three pages: the file; its columns and what is sent; the report, and the number that sends it.

Judges nothing: what a file, a row and a plan are worth is decided in bot/outreach, as for the command. Only who uploaded a
file sees it. Nothing of a file goes into an address, the log or the audit trail.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import chain
from typing import Any

from flask import Response, stream_with_context

from bot.console.desk import Visit
from bot.console.drafts import Draft, with_options
from bot.console.languages import sentence
from bot.outreach.campaigns import CampaignError, SentError
from bot.outreach.judge import SAYS
from bot.outreach.plan import Options, Plan, Row, to_tell
from bot.outreach.sheet import FIELDS, SheetError, glance

LABELS = {
    "phone": sentence("Telephone number"),
    "language": sentence("Language (en, es)"),
    "consent": sentence("Consent to texts (yes, no)"),
    "consent_source": sentence("Where consent was given"),
    "consent_date": sentence("Date of the consent"),
    "consent_calls": sentence("Consent to calls (yes, no)"),
}
# What staff say of everybody, by its name in the flow and by value.
TOLD = {
    "cause": sentence("What the recipients had"),
    "surgery": sentence("an operation"),
    "injury": sentence("an injury"),
}
SHOWN, LONGEST_CELL, MOST_HOURS = 50, 60, 168
GONE = sentence(
    "This file is no longer kept: it goes two hours after the last step, when it was sent, and when it is thrown away. "
    "Choose it again."
)
MOST_COLUMNS, MOST_ROWS = 100, 100_000  # what one page and this process's memory can hold for several people at once
TOO_MUCH = sentence(
    "At most {columns} columns and {rows} rows can be taken here. Save only the columns that are needed, or split it."
)
CHOOSE = sentence("Choose a file first.")


# -- 1: the file --


def start(visit: Visit) -> Response:
    """Where a file is chosen."""
    return visit.page("campaign_new.html")


def upload(visit: Visit) -> Response:
    """Take a file that is a table; every other is refused in words, and nothing of it is kept."""
    given = visit.request.files.get("file")
    raw = given.stream.read() if given else b""
    if given is None or not given.filename:
        return visit.page("campaign_new.html", 422, faults=[visit.say(CHOOSE)])
    try:
        top = glance(raw)
    except SheetError as error:
        return visit.page("campaign_new.html", 422, faults=list(_told(visit, error)))
    if len(top.headers) > MOST_COLUMNS or top.rows > MOST_ROWS:
        says = visit.say(TOO_MUCH, columns=MOST_COLUMNS, rows=f"{MOST_ROWS:,}")
        return visit.page("campaign_new.html", 422, faults=[says])
    found = top.found
    mapping: dict[str, str | int] = {field: found.get(field, "") for field in FIELDS}
    name = given.filename.replace("\\", "/").rpartition("/")[2]
    draft = visit.desk.drafts.begin(visit.who.id, name, raw, Options(mapping=mapping), visit.desk.now())
    return visit.go(f"/outreach/drafts/{draft.id}")


# -- 2: columns and choices --


def columns(visit: Visit, draft: str) -> Response:
    """Which column is which, and what is sent."""
    found = visit.desk.drafts.find(draft, visit.who.id)
    return _columns(visit, found, found.options) if found else gone(visit, draft)


def choose(visit: Visit, draft: str) -> Response:
    """Keep what was chosen."""
    found = visit.desk.drafts.find(draft, visit.who.id)
    if found is None:
        return gone(visit, draft)
    options = _chosen(visit, found.options)
    error = _unfit(visit, options)
    if error:
        return _columns(visit, found, options, 422, error)
    visit.desk.drafts.change(with_options(found, options))
    return visit.go(f"/outreach/drafts/{found.id}/check")


def _chosen(visit: Visit, before: Options) -> Options:
    typed = visit.typed
    mapping: dict[str, str | int] = {}
    for field in FIELDS:
        column = typed(f"column_{field}", 4)
        mapping[field] = int(column) if column.isdecimal() else ""
    hours = typed("call_after", 4).strip()
    return replace(
        before,
        flow=typed("flow", 60),
        mapping=mapping,
        language="es" if typed("row_language") == "es" else "en",
        call_landlines=typed("call_landlines") == "yes",
        call_after_hours=int(hours) if hours.isdecimal() else 0 if not hours else -1,
        again=typed("again") == "yes",
        told=_told_to(visit, typed("flow", 60)),
        consent_source=typed("consent_source", 80).strip(),
        consent_calls=typed("consent_calls") == "yes",
    )


def _told_to(visit: Visit, flow: str) -> dict[str, str]:
    loaded = visit.desk.conversation.clinic.flows.get(flow)
    given = {name: visit.typed(f"told_{name}", 40) for name in (to_tell(loaded) if loaded else ())}
    return {name: value for name, value in given.items() if value}


def _unfit(visit: Visit, options: Options) -> str:
    used = [column for column in options.mapping.values() if column != ""]
    if options.mapping["phone"] == "":
        return visit.say("Say which column holds the telephone numbers.")
    if len(used) != len(set(used)):
        return visit.say("Two entries have the same column. Each column is one thing.")
    if options.flow not in visit.desk.conversation.clinic.flows:
        return visit.say("Choose what is sent.")
    if not 0 <= options.call_after_hours <= MOST_HOURS:
        return visit.say("The hours until a call are a number from 0 (no call) to {most}.", most=MOST_HOURS)
    return ""


def _columns(visit: Visit, draft: Draft, options: Options, status: int = 200, error: str = "") -> Response:
    top = glance(visit.desk.drafts.raw(draft))
    flows = visit.desk.conversation.clinic.flows
    offered = sorted((one for one in flows.values() if "sms" in one.flow.channels),
                     key=lambda one: (one.flow.id != "outreach", one.flow.title))  # fmt: skip
    return visit.page(
        "campaign_columns.html",
        status,
        draft=draft,
        options=options,
        error=error,
        headers=[_short(name) or visit.say("column {n}", n=at + 1) for at, name in enumerate(top.headers)],
        samples=[[_short(cell) for cell in cells] for cells in top.samples],
        labels=LABELS,
        flows=[one.flow for one in offered],
        told=[(one.flow, name, values) for one in offered for name, values in to_tell(one).items()],
        told_labels=TOLD,
    )


# -- 3: the report, and sending --


def check(visit: Visit, draft: str) -> Response:
    """Every row with its reason, what is sent, what it costs, and the number to type."""
    found = visit.desk.drafts.find(draft, visit.who.id)
    if found is None:
        return gone(visit, draft)
    if not found.checked:
        return visit.go(f"/outreach/drafts/{found.id}")
    return _check(visit, found)


def send(visit: Visit, draft: str) -> Response:
    """Write down that it is sent, when the number typed is that of the recipients in the report; a worker does the rest.
    Pressed again it is the same campaign."""
    found, drafts = visit.desk.drafts.find(draft, visit.who.id), visit.desk.drafts
    if found is None:
        return gone(visit, draft)
    campaigns = visit.desk.campaigns
    before = drafts.sent_as(found.id)
    if before and campaigns.roster.state(before) not in (None, "entering"):
        return _sent(visit, found, before)
    try:
        plan = drafts.plan(found, lambda raw: campaigns.plan(raw, found.options))
    except SheetError:
        return _check(visit, found)
    typed = "".join(visit.typed("count", 12).split()).replace(",", "").replace(".", "")
    if typed != str(len(plan.accepted)):
        says = visit.say("There are {n} recipients; that is the number to type.", n=len(plan.accepted))
        drafts.change(found)  # the report is made anew: it may have changed since the page was opened
        return _check(visit, found, 422, says)
    if plan.blockers:
        return _check(visit, found, 422, visit.told(plan.blockers[0]))
    name = drafts.sent_as(found.id, campaigns.name_for(plan))
    visit.audit("campaign sent", name, f"{len(plan.accepted)} recipients")
    try:
        campaigns.order(plan, drafts.raw(found), visit.who.id, name)
    except SentError as error:
        return _sent(visit, found, error.campaign)
    except CampaignError as error:
        return _check(visit, found, 409, visit.told(error.told))
    return _sent(visit, found, name)


def discard(visit: Visit, draft: str) -> Response:
    """The file is gone."""
    found = visit.desk.drafts.find(draft, visit.who.id)
    if found:
        visit.desk.drafts.remove(found)
    return visit.go("/outreach")


def gone(visit: Visit, draft: str) -> Response:
    """There is no such file for this person: it became a campaign, or it went."""
    campaign = visit.desk.drafts.sent_as(draft)
    if campaign and visit.desk.campaigns.roster.state(campaign):
        return visit.go(f"/outreach/{campaign}")
    way = ("/outreach/new", visit.say("Choose a file"))
    return visit.page("refused.html", 404, why=visit.say(GONE), way=way)


def _sent(visit: Visit, draft: Draft, campaign: str) -> Response:
    visit.desk.drafts.remove(draft)
    return visit.go(f"/outreach/{campaign}")


def _check(visit: Visit, draft: Draft, status: int = 200, error: str = "") -> Response:
    desk = visit.desk
    try:
        plan = desk.drafts.plan(draft, lambda raw: desk.campaigns.plan(raw, draft.options))
    except SheetError as fault:
        return visit.page("campaign_faults.html", 422, draft=draft, faults=list(_told(visit, fault)))
    if visit.form == "csv":
        return as_file("report", desk.campaigns.plan_lines(plan, visit.say))
    args = visit.request.args if visit.request.method == "GET" else {}
    why = args.get("why", "")
    rows = [(row, cells) for row, (_, cells) in zip(plan.rows, plan.sheet.rows, strict=True)
            if not why or (row.why or "accepted") == why]  # fmt: skip
    first = int(after) if (after := args.get("after", "")[:7]).isdecimal() else 0
    return visit.page(
        "campaign_check.html",
        status,
        draft=draft,
        plan=plan,
        error=error,
        typed=visit.typed("count", 12),
        reasons=[(name, visit.say(SAYS[name]), count) for name, count in plan.refused.most_common()],
        why=why,
        rows=[_row(visit, plan, row, cells) for row, cells in rows[first : first + SHOWN]],
        found=len(rows),
        first=first,
        shown=SHOWN,
        bases=list(_bases(visit, plan)),
        warnings=[visit.told(one) for one in plan.warnings],
        blockers=[visit.told(one) for one in plan.blockers],
        flow=desk.conversation.clinic.flows.get(draft.options.flow),
        limit=desk.settings.outreach_open_tasks,
        rate=f"{desk.settings.sender_rate:g}",
    )  # fmt: skip


def as_file(name: str, lines: Iterator[str]) -> Response:
    """CSV *lines*, whose cells are safe already, as a file to keep; the mark makes Excel read UTF-8."""
    answer = Response(stream_with_context(chain(["\ufeff"], lines)), content_type="text/csv; charset=utf-8")
    answer.headers["Content-Disposition"] = f'attachment; filename="{name}.csv"'
    return answer


def _row(visit: Visit, plan: Plan, row: Row, cells: list[str]) -> dict[str, Any]:
    way = visit.say("will be called") if row.via == "call" else visit.say("will be texted")
    why = ""
    if row.why is not None:
        why = visit.say(SAYS[row.why]) + (f" ({row.same_as})" if row.same_as else "")
    return {
        "number": row.number,
        "phone": _short(plan.sheet.cell(cells, "phone")),
        "language": row.language(plan.options.language) if row.why is None else "",
        "result": visit.say("refused") if row.why else way,
        "why": why,
        "refused": row.why is not None,
    }


def _bases(visit: Visit, plan: Plan) -> Iterator[tuple[str, int]]:
    """What the recipients' consent stands on."""
    stated = sum(row.stated is not None and row.stated.consent is not None for row in plan.accepted)
    whole = "consent" not in plan.sheet.mapping
    says = visit.say("your word for the whole file") if whole else visit.say("their row of the file")
    if stated:
        yield says, stated
    if len(plan.accepted) > stated:
        yield visit.say("their recorded answer"), len(plan.accepted) - stated


def _told(visit: Visit, error: SheetError) -> Iterator[str]:
    for fault in error.faults:
        says = visit.told(fault.told)
        yield visit.say("Row {n}: {says}", n=fault.row, says=says) if fault.row else says


def _short(text: str) -> str:
    text = text.strip()
    return text if len(text) <= LONGEST_CELL else f"{text[: LONGEST_CELL - 1]}…"
