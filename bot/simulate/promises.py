"""What must hold for every simulated patient on the running program. Each promise gives the sentences of its breaches."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable, Iterator
from xml.etree import ElementTree

from bot.consent import CARRIER_HELP, CARRIER_START, CARRIER_STOP, DAY, PER_DAY, PER_WEEK
from bot.eventlog import UnknownEditionError, replay
from bot.sandbox.model import Message
from bot.simulate.person import Person
from bot.simulate.town import Town
from bot.store.published import Published
from bot.versions import Versions

CARRIERS = CARRIER_STOP | CARRIER_START | CARRIER_HELP
ALERTS = frozenset({"emergency", "crisis", "alarm_opted_out", "alarm_abroad"})
UNANSWERED = frozenset({"wrote_after_stop", "alarm_opted_out", "echo"})  # tasks that stand for an answer
Breaches = Iterator[str]


class Promises:
    """The promises, over a *town* in which everything has happened."""

    def __init__(self, town: Town) -> None:
        self.town = town
        self.answers: dict[tuple[str, str], set[tuple[int, bytes]]] = defaultdict(set)
        for one in town.weather.deliveries:
            self.answers[one.name].add((one.answer.status, one.answer.body))
        self.tasks: dict[str, set[str]] = defaultdict(set)
        for task in town.store.tasks():
            self.tasks[task.patient].add(task.kind)
        self.versions = Versions(Published(town.store.client, town.store.cipher))

    def of_everybody(self) -> list[str]:
        """What belongs to no single patient: refused or broken webhooks, an effect that was given up."""
        found = sorted(
            {f"Twilio's debugger: {one.code} {one.text}" for one in self.town.sandbox.debugger if one.code != 21610}
        )
        return found + [f"given up: effect {name} because of {why}" for name, why in self.town.store.dead()]

    def broken_for(self, who: Person) -> list[str]:
        """Every breach that *who* met."""
        every: list[Callable[[Person], Breaches]] = [
            self._answered, self._same_bytes, self._alarms, self._stop, self._caps, self._screens, self._replays,
        ]  # fmt: skip
        return [breach for promise in every for breach in promise(who)]

    def _answered(self, who: Person) -> Breaches:
        """Each text: one answer, or the carrier's own, or a task that staff see; and it is in the ledger."""
        patient = self.town.patient(who.phone)
        for said in who.said:
            if not said.sid:
                continue
            bodies = [body for status, body in self.answers[("/sms", said.sid)] if status == 200]
            count = max((_texts_in(body) for body in bodies), default=0)
            if count > 1:
                yield f"{said.words!r} got {count} answers"
            excused = said.words.upper() in CARRIERS or bool(self.tasks[patient] & UNANSWERED)
            if count == 0 and not excused:
                yield f"{said.words!r} got no answer and no task"
            if self.town.store.load(patient, said.sid).answer is None:
                yield f"{said.words!r} is not in the ledger"
        for call in who.calls:
            if not call.heard:
                yield "a call on which nothing was said"

    def _same_bytes(self, who: Person) -> Breaches:
        """A retried webhook gets the answer of the first."""
        mine = {said.sid for said in who.said if said.sid} | {call.sid for call in who.calls}
        for (path, sid), answers in self.answers.items():
            if sid in mine and path.startswith(("/sms", "/voice")) and len(answers) > 1:
                yield f"{path} gave one webhook {len(answers)} different answers"

    def _alarms(self, who: Person) -> Breaches:
        """911 or 988 at once, a task, and no link from then on unless they begin anew."""
        for said in who.said:
            if not said.alarm:
                continue
            text = said.heard.replace(" ", "") or "".join(body.decode() for _, body in self.answers[("/sms", said.sid)])
            if not self._stopped(who, said.at) and "911" not in text and "988" not in text:
                yield f"{said.words!r} was not answered with 911 or 988"
            if not self.tasks[self.town.patient(who.phone)] & ALERTS:
                yield f"{said.words!r} raised no alert"
            links = [one for one in self._came(who) if one.created > said.at and "/go/" in one.body]
            if links:
                yield f"a link was sent after {said.words!r}"

    def _stop(self, who: Person) -> Breaches:
        """From STOP to START: the confirmation, and nothing else; no call of ours either."""
        for begin, end in self._silences(who):
            came = [one for one in self._came(who) if begin <= one.created < end]
            rang = [one for one in self.town.sandbox.calls.values()
                    if one.to == who.phone and begin <= one.created < end]  # fmt: skip
            if len(came) > 1 or rang:
                yield f"{len(came)} texts and {len(rang)} calls between STOP and START"

    def _caps(self, who: Person) -> Breaches:
        """Follow-ups: one a day and three a week."""
        events = [json.loads(raw) for raw in self.town.store.events(self.town.patient(who.phone))]
        sent = sorted(one["at"] for one in events if one["in"] == "follow_up" and one.get("says"))
        for at in sent:
            if sum(at <= other < at + DAY for other in sent) > PER_DAY:
                yield "more than one follow-up in a day"
            if sum(at <= other < at + 7 * DAY for other in sent) > PER_WEEK:
                yield "more than three follow-ups in a week"

    def _screens(self, who: Person) -> Breaches:
        """No visit is recommended with a screen that was not answered no."""
        yield from (f"a visit without the screens: {one}" for one in dict.fromkeys(who.skipped))

    def _replays(self, who: Person) -> Breaches:
        """P6: the log, run again, gives the identical texts and record; nobody changed it."""
        patient = self.town.patient(who.phone)
        if self.town.store.verify(patient) is not None:
            yield "the log's chain is broken"
        events = [json.loads(raw) for raw in self.town.store.events(patient)]
        try:
            _, found = replay(
                patient, events, self.town.record(who.phone), lambda mark: self.versions.then(mark, who.phone)
            )
        except UnknownEditionError:
            yield "the log names a version that was never published"
            return
        if found is not None:
            yield f"run again, line {found.number} differs in {found.field}"

    # -- inside --

    def _came(self, who: Person) -> list[Message]:
        """Texts that really went to this phone: not those that Twilio refused after STOP."""
        texts = self.town.sandbox.texts(who.phone)
        return [one for one in texts if one.to == who.phone and one.error_code != 21610]

    def _silences(self, who: Person) -> list[tuple[float, float]]:
        found: list[tuple[float, float]] = []
        begin = None
        for said in sorted(who.said, key=lambda one: one.at):
            word = said.words.upper()
            if word in CARRIER_STOP and begin is None:
                begin = said.at
            elif word in CARRIER_START and begin is not None:
                found.append((begin, said.at))
                begin = None
        return [*found, (begin, float("inf"))] if begin is not None else found

    def _stopped(self, who: Person, at: float) -> bool:
        return any(begin <= at < end for begin, end in self._silences(who))


def _texts_in(body: bytes) -> int:
    return len(ElementTree.fromstring(body).findall("Message")) if body else 0  # noqa: S314  # our own answer
