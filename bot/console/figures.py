"""The dashboard's tables: what is counted, as rows that a page, a .csv and a .json show alike.

A viewer is outside of those who treat: of them a count from 1 to 10 is told as "<11", and with it what it could be worked
out from, because whoever reads a report must not find a single person in it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import date, timedelta
from functools import cache, cached_property
from typing import Any
from urllib.parse import quote, urlencode

from flask import abort

from bot.codes import CODES, NO_CODE, OTHER
from bot.console import terms
from bot.console.desk import Visit
from bot.console.languages import sentence
from bot.console.lists import Column, Listing, Part, Row
from bot.counts import PAID, weeks_until
from bot.figures import Asked, Figures
from bot.flow.load import Loaded
from bot.numbers import FINISHED
from bot.store.counted import Counted
from bot.store.published import Published
from bot.unread import Unread

SPANS = (4, 12, 26, 52)  # weeks that can be chosen
FEW = 11
RESULTS = ("pmr", "both", "pt", "urgent", "emergency", "staff", "minor", "expired", "opted_out")
STAGES: Mapping[str, tuple[str, str]] = {  # in the funnel, and of one conversation
    "started": (sentence("Started"), sentence("began")),
    "finished": (sentence("Came to an end"), sentence("came to an end")),
    "linked": (sentence("Got the link"), sentence("got the scheduling link")),
    "link_opened": (sentence("Opened it"), sentence("opened the link")),
    "booked": (sentence("Booked"), sentence("booked")),
}
KINDS = {
    "heard": sentence("Texts of patients"),
    "reply": sentence("Answers of the bot"),
    "text": sentence("Texts of ours"),
    "call": sentence("Calls"),
    "minutes": sentence("Minutes of calls"),
    "alert": sentence("Alerts to staff"),
}
STATES = {
    "delivered": sentence("delivered"),
    "undelivered": sentence("not delivered"),
    "failed": sentence("failed"),
    "refused": sentence("refused by the carrier"),
}
SEE_WORDS = sentence("see them")
NO_WORDS = sentence(
    "Nothing yet. Every night, words that at least five patients wrote to a question and that the bot did not understand "
    "are gathered here: candidates for flows/words."
)
NOTHING = sentence("Nothing was counted in these weeks yet.")


@dataclass(frozen=True)
class Board:
    """The figures of some weeks, for one visitor."""

    visit: Visit
    span: int
    flow: str

    @staticmethod
    def of(visit: Visit) -> Board:
        """From the address; a wish that cannot be read is the usual."""
        flows, given = visit.desk.conversation.clinic.flows, visit.request.args
        span = next((one for one in SPANS if str(one) == given.get("weeks")), 12)
        flow = given.get("flow", "")
        return Board(visit, span, flow if flow in flows else visit.desk.conversation.clinic.first_flow)

    @cached_property
    def figures(self) -> Figures:
        """Read once for a page."""
        desk = self.visit.desk
        weeks = weeks_until(desk.now(), desk.zone.key, self.span)
        return Figures(weeks, Counted(desk.store).weeks(weeks))

    @property
    def loaded(self) -> Loaded:
        """The flow that is looked at, as it is live."""
        return self.visit.desk.conversation.clinic.flows[self.flow]

    @property
    def outside(self) -> bool:
        """Small counts are not for this person."""
        return not self.visit.who.may("nurse")

    def shown(self, many: int) -> int | str:
        """A count as this person may see it."""
        return f"<{FEW}" if self.outside and 0 < many < FEW else many

    def share(self, part: int, whole: int) -> str:
        """A share in per cent; "" where there is none, or where it would tell a small count."""
        if not whole or (self.outside and (0 < part < FEW or 0 < whole - part < FEW or whole < FEW)):
            return ""
        return f"{100 * part / whole:.0f} %"

    def counted(self, what: str, week: str = "", **wishes: str) -> str:
        """The address of what is behind a number of these weeks, or of one *week*."""
        asked = "".join(f"&{name}={_quoted(value)}" for name, value in wishes.items() if value)
        return f"/counted?since={week or self.figures.weeks[0]}&weeks={1 if week else self.span}&what={what}{asked}"

    # -- the tables --

    def funnel(self) -> list[Row]:
        """Started -> finished -> link -> opened -> booked."""
        flow = self.visit.desk.conversation.clinic.first_flow
        found = self.figures.funnel(flow)
        first, before = found["started"], 0
        rows: list[Row] = []
        for stage, (says, _) in STAGES.items():
            many = found[stage]
            row: dict[str, Any] = {
                "stage": self.visit.say(says), "walks": self.shown(many), "of_all": self.share(many, first),
                "of_before": self.share(many, before) if before else "", "size": min(1.0, many / first) if first else 0.0,
            }  # fmt: skip
            if self.shown(many) != many:
                row["size"] = 0.0
            ended = {"result": FINISHED} if stage == FINISHED else {}
            to = self.counted("ended" if ended else stage, flow=flow, **ended)
            rows.append({**row, "hrefs": dict.fromkeys(("walks", "of_all", "of_before"), to)})
            before = many
        return rows if first or any(found.values()) else []

    def outcomes(self) -> list[Row]:
        """A row a week, the newest first."""
        rows: list[Row] = []
        for at, week in enumerate(self.figures.weeks):
            counts = self.figures.results(self.flow, week=at)
            row: dict[str, Any] = {"week": week, **{result: self.shown(counts[result]) for result in RESULTS}}
            masked = any(row[result] != counts[result] for result in RESULTS)
            row["total"] = "" if masked else counts.total()
            hrefs = {one: self.counted("ended", week, flow=self.flow, result=one) for one in RESULTS}
            rows.append({**row, "hrefs": {**hrefs, "total": self.counted("ended", week, flow=self.flow)}})
        return rows[::-1] if any(self.figures.results(self.flow).values()) else []

    def versions(self) -> list[Row]:
        """A row a version, the newest last."""
        since: dict[str, float] = {}
        for entry in Published(self.visit.desk.store.client, self.visit.desk.store.cipher).log():
            since.setdefault(entry["flows"].get(self.flow, ""), entry["at"])
        rows: list[Row] = []
        for version in sorted(self.figures.versions(self.flow), key=lambda one: since.get(one, 0.0)):
            counts = self.figures.results(self.flow, version=version)
            row: dict[str, Any] = {"version": version[:8], "since": since.get(version)}
            row |= {result: self.shown(counts[result]) for result in RESULTS}
            masked = any(row[result] != counts[result] for result in RESULTS)
            row["total"] = "" if masked else counts.total()
            notes = {result: self.share(counts[result], counts.total()) for result in RESULTS} if not masked else {}
            hrefs = {one: self.counted("ended", flow=self.flow, version=version, result=one) for one in RESULTS}
            whole = self.counted("ended", flow=self.flow, version=version)
            rows.append({**row, "notes": notes, "hrefs": {**hrefs, "total": whole}})
        return rows

    def questions(self) -> list[Row]:
        """A row a question."""
        return [self._asked(one) for one in self.figures.questions(self.loaded)]

    def _asked(self, one: Asked) -> Row:
        unread = "/dashboard/unread?" + urlencode({"flow": one.flow, "state": one.state})
        named = ("reached", "silent", "stopped", "lost", "replies", "unclear")
        hrefs = {what: self.counted(what, flow=one.flow, state=one.state) for what in named}
        hrefs |= {"unread": hrefs["unclear"], "words": unread}
        return {
            "words": self.visit.say(SEE_WORDS) if one.unclear else "",
            "state": terms.state(self.visit.say, one.state), "reached": self.shown(one.reached), "silent": self.shown(one.silent),
            "stopped": self.shown(one.stopped), "lost": self.share(one.lost, one.reached),
            "replies": self.shown(one.replies), "unclear": self.shown(one.unclear),
            "unread": self.share(one.unclear, one.replies), "hrefs": hrefs,
        }  # fmt: skip

    def traffic(self) -> list[Row]:
        """A row an arrow of the flow's picture, the busiest first; ``any question``: what leads out of all of them."""
        found = self.figures.traffic(self.loaded)
        out: Counter[str] = Counter()
        for (source, _), many in found.items():
            out[source] += many
        say = self.visit.say
        return [
            {"source": terms.state(say, source), "target": terms.state(say, target), "walks": self.shown(many),
             "share": self.share(many, out[source]), "hrefs": dict.fromkeys(("walks", "share"), self.along(source, target))}
            for (source, target), many in found.most_common()
        ]  # fmt: skip

    def along(self, source: str, target: str) -> str:
        """The address of the walks that went along an arrow of the picture."""
        return self.counted("way", flow=self.flow, source=source, target=target)

    def cost(self) -> list[Row]:
        """A row a day, the newest first."""
        rows: list[Row] = []
        for day, spent in self.figures.cost().items():
            row = {what: money(spent[what]) for what in PAID}
            week = (date.fromisoformat(day) - timedelta(date.fromisoformat(day).weekday())).isoformat()
            hrefs = {what: self.counted("cost", week, day=day, kind=what) for what in PAID}
            hrefs["total"] = self.counted("cost", week, day=day)
            rows.append({"day": day, **row, "total": money(spent.total()), "hrefs": hrefs})
        return rows[::-1]

    def unread(self) -> list[Row]:
        """A row a phrase; of one question when the address names it."""
        state = self.visit.request.args.get("state", "")
        return [
            {"words": one.words, "patients": self.shown(one.patients), "state": terms.state(self.visit.say, one.state),
             "language": self.visit.say(terms.LANGUAGES.get(one.language, one.language)),
             "hrefs": {"patients": self.counted("words", flow=one.flow, state=one.state, phrase=one.mark)}}
            for one in Unread(self.visit.desk.store).known()[1]
            if one.flow == self.flow and state in ("", one.state)
        ]  # fmt: skip

    def messages(self) -> list[Row]:
        """A row a state and code, what failed first."""
        say = self.visit.say
        rows: list[Row] = []
        for (state, code), many in sorted(
            self.figures.messages().items(), key=lambda pair: (pair[0][0] == "delivered", -pair[1])
        ):
            told = NO_CODE if not code else CODES.get(code, OTHER)
            fine = state == "delivered"
            rows.append(
                {"state": say(STATES.get(state, state)), "code": code or "", "texts": self.shown(many),
                 "says": "" if fine else say(told.says), "do": "" if fine else say(told.do),
                 "hrefs": {"texts": self.counted("texts", state=state, code=str(code))}}
            )  # fmt: skip
        return rows


_ENDS = tuple(Column(result, terms.ENDS[result], "number") for result in RESULTS)
_TOTAL = Column("total", sentence("All"), "number")
Rows = Callable[[Board], list[Row]]
TABLES: Mapping[str, tuple[str, Rows, tuple[Column, ...]]] = {
    "funnel": (
        sentence("From the first word to the visit"),
        Board.funnel,
        (
            Column("stage", sentence("Step")),
            Column("walks", sentence("Conversations"), "number"),
            Column("of_all", sentence("Of all"), "number"),
            Column("of_before", sentence("Of the step before"), "number"),
        ),
    ),
    "outcomes": (
        sentence("How they ended, by the week they began"),
        Board.outcomes,
        (Column("week", sentence("Week from")), *_ENDS, _TOTAL),
    ),
    "versions": (
        sentence("How they ended, by version of the flow"),
        Board.versions,
        (Column("version", sentence("Version")), Column("since", sentence("Live since"), "time"), *_ENDS, _TOTAL),
    ),
    "questions": (
        sentence("Where they stop, and what is not understood"),
        Board.questions,
        (
            Column("state", sentence("Question")),
            Column("reached", sentence("Came to it"), "number"),
            Column("silent", sentence("Went silent"), "number"),
            Column("stopped", sentence("STOP"), "number"),
            Column("lost", sentence("Drop-off"), "number"),
            Column("replies", sentence("Replies"), "number"),
            Column("unclear", sentence("Not understood"), "number"),
            Column("unread", sentence("Share"), "number"),
            Column("words", sentence("Words")),
        ),
    ),
    "traffic": (
        sentence("Traffic in the flow"),
        Board.traffic,
        (
            Column("source", sentence("From")),
            Column("target", sentence("To")),
            Column("walks", sentence("Times"), "number"),
            Column("share", sentence("Share"), "number"),
        ),
    ),
    "unread": (
        sentence("What they wrote that was not understood"),
        Board.unread,
        (
            Column("words", sentence("Words, without names, numbers and dates")),
            Column("patients", sentence("Patients"), "number"),
            Column("state", sentence("Question")),
            Column("language", sentence("Language")),
        ),
    ),
    "cost": (
        sentence("Cost by day"),
        Board.cost,
        (
            Column("day", sentence("Day")),
            *(Column(what, KINDS[what], "number") for what in PAID),
            _TOTAL,
        ),
    ),
    "messages": (
        sentence("What became of our texts"),
        Board.messages,
        (
            Column("state", sentence("State")),
            Column("texts", sentence("Texts"), "number"),
            Column("code", sentence("Code")),
            Column("says", sentence("What happened")),
            Column("do", sentence("What to do")),
        ),
    ),
}


def listing_of(board: Board, name: str) -> Listing:
    """One table as a list. 404 for a name that is none."""
    if name not in TABLES:
        abort(404)
    title, make, columns = TABLES[name]
    rows = make(board)
    empty = NO_WORDS if name == "unread" else NOTHING
    listing = Listing(name, title, empty, columns, lambda after, limit: Part(_known(board, rows), None))
    if name in ("outcomes", "versions", "cost"):
        left_out, nothing = (PAID, money(0)) if name == "cost" else (RESULTS, 0)
        used = {key for row in rows for key in left_out if row.get(key, nothing) != nothing}
        kept = tuple(one for one in columns if one.key not in left_out or one.key in used)
        listing = replace(listing, columns=kept)
    return listing


_quoted = cache(quote)


def money(millionths: int) -> str:
    """As it is written in a table."""
    return f"{millionths / 1e6:.2f}"


def _known(board: Board, rows: list[Row]) -> list[Row]:
    """Whoever may not know a small count gets no list of those it counts."""
    if not board.outside:
        return rows
    small = f"<{FEW}"
    return [
        {**row, "hrefs": {key: to for key, to in row.get("hrefs", {}).items() if row[key] != small}} for row in rows
    ]
