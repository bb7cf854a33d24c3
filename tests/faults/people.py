"""Patients who text and call, and Twilio's side of their webhooks: signed, and again until they are answered.

Every patient keeps what the product must know of them afterwards; nothing here looks into the ledger.
"""

from __future__ import annotations

import html
import random
import re
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from http.client import HTTPException
from urllib.error import URLError
from urllib.parse import urlencode, urlsplit
from urllib.request import Request, urlopen

from bot.settings import Settings
from bot.web.answers import Answers
from tests.web_fake import sign

ANSWER_SECONDS = 10.0  # P2; Twilio itself gives up after 15
QUIET_SECONDS = 90.0  # nothing at all was answered for so long: the product is stuck, not slow
BUSY_SECONDS = 20.0  # of CPU; its processes start twice with less
_ACTION = re.compile(r'<Gather [^>]*action="([^"]+)"')

LEAVES = ("hi my back hurts", "yes", "no", "no")  # the third screen stays open: one reminder
STOPS = ("hi my back hurts", "yes", "STOP")
ALARM = ("hi my back hurts", "yes", "yes")
KEYS = ("1", "1", "2", "2", "2", "2", "4", "2", "3", "1", "3", "1", "2")
SPEECH = (
    "english", "yes", "no", "no", "no", "no", "four", "the same", "an injury", "one spot", "exercise and therapy",
    "text", "no",
)  # fmt: skip


class StuckError(AssertionError):
    """Nothing has moved for QUIET_SECONDS although the product had the time to."""


@dataclass
class Watch:
    """Fails when nothing moves, not when the machine is slow. *used*: CPU seconds of the product so far."""

    used: Callable[[], float] = time.monotonic
    moved_at: float = field(default_factory=time.monotonic)
    moved_with: float = 0.0
    seen: object = None

    def move(self) -> None:
        self.moved_at, self.moved_with = time.monotonic(), -1.0

    def look(self, now: object = None) -> None:
        """Something else than at the last look is a move."""
        if now is not None and now != self.seen:
            self.seen = now
            self.move()
        if self.moved_with < 0:
            self.moved_with = self.used()
        quiet = time.monotonic() - self.moved_at
        if quiet > QUIET_SECONDS and (self.used() - self.moved_with > BUSY_SECONDS or quiet > 10 * QUIET_SECONDS):
            raise StuckError(f"nothing moved for {quiet:.0f} s: {now}")


class Hooks:
    """Twilio's side. *pace* is asked before each webhook and may hold it back."""

    def __init__(self, settings: Settings, pace: Callable[[int], None]) -> None:
        self.settings, self.pace, self.watch = settings, pace, Watch()
        self.counts: Counter[str] = Counter()
        self.slowest = 0.0
        answers = Answers(settings)
        self.static = {answers.apology(door, one) for door in ("sms", "voice") for one in ("en", "es", None)}
        self._lock = threading.Lock()

    def post(self, path: str, form: dict[str, str]) -> bytes:
        """The answer; after a failure the webhook comes again."""
        self.pace(self.counts["answers"])
        while True:
            began = time.monotonic()
            try:
                with urlopen(self._request(path, form), timeout=15) as answer:
                    body: bytes = answer.read()
            except (URLError, OSError, HTTPException):
                self._count("deliveries that failed and came again")
                self.watch.look()
                time.sleep(0.05)
                continue
            self.watch.move()
            self._count("answers")
            with self._lock:
                self.slowest = max(self.slowest, time.monotonic() - began)
            return body

    def abandon(self, path: str, form: dict[str, str]) -> None:
        """The webhook arrives and Twilio is gone before the answer: it will come again."""
        request = self._request(path, form)
        assert isinstance(request.data, bytes)
        where = urlsplit(request.full_url)
        head = f"POST {where.path} HTTP/1.1\r\nHost: {where.netloc}\r\nContent-Length: {len(request.data)}\r\n"
        head += "".join(f"{name}: {value}\r\n" for name, value in request.header_items())
        try:
            with socket.create_connection((where.hostname, where.port), 2) as link:
                link.sendall(head.encode() + b"\r\n" + request.data)
        except OSError:
            return
        self._count("answers nobody waited for")

    def _request(self, path: str, form: dict[str, str]) -> Request:
        url = path if path.startswith("http") else self.settings.public_url + path
        headers = {
            "X-Twilio-Signature": sign(url, form, self.settings.auth_tokens[0]),
            "Content-Type": "application/x-www-form-urlencoded",
        }
        return Request(url, urlencode(form).encode(), headers)

    def _count(self, what: str) -> None:
        with self._lock:
            self.counts[what] += 1


class Patient:
    """One person. *said*: (door, words) of everything that was answered, in order."""

    def __init__(self, hooks: Hooks, number: int, seed: int) -> None:
        self.hooks, self.number, self.dice = hooks, number, random.Random(seed * 100_003 + number)
        self.phone = f"+1713555{number:04d}"
        kinds = (LEAVES, LEAVES, KEYS, LEAVES, LEAVES, STOPS, LEAVES, SPEECH, LEAVES, ALARM)
        self.script = kinds[number % len(kinds)]
        self.said: list[tuple[str, str]] = []
        self.again = self.differed = self.silent = self.static = 0

    @property
    def calls(self) -> bool:
        return self.script in (KEYS, SPEECH)

    def talk(self) -> Patient:
        """All of it, in order, whatever happens to the other side."""
        if self.calls:
            self._call()
        else:
            for turn, said in enumerate(self.script):
                sid = f"SM{self.number:024x}{turn:08x}"
                answer = self._tell("/sms", ("sms", said), {"MessageSid": sid, "SmsSid": sid, "SmsMessageSid": sid,
                                    "SmsStatus": "received", "Body": said, "NumMedia": "0", "NumSegments": "1"})  # fmt: skip
                self.silent += b"<Message>" not in answer
        return self

    def _call(self) -> None:
        """A call that breaks off is taken up by calling again, with what was not said yet."""
        attempt, left = 0, list(self.script)
        action = self._dial(attempt)
        while left:
            if not action:
                attempt += 1
                time.sleep(0.5)
                action = self._dial(attempt)
                if not action and attempt > 20:
                    return
                continue
            said = left.pop(0)
            given = {"Digits": said} if self.script is KEYS else {"SpeechResult": said, "Confidence": "0.9"}
            action = _action(self._tell(action, ("voice", said), self._form(attempt) | given))

    def _dial(self, attempt: int) -> str:
        return _action(self._tell("/voice", ("voice", ""), self._form(attempt)))

    def _form(self, attempt: int) -> dict[str, str]:
        return {"CallSid": f"CA{self.number:024x}{attempt:08x}", "CallStatus": "in-progress", "Direction": "inbound"}

    def _tell(self, path: str, said: tuple[str, str], form: dict[str, str]) -> bytes:
        hooks = self.hooks
        form = {"AccountSid": hooks.settings.twilio_account_sid, "ApiVersion": "2010-04-01", "From": self.phone,
                "To": hooks.settings.twilio_from, **form}  # fmt: skip
        luck = self.dice.random()
        if luck < 0.1:
            hooks.abandon(path, form)
        answer = hooks.post(path, form)
        self.said.append(said)
        self.static += answer in hooks.static
        if luck > 0.75:
            self.again += 1
            # Of a static and a real answer the turn had happened, and only the other delivery met the store away.
            self.differed += len({answer, hooks.post(path, form)} - hooks.static) > 1
        return answer


def _action(document: bytes) -> str:
    found = _ACTION.search(document.decode())
    return html.unescape(found[1]) if found else ""
