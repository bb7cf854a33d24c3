"""Who may be written to and when. Pure: the record, the clock and the rules come in as arguments.

Asked at the moment of sending, never when something is planned. An answer inside a conversation is always allowed;
everything here is about what the bot sends on its own.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, time
from typing import Any
from zoneinfo import ZoneInfo

from bot.record import CLOSED, Channel, Record

DAY = 86_400.0
JITTER = 2_700  # seconds
PER_DAY, PER_WEEK = 1, 3  # the FCC healthcare exemption's caps, used as policy even with consent (SPEC D)
MATTER_CLOSED = "the clinic has closed the matter"
ALARMING = ("emergency", "urgent")  # results after which a person follows up; a crisis is an emergency
SILENT_FOLLOW_UPS = 2  # two unanswered in a row end all of them

# What the carrier answers by itself on long codes and toll-free numbers (Twilio: Advanced Opt-Out, default keywords).
CARRIER_STOP = frozenset({"STOP", "STOPALL", "UNSUBSCRIBE", "CANCEL", "END", "QUIT", "REVOKE", "OPTOUT"})
CARRIER_START = frozenset({"START", "UNSTOP"})
CARRIER_HELP = frozenset({"HELP", "INFO"})


@dataclass(frozen=True, slots=True)
class Verdict:
    """*go*: send now. Else *later*: not before this time. Else never, because of *why*."""

    go: bool
    why: str
    later: float | None = None


@dataclass(frozen=True, slots=True)
class Hours:
    """Local hours in which the bot may write on its own: from *start* to *end*, in every zone of *zones*."""

    start: time
    end: time
    zones: tuple[ZoneInfo, ...]
    stricter: Callable[[datetime], bool] | None = None

    def open(self, now: float) -> bool:
        """Open in all zones at once, and by the *stricter* rule of a state in each."""
        local = [datetime.fromtimestamp(now, zone) for zone in self.zones]
        allowed = all(self.stricter(at) for at in local) if self.stricter else True
        return allowed and all(self.start <= at.time() < self.end for at in local)

    def next_open(self, now: float, salt: str = "") -> float:
        """The first quarter of an hour from *now* at which all zones are open; at most 8 days ahead are searched.

        With *salt* (an effect's id) a moved time is spread over JITTER seconds, always the same for the same id: what
        waited for the morning does not leave in one second, and the plan can say when it will.
        """
        at = now
        for _ in range(8 * 96):
            if self.open(at):
                spread = at + zlib.crc32(salt.encode()) % JITTER if salt and at > now else at
                return spread if self.open(spread) else at
            at = (at // 900 + 1) * 900
        raise ValueError("There is no hour at which all zones are open; the quiet hours are set too wide.")


def may_answer_silence(record: Record, hours: Hours, now: float) -> Verdict:
    """A nudge inside an open conversation: not after STOP, not in quiet hours; the caps are for follow-ups."""
    if record.opted_out:
        return Verdict(False, "opted out")
    if record.owner:
        return Verdict(False, "a person has taken over")
    if CLOSED in record.facts:
        return Verdict(False, MATTER_CLOSED)
    if "landline" in record.facts:
        return Verdict(False, "a landline takes no texts")
    if not hours.open(now):
        return Verdict(False, "quiet hours", hours.next_open(now))
    return Verdict(True, "inside a conversation")


def may_follow_up(
    record: Record, purpose: str, hours: Hours, now: float, *, channel: Channel = "text", salt: str = ""
) -> Verdict:
    """One automatic text or call for *purpose*: consent, outcome, caps, silence in a row, hours (SPEC D, I24)."""
    never = _never(record, purpose, channel)
    if never:
        return Verdict(False, never)
    wait = _cap(record.sent, now)
    if wait is not None:
        return Verdict(False, "the cap of texts is reached", hours.next_open(wait, salt))
    if not hours.open(now):
        return Verdict(False, "quiet hours", hours.next_open(now, salt))
    return Verdict(True, "consented")


def may_still_send(
    record: Record, kind: str, told: Mapping[str, Any], hours_of: Callable[[str], Hours], now: float, *, call: bool
) -> Verdict:
    """A send that was decided and had to wait (carrier, stop, crash): does it still hold? *told* is the effect's body,
    *hours_of* gives the hours of a place, which costs more than all the rest."""
    if record.opted_out:
        return Verdict(False, "opted out since")
    if not call and "landline" in record.facts:
        return Verdict(False, "a landline takes no texts")
    if record.owner and "by" not in told:
        return Verdict(False, "a person has taken over since")
    if CLOSED in record.facts and kind in ("follow_up", "silence") and "w" not in told:
        return Verdict(False, MATTER_CLOSED)
    if kind == "text" and told.get("n") != "late":
        return Verdict(True, "asked for")
    if kind == "silence" and (record.session is None or record.session.turn != told["t"] + 1):
        return Verdict(False, "the patient has moved on")
    if not told.get("safety") and not (hours := hours_of(record.whereabouts)).open(now):
        return Verdict(False, "quiet hours", hours.next_open(now))
    return Verdict(True, "still holds")


def _never(record: Record, purpose: str, channel: Channel) -> str | None:
    if record.opted_out:
        return "opted out"
    if "wrong_number" in record.facts:
        return "wrong number"
    if not record.consents_to(purpose, channel):
        return "no consent to calls" if channel == "call" and record.consents_to(purpose) else "no consent"
    if record.owner:
        return "a person has taken over"
    session = record.session
    if record.result in ALARMING or (session and session.outcome in ALARMING):
        return "a person follows up after an emergency"
    if session and session.disposition == "minor":
        return "a person follows up with a minor"
    if CLOSED in record.facts and purpose != "outreach":  # which staff begin themselves
        return MATTER_CLOSED
    if "landline" in record.facts and channel == "text":
        return "a landline takes no texts"
    if record.unanswered >= SILENT_FOLLOW_UPS:
        return "two follow-ups were not answered"
    return None


def _cap(sent: Sequence[float], now: float) -> float | None:
    """When the next text fits under both caps, or None when it fits now."""
    day = [at for at in sent if at > now - DAY]
    week = sorted(at for at in sent if at > now - 7 * DAY)
    waits = [day[-PER_DAY] + DAY] if len(day) >= PER_DAY else []
    if len(week) >= PER_WEEK:
        waits.append(week[-PER_WEEK] + 7 * DAY)
    return max(waits) if waits else None


def hours_for(phone_zones: Sequence[str], clinic_zone: str, start: str, end: str) -> Hours:
    """Open hours for a phone whose number can be in *phone_zones* (none known: the clinic's zone)."""
    names = tuple(phone_zones) or (clinic_zone,)
    return Hours(time.fromisoformat(start), time.fromisoformat(end), tuple(ZoneInfo(name) for name in names))
