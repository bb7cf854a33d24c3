"""Every conversation, the newest first: where it stands, without a word or a number of anybody."""

from __future__ import annotations

from flask import Response

from bot.console import lists, terms
from bot.console.desk import Visit
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


def page(visit: Visit) -> Response:
    """The list."""

    def part(after: str, limit: int) -> Part:
        found, rest = visit.desk.lists.recent(after, limit)
        records = visit.desk.lists.records([patient for patient, _ in found])
        names = visit.desk.people.names()
        rows = [
            row_of(visit, patient, from_bytes(raw), names)
            for (patient, _), raw in zip(found, records, strict=True)
            if raw
        ]
        return Part(rows, rest)

    return lists.show(visit, Listing("conversations", sentence("Conversations"), EMPTY, COLUMNS, part))


def row_of(visit: Visit, patient: str, record: Record, names: dict[str, str]) -> Row:
    """One patient in a list."""
    session = record.session
    row = {"id": patient, "href": f"/patients/{patient}", "at": record.last_at, "stands": "", "outcome": ""}
    if session:
        row |= {
            "stands": visit.say("ended") if session.ended else terms.state(visit.say, session.state),
            "outcome": visit.say(terms.OUTCOMES.get(session.outcome or "", session.outcome or "")),
            "channel": visit.say(terms.CHANNELS.get(session.channel, session.channel)),
            "language": visit.say(terms.LANGUAGES.get(session.language, session.language)),
        }
    return {**row, "owner": names.get(record.owner or "", record.owner or "")}
