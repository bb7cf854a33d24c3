"""What must hold for every simulated patient on the running program. Each promise gives the sentences of its breaches."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from xml.etree import ElementTree

from bot.consent import CARRIER_HELP, CARRIER_START, CARRIER_STOP, DAY, PER_DAY, PER_WEEK
from bot.eventlog import UnknownEditionError, replay
from bot.sandbox.model import Message
from bot.sandbox.player import Call
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
        handed = any("ambiguous_send" in kinds for kinds in self.tasks.values())  # a worker died twice: a person looks
        dead = [(name, why) for name, why in self.town.store.dead() if not (handed and why.startswith("unknown:"))]
        return found + [f"given up: effect {name} because of {why}" for name, why in dead]

    def broken_for(self, who: Person) -> list[str]:
        """Every breach that *who* met."""
        every: list[Callable[[Person], Breaches]] = [
            self._answered, self._same_bytes, self._alarms, self._stop, self._caps, self._screens, self._replays,
            self._silent_for_the_nurse, self._once, self._calls, self._undelivered,
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
            hers = who.nurse.has_them(said.at)
            excused = said.words.upper() in CARRIERS or hers or bool(self.tasks[patient] & UNANSWERED)
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
            if sid in mine and path.startswith(("/sms", "/voice", "/call/")) and len(answers) > 1:
                yield f"{path} gave one webhook {len(answers)} different answers"

    def _alarms(self, who: Person) -> Breaches:
        """911 or 988 at once, a task, and no link from then on unless they begin anew."""
        for said in who.said:
            if not said.alarm:
                continue
            text = said.heard.replace(" ", "") or "".join(body.decode() for _, body in self.answers[("/sms", said.sid)])
            hers = who.nurse.has_them(said.at)
            if not hers and not self._stopped(who, said.at) and "911" not in text and "988" not in text:
                yield f"{said.words!r} was not answered with 911 or 988"
            if not self.tasks[self.town.patient(who.phone)] & ALERTS:
                yield f"{said.words!r} raised no alert"
            links = [one for one in self._came(who) if one.created > said.at and "/go/" in one.body]
            if links and not hers:
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

    def _silent_for_the_nurse(self, who: Person) -> Breaches:
        """From the claim to the handing back nothing arrives but what she wrote."""
        for begin, end in who.nurse.spans:
            for one in self._came(who):
                if begin < one.created < end and one.body not in who.nurse.wrote:
                    yield f"while a nurse had them the bot wrote {one.body[:40]!r}"

    def _once(self, who: Person) -> Breaches:
        """An effect is one text or one call, whatever died in between."""
        texts = Counter(one.callback for one in self._came(who) if one.callback and "?m=" in one.callback)
        rings = Counter(call.plan.url for call in self._rang(who))
        yield from (f"{count} times the same text or call" for count in (texts + rings).values() if count > 1)

    def _calls(self, who: Person) -> Breaches:
        """Only who agreed is called; a machine hears who called and nothing else; whoever was not reached gets a text, or
        a person knows."""
        patient = self.town.patient(who.phone)
        if self._rang(who) and not who.takes_calls:
            yield "a call without consent to calls"
        for call in who.missed:
            if any("call us back" not in said and "llámenos" not in said for said in call.heard):
                yield f"a machine heard {call.heard}"
            told = any("tried to call" in one.body or "Tratamos de" in one.body for one in self._came(who))
            knows = told or "not_reached" in self.tasks[patient] or self._stopped(who, self.town.clock())
            if not knows and not who.nurse.has_them(self.town.clock()):
                yield f"nobody knows that a call reached nobody ({call.status})"

    def _undelivered(self, who: Person) -> Breaches:
        """A text that did not arrive, once the carrier said so, is somebody's task or goes another way."""
        patient = self.town.patient(who.phone)
        failed = {one.sid for one in self._came(who) if one.error_code and one.direction == "outbound-api"}
        told = {sid for (path, sid), _ in self.answers.items() if path == "/status" and sid in failed}
        known = {one.request.params["MessageSid"] for one in self.town.weather.deliveries
                 if one.name[1] in told and one.request.params.get("MessageStatus") in ("undelivered", "failed")}  # fmt: skip
        if known and not (self.tasks[patient] or self._rang(who)):
            yield "a text did not arrive, and nobody knows"

    # -- inside --

    def _rang(self, who: Person) -> list[Call]:
        return [one for one in self.town.sandbox.calls.values() if one.to == who.phone]

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
