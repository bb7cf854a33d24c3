"""The engine's effects -> what is written with a turn: timers, links, tasks, consents. Pure; sends nothing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bot import engine, prompts
from bot.engine import Step
from bot.flow import model
from bot.flow.load import base_hash
from bot.record import CLOSED, Consent, Record
from bot.tasks import TASKS
from bot.turn import Clinic, Later
from bot.visits import UNDOES, due_of, spoken

KEPT_CONSENTS = 40  # the newest of a record; the log keeps all of them


def with_consent(kept: tuple[Consent, ...], new: Consent) -> tuple[Consent, ...]:
    """*kept* with *new* at its end; the oldest go when there are too many."""
    return (*kept[1 - KEPT_CONSENTS :], new)


class Work:
    """Turns the engine's effects into what is written: one method per kind, so that an unknown kind fails loudly."""

    def __init__(self, clinic: Clinic, patient: str, record: Record, step: Step, now: float) -> None:
        self.clinic, self.patient, self.record, self.step, self.now = clinic, patient, record, step, now
        self.later: list[Later] = []
        self.tasks: list[str] = []
        self.links: list[tuple[str, str]] = []
        self.values = spoken(record.visit_at, clinic.zone, step.session.language, step.session.channel)
        self.dropped: list[str] = []
        self.notes: dict[str, Any] = {}
        # This turn's own answer takes the place of what was still to be sent, or to be sent again.
        self._drop("silence", *(name for name in record.planned if name.startswith("late")))

    def perform(self, effect: engine.Effect) -> None:
        getattr(self, f"_do_{effect.kind}")(effect.value)

    def _drop(self, *names: str) -> None:
        planned = dict(self.record.planned)
        dropped = [planned.pop(name) for name in names if name in planned]
        if dropped:
            self.dropped += dropped
            self.record = self.record.but(planned=planned)

    def _plan(self, name: str, kind: Any, due: float, body: Mapping[str, Any]) -> None:
        self._drop(name)
        later = Later(self.clinic.new_effect(self.patient), kind, due, {"s": self.step.session.id, "n": name, **body})
        self.later.append(later)
        self.record = self.record.but(planned={**self.record.planned, name: later.id})

    def _do_task(self, kind: str) -> None:
        if kind not in TASKS:
            raise KeyError(f"There is no task kind {kind!r}.")
        self.tasks.append(kind)

    def _do_silence(self, minutes: int) -> None:
        self._plan("silence", "silence", self.now + minutes * 60, {"t": self.step.session.turn})

    def _do_link(self, visit: str) -> None:
        token, address = self.clinic.link(self.patient)
        self.links.append((token, visit))
        self.record = self.record.but(facts=self.record.facts - {"link_opened"} | {"linked"})
        self.values["link"] = address

    def _do_text(self, key: str) -> None:
        loaded = self.clinic.of(self.step.session) or self.clinic.flows[self.step.session.flow]
        parts = prompts.render(loaded, (key,), self.step.session.language, "sms", {**self.clinic.values, **self.values})
        self._plan("text", "text", self.now, {"body": prompts.one_text(parts)})

    def _do_grant(self, purpose: str) -> None:
        self._consent(purpose, True)

    def _do_refuse(self, purpose: str) -> None:
        self._consent(purpose, False)
        every = [pair for loaded in self.clinic.flows.values() for pair in loaded.flow.follow_ups.items()]
        self._drop(*(name for name, one in every if one.needs == purpose))

    def _consent(self, purpose: str, granted: bool) -> None:
        """The answer to the question that was open. Only texts were asked about, so it says nothing of calls."""
        session = self.step.session
        source = f"{session.channel} answer in {session.flow} {session.flow_hash}"
        consent = Consent(purpose, granted, self.now, source, self._shown(), "text")
        self.record = self.record.but(consents=with_consent(self.record.consents, consent))
        self.notes.setdefault("consents", []).append(list(consent))

    def _shown(self) -> str:
        """The wording that was shown: key, language, hash."""
        before = self.record.session
        loaded = self.clinic.of(before) if before else None
        state = loaded.states.get(before.state) if loaded and before else None
        if not isinstance(state, model.Question) or before is None or loaded is None:
            return ""
        return f"{state.ask} {before.language} {base_hash(loaded.flow.texts[state.ask][before.language])}"

    def _do_plan(self, names: tuple[str, ...]) -> None:
        flow = (self.clinic.of(self.step.session) or self.clinic.flows[self.step.session.flow]).flow
        self.record = self.record.but(facts=self.record.facts - {CLOSED})  # something new has begun
        for name in names:
            due = due_of(flow.follow_ups[name], self.record.visit_at, self.now)
            if due is not None:
                self._plan(name, "follow_up", due, {"f": flow.id, "d": due})

    def _do_score(self, name: str) -> None:
        """Kept only when every number of it was given (I36). A rise is a task, never a text."""
        session = self.step.session
        rule = (self.clinic.of(session) or self.clinic.flows[session.flow]).flow.scores[name]
        given = [session.answers.get(one) for one in rule.of]
        numbers = [one for one in given if isinstance(one, int)]
        if len(numbers) < len(rule.of):
            return
        total, kept = sum(numbers), self.record.scores.get(name)
        if kept and total - kept[0 if rule.against == "first" else 1] >= rule.rise * len(rule.of):
            self._do_task(rule.task)
        first = kept[0] if kept else total
        self.record = self.record.but(scores={**self.record.scores, name: (first, total)})
        self.notes["score"] = [name, total]

    def _do_cancel(self, _: str) -> None:
        self._drop(*self.record.planned)

    def _do_restarted(self, _: None) -> None:
        """The new walk's id was set before the engine ran; nothing else is kept of the old one."""

    def _do_record(self, fact: str) -> None:
        gone = UNDOES.get(fact, frozenset())
        self.record = self.record.but(facts=(self.record.facts - gone) | {fact})
        self.notes.setdefault("facts", []).append(fact)
