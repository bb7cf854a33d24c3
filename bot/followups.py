"""A due effect -> what is done about it. The one place that hands a text to the carrier.

Asks conversation.py what to say now (conditions, consent, quiet hours and caps are judged there, at this moment), sends
it, and tells the ledger what came of it. Holds no state; runs again after a crash and then says so.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

from bot.carrier import CarrierError, backoff
from bot.conversation import Conversation, Outgoing

LANDLINE = frozenset({21614, 30006})  # no text ever arrives there; a call does
MAX_ATTEMPTS = 8  # with doubling from 2 s to 15 min this is about half an hour of trying


@dataclass(frozen=True, slots=True)
class Result:
    """``done`` | ``put_off`` (until *at*; *fresh*: it was not tried) | ``buried`` (a person must look), and why."""

    status: str
    why: str
    at: float = 0.0
    fresh: bool = False


class Sender(Protocol):
    """bot/carrier.Carrier, or a double that speaks the same."""

    def text(self, to: str, body: str, effect_id: str) -> str: ...
    def call(self, to: str, effect_id: str) -> str: ...


@dataclass(frozen=True)
class Office:
    """What a handler needs. *keep_sender* remembers whose text it is before it goes out, *sent* notes its SID, *seen*
    tells whether the carrier ever spoke of it (a send whose answer was lost, but whose callback came). *allowed*: whether
    the number's country is written to or called."""

    conversation: Conversation
    carrier: Sender
    now: Callable[[], float]
    keep_sender: Callable[[str, str], None]
    sent: Callable[[str, str], object]
    seen: Callable[[str], object | None]
    allowed: Callable[[str], bool] = lambda phone: True


def carry_out(office: Office, effect_id: str, kind: str, body: bytes, *, attempt: int, redo: bool) -> Result:
    """Do one due effect. *redo*: an earlier attempt may have sent it already."""
    told: dict[str, Any] = json.loads(body)
    patient = str(told["p"])
    out = _outgoing(office, patient, effect_id, kind, told)
    if out.later is not None:
        return Result("put_off", out.why, out.later, fresh=True)
    if not out.body and not out.call:
        return Result("done", out.why)
    if not office.allowed(out.phone):
        office.conversation.note(patient, f"abroad:{effect_id}", tasks=("abroad",), why="not an allowed country")
        return Result("done", "the number's country is not in ALLOWED_REGIONS")
    if redo:
        if office.seen(effect_id):
            return Result("done", "sent by an earlier attempt; its callback says so")
        office.conversation.note(patient, f"redo:{effect_id}", tasks=("ambiguous_send",), why="may have been sent")
        return Result("done", "an earlier attempt may have sent it: a person looks, nothing is sent twice")
    return _send(office, patient, effect_id, out, attempt)


def _outgoing(office: Office, patient: str, effect_id: str, kind: str, told: dict[str, Any]) -> Outgoing:
    if kind == "silence":
        return office.conversation.tick(patient, effect_id, told)
    if kind == "follow_up":
        return office.conversation.follow_up(patient, effect_id, told)
    if kind == "call":
        return office.conversation.place_call(patient, effect_id, told)
    if kind == "text":
        return office.conversation.asked_for(patient, effect_id, told)
    raise KeyError(f"There is no effect kind {kind!r}.")


def _send(office: Office, patient: str, effect_id: str, out: Outgoing, attempt: int) -> Result:
    office.keep_sender(effect_id, patient)
    try:
        carrier = office.carrier
        sid = carrier.call(out.phone, effect_id) if out.call else carrier.text(out.phone, out.body or "", effect_id)
    except CarrierError as error:
        return _failed(office, patient, effect_id, error, attempt)
    office.sent(effect_id, sid)
    return Result("done", "sent")


def _failed(office: Office, patient: str, effect_id: str, error: CarrierError, attempt: int) -> Result:
    note = office.conversation.note
    if error.kind == "retry" and attempt < MAX_ATTEMPTS:
        return Result("put_off", f"carrier busy (code {error.code})", office.now() + backoff(attempt))
    if error.kind == "configuration":
        note(patient, f"failed:{error.kind}:{effect_id}", tasks=("configuration",), why=f"carrier code {error.code}")
        return Result("put_off", f"configuration (code {error.code})", office.now() + 900)
    if error.kind == "opted_out":
        note(patient, f"failed:{error.kind}:{effect_id}", opted_out=True, why="carrier code 21610")
        return Result("done", "the carrier says this phone has opted out")
    task = "ambiguous_send" if error.kind == "unknown" else "undelivered"
    facts = frozenset({"landline"}) if error.code in LANDLINE else frozenset()
    why = f"carrier {error.kind}, code {error.code}"
    note(patient, f"failed:{error.kind}:{effect_id}", tasks=(task,), facts=facts, why=why)
    return Result("buried", f"carrier {error.kind} (code {error.code})")
