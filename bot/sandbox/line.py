"""One line of the local Twilio: fetches documents, checks them, and plays their verbs until it waits for somebody.

What the person at the other end does is in player.py. Time in a call is told, never waited for.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal, Protocol
from urllib.parse import urljoin
from xml.etree import ElementTree

from bot.sandbox.grammar import parse, problems
from bot.sandbox.hooks import TWIML_TYPES, Fetched, Hooks, Request
from bot.sandbox.model import API_VERSION, Faults, SandboxConfig, new_sid
from bot.sandbox.numbers import country_code, place

DOCUMENT_LIMIT = 50
WORDS_PER_SECOND = 2.5
GATHER_SECONDS, DIAL_SECONDS, RECORD_SECONDS = 5, 30, 5
APPLICATION_ERROR = "(Twilio) An application error has occurred. Goodbye."
Waiting = Literal["", "ring", "gather", "dial", "record"]
Element = ElementTree.Element


class Desk(Protocol):
    """What a call needs from its account."""

    config: SandboxConfig
    faults: Faults
    hooks: Hooks
    dial_outcomes: dict[str, str]

    def alert(self, code: int, text: str) -> None: ...
    def warn(self, answer: Fetched) -> None: ...
    def call_changed(self, call: Line, event: str) -> None: ...
    def recorded(self, call: Line, element: Element, base: str, seconds: int) -> str: ...


@dataclass(frozen=True, slots=True)
class Prompt:
    """Something heard. *kind*: ``say``, ``play`` (text is the address), ``pause`` (text is seconds), ``line``
    (Twilio itself); ``you`` is what the person did, so that the prompts read as a transcript."""

    kind: Literal["say", "play", "pause", "line", "you"]
    text: str
    language: str = "en-US"
    voice: str = ""


@dataclass(slots=True)
class Plan:
    """Where a call's documents come from and who wants to know how it goes."""

    url: str = ""
    method: str = "POST"
    twiml: str = ""
    fallback: str | None = None
    callback: str | None = None
    events: tuple[str, ...] = ("completed",)
    ring_seconds: int = 60
    detection: str = ""
    amd_callback: str | None = None


@dataclass(eq=False)
class Line:
    """The playing half of a call; its fields are described at :class:`bot.sandbox.player.Call`."""

    desk: Desk
    from_: str
    to: str
    direction: Literal["inbound", "outbound-api"]
    plan: Plan
    sid: str = field(default_factory=lambda: new_sid("CA"))
    status: str = "ringing"
    waiting: Waiting = ""
    prompts: list[Prompt] = field(default_factory=list)
    requests: list[Request] = field(default_factory=list)
    digits: str = ""
    answered_by: str | None = None
    dialing: str = ""
    created: float = 0.0
    started: float | None = None
    ended: float | None = None
    elapsed: float = 0.0
    deadline: float | None = None
    sequence: int = 0
    rejected: bool = False

    def __post_init__(self) -> None:
        self.lock = threading.RLock()
        self.created = self.desk.config.clock()
        self._verbs: list[Element] = []
        self._base = ""
        self._next: Request | None = None
        self._element = Element("Response")
        self._documents = 0
        self._fell_back = False

    @property
    def heard(self) -> list[str]:
        return [prompt.text for prompt in self.prompts if prompt.kind in ("say", "line")]

    @property
    def patient(self) -> str:
        """The other end: who called us, or whom we called."""
        return self.from_ if self.direction == "inbound" else self.to

    @property
    def active(self) -> bool:
        return self.ended is None

    def end(self, status: str) -> None:
        """Ends the call with a final *status* and tells who asked to be told."""
        with self.lock:
            if self.ended is not None:
                return
            self.ended = self.desk.config.clock()
            self.status, self.waiting, self._verbs, self._next, self.deadline = status, "", [], None, None
            self.desk.call_changed(self, "completed")

    # --- documents -------------------------------------------------------------------------------------------------

    def _go(self, url: str, method: str, extra: Mapping[str, str]) -> None:
        self._verbs, self.deadline = [], None
        self._next = Request(url, {**self._params(), **extra}, method, voice=True).again()

    def _params(self) -> dict[str, str]:
        params = {
            "AccountSid": self.desk.config.account_sid,
            "ApiVersion": API_VERSION,
            "CallSid": self.sid,
            "CallStatus": self.status,
            "Direction": self.direction,
            "From": self.from_,
            "To": self.to,
            "Caller": self.from_,
            "Called": self.to,
        }
        for role in ("From", "Caller"):
            params |= place(role, self.from_)
        for role in ("To", "Called"):
            params |= place(role, self.to)
        return params

    def _run(self) -> None:
        """Plays until the line waits for somebody or the call is over."""
        while self.active and not self.waiting:
            if self._next is not None:
                request, self._next = self._next, None
                self._documents += 1
                if self._documents > DOCUMENT_LIMIT:
                    return self._break(0, "The call went through 50 documents while nobody said anything.")
                self.requests.append(request)
                self._play(self.desk.hooks.send(request))
            elif self._verbs:
                verb = self._verbs.pop(0)
                play = _VERBS.get(verb.tag)
                if play is not None:
                    self._element = verb if verb.tag in ("Gather", "Dial", "Record") else self._element
                    play(self, verb)
            else:
                self.end("completed")
        return None

    def _tell_once(self, extra: Mapping[str, str]) -> None:
        """The action of a verb hears that the caller has gone; what it answers is not played."""
        action = self._element.get("action")
        if action is None:
            return
        told = {**self._params(), **extra, "CallStatus": "completed"}
        request = Request(urljoin(self._base, action), told, voice=True).again()
        self.requests.append(request)
        self.desk.warn(self.desk.hooks.send(request))

    def _play(self, answer: Fetched, inline: bool = False) -> None:
        self.desk.warn(answer)
        if not answer.ok:
            return self._break(answer.error, answer.why)
        if answer.kind == "text/plain":
            self._verbs = [_said(answer.body.decode("utf-8", "replace"))]
            return None
        if answer.kind not in TWIML_TYPES:
            self.desk.alert(12300, f"The webhook answered with the content type {answer.kind or '(none)'}.")
            return self._break(12300, "")
        found = problems(answer.body, "voice", inline=inline)
        for problem in found:
            self.desk.alert(problem.code, problem.text)
        root = parse(answer.body)
        if not isinstance(root, Element) or any(problem.fatal for problem in found):
            return self._break(next(problem.code for problem in found if problem.fatal), "")
        self._verbs, self._base = list(root), answer.url
        return None

    def _break(self, code: int, why: str) -> None:
        """The document cannot be played: the fallback address gets its one chance, then the call dies audibly."""
        if self.plan.fallback and not self._fell_back:
            self._fell_back = True
            where = self.requests[-1].url if self.requests else self.plan.url
            return self._go(self.plan.fallback, "POST", {"ErrorCode": str(code), "ErrorUrl": where})
        if why and code == 0:
            self.desk.alert(code, why)
        self._answer()
        self.prompts.append(Prompt("line", APPLICATION_ERROR))
        self.end("completed")
        return None

    # --- verbs -----------------------------------------------------------------------------------------------------

    def _answer(self) -> None:
        if self.status == "ringing":
            self.status = "in-progress"

    def _pass(self, seconds: float) -> None:
        self.elapsed += seconds
        self.desk.config.advance(seconds)

    def _gather_seconds(self) -> int:
        timeout = self._element.get("timeout", "")
        return int(timeout) if timeout.isdigit() else GATHER_SECONDS

    def _set_deadline(self, speaking: float) -> None:
        self.deadline = self.desk.config.clock() + speaking + self._gather_seconds()

    def _hear(self, verb: Element) -> None:
        self._answer()
        if verb.tag == "Pause":
            seconds = int(verb.get("length") or 1)
            self.elapsed += seconds
            self.prompts.append(Prompt("pause", str(seconds)))
            return
        text = " ".join("".join(verb.itertext()).split())
        self.elapsed += len(text.split()) / WORDS_PER_SECOND
        kind: Literal["say", "play"] = "say" if verb.tag == "Say" else "play"
        for _ in range(min(int(verb.get("loop") or 1), 1000)):
            self.prompts.append(Prompt(kind, text, verb.get("language", "en-US"), verb.get("voice", "")))

    def _gather(self, verb: Element) -> None:
        before = self.elapsed
        self._answer()
        for nested in verb:
            if nested.tag in ("Say", "Play", "Pause"):
                self._hear(nested)
        self.waiting, self.digits = "gather", ""
        self._set_deadline(self.elapsed - before)

    def _redirect(self, verb: Element) -> None:
        self._go(urljoin(self._base, (verb.text or "").strip()), verb.get("method", "POST"), {})

    def _dial(self, verb: Element) -> None:
        self._answer()
        number = verb.find("Number")
        target = ((verb.text if number is None else number.text) or "").strip()
        ours = {self.from_, self.to, *self.desk.config.numbers}
        if country_code(target) is None:
            self.desk.alert(13223, "<Dial> holds no phone number that can be dialled.")
            return self._report_dial("failed", 0)
        if verb.get("callerId") and verb.get("callerId") not in ours:
            self.desk.alert(13214, "<Dial callerId> is neither of the two numbers nor one of ours.")
            return self._report_dial("failed", 0)
        self.waiting, self.dialing = "dial", target
        if target in self.desk.dial_outcomes:
            self._dialled(self.desk.dial_outcomes[target], 30)
        return None

    def _await_recording(self, verb: Element) -> None:
        self._answer()
        self.waiting = "record"

    def _hang(self, verb: Element) -> None:
        self._answer()
        self.end("completed")

    def _reject(self, verb: Element) -> None:
        if self.direction == "inbound" and self.status == "ringing":
            self.rejected = True
            self.end("busy" if verb.get("reason") == "busy" else "no-answer")
        else:
            self._hang(verb)

    def _dialled(self, outcome: str, seconds: int) -> None:
        if self.waiting != "dial":
            return
        self.elapsed += seconds if outcome == "completed" else int(self._element.get("timeout") or DIAL_SECONDS)
        self._report_dial(outcome, seconds)

    def _report_dial(self, outcome: str, seconds: int) -> None:
        action, self.waiting, self.dialing = self._element.get("action"), "", ""
        if action is None:
            return
        told = {
            "DialCallStatus": outcome,
            "DialCallSid": new_sid("CA"),
            "DialBridged": "true" if outcome == "completed" else "false",
        }
        if outcome == "completed":
            told["DialCallDuration"] = str(seconds)
        self._go(urljoin(self._base, action), self._element.get("method", "POST"), told)


def _said(text: str) -> Element:
    say = Element("Say")
    say.text = text
    return say


_VERBS: dict[str, Callable[[Line, Element], None]] = {
    "Say": Line._hear,
    "Play": Line._hear,
    "Pause": Line._hear,
    "Gather": Line._gather,
    "Redirect": Line._redirect,
    "Dial": Line._dial,
    "Record": Line._await_recording,
    "Hangup": Line._hang,
    "Reject": Line._reject,
}
