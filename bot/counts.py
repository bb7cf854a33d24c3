"""What a commit adds to the counts behind the dashboard: steps of walks, how they end, links, segments. Pure.

Counted by the commit's own script, so exactly as often as it happened. A count holds names of flows, states and outcomes,
and a number: nothing of a patient, so erasing and retention leave it as it is. The same rules over a patient's log give
the same counts again, each with the line that it comes of: the lists behind the numbers, and ``python -m bot counts``.

Fields of one week (``|`` between the parts):
  e flow hash source kind target door   a step: from where, how the reply was read, to where; ``@sms`` ``@voice`` begin
  o flow hash result                    walks that came to this outcome or disposition (by the week they began)
  s stage                               walks that got a link, opened it, booked (by the week they began)
  $ day what price                      what cost something, in units at their price in millionths: segments of an answer
                                        (``reply``) or of a patient's text (``heard``); ours as the carrier takes them
                                        (``text``, ``call``, ``alert``); ``minutes`` of calls
  m state code                          texts that were delivered, failed or refused
What no commit counts (``m``, and of ``$`` what is not in a log) is in the journal too (bot/store/counted.py).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import date, datetime, timedelta
from functools import lru_cache
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

from bot import prompts
from bot.eventlog import Event, input_of
from bot.hearing import answered_by_carrier
from bot.record import Record
from bot.session import Session
from bot.turn import Turn
from bot.visits import UNDOES
from bot.wording import segments

Count = tuple[str, str, int]  # week (its Monday, ISO), field, how many
STAGES = frozenset({"linked", "link_opened", "booked"})
NONE = frozenset[str]()
PAID = ("heard", "reply", "text", "call", "minutes", "alert")  # what costs something
OF_LOGS = frozenset({"heard", "reply"})  # of that, what the logs tell; the rest is in the journal
QUARTER = 900  # no zone's clock is moved within a quarter of an hour


class Prices(NamedTuple):
    """Of one segment, in millionths: of an answer, of a text that came in. *mode*: who answers STOP and START."""

    reply: int
    heard: int
    mode: str


class Stand(NamedTuple):
    """Where a patient's walk stands, as far as it is counted. *begun*: when the walk of the first flow began."""

    session: str = ""
    flow: str = ""
    version: str = ""
    state: str = ""
    result: str = ""
    begun: float = 0.0
    stages: frozenset[str] = NONE


def stand_of(record: Record) -> Stand:
    """From what is kept of a patient."""
    session, stages = record.session, record.facts & STAGES if record.facts else NONE
    if session is None:
        return Stand(begun=record.started_at, stages=stages)
    result = session.outcome or session.disposition or ""
    return Stand(session.id, session.flow, session.flow_hash, session.state, result, record.started_at, stages)


def week_of(at: float, zone: str) -> str:
    """The Monday of the clinic's week: 2026-11-23."""
    return _local(int(at // QUARTER), zone)[0]


def day_of(at: float, zone: str) -> str:
    """The clinic's day: 2026-11-25."""
    return _local(int(at // QUARTER), zone)[1]


def weeks_until(at: float, zone: str, many: int) -> list[str]:
    """The *many* weeks that end with this one, oldest first."""
    last = date.fromisoformat(week_of(at, zone))
    return [(last - timedelta(weeks=back)).isoformat() for back in range(many - 1, -1, -1)]


@lru_cache(maxsize=1024)
def _local(quarter: int, zone: str) -> tuple[str, str]:
    day = datetime.fromtimestamp(quarter * QUARTER, ZoneInfo(zone)).date()
    return (day - timedelta(days=day.weekday())).isoformat(), day.isoformat()


def of_turn(before: Record, found: Turn, event: Event, first: str, zone: str, prices: Prices) -> list[Count]:
    """What one commit counts. *first*: the flow that new walks begin with."""
    if not event:
        return []
    return [*_walked(stand_of(before), stand_of(found.record), event, first, zone), *_paid(event, zone, prices)]


def _paid(event: Event, zone: str, prices: Prices) -> Iterator[Count]:
    """What a text and its answer cost. What came while the program was down was answered without a count."""
    if event["in"] != "said" or event["door"] != "sms":
        return
    yield money(event["at"], zone, "heard", prices.heard, max(1, segments(event["said"]).count))
    says = event.get("says")
    if says and "came" not in event and not answered_by_carrier(input_of(event), prices.mode):
        yield money(event["at"], zone, "reply", prices.reply, _segments(prompts.one_text(says) or ""))


def money(at: float, zone: str, what: str, price: int, units: int) -> Count:
    """*units* that cost *price* millionths each."""
    return week_of(at, zone), f"$|{day_of(at, zone)}|{what}|{price}", units


def delivered(at: float, zone: str, state: str, code: int | None) -> Count:
    """The carrier's last word on a text."""
    return week_of(at, zone), f"m|{state}|{code or 0}", 1


@lru_cache(maxsize=512)
def _segments(text: str) -> int:
    return segments(text).count


def of_log(
    events: Iterable[Event], first: str, zone: str, prices: Prices | None, *, whole: bool = True
) -> Iterator[tuple[Event, Count]]:
    """What the commits of a patient's log counted, oldest first, each with its line; what texts cost at *prices*, where
    they are given. Not *whole*: its beginning was cut, so the first line only tells where the walk stood."""
    stand, visit_at = Stand(), 0.0
    for number, event in enumerate(events):
        after = _stand_after(stand, event, first, visit_at)
        if whole or number:
            for count in _walked(stand, after, event, first, zone):
                yield event, count
            for count in _paid(event, zone, prices) if prices else ():
                yield event, count
        stand, visit_at = after, event.get("sets", {}).get("visit_at", visit_at) or 0.0


def _walked(before: Stand, after: Stand, event: Event, first: str, zone: str) -> Iterator[Count]:
    now = event["at"]
    same = (before.session, before.flow) == (after.session, after.flow)
    if "session" in event:
        week, kind = week_of(now, zone), event["reading"][0] if event["in"] in ("said", "silence") else event["in"]
        source, door = before.state if same else f"@{event['door']}", event["door"]
        if not same and before.session == after.session:
            yield week, f"e|{before.flow}|{before.version}|{before.state}|{kind}|>{after.flow}|{door}", 1
            source = "@handover"
        yield week, f"e|{after.flow}|{after.version}|{source}|{kind}|{after.state}|{door}", 1
    was = before.result if same else ""
    if after.result != was and after.session:
        week = week_of(after.begun if after.flow == first and after.begun else now, zone)
        if was:
            yield week, f"o|{after.flow}|{after.version}|{was}", -1
        if after.result:
            yield week, f"o|{after.flow}|{after.version}|{after.result}", 1
    if after.begun and after.begun == before.begun and after.stages != before.stages:
        week = week_of(after.begun, zone)
        for stage in sorted(after.stages ^ before.stages):
            yield week, f"s|{stage}", 1 if stage in after.stages else -1


def _stand_after(stand: Stand, event: Event, first: str, visit_at: float) -> Stand:
    """As the record stood after the commit of *event*: bot/decide.py and bot/work.py, seen from the log."""
    if "session" in event:
        flow, version = event["flow"]
        outcome, disposition = event["result"][:2]
        begins = flow == first and event["session"] != stand.session
        stages = set(stand.stages)
        if begins:
            stages -= {"linked", "link_opened"} if visit_at > event["at"] else STAGES
        for fact in event.get("facts", ()):
            stages = (stages - UNDOES.get(fact, NONE)) | (STAGES & {fact})
        if event.get("links"):
            stages = (stages - {"link_opened"}) | {"linked"}
        stand = Stand(
            event["session"], flow, version, event["state"], outcome or disposition or "",
            event["at"] if begins else stand.begun, frozenset(stages),
        )  # fmt: skip
    return _outside(stand, event.get("sets") or {})


def _outside(stand: Stand, sets: Mapping[str, Any]) -> Stand:
    """What a line says of the record's own fields counts."""
    if "s" in sets:
        stand = Stand(begun=stand.begun, stages=stand.stages)
        if sets["s"]:
            session = Session(*sets["s"])
            result = session.outcome or session.disposition or ""
            stand = Stand(session.id, session.flow, session.flow_hash, session.state, result, *stand[5:])
    if "facts" in sets:
        stand = stand._replace(stages=STAGES & frozenset(sets["facts"] or ()))
    if "started_at" in sets:
        stand = stand._replace(begun=sets["started_at"] or 0.0)
    return stand
