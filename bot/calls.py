"""Calls around the conversation: nobody picks up, a recorded message, and the calls that the bot places itself.

Pure: record in, turn out; conversation.py loads, commits and runs again. What is asked stands in the flows. Nothing said
to a machine, or to whoever picks up before saying that it is a good time, may tell why we call.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from bot import prompts
from bot.consent import Hours, Verdict, may_follow_up
from bot.decide import no_person, open_walk, take
from bot.reading.model import Expects
from bot.record import Record
from bot.turn import Clinic, End, Heard, Input, Later, Turn

REACHED = frozenset({"completed", "answered"})
MACHINE = frozenset({"machine_start", "machine_end_beep", "machine_end_silence", "machine_end_other", "fax"})


def dialled(clinic: Clinic, record: Record, step: str, status: str, now: float) -> Turn:
    """A person was dialled for the caller. Nobody picked up: say so, and promise a call-back that is a task already, or
    offer to take a message."""
    event = {"at": now, "in": "dialled", "status": status}
    if status in REACHED:
        return _spoken(clinic, record, (), "hangup", step, event)
    end: End = "offer" if clinic.voicemail else "hangup"
    made = _spoken(clinic, record, no_person(clinic, "no_one"), end, step, event)
    return replace(made, tasks=("person",))


def wants_message(clinic: Clinic, patient: str, record: Record, step: str, given: Input, now: float) -> Turn:
    """The caller was offered to leave a recorded message: only a clear yes is consent. Words of an emergency come first,
    as everywhere."""
    language = record.language
    keys = given.digits is not None
    said = given.digits if given.digits is not None else given.said
    reading = clinic.read(said, Expects("yesno", "consent"), language, "dtmf" if keys else "speech")
    if reading.kind == "emergency":
        return take(clinic, patient, record, replace(given, step=None), now)
    yes = reading.kind == "answer" and reading.value == "yes"
    event = {"at": now, "in": "message_offer", "reading": [reading.kind, reading.value, reading.why]}
    return _spoken(
        clinic, record, ("leave_message",) if yes else ("goodbye",), "record" if yes else "hangup", step, event
    )


def left_message(clinic: Clinic, record: Record, step: str, recording: str | None, now: float) -> Turn:
    """A message was recorded: only its SID is kept, for the person who calls back. None: nothing was recorded."""
    event = {"at": now, "in": "recording", "sid": recording}
    made = _spoken(clinic, record, ("message_kept",) if recording else ("goodbye",), "hangup", step, event)
    return replace(made, tasks=("voicemail",) if recording else ())


@dataclass(frozen=True, slots=True)
class Placing:
    """Whether to call now. *turn* notes it; None *phone* or *later*: not, or not yet, because of *why*."""

    turn: Turn
    phone: str | None
    why: str
    later: float | None = None


def place(
    clinic: Clinic,
    record: Record,
    effect: str,
    flow: str,
    purpose: str,
    hours: Hours,
    now: float,
    *,
    known: Mapping[str, Any] | None = None,
) -> Placing:
    """A planned call is due. Its conditions are those of a text (SPEC D): consent, caps, hours, nothing urgent since.
    *known*: answers that its walk will be told."""
    verdict = Verdict(False, "no number")
    if record.phone.startswith("+"):
        verdict = may_follow_up(record, purpose, hours, now, channel="call", salt=effect)
    if flow not in clinic.flows:
        verdict = Verdict(False, "its flow is gone")
    kept = record
    if verdict.go:
        sent = (*(at for at in record.sent if at > now - 7 * 86_400), now)
        kept = record.but(
            calling=(effect, flow, known) if known else (effect, flow), sent=sent, unanswered=record.unanswered + 1
        )
    event = {"at": now, "in": "call" if verdict.go else "not_called", "flow": flow, "why": verdict.why}
    turn = _spoken(clinic, kept, (), "hangup", "", event)
    return Placing(turn, record.phone if verdict.go else None, verdict.why, verdict.later)


def answered(clinic: Clinic, patient: str, record: Record, effect: str, by: str | None, now: float) -> Turn:
    """Our call was picked up, *by* whom as Twilio's machine detection says (unknown counts as a human). A machine hears
    who called and the number to call back, and nothing else."""
    event = {"at": now, "in": "picked_up", "by": by or "unknown"}
    if by in MACHINE or record.calling is None or record.calling[0] != effect or record.opted_out:
        record = record.but(facts=record.facts | {"machine"}) if by in MACHINE else record
        return _spoken(clinic, record, ("call_machine",), "hangup", "", event)
    flow, *known = record.calling[1:]
    return open_walk(clinic, patient, record.but(unanswered=0), flow, "voice", now, known=known[0] if known else None)


def over(clinic: Clinic, patient: str, record: Record, effect: str, status: str, by: str | None, now: float) -> Turn:
    """A call of ours ended. Nobody spoke with us: the flow's text instead, when the patient may be texted; else a task."""
    event = {"at": now, "in": "call_over", "status": status}
    bare = _spoken(clinic, record, (), "hangup", "", event)
    if record.calling is None or record.calling[0] != effect:
        return bare
    missed = status != "completed" or by in MACHINE or "machine" in record.facts
    kept = record.but(calling=None, facts=record.facts - {"machine"})
    bare = replace(bare, record=kept)
    if not missed or record.opted_out:
        return bare
    if "landline" in record.facts:
        return replace(bare, tasks=("not_reached",))
    language = record.language
    body = prompts.one_text(
        prompts.render(clinic.flows[clinic.first_flow], ("call_missed",), language, "sms", clinic.values)
    )
    later = Later(clinic.new_effect(patient), "text", now, {"n": "text", "body": body})
    return replace(bare, later=(later,), record=kept.but(planned={**kept.planned, "text": later.id}))


def _spoken(clinic: Clinic, record: Record, keys: tuple[str, ...], end: End, step: str, event: dict[str, Any]) -> Turn:
    session, language = record.session, record.language
    says = tuple(prompts.render(clinic.flows[clinic.first_flow], keys, language, "voice", clinic.values))
    heard = Heard("voice", language, says, end, step, silent=not says, session=session)
    return Turn(record, heard, event=event)
