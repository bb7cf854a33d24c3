"""How much one phone, one block of numbers and all of them may write in ten minutes; and how often a stranger may err.

In the process's own memory: a webhook costs no further Redis command. Each web process counts for itself, so the true
limits are up to WEB_PROCESSES times these. Never decides about an alarm or a STOP: those always reach the conversation.
"""

from __future__ import annotations

import ipaddress
import threading
from collections import Counter, OrderedDict
from collections.abc import Callable
from typing import Literal

WINDOW_SECONDS = 600.0
PER_PHONE = 30  # one text every 20 s for ten minutes; a whole conversation has about ten
PER_BLOCK = 60  # +1 and six digits: ten thousand numbers of one exchange, the unit that pumped texts come from
IN_TOTAL = 600  # one a second, what a long code can answer (twilio.md C3)
STATIC_ANSWERS = 60  # paid answers to texts over a limit, whoever they go to
REFUSALS_PER_MINUTE = 60
_REMEMBERED = 10_000  # keys whose verdict must stay the same when the webhook comes again
_BLOCK = 8

Verdict = Literal["go", "static", "silent"]


class Texts:
    """Judges inbound texts. *now* in seconds of any clock that only goes forward."""

    def __init__(self, now: Callable[[], float]) -> None:
        self._now, self._lock = now, threading.Lock()
        self._counts: Counter[str] = Counter()
        self._began = 0.0
        self._judged: OrderedDict[str, Verdict] = OrderedDict()

    def judge(self, phone: str, key: str) -> Verdict:
        """``go``; over a limit ``static`` (once for each phone, while the budget lasts) and then ``silent``. The same
        *key* gets the same verdict."""
        with self._lock:
            seen = self._judged.get(key)
            if seen is not None:
                return seen
            if self._now() - self._began > WINDOW_SECONDS:
                self._counts.clear()
                self._began = self._now()
            verdict = self._judged[key] = self._verdict(phone)
            while len(self._judged) > _REMEMBERED:
                self._judged.popitem(last=False)
            return verdict

    def _verdict(self, phone: str) -> Verdict:
        counts, over = self._counts, False
        for name, most in ((phone, PER_PHONE), (phone[:_BLOCK] + "*", PER_BLOCK), ("*", IN_TOTAL)):
            counts[name] += 1
            over = over or counts[name] > most
        if not over:
            return "go"
        told = f"{phone} told"
        if counts[told] or counts["told"] >= STATIC_ANSWERS:
            return "silent"
        counts[told] += 1
        counts["told"] += 1
        return "static"


class Strangers:
    """Addresses whose requests were refused too often in the last minute; they are not read any more until it is over.

    Only public addresses: behind a clinic's proxy every request, Twilio's too, comes from one private address, and a
    stranger must not be able to close the door for patients.
    """

    def __init__(self, now: Callable[[], float]) -> None:
        self._now, self._lock = now, threading.Lock()
        self._refused: Counter[str] = Counter()
        self._began = 0.0

    def refused(self, address: str) -> None:
        """One more request of *address* was refused."""
        if _is_public(address):
            with self._lock:
                self._began = self._began if self._refused else self._now()
                self._refused[address] += 1

    def shut_out(self, address: str) -> bool:
        """Whether to answer 429 without looking at the request."""
        if not self._refused:
            return False
        with self._lock:
            if self._now() - self._began > 60.0:
                self._refused.clear()
            return self._refused[address] >= REFUSALS_PER_MINUTE


def _is_public(address: str) -> bool:
    try:
        return ipaddress.ip_address(address).is_global
    except ValueError:
        return False
