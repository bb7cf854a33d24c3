"""Bad weather between Twilio and the bot: webhooks twice, much later once more, with their answer lost on the way or the
process dead before it left; status callbacks lost, late, out of order and twice.

The fate of each depends on the seed, the phone and what was posted for it before, so that a seed is the same weather again
whatever the threads do. Keeps every delivery with its answer, so that it can be told afterwards whether one webhook had
one answer.
"""

from __future__ import annotations

import random
import threading
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import urlsplit

from bot.sandbox.hooks import Fetched, Hooks, Request

FATES = {"well": 64, "twice": 10, "answer lost": 9, "again later": 9, "died before the answer": 8}
REPORTS = {"report well": 64, "report lost": 12, "report twice": 12, "report late": 12}
REPORTED = frozenset({"/status", "/call-status"})  # how a text or a call went; nothing of the answer is played
DELAYS = (3.0, 240.0, 5_400.0, 100_000.0)  # seconds until what is late arrives


@dataclass(frozen=True, slots=True)
class Delivery:
    """One webhook that was posted and what came back. *name*: its path and SID, the same for every retry."""

    name: tuple[str, str]
    request: Request
    answer: Fetched


class Weather(Hooks):
    """The sender of webhooks of one local Twilio. *later* does something in so many virtual seconds; *die* ends the web
    process and starts a new one."""

    def __init__(self, auth_token: str, seed: int) -> None:
        super().__init__(auth_token)
        self.deliveries: list[Delivery] = []
        self.fates: Counter[str] = Counter()
        self.later: Callable[[float, Callable[[], None]], None] = lambda seconds, do: None
        self.die: Callable[[], None] = lambda: None
        self._seed = seed
        self._posted: Counter[str] = Counter()
        self._lock = threading.Lock()

    def send(self, request: Request) -> Fetched:
        """The answer that Twilio plays: the last one that it got."""
        request = request.again()
        fates = REPORTS if urlsplit(request.url).path in REPORTED else FATES
        chance = self._chance(request)
        (fate,) = chance.choices(list(fates), list(fates.values()))
        with self._lock:
            self.fates[fate] += 1
        if fate == "report lost":
            return Fetched(200, "text/plain")
        if fate == "report late":
            self.later(chance.choice(DELAYS), lambda: self._late(request))
            return Fetched(200, "text/plain")
        if fate in ("answer lost", "died before the answer"):
            self._post(request)
        if fate == "died before the answer":
            self.die()
        answer = self._post(request)
        if fate in ("twice", "report twice"):
            self._post(request)
        elif fate == "again later":
            self.later(chance.choice(DELAYS), lambda: self._late(request))
        return answer

    def _chance(self, request: Request) -> random.Random:
        parts = urlsplit(request.url)
        told = request.params
        state = told.get("MessageStatus") or told.get("CallStatus", "")
        key = f"{sorted((told.get('From', ''), told.get('To', '')))} {parts.path} {state}"
        with self._lock:
            self._posted[key] += 1
            return random.Random(f"{self._seed} {key} {self._posted[key]}")  # noqa: S311  # a printed seed, no secret

    def _late(self, request: Request) -> None:
        self._post(request)

    def _post(self, request: Request) -> Fetched:
        answer = super().send(request)
        sid = request.params.get("MessageSid") or request.params.get("CallSid", "")
        with self._lock:
            self.deliveries.append(Delivery((urlsplit(request.url).path, sid), request, answer))
        return answer
