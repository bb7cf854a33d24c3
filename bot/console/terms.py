"""Codes of the program -> the words staff read. Unknown codes are shown as they are, never hidden."""

from __future__ import annotations

import re
from collections.abc import Callable

from bot.console.languages import sentence
from bot.proof import words_of_guard
from bot.proof.graph import label_of

OUTCOMES = {
    "pmr": sentence("doctor (PM&R)"),
    "pt": sentence("physical therapist"),
    "both": sentence("doctor and physical therapist"),
    "emergency": sentence("emergency"),
    "urgent": sentence("to be seen today"),
}
ENDS = {
    **OUTCOMES,
    "staff": sentence("handed to staff"),
    "minor": sentence("under 18"),
    "expired": sentence("stopped answering"),
    "opted_out": sentence("wrote STOP"),
}
_NUMBER = re.compile(r"\d+")
_ANSWERED = re.compile(r"(sms|voice) answer in (\w+ \w+)")
CHANNELS = {"sms": sentence("text"), "voice": sentence("call")}
LANGUAGES = {"en": sentence("English"), "es": sentence("Spanish")}
READINGS = {
    "answer": sentence("read as the answer"),
    "command": sentence("read as the command"),
    "emergency": sentence("read as an emergency sign"),
    "opt_out": sentence("read as STOP"),
    "opt_in": sentence("read as START"),
    "info": sentence("read as a question about"),
    "minor": sentence("read as: under 18, or about a child"),
    "silence": sentence("no reply came"),
    "unclear": sentence("not understood"),
}
DELIVERY = {
    "waiting": sentence("waits to be sent"),
    "handed": sentence("handed to the carrier"),
    "accepted": sentence("taken by the carrier"),
    "scheduled": sentence("taken by the carrier"),
    "queued": sentence("taken by the carrier"),
    "sending": sentence("on its way"),
    "sent": sentence("sent to the phone company"),
    "delivered": sentence("delivered"),
    "read": sentence("read"),
    "undelivered": sentence("not delivered"),
    "failed": sentence("failed"),
    "canceled": sentence("cancelled"),
}
ROLES = {
    "viewer": sentence("viewer"),
    "nurse": sentence("nurse"),
    "manager": sentence("manager"),
    "administrator": sentence("administrator"),
}


PLACES = {
    "*": sentence("any question"),
    "@handover": sentence("another flow"),
}


def state(say: Callable[[str], str], code: str) -> str:
    """A state of a flow as *say* calls it, or what stands for one in a step."""
    return say(PLACES[code]) if code in PLACES else label_of(code.removeprefix(">"), say)


def value(say: Callable[[str], str], code: object) -> str:
    """An answer or another name of a flow as *say* calls it."""
    return words_of_guard.plain(code, say)


STOPS = (
    sentence("today's spending limit is reached"),
    sentence("the carrier refuses our credentials or set-up (code {n})"),
    sentence("{n} failures in a row"),
)


def stop_why(say: Callable[..., str], why: str) -> str:
    """Why the program itself stopped all sending (bot/sending.py)."""
    number = _NUMBER.search(why)
    says = why.replace(number[0], "{n}") if number else why
    return say(says, n=number[0] if number else "") if says in STOPS else why


def source(say: Callable[..., str], kept: str) -> str:
    """Where a consent came from: an answer in a flow (bot/work.py) in words, what a person wrote as it is."""
    found = _ANSWERED.fullmatch(kept)
    return say("by {channel}, flow {flow}", channel=say(CHANNELS[found[1]]), flow=found[2]) if found else kept


def plain(code: object) -> str:
    """A code without words of its own, readable: screen_a -> screen a."""
    return str(code).replace("_", " ")
