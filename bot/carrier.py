"""The door to Twilio's REST API: send a text, place a call. One request, one outcome; it never retries by itself.

Only workers import this (twilio.rest costs 0.65 s and 38 MB). Bodies and numbers never reach a log or an exception:
errors carry Twilio's code and our own sentence. Facts: twilio.com/docs/api/errors, shared/reference/twilio.md C2, C4.
"""

from __future__ import annotations

import logging
import random
from dataclasses import dataclass
from typing import Any, Literal

import requests
from twilio.base.exceptions import TwilioException, TwilioRestException
from twilio.http.http_client import TwilioHttpClient
from twilio.rest import Client

# permanent: never to this phone. busy: not taken, the carrier is well. away: the request never left. unknown: it may have
# been sent. configuration: nothing can be sent for anybody until a person has looked.
Kind = Literal["permanent", "opted_out", "busy", "away", "unknown", "configuration"]

TIMEOUT_SECONDS = 10.0  # below the lease of an effect; Twilio answers in well under a second
MOST_ROWS = 100
RING_SECONDS = 25  # shorter than most voicemail boxes take to answer
CONFIGURATION = frozenset({20003, 20005, 20404, 21212, 21603, 21606, 21659, 21660, 21703, 21704, 21705})
BUSY = frozenset({20429, 21611, 30001, 30022, 30023, 30027})
OPTED_OUT = 21610

logging.getLogger("twilio.http_client").setLevel(logging.WARNING)  # at INFO it prints URLs with parameters


class CarrierError(Exception):
    """A send that did not plainly succeed. *kind* says what to do; *code* is Twilio's, 0 when there was none."""

    def __init__(self, kind: Kind, code: int = 0) -> None:
        super().__init__(f"The carrier answered {kind} (code {code}).")
        self.kind, self.code = kind, code


@dataclass(frozen=True, slots=True)
class Row:
    """A text or call of ours as the carrier lists it. *body*: None when the carrier keeps none (redaction, a call)."""

    sid: str
    body: str | None
    created: float


class Carrier:
    """Sends through the official client. *base_url* None is Twilio itself; else a local Twilio on loopback."""

    def __init__(
        self,
        account_sid: str,
        auth_token: str,
        *,
        sender: str,
        status_url: str,
        service_sid: str | None = None,
        base_url: str | None = None,
        call_url: str = "",
        call_status_url: str = "",
    ) -> None:
        self.client = Client(  # type: ignore[no-untyped-call]  # the library has no annotations here
            account_sid, auth_token, http_client=TwilioHttpClient(timeout=TIMEOUT_SECONDS)
        )
        if base_url:
            self.client.api.base_url = base_url
        self.sender, self.service_sid, self.status_url = sender, service_sid, status_url
        self.call_url, self.call_status_url = call_url, call_status_url

    def text(self, to: str, body: str, effect_id: str) -> str:
        """Send *body*; returns the message SID. *effect_id* travels in the signed StatusCallback URL, so that a send
        whose answer was lost is found again. Raises CarrierError."""
        sender: dict[str, Any] = {"from_": self.sender}
        if self.service_sid:
            sender = {"messaging_service_sid": self.service_sid}
        try:
            message = self.client.messages.create(
                to=to,
                body=body,
                status_callback=f"{self.status_url}?m={effect_id}",
                validity_period=14_400,  # a question that is four hours old must not arrive
                **sender,
            )
        except Exception as error:
            raise classify(error) from None
        return str(message.sid)

    def call(self, to: str, effect_id: str) -> str:
        """Place a call; returns its SID. What is said comes from ``call_url/effect_id`` when somebody, or a machine,
        picks up (twilio.md C5). Raises CarrierError."""
        try:
            call = self.client.calls.create(
                to=to,
                from_=self.sender,
                url=f"{self.call_url}/{effect_id}",
                method="POST",
                timeout=RING_SECONDS,
                machine_detection="Enable",
                status_callback=f"{self.call_status_url}?m={effect_id}",
                status_callback_method="POST",
                status_callback_event=["initiated", "ringing", "answered", "completed"],
            )
        except Exception as error:
            raise classify(error) from None
        return str(call.sid)

    def call_state(self, sid: str) -> tuple[str, str | None, int | None]:
        """A call's status, by whom it was picked up, and how many seconds it took, as the carrier has it now. Raises
        CarrierError."""
        try:
            call = self.client.calls(sid).fetch()
        except Exception as error:
            raise classify(error) from None
        return str(call.status), call.answered_by, int(call.duration) if call.duration else None

    def listed(self, to: str, *, calls: bool, since: float) -> list[Row]:
        """Our own texts or calls to *to* made at or after *since*, to find one whose answer was lost. The carrier shows
        neither our StatusCallback nor any id of ours on a resource, and a date filter would hide what is still queued:
        so it is asked by number only, and narrowed here. Raises CarrierError."""
        try:
            made: list[Any] = (
                self.client.calls.list(to=to, limit=MOST_ROWS)
                if calls
                else self.client.messages.list(to=to, limit=MOST_ROWS)
            )
        except Exception as error:
            raise classify(error) from None
        return [
            Row(str(one.sid), None if calls else _kept_body(one.body), one.date_created.timestamp())
            for one in made
            if one.direction == "outbound-api" and one.date_created and one.date_created.timestamp() >= since
        ]


def _kept_body(body: Any) -> str | None:
    """Under Message Redaction nothing, or a placeholder without a letter, stands where the body was."""
    return body if isinstance(body, str) and any(char.isalpha() for char in body) else None


def classify(error: Exception) -> CarrierError:
    """Which outcome an exception of the client is. Anything not known to be refused is *unknown*."""
    if isinstance(error, requests.ConnectTimeout | requests.exceptions.SSLError):
        return CarrierError("away")
    if isinstance(error, TwilioRestException):
        return _by_code(int(error.code or 0), int(error.status))
    code, status = getattr(error, "code", None), getattr(error, "status", None)
    if isinstance(error, TwilioException) and isinstance(status, int):
        return _by_code(code if isinstance(code, int) else 0, status)
    refused = isinstance(error, requests.ConnectionError) and "Connection refused" in str(error)
    return CarrierError("away" if refused else "unknown")


def _by_code(code: int, status: int) -> CarrierError:
    if code == OPTED_OUT:
        return CarrierError("opted_out", code)
    if code in BUSY:
        return CarrierError("busy", code)
    if status >= 500 or status == 429:
        return CarrierError("unknown", code)
    if status in (401, 403) or code in CONFIGURATION:
        return CarrierError("configuration", code)
    return CarrierError("permanent", code)


def backoff(attempt: int, *, first: float = 2.0, most: float = 900.0) -> float:
    """Seconds before the next attempt (1, 2, ...): doubling, with full jitter of one half."""
    base = min(most, first * 2.0 ** (attempt - 1))
    return base * (0.5 + random.random() / 2)  # noqa: S311  # jitter, not a secret
