"""The REST double: Messages and Calls of Twilio's 2010-04-01 API, as the unmodified twilio client speaks to it.

Reads requests, shapes answers and errors; what happens to a message or call is decided in texts.py and calls.py.
"""

from __future__ import annotations

import hashlib
import hmac
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from email.utils import format_datetime
from typing import Any, TypeVar
from urllib.parse import urlencode, urlsplit

from flask import Blueprint, Response, jsonify, request

from bot.sandbox.account import Account
from bot.sandbox.model import API_VERSION, SENTENCES, Message, RefusedError, RestFault
from bot.sandbox.texts import Texts

PREFIX = f"/{API_VERSION}/Accounts/<account_sid>"
_BREAK_OFF_LENGTH = "4096"
T = TypeVar("T")


def rest_doors(sandbox: Texts) -> Blueprint:
    """The message resources. Every request is authenticated and meets the fault a test asked for, if any."""
    doors = Blueprint("rest", __name__)

    @doors.post(f"{PREFIX}/Messages.json")
    def create(account_sid: str) -> Any:
        return with_faults(sandbox, lambda: (message_json(sandbox, create_message(sandbox)), 201))

    @doors.get(f"{PREFIX}/Messages.json")
    def listing(account_sid: str) -> Any:
        return paged("messages", _listed(sandbox), lambda one: message_json(sandbox, one))

    @doors.get(f"{PREFIX}/Messages/<sid>.json")
    def fetch(account_sid: str, sid: str) -> Any:
        return message_json(sandbox, found(sandbox.messages, sid))

    @doors.post(f"{PREFIX}/Messages/<sid>.json")
    def update(account_sid: str, sid: str) -> Any:
        return with_faults(sandbox, lambda: (message_json(sandbox, _update(sandbox, sid)), 200))

    @doors.get(f"{PREFIX}/IncomingPhoneNumbers.json")
    def numbers(account_sid: str) -> Any:
        asked = request.args.get("PhoneNumber")
        ours = [one for one in sandbox.config.numbers if asked in (None, one)]
        return paged("incoming_phone_numbers", ours, lambda one: _number_json(sandbox, one))

    @doors.delete(f"{PREFIX}/Messages/<sid>.json")
    def delete(account_sid: str, sid: str) -> Any:
        found(sandbox.messages, sid)
        del sandbox.messages[sid]
        return "", 204

    return doors


def _number_json(sandbox: Account, number: str) -> dict[str, Any]:
    """What is on file for a number of the account: where its texts and calls go."""
    url = sandbox.config.public_url
    sid = "PN" + hashlib.sha256(number.encode()).hexdigest()[:32]
    return {"sid": sid, "account_sid": sandbox.config.account_sid, "phone_number": number, "sms_method": "POST",
            "sms_url": f"{url}/sms", "voice_method": "POST", "voice_url": f"{url}/voice"}  # fmt: skip


def guard(sandbox: Account) -> None:
    """Refuses wrong credentials with 20003, as the real API does. Raises RefusedError."""
    auth = request.authorization
    right = (sandbox.config.account_sid, sandbox.config.auth_token)
    given = (auth.username or "", auth.password or "") if auth and auth.type == "basic" else ("", "")
    if not all(hmac.compare_digest(a.encode(), b.encode()) for a, b in zip(given, right, strict=True)):
        raise RefusedError(20003, status=401)
    if (request.view_args or {}).get("account_sid") != sandbox.config.account_sid:
        raise RefusedError(20404, status=404)


def refused(refusal: RefusedError) -> tuple[Response, int]:
    """Twilio's error body."""
    body = {
        "code": refusal.code,
        "message": refusal.text,
        "more_info": f"https://www.twilio.com/docs/errors/{refusal.code}",
        "status": refusal.status,
    }
    return jsonify(body), refusal.status


def with_faults(sandbox: Account, act: Callable[[], tuple[dict[str, Any], int]]) -> Any:
    """Carries out *act*, unless the next fault says otherwise."""
    with sandbox.lock:
        fault = sandbox.faults.rest.popleft() if sandbox.faults.rest else None
    if fault is None:
        return act()
    if fault.kind == "error":
        raise RefusedError(fault.code, SENTENCES.get(fault.code, "An injected fault."), fault.status)
    if fault.kind == "html":
        return Response("<html><body>Bad gateway</body></html>", fault.status, content_type="text/html")
    return _late(fault, act)


def _late(fault: RestFault, act: Callable[[], tuple[dict[str, Any], int]]) -> Any:
    if fault.kind == "refused_slow":
        time.sleep(fault.seconds)
        raise RefusedError(20503, status=503)
    body, status = act()
    if fault.kind == "lost":
        # Fewer bytes than promised: the client sees the connection break after Twilio has acted.
        return Response(_half(), status, {"Content-Length": _BREAK_OFF_LENGTH}, content_type="application/json")
    time.sleep(fault.seconds)
    return body, status


def _half() -> Iterator[bytes]:
    yield b'{"sid": '


def create_message(sandbox: Texts) -> Message:
    """Checks the form in the order Twilio seems to, then hands the text over. Raises RefusedError."""
    form = request.form
    to, from_, service, body = (form.get(k) or None for k in ("To", "From", "MessagingServiceSid", "Body"))
    media = [url for url in form.getlist("MediaUrl") if url]
    if to is None:
        raise RefusedError(21604)
    if from_ is None and service is None:
        raise RefusedError(21603)
    if body is None and not media and not form.get("ContentSid"):
        raise RefusedError(21602)
    if len(body or "") > 1600:
        raise RefusedError(21617)
    if service is not None and not (service.startswith("MG") and len(service) == 34):
        raise RefusedError(21705)
    if service is not None and service != sandbox.config.messaging_service_sid:
        raise RefusedError(21701, status=404)
    callback = checked_url(form.get("StatusCallback"), 21609)
    send_at = _send_at(sandbox, service)
    return sandbox.send(
        to, body or "", from_=from_, service_sid=service, callback=callback, media=media, send_at=send_at
    )


def checked_url(url: str | None, code: int) -> str | None:
    """*url*, or RefusedError(*code*) when Twilio would not take it (no host, or an underscore in it)."""
    if not url:
        return None
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname or "_" in parts.hostname:
        raise RefusedError(code)
    return url


def _send_at(sandbox: Texts, service: str | None) -> float | None:
    text = request.form.get("SendAt")
    if not text:
        return None
    if service is None:
        raise RefusedError(35118)
    if request.form.get("ScheduleType") != "fixed":
        raise RefusedError(35111)
    moment = _instant(text)
    if not 15 * 60 <= moment - sandbox.config.clock() <= 35 * 86400:
        raise RefusedError(35114)
    return moment


def _instant(text: str) -> float:
    """Epoch seconds of an ISO 8601 date or time; UTC unless it says otherwise."""
    try:
        parsed = datetime.fromisoformat(text)
    except ValueError:
        raise RefusedError(20001, f"{text} is not a date or time.") from None
    return (parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)).timestamp()


def _update(sandbox: Texts, sid: str) -> Message:
    message = found(sandbox.messages, sid)
    if request.form.get("Status"):
        if request.form["Status"] != "canceled":
            raise RefusedError(20001, "Status can only become canceled.")
        sandbox.cancel(message)
    if request.form.get("Body") == "":
        message.body = ""
    return message


def _listed(sandbox: Texts) -> list[Message]:
    """Newest first, narrowed by To, From and the three spellings of DateSent."""
    with sandbox.lock:
        rows = list(reversed(sandbox.messages.values()))
    for name, key in (("To", "to"), ("From", "from_")):
        if wanted := request.args.get(name):
            rows = [row for row in rows if getattr(row, key) == wanted]
    return [row for row in rows if in_range("DateSent", row.sent or row.created)]


def in_range(name: str, moment: float) -> bool:
    """Whether *moment* fits ``name=`` (that UTC day), ``name>=`` and ``name<=`` of the query."""
    day, after, before = (request.args.get(name + sign) for sign in ("", ">", "<"))
    if day and not 0 <= moment - _instant(day) < 86400:
        return False
    # The resource only tells whole seconds, so a whole-second bound must not cut off its own second.
    return not (after and moment < _instant(after)) and not (before and moment >= _instant(before) + 1)


def found(kept: dict[str, T], sid: str) -> T:
    """The resource of that SID, or RefusedError(20404)."""
    if sid not in kept:
        raise RefusedError(20404, status=404)
    return kept[sid]


def paged(name: str, rows: Sequence[T], shown_as: Callable[[T], dict[str, Any]]) -> dict[str, Any]:
    """One page of *rows*, each *shown_as* its resource, with Twilio's page fields, 50 a page unless ``PageSize`` says otherwise."""
    try:
        size = min(1000, max(1, int(request.args.get("PageSize", 50))))
        page = max(0, int(request.args.get("Page", 0)))
    except ValueError:
        raise RefusedError(20001, "PageSize and Page are whole numbers.") from None
    start = page * size
    shown = rows[start : start + size]

    def uri(number: int) -> str:
        kept = [(k, v) for k, v in request.args.items(multi=True) if k not in ("Page", "PageSize")]
        return f"{request.path}?{urlencode([*kept, ('PageSize', size), ('Page', number)])}"

    return {
        "page": page,
        "page_size": size,
        "start": start,
        "end": max(start, start + len(shown) - 1),
        "uri": uri(page),
        "first_page_uri": uri(0),
        "next_page_uri": uri(page + 1) if start + size < len(rows) else None,
        "previous_page_uri": uri(page - 1) if page else None,
        name: [shown_as(one) for one in shown],
    }


def rfc2822(moment: float | None) -> str | None:
    return None if moment is None else format_datetime(datetime.fromtimestamp(moment, UTC))


def message_json(sandbox: Texts, message: Message) -> dict[str, Any]:
    """The message resource with every field of Twilio's schema."""
    path = f"/{API_VERSION}/Accounts/{sandbox.config.account_sid}/Messages/{message.sid}"
    return {
        "sid": message.sid,
        "account_sid": sandbox.config.account_sid,
        "messaging_service_sid": message.service_sid,
        "api_version": API_VERSION,
        "body": message.body,
        "num_segments": str(message.segments),
        "num_media": str(len(message.media)),
        "direction": message.direction,
        # A service picks its sender only after the message was accepted.
        "from": None if message.status in ("accepted", "scheduled") else message.from_,
        "to": message.to,
        "status": message.status,
        "error_code": message.error_code,
        "error_message": SENTENCES.get(message.error_code or 0),
        "date_created": rfc2822(message.created),
        "date_sent": rfc2822(message.sent),
        "date_updated": rfc2822(message.updated),
        "price": None,
        "price_unit": "USD",
        "uri": f"{path}.json",
        "subresource_uris": {"media": f"{path}/Media.json"},
    }
