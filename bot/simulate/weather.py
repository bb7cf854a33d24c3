"""Bad weather between Twilio and the bot: webhooks twice, much later once more, or with their answer lost on the way.

Keeps every delivery with its answer, so that it can be told afterwards whether one webhook had one answer.
"""

from __future__ import annotations

import random
import threading
from collections import Counter
from dataclasses import dataclass
from urllib.parse import urlsplit

from bot.sandbox.hooks import Fetched, Hooks, Request

FATES = {"well": 70, "twice": 10, "answer lost": 10, "again later": 10}


@dataclass(frozen=True, slots=True)
class Delivery:
    """One webhook that was posted and what came back. *name*: its path and SID, the same for every retry."""

    name: tuple[str, str]
    request: Request
    answer: Fetched


class Weather(Hooks):
    """The sender of webhooks of one local Twilio. *seed* decides the fate of each text and each step of a call."""

    def __init__(self, auth_token: str, seed: int) -> None:
        super().__init__(auth_token)
        self.deliveries: list[Delivery] = []
        self.fates: Counter[str] = Counter()
        self._random = random.Random(seed)  # noqa: S311  # a seed that is printed, no secret
        self._late: list[Request] = []
        self._lock = threading.Lock()

    def send(self, request: Request) -> Fetched:
        """The answer that Twilio plays: the last one that it got."""
        request = request.again()
        if not urlsplit(request.url).path.startswith(("/sms", "/voice")):
            return self._post(request)
        (fate,) = self._random.choices(list(FATES), list(FATES.values()))
        self.fates[fate] += 1
        if fate == "answer lost":
            self._post(request)
        answer = self._post(request)
        if fate == "twice":
            self._post(request)
        elif fate == "again later":
            self._late.append(request)
        return answer

    def blow_over(self) -> None:
        """What was held up is delivered once more."""
        late, self._late = self._late, []
        for request in late:
            self._post(request)

    def _post(self, request: Request) -> Fetched:
        answer = super().send(request)
        sid = request.params.get("MessageSid") or request.params.get("CallSid", "")
        with self._lock:
            self.deliveries.append(Delivery((urlsplit(request.url).path, sid), request, answer))
        return answer
