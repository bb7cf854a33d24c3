"""What every door has at hand, and the checks a webhook passes before a door opens. No wording, no routes.

Order: size, content type, signature, parameters, account. A refusal is a status without a body; its reason is logged
without any value of the request.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol

from flask import Request, Response

from bot.booking import Booking
from bot.settings import Settings
from bot.turn import Door
from bot.web import parameters
from bot.web.answers import Answers
from bot.web.limits import Limits, Strangers, Urgency
from bot.web.parameters import Form, ParameterError
from bot.web.signature import Signatures

BODY_LIMIT = 64 * 1024
FORM = "application/x-www-form-urlencoded"


class Conversation(Protocol):
    """What the doors need of bot/conversation.py. *key* names one webhook: a repeated key gets the same bytes.

    *phone* is E.164, or ``call:<CallSid>`` for a caller who hides the number. Errors of the store may be raised; the
    doors answer them with the static apology.
    """

    def hear(
        self,
        phone: str,
        channel: Door,
        said: str,
        key: str,
        *,
        step: str | None = None,
        digits: str | None = None,
        opt_out_type: str | None = None,
    ) -> bytes:
        """One turn. On a call, *step* None means that the call begins; digits None and no words mean silence."""

    def flooded(self, phone: str, key: str, *, alone: bool = True) -> None:
        """A text or call of *phone* was over a limit (limits.py) and was not taken; *alone*: over its own."""

    def dialled(self, phone: str, key: str, *, step: str, status: str) -> bytes:
        """A person was dialled for the caller; *status*: completed, answered, busy, no-answer, failed, canceled."""

    def wants_message(self, phone: str, key: str, *, step: str, said: str, digits: str | None) -> bytes:
        """Whether the caller wants to leave a recorded message."""

    def left_message(self, phone: str, key: str, *, step: str, recording: str | None) -> bytes:
        """A message was recorded; *recording* is its SID, None when nothing was said."""

    def picked_up(self, phone: str, key: str, *, effect_id: str, by: str | None) -> bytes:
        """The call that *effect_id* placed was picked up; *by*: Twilio's AnsweredBy."""

    def link(self, token: str) -> str | None:
        """The visit (``pmr``, ``pt``, ``both``) a live scheduling link is for, without any effect; None for unknown
        and expired alike."""

    def opened(self, token: str) -> str | None:
        """Marks the link opened; the configured booking address of its visit, or None."""


class Reports(Protocol):
    """Who keeps what Twilio reports on texts and calls of ours; repeated and late reports must be harmless there."""

    def delivered(
        self, sid: str, status: str, error_code: int | None, effect_id: str | None, to: str | None = None
    ) -> None:
        """What became of a text; *to*: whose, which tells it of a reply, that has no *effect_id*."""

    def call_status(
        self,
        sid: str,
        status: str,
        person: str | None = None,
        *,
        seconds: int | None = None,
        sequence: int | None,
        answered_by: str | None,
        effect_id: str | None,
    ) -> None:
        """What became of a call with *person*; *sequence* orders the reports of one call, *seconds* is how long it was."""


class Refused(Exception):  # noqa: N818 - it is an answer, not an error of ours
    """A request that is not answered. *reason* holds nothing of the request itself."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status, self.reason = status, reason


@dataclass(frozen=True)
class Desk:
    """One deployment's doors. *ready* tells whether a turn would be possible now, *urgent* whether words are an alarm or
    a STOP, for which limits are others. *texts*, *calls* None: a machine on which one person plays all patients. *about* is what a
    monitor may read of the work that waits; *booked* keeps what a booking page told."""

    settings: Settings
    conversation: Conversation
    reports: Reports
    ready: Callable[[], bool]
    urgent: Callable[[str], Urgency]
    texts: Limits | None = None
    calls: Limits | None = None
    about: Callable[[], str] = lambda: ""
    booked: Callable[[Booking], None] = lambda told: None
    strangers: Strangers = field(default_factory=lambda: Strangers(time.monotonic))
    signatures: Signatures = field(init=False)
    answers: Answers = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "signatures", Signatures(self.settings.public_url, self.settings.auth_tokens))
        object.__setattr__(self, "answers", Answers(self.settings))

    def signed_form(self, request: Request) -> Form:
        """The parameters of a genuine webhook. Raises `Refused`; never anything else for what a stranger can send."""
        environ = request.environ
        kind = FORM if environ.get("CONTENT_TYPE") == FORM else request.mimetype
        if kind not in (FORM, "application/json"):
            raise Refused(415, "content type")
        body = _body(environ)
        address = self.signatures.address(
            environ.get("PATH_INFO", ""), environ.get("QUERY_STRING", "").encode("latin-1")
        )
        given = environ.get("HTTP_X_TWILIO_SIGNATURE")
        if kind == "application/json":
            fault = self.signatures.fault_of_json(address, body, given)
            raise Refused(403, f"signature: {fault}") if fault else Refused(415, "no webhook of ours is JSON")
        try:
            form = parameters.parse(body)
        except ParameterError as error:
            raise Refused(400, str(error)) from None
        fault = self.signatures.fault_of_form(address, form, given)
        if fault:
            raise Refused(403, f"signature: {fault}")
        return form

    def ours(self, account: str, number: str | None = None, service: str | None = None) -> None:
        """Raises `Refused` unless *account*, and the *number* or messaging *service* reached, are configured."""
        if account != self.settings.twilio_account_sid:
            raise Refused(403, "AccountSid is not ours")
        known_service = self.settings.twilio_messaging_service_sid
        if number is not None and number != self.settings.twilio_from and (not service or service != known_service):
            raise Refused(403, "the number reached is not TWILIO_FROM")


def _body(environ: dict[str, Any]) -> bytes:
    """What the server has read already, whole; Flask's stream around it costs 1 % of a turn. Raises `Refused`."""
    length = environ.get("CONTENT_LENGTH") or "0"
    if not length.isdecimal():
        raise Refused(400, "content length")
    if int(length) > BODY_LIMIT:
        raise Refused(413, "size")
    body: bytes = environ["wsgi.input"].read(int(length))
    return body


class Document(Response):
    """A TwiML document, with the content type Twilio executes; text/plain would be sent to the patient as it is.

    It says itself what it is to the server: Flask's own response makes, checks and copies headers that are always these
    two (4 % of a whole turn). So it has none that could be changed on its way.
    """

    def __init__(self, document: bytes) -> None:
        self.document = document

    def __call__(self, environ: Any, start_response: Callable[..., Any]) -> tuple[bytes]:
        length = str(len(self.document))
        start_response("200 OK", [("Content-Type", "text/xml; charset=utf-8"), ("Content-Length", length)])
        return (self.document,)
