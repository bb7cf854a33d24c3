"""A due effect -> what is done about it. The one place that hands a text or a call to the carrier.

Asks conversation.py what to say now (conditions, consent, quiet hours and caps are judged there, at this moment) and
sending.py whether anything may be sent, marks it in the ledger, sends it, and says what came of it. Holds no state; a
send that may have happened already is looked up first (reconcile.py).
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

from bot.alerts import Alerts
from bot.carrier import CarrierError, backoff
from bot.conversation import CALL_SECONDS, Conversation
from bot.counts import delivered
from bot.outgoing import Outgoing
from bot.outreach.roster import STEP
from bot.outreach.sender import CampaignSender
from bot.outreach.steps import Steps
from bot.reconcile import SETTLE_SECONDS, Lister, reconcile
from bot.reports import ENDED, Reports
from bot.retention import Retention
from bot.sending import Gate, Stop
from bot.store.counted import Counted
from bot.store.heard import UNREAD
from bot.store.model import Begun, Claim
from bot.store.retain import KIND as RETENTION
from bot.store.runner import Call
from bot.store.sends import Sends
from bot.undelivered import Lost
from bot.unread import Unread
from bot.wording import segments

MAX_TRIES = 100  # with doubling from 2 s to 15 min this is a day of trying
HOLD_SECONDS = 60.0  # how often what is held looks whether sending goes on
LOOK_SECONDS = 20.0  # between two looks for a send whose answer was lost


@dataclass(frozen=True, slots=True)
class Result:
    """``done`` | ``put_off`` (until *at*; *fresh*: it was not tried; *unsure*: it may have been sent) | ``buried`` (a
    person must look) | ``lost`` (somebody else has it), and why. *settled*: the ledger knows it already."""

    status: str
    why: str
    at: float = 0.0
    fresh: bool = False
    unsure: bool = False
    settled: bool = False


class Sender(Lister, Protocol):
    """bot/carrier.Carrier, or a double that speaks the same."""

    def text(self, to: str, body: str, effect_id: str) -> str: ...
    def call(self, to: str, effect_id: str) -> str: ...
    def call_state(self, sid: str) -> tuple[str, str | None, int | None]: ...


@dataclass(frozen=True)
class Office:
    """What a handler needs. *segment*, *call* and *minute* are prices, in millionths; *settle*: seconds until nothing found at
    the carrier is believed. *allowed*: whether the number's country is written to or called."""

    conversation: Conversation
    carrier: Sender
    now: Callable[[], float]
    sends: Sends
    gate: Gate
    segment: int = 0
    call: int = 0
    minute: int = 0
    settle: float = SETTLE_SECONDS
    allowed: Callable[[str], bool] = lambda phone: True
    outreach: CampaignSender | None = None
    steps: Steps | None = None
    alerts: Alerts | None = None
    retention: Retention | None = None
    unread: Unread | None = None


def carry_out(office: Office, claim: Claim, begun: Begun) -> Result:
    """Do one due effect; a campaign's roster hears what came of it."""
    if begun.kind == RETENTION and office.retention is not None:
        return Result("put_off", "swept", office.retention.sweep(claim.id, office.now()), fresh=True)
    if begun.kind == UNREAD and office.unread is not None:
        return Result("put_off", "swept", office.unread.sweep(office.now()), fresh=True)
    if begun.kind == STEP and office.steps is not None:
        again = office.steps.go_on(claim.id, str(json.loads(begun.body)["c"]))
        return Result("done", "done") if again is None else Result("put_off", "goes on", again, fresh=True)
    if begun.kind == "call_end":
        return _call_end(office, str(json.loads(begun.body)["of"]))
    campaign = office.outreach if begun.kind == "outreach" else None
    try:
        result = _carry_out(office, claim, begun)
    except (ValueError, KeyError, TypeError, AttributeError):
        if campaign is not None:
            campaign.note(claim.id, "buried", "a fault of ours")  # the executor buries it
        raise
    if campaign is not None and not result.settled:
        campaign.note(claim.id, result.status, result.why)
    return result


def _carry_out(office: Office, claim: Claim, begun: Begun) -> Result:
    told: dict[str, Any] = json.loads(begun.body)
    if begun.kind == "alert":
        return _alert(office, claim, told)
    patient, safety, unsure = str(told["p"]), bool(told.get("safety")), begun.status == "redo"
    stop, spent = (None, 0) if safety else office.gate.look()
    # Silence is noticed even while nothing may be sent, because a task for a person can come of it.
    if stop and not unsure and begun.kind != "silence":
        return _held(office, stop)
    out = _outgoing(office, patient, claim.id, begun.kind, told, unsure=unsure)
    if out.later is not None:
        return Result("put_off", out.why, out.later, fresh=True, unsure=unsure)
    if not out.body and not out.call:
        return Result("done", out.why)
    if not office.allowed(out.phone):
        office.conversation.note(patient, f"abroad:{claim.id}", tasks=("abroad",), why="not an allowed country")
        return Result("done", "the number's country is not in ALLOWED_REGIONS")
    cost = office.call if out.call else office.segment * segments(out.body or "").count
    if unsure:
        found = _looked_up(office, claim, begun, patient, out, safety, cost)
        if found is not None:
            return found
        if begun.kind == "outreach" and office.outreach is not None and not office.outreach.runs(told):
            if office.outreach.is_over(told):
                return Result("done", "cancelled")  # it was looked up: it had not been sent
            return Result("put_off", "the campaign does not run", office.now() + LOOK_SECONDS, unsure=True)
    if stop:
        return _held(office, stop)
    if not safety and not office.gate.affords(cost, spent):
        return _held(office, office.gate.stopped())
    return _send(office, claim, begun.kind, told, out, cost)


def _alert(office: Office, claim: Claim, told: dict[str, Any]) -> Result:
    """To staff, not to a patient: neither their hours nor the stop of their texts hold it. One that died half-way is told
    again."""
    if office.alerts is None:
        return Result("done", "no staff channel is set")
    why, again = office.alerts.ring(claim.id, told)
    return Result("done", why) if again is None else Result("put_off", why, again, fresh=True)


def _call_end(office: Office, effect_id: str) -> Result:
    """A call of ours should be over by now. Twilio reports that once and never again, so what was not heard is asked for."""
    known = office.sends.known(effect_id)
    if known is None or not known.sid:
        gone = office.sends.is_gone(effect_id)
        return Result("done", "never placed") if gone else _not_over(office, "not placed yet")
    try:
        status, by, seconds = office.carrier.call_state(known.sid)
    except CarrierError as error:
        if error.kind != "permanent":
            return _not_over(office, f"carrier {error.kind}, code {error.code}")
        status, by, seconds = "failed", None, None  # a call that the carrier does not know reached nobody
    if status not in ENDED:
        return _not_over(office, "it goes on")
    reports = Reports(office.sends.store, office.conversation, office.now, office.minute)
    reports.call_status(known.sid, status, seconds=seconds, sequence=None, answered_by=by, effect_id=effect_id)
    return Result("done", status)


def _not_over(office: Office, why: str) -> Result:
    return Result("put_off", why, office.now() + CALL_SECONDS, fresh=True)


def _outgoing(
    office: Office, patient: str, effect_id: str, kind: str, told: dict[str, Any], *, unsure: bool
) -> Outgoing:
    if kind == "silence":
        return office.conversation.tick(patient, effect_id, told)
    if kind == "follow_up":
        return office.conversation.follow_up(patient, effect_id, told)
    if kind == "call":
        return office.conversation.place_call(patient, effect_id, told)
    if kind == "text":
        # One of a campaign that is sent again: it may have been paused or taken back meanwhile.
        held = office.outreach.holds(effect_id, told, office.now()) if "c" in told and office.outreach else None
        return held or office.conversation.asked_for(patient, effect_id, told)
    if kind == "outreach" and office.outreach is not None:
        return office.outreach.outgoing(office.conversation, patient, effect_id, told, office.now(), unsure=unsure)
    raise KeyError(f"There is no effect kind {kind!r}.")


def _held(office: Office, stop: Stop | None) -> Result:
    """What is due stays due, and looks again within a minute or two, not all at the same moment."""
    at = office.now() + HOLD_SECONDS * (0.5 + random.random())  # noqa: S311  # jitter, not a secret
    until = stop.until if stop and stop.until is not None else at
    return Result("put_off", f"sending is stopped: {stop.cause if stop else 'spending'}", min(at, until), fresh=True)


def _looked_up(
    office: Office, claim: Claim, begun: Begun, patient: str, out: Outgoing, safety: bool, cost: int
) -> Result | None:
    """None: it was not sent and may be now. Emergency advice does not wait for certainty: twice is better than never."""
    settle = 0.0 if safety else office.settle
    found = reconcile(office.carrier, office.sends, office.gate, claim.id, out, begun, now=office.now(), settle=settle)
    if found == "done":
        office.gate.worked(cost, "call" if out.call else "text", patient, claim.id)  # it died before it could say so
        return Result("done", "an earlier attempt had sent it")
    if found == "wait":
        return Result("put_off", "an earlier attempt may have sent it", office.now() + LOOK_SECONDS, unsure=True)
    if found == "person":
        office.conversation.note(
            patient, f"redo:{claim.id}", tasks=("ambiguous_send",), why="it may have been sent; nothing shows it"
        )
        return Result("buried", "unknown: it may have been sent; look at the carrier's log")
    return None


def _send(office: Office, claim: Claim, kind: str, told: dict[str, Any], out: Outgoing, cost: int) -> Result:
    patient = str(told["p"])
    marked = office.sends.mark(claim, patient, office.now(), kind, told)
    if not marked.tries:
        if office.sends.is_gone(claim.id):
            # A turn took it back after its words were decided and logged.
            office.conversation.kept_back(patient, claim.id, "the patient has moved on")
        return Result("lost", "claimed anew or cancelled")
    # Asked last, at every attempt, of the record as it was when it was marked: a claim, a STOP or a booking may have come
    # since it was decided.
    verdict = office.conversation.still(patient, claim.id, kind, told, marked.record, call=out.call)
    if not verdict.go:
        later = verdict.later
        return Result("done", verdict.why) if later is None else Result("put_off", verdict.why, later, fresh=True)
    try:
        carrier = office.carrier
        sid = carrier.call(out.phone, claim.id) if out.call else carrier.text(out.phone, out.body or "", claim.id)
    except CarrierError as error:
        return _failed(office, claim, kind, told, error, marked.tries)
    _took(office, claim, kind, sid, office.gate.took(cost, "call" if out.call else "text", patient, claim.id))
    return Result("done", "sent", settled=True)


def _took(office: Office, claim: Claim, kind: str, sid: str, paid: Call) -> None:
    """The carrier has it: everything that is written of that, in one round trip. The effect itself goes last, so that who
    dies in the middle leaves it to be looked up."""
    moved = office.outreach.took(claim.id) if kind == "outreach" and office.outreach is not None else None
    calls = [paid, office.sends.took(claim.id, sid, office.now()), *([moved] if moved else [])]
    found = office.sends.store.run_all([*calls, office.sends.store.finished(claim.id)])
    office.gate.works_again(int(found[0]))


def _failed(office: Office, claim: Claim, kind: str, told: dict[str, Any], error: CarrierError, tries: int) -> Result:
    patient = str(told["p"])
    why = f"carrier {error.kind}, code {error.code}"
    if error.kind == "configuration":
        office.gate.refused(error.code)
        return _held(office, office.gate.stopped())
    if error.kind in ("away", "unknown"):
        office.gate.failed()
    if error.kind == "unknown":
        return Result("put_off", why, office.now() + LOOK_SECONDS, unsure=True)
    if error.kind in ("away", "busy") and tries < MAX_TRIES:
        return Result("put_off", why, office.now() + backoff(tries))
    count = delivered(office.now(), office.gate.zone.key, "refused", error.code)
    Counted(office.sends.store).add(count, patient, claim.id, office.now())
    lost = Lost(claim.id, kind, told, error.code, None)  # refused for good: nothing to send again
    office.conversation.not_arrived(patient, f"failed:{error.kind}:{claim.id}", lost)
    if error.kind == "opted_out":
        return Result("done", "the carrier says this phone has opted out")
    return Result("buried", why)
