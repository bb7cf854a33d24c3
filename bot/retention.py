"""How long what is kept of a patient, and of who did what, stays; enforced every night by one due effect per bucket.

The effect lives in the ledger like a text that is due: any number of workers do it once, and what dies half-way goes on
where it was. A few patients at a time, so that a text never waits for it. Longer than asked is never wrong here, shorter
is: whoever waits for a person, or stands in the middle of a conversation, keeps everything.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass

import structlog

from bot.record import BARE_SECONDS, Record, bare_of, from_bytes, to_bytes
from bot.store.anchors import ANCHORED, Anchor
from bot.store.audit import Audit, Entry
from bot.store.files import begin_rewrite
from bot.store.retain import Kept, Retained
from bot.store.shorten import MOST_KEPT
from bot.store.store import Store

DAY = 86_400.0
NIGHT = 9 * 3600.0  # 09:00 UTC: between 1 and 5 in the morning in all of the mainland
PATIENTS = 50  # at a time
OVERLAP = 6 * 3600.0  # a sweep takes no longer
log = structlog.get_logger("worker")


@dataclass(frozen=True, slots=True)
class Keep:
    """In days. *session*: answers and place in a conversation, after the last turn. *log*: what was written and said,
    after it was. *record*: all of a patient, after the last turn. *audit*: who did and saw what."""

    session: int
    log: int
    record: int
    audit: int


def next_night(now: float) -> float:
    """The first night's moment after *now*."""
    return math.floor((now - NIGHT) / DAY + 1) * DAY + NIGHT


class Retention:
    """Of one deployment."""

    def __init__(self, store: Store, audit: Audit, keep: Keep) -> None:
        self.store, self.audit, self.keep = store, audit, keep

    def plant(self, now: float) -> None:
        """Every bucket has its effect; any number of workers may say so at their start."""
        for bucket in range(self.store.buckets):
            Retained(self.store, bucket).plant(next_night(now))

    def sweep(self, effect: str, now: float) -> float:
        """A few patients of the bucket whose effect this is; when to go on."""
        bucket = int(effect.partition("-")[0], 16)
        kept = Retained(self.store, bucket)
        place = kept.place()
        seen, some = kept.some(place, PATIENTS)
        self._anchor(kept, bucket, some, now)
        gone = sum(self._aged(kept, one, now) for one in some)
        kept.go_on_from(place + seen - gone if seen == PATIENTS else 0)
        if seen == PATIENTS:
            return now
        kept.anchored_until(now - OVERLAP)
        if bucket == 0:
            self.audit.cut(now - self.keep.audit * DAY)
            if not begin_rewrite(self.store.client):
                log.error("retention", reason="a server refused to rewrite its files")
        return next_night(now)

    def _anchor(self, kept: Retained, bucket: int, some: list[Kept], now: float) -> None:
        """Where each log that has grown since the last night ends, in the trail: whoever can write to the store can put an
        older record and an older log in place of both, and then only this shows it."""
        since = kept.anchored()
        heads = [Anchor(one.patient, one.ever, one.head) for one in some if one.last > since and one.head]
        if heads:
            self.audit.append(Entry(now, "program", ANCHORED, f"bucket {bucket}", " ".join(map(str, heads))))

    def _aged(self, kept: Retained, one: Kept, now: float) -> bool:
        """What is too old of one patient goes; True when that was all of them."""
        idle, before = now - one.last, now - self.keep.log * DAY
        if idle <= self.keep.session * DAY and one.entries <= MOST_KEPT and not _before(one.first, before):
            return False
        record = from_bytes(one.record)
        waits = one.tasks == "open" or record.owner is not None or self._planned(record)
        if idle > self.keep.record * DAY and not waits and one.tasks == "none":
            return kept.remove(one, bare_of(record, one.last), 0 if record.opted_out else BARE_SECONDS)
        waits = waits or (record.session is not None and not record.session.ended)
        if one.entries > MOST_KEPT or (not waits and _before(one.first, before)):
            kept.cut_log(one.patient, lambda event: not waits and _before(event, before), MOST_KEPT)
        if idle > self.keep.session * DAY and not waits and _has_words(record):
            kept.replace(one, to_bytes(record.but(session=None, echoes=())))
        return False

    def _planned(self, record: Record) -> bool:
        """Something is still to be sent; what is done may still be named in the record."""
        return any(self.store.effect(one) is not None for one in record.planned.values())


def _has_words(record: Record) -> bool:
    return record.session is not None or bool(record.echoes)


def _before(event: bytes, before: float) -> bool:
    """The event is older; what does not say when it was stays."""
    return bool(event and json.loads(event).get("at", math.inf) < before)
