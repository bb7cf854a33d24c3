"""What becomes of a text that the carrier took, or refused, and that did not arrive: a STOP is kept, a landline is called,
what may arrive later is sent again, and the rest is a person's task. Pure; what the codes mean in words is codes.py.

A text that is sent again is a new effect of its own, tied to the first by ``of`` and counted by ``try``, so the ledger
knows of both. It is the patient's ``late`` text: their next word takes it back, and consent, hours, a claim and the
campaign's state are asked again when it is due, like of any other. After the last try a person gets the task.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from bot import plan
from bot.codes import LANDLINE, UNREGISTERED
from bot.record import Record
from bot.turn import Clinic, Heard, Later, Turn

OPTED_OUT = 21610
LATEST = 36 * 3600.0  # after the first report; whoever was not reached until then is called by a person
# Seconds before each further try (twilio.md C2). 30003: the phone is off. 30008, 30410: no reason was given. 30001, 30022:
# too many at once. 30610: outside the carrier's hours. Not registered: once a person has corrected it; sending waits for them.
RETRIES: Mapping[int, tuple[float, ...]] = {
    30003: (1800.0, 7200.0, 21_600.0),
    30008: (300.0,),
    30410: (300.0,),
    30001: (120.0, 600.0, 3600.0),
    30022: (120.0, 600.0, 3600.0),
    30610: (900.0,),
    **dict.fromkeys(UNREGISTERED, (900.0,)),
}
DAILY_CAP = frozenset({30023, 30027})  # ends at midnight in Pacific time
PACIFIC = ZoneInfo("America/Los_Angeles")
_KEPT = ("s", "safety", "by", "c", "sg", "t", "first", "needs")


@dataclass(frozen=True, slots=True)
class Lost:
    """The *effect* whose text it was, its *kind* and body (*told*), the carrier's *code*, and the *text* that was sent at
    *at*; None: it is not kept any more."""

    effect: str
    kind: str
    told: Mapping[str, Any]
    code: int
    text: str | None = None
    at: float = 0.0

    @property
    def root(self) -> str:
        """The first effect of this text."""
        return str(self.told.get("of", self.effect))


def settle(clinic: Clinic, patient: str, record: Record, lost: Lost, now: float) -> Turn:
    """Everything that is written about it; once for each effect is the caller's business."""
    event: dict[str, Any] = {
        "at": now,
        "in": "note",
        "why": f"carrier code {lost.code}",
        "tasks": [],
        "opted_out": False,
    }
    if lost.code == OPTED_OUT:
        dropped = tuple(record.planned.values())
        return _turn(record.but(opted_out=True, planned={}), event | {"opted_out": True}, dropped=dropped)
    if lost.code in LANDLINE:
        record = record.but(facts=record.facts | {"landline"})
        found = _call_instead(clinic, patient, record, lost, now)
        return _tied(*found, event) if found else _task(record, event, "landline")
    again = _again(clinic, patient, record, lost, now)
    return _tied(*again, event) if again else _task(record, event, "undelivered")


def due_again(code: int, tried: int, now: float, salt: str) -> float | None:
    """When a text that failed with *code* after *tried* further tries goes out again; None: not any more. Spread by
    *salt*, so that what failed together does not come again together."""
    spread = zlib.crc32(salt.encode()) % 1000 / 1000
    if code in DAILY_CAP:
        day = datetime.fromtimestamp(now, PACIFIC).date() + timedelta(days=1)
        return datetime.combine(day, time(), PACIFIC).timestamp() + 600 + 3600 * spread if tried < 1 else None
    waits = RETRIES.get(code, ())
    return now + waits[tried] * (1 + spread / 2) if tried < len(waits) else None


def _again(clinic: Clinic, patient: str, record: Record, lost: Lost, now: float) -> tuple[Record, Later] | None:
    kind, tried = lost.told.get("k", lost.kind), int(lost.told.get("try", 0))
    due = due_again(lost.code, tried, now, lost.effect)
    first = float(lost.told.get("first", now))
    if not lost.text or due is None or due - first > LATEST or _moved_on(record, lost):
        return None
    kept = {name: lost.told[name] for name in _KEPT if name in lost.told}
    needs = _needs(clinic, kind, lost)
    body = {
        "s": "",
        **kept,
        "first": first,
        "n": "late",
        "body": lost.text,
        "k": kind,
        "of": lost.root,
        "try": tried + 1,
    }
    later = Later(clinic.new_effect(patient), "text", due, body | ({"needs": needs} if needs else {}))
    if body.get("safety"):
        return record, later  # what the patient writes next takes no emergency's advice back
    return record.but(planned={**record.planned, f"late {lost.root}": later.id}), later


def _moved_on(record: Record, lost: Lost) -> bool:
    """Whoever has written since, stopped, or is a nurse's now: a person decides whether the text still matters."""
    if record.opted_out or (record.owner and "by" not in lost.told):
        return True
    asked_for = lost.told.get("n") == "text" or bool(lost.told.get("safety"))
    return record.last_at > lost.at + 1 and not asked_for


def _needs(clinic: Clinic, kind: str, lost: Lost) -> str | None:
    if "needs" in lost.told or kind == "outreach":
        return str(lost.told.get("needs", "outreach"))
    one = plan.declared(clinic, plan.due_effect(lost.effect, lost.told)) if kind == "follow_up" else None
    return one.needs if one else None


def _call_instead(clinic: Clinic, patient: str, record: Record, lost: Lost, now: float) -> tuple[Record, Later] | None:
    """The same follow-up or campaign by voice, for who agreed to calls. The text did not arrive, so it does not count."""
    kind, told = lost.told.get("k", lost.kind), lost.told
    needs = _needs(clinic, kind, lost)
    if "try" in told or needs is None or not record.consents_to(needs, "call") or _moved_on(record, lost):
        return None
    spared = record.but(sent=record.sent[:-1], unanswered=max(0, record.unanswered - 1))
    if kind == "outreach" and told.get("cf"):
        body = {**told, "v": "call"}
        return spared, Later(f"{lost.effect}c", "outreach", now, body)
    one = plan.declared(clinic, plan.due_effect(lost.effect, told)) if kind == "follow_up" else None
    if one is None or plan.channel_for(clinic, record, one) != "call":
        return None
    later = Later(clinic.new_effect(patient), "follow_up", now, dict(told))
    return spared.but(planned={**record.planned, str(told["n"]): later.id}), later


def _tied(record: Record, later: Later, event: dict[str, Any]) -> Turn:
    return _turn(record, event | {"again": later.id, "due": later.due}, later=(later,))


def _task(record: Record, event: dict[str, Any], kind: str) -> Turn:
    return replace(_turn(record, event | {"tasks": [kind]}), tasks=(kind,))


def _turn(record: Record, event: dict[str, Any], later: tuple[Later, ...] = (), dropped: tuple[str, ...] = ()) -> Turn:
    session = record.session
    heard = Heard("sms", session.language if session else "en", silent=True, session=session)
    return Turn(record, heard, later=later, dropped=dropped, event=event)
