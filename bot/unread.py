"""The replies that were not understood and that many patients wrote: candidates for ``flows/words``. Gathered every night.

From the patients' logs of twelve weeks, a few patients at a time between other work (one due effect, like retention).
What fewer than five different patients wrote is never kept beyond the night, and of the rest no name, number, date or
address (bot/scrub.py). Each patient is looked at once, so a phrase is counted once for each of them.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from bot.retention import DAY, next_night
from bot.scrub import scrub
from bot.store.heard import EFFECT, UNREAD, Heard
from bot.store.lists import Lists
from bot.store.retain import plant
from bot.store.store import Store

PATIENTS = 5  # different ones, at least
WINDOW = 84 * DAY
AT_ONCE = 100  # patients in one go
CLOCKS = 60.0  # seconds by which two machines' clocks may differ before doctor has long said so
MOST = 300  # phrases that are kept
SOON = 300.0  # seconds after a worker's first start


@dataclass(frozen=True, slots=True)
class Phrase:
    """*words* that so many *patients* wrote to a question and that were not understood. *mark* stands for it in an address:
    keyed, because a plain hash of a few words can be counted through."""

    flow: str
    state: str
    language: str
    words: str
    patients: int
    mark: str

    @property
    def key(self) -> tuple[str, str, str, str]:
        """What makes it one phrase."""
        return self.flow, self.state, self.language, self.words


class Unread:
    """Of one deployment."""

    def __init__(self, store: Store) -> None:
        self.store, self.heard = store, Heard(store)

    def plant(self, now: float) -> None:
        """The effect is there; any number of workers may say so at their start."""
        plant(self.store, EFFECT, UNREAD, now + SOON)

    def sweep(self, now: float) -> float:
        """Some patients; when to go on."""
        place = self.heard.place() or {"until": now - CLOCKS, "after": "", "found": {}}
        lists, found = Lists(self.store), place["found"]
        some, after = lists.recent(place["after"], AT_ONCE, place["until"] - WINDOW)
        for patient, last in some:
            # Who writes meanwhile moves behind the end, and is not seen twice.
            if last <= place["until"]:
                for key in {"\n".join(said) for _, said in unread_in(self._log(patient))}:
                    found[key] = found.get(key, 0) + 1
        if after is not None and some[-1][1] <= place["until"]:
            self.heard.go_on_from({**place, "after": after})
            return now
        rows = sorted(((many, key) for key, many in found.items() if many >= PATIENTS), reverse=True)[:MOST]
        self.heard.keep({"at": now, "until": place["until"], "rows": [[*key.split("\n"), many] for many, key in rows]})
        self.heard.go_on_from(None)
        return next_night(now)

    def all_now(self, now: float) -> None:
        """A whole gathering at once, for the command."""
        self.heard.go_on_from(None)
        while self.sweep(now) <= now:
            pass

    def known(self) -> tuple[float | None, list[Phrase]]:
        """When it was gathered last (None: never), and what was found, the most frequent first."""
        kept = self.heard.kept()
        return (kept["at"], [self._phrase(row) for row in kept["rows"]]) if kept else (None, [])

    def _phrase(self, row: list[Any]) -> Phrase:
        *key, patients = row
        return Phrase(key[0], key[1], key[2], key[3], patients, self.store.cipher.token_hash("\n".join(key)))

    def gathered(self) -> tuple[float, list[Phrase]]:
        """Until when patients' words were looked at, and what was found."""
        kept = self.heard.kept()
        return (kept.get("until", kept["at"]) if kept else 0.0), self.known()[1]

    def _log(self, patient: str) -> Iterator[dict[str, Any]]:
        return (json.loads(raw) for raw in self.store.events(patient) if raw)


def unread_in(events: Iterable[dict[str, Any]]) -> Iterator[tuple[dict[str, Any], tuple[str, str, str, str]]]:
    """The line, and (flow, question, language, scrubbed words), of every reply of one log that was not understood."""
    stands = ("", "", "")
    for event in events:
        if "session" not in event:
            continue
        session, flow, asked = stands
        heard = event["in"] == "said" and event["reading"][0] == "unclear" and not event.get("keys")
        if heard and asked and session == event["session"] and (words := scrub(str(event["said"]))):
            yield event, (flow, asked, event["language"], words)
        stands = (event["session"], event["flow"][0], event["state"])
