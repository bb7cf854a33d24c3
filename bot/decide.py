"""One input and one record -> the turn: the next record, what is said, and everything to be written with it.

Pure: the clock, the ids and the tokens are handed in. Knows no storage, no web and no carrier; conversation.py loads
before it and commits after it, and may run it again when another turn came between.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from bot import engine, prompts
from bot.engine import Session, Step
from bot.flow import model
from bot.flow.inherit import listening, no_input_of
from bot.flow.load import Loaded
from bot.hearing import carrier_answers, count_echo, understand, what_is_asked
from bot.reading.language import guess_language
from bot.reading.model import Reading
from bot.record import CLOSED, WAITS, Record
from bot.turn import Clinic, Door, End, Heard, Input, Turn
from bot.work import Work

KNOWN = ("language_choice", "textable")  # what a walk is told by the program itself
REST_SECONDS = 24 * 3600  # a walk that rested longer is history: the next word starts a new one (SPEC I29)


def take(clinic: Clinic, patient: str, record: Record, given: Input, now: float) -> Turn:
    """One turn. Never raises for anything a patient can send."""
    expects = what_is_asked(clinic, record)
    record, reading = understand(clinic, record, given, expects)
    if given.event == "silence":
        if record.session is None or record.session.ended or clinic.of(record.session) is None:
            return _nothing(record, given, reading, now)
        return _move(clinic, patient, record, given, Reading("silence", why="no reply"), now)
    if record.opted_out and given.door == "sms" and reading.kind != "opt_in":
        return _after_stop(record, given, reading, now)
    if record.owner and reading.kind != "opt_out" and (given.door == "sms" or reading.kind != "emergency"):
        return _for_the_owner(clinic, record, given, reading, now)
    if given.door == "sms" and not clinic.may_text(record.phone):
        return _from_abroad(record, given, reading, now)
    record = record.but(unanswered=0)
    carrier = carrier_answers(clinic, given)
    if carrier == "help":
        return _nothing(record, given, reading, now)
    record, looping = count_echo(record, given, reading, now)
    if looping:
        turn = _nothing(record, given, reading, now)
        return turn.but(tasks=("echo",)) if looping == "first" else turn
    turn = _move(clinic, patient, record, given, reading, now)
    return turn.but(heard=turn.heard.but(silent=True)) if carrier else turn


def open_walk(
    clinic: Clinic,
    patient: str,
    record: Record,
    flow: str,
    door: Door,
    now: float,
    *,
    given: Input | None = None,
    known: Mapping[str, Any] | None = None,
) -> Turn:
    """The bot itself begins a walk of *flow*: a follow-up by text, or a call that was picked up. Consent, hours and caps
    are the caller's business. The language is the one the patient last used; *known*: answers that are known already. A
    flow that ``follows`` outcomes goes on from the patient's newest result."""
    loaded = clinic.flows[flow]
    language = record.language if record.session else clinic.language or record.language
    answers = _told(clinic, record, loaded, language) | dict(known or {})
    outcome = record.result if record.result in loaded.flow.follows else None
    session = Session(clinic.new_id(), loaded.flow.id, loaded.hash, language, door, answers=answers, outcome=outcome)
    step = _hand_over(clinic, record, engine.start(loaded, session))
    found = _written(
        clinic, patient, record, given or Input(door, event="call"), Reading("unclear", why="begun by us"), step, now
    )
    return replace(found, event={**found.event, "in": "begun", "opens": flow})


# -- before the engine -----------------------------------------------------------------------------------------------


def _after_stop(record: Record, given: Input, reading: Reading, now: float) -> Turn:
    """I34: the carrier would refuse any text, so a person must act; an emergency is never only stored."""
    alarm, wants = reading.kind == "emergency", reading.value == "human"
    fresh = alarm or wants or _first_word(record, "wrote_after_stop", now)
    task = "alarm_opted_out" if alarm else "person" if wants else "wrote_after_stop"
    turn = _nothing(record.but(facts=record.facts | {"wrote_after_stop"}), given, reading, now)
    return turn.but(tasks=(task,) if fresh else ())


def _from_abroad(record: Record, given: Input, reading: Reading, now: float) -> Turn:
    """No text may go there, so a person must act; STOP is obeyed all the same."""
    alarm = reading.kind == "emergency"
    fresh = alarm or _first_word(record, "wrote_from_abroad", now)
    record = record.but(facts=record.facts | {"wrote_from_abroad"}, opted_out=reading.kind == "opt_out")
    turn = _nothing(record, given, reading, now)
    return turn.but(tasks=("alarm_abroad" if alarm else "abroad",) if fresh else ())


def _first_word(record: Record, fact: str, now: float) -> bool:
    """The first since *fact*, or after a day of rest: then the task of the last one may be closed long since."""
    return fact not in record.facts or now - record.last_at > REST_SECONDS


def _for_the_owner(clinic: Clinic, record: Record, given: Input, reading: Reading, now: float) -> Turn:
    """A nurse has this patient: the bot says nothing of its own, so what is written is a task. A caller is put through to
    a person."""
    if reading.kind == "opt_in":
        record = record.but(opted_out=False)
    turn = _nothing(record, given, reading, now)
    if given.door == "voice":
        is_open = clinic.is_open(now)
        says = prompts.render(
            clinic.flows[clinic.first_flow],
            ("staff" if is_open else "closed",),
            turn.heard.language,
            "voice",
            clinic.values,
        )
        end: End = "dial" if is_open else "hangup"
        step = given.step or "start"
        heard = turn.heard.but(says=tuple(says), silent=False, end=end, step=step)
        return turn.but(heard=heard, tasks=() if is_open else ("person",))
    if reading.kind == "emergency":
        return turn.but(tasks=(str(reading.value),))
    return turn.but(
        record=turn.record.but(facts=record.facts | {WAITS}), tasks=("wrote",) * (WAITS not in record.facts)
    )


def _nothing(record: Record, given: Input, reading: Reading, now: float) -> Turn:
    session = record.session
    language = session.language if session else "en"
    heard = Heard(given.door, language, silent=True, end="hangup", reading=reading, session=session)
    return Turn(record.but(last_at=now), heard, event=_event(given, reading, None, now))


# -- the engine's turn -----------------------------------------------------------------------------------------------


def _move(clinic: Clinic, patient: str, record: Record, given: Input, reading: Reading, now: float) -> Turn:
    session, fresh = _session_for(clinic, record, given, reading, now)
    loaded = _version(clinic, session)
    if fresh:
        step = engine.begin(loaded, session, reading)
    elif _comes_back(loaded, record, given, reading, now):
        step = engine.resume(loaded, session, loaded.flow.resume.target if loaded.flow.resume else "")
        greeting = (loaded.flow.greeting,) if loaded.flow.greeting and given.event == "call" else ()
        step = replace(step, say=(*greeting, *step.say))
    elif given.event == "call":
        step = engine.look(loaded, session, first=(loaded.flow.greeting,) if loaded.flow.greeting else ())
    elif _not_an_answer(given, record, reading):
        step = engine.ask_again(loaded, session)
    else:
        step = engine.advance(loaded, session, reading)
    step = _hand_over(clinic, record, step)
    return _written(clinic, patient, record, given, reading, step, now)


def _session_for(clinic: Clinic, record: Record, given: Input, reading: Reading, now: float) -> tuple[Session, bool]:
    session = record.session
    stale = given.event != "silence" and now - record.last_at > _waits(clinic, session, given)
    over = session is not None and session.disposition in ("expired", "opted_out")
    done = session is not None and session.ended and given.event == "call"  # a new call is a new walk
    if session is None or stale or over or done or clinic.of(session) is None or _anew(clinic, session, reading):
        return _new_session(clinic, record, given), True
    if engine.event_of(reading) == "restart":
        session = session.but(id=clinic.new_id())
    return session.but(channel=given.door), False


def _anew(clinic: Clinic, session: Session, reading: Reading) -> bool:
    """RESTART in a follow-up is a new problem, as its texts say, not the same check-in once more."""
    event = engine.event_of(reading)
    again = event == "restart" or (event == "opt_in" and session.ended)
    return again and session.flow != clinic.first_flow


def _waits(clinic: Clinic, session: Session | None, given: Input) -> float:
    """Seconds until a walk is history. A text answers a question by text for as long as its flow lets it wait."""
    loaded = clinic.of(session) if session else None
    state = loaded.states.get(session.state) if loaded and session and not session.ended else None
    if not isinstance(state, model.Question) or session is None or loaded is None:
        return REST_SECONDS
    if (given.door, session.channel) != ("sms", "sms") or "sms" not in loaded.flow.channels:
        return REST_SECONDS
    policy = no_input_of(loaded, state, "sms")
    return max(REST_SECONDS, model.minutes(policy.expire_after) * 60) if isinstance(policy, model.SmsSilence) else 0


def _version(clinic: Clinic, session: Session) -> Loaded:
    loaded = clinic.of(session)
    if loaded is None:
        raise LookupError("A walk goes on only in a version that is kept.")
    return loaded


def _new_session(clinic: Clinic, record: Record, given: Input) -> Session:
    loaded = clinic.flows[clinic.first_flow]
    known = clinic.language or (record.session.language if record.session else None)
    if given.door == "sms":
        known = known or guess_language(given.said)
    answers = _told(clinic, record, loaded, known)
    return Session(clinic.new_id(), loaded.flow.id, loaded.hash, known or "en", given.door, answers=answers)


def textable(clinic: Clinic, record: Record) -> bool:
    """Whether a text may go to this patient's phone at all."""
    phone = record.phone
    barred = record.opted_out or "landline" in record.facts
    return not barred and phone.startswith("+") and clinic.may_text(phone)


def _told(clinic: Clinic, record: Record, loaded: Loaded, language: str | None) -> dict[str, Any]:
    """What a walk of this flow is told at its beginning, of what it has names for: the language, when it is known, and
    that no text may go to this phone."""
    told = {"language_choice": language} if language else {}
    told |= {} if textable(clinic, record) else {"textable": "no"}
    return {name: value for name, value in told.items() if name in loaded.flow.context}


def _not_an_answer(given: Input, record: Record, reading: Reading) -> bool:
    """A stale key of an old step, or a reply to a question that was asked on the other channel: it is asked again."""
    session = record.session
    if session is None:
        return False
    if reading.kind not in ("answer", "unclear", "silence"):
        return False  # an alarm, an opt-out or a command counts whenever it is said
    if given.step is not None and given.step != str(session.turn):
        return True
    return given.door != session.channel and reading.kind != "silence" and not session.ended


def _comes_back(loaded: Loaded, record: Record, given: Input, reading: Reading, now: float) -> bool:
    """So late, or on the other channel, that the safety screens may no longer be true."""
    resume, session, idle = loaded.flow.resume, record.session, now - record.last_at
    if resume is None or session is None or session.ended or idle < model.minutes(resume.after) * 60:
        return False
    if given.event != "said" or reading.kind not in ("answer", "unclear", "silence"):
        return given.event == "call"  # an alarm, an opt-out or a command counts whenever it is said
    return given.door != session.channel or (idle > REST_SECONDS and resume.target in session.trail)


def _hand_over(clinic: Clinic, record: Record, step: Step) -> Step:
    for _ in range(5):
        if step.handover is None:
            return step
        flow, state = step.handover
        loaded = clinic.flows[flow]
        # What was answered or found in an earlier walk is no answer of this one, nor a result but where the flow follows it.
        told, before = _told(clinic, record, loaded, None), step.session.outcome
        session = replace(
            step.session, flow=flow, flow_hash=loaded.hash, answers=told, trail=(), ended=False,
            outcome=before if before in loaded.flow.follows else None, rule=None, reason=None,
        )  # fmt: skip
        after = engine.start(loaded, session, at=state, greet=False)
        step = replace(after, say=(*step.say, *after.say), effects=(*step.effects, *after.effects))
    return step


def _written(
    clinic: Clinic, patient: str, record: Record, given: Input, reading: Reading, step: Step, now: float
) -> Turn:
    work = Work(clinic, patient, record, step, now)
    for effect in step.effects:
        work.perform(effect)
    work.tasks += _beside_stop(record, reading)
    session = step.session
    loaded = _version(clinic, session)
    says = prompts.render(
        loaded, step.say, session.language, given.door, {**clinic.values, **step.values, **work.values}
    )
    end: End = step.end
    if given.door == "voice" and session.outcome == "emergency" and end == "hangup":
        says *= 2  # said twice, then the line is freed so that the caller can dial
    if given.door == "voice" and end == "dial" and not clinic.is_open(now):
        says += prompts.render(loaded, (*no_person(clinic, "closed"),), session.language, "voice", clinic.values)
        end = "offer" if clinic.voicemail else "hangup"
        if "person" not in work.tasks:
            work.tasks.append("person")
    question, listen = engine.waiting(loaded, session), listening(loaded, session.state)
    heard = Heard(
        given.door,
        session.language,
        tuple(says),
        end,
        str(session.turn),
        question,
        clinic.hints(question, session.language) if question and given.door == "voice" else (),
        (listen.timeout, listen.speech),
        reading=reading,
        session=session,
        tasks=tuple(work.tasks),
    )
    return Turn(
        _next_record(work.record, session, reading, now, begins=session.flow == clinic.first_flow, says=bool(says)),
        heard,
        tuple(work.later),
        tuple(work.dropped),
        tuple(work.tasks),
        tuple(work.links),
        _event(given, reading, heard, now) | work.notes,
    )


def _beside_stop(record: Record, reading: Reading) -> tuple[str, ...]:
    """What was said together with STOP: that it is the wrong number, or "call me", which only a person may do now."""
    if reading.kind != "opt_out" or (reading.value == "wrong_number" and "wrong_number" in record.facts):
        return ()
    return ("wrong_number",) if reading.value == "wrong_number" else ("person",) if reading.value == "human" else ()


def no_person(clinic: Clinic, why: str) -> tuple[str, ...]:
    """What a caller hears when nobody can be put through: *why* (``closed`` or ``no_one``), and the offer to record."""
    return (why, "offer_message") if clinic.voicemail else (why, "goodbye")


def _next_record(record: Record, session: Session, reading: Reading, now: float, *, begins: bool, says: bool) -> Record:
    """*begins*: the walk is of the first flow, so a new one is a new matter. *says*: a timer that ran out and says nothing
    is no sign of life."""
    before, record = (
        record.session,
        record.but(session=session, last_at=now if says or reading.kind != "silence" else record.last_at),
    )
    record = record.but(result=session.outcome or record.result)
    if reading.kind in ("opt_out", "opt_in"):
        facts = record.facts - {"wrote_after_stop", "wrong_number"}
        facts |= {"wrong_number"} if reading.value == "wrong_number" else frozenset()
        record = record.but(opted_out=reading.kind == "opt_out", facts=facts)
    elif session.disposition == "opted_out" and session.ended:
        record = record.but(opted_out=True)  # by a key or an answer that a flow takes for STOP
    if begins and (before is None or session.id != before.id):
        gone = {"linked", "link_opened", CLOSED} | (set() if record.visit_at > now else {"booked", "confirmed"})
        record = record.but(started_at=now, facts=record.facts - gone)
    return record


def _event(given: Input, reading: Reading, heard: Heard | None, now: float) -> dict[str, Any]:
    """The line of the patient's log for this turn: enough to replay it, and to show it to a nurse."""
    event: dict[str, Any] = {  # plain JSON: numbers, words, lists
        "at": now,
        "in": given.event,
        "door": given.door,
        "said": given.said if given.digits is None else given.digits,
        "reading": [reading.kind, reading.value, reading.why],
    }
    # Kept only when they say something: a line must carry all that came in, to be run again (bot/eventlog.py).
    event |= {"keys": True} if given.digits is not None else {}
    event |= {"step": given.step} if given.step is not None else {}
    event |= {"type": given.opt_out_type} if given.opt_out_type else {}
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
    return event
