"""What a worker does for a whole campaign: enter its recipients, give them their times, take back those who wait.

Each is an effect that was written with the decision, so no decision waits for it and none is forgotten: it may die anywhere
and is done again from what is there. A command that sends enters by itself, with the same lines.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any

from bot.outreach.judge import Why, consents_of, entered, refusal
from bot.outreach.pacing import times
from bot.outreach.plan import Options, Plan, Row, Terms, call_flow_of, make_plan, sampled
from bot.outreach.roster import CHUNK, Enrolment, Member, Roster, State
from bot.outreach.sheet import read_sheet
from bot.outreach.underway import Underway
from bot.record import erased_since, from_bytes, to_bytes
from bot.told import Told, told

PARK_SECONDS = 6 * 3600.0  # an effect of a campaign that does not run looks again after this, spread over an hour
ATTEMPTS = 8
AT_ONCE_SECONDS = 8.0  # of entering, in one go: well below the lease of an effect
# Whom a worker had in hand when the campaign went on, and put off as if it did not: they are looked for once more.
STRAGGLERS_SECONDS = 30.0


class CampaignError(Exception):
    """It cannot be done now; *told* says why and what to do."""

    def __init__(self, told: Told) -> None:
        super().__init__(str(told))
        self.told = told


def parked_until(row: int, now: float) -> float:
    """When an effect of a campaign that does not run looks again."""
    return now + PARK_SECONDS + row * 7 % 3600


class Steps:
    """Of all campaigns of one deployment; *terms* as for plans."""

    def __init__(self, roster: Roster, terms: Terms, now: Callable[[], float]) -> None:
        self.roster, self.terms, self.now, self.underway = roster, terms, now, Underway(roster)

    def go_on(self, step: str, campaign: str) -> float | None:
        """Do what the campaign's state asks for; when to go on (epoch seconds), None: it is done. *step*: the effect."""
        state = self.roster.state(campaign)
        if state == "entering":
            return self._enter_some(campaign)
        if state == "running":
            return self._release(step, campaign)
        if state == "cancelled":
            self.underway.drop_file(campaign)
            self.roster.cancel(self.roster.effect(campaign, one.patient, one.row) for one in self._waiting(campaign))
        return None

    # -- entering --

    def _enter_some(self, campaign: str) -> float | None:
        given = self.underway.file(campaign)
        if given is None:
            return None  # whoever sent it by command sends it again
        try:
            whole = self.enter(campaign, self._planned(*given), self.underway.entered(campaign), AT_ONCE_SECONDS)
        except CampaignError:
            return self.now() + 1.0  # somebody is writing right now
        if not whole:
            return self.now()
        self.entered(campaign)
        return None

    def _planned(self, about: Mapping[str, Any], raw: bytes) -> Plan:
        """The plan that was confirmed, as far as it still holds: nobody is in it who was refused then."""
        options, refused = Options(**about["options"]), about["refused"]
        plan = make_plan(read_sheet(raw, options.mapping), raw, options, self.terms, self.now())
        for row in plan.rows:
            row.why = row.why or refused.get(str(row.number))
        return plan

    def enter(self, campaign: str, plan: Plan, first: int = 0, seconds: float = 1e9) -> bool:
        """Enter the recipients from chunk *first* on, for so many *seconds*. False: there is more to do. Raises CampaignError."""
        kept, until = self.roster.kept(campaign), time.monotonic() + seconds
        if kept is None:
            return True
        shared = self._shared(campaign, plan.options)
        for number in range(first, -(-len(plan.rows) // CHUNK)):
            out_of_time = number > first and time.monotonic() > until
            if out_of_time or self.roster.state(campaign) != "entering":
                return False
            self._enter(campaign, number, plan, plan.rows[number * CHUNK : (number + 1) * CHUNK], shared, kept.body)
            self.underway.set_entered(campaign, number + 1)
        return True

    def entered(self, campaign: str) -> None:
        """All are in: it begins, or waits for a second person when it is large."""
        kept = self.roster.kept(campaign)
        if kept is None:
            return
        large = kept.body["recipients"] > self.terms.approval_size
        to: State = "waiting" if large else "running"
        did = "asks for approval" if large else "sent"
        self.roster.turn(campaign, ["entering"], to, self.now(), kept.body["by"], did, step=not large)
        self.underway.drop_file(campaign)

    def _shared(self, campaign: str, options: Options) -> dict[str, Any]:
        return {
            "c": campaign,
            "f": options.flow,
            "cf": call_flow_of(self.terms.clinic, options),
            "ch": options.call_after_hours,
            **({"k": dict(options.told)} if options.told else {}),
        }

    def _enter(
        self, campaign: str, number: int, plan: Plan, rows: list[Row], shared: dict[str, Any], about: Mapping[str, Any]
    ) -> None:
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
            enrolments = list(self._enrolments(plan, left, shared, about, refused))
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
        self,
        plan: Plan,
        rows: list[tuple[Row, Member]],
        shared: dict[str, Any],
        about: Mapping[str, Any],
        refused: dict[int, str],
    ) -> Iterator[Enrolment]:
        """Judged again with the newest record: whoever opted out since the plan does not enter."""
        now, known = self.now(), self.roster.load([row.patient for row, _ in rows])
        for row, member in rows:
            raw, version = known.get(row.patient, (None, "0|"))
            record = from_bytes(raw) if raw else None
            if row.stated is None:
                continue
            why: Why | None = "erased" if erased_since(raw, about["made"]) else None
            why = why or refusal(record, row.stated, row.via == "call", plan.options.call_landlines, now)
            if why:
                refused[row.number] = why
                continue
            speaks = row.language(plan.options.language)
            given = consents_of(record, row.stated, about["by"], plan.mark)
            kept = entered(record, row.phone, given).but(speaks=speaks)
            event = {"at": now, "in": "entered", "campaign": shared["c"], "row": row.number}
            event |= {"consents": [list(one) for one in given]} if given else {}
            body = {**shared, "p": row.patient, "v": row.via, "sg": member.segments}
            yield Enrolment(
                member, version, to_bytes(kept), json.dumps(event).encode(), json.dumps(body).encode(),
                parked_until(row.number, now),
            )  # fmt: skip

    # -- while it runs, and its end --

    def _release(self, step: str, campaign: str) -> float | None:
        """Give everybody who waits a time; a while later, those who were put off meanwhile."""
        kept = self.roster.kept(campaign)
        if kept is None:
            return None
        late = self.roster.ends(campaign) if self.underway.timed_by(campaign) == step else None
        hours = dict(enumerate(self.terms.hours(sampled(sample)) for sample in kept.body["samples"]))
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

        self.roster.bring_forward(due(), late or 0.0)
        if late is not None:
            return None
        self.roster.set_ends(campaign, ends)
        self.underway.set_timed_by(campaign, step)
        return now + STRAGGLERS_SECONDS

    def _waiting(self, campaign: str) -> Iterator[Member]:
        for members in self.roster.rows(campaign):
            states = self.roster.states(campaign, members)
            yield from (one for one, state in zip(members, states, strict=True) if state == "queued")
