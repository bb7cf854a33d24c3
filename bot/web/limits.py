"""How much one phone, one block of numbers and all of them may write or call in ten minutes; and how often a stranger may
err.

In the process's own memory: a webhook costs no further Redis command. Each web process counts for itself, so the true
limits are up to WEB_PROCESSES times these (times the machines). A STOP always reaches the conversation. So does an alarm,
up to a bound, and beyond that it is answered with the static text that names 911, up to another. Who is known (wiring.py
says who) has a share of their own, which nobody else's texts use up: that is looked up only once a limit bites.
"""

from __future__ import annotations

import ipaddress
import threading
from collections import Counter, OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, NamedTuple

WINDOW_SECONDS = 600.0
REFUSALS_PER_MINUTE = 60
_REMEMBERED = 10_000  # keys whose verdict must stay the same when the webhook comes again
_COUNTED = 20_000  # names that are counted at once; beyond that a limit bites anyway
_BLOCK = 8  # +1 and six digits: ten thousand numbers of one exchange, the unit that pumped texts come from
HIDDEN = "hidden*"  # callers without a number are one block

Over = Literal["", "phone", "block", "total"]
Urgency = Literal["", "alarm", "opt_out"]


@dataclass(frozen=True, slots=True)
class Most:
    """In a window. *phone*, *block*, *total*: read and answered. *known*: the same for known patients beyond these two.
    *told*: static answers, *each* to one phone. *alone*: phones over their own limit that are each a person's task."""

    phone: int
    block: int
    total: int
    known: int
    told: int
    each: int = 1
    alone: int = 5
    alarms: int = 60
    alarms_each: int = 3
    alarms_told: int = 300
    alarms_told_each: int = 10


# One text every 20 s for ten minutes, where a whole conversation has about ten; all together one a second, which is what a
# long code can answer (twilio.md C3).
TEXTS = Most(phone=30, block=60, total=600, known=600, told=60)
# A call takes minutes. Whoever is over hears 911 and the clinic's number, and when that is used up the busy tone, which is
# free; never silence.
CALLS = Most(phone=10, block=30, total=150, known=150, told=120, each=3)


class Verdict(NamedTuple):
    """``go``: to the conversation; ``static``: the static answer; ``silent``: nothing that costs anything. *over*: which
    limit bit. *alone*: it is about this phone rather than about too many."""

    answer: Literal["go", "static", "silent"]
    over: Over = ""
    alone: bool = False


_GO = Verdict("go")


class Limits:
    """Judges texts, or calls as they begin. *now* in seconds of any clock that only goes forward. *known*: whether the
    phone is a patient's whom we wrote to or who is in the middle of a conversation. *notice*: staff are to know that this
    limit bites; called once in a window, again when it gives False."""

    def __init__(
        self,
        now: Callable[[], float],
        most: Most,
        *,
        known: Callable[[str], bool] = lambda phone: False,
        notice: Callable[[str], bool] = lambda over: True,
    ) -> None:
        self._now, self._most, self._known, self._notice = now, most, known, notice
        self._lock = threading.Lock()
        self._counts: Counter[str] = Counter()
        self._began = 0.0
        self._judged: OrderedDict[str, Verdict] = OrderedDict()

    def judge(self, phone: str, key: str, urgency: Callable[[], Urgency] = lambda: "") -> Verdict:
        """The verdict on the webhook with *key*; the same *key* gets the same. *urgency* of what was said is asked only
        over a limit."""
        with self._lock:
            seen = self._judged.get(key)
            if seen is not None:
                return seen
            over = self._over(phone)
            if not over:
                return self._remember(key, _GO)
        urgent = urgency()
        known = over != "phone" and not urgent and self._known(phone)
        with self._lock:
            verdict = self._remember(key, self._beyond(phone, over, urgent, known))
        noticed = f"{verdict.over} noticed"
        if verdict.answer != "go" and not verdict.alone and self._takes(noticed, 1) and not self._notice(verdict.over):
            self._counts.pop(noticed, None)
        return verdict

    def _remember(self, key: str, verdict: Verdict) -> Verdict:
        verdict = self._judged.setdefault(key, verdict)
        while len(self._judged) > _REMEMBERED:
            self._judged.popitem(last=False)
        return verdict

    def _over(self, phone: str) -> Over:
        if self._now() - self._began > WINDOW_SECONDS:
            self._counts.clear()
            self._began = self._now()
        block = phone[:_BLOCK] + "*" if phone.startswith("+") else HIDDEN
        found: Over = ""
        names: tuple[tuple[Over, str, int], ...] = (
            ("total", "*", self._most.total), ("block", block, self._most.block), ("phone", phone, self._most.phone),
        )  # fmt: skip
        for over, name, most in names:
            found = over if not self._takes(name, most) else found
        return found

    def _beyond(self, phone: str, over: Over, urgent: Urgency, known: bool) -> Verdict:
        most = self._most
        if urgent == "opt_out" or (known and self._takes("known", most.known)):
            return Verdict("go", over)
        if urgent == "alarm":
            if self._takes(f"{phone} alarms", most.alarms_each) and self._takes("alarms", most.alarms):
                return Verdict("go", over)
            if self._takes(f"{phone} alarms told", most.alarms_told_each) and self._takes(
                "alarms told", most.alarms_told
            ):
                return Verdict("static", over)
        alone = over == "phone" and (self._counts[f"{phone} alone"] > 0 or self._takes("alone", most.alone))
        if alone:
            self._counts[f"{phone} alone"] += 1
        told = self._takes(f"{phone} told", most.each) and self._takes("told", most.told)
        return Verdict("static" if told else "silent", over, alone)

    def _takes(self, name: str, most: int) -> bool:
        """One more of *name*: whether it is within *most*."""
        if len(self._counts) >= _COUNTED and name not in self._counts:
            return most > 1
        self._counts[name] += 1
        return self._counts[name] <= most


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
