"""What staff do with campaigns: plan, send, approve, pause, resume, cancel, look. Commands and the console call this.

Never talks to the carrier. Every step may die anywhere and be done again: the roster says who has entered, and an effect
that waits in a campaign that does not run is put off, never sent and never lost.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any
from zoneinfo import ZoneInfo

from bot.codes import in_words, reason_in_words
from bot.conversation import Conversation
from bot.outreach.csvout import lines, plan_lines
from bot.outreach.judge import SAYS, refusal, with_consent
from bot.outreach.pacing import Pace, times
from bot.outreach.plan import Example, Options, Plan, Row, Terms, call_flow_of, make_plan
from bot.outreach.roster import CHUNK, Did, Enrolment, Member, Roster, State
from bot.outreach.sheet import read_sheet
from bot.record import Record, from_bytes, to_bytes
from bot.settings import Settings
from bot.store.store import Store
from bot.told import Told, told

PARK_SECONDS = 6 * 3600.0  # an effect of a campaign that does not run looks again after this, spread over an hour
ATTEMPTS = 8
# What a result says beside a state that has no reason of its own.
BECOMES = {
    "": "the sending was broken off; send the same file again to go on",
    "queued": "waits for its turn",
    "sent": "the carrier has it",
    "delivered": "it arrived, or the call was answered",
    "failed": "it could not be sent; see the tasks",
    "unknown": "it may have been sent; see the tasks and the carrier's log",
    "cancelled": "the campaign was cancelled before its turn",
}


class CampaignError(Exception):
    """It cannot be done now; *told* says why and what to do."""

    def __init__(self, told: Told) -> None:
        super().__init__(str(told))
        self.told = told


class SentError(CampaignError):
    """It was sent before: pressed twice, or by somebody else in the meantime. *campaign* is what became of it."""

    def __init__(self, campaign: str) -> None:
        super().__init__(told("Campaign {campaign} has been sent already.", campaign=campaign))
        self.campaign = campaign


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a campaign has come. *counts*: recipients by state; *refused*: rows by reason; times are epoch seconds,
    *cost* millionths of a dollar; *consent*: where staff said everybody gave it; *opens*: when the first of
    them may be written to. *state*: ``done`` when nobody waits any more."""

    id: str
    state: str
    flow: str
    by: str
    made: float
    ends: float
    rows: int
    recipients: int
    counts: Counter[str]
    refused: Mapping[str, int]
    log: tuple[Did, ...]
    consent: str
    cost: int
    opens: float
    examples: tuple[Example, ...]


def parked_until(row: int, now: float) -> float:
    """When an effect of a campaign that does not run looks again."""
    return now + PARK_SECONDS + row * 7 % 3600


class Campaigns:
    """All campaigns of one deployment. *terms* is what plans need; *forget* gives the pace back when much is taken back."""

    def __init__(self, roster: Roster, terms: Terms, now: Callable[[], float], sender: str) -> None:
        self.roster, self.terms, self.now, self.sender = roster, terms, now, sender

    # -- before --

    def plan(self, raw: bytes, options: Options) -> Plan:
        """Everything but the last call. Raises sheet.SheetError with every fault of the file; changes nothing."""
        made = make_plan(read_sheet(raw, options.mapping), raw, options, self.terms, self.now())
        state = self.roster.state(made.mark)
        if state in (None, "entering") or options.again:
            return made
        before = told(
            "This file was sent with this flow before (campaign {campaign}, {state}); it is sent once more only when you "
            "say so (--again).",
            campaign=made.mark,
            state=state,
        )
        return replace(made, blockers=(*made.blockers, before))

    def plan_lines(self, plan: Plan, say: Callable[[str], str] = str) -> Iterator[str]:
        """The result file of a plan, by *say* in the reader's language."""
        return plan_lines(plan, say)

    def send(self, plan: Plan, by: str, campaign: str = "") -> str:
        """Enter every recipient; the campaign's id. A large one then waits for `approve`. Dies half-way: send the same
        file again, and it goes on. *campaign*: its id as `name_for` gave it. Raises CampaignError; SentError when it was
        sent before."""
        if plan.blockers:
            raise CampaignError(plan.blockers[0])
        campaign, now = campaign or self.name_for(plan), self.now()
        self.roster.create(campaign, self._body(plan, by), now, by)
        if self.roster.state(campaign) != "entering":
            raise SentError(campaign)
        shared = self._shared(campaign, plan.options)
        for number, start in enumerate(range(0, len(plan.rows), CHUNK)):
            self._enter(campaign, number, plan, plan.rows[start : start + CHUNK], shared, by)
        to: State = "waiting" if plan.needs_approval else "running"
        self.roster.turn(campaign, ["entering"], to, self.now(), by, "sent" if to == "running" else "asks for approval")
        if to == "running":
            self._release(campaign)
        return campaign

    # -- while it runs --

    def approve(self, campaign: str, by: str) -> None:
        """A second person lets a large campaign go. Raises CampaignError for the one who made it."""
        kept = self.roster.kept(campaign)
        if kept is not None and kept.body["by"].casefold() == by.casefold():
            raise CampaignError(told("Whoever made a campaign cannot approve it; another person must."))
        self._turn(campaign, ["waiting"], "running", by, "approved")
        self._release(campaign)

    def pause(self, campaign: str, by: str, why: str = "") -> None:
        """Nothing more is sent, from the next recipient on."""
        self._turn(campaign, ["running"], "paused", by, "paused", why)
        self.roster.forget_pace(self.sender, campaign)

    def resume(self, campaign: str, by: str) -> None:
        """Go on with those who wait, at the pace from now; nobody is written to again."""
        self._turn(campaign, ["paused", "running"], "running", by, "resumed")
        self._release(campaign)

    def cancel(self, campaign: str, by: str, why: str = "") -> None:
        """Stop for good, from the next recipient on, and take back all who wait."""
        allowed: list[State] = ["entering", "waiting", "running", "paused", "cancelled"]
        self._turn(campaign, allowed, "cancelled", by, "cancelled", why)
        self.roster.forget_pace(self.sender, campaign)
        self.roster.cancel(self.roster.effect(campaign, one.patient, one.row) for one in self._waiting(campaign))

    def progress(self, campaign: str) -> Progress:
        """Where it stands; a few short commands, whatever its size. Raises CampaignError when there is none."""
        kept = self.roster.kept(campaign)
        if kept is None:
            raise CampaignError(told("There is no campaign {campaign}.", campaign=campaign))
        counts, body = self.roster.counts(campaign), kept.body
        done = kept.state == "running" and not counts["queued"]
        ends = self.roster.ends(campaign) or body["ends"]
        opens = min((self.terms.hours(one).next_open(self.now()) for one in body["samples"]), default=self.now())
        return Progress(
            campaign, "done" if done else kept.state, body["flow"], body["by"], body["made"], ends,
            body["rows"], body["recipients"], counts, body["refused"], kept.log,
            body.get("consent", ""), body.get("cost", 0), opens,
            tuple(Example(0, *one) for one in body.get("examples", ())),
        )  # fmt: skip

    def all(self) -> list[Progress]:
        """Every campaign, newest first."""
        return [self.progress(campaign) for campaign in self.roster.all() if self.roster.state(campaign)]

    def result_lines(self, campaign: str, say: Callable[[str], str] = str) -> Iterator[str]:
        """CSV: what became of every row, by *say* in the reader's language. Opaque patient ids; the clinic's own file has
        the numbers by row."""
        return lines([say(name) for name in ("row", "patient", "result", "detail")], self._results(campaign, say))

    # -- inside --

    def _results(self, campaign: str, say: Callable[[str], str]) -> Iterator[list[str]]:
        for members in self.roster.rows(campaign):
            for one, state in zip(members, self.roster.states(campaign, members), strict=True):
                name, _, detail = state.partition("|")
                if one.why:
                    name, detail = "refused", say(SAYS.get(one.why, one.why))  # type: ignore[call-overload]
                elif detail.isdecimal():
                    detail = in_words(int(detail), say)
                elif detail or name in BECOMES:
                    detail = reason_in_words(detail, say) if detail else say(BECOMES[name])
                yield [str(one.row), one.patient, say(name or "not entered"), detail]

    def _turn(self, campaign: str, allowed: list[State], to: State, by: str, did: str, why: str = "") -> None:
        if not self.roster.turn(campaign, allowed, to, self.now(), by, did, why):
            state = self.roster.state(campaign)
            if state is None:
                raise CampaignError(told("There is no campaign {campaign}.", campaign=campaign))
            raise CampaignError(told("It is {state}.", state=state))

    def name_for(self, plan: Plan) -> str:
        """The id of the campaign that this plan would become: of the one it goes on with, or a new one."""
        name, again = plan.mark, 1
        while plan.options.again and self.roster.state(name) not in (None, "entering"):
            again += 1
            name = f"{plan.mark}r{again}"
        return name

    def _body(self, plan: Plan, by: str) -> dict[str, Any]:
        return {
            "flow": plan.options.flow, "by": by, "made": self.now(), "ends": plan.ends, "rows": len(plan.rows),
            "recipients": len(plan.accepted), "refused": dict(plan.refused), "samples": plan.samples, "cost": plan.cost,
            "consent": plan.options.consent_source,
            "examples": [[one.language, one.via, one.body, one.segments] for one in plan.examples],
        }  # fmt: skip

    def _shared(self, campaign: str, options: Options) -> dict[str, Any]:
        return {
            "c": campaign,
            "f": options.flow,
            "cf": call_flow_of(self.terms.clinic, options),
            "ch": options.call_after_hours,
            **({"k": dict(options.told)} if options.told else {}),
        }

    def _enter(self, campaign: str, number: int, plan: Plan, rows: list[Row], shared: dict[str, Any], by: str) -> None:
        segments, options = plan.segments, plan.options
        members = [
            Member(row.number, row.patient, row.zone, segments.get(row.language(options.language), 1), row.why)
            for row in rows
        ]
        # The chunk first: a recipient that entered is always found again.
        self.roster.keep_rows(campaign, number, members)
        left = [(row, one) for row, one in zip(rows, members, strict=True) if row.why is None]
        refused: dict[int, str] = {}
        for _ in range(ATTEMPTS):
            enrolments = list(self._enrolments(plan, left, shared, by, refused))
            answers = self.roster.enter(campaign, enrolments)
            again = {one.member.row for one, said in zip(enrolments, answers, strict=True) if said == "conflict"}
            left = [(row, one) for row, one in left if row.number in again]
            if not left:
                break
        if refused:
            self.roster.keep_rows(
                campaign, number, [replace(one, why=refused.get(one.row, one.why)) for one in members]
            )
        if left:
            raise CampaignError(told("Some patients are writing right now; send the same file again to go on."))

    def _enrolments(
        self, plan: Plan, rows: list[tuple[Row, Member]], shared: dict[str, Any], by: str, refused: dict[int, str]
    ) -> Iterator[Enrolment]:
        """Judged again with the newest record: whoever opted out since the plan does not enter."""
        now, known = self.now(), self.roster.load([row.patient for row, _ in rows])
        for row, member in rows:
            raw, version = known.get(row.patient, (None, "0|"))
            record = from_bytes(raw) if raw else None
            if row.stated is None:
                continue
            why = refusal(record, row.stated, row.via == "call", plan.options.call_landlines, now)
            if why:
                refused[row.number] = why
                continue
            speaks = row.language(plan.options.language)
            kept = with_consent(record, row.phone, row.stated, by, plan.mark).but(speaks=speaks)
            event = {"at": now, "in": "entered", "campaign": shared["c"], "row": row.number}
            body = {**shared, "p": row.patient, "v": row.via, "sg": member.segments}
            yield Enrolment(
                member, version, to_bytes(kept), json.dumps(event).encode(), json.dumps(body).encode(),
                parked_until(row.number, now),
            )  # fmt: skip

    def _release(self, campaign: str) -> None:
        """Give everybody who waits a time. Half done is harmless: the rest look by themselves (PARK_SECONDS)."""
        kept = self.roster.kept(campaign)
        if kept is None:
            return
        hours = dict(enumerate(self.terms.hours(sample) for sample in kept.body["samples"]))
        effects, zones, segments = [], [], []
        for one in self._waiting(campaign):
            effects.append(self.roster.effect(campaign, one.patient, one.row))
            zones.append(one.zone)
            segments.append(one.segments)
        now = ends = self.now()
        sent = sum(self.roster.counts(campaign).values()) - len(effects)

        def due() -> Iterator[tuple[str, float]]:
            nonlocal ends
            for index, ends in times(zones, segments, hours, self.terms.pace, now, sent):
                yield effects[index], ends

        self.roster.bring_forward(due())
        self.roster.set_ends(campaign, ends)

    def _waiting(self, campaign: str) -> Iterator[Member]:
        for members in self.roster.rows(campaign):
            states = self.roster.states(campaign, members)
            yield from (one for one, state in zip(members, states, strict=True) if state == "queued")


def records_of(roster: Roster) -> Callable[[list[str]], dict[str, Record]]:
    """What plans read records with."""
    return lambda patients: {name: from_bytes(raw) for name, (raw, _) in roster.load(patients).items()}


def open_campaigns(settings: Settings, store: Store, talk: Conversation, now: Callable[[], float]) -> Campaigns:
    """The campaigns of one deployment; commands and the console have the same ones."""
    roster = Roster(store)
    terms = Terms(
        clinic=talk.clinic,
        regions=settings.allowed_regions,
        zone=ZoneInfo(settings.clinic_timezone),
        hours=talk.hours,
        patient_id=store.cipher.patient_id,
        records=records_of(roster),
        pace=Pace(settings.sender_rate, settings.outreach_first_hour),
        price=round(settings.price_per_segment * 1_000_000),
        approval_size=settings.outreach_approval,
        handed=roster.handed,
    )
    return Campaigns(roster, terms, now, settings.twilio_from)
