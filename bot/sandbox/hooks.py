"""Posts webhooks the way Twilio does: signed, form-encoded, with its timeouts, retries and redirects. Loopback only.

Does not decide what a webhook says and does not read the answer's meaning.
"""

from __future__ import annotations

import http.client
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from urllib.parse import parse_qs, urlencode, urljoin, urlsplit

from twilio.request_validator import RequestValidator

from bot.sandbox.model import is_loopback

TOTAL_SECONDS = 15.0
CONNECT_SECONDS = 5.0
REDIRECT_LIMIT = 10
TWIML_TYPES = ("text/xml", "application/xml", "text/html")


@dataclass(frozen=True, slots=True)
class Request:
    """One webhook to post. *token* is the idempotency token; a retry repeats it."""

    url: str
    params: Mapping[str, str]
    method: str = "POST"
    token: str = ""
    voice: bool = False

    def again(self) -> Request:
        """The same request as a retry sends it."""
        return Request(self.url, self.params, self.method, self.token or str(uuid.uuid4()), self.voice)


@dataclass(frozen=True, slots=True)
class Fetched:
    """An answer, or *error* (a Twilio code) and *why*. *redirected*: a 3xx was followed, which loses parameters."""

    status: int = 0
    kind: str = ""
    body: bytes = b""
    url: str = ""
    error: int = 0
    why: str = ""
    redirected: bool = False

    @property
    def ok(self) -> bool:
        return not self.error and 200 <= self.status < 300


class Hooks:
    """The signing sender. Safe to use from several threads."""

    def __init__(self, auth_token: str) -> None:
        validator = RequestValidator(auth_token)  # type: ignore[no-untyped-call]
        self._sign: Callable[[str, dict[str, str]], str] = validator.compute_signature

    def send(self, request: Request) -> Fetched:
        """Posts *request*, following redirects as Twilio does; never raises for what the other side does."""
        request = request.again()
        redirected = False
        for _ in range(REDIRECT_LIMIT + 1):
            answer, location = self._once(request)
            if location is None:
                return Fetched(
                    answer.status, answer.kind, answer.body, answer.url, answer.error, answer.why, redirected
                )
            redirected = True
            # Following a redirect turns the request into a GET without its parameters: that is Twilio's behaviour.
            request = Request(urljoin(request.url, location), {}, "GET", request.token, request.voice)
        return Fetched(url=request.url, error=11215, why="More than 10 redirects.")

    def _once(self, request: Request) -> tuple[Fetched, str | None]:
        overrides = parse_qs(urlsplit(request.url).fragment)
        attempts = 1 + int(overrides.get("rc", ["1"])[0])
        policy = overrides.get("rp", ["ct"])[0].split(",")
        for attempt in range(attempts):
            answer, location, failure = self._attempt(request, overrides)
            if not failure or attempt + 1 == attempts or not {failure, "all"} & set(policy):
                break
        return answer, location

    def _attempt(self, request: Request, overrides: Mapping[str, list[str]]) -> tuple[Fetched, str | None, str]:
        url = request.url.partition("#")[0]
        if not is_loopback(url):
            return Fetched(url=url, error=11200, why="The local Twilio only calls this machine."), None, ""
        parts = urlsplit(url)
        seconds = {name: int(overrides.get(name, ["0"])[0]) / 1000 for name in ("ct", "rt")}
        patience = seconds["ct"] or CONNECT_SECONDS
        link = http.client.HTTPConnection(parts.hostname or "", parts.port or 80, timeout=patience)
        try:
            try:
                link.connect()
            except OSError as wrong:
                return Fetched(url=url, error=11205, why=f"Nobody listens there: {wrong}."), None, "ct"
            try:
                link.sock.settimeout(seconds["rt"] or TOTAL_SECONDS)
                return self._exchange(link, request, url)
            except TimeoutError:
                return Fetched(url=url, error=11205, why="No answer within the time Twilio waits."), None, "rt"
            except (OSError, http.client.HTTPException) as wrong:
                return Fetched(url=url, error=11200, why=f"The answer broke off: {type(wrong).__name__}."), None, "5xx"
        finally:
            link.close()

    def _exchange(
        self, link: http.client.HTTPConnection, request: Request, url: str
    ) -> tuple[Fetched, str | None, str]:
        parts = urlsplit(url)
        body: bytes | None = urlencode(request.params).encode() if request.method == "POST" else None
        if request.method == "GET" and request.params:
            url += ("&" if parts.query else "?") + urlencode(request.params)
            parts = urlsplit(url)
        link.request(
            request.method, (parts.path or "/") + (f"?{parts.query}" if parts.query else ""), body,
            self._headers(request, url),
        )  # fmt: skip
        response = link.getresponse()
        content = response.read()
        kind = (response.getheader("Content-Type") or "").partition(";")[0].strip().lower()
        if response.status in (301, 302, 303, 307, 308):
            return Fetched(response.status, kind, content, url), response.getheader("Location") or "", ""
        family = f"{response.status // 100}xx"
        if family != "2xx":
            why = f"The webhook answered {response.status}."
            return Fetched(response.status, kind, content, url, 11200, why), None, family
        return Fetched(response.status, kind, content, url), None, ""

    def _headers(self, request: Request, url: str) -> dict[str, str]:
        form = "application/x-www-form-urlencoded"
        signed = request.params if request.method == "POST" else {}
        headers = {
            "Accept": "*/*",
            "Accept-Encoding": "identity",
            "User-Agent": "TwilioProxy/1.1",
            "X-Home-Region": "us1",
            "I-Twilio-Idempotency-Token": request.token,
            "X-Twilio-Signature": self._sign(url, dict(signed)),
        }
        if request.method == "POST":
            headers["Content-Type"] = f"{form}; charset=UTF-8" if request.voice else form
        return headers
