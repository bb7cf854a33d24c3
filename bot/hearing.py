"""What came in, understood: by the open question, without the ZIP code stated in it, and as the carrier took it. Pure.

Decides nothing about the walk; decide.py does.
"""

from __future__ import annotations

import hashlib
from dataclasses import replace
from typing import Literal

from bot import engine
from bot.consent import CARRIER_HELP, CARRIER_START, CARRIER_STOP
from bot.flow import model
from bot.places import zip_state
from bot.reading.model import Expects, Reading
from bot.reading.zip_code import stated
from bot.record import Record
from bot.turn import Clinic, Input

ECHO_SECONDS, ECHO_LIMIT = 1800, 5  # the same text more than 5 times in 30 minutes is a machine (Medic CHT's limit)


def what_is_asked(clinic: Clinic, record: Record) -> Expects | None:
    """What the open question takes; None when nothing is asked."""
    session = record.session
    loaded = clinic.of(session) if session else None
    return engine.waiting(loaded, session) if session and loaded else None


def understand(clinic: Clinic, record: Record, given: Input, expects: Expects | None) -> tuple[Record, Reading]:
    """What was said, read without the ZIP code that was stated in it, which the record keeps."""
    asked = expects is not None and expects.type == "scale0_10"
    zip_code, rest = stated(given.said, asked=asked) if given.digits is None else ("", "")
    if not zip_state(zip_code):
        return record, _read(clinic, record, given, expects)
    read = (
        _read(clinic, record, replace(given, said=rest), expects) if rest else Reading("command", "zip", "a ZIP code")
    )
    return record.but(zip_code=zip_code), read


def _read(clinic: Clinic, record: Record, given: Input, expects: Expects | None) -> Reading:
    if given.event == "call":
        return Reading("unclear", why="a call begins")
    if given.opt_out_type in ("STOP", "START"):
        return Reading("opt_out" if given.opt_out_type == "STOP" else "opt_in", why="the carrier says so")
    if given.digits is not None and (key := _event_key(clinic, record, given.digits)):
        return Reading(key, why="a key that the question names")
    channel = "sms" if given.door == "sms" else "dtmf" if given.digits is not None else "speech"
    said = given.digits if given.digits is not None else given.said
    language = record.session.language if record.session else clinic.language or "en"
    reading = clinic.read(said, expects, language, channel)
    if reading.kind == "silence" and given.door == "sms":
        return Reading("unclear", why="a message without words")  # a picture is no silence: the patient is there
    return reading


def _event_key(clinic: Clinic, record: Record, digits: str) -> Literal["opt_out"] | None:
    session = record.session
    loaded = clinic.of(session) if session and not session.ended else None
    state = loaded.states.get(session.state) if session and loaded else None
    return state.takes.keys.get(digits) if isinstance(state, model.Question) else None


def carrier_answers(clinic: Clinic, given: Input) -> str | None:
    """Which keyword Twilio has already answered by itself (twilio.md section D); None when answering is ours."""
    return answered_by_carrier(given, clinic.opt_out_mode)


def answered_by_carrier(given: Input, mode: str) -> str | None:
    """The same by the OPT_OUT_MODE alone."""
    if given.door != "sms":
        return None
    if given.opt_out_type:
        return given.opt_out_type.lower()
    if mode != "twilio":
        return None
    word = given.said.strip().upper()
    for name, words in (("stop", CARRIER_STOP), ("start", CARRIER_START), ("help", CARRIER_HELP)):
        if word in words:
            return name
    return None


def count_echo(record: Record, given: Input, reading: Reading, now: float) -> tuple[Record, str | None]:
    """``first`` or ``more`` when the same text came so often that a machine must be sending it."""
    if given.door != "sms" or reading.kind == "answer" or not given.said.strip():
        return record, None
    mark = hashlib.blake2b(given.said.strip().lower().encode("utf-8", "replace"), digest_size=6).hexdigest()
    echoes = (*((old, at) for old, at in record.echoes if at > now - ECHO_SECONDS), (mark, now))
    same = sum(old == mark for old, _ in echoes)
    looping = None if same <= ECHO_LIMIT else "first" if same == ECHO_LIMIT + 1 else "more"
    return record.but(echoes=echoes[-20:]), looping
