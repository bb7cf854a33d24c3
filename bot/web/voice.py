"""The phone call's documents: its start, each answer (a Gather's action), and how a transfer went (a Dial's action).

Dedupe key: CallSid + step token, so a repeated request gets the same bytes. Never answers with a redirect: Twilio
drops the caller's digits on a 3xx.
"""

from __future__ import annotations

from flask import Request, Response

from bot import twiml
from bot.web import parameters
from bot.web.desk import Desk, Document
from bot.web.parameters import Call

_ENDED = frozenset({"completed", "busy", "failed", "no-answer", "canceled"})


def start(desk: Desk, request: Request) -> Response:
    """A call begins. Too many: the static answer and a task for a person; when that is used up, the busy tone."""
    call = _call(desk, request)
    verdict = desk.calls.judge(call.phone, f"{call.sid}:start") if desk.calls else None
    if verdict and verdict.answer == "silent":
        return Document(twiml.reject("busy").encode())
    if verdict and verdict.answer == "static":
        if call.phone.startswith("+"):
            desk.conversation.flooded(call.phone, f"flood:{call.sid}", alone=verdict.alone)
        return Document(desk.answers.apology("voice"))
    return Document(desk.conversation.hear(call.phone, "voice", "", f"{call.sid}:start"))


def answer(desk: Desk, request: Request, step: str) -> Response:
    """Keys, speech or silence after the question with token *step*."""
    call = _call(desk, request)
    if call.status in _ENDED and call.digits is None and not call.speech:
        # The caller hung up; that is not a silence to be counted, and nobody would hear the answer.
        return Document(twiml.EMPTY.encode())
    key = f"{call.sid}:{step}"
    heard = desk.conversation.hear(call.phone, "voice", call.speech, key, step=step, digits=call.digits)
    return Document(heard)


def dialled(desk: Desk, request: Request, step: str) -> Response:
    """A person was dialled: picked up, busy, no answer, failed."""
    call = _call(desk, request)
    key = f"{call.sid}:{step}:dialled"
    return Document(desk.conversation.dialled(call.phone, key, step=step, status=call.dialled or "failed"))


def wants_message(desk: Desk, request: Request, step: str) -> Response:
    """Whether the caller wants to leave a recorded message."""
    call = _call(desk, request)
    key = f"{call.sid}:{step}:message"
    return Document(desk.conversation.wants_message(call.phone, key, step=step, said=call.speech, digits=call.digits))


def recorded(desk: Desk, request: Request, step: str) -> Response:
    """A message was recorded, or silence."""
    call = _call(desk, request)
    key = f"{call.sid}:{step}:recorded"
    return Document(desk.conversation.left_message(call.phone, key, step=step, recording=call.recording))


def picked_up(desk: Desk, request: Request, effect: str) -> Response:
    """A call of ours was picked up, by a human or a machine."""
    call = _call(desk, request)
    return Document(desk.conversation.picked_up(call.phone, f"{call.sid}:start", effect_id=effect, by=call.answered_by))


def _call(desk: Desk, request: Request) -> Call:
    call = parameters.call(desk.signed_form(request))
    desk.ours(call.account, call.ours)
    return call
