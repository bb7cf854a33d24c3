"""The list behind a number of the dashboard or of a flow's picture: one row for each that was counted, with a way to whose
it is. Read from where the counts come from: the patients' logs, and the journal of what was sent. Never a word of anybody.

It is as long as its number, but for what is not kept any more: of whoever was erased, or too old. The page says so then.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from functools import cached_property
from typing import Any

from flask import Response

from bot.codes import in_words
from bot.console import lists, terms
from bot.console.desk import Clock, Visit
from bot.console.figures import FEW, KINDS, STAGES, STATES
from bot.console.languages import sentence
from bot.console.lists import Column, Listing, Part, Row
from bot.console.worded import Worded
from bot.counts import Prices, of_log
from bot.figures import Figures
from bot.numbers import FINISHED, Counts, Number, adds_up, cost_of, in_logs
from bot.store.counted import Counted
from bot.store.lists import cursor_of

AT_ONCE = 50  # logs in one round trip
LOOKED_AT = 4  # times as many logs as rows are asked for are looked through for one page
ARROW = " \u2192 "
MOST_WEEKS = 60  # counts go back further, logs do not
COLUMNS = (
    Column("id", sentence("Conversation"), "link"),
    Column("at", sentence("When"), "time"),
    Column("what", sentence("What was counted")),
    Column("by", sentence("By")),
)
COST = Column("cost", sentence("Cost"), "number")
EMPTY = sentence("Nothing of this is kept here, or not on this page. Press More, if it is there.")
REFUSED = sentence("So few are not listed for a viewer: the list would tell who they are.")
MORE = sentence("{seen} of {n} so far. More are found further on.")
ALL = sentence("All {n} are here.")
SHORT = sentence(
    "{n} were counted, and {seen} of them are still kept. The others were erased, are older than {days} days, or were counted "
    "before this program kept a list."
)
PAID = {
    "heard": sentence("a patient's text, segments: {n}"),
    "reply": sentence("an answer of the bot, segments: {n}"),
    "text": sentence("a text of ours"),
    "call": sentence("a call of ours"),
    "minutes": sentence("minutes of a call: {n}"),
    "alert": sentence("an alert to staff"),
}
SAYS = {
    "started": sentence("Conversations that began"),
    "linked": sentence("Conversations that got the scheduling link"),
    "link_opened": sentence("Conversations in which the link was opened"),
    "booked": sentence("Conversations with a booked visit"),
    "reached": sentence("Conversations that came to the question {state}"),
    "replies": sentence("Replies to the question {state}"),
    "unclear": sentence("Replies to the question {state} that were not understood"),
    "silent": sentence("Conversations that went silent at the question {state}"),
    "stopped": sentence("Conversations that ended with STOP at the question {state}"),
    "person": sentence("Conversations that left the question {state} to a person"),
    "lost": sentence("Conversations that stopped at the question {state}"),
    "way": sentence("Conversations that went from {source} to {target}"),
    "cost": sentence("What cost something on {day}"),
    "texts": sentence("Texts: {state}"),
    "words": sentence("Conversations in which the same words were not understood at the question {state}"),
}
ENDED = sentence("Conversations that ended: {how}")


def page(visit: Visit) -> Response:
    """The list."""
    given = visit.request.args
    number, weeks = Number.of(given), _weeks(visit, given)
    found: Behind | Worded = Worded(visit, number) if number.what == "words" else Behind(visit, number, weeks)
    if not visit.who.may("nurse") and number.what != "cost" and 0 < found.total < FEW:
        return visit.page("refused.html", 403, why=visit.say(REFUSED))
    columns = (*COLUMNS, COST) if number.what == "cost" else COLUMNS
    listing = Listing("counted", sentence("What is behind this number"), EMPTY, columns, found.part)
    span = "" if number.what in ("cost", "words") else _span(visit, weeks)
    return lists.show(
        visit, listing, "counted.html", how_long=how_long, says=_title(visit, number), span=span, behind=found
    )


def how_long(visit: Visit, behind: Behind | Worded, part: Part) -> str:
    """How much of the number the list holds until here, in words."""
    if not behind.total:
        return ""
    n, seen = behind.told(behind.total), behind.told(part.seen)
    if part.after:
        return visit.say(MORE, seen=seen, n=n)
    if part.seen >= behind.total:
        return visit.say(ALL, n=n)
    return visit.say(SHORT, seen=seen, n=n, days=visit.desk.settings.keep_log_days)


@dataclass(frozen=True)
class Behind:
    """What *number* adds up in *weeks* (Mondays), found again."""

    visit: Visit
    number: Number
    weeks: list[str]

    @cached_property
    def counts(self) -> Counts:
        """What it adds up, week by week."""
        figures = Figures(self.weeks, Counted(self.visit.desk.store).weeks(self.weeks))
        flows = self.visit.desk.conversation.clinic.flows
        return [+one for one in adds_up(self.number, figures, flows.get(self.number.flow))]

    @cached_property
    def total(self) -> int:
        """As the dashboard shows it; what cost something in millionths."""
        return sum(self._worth(field, many) for one in self.counts for field, many in one.items())

    def _worth(self, field: str, many: int) -> int:
        return cost_of(field, many) if self.number.what == "cost" else many

    def told(self, many: int) -> str:
        """The number, or so much of it, as the dashboard writes it."""
        return f"${many / 1e6:.2f}" if self.number.what == "cost" else f"{many:,}"

    def part(self, after: str, limit: int) -> Part:
        """Some rows. The cursor: how much was found before, where (``log``, or the place in the journal), and the place."""
        before, _, rest = (after or "0.log.").partition(".")
        where, _, cursor = rest.partition(".")
        seen, rows = int(before) if before.isdecimal() else 0, list[Row]()
        going: str | None = cursor
        if where == "log":
            seen, going = self._of_logs(rows, seen, cursor, limit)
            if going is not None:
                return Part(rows, f"{seen}.log.{going}", seen)
            where, going = "0", ""
        pairs = [(week, field) for week, one in zip(self.weeks, self.counts, strict=True)
                 for field in sorted(one) if not in_logs(field)]  # fmt: skip
        for at in range(int(where) if where.isdecimal() else 0, len(pairs)):
            found, going = self.visit.desk.lists.journal(*pairs[at], going or "", limit - len(rows))
            for entry, when in found:
                rows.append(self._sent(pairs[at][1], entry, when))
                seen += self._worth(pairs[at][1], int(entry.rpartition("|")[2]))
            if len(rows) >= limit and (going or at + 1 < len(pairs)):
                return Part(rows, f"{seen}.{at if going else at + 1}.{going or ''}", seen)
        return Part(rows, None, seen)

    # -- what the logs tell --

    def _of_logs(self, rows: list[Row], seen: int, after: str, limit: int) -> tuple[int, str | None]:
        """Rows of the patients after a cursor; how much was found until now, and the cursor of the rest."""
        logged = [{field for field in one if in_logs(field)} for one in self.counts]
        first = next((week for week, one in zip(self.weeks, logged, strict=True) if one), None)
        left = sum(self._worth(f, many) for one in self.counts for f, many in one.items() if in_logs(f)) - seen
        if first is None:
            return seen, None
        wanted = dict(zip(self.weeks, logged, strict=True))
        looked, rest, since = 0, after, _moment(self.visit, first)
        while looked < LOOKED_AT * limit and left > 0:
            found, following = self.visit.desk.lists.recent(rest, AT_ONCE, since)
            logs = self.visit.desk.lists.logs([patient for patient, _ in found])
            for (patient, last), (lines, whole) in zip(found, logs, strict=True):
                for field, event, many in self._counted(lines, whole, wanted):
                    rows.append(self._row(patient, field, event, many))
                    seen, left = seen + self._worth(field, many), left - self._worth(field, many)
                if len(rows) >= limit or left <= 0:
                    return seen, cursor_of((last, patient)) if left > 0 else None
            looked += len(found)
            if following is None:
                return seen, None
            rest = following
        return seen, rest if left > 0 else None

    def _counted(
        self, lines: list[dict[str, Any]], whole: bool, wanted: Mapping[str, set[str]]
    ) -> list[tuple[str, Mapping[str, Any], int]]:
        """(field, line, how many) of one log; what was taken back later is no row."""
        clinic = self.visit.desk.conversation.clinic
        prices = Prices(*clinic.prices, clinic.opt_out_mode) if self.number.what == "cost" else None
        rows: list[tuple[str, Mapping[str, Any], int]] = []
        for event, (week, told, many) in of_log(lines, clinic.first_flow, clinic.zone, prices, whole=whole):
            # What it cost is what it cost then: the count has the price.
            field = self._paid.get((week, _priceless(told)), told) if prices else told
            if field not in wanted.get(week, ()):
                continue
            if many > 0:
                rows.append((field, event, many))
            elif same := [at for at, row in enumerate(rows) if row[0] == field]:
                del rows[same[-1]]
        return rows

    @cached_property
    def _paid(self) -> dict[tuple[str, str], str]:
        """What cost something, without its price -> as it was counted."""
        weeks = zip(self.weeks, self.counts, strict=True)
        return {(week, _priceless(one)): one for week, fields in weeks for one in fields if one.startswith("$|")}

    # -- rows --

    def _row(self, patient: str, field: str, event: Mapping[str, Any], many: int) -> Row:
        by = self.visit.say(terms.CHANNELS.get(event.get("door", ""), ""))
        row = {"id": patient, "href": f"/patients/{patient}", "at": event["at"], "by": by}
        return {**row, "what": self._what(field, many), **self._money(field, many)}

    def _sent(self, field: str, entry: str, when: float) -> Row:
        patient, _, rest = entry.partition("|")
        many = int(rest.rpartition("|")[2])
        row = {"id": patient, "href": f"/patients/{patient}", "at": when, "by": ""}
        return {**row, "what": self._what(field, many), **self._money(field, many)}

    def _money(self, field: str, many: int) -> dict[str, str]:
        return {"cost": f"{cost_of(field, many) / 1e6:.4f}"} if self.number.what == "cost" else {}

    def _what(self, field: str, many: int) -> str:
        say, (kind, *parts) = self.visit.say, field.split("|")
        if kind == "e":
            _, _, source, how, target, _ = parts
            read = say(terms.READINGS[how]) if how in terms.READINGS else ""
            way = ARROW.join(terms.state(say, one) for one in (source, target))
            return f"{way} ({read})" if read else way
        if kind == "o":
            return say(terms.ENDS.get(parts[2], parts[2]))
        if kind == "s":
            return say(STAGES[parts[0]][1])
        if kind == "$":
            return say(PAID[parts[1]], n=many)
        code = int(parts[1])
        return say(STATES.get(parts[0], parts[0])) + (f": {in_words(code, say)}" if code else "")


def _priceless(field: str) -> str:
    return field.rpartition("|")[0]


def _title(visit: Visit, number: Number) -> str:
    """What was counted, in a sentence."""
    say = visit.say
    if number.what == "ended":
        how = terms.ENDS.get(number.result, number.result) or sentence("in any way")
        how = sentence("not by silence or STOP") if number.result == FINISHED else how
        return say(ENDED, how=say(how)) + (f" ({number.version[:8]})" if number.version else "")
    code = int(number.code) if number.code.isdecimal() and len(number.code) < 7 else 0
    state = say(STATES[number.state]) if number.what == "texts" and number.state in STATES else ""
    state += f": {in_words(code, say)}" if code else ""
    return say(
        SAYS.get(number.what, EMPTY), state=state or terms.state(say, number.state), day=number.day,
        source=terms.state(say, number.source), target=terms.state(say, number.target),
    ) + (f": {say(KINDS[number.kind])}" if number.kind in KINDS else "")  # fmt: skip


def _span(visit: Visit, weeks: list[str]) -> str:
    clock, last = Clock(visit), (date.fromisoformat(weeks[-1]) + timedelta(days=6)).isoformat()
    return visit.say(
        "{first} to {last}", first=clock.day(_moment(visit, weeks[0])), last=clock.day(_moment(visit, last))
    )


def _weeks(visit: Visit, given: Mapping[str, str]) -> list[str]:
    """The Mondays that the address asks for; what cannot be read is the week of today."""
    many = int(given.get("weeks", "1")) if given.get("weeks", "1").isdecimal() else 1
    try:
        since = date.fromisoformat(given.get("since", "")[:10])
    except ValueError:
        since = datetime.fromtimestamp(visit.desk.now(), visit.desk.zone).date()
    since -= timedelta(days=since.weekday())
    return [(since + timedelta(weeks=at)).isoformat() for at in range(max(1, min(many, MOST_WEEKS)))]


def _moment(visit: Visit, day: str) -> float:
    return datetime.combine(date.fromisoformat(day), time(), visit.desk.zone).timestamp()
