"""One simulated patient and their phone: what they text, say and key, and what is remembered of it for the promises."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from datetime import datetime
from zoneinfo import ZoneInfo

from bot.engine import Session, waiting
from bot.reading.model import Expects
from bot.sandbox.player import Call
from bot.simulate.nurse import Nurse
from bot.simulate.town import Town

ALARMS = {
    "en": ("I can't breathe", "bad chest pain right now", "I want to kill myself"),
    "es": ("no puedo respirar", "me duele mucho el pecho", "quiero matarme"),
}
YES = {"en": ("yes", "yeah", "Y", "sure"), "es": ("si", "claro", "sí")}
NO = {"en": ("no", "nope", "N", "none of them"), "es": ("no", "ninguno", "nada de eso")}
SCREENS = frozenset({"screen_a", "screen_b", "screen_b2", "screen_c"})
SPAN = ("takes over", "hands back")
BOOKABLE = frozenset({"pmr", "both", "pt"})


@dataclass(slots=True)
class Said:
    """One thing that was said. *sid*: the text's, or "" on a call. *heard*: the answer on a call. *at*: when it reached
    the bot (virtual clock)."""

    words: str
    at: float
    sid: str = ""
    alarm: bool = False
    heard: str = ""


@dataclass
class Person:
    """*persona*: its name. *said*, *calls*: all of them, oldest first; *missed*: calls of ours that reached nobody or a
    machine. *skipped*: outcomes that were reached although a screen had not been answered no. *takes_texts*: a mobile
    phone; *takes_calls*: they agreed to be called."""

    town: Town
    phone: str
    persona: str
    language: str
    random: random.Random
    said: list[Said] = field(default_factory=list)
    calls: list[Call] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)
    outcomes: set[str] = field(default_factory=set)
    missed: list[Call] = field(default_factory=list)
    takes_texts: bool = True
    takes_calls: bool = False
    _seen: int = 0

    def __post_init__(self) -> None:
        self.nurse = Nurse(self.town, self.phone)

    # -- what they know --

    @property
    def session(self) -> Session | None:
        """Where the walk stands: a simulated patient reads the question off the store, not off the words."""
        return self.town.record(self.phone).session

    @property
    def question(self) -> Expects | None:
        """What the open question takes."""
        session = self.session
        loaded = self.town.app.conversation.clinic.of(session) if session else None
        return waiting(loaded, session) if session and loaded else None

    def has_news(self) -> bool:
        """Something came to the phone since the last look."""
        count = sum(message.to == self.phone for message in self.town.sandbox.texts(self.phone))
        news, self._seen = count > self._seen, count
        return news

    def answer(self, *, sick: float = 0.08) -> str:
        """Words that fit the open question. *sick*: how likely a screen is answered yes."""
        asked, session = self.question, self.session
        if asked is None or session is None:
            return "hola" if self.language == "es" else "hi"
        if asked.type == "scale0_10":
            return str(self.random.randrange(11))
        if session.state == "language":
            return "2" if self.language == "es" else "1"
        if asked.type == "choice":
            return str(self.random.randrange(len(asked.options)) + 1)
        agrees = self.random.random() < (sick if session.state in SCREENS else 0.85)
        return self.random.choice((YES if agrees else NO)[self.language])

    # -- what they do --

    def text(self, words: str, *, alarm: bool = False) -> None:
        """A text; now and then its webhook is lost and Twilio's redelivery comes after the next one."""
        inbound, _ = self.town.sandbox.hand_in(self.phone, words)
        said = Said(words, self.town.clock(), inbound.sid, alarm)
        self.said.append(said)
        if self.random.random() < 0.06:
            self.town.weather.fates["lost, redelivered"] += 1
            self.town.later(self.random.choice((5, 45, 200)), lambda: self._arrive(said))
        else:
            self._arrive(said)

    def _arrive(self, said: Said) -> None:
        said.at = self.town.clock()
        self.town.sandbox.arrive(said.sid)
        self._look()

    def call(self) -> Call:
        """They ring us."""
        made = self.town.sandbox.call_in(self.phone)
        self.calls.append(made)
        return made

    def say(self, call: Call, words: str, *, alarm: bool = False) -> None:
        """Speech, as a recogniser writes it."""
        heard = call.say(words, self.random.choice((None, 0.5, 0.9)))
        self.said.append(Said(words, self.town.clock(), "", alarm, " ".join(heard)))
        self._look()

    def press(self, call: Call, keys: str) -> None:
        """Keys."""
        call.press(keys)
        self._look()

    def stop_by_key(self, call: Call) -> None:
        """The key that a call of ours offers against all further ones."""
        self.said.append(Said("STOP", self.town.clock()))
        self.press(call, "9")

    def _look(self) -> None:
        session = self.session
        if session is None or session.outcome is None:
            return
        self.outcomes.add(session.outcome)
        answers = session.answers
        half = answers.get("screen_b2", "no")
        walked = session.flow == "triage" and session.outcome in BOOKABLE
        if walked and ([answers.get(f"screen_{one}") for one in "abc"] != ["no"] * 3 or half != "no"):
            self.skipped.append(f"{session.outcome} in {session.state}")

    # -- for whoever reads --

    def transcript(self) -> str:
        """Everything on this phone, by the clinic's local time."""
        lines: list[tuple[float, str]] = []
        for message in self.town.sandbox.texts(self.phone):
            who = "patient" if message.from_ == self.phone else "bot"
            lines.append((message.created, f"{who}: {message.body}" + (f" [{message.status}]" if who == "bot" else "")))
        for call in [*self.calls, *self.missed]:
            lines.append(
                (call.created, f"(a call {'from' if call.direction == 'inbound' else 'to'} them: {call.status})")
            )
            for prompt in call.prompts:
                who = "patient, on a call" if prompt.kind == "you" else "bot, on a call"
                lines.append((call.created or call.started or 0.0, f"{who}: {prompt.text}"))
        lines += [(at, f"(a nurse {does})") for span in self.nurse.spans for at, does in zip(span, SPAN, strict=True)]
        lines = sorted((line for line in lines if line[0] < float("inf")), key=lambda line: line[0])
        zone = ZoneInfo("America/Chicago")
        shown = [f"  {datetime.fromtimestamp(at, zone):%a %d %H:%M:%S} {words}" for at, words in lines]
        return "\n".join(shown) or "  (nothing was said)"
