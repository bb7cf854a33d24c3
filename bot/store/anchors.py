"""Where patients' logs ended, night by night, in the audit trail: the one thing that shows when a whole record and its log
were put back to an older state, or taken away, by somebody who can write to the store but has no key."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from bot.record import ERASED, from_bytes
from bot.store.audit import Entry
from bot.store.chain import LINK
from bot.store.store import Store

ANCHORED, ERASURE = "log heads", "patient erased"


@dataclass(frozen=True, slots=True)
class Anchor:
    """The log of *patient* had *count* entries ever, and the last one's link was *link* (hex)."""

    patient: str
    count: int
    link: str

    def __str__(self) -> str:
        return f"{self.patient}:{self.count}:{self.link}"


def newest(entries: Iterable[Entry | None]) -> dict[str, tuple[Anchor, float]]:
    """Each patient's last anchor and when it was set; without those who were erased since."""
    found: dict[str, tuple[Anchor, float]] = {}
    for entry in entries:
        if entry is not None and entry.action == ANCHORED:
            for word in entry.detail.split():
                patient, count, link = word.split(":")
                found[patient] = Anchor(patient, int(count), link), entry.at
        elif entry is not None and entry.action == ERASURE:
            found.pop(entry.about, None)
    return found


def holds(store: Store, anchor: Anchor, *, may_be_gone: bool) -> bool:
    """The log still has the entry that it ended with. *may_be_gone*: the patient is older than anything that is kept."""
    raw = store.load(anchor.patient, "").record
    if raw is None:
        return may_be_gone
    if ERASED in from_bytes(raw).facts:
        return True  # only we can make such a record
    client: Any = store.client
    log = client.lrange(f"{store.tag(store.bucket(anchor.patient))}v:{anchor.patient}", 0, -1)
    links = {bytes(entry[:LINK]).hex() for entry in log}
    return anchor.link in links or store.cut(anchor.patient) >= anchor.count
