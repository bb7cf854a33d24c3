"""Every conversation, the newest first: where it stands, without a word or a number of anybody. Every figure of the
dashboard leads here, to those it counted, as far as they are still kept as they were then.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime, time
from itertools import pairwise
from typing import Any

from flask import Response

from bot.codes import in_words
from bot.console import lists, terms
from bot.console.desk import Clock, Visit
from bot.console.languages import sentence
from bot.console.lists import Column, Listing, Part, Row
from bot.console.story import read_log
from bot.record import Record, from_bytes

COLUMNS = (
    Column("id", sentence("Conversation"), "link"),
    Column("at", sentence("Last turn"), "time"),
    Column("stands", sentence("Where it stands")),
    Column("outcome", sentence("Recommendation")),
    Column("channel", sentence("By")),
    Column("language", sentence("Language")),
    Column("owner", sentence("Who has it")),
)
EMPTY = sentence("Nobody has written or called yet. Conversations would appear here, the newest first.")
NONE = sentence("No conversation is like this any more, or not on this page. Press More, if it is there.")
STAGES: Mapping[str, tuple[str, str]] = {
    "linked": ("linked", sentence("got the scheduling link")),
    "opened": ("link_opened", sentence("opened the link")),
    "booked": ("booked", sentence("booked")),
}
FINISHED = sentence("came to an end")
AT_ONCE = 150
LOOKED_AT = 2_000  # conversations that one page looks through
LOG_COSTS = 10  # of them, when its log has to be read


@dataclass(frozen=True)
class Wanted:
    """Which conversations. *since* and *until*: when the walk began, epoch seconds. *asked*, *left*, *unread*: a question that
    was asked, after which nothing more was said, to which something was not understood. *failed*: the carrier's code."""

    since: float | None = None
    until: float | None = None
    flow: str = ""
    version: str = ""
    result: str = ""
    state: str = ""
    stage: str = ""
    asked: str = ""
    left: str = ""
    unread: str = ""
    failed: int | None = None

    @staticmethod
    def of(visit: Visit) -> Wanted:
        """From the address; what is no day or number is no wish."""
        given = visit.request.args
        code = given.get("failed", "")
        return Wanted(
            _day(visit, given.get("since", "")),
            _day(visit, given.get("until", "")),
            flow=given.get("flow", "")[:60],
            version=given.get("version", "")[:60],
            result=given.get("result", "")[:60],
            state=given.get("state", "")[:60],
            stage=given.get("stage", "")[:60],
            asked=given.get("asked", "")[:60],
            left=given.get("left", "")[:60],
            unread=given.get("unread", "")[:60],
            failed=int(code) if code.isdecimal() and code.isascii() and len(code) < 7 else None,
        )

    def takes(self, record: Record) -> bool:
        """A record of which all is true."""
        session = record.session
        if self.since is not None and record.started_at < self.since:
            return False
        if self.until is not None and record.started_at >= self.until:
            return False
        if (
            not self.in_log
            and (self.flow or self.version)
            and (session is None or not self._on(session.flow, session.flow_hash))
        ):
            return False
        if self.state and (session is None or session.state != self.state):
            return False
        result = (session.outcome or session.disposition) if session else None
        if self.result and self.result not in (result, record.result):
            return False
        if self.stage == "finished":
            return bool(record.result or (session and session.ended and session.disposition in ("staff", "minor")))
        return self.stage not in STAGES or STAGES[self.stage][0] in record.facts

    @property
    def in_log(self) -> bool:
        """The log has to be read to know."""
        return bool(self.asked or self.left or self.unread)

    def in_events(self, events: Iterable[Mapping[str, Any]]) -> bool:
        """A patient's log in which all of that happened, in one flow."""
        walk = [event for event in events if "session" in event and self.flow in ("", event["flow"][0])]
        found = True
        if self.asked:
            found = any(event["state"] == self.asked for event in walk)
        if self.unread:
            found = found and any(
                before["state"] == self.unread and event["reading"][0] == "unclear" and event["in"] == "said"
                for before, event in pairwise(walk)
                if before["session"] == event["session"]
            )
        if self.left:
            states = [event["state"] for event in walk if event["session"] == walk[-1]["session"]]
            found = found and self.left in [one for one in states if one != states[-1]][-1:]
        return found

    def _on(self, flow: str, version: str) -> bool:
        return self.flow in ("", flow) and self.version in ("", version)


def page(visit: Visit) -> Response:
    """The list."""
    wanted = Wanted.of(visit)

    def part(after: str, limit: int) -> Part:
        return _part(visit, wanted, after, limit)

    empty = EMPTY if wanted == Wanted() else NONE
    listing = Listing("conversations", sentence("Conversations"), empty, COLUMNS, part)
    return lists.show(visit, listing, "patients.html", wishes=[*_told(visit, wanted)])


def _part(visit: Visit, wanted: Wanted, after: str, limit: int) -> Part:
    """As many as asked for, a few more, or fewer when few of those looked at are wanted."""
    rows: list[Row] = []
    rest: str | None = after
    seen, names = 0, visit.desk.people.names()
    many = limit if wanted == Wanted() else max(limit, AT_ONCE)
    while rest is not None and len(rows) < limit and seen < LOOKED_AT:
        found, rest = _some(visit, wanted, rest, many)
        records = visit.desk.lists.records([patient for patient, _ in found])
        seen += len(found)
        for (patient, _), raw in zip(found, records, strict=True):
            record = from_bytes(raw) if raw else None
            if record is None or not wanted.takes(record):
                continue
            if wanted.in_log:
                seen += LOG_COSTS
                if not wanted.in_events(read_log(visit, patient)):
                    continue
            rows.append(row_of(visit, patient, record, names))
    return Part(rows, rest)


def _some(visit: Visit, wanted: Wanted, after: str, many: int) -> tuple[list[tuple[str, float]], str | None]:
    if wanted.failed is not None:
        return visit.desk.lists.failed(wanted.failed, after, many)
    return visit.desk.lists.recent(after, many, wanted.since)


def _told(visit: Visit, wanted: Wanted) -> list[str]:
    """The wishes in words."""
    clock, say, found = Clock(visit), visit.say, []
    if wanted.since is not None:
        found.append(say("began on or after {day}", day=clock.day(wanted.since)))
    if wanted.until is not None:
        found.append(say("began before {day}", day=clock.day(wanted.until)))
    if wanted.flow or wanted.version:
        found.append(say("flow {flow} {version}", flow=wanted.flow, version=wanted.version[:8]).strip())
    if wanted.state:
        found.append(say("stand at {state}", state=terms.plain(wanted.state)))
    if wanted.asked:
        found.append(say("were asked {state}", state=terms.plain(wanted.asked)))
    if wanted.left:
        found.append(say("said nothing more after {state}", state=terms.plain(wanted.left)))
    if wanted.unread:
        found.append(say("were not understood at {state}", state=terms.plain(wanted.unread)))
    if wanted.result:
        found.append(say(terms.ENDS.get(wanted.result, wanted.result)))
    if wanted.stage == "finished":
        found.append(say(FINISHED))
    if wanted.stage in STAGES:
        found.append(say(STAGES[wanted.stage][1]))
    if wanted.failed is not None:
        found.append(in_words(wanted.failed, say))
    return found


def _day(visit: Visit, given: str) -> float | None:
    try:
        day = date.fromisoformat(given[:10])
        return datetime.combine(day, time(), visit.desk.zone).timestamp()
    except (ValueError, OverflowError):
        return None


def row_of(visit: Visit, patient: str, record: Record, names: dict[str, str]) -> Row:
    """One patient in a list."""
    session = record.session
    row = {"id": patient, "href": f"/patients/{patient}", "at": record.last_at, "stands": "", "outcome": ""}
    if session:
        row |= {
            "stands": visit.say("ended") if session.ended else terms.plain(session.state),
            "outcome": visit.say(terms.OUTCOMES.get(session.outcome or "", session.outcome or "")),
            "channel": visit.say(terms.CHANNELS.get(session.channel, session.channel)),
            "language": visit.say(terms.LANGUAGES.get(session.language, session.language)),
        }
    return {**row, "owner": names.get(record.owner or "", record.owner or "")}
