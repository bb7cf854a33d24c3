"""What the bot will send on its own, and whether now is the moment for it. Pure: record in, turn out.

One function, ``judge``, says yes, not yet or never, both for what is sent and for what is shown as planned: so a plan is
what will happen. Nothing here sends.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from bot import prompts
from bot.consent import Hours, Verdict, may_answer_silence, may_follow_up
from bot.decide import REST_SECONDS, open_walk
from bot.flow import model
from bot.record import Channel, Record
from bot.turn import Clinic, Heard, Turn

WEEK = 7 * 86_400.0
ENDS_ALL = (
    "STOP or a wrong number", "an emergency or urgent answer", "a member of staff taking over or closing the matter",
    "two unanswered in a row",
)  # fmt: skip
FACTS = {
    "link_opened": "the scheduling link is opened",
    "booked": "a visit is booked",
    "confirmed": "the visit is confirmed",
    "released": "the patient gives the visit up",
    "newer_session": "a new conversation begins",
}


@dataclass(frozen=True, slots=True)
class Due:
    """An effect of kind ``follow_up``: *name* of what it is, *flow* that declares it ("" for what staff began)."""

    id: str
    name: str
    flow: str
    at: float
    body: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Sending:
    """Send *text* to *phone* now, or place a *call*; *later*: not before. Neither: nothing, because of *why*."""

    turn: Turn | None
    phone: str = ""
    text: str | None = None
    why: str = ""
    later: float | None = None
    call: bool = False


@dataclass(frozen=True, slots=True)
class Upcoming:
    """One future message. *at*: when it will leave if nothing else happens (epoch seconds), *local* the same in the
    patient's words; None: it will not, because of *why*."""

    name: str
    title: str
    at: float | None
    local: str
    why: str
    cancelled_by: tuple[str, ...]
    by: str


def due_effect(effect_id: str, body: Mapping[str, Any]) -> Due:
    """An effect's body as conversation.py gets it."""
    return Due(effect_id, str(body["n"]), str(body.get("f", "")), float(body.get("d", 0.0)), body)


def declared(clinic: Clinic, due: Due) -> model.FollowUp | None:
    """What the flow says of it, or what staff asked for: ``w`` a flow to begin, ``needs`` its consent. None: it is gone."""
    if "w" in due.body:
        if due.body["w"] not in clinic.flows:
            return None
        return model.FollowUp(
            title=str(due.body.get("title", "Begun by staff")), after="PT0M", flow=str(due.body["w"]),
            needs=str(due.body["needs"]), within=str(due.body.get("within", "P3D")),
        )  # fmt: skip
    loaded = clinic.flows.get(due.flow)
    return loaded.flow.follow_ups.get(due.name) if loaded else None


def channel_for(clinic: Clinic, record: Record, one: model.FollowUp) -> Channel:
    """A landline is called when there is a walk to walk; everyone else is texted."""
    spoken = one.flow is not None and "voice" in clinic.flows[one.flow].flow.channels
    return "call" if "landline" in record.facts and spoken else "text"


def judge(clinic: Clinic, record: Record, due: Due, hours: Hours, now: float) -> Verdict:
    """May it go *now*? Everything that is checked at the moment of sending stands here and in consent.py."""
    one = declared(clinic, due)
    never = _never(clinic, record, due, one, now)
    if one is None or never:
        return Verdict(False, never or "its flow is gone")
    if not record.phone.startswith("+"):
        return Verdict(False, "no number")
    verdict = may_follow_up(record, one.needs, hours, now, channel=channel_for(clinic, record, one), salt=due.id)
    if verdict.go and _talking(record, now):
        return Verdict(False, "a conversation is open", hours.next_open(record.last_at + REST_SECONDS, due.id))
    return verdict


def _never(clinic: Clinic, record: Record, due: Due, one: model.FollowUp | None, now: float) -> str | None:
    if one is None:
        return "its flow is gone"
    if record.planned.get(due.name) != due.id:
        return "taken back"
    if due.at and now > due.at + model.minutes(one.within) * 60:
        return "too late"
    if one.before is not None and now >= record.visit_at:
        return "the visit is over"
    since = overtaken(clinic, record, due)
    if since:
        return since
    session = record.session
    seen = {**(session.answers if session and session.flow == due.flow else {}), "outcome": record.result or "none"}
    seen |= {"channel": "sms", "language": record.language}
    if one.when is not None and not one.when.decide(seen):
        return "its condition does not hold"
    return None


def overtaken(clinic: Clinic, record: Record, due: Due) -> str | None:
    """What has happened that makes it pointless, also when it was decided before; None: nothing."""
    one = declared(clinic, due)
    for fact in one.cancel_on if one else ():
        if fact in record.facts or (fact == "newer_session" and _newer(clinic, record, due)):
            return f"cancelled: {FACTS[fact]}"
    if one and one.before is not None and due.at and record.visit_at - model.minutes(one.before) * 60 != due.at:
        return "the visit is at another time, or given up"
    return None


def _newer(clinic: Clinic, record: Record, due: Due) -> bool:
    session = record.session
    return session is not None and session.flow == clinic.first_flow and session.id != due.body.get("s")


def _talking(record: Record, now: float) -> bool:
    session = record.session
    return session is not None and not session.ended and now < record.last_at + REST_SECONDS


# -- sending ---------------------------------------------------------------------------------------------------------


def send(clinic: Clinic, patient: str, record: Record, due: Due, hours: Hours, now: float) -> Sending:
    """A planned message is due: what is to be done now, decided once and written with the record."""
    verdict = judge(clinic, record, due, hours, now)
    if verdict.later is not None:
        return Sending(None, why=verdict.why, later=verdict.later)
    one = declared(clinic, due)
    planned = {name: effect for name, effect in record.planned.items() if effect != due.id}
    record = record.but(planned=planned)
    if one is None or not verdict.go:
        event = {"at": now, "in": "not_sent", "name": due.name, "why": verdict.why}
        late = ("not_sent",) if verdict.why == "too late" else ()
        return Sending(replace(_quiet(record, event), tasks=late), record.phone, why=verdict.why)
    sent = (*(at for at in record.sent if at > now - WEEK), now)
    record = record.but(sent=sent, unanswered=record.unanswered + 1)
    if channel_for(clinic, record, one) == "call":
        event = {"at": now, "in": "call", "flow": one.flow, "name": due.name, "why": verdict.why}
        turn = _quiet(record.but(calling=(due.id, one.flow or "")), event)
        return Sending(turn, record.phone, why=verdict.why, call=True)
    turn = _text(clinic, patient, record, due, one, now) if one.say else _walk(clinic, patient, record, due, one, now)
    return Sending(turn, record.phone, turn.heard.text, verdict.why)


def _text(clinic: Clinic, patient: str, record: Record, due: Due, one: model.FollowUp, now: float) -> Turn:
    loaded, links, values = clinic.flows[due.flow], [], dict(clinic.values)
    language = record.language
    if any("{link}" in (prompts.wording_of(loaded, key, "en", "sms") or "") for key in one.say):
        token, values["link"] = clinic.link(patient)
        links.append((token, "pt" if record.result == "pt" else "pmr"))
    says = tuple(prompts.render(loaded, one.say, language, "sms", values))
    event = {"at": now, "in": "follow_up", "name": due.name, "says": list(says)}
    turn = _quiet(record.but(last_at=now), event)
    return replace(turn, links=tuple(links), heard=replace(turn.heard, says=says, silent=False))


def _walk(clinic: Clinic, patient: str, record: Record, due: Due, one: model.FollowUp, now: float) -> Turn:
    turn = open_walk(clinic, patient, record, one.flow or "", "sms", now, known=due.body.get("a"))
    return replace(turn, event={**turn.event, "in": "follow_up", "name": due.name})


def _quiet(record: Record, event: dict[str, Any]) -> Turn:
    session = record.session
    heard = Heard("sms", session.language if session else "en", silent=True, session=session)
    return Turn(record, heard, event=event)


def pointless(clinic: Clinic, record: Record, fact: str) -> tuple[Record, tuple[str, ...]]:
    """*record* without the follow-ups that *fact* makes pointless, and the effects to take back."""
    found = {
        name
        for loaded in clinic.flows.values()
        for name, one in loaded.flow.follow_ups.items()
        if name in record.planned and fact in one.cancel_on
    }
    kept = {name: effect for name, effect in record.planned.items() if name not in found}
    return record.but(planned=kept), tuple(record.planned[name] for name in sorted(found))


# -- showing ---------------------------------------------------------------------------------------------------------


def upcoming(
    clinic: Clinic,
    record: Record,
    effects: Sequence[tuple[str, str, float, Mapping[str, Any]]],
    hours: Hours,
    now: float,
) -> list[Upcoming]:
    """Every future message of a patient who answers, in the order in which they leave. *effects*: (id, kind, due, body)
    of what is planned."""
    found = []
    for effect_id, kind, at, body in sorted(effects, key=lambda one: one[2]):
        if kind == "follow_up":
            due = due_effect(effect_id, body)
            one, record = _foreseen(clinic, record, due, max(at, now), hours)
            found.append(one)
        elif kind == "silence":
            verdict = may_answer_silence(record, hours, max(at, now))
            leaves = verdict.later or (max(at, now) if verdict.go else None)
            title = "The open question is asked about once more, or closed"
            found.append(
                Upcoming("silence", title, leaves, _local(leaves, hours), verdict.why, ("an answer", "STOP"), "text")
            )
        else:
            local = _local(max(at, now), hours)
            found.append(Upcoming(kind, "Asked for", max(at, now), local, "asked for", ("STOP",), kind))
    return sorted(found, key=lambda one: (one.at is None, one.at or 0.0))


def _foreseen(clinic: Clinic, record: Record, due: Due, at: float, hours: Hours) -> tuple[Upcoming, Record]:
    """When *due* leaves, and the record after it: what leaves first counts against the caps of what comes later."""
    verdict = judge(clinic, record, due, hours, at)
    for _ in range(40):
        if verdict.later is None or verdict.later <= at:
            break
        at = verdict.later
        verdict = judge(clinic, record, due, hours, at)
    one = declared(clinic, due)
    ends = tuple(_ends(one)) if one else ()
    title, by = (one.title, channel_for(clinic, record, one)) if one else ("", "text")
    leaves = at if verdict.go else None
    if verdict.go:
        record = record.but(sent=(*(old for old in record.sent if old > at - WEEK), at))
    return Upcoming(due.name, title, leaves, _local(leaves, hours), verdict.why, ends, by), record


def _ends(one: model.FollowUp) -> Iterator[str]:
    yield from (FACTS[fact] for fact in one.cancel_on)
    yield from ENDS_ALL


def _local(at: float | None, hours: Hours) -> str:
    """In the first of the patient's zones: Tue 2 Dec 2025 09:12 CST."""
    if at is None:
        return ""
    return datetime.fromtimestamp(at, hours.zones[0]).strftime("%a %-d %b %Y %H:%M %Z")
