"""Every conversation, the newest first: where it stands, without a word or a number of anybody. Every figure of the
dashboard leads here, to those it counted, as far as they are still kept as they were then.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, time

from flask import Response

from bot.codes import in_words
from bot.console import lists, terms
from bot.console.desk import Clock, Visit
from bot.console.languages import sentence
from bot.console.lists import Column, Listing, Part, Row
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
LOOKED_AT = 3_000  # conversations that one page looks through


@dataclass(frozen=True)
class Wanted:
    """Which conversations. *since* and *until*: when the walk began, epoch seconds. *failed*: the carrier's code."""

    since: float | None = None
    until: float | None = None
    flow: str = ""
    version: str = ""
    result: str = ""
    state: str = ""
    stage: str = ""
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
            failed=int(code) if code.isdecimal() and code.isascii() and len(code) < 7 else None,
        )

    def takes(self, record: Record) -> bool:
        """A record of which all is true."""
        session = record.session
        if self.since is not None and record.started_at < self.since:
            return False
        if self.until is not None and record.started_at >= self.until:
            return False
        if (self.flow or self.version) and (session is None or not self._on(session.flow, session.flow_hash)):
            return False
        if self.state and (session is None or session.state != self.state):
            return False
        result = (session.outcome or session.disposition) if session else None
        if self.result and self.result not in (result, record.result):
            return False
        if self.stage == "finished":
            return bool(record.result or (session and session.ended and session.disposition in ("staff", "minor")))
        return self.stage not in STAGES or STAGES[self.stage][0] in record.facts

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
            if record is not None and wanted.takes(record):
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
