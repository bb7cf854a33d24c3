"""What the local Twilio keeps: its configuration, messages, calls' records, alerts, and the faults a test asks for.

Types and the sentences of Twilio's errors; no network, no clock, no Flask.
"""

from __future__ import annotations

import ipaddress
import secrets
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal
from urllib.parse import urlsplit

OptOutMode = Literal["twilio", "advanced", "app"]
API_VERSION = "2010-04-01"


@dataclass(frozen=True, slots=True)
class SandboxConfig:
    """*public_url*: where the bot listens, loopback only. *numbers*: our own E.164 numbers, the first is the default.

    Paths ending in ``_path`` are appended to *public_url*; None = not configured. *message_status_path* and
    *call_status_path* are what the number or service itself is configured with; a REST ``StatusCallback`` overrides
    them. *steps*: real seconds before ``sent`` and from there to ``delivered``.
    """

    account_sid: str
    auth_token: str = field(repr=False)
    public_url: str
    numbers: tuple[str, ...]
    clock: Callable[[], float]
    advance: Callable[[float], float]
    port: int = 8010
    clinic_name: str = "Clinic"
    messaging_service_sid: str | None = None
    opt_out_mode: OptOutMode = "twilio"
    sms_path: str = "/sms"
    sms_fallback_path: str | None = None
    voice_path: str = "/voice"
    voice_fallback_path: str | None = None
    message_status_path: str | None = None
    call_status_path: str | None = None
    steps: tuple[float, float] = (0.4, 1.0)
    country_codes: tuple[int, ...] = (1,)

    def __post_init__(self) -> None:
        if not is_loopback(self.public_url):
            raise ValueError(
                "The local Twilio only talks to this machine. Set PUBLIC_URL to http://127.0.0.1:PORT, or leave "
                "the sandbox."
            )
        if not self.numbers:
            raise ValueError("The local Twilio needs at least one number of ours. Set TWILIO_FROM.")

    def webhook(self, path: str | None) -> str | None:
        """The full address of one of the paths above."""
        return None if path is None else self.public_url.rstrip("/") + path


def is_loopback(url: str) -> bool:
    """Whether *url* is plain HTTP to this very machine."""
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
        return parts.scheme == "http" and (host == "localhost" or ipaddress.ip_address(host).is_loopback)
    except ValueError:
        return False


def new_sid(prefix: str) -> str:
    return prefix + secrets.token_hex(16)


@dataclass(slots=True)
class Message:
    """One text, either way. Times are epoch seconds of the virtual clock."""

    sid: str
    from_: str
    to: str
    body: str
    direction: Literal["inbound", "outbound-api", "outbound-reply"]
    status: str
    created: float
    encoding: str
    segments: int
    media: tuple[str, ...] = ()
    sent: float | None = None
    updated: float = 0.0
    error_code: int | None = None
    service_sid: str | None = None
    callback: str | None = None
    send_at: float | None = None
    history: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Alert:
    """One line of Twilio's debugger: *code* is Twilio's error number, 0 where only the sandbox objects."""

    code: int
    text: str


@dataclass(frozen=True, slots=True)
class RestFault:
    """What the next REST request meets instead of an ordinary answer.

    ``error``: *status* and *code* as Twilio's JSON. ``html``: *status* with a page a proxy would send. ``lost``: the
    request is carried out but the answer breaks off. ``slow``: carried out, answered after *seconds*. ``refused_slow``:
    not carried out, answered 503 after *seconds*.
    """

    kind: Literal["error", "html", "lost", "slow", "refused_slow"]
    status: int = 503
    code: int = 20503
    seconds: float = 0.0


@dataclass(slots=True)
class Faults:
    """Trouble a test asks for. Everything is off at first; change the fields at any time.

    *rest*: consumed one per POST. *undeliverable*: patient number -> error code of the final ``undelivered`` callback.
    *reverse*, *duplicate*, *lose*: order, doubling and loss (by status) of status callbacks. *blank_empty_result*: on
    silence Twilio sends ``Digits=`` and ``SpeechResult=`` instead of leaving them out (either has been seen).
    """

    rest: deque[RestFault] = field(default_factory=deque)
    undeliverable: dict[str, int] = field(default_factory=dict)
    reverse: bool = False
    duplicate: bool = False
    lose: frozenset[str] = frozenset()
    blank_empty_result: bool = False


class RefusedError(Exception):
    """A REST request Twilio refuses: its HTTP status, its code and its sentence."""

    def __init__(self, code: int, text: str | None = None, status: int = 400) -> None:
        self.code, self.status, self.text = code, status, text or SENTENCES[code]
        super().__init__(f"{code}: {self.text}")


SENTENCES = {
    20001: "A parameter holds a value that is not allowed.",
    20003: "The account SID or the auth token is wrong.",
    20404: "There is no such resource.",
    20429: "Too many requests at once. This one was not processed.",
    20503: "The service is not available right now.",
    21201: "A call needs To.",
    21205: "Url is not a valid URL.",
    21208: "StatusCallbackEvent holds an event that does not exist.",
    21210: "From is not one of this account's numbers.",
    21211: "To is not a valid phone number.",
    21212: "From is not a valid phone number.",
    21213: "A call needs From.",
    21214: "To cannot be reached.",
    21215: "The account may not call the region of To.",
    21216: "The account may not call To.",
    21217: "To does not look like a phone number.",
    21220: "The call is not in a state in which it can be changed.",
    21262: "AsyncAmd needs AsyncAmdStatusCallback.",
    21266: "To and From may not be the same.",
    21408: "The account may not send texts to the region of To.",
    21602: "A message needs a body, media or content.",
    21603: "A message needs From or MessagingServiceSid.",
    21604: "A message needs To.",
    21606: "From cannot send texts for this account.",
    21608: "A trial account only writes to verified numbers.",
    21609: "StatusCallback is not a valid URL.",
    21610: "The recipient has opted out.",
    21611: "The queue of this sender is full.",
    21612: "No route from this sender to To.",
    21614: "To is not a mobile number.",
    21617: "The message body is longer than 1600 characters.",
    21701: "There is no such messaging service.",
    21705: "MessagingServiceSid is not a messaging service SID.",
    30409: "Only a scheduled message can be canceled.",
    35111: "SendAt needs ScheduleType.",
    35114: "SendAt must be 15 minutes to 35 days ahead.",
    35118: "SendAt needs MessagingServiceSid.",
}
"""Our own wording: callers act on codes, never on sentences."""
