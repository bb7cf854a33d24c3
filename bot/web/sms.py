"""POST /sms: one text of a patient in, one answer out. Dedupe key: MessageSid."""

from __future__ import annotations

from flask import Request, Response

from bot import twiml
from bot.web import parameters
from bot.web.desk import Desk, twiml_response


def receive(desk: Desk, request: Request) -> Response:
    """The stored or new answer to the text; empty for a sender that is no phone (a short code, a chat id)."""
    text = parameters.inbound_message(desk.signed_form(request))
    desk.ours(text.account, text.to, text.service)
    if text.phone is None:
        # Another machine: an answer would start a loop, and no patient can be reached there.
        return twiml_response(twiml.EMPTY.encode())
    answer = desk.conversation.hear(text.phone, "sms", text.said, text.sid, opt_out_type=text.opt_out_type)
    return twiml_response(answer)
