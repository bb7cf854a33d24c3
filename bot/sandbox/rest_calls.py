"""The REST double for calls: create, fetch, list and update, as the unmodified twilio client speaks to them."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, request

from bot.sandbox.calls import Calls
from bot.sandbox.line import Plan
from bot.sandbox.model import API_VERSION, RefusedError
from bot.sandbox.player import Call
from bot.sandbox.rest import PREFIX, checked_url, found, in_range, paged, rfc2822, with_faults

EVENTS = ("initiated", "ringing", "answered", "completed")
_DETECTIONS = ("Enable", "DetectMessageEnd")
_INLINE_LIMIT = 4000


def call_doors(sandbox: Calls) -> Blueprint:
    """The call resources."""
    doors = Blueprint("rest_calls", __name__)

    @doors.post(f"{PREFIX}/Calls.json")
    def create(account_sid: str) -> Any:
        return with_faults(sandbox, lambda: (call_json(sandbox, _create(sandbox)), 201))

    @doors.get(f"{PREFIX}/Calls.json")
    def listing(account_sid: str) -> Any:
        return paged("calls", _listed(sandbox), lambda call: call_json(sandbox, call))

    @doors.get(f"{PREFIX}/Calls/<sid>.json")
    def fetch(account_sid: str, sid: str) -> Any:
        return call_json(sandbox, found(sandbox.calls, sid))

    @doors.post(f"{PREFIX}/Calls/<sid>.json")
    def update(account_sid: str, sid: str) -> Any:
        return with_faults(sandbox, lambda: (call_json(sandbox, _update(sandbox, sid)), 200))

    @doors.delete(f"{PREFIX}/Calls/<sid>.json")
    def delete(account_sid: str, sid: str) -> Any:
        found(sandbox.calls, sid)
        del sandbox.calls[sid]
        return "", 204

    return doors


def _create(sandbox: Calls) -> Call:
    form = request.form
    to, from_ = form.get("To", ""), form.get("From", "")
    url, twiml = checked_url(form.get("Url"), 21205), form.get("Twiml", "")
    if not to:
        raise RefusedError(21201)
    if not from_:
        raise RefusedError(21213)
    if not url and not twiml:
        raise RefusedError(21205)
    if len(twiml) > _INLINE_LIMIT:
        raise RefusedError(20001, "Twiml is longer than 4000 characters.")
    events = tuple(form.getlist("StatusCallbackEvent")) or ("completed",)
    if not set(events) <= set(EVENTS):
        raise RefusedError(21208)
    plan = Plan(
        url=url or "",
        method=form.get("Method") or "POST",
        # Given both, Twilio uses the address.
        twiml="" if url else twiml,
        fallback=checked_url(form.get("FallbackUrl"), 21205),
        callback=checked_url(form.get("StatusCallback"), 21609)
        or sandbox.config.webhook(sandbox.config.call_status_path),
        events=events,
        ring_seconds=_ring_seconds(form.get("Timeout")),
    )
    _detection(plan)
    return sandbox.dial_out(to, from_, plan)


def _ring_seconds(text: str | None) -> int:
    if not text:
        return 60
    if not text.isdigit() or not 1 <= int(text) <= 600:
        raise RefusedError(20001, "Timeout is a number of seconds from 1 to 600.")
    return int(text)


def _detection(plan: Plan) -> None:
    form = request.form
    wanted = form.get("MachineDetection")
    if wanted and wanted not in _DETECTIONS:
        raise RefusedError(20001, "MachineDetection is Enable or DetectMessageEnd.")
    # Detection is ignored when digits are to be sent.
    plan.detection = "" if form.get("SendDigits") else (wanted or "")
    if form.get("AsyncAmd") == "true":
        plan.amd_callback = checked_url(form.get("AsyncAmdStatusCallback"), 21609)
        if plan.amd_callback is None:
            raise RefusedError(21262)


def _listed(sandbox: Calls) -> list[Call]:
    with sandbox.lock:
        rows = list(reversed(sandbox.calls.values()))
    for name, key in (("To", "to"), ("From", "from_"), ("Status", "status")):
        if wanted := request.args.get(name):
            rows = [row for row in rows if getattr(row, key) == wanted]
    rows = [row for row in rows if in_range("StartTime", row.started or row.created)]
    return [row for row in rows if in_range("EndTime", row.ended or row.created)]


def _update(sandbox: Calls, sid: str) -> Call:
    call = found(sandbox.calls, sid)
    status, url, twiml = (request.form.get(name, "") for name in ("Status", "Url", "Twiml"))
    if status:
        if status not in ("canceled", "completed"):
            raise RefusedError(20001, "Status can only become canceled or completed.")
        sandbox.stop_call(call, status)
    elif url or twiml:
        if not call.active or call.waiting == "ring":
            raise RefusedError(21220)
        call.redirect(checked_url(url, 21205) or "", request.form.get("Method") or "POST", twiml)
    return call


def call_json(sandbox: Calls, call: Call) -> dict[str, Any]:
    """The call resource with every field of Twilio's schema."""
    path = f"/{API_VERSION}/Accounts/{sandbox.config.account_sid}/Calls/{call.sid}"
    return {
        "sid": call.sid,
        "account_sid": sandbox.config.account_sid,
        "parent_call_sid": None,
        "phone_number_sid": None,
        "api_version": API_VERSION,
        "from": call.from_,
        "from_formatted": call.from_,
        "to": call.to,
        "to_formatted": call.to,
        "direction": call.direction,
        "status": call.status,
        "answered_by": call.answered_by,
        "date_created": rfc2822(call.created),
        "date_updated": rfc2822(call.ended or call.started or call.created),
        "start_time": rfc2822(call.started),
        "end_time": rfc2822(call.ended),
        "duration": str(round(call.elapsed)) if call.ended is not None else None,
        "price": None,
        "price_unit": "USD",
        "forwarded_from": None,
        "group_sid": None,
        "caller_name": None,
        "queue_time": "0",
        "trunk_sid": None,
        "uri": f"{path}.json",
        "subresource_uris": {"recordings": f"{path}/Recordings.json"},
    }
