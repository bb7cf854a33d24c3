"""One input and one record -> the turn: the next record, what is said, and everything to be written with it.

Pure: the clock, the ids and the tokens are handed in. Knows no storage, no web and no carrier; conversation.py loads
before it and commits after it, and may run it again when another turn came between.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from typing import Any

from bot import engine, prompts
from bot.consent import CARRIER_HELP, CARRIER_START, CARRIER_STOP
from bot.engine import Session, Step
from bot.flow import model
from bot.flow.load import Loaded
from bot.reading.language import guess_language
from bot.reading.model import Expects, Reading
from bot.record import Record
from bot.turn import Clinic, Heard, Input, Turn
from bot.work import Work

REST_SECONDS = 24 * 3600  # an ended walk older than this is history: the next word starts a new one
ECHO_SECONDS, ECHO_LIMIT = 1800, 5  # the same text more than 5 times in 30 minutes is a machine (Medic CHT's limit)


def take(clinic: Clinic, patient: str, record: Record, given: Input, now: float) -> Turn:
    """One turn. Never raises for anything a patient can send."""
    expects = _expects(clinic, record)
    reading = _read(clinic, record, given, expects)
    if given.event == "silence":
        if record.session is None or record.session.ended:
            return _nothing(record, given, reading, now)
        return _move(clinic, patient, record, given, Reading("silence", why="no reply"), now)
    if record.opted_out and given.door == "sms" and reading.kind != "opt_in":
        return _after_stop(record, given, reading, now)
    if record.owner:
        return _for_the_owner(record, given, reading, now)
    record = replace(record, unanswered=0)
    carrier = _carrier_answers(clinic, given)
    if carrier == "help":
        return _nothing(record, given, reading, now)
    record, looping = _count_echo(record, given, now)
    if looping:
        turn = _nothing(record, given, reading, now)
        return replace(turn, tasks=("echo",)) if looping == "first" else turn
    turn = _move(clinic, patient, record, given, reading, now)
    return replace(turn, heard=replace(turn.heard, silent=True)) if carrier else turn


# -- before the engine -----------------------------------------------------------------------------------------------


def _expects(clinic: Clinic, record: Record) -> Expects | None:
    session = record.session
    return engine.waiting(clinic.flows[session.flow], session) if session else None


def _read(clinic: Clinic, record: Record, given: Input, expects: Expects | None) -> Reading:
    if given.event == "call":
        return Reading("unclear", why="a call begins")
    if given.opt_out_type in ("STOP", "START"):
        return Reading("opt_out" if given.opt_out_type == "STOP" else "opt_in", why="the carrier says so")
    channel = "sms" if given.door == "sms" else "dtmf" if given.digits is not None else "speech"
    said = given.digits if given.digits is not None else given.said
    language = record.session.language if record.session else clinic.language or "en"
    reading = clinic.read(said, expects, language, channel)
    if reading.kind == "silence" and given.door == "sms":
        return Reading("unclear", why="a message without words")  # a picture is no silence: the patient is there
    return reading


def _carrier_answers(clinic: Clinic, given: Input) -> str | None:
    """Which keyword Twilio has already answered by itself (twilio.md section D); None when answering is ours."""
    if given.door != "sms":
        return None
    if given.opt_out_type:
        return given.opt_out_type.lower()
    if clinic.opt_out_mode != "twilio":
        return None
    word = given.said.strip().upper()
    for name, words in (("stop", CARRIER_STOP), ("start", CARRIER_START), ("help", CARRIER_HELP)):
        if word in words:
            return name
    return None


def _count_echo(record: Record, given: Input, now: float) -> tuple[Record, str | None]:
    if given.door != "sms" or not given.said.strip():
        return record, None
    mark = hashlib.blake2b(given.said.strip().lower().encode("utf-8", "replace"), digest_size=6).hexdigest()
    echoes = (*((old, at) for old, at in record.echoes if at > now - ECHO_SECONDS), (mark, now))
    same = sum(old == mark for old, _ in echoes)
    looping = None if same <= ECHO_LIMIT else "first" if same == ECHO_LIMIT + 1 else "more"
    return replace(record, echoes=echoes[-20:]), looping


def _after_stop(record: Record, given: Input, reading: Reading, now: float) -> Turn:
    """I34: the carrier would refuse any text, so a person must act; an emergency is never only stored."""
    alarm = reading.kind == "emergency"
    fresh = alarm or "wrote_after_stop" not in record.facts
    record = replace(record, facts=record.facts | {"wrote_after_stop"})
    turn = _nothing(record, given, reading, now)
    return replace(turn, tasks=("alarm_opted_out" if alarm else "wrote_after_stop",) if fresh else ())


def _for_the_owner(record: Record, given: Input, reading: Reading, now: float) -> Turn:
    turn = _nothing(record, given, reading, now)
    return replace(turn, tasks=(str(reading.value),) if reading.kind == "emergency" else ())


def _nothing(record: Record, given: Input, reading: Reading, now: float) -> Turn:
    session = record.session
    language = session.language if session else "en"
    heard = Heard(given.door, language, silent=True, end="hangup", reading=reading, session=session)
    return Turn(replace(record, last_at=now), heard, event=_event(given, reading, None, now))


# -- the engine's turn -----------------------------------------------------------------------------------------------


def _move(clinic: Clinic, patient: str, record: Record, given: Input, reading: Reading, now: float) -> Turn:
    session, fresh = _session_for(clinic, record, given, reading, now)
    loaded = clinic.flows[session.flow]
    if fresh:
        step = engine.begin(loaded, session, reading)
    elif given.event == "call":
        step = engine.look(loaded, session, first=(loaded.flow.greeting,) if loaded.flow.greeting else ())
    elif _not_an_answer(given, record, reading):
        step = engine.look(loaded, session)
    else:
        step = engine.advance(loaded, session, reading)
    step = _hand_over(clinic, step)
    return _written(clinic, patient, record, given, reading, step, now)


def _session_for(clinic: Clinic, record: Record, given: Input, reading: Reading, now: float) -> tuple[Session, bool]:
    session = record.session
    idle = now - record.last_at
    stale = session is not None and idle > (REST_SECONDS if session.ended else 2 * REST_SECONDS)
    over = session is not None and session.disposition in ("expired", "opted_out")
    done = session is not None and session.ended and given.event == "call"  # a new call is a new walk
    if session is None or stale or over or done or session.flow not in clinic.flows:
        return _new_session(clinic, record, given), True
    if engine.event_of(reading) == "restart":
        session = replace(session, id=clinic.new_id())
    return replace(session, channel=given.door), False


def _new_session(clinic: Clinic, record: Record, given: Input) -> Session:
    loaded = clinic.flows[clinic.first_flow]
    known = clinic.language or (record.session.language if record.session else None)
    if given.door == "sms":
        known = known or guess_language(given.said)
    answers: dict[str, Any] = {"language_choice": known} if known else {}
    if record.opted_out or "landline" in record.facts or not record.phone.startswith("+"):
        answers["textable"] = "no"
    return Session(clinic.new_id(), loaded.flow.id, loaded.hash, known or "en", given.door, answers=answers)


def _not_an_answer(given: Input, record: Record, reading: Reading) -> bool:
    """A stale key of an old step, or a reply to a question that was asked on the other channel: it is asked again."""
    session = record.session
    if session is None:
        return False
    if given.step is not None and given.step != str(session.turn):
        return True
    return given.door != session.channel and reading.kind in ("answer", "unclear") and not session.ended


def _hand_over(clinic: Clinic, step: Step) -> Step:
    for _ in range(5):
        if step.handover is None:
            return step
        flow, state = step.handover
        loaded = clinic.flows[flow]
        session = replace(step.session, flow=flow, flow_hash=loaded.hash, answers={}, trail=(), ended=False)
        after = engine.start(loaded, session, at=state, greet=False)
        step = replace(after, say=(*step.say, *after.say), effects=(*step.effects, *after.effects))
    return step


def _written(
    clinic: Clinic, patient: str, record: Record, given: Input, reading: Reading, step: Step, now: float
) -> Turn:
    work = Work(clinic, patient, record, step, now)
    for effect in step.effects:
        work.perform(effect)
    session = step.session
    loaded = clinic.flows[session.flow]
    says = prompts.render(
        loaded, step.say, session.language, given.door, {**clinic.values, **step.values, **work.values}
    )
    end = step.end
    if given.door == "voice" and session.outcome == "emergency" and end == "hangup":
        says *= 2  # said twice, then the line is freed so that the caller can dial
    if given.door == "voice" and end == "dial" and not clinic.is_open(now):
        says += prompts.render(loaded, ("closed",), session.language, "voice", clinic.values)
        end = "hangup"
        if "person" not in work.tasks:
            work.tasks.append("person")
    question = engine.waiting(loaded, session)
    heard = Heard(
        given.door,
        session.language,
        tuple(says),
        end,
        str(session.turn),
        question,
        _hints(loaded, session),
        reading=reading,
        session=session,
        tasks=tuple(work.tasks),
    )
    return Turn(
        _next_record(work.record, session, reading, now),
        heard,
        tuple(work.later),
        tuple(work.dropped),
        tuple(work.tasks),
        tuple(work.links),
        _event(given, reading, heard, now),
    )


def _next_record(record: Record, session: Session, reading: Reading, now: float) -> Record:
    before, record = record.session, replace(record, session=session, last_at=now)
    if reading.kind in ("opt_out", "opt_in"):
        record = replace(record, opted_out=reading.kind == "opt_out", facts=record.facts - {"wrote_after_stop"})
    if before is None or session.id != before.id:
        record = replace(record, started_at=now, facts=record.facts - {"link_opened", "booked"})
    return record


def _hints(loaded: Loaded, session: Session) -> tuple[str, ...]:
    state = loaded.states.get(session.state)
    if not isinstance(state, model.Question):
        return ()
    if state.takes.type == "yesno":
        return ("yes", "no") if session.language == "en" else ("sí", "no")
    return tuple(option.label.get(session.language, "") for option in state.takes.options)


def _event(given: Input, reading: Reading, heard: Heard | None, now: float) -> dict[str, Any]:
    """The line of the patient's log for this turn: enough to replay it, and to show it to a nurse."""
    event: dict[str, Any] = {
        "at": now,
        "in": given.event,
        "door": given.door,
        "said": given.said if given.digits is None else given.digits,
        "reading": [reading.kind, reading.value, reading.why],
    }
    if heard and heard.session:
        session = heard.session
        event |= {
            "session": session.id,
            "flow": [session.flow, session.flow_hash],
            "turn": session.turn,
            "state": session.state,
            "language": session.language,
            "says": list(heard.says),
            "result": [session.outcome, session.disposition, session.rule, session.reason],
            "tasks": list(heard.tasks),
        }
    return json.loads(json.dumps(event, ensure_ascii=True))  # type: ignore[no-any-return]  # a plain copy, no surrogate
