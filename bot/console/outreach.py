"""Campaigns as staff see them: all, one with how far it has come, who is in it; approve, pause, resume, cancel.

What is done is done by bot/outreach/campaigns.py, as for the command. Viewers see counts; who was written to is for nurses.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from flask import Response, abort

from bot.codes import in_words, reason_in_words
from bot.console import lists, terms
from bot.console.desk import Clock, Visit
from bot.console.languages import sentence
from bot.console.lists import Column, Listing, Part, Row
from bot.console.people import PersonError
from bot.console.prepare import as_file
from bot.outreach.campaigns import CampaignError, Progress
from bot.outreach.judge import SAYS
from bot.outreach.roster import RANK, Did
from bot.sending import stops_in_force

LONGEST_REASON = 200
STATES = {
    "entering": sentence("being entered"),
    "waiting": sentence("waits for a second person"),
    "running": sentence("being sent"),
    "paused": sentence("paused"),
    "cancelled": sentence("cancelled"),
    "done": sentence("everybody was written to"),
}
MEMBERS = {
    "queued": sentence("wait for their turn"),
    "sent": sentence("handed to the carrier"),
    "delivered": sentence("delivered"),
    "failed": sentence("failed"),
    "not_sent": sentence("not sent"),
    "unknown": sentence("not known whether it was sent; looked for at the carrier"),
    "cancelled": sentence("taken back"),
}
DID = {
    "made": sentence("prepared"),
    "sent": sentence("sent"),
    "goes on": sentence("went on entering"),
    "asks for approval": sentence("asked for a second person"),
    "approved": sentence("approved"),
    "paused": sentence("paused"),
    "resumed": sentence("resumed"),
    "cancelled": sentence("cancelled"),
}
COLUMNS = (
    Column("id", sentence("Campaign"), "link"),
    Column("at", sentence("Begun"), "time"),
    Column("flow", sentence("Flow")),
    Column("by", sentence("By")),
    Column("stands", sentence("Where it stands")),
    Column("recipients", sentence("Recipients"), "number"),
    Column("done", sentence("Written to"), "number"),
    Column("failed", sentence("Failed"), "number"),
    Column("ends", sentence("Last one"), "time"),
)
PEOPLE = (
    Column("row", sentence("Row"), "number"),
    Column("id", sentence("Conversation"), "link"),
    Column("stands", sentence("Result")),
    Column("why", sentence("Reason")),
)
EMPTY = sentence(
    "No campaign yet. From a file with telephone numbers you can ask many patients at once; each campaign would appear here "
    "with how far it has come."
)
NOBODY = sentence("Nobody is in this state.")


# -- looking --


def page(visit: Visit) -> Response:
    """Every campaign, newest first, and what this person has in preparation."""

    def part(after: str, limit: int) -> Part:
        names = visit.desk.campaigns.roster.all()
        first = names.index(after) + 1 if after in names else 0
        some = names[first : first + limit]
        known = [one for one in some if visit.desk.campaigns.roster.state(one)]
        people = visit.desk.people.names()
        rows = [_row(visit, visit.desk.campaigns.progress(one), people) for one in known]
        return Part(rows, some[-1] if len(names) > first + limit else None)

    drafts = visit.desk.drafts.of(visit.who.id) if visit.form == "html" and visit.who.may("manager") else []
    listing = Listing("campaigns", sentence("Outreach"), EMPTY, COLUMNS, part)
    return lists.show(visit, listing, "campaigns.html", drafts=drafts)


def one(visit: Visit, campaign: str) -> Response:
    """One campaign: how far it has come, and what can be done. A page that renews itself is asked for whole when other
    things can be done by now."""
    seen = visit.request.args.get("seen")
    if seen and "X-Poll" in visit.request.headers and seen != _progress(visit, campaign).state:
        return Response(status=204, headers={"HX-Refresh": "true"})
    return _one(visit, campaign)


def people(visit: Visit, campaign: str) -> Response:
    """Everybody in it, or those in one state, with the reason."""
    _progress(visit, campaign)
    state = visit.request.args.get("state", "")

    def part(after: str, limit: int) -> Part:
        first = int(after) if after.isdecimal() else 0
        found: list[Row] = []
        for row in _members(visit, campaign, first):
            if state in ("", row["state"]):
                found.append(row)
            if len(found) > limit:
                return Part(found[:limit], str(found[limit - 1]["row"]))
        return Part(found, None)

    listing = Listing("recipients", sentence("Recipients of the campaign"), NOBODY, PEOPLE, part)
    chosen = [(name, visit.say(says)) for name, says in MEMBERS.items()]
    chosen.append(("refused", visit.say("refused")))
    return lists.show(visit, listing, "campaign_people.html", campaign=campaign, state=state, states=chosen)


def result(visit: Visit, campaign: str) -> Response:
    """The file of what became of every row."""
    _progress(visit, campaign)
    return as_file(f"result-{campaign}", visit.desk.campaigns.result_lines(campaign, visit.say))


# -- acting --


def approve(visit: Visit, campaign: str) -> Response:
    """A second person, who proves with a code of their own telephone to be at the keyboard, lets it go."""
    desk, found = visit.desk, _progress(visit, campaign)
    if found.state != "waiting":
        return _changed(visit, campaign)
    login = found.by.casefold() == visit.who.name.casefold()  # made by command, under a login
    try:
        first = visit.who.id if login else found.by
        desk.people.be_second(visit.who, first, found.made, visit.typed("code", 20), desk.wall())
    except PersonError as error:
        return _one(visit, campaign, 422, visit.say(str(error)))
    return _act(visit, campaign, lambda: desk.campaigns.approve(campaign, visit.who.id))


def pause(visit: Visit, campaign: str) -> Response:
    """Nothing more is sent, from the next recipient on."""
    if _progress(visit, campaign).state != "running":
        return _changed(visit, campaign)
    why = _reason(visit)
    return _act(visit, campaign, lambda: visit.desk.campaigns.pause(campaign, visit.who.id, why))


def resume(visit: Visit, campaign: str) -> Response:
    """Go on; nobody is written to twice."""
    if _progress(visit, campaign).state != "paused":
        return _changed(visit, campaign)
    return _act(visit, campaign, lambda: visit.desk.campaigns.resume(campaign, visit.who.id))


def cancel(visit: Visit, campaign: str) -> Response:
    """Stop for good, for a reason."""
    if _progress(visit, campaign).state in ("cancelled", "done"):
        return _changed(visit, campaign)
    why = _reason(visit)
    if not why:
        return _one(visit, campaign, 422, visit.say("Say why it is cancelled, so that others know."))
    return _act(visit, campaign, lambda: visit.desk.campaigns.cancel(campaign, visit.who.id, why))


# -- inside --


def _reason(visit: Visit) -> str:
    return " ".join(visit.typed("why", LONGEST_REASON).split())


def _act(visit: Visit, campaign: str, do: Callable[[], None]) -> Response:
    _progress(visit, campaign)
    try:
        do()
    except CampaignError as error:
        return _one(visit, campaign, 409, visit.told(error.told))
    return visit.go(f"/outreach/{campaign}")


def _changed(visit: Visit, campaign: str) -> Response:
    """Somebody was faster."""
    return _one(
        visit, campaign, 409, visit.say("It has changed since you opened this page; this is how it stands now.")
    )


def _progress(visit: Visit, campaign: str) -> Progress:
    try:
        return visit.desk.campaigns.progress(campaign)
    except CampaignError:
        abort(404)


def _one(visit: Visit, campaign: str, status: int = 200, error: str = "") -> Response:
    desk, found = visit.desk, _progress(visit, campaign)
    names = desk.people.names()
    loaded = desk.conversation.clinic.flows.get(found.flow)
    return visit.page(
        "campaign.html",
        status,
        error=error,
        why=visit.typed("why", LONGEST_REASON),
        most=LONGEST_REASON,
        one=found,
        title=loaded.flow.title if loaded else found.flow,
        by=names.get(found.by, found.by),
        stands=visit.say(STATES[found.state]),
        done=_done(found),
        entered=sum(found.counts.values()),
        goes_on=found.state == "entering" and desk.campaigns.steps.underway.has_file(campaign),
        members=list(_counts(visit, found)),
        refused=[(name, visit.say(SAYS.get(name, name)), count) for name, count in found.refused.items()],  # type: ignore[call-overload]
        log=[_did(visit, one, names) for one in reversed(found.log)],
        holds=list(_holds(visit, found)),
        examples=list({(one.language, one.via): one for one in found.examples}.values()),
        mine=found.by == visit.who.id or found.by.casefold() == visit.who.name.casefold(),
        draft=next((one for one in desk.drafts.of(visit.who.id) if desk.drafts.sent_as(one.id) == campaign), None)
        if found.state == "entering" and visit.who.may("manager")
        else None,
    )


def _did(visit: Visit, one: Did, names: dict[str, str]) -> dict[str, Any]:
    return {
        "at": one.at,
        "did": visit.say(DID.get(one.did, one.did)),
        "by": names.get(one.who, one.who),
        "why": one.why,
    }


def _done(found: Progress) -> int:
    """Recipients whose turn has come."""
    return sum(found.counts.values()) - found.counts["queued"]


def _counts(visit: Visit, found: Progress) -> Iterator[tuple[str, str, int]]:
    for name in sorted(found.counts, key=lambda name: (RANK.get(name, 9), name)):
        yield name, visit.say(MEMBERS.get(name, name)), found.counts[name]
    left = found.recipients - sum(found.counts.values())
    if left > 0:
        says = sentence("not entered yet") if found.state == "entering" else sentence("opted out or wrote meanwhile")
        yield "refused", visit.say(says), left


def _holds(visit: Visit, found: Progress) -> Iterator[str]:
    """Why a running campaign does not move."""
    desk = visit.desk
    if found.state != "running":
        return
    if stops_in_force(desk.store, desk.now()):
        yield visit.say("All sending is stopped at present: see Health. It goes on by itself afterwards.")
    limit = desk.settings.outreach_open_tasks
    waiting = desk.lists.waiting()
    if limit and waiting >= limit:
        yield visit.say("{n} tasks wait for staff. Nobody new is written to until there are fewer than {limit}.",
                        n=waiting, limit=limit)  # fmt: skip
    if found.opens > desk.now() + 60:
        yield visit.say(
            "These are quiet hours where the patients are. It goes on at {at}.", at=Clock(visit).at(found.opens)
        )


def _row(visit: Visit, found: Progress, names: dict[str, str]) -> Row:
    return {
        "id": found.id,
        "href": f"/outreach/{found.id}",
        "at": found.made,
        "flow": found.flow,
        "by": names.get(found.by, found.by),
        "state": found.state,
        "stands": visit.say(STATES[found.state]),
        "recipients": found.recipients,
        "done": _done(found),
        "failed": found.counts["failed"],
        "ends": found.ends,
    }


def _members(visit: Visit, campaign: str, after: int) -> Iterator[Row]:
    roster = visit.desk.campaigns.roster
    for members in roster.rows(campaign):
        if members[-1].row <= after:
            continue
        for one, told in zip(members, roster.states(campaign, members), strict=True):
            if one.row > after:
                state, _, detail = told.partition("|")
                why = "" if state else one.why
                says = visit.say(SAYS.get(why, why)) if why else _in_words(visit, detail)  # type: ignore[call-overload]
                state = state or "refused"
                yield {
                    "row": one.row,
                    "id": one.patient if state != "refused" else "",
                    "href": f"/patients/{one.patient}",
                    "state": state,
                    "stands": visit.say(MEMBERS.get(state, "refused")),
                    "why": says,
                }


def _in_words(visit: Visit, detail: str) -> str:
    if detail.isdecimal():
        return in_words(int(detail), visit.say)
    return reason_in_words(terms.plain(detail), visit.say) if detail else ""
