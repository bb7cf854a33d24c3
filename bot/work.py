"""The engine's effects -> what is written with a turn: timers, links, tasks, consents. Pure; sends nothing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bot import engine, prompts
from bot.engine import Step
from bot.flow import model
from bot.record import Consent, Record
from bot.tasks import TASKS
from bot.turn import Clinic, Later


class Work:
    """Turns the engine's effects into what is written: one method per kind, so that an unknown kind fails loudly."""

    def __init__(self, clinic: Clinic, patient: str, record: Record, step: Step, now: float) -> None:
        self.clinic, self.patient, self.record, self.step, self.now = clinic, patient, record, step, now
        self.later: list[Later] = []
        self.tasks: list[str] = []
        self.links: list[tuple[str, str]] = []
        self.values: dict[str, str] = {}
        self.dropped: list[str] = []
        self._drop("silence", "late")  # this turn's own answer takes the place of one that was still to be sent

    def perform(self, effect: engine.Effect) -> None:
        getattr(self, f"_do_{effect.kind}")(effect.value)

    def _drop(self, *names: str) -> None:
        planned = dict(self.record.planned)
        self.dropped += [planned.pop(name) for name in names if name in planned]
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
        self.values["link"] = address

    def _do_text(self, key: str) -> None:
        loaded = self.clinic.flows[self.step.session.flow]
        parts = prompts.render(loaded, (key,), self.step.session.language, "sms", {**self.clinic.values, **self.values})
        self._plan("text", "text", self.now, {"body": prompts.one_text(parts)})

    def _do_grant(self, purpose: str) -> None:
        source = f"{self.step.session.channel} answer in {self.step.session.flow} {self.step.session.flow_hash}"
        consent = Consent(purpose, True, self.now, source, self.step.session.flow_hash)
        self.record = self.record.but(consents=(*self.record.consents[-19:], consent))

    def _do_plan(self, names: tuple[str, ...]) -> None:
        follow_ups = self.clinic.flows[self.step.session.flow].flow.follow_ups
        for name in names:
            minutes = model.minutes(follow_ups[name].after)
            self._plan(name, "follow_up", self.now + minutes * 60, {"f": self.step.session.flow})

    def _do_cancel(self, _: str) -> None:
        self._drop(*self.record.planned)

    def _do_restarted(self, _: None) -> None:
        """The new walk's id was set before the engine ran; nothing else is kept of the old one."""

    def _do_record(self, _: str) -> None:
        """Facts are in the event of every turn already: outcome, rule and reason."""
