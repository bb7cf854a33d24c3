"""The phone call's documents: its start, each answer (a Gather's action), and how a transfer went (a Dial's action).

Dedupe key: CallSid + step token, so a repeated request gets the same bytes. Never answers with a redirect: Twilio
drops the caller's digits on a 3xx.
"""

from __future__ import annotations

from flask import Request, Response

from bot import twiml
from bot.turn import Input
from bot.web import parameters
from bot.web.desk import Desk, twiml_response
from bot.web.parameters import Call

_REACHED = frozenset({"completed", "answered"})
_ENDED = frozenset({"completed", "busy", "failed", "no-answer", "canceled"})


def start(desk: Desk, request: Request) -> Response:
    """A call begins."""
    call = _call(desk, request)
    return twiml_response(_turn(desk, call, Input("voice", event="call"), "start"))


def answer(desk: Desk, request: Request, step: str) -> Response:
    """Keys, speech or silence after the question with token *step*."""
    call = _call(desk, request)
    if call.status in _ENDED and call.digits is None and not call.speech:
        # The caller hung up; that is not a silence to be counted, and nobody would hear the answer.
        return twiml_response(twiml.EMPTY.encode())
    return twiml_response(_turn(desk, call, Input("voice", said=call.speech, digits=call.digits, step=step), step))


def dialled(desk: Desk, request: Request, step: str, language: str) -> Response:
    """A person was dialled. Not reached: a task first, then the promise of a call back; hidden numbers get none."""
    call = _call(desk, request)
    if call.dialled in _REACHED:
        return twiml_response(twiml.speak_and_hang_up([]).encode())
    promise = call.phone.startswith("+")
    if promise:
        patient = desk.conversation.patient_id(call.phone)
        key = f"{call.sid}:{step}:dialled"
        desk.conversation.note(patient, key, tasks=("person",), why="the nurse line was not reached")
    return twiml_response(desk.answers.nobody(language, promise=promise))


def _turn(desk: Desk, call: Call, given: Input, step: str) -> bytes:
    return desk.conversation.hear(call.phone, given, f"{call.sid}:{step}", desk.answers.render)


def _call(desk: Desk, request: Request) -> Call:
    call = parameters.call(desk.signed_form(request))
    desk.ours(call.account, call.ours)
    return call
