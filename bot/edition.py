"""An edition: exactly which flows, words, settings and program decide a turn, under one mark. Pure.

The patient's log names the mark of each turn; bot/store/published.py keeps editions and the texts they name, so that a
past turn can be run again as it was, and an open session stays on the version it began with.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from typing import Any, Literal
from zoneinfo import ZoneInfo

from bot.consent import Hours, hours_for
from bot.flow.load import Loaded, load_flow
from bot.places import state_of, zones_of
from bot.reading.model import Expects, Reading
from bot.regions import is_allowed
from bot.setting_shapes import OpeningHours, hours_by_state
from bot.turn import Clinic

Read = Callable[[str, Expects | None, str, str], Reading]
Hints = Callable[[Expects, str], tuple[str, ...]]


@dataclass(frozen=True)
class Edition:
    """*flows* and *words*: id or language -> hash of the text. *links*: what a scheduling link's address begins with.
    *hours* and *quiet* are settings as written, in *zone*. *regions* may be texted. *program*: hash of the code that
    decides turns."""

    flows: Mapping[str, str]
    words: Mapping[str, str]
    values: Mapping[str, str]
    links: str
    opt_out_mode: Literal["twilio", "advanced", "app"]
    voicemail: bool
    zone: str
    hours: str
    state_hours: str
    quiet: tuple[str, str]
    regions: tuple[str, ...]
    program: str

    @property
    def mark(self) -> str:
        """8 hex digits over everything."""
        return hashlib.sha256(self.to_json().encode()).hexdigest()[:8]

    def to_json(self) -> str:
        """Canonical: equal editions have equal texts."""
        return json.dumps(asdict(self), sort_keys=True, ensure_ascii=False, separators=(",", ":"))

    @classmethod
    def from_json(cls, text: str) -> Edition:
        """What to_json wrote."""
        body = json.loads(text)
        return cls(**{**body, "quiet": tuple(body["quiet"]), "regions": tuple(body["regions"])})

    def is_open(self, at: float) -> bool:
        """A person answers the clinic's phone at *at*, epoch seconds."""
        return OpeningHours.parse(self.hours).is_open(datetime.fromtimestamp(at, ZoneInfo(self.zone)))

    def hours_of(self, whereabouts: str) -> Hours:
        """When a patient may be written to, by ZIP code or number: everyone's hours, and the stricter ones of a state."""
        found, stricter = hours_for(zones_of(whereabouts), self.zone, *self.quiet), hours_by_state(self.state_hours)
        state = state_of(whereabouts) if stricter else None
        return replace(found, stricter=stricter[state].is_open) if state in stricter else found

    def clinic(self, flows: Mapping[str, Loaded], read: Read, hints: Hints) -> Clinic:
        """What a turn needs. It draws nothing yet: whoever uses it puts new_id, new_effect and link in."""
        week, zone = OpeningHours.parse(self.hours), ZoneInfo(self.zone)
        return Clinic(
            flows=flows,
            read=read,
            values=self.values,
            new_id=_undrawn,
            new_effect=_undrawn,
            link=lambda token: (token, f"{self.links}{token}"),
            opt_out_mode=self.opt_out_mode,
            is_open=lambda at: week.is_open(datetime.fromtimestamp(at, zone)),
            voicemail=self.voicemail,
            zone=self.zone,
            mark=self.mark,
            may_text=lambda phone: is_allowed(phone, self.regions),
            hints=hints,
        )


def kept_text(loaded: Loaded) -> str:
    """A flow as it is kept: whole, with what it shares with other flows in it."""
    body = {name: value for name, value in loaded.placed.value.items() if name != "extends"}
    return json.dumps(body, ensure_ascii=False, separators=(",", ":"))


def kept_flow(text: str, content: str) -> Loaded:
    """The flow of a kept text; *content* is its hash, and its name in errors."""
    return replace(load_flow(text, f"version {content}"), hash=content)


def text_hash(text: str) -> str:
    """16 hex digits of a text, by which it is kept."""
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _undrawn(*_: Any) -> Any:
    raise RuntimeError("This clinic draws nothing: put new_id, new_effect and link in.")
