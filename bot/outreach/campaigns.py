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

from bot.codes import in_words
from bot.outreach.csvout import lines, plan_lines
from bot.outreach.judge import SAYS, refusal, with_consent
from bot.outreach.pacing import times
from bot.outreach.plan import Options, Plan, Row, Terms, make_plan
from bot.outreach.roster import CHUNK, Enrolment, Member, Roster, State
from bot.outreach.sheet import read_sheet
from bot.record import Record, from_bytes, to_bytes

PARK_SECONDS = 6 * 3600.0  # an effect of a campaign that does not run looks again after this, spread over an hour
ATTEMPTS = 8


class CampaignError(Exception):
    """It cannot be done now; the text says why and what to do."""


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a campaign has come. *counts*: recipients by state; *refused*: rows by reason; times are epoch seconds.
    *state*: ``done`` when nobody waits any more."""

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
    log: tuple[tuple[float, str, str], ...]


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
        says = f"This file was sent with this flow before (campaign {made.mark}, {state}); to do it again: --again."
        return replace(made, blockers=(*made.blockers, says))

    def plan_lines(self, plan: Plan) -> Iterator[str]:
        """The result file of a plan."""
        return plan_lines(plan)

    def send(self, plan: Plan, by: str) -> str:
        """Enter every recipient; the campaign's id. A large one then waits for `approve`. Dies half-way: send the same
        file again, and it goes on. Raises CampaignError."""
        if plan.blockers:
            raise CampaignError(" ".join(plan.blockers))
        campaign, now = self._name(plan), self.now()
        self.roster.create(campaign, self._body(plan, by), now, by)
        if self.roster.state(campaign) != "entering":
            raise CampaignError(f"Campaign {campaign} has been sent already.")
        told = self._told(campaign, plan.options)
        for number, start in enumerate(range(0, len(plan.rows), CHUNK)):
            self._enter(campaign, number, plan, plan.rows[start : start + CHUNK], told, by)
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
            raise CampaignError("Whoever made a campaign cannot approve it; another person must.")
        self._turn(campaign, ["waiting"], "running", by, "approved")
        self._release(campaign)

    def pause(self, campaign: str, by: str) -> None:
        """Nothing more is sent, from the next recipient on."""
        self._turn(campaign, ["running"], "paused", by, "paused")
        self.roster.forget_pace(self.sender)

    def resume(self, campaign: str, by: str) -> None:
        """Go on with those who wait, at the pace from now; nobody is written to again."""
        self._turn(campaign, ["paused", "running"], "running", by, "resumed")
        self._release(campaign)

    def cancel(self, campaign: str, by: str) -> None:
        """Stop for good, from the next recipient on, and take back all who wait."""
        allowed: list[State] = ["entering", "waiting", "running", "paused", "cancelled"]
        self._turn(campaign, allowed, "cancelled", by, "cancelled")
        self.roster.forget_pace(self.sender)
        self.roster.cancel(self.roster.effect(campaign, one.patient, one.row) for one in self._waiting(campaign))

    def progress(self, campaign: str) -> Progress:
        """Where it stands; a few short commands, whatever its size. Raises CampaignError when there is none."""
        kept = self.roster.kept(campaign)
        if kept is None:
            raise CampaignError(f"There is no campaign {campaign}.")
        counts, body = self.roster.counts(campaign), kept.body
        done = kept.state == "running" and not counts["queued"]
        ends = self.roster.ends(campaign) or body["ends"]
        return Progress(
            campaign, "done" if done else kept.state, body["flow"], body["by"], body["made"], ends,
            body["rows"], body["recipients"], counts, body["refused"], kept.log,
        )  # fmt: skip

    def all(self) -> list[Progress]:
        """Every campaign, newest first."""
        return [self.progress(campaign) for campaign in self.roster.all() if self.roster.state(campaign)]

    def result_lines(self, campaign: str) -> Iterator[str]:
        """CSV: what became of every row. Opaque patient ids; the clinic's own file has the numbers by row."""
        return lines(["row", "patient", "result", "detail"], self._results(campaign))

    # -- inside --

    def _results(self, campaign: str) -> Iterator[list[str]]:
        for members in self.roster.rows(campaign):
            for one, state in zip(members, self.roster.states(campaign, members), strict=True):
                name, _, detail = state.partition("|")
                if one.why:
                    name, detail = "refused", SAYS.get(one.why, one.why)  # type: ignore[call-overload]
                elif detail.isdecimal():
                    detail = in_words(int(detail))
                yield [str(one.row), one.patient, name or "not entered", detail]

    def _turn(self, campaign: str, allowed: list[State], to: State, by: str, did: str) -> None:
        if not self.roster.turn(campaign, allowed, to, self.now(), by, did):
            state = self.roster.state(campaign)
            raise CampaignError(f"It is {state}." if state else f"There is no campaign {campaign}.")

    def _name(self, plan: Plan) -> str:
        name, again = plan.mark, 1
        while plan.options.again and self.roster.state(name) not in (None, "entering"):
            again += 1
            name = f"{plan.mark}r{again}"
        return name

    def _body(self, plan: Plan, by: str) -> dict[str, Any]:
        return {
            "flow": plan.options.flow, "by": by, "made": self.now(), "ends": plan.ends, "rows": len(plan.rows),
            "recipients": len(plan.accepted), "refused": dict(plan.refused), "samples": plan.samples, "cost": plan.cost,
        }  # fmt: skip

    def _told(self, campaign: str, options: Options) -> dict[str, Any]:
        return {"c": campaign, "f": options.flow, "cf": options.call_flow, "ch": options.call_after_hours}

    def _enter(self, campaign: str, number: int, plan: Plan, rows: list[Row], told: dict[str, Any], by: str) -> None:
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
            enrolments = list(self._enrolments(plan, left, told, by, refused))
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
            raise CampaignError("Some patients are writing right now; send the same file again to go on.")

    def _enrolments(
        self, plan: Plan, rows: list[tuple[Row, Member]], told: dict[str, Any], by: str, refused: dict[int, str]
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
            kept = with_consent(record, row.phone, row.stated, by, plan.mark)
            event = {"at": now, "in": "entered", "campaign": told["c"], "row": row.number}
            language = row.language(plan.options.language)
            body = {**told, "p": row.patient, "v": row.via, "l": language, "sg": member.segments}
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
