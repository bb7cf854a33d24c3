"""The store's patient part in plain memory: for ``bot chat``, replay and the simulator, where nothing must survive.

Same contract as bot/store (a test runs both through it). Never used by the web server or a worker.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from bot.store import Committed, Effect, LinkToken, Loaded, Task


class MemoryStore:
    """One process, one thread."""

    def __init__(self) -> None:
        self.records: dict[str, tuple[bytes, str]] = {}
        self.answers: dict[tuple[str, str], bytes] = {}
        self.effects: dict[str, Effect] = {}
        self.tasks: dict[str, Task] = {}
        self.links: dict[str, LinkToken] = {}
        self.events: dict[str, list[bytes]] = {}
        self.counts: Counter[tuple[str, str]] = Counter()

    def load(self, patient: str, key: str) -> Loaded:
        record, version = self.records.get(patient, (None, "0"))
        return Loaded(record, version, self.answers.get((patient, key)))

    def commit(
        self,
        patient: str,
        key: str,
        version: str,
        *,
        record: bytes,
        answer: bytes,
        effects: Sequence[Effect] = (),
        cancels: Sequence[str] = (),
        events: Sequence[bytes] = (),
        tasks: Sequence[Task] = (),
        links: Sequence[LinkToken] = (),
        counts: Sequence[tuple[str, str, int]] = (),
        heard: str = "",
        now: float = 0.0,
    ) -> Committed:
        seen = self.answers.get((patient, key))
        if seen is not None:
            return Committed("seen", seen)
        if self.records.get(patient, (b"", "0"))[1] != version:
            return Committed("conflict", None)
        self.records[patient] = (record, str(int(version) + 1))
        self.answers[(patient, key)] = answer
        for effect_id in cancels:
            self.effects.pop(effect_id, None)
        self.effects.update({effect.id: effect for effect in effects})
        self.tasks.update({task.id: task for task in tasks})
        self.links.update({link.token: link for link in links})
        self.events.setdefault(patient, []).extend(events)
        for week, field, many in counts:
            self.counts[week, field] += many
        return Committed("ok", None)

    def effect(self, effect_id: str) -> Effect | None:
        return self.effects.get(effect_id)

    def link(self, token: str) -> LinkToken | None:
        return self.links.get(token)
