"""The list behind a phrase that was not understood: the conversations in which it was written, as the last night counted."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from bot.console import terms
from bot.console.desk import Visit
from bot.console.lists import Part, Row
from bot.numbers import Number
from bot.store.lists import cursor_of
from bot.unread import WINDOW, Phrase, Unread, unread_in

AT_ONCE, LOOKED_AT = 50, 4  # as in counted.py


@dataclass(frozen=True)
class Worded:
    """*number* names the phrase by its mark."""

    visit: Visit
    number: Number

    @cached_property
    def _gathered(self) -> tuple[float, Phrase | None]:
        until, phrases = Unread(self.visit.desk.store).gathered()
        asked = (self.number.flow, self.number.state, self.number.phrase)
        return until, next((one for one in phrases if (one.flow, one.state, one.mark) == asked), None)

    @property
    def total(self) -> int:
        """How many patients wrote it."""
        found = self._gathered[1]
        return found.patients if found else 0

    def told(self, many: int) -> str:
        """See Behind."""
        return f"{many:,}"

    def part(self, after: str, limit: int) -> Part:
        """One row a patient. The cursor: how many were found before, and the place."""
        before, _, place = (after or "0.").partition(".")
        until, phrase = self._gathered
        seen, looked, rows = int(before) if before.isdecimal() else 0, 0, list[Row]()
        rest: str | None = place
        while (
            phrase and rest is not None and looked < LOOKED_AT * limit and len(rows) < limit and seen < phrase.patients
        ):
            found, following = self.visit.desk.lists.recent(rest, AT_ONCE, until - WINDOW)
            logs = self.visit.desk.lists.logs([patient for patient, _ in found])
            for (patient, last), (lines, _) in zip(found, logs, strict=True):
                said = [
                    line for line, key in unread_in(one for one in lines if one["at"] <= until) if key == phrase.key
                ]
                rows += [self._row(patient, phrase.state, said[-1]["at"], said[-1]["door"])] if said else []
                seen += bool(said)
                rest = cursor_of((last, patient))
                if len(rows) >= limit:
                    break
            else:
                rest = following
            looked += len(found)
        return Part(rows, f"{seen}.{rest}" if phrase and rest is not None and seen < phrase.patients else None, seen)

    def _row(self, patient: str, state: str, at: float, door: str) -> Row:
        say = self.visit.say
        return {
            "id": patient, "href": f"/patients/{patient}", "at": at, "what": terms.state(say, state),
            "by": say(terms.CHANNELS.get(door, "")),
        }  # fmt: skip
