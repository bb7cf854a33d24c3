"""What staff do with campaigns: plan, send, approve, pause, resume, cancel, look. Commands and the console call this.

Never talks to the carrier. Every step may die anywhere and be done again: the roster says who has entered, and an effect
that waits in a campaign that does not run is put off, never sent and never lost.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any
from zoneinfo import ZoneInfo

from bot.codes import in_words, reason_in_words
from bot.conversation import Conversation
from bot.outreach.csvout import lines, plan_lines
from bot.outreach.judge import SAYS
from bot.outreach.pacing import Pace
from bot.outreach.plan import Example, Options, Plan, Terms, make_plan, sampled
from bot.outreach.roster import Did, Roster, State
from bot.outreach.sheet import read_sheet
from bot.outreach.steps import CampaignError as CampaignError
from bot.outreach.steps import Steps
from bot.record import Record, from_bytes
from bot.settings import Settings
from bot.store.store import Store
from bot.told import told

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


class Campaigns:
    """All campaigns of one deployment. *terms* is what plans need; *forget* gives the pace back when much is taken back."""

    def __init__(self, roster: Roster, terms: Terms, now: Callable[[], float], sender: str) -> None:
        self.roster, self.terms, self.now, self.sender = roster, terms, now, sender
        self.steps = Steps(roster, terms, now)

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
        if not self.steps.enter(campaign, plan):
            self.steps.go_on("", campaign)  # it was cancelled meanwhile
            raise CampaignError(told("It is {state}.", state=self.roster.state(campaign)))
        self.steps.entered(campaign)
        return campaign

    def order(self, plan: Plan, raw: bytes, by: str, campaign: str) -> None:
        """As send, but a worker enters the recipients: exactly those of *plan*, less whoever must not be written to by
        then. Raises as send."""
        if plan.blockers:
            raise CampaignError(plan.blockers[0])
        refused = {row.number: row.why for row in plan.rows if row.why is not None}
        self.steps.underway.keep_file(campaign, {"options": asdict(plan.options), "refused": refused}, raw)
        now, body = self.now(), self._body(plan, by)
        if self.roster.create(campaign, body, now, by, step=True):
            return
        if not self.roster.turn(campaign, ["entering"], "entering", now, by, "goes on", step=True):
            self.steps.underway.drop_file(campaign)
            raise SentError(campaign)

    # -- while it runs --

    def approve(self, campaign: str, by: str) -> None:
        """A second person lets a large campaign go. Raises CampaignError for the one who made it."""
        kept = self.roster.kept(campaign)
        if kept is not None and kept.body["by"].casefold() == by.casefold():
            raise CampaignError(told("Whoever made a campaign cannot approve it; another person must."))
        self._turn(campaign, ["waiting"], "running", by, "approved")

    def pause(self, campaign: str, by: str, why: str = "") -> None:
        """Nothing more is sent, from the next recipient on."""
        self._turn(campaign, ["running"], "paused", by, "paused", why)
        self.roster.forget_pace(self.sender, campaign)

    def resume(self, campaign: str, by: str) -> None:
        """Go on with those who wait, at the pace from now; nobody is written to again."""
        self._turn(campaign, ["paused", "running"], "running", by, "resumed")

    def cancel(self, campaign: str, by: str, why: str = "") -> None:
        """Stop for good, from the next recipient on; a worker takes back all who wait."""
        allowed: list[State] = ["entering", "waiting", "running", "paused", "cancelled"]
        self._turn(campaign, allowed, "cancelled", by, "cancelled", why)
        self.roster.forget_pace(self.sender, campaign)

    def progress(self, campaign: str) -> Progress:
        """Where it stands; a few short commands, whatever its size. Raises CampaignError when there is none."""
        kept = self.roster.kept(campaign)
        if kept is None:
            raise CampaignError(told("There is no campaign {campaign}.", campaign=campaign))
        counts, body = self.roster.counts(campaign), kept.body
        done = kept.state == "running" and not counts["queued"]
        ends = self.roster.ends(campaign) or body["ends"]
        opens = min(
            (self.terms.hours(sampled(one)).next_open(self.now()) for one in body["samples"]), default=self.now()
        )
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
                if one.why and not name:
                    name, detail = "refused", say(SAYS.get(one.why, one.why))  # type: ignore[call-overload]
                elif detail.isdecimal():
                    detail = in_words(int(detail), say)
                elif detail or name in BECOMES:
                    detail = reason_in_words(detail, say) if detail else say(BECOMES[name])
                yield [str(one.row), one.patient, say(name or "not entered"), detail]

    def _turn(self, campaign: str, allowed: list[State], to: State, by: str, did: str, why: str = "") -> None:
        step = to in ("running", "cancelled")
        if not self.roster.turn(campaign, allowed, to, self.now(), by, did, why, step=step):
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
