"""POST /sms: one text of a patient in, one answer out. Dedupe key: MessageSid."""

from __future__ import annotations

from flask import Request, Response

from bot import twiml
from bot.reading.language import guess_language
from bot.web import parameters
from bot.web.desk import Desk, Document
from bot.web.limits import Urgency, Verdict
from bot.web.parameters import InboundMessage


def receive(desk: Desk, request: Request) -> Response:
    """The stored or new answer to the text; empty for a sender that is no phone (a short code, a chat id)."""
    text = parameters.inbound_message(desk.signed_form(request))
    desk.ours(text.account, text.to, text.service)
    if text.phone is None:
        # Another machine: an answer would start a loop, and no patient can be reached there.
        return Document(twiml.EMPTY.encode())
    verdict = desk.texts.judge(text.phone, text.sid, lambda: _urgency(desk, text)) if desk.texts else None
    if verdict and verdict.answer != "go":
        return _over_the_limit(desk, text, verdict)
    answer = desk.conversation.hear(text.phone, "sms", text.said, text.sid, opt_out_type=text.opt_out_type)
    return Document(answer)


def _urgency(desk: Desk, text: InboundMessage) -> Urgency:
    return "opt_out" if text.opt_out_type else desk.urgent(text.said)


def _over_the_limit(desk: Desk, text: InboundMessage, verdict: Verdict) -> Response:
    """One static answer to each phone and a task for a person; then silence towards the carrier, which costs nothing."""
    if verdict.answer == "silent":
        return Document(twiml.EMPTY.encode())
    desk.conversation.flooded(text.phone or "", f"flood:{text.sid}", alone=verdict.alone)
    return Document(desk.answers.apology("sms", guess_language(text.said)))
