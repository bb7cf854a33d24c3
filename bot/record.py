"""What is kept of one patient between two turns, and its bytes. One record changes as one; the store seals it.

Holds the phone number and the consents beside the session, because a STOP must change all of them at once. No text of
a patient is in it: words go to the event log only.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

from bot.engine import Session
from bot.frozen import Frozen
from bot.packed import pack, unpack

CLOSED = "closed"  # a fact: the clinic has closed the matter, so nothing automatic about it goes out
GONE = "This patient was erased."  # why nothing is done about something that came for them
WAITS = "waits_for_staff"  # a fact: a task is open about what was written to the person who has taken over
ERASED = "erased"  # a fact: this record is what is left of a patient who was erased, at last_at
BARE_SECONDS = 30 * 86_400  # how long that stays: as long as a carrier may still report on a text
_PLAIN = ("started_at", "last_at", "opted_out", "unanswered", "owner", "planned", "sent", "echoes", "calling",
          "result", "scores", "visit_at", "visit_mark", "zip_code", "speaks")  # fmt: skip
_EMPTY: tuple[Any, ...] = (None, False, (), {})


Channel = Literal["text", "call", "any"]


class GoneError(RuntimeError):
    """Something came for a patient who was erased and of whom no number is known; nothing is kept of it."""


class Consent(NamedTuple):
    """One answer to "may we reach you for *purpose* by *channel*": when, where it came from, which wording was shown
    (its key, language and hash) and who gave or noted it."""

    purpose: str
    granted: bool
    at: float
    source: str
    wording: str = ""
    channel: Channel = "any"
    who: str = "patient"


@dataclass(frozen=True)
class Record(Frozen):
    """One patient. *planned*: name -> id of the effect that is due. *sent*: when automatic texts went out (7 days).

    *facts*: what became known outside a conversation (``link_opened``, ``booked``, ``landline``). *owner*: the member
    of staff who took over; the bot is silent while it is set. *calling*: (effect, flow, what its walk is told) of the
    call that we placed last. *result*: the newest outcome of any walk. *scores*: (first, last) sum of each score.
    *visit_at*: the next or last visit, 0 when none is known; *visit_mark*: what its booking page calls it, and how new
    that word is. *zip_code*: what the patient stated. Times are epoch seconds.
    """

    phone: str
    session: Session | None = None
    started_at: float = 0.0
    last_at: float = 0.0
    opted_out: bool = False
    consents: tuple[Consent, ...] = ()
    planned: Mapping[str, str] = field(default_factory=dict)
    sent: tuple[float, ...] = ()
    unanswered: int = 0
    facts: frozenset[str] = frozenset()
    owner: str | None = None
    echoes: tuple[tuple[str, float], ...] = ()
    calling: tuple[Any, ...] | None = None
    result: str | None = None
    scores: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    visit_at: float = 0.0
    visit_mark: tuple[str, float] | None = None
    zip_code: str = ""
    speaks: str = ""

    def consents_to(self, purpose: str, channel: Channel = "any") -> bool:
        """The newest word on *purpose* by *channel* (``any``: by whichever) is yes, and STOP was not said since."""
        words = [one for one in self.consents if one.purpose == purpose]
        found = [one.granted for one in words if "any" in (channel, one.channel) or one.channel == channel]
        return bool(found) and found[-1] and not self.opted_out

    @property
    def language(self) -> str:
        """What the patient is written and spoken to in: as chosen, else as a file of the clinic says (*speaks*)."""
        return self.session.language if self.session else self.speaks or "en"

    @property
    def whereabouts(self) -> str:
        """What tells the patient's time zone: the ZIP code that was stated, else the number."""
        return self.zip_code or self.phone


def to_bytes(record: Record) -> bytes:
    """Compact JSON: fields at their default are left out, a session by position (asdict took 6 % of a whole turn)."""
    body: dict[str, Any] = {"p": record.phone}
    if record.session:
        body["s"] = _session_list(record.session)
    fields = record.__dict__
    for name in _PLAIN:
        if fields[name]:
            body[name] = fields[name]
    if record.consents:
        body["c"] = [list(one) for one in record.consents]
    if record.facts:
        body["facts"] = sorted(record.facts)
    return pack(body)


def from_bytes(raw: bytes) -> Record:
    """The record that to_bytes wrote."""
    body = unpack(raw)
    kept: dict[str, Any] = {}
    for short, value in body.items():
        name, read = _READ.get(short, (short, None))
        kept[name] = read(value) if read else value
    return _BLANK.but(**kept)


def erased_since(raw: bytes | None, came: float) -> bool:
    """The patient of this record was erased after *came*, and has not written since."""
    record = from_bytes(raw) if raw else None
    return record is not None and ERASED in record.facts and came <= record.last_at


def bare_of(record: Record, at: float) -> bytes:
    """What stays of a patient who is erased at *at*: only whether they wrote STOP."""
    return to_bytes(Record("", last_at=at, opted_out=record.opted_out, facts=frozenset({ERASED})))


def _session_list(session: Session) -> list[Any]:
    """By position, in the order of Session's fields; what is at its default at the end is left out."""
    values = list(session.__dict__.values())
    while values[-1] in _EMPTY:
        values.pop()
    return values


def _session_of(values: list[Any]) -> Session:
    """The session of a list; answers that were sets and the trail come back as tuples."""
    fields = dict(zip(_WALK.__dict__, values, strict=False))
    if "answers" in fields:
        fields["answers"] = {name: tuple(v) if isinstance(v, list) else v for name, v in fields["answers"].items()}
    if "trail" in fields:
        fields["trail"] = tuple(fields["trail"])
    return _WALK.but(**fields)


_BLANK, _WALK = Record(""), Session("", "", "", "", "")
# Short name in the bytes -> field, and how it becomes what it was; what is not here is kept as JSON has it.
_READ: Mapping[str, tuple[str, Callable[[Any], Any]]] = {
    "p": ("phone", str),
    "s": ("session", _session_of),
    "c": ("consents", lambda found: tuple(Consent(*one) for one in found)),
    "facts": ("facts", frozenset),
    "sent": ("sent", tuple),
    "echoes": ("echoes", lambda found: tuple(map(tuple, found))),
    "calling": ("calling", tuple),
    "visit_mark": ("visit_mark", tuple),
    "scores": ("scores", lambda found: {name: tuple(both) for name, both in found.items()}),
}
