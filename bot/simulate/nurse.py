"""A nurse who takes a simulated patient over, writes to them, and hands them back, with the console's own acts."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field

from bot.simulate.town import Town
from bot.takeover import TakeOver, as_sent

NAME = "nina"


@dataclass
class Nurse:
    """*spans*: (from, to) of each time in which she has the patient; an open one ends at infinity. *wrote*: her texts, as
    they are sent."""

    town: Town
    phone: str
    spans: list[tuple[float, float]] = field(default_factory=list)
    wrote: list[str] = field(default_factory=list)
    _count: itertools.count[int] = field(default_factory=itertools.count)

    def claim(self) -> None:
        """From now on she answers."""
        if self._desk().claim(self._patient, NAME, self._press()).ok:
            self.spans.append((self.town.clock(), float("inf")))

    def reply(self, words: str) -> None:
        """One text of hers; refused after STOP."""
        if self._desk().reply(self._patient, NAME, words, self._press()).ok:
            self.wrote.append(as_sent(words))

    def release(self, *, screens: bool) -> None:
        """The bot answers again; with *screens* from the first safety question on."""
        begin, _ = self.spans[-1]
        self.spans[-1] = (begin, self.town.clock())
        self._desk().release(self._patient, NAME, self._press(), screens=screens)

    def has_them(self, at: float) -> bool:
        """Whether the patient was hers at that time."""
        return any(begin <= at < end for begin, end in self.spans)

    @property
    def _patient(self) -> str:
        return self.town.patient(self.phone)

    def _desk(self) -> TakeOver:
        return TakeOver(self.town.app.conversation)

    def _press(self) -> str:
        return f"press {next(self._count)}"
