"""What came in while the store was away, and was answered with the static text: what is made of it afterwards.

Pure: record in, turn out; the web's shelter.py keeps what came in, conversation.py commits. The rules, and why:

- A text up to four hours old is the turn it would have been. Its answer is sent once, by a worker, because the patient
  would otherwise meet the next question without having seen it. Of several texts only the last answer is sent; an
  emergency's advice is never left out. After a quarter of an hour the answer waits for the quiet hours to end.
- STOP is obeyed and not answered: the carrier did, and a text after STOP is the one thing that must not happen.
- An older text, and every step of a call (the caller has hung up), changes nothing but opt-out, opt-in and emergencies:
  to go on with a walk behind the patient's back would read the next reply as an answer to an unseen question. The words
  are in the log and a person calls back.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from bot.consent import Hours
from bot.decide import take
from bot.record import Record
from bot.turn import Clinic, Heard, Input, Later, Turn

STALE_SECONDS = 4 * 3600  # as long as a text of ours may travel (carrier.py's validity period)
RECENT_SECONDS = 900
ALWAYS = frozenset({"emergency", "opt_out", "opt_in"})


def taken_up(
    clinic: Clinic, patient: str, record: Record, given: Input, now: float, *, came: float, hours: Hours
) -> Turn:
    """The turn of an input that came at *came* and was answered statically."""
    found = take(clinic, patient, record, replace(given, step=None, event="said"), now)
    kind = found.heard.reading.kind
    found = replace(found, event={**found.event, "came": came})
    if kind not in ALWAYS and (given.door == "voice" or now - came > STALE_SECONDS):
        said = given.said if given.digits is None else given.digits
        event = {"at": now, "in": "outage", "door": given.door, "said": said, "came": came}
        return _quiet(record, event, ("outage",))
    if given.door == "voice":
        return found
    return _answer_late(clinic, patient, found, found.heard.text, now, came, hours)


def unheard(clinic: Clinic, patient: str, record: Record, text: str, now: float, *, came: float, hours: Hours) -> Turn:
    """The turn had happened and only its answer *text* did not get through: send that."""
    made = _quiet(record, {"at": now, "in": "unheard", "came": came}, ())
    return _answer_late(clinic, patient, made, text, now, came, hours)


def _answer_late(
    clinic: Clinic, patient: str, found: Turn, text: str | None, now: float, came: float, hours: Hours
) -> Turn:
    record, alarm = found.record, found.heard.reading.kind == "emergency"
    if not text or record.opted_out or record.owner:
        return found
    due = now if alarm or now - came <= RECENT_SECONDS else hours.next_open(now)
    body: dict[str, Any] = {
        "s": record.session.id if record.session else "",
        "n": "late",
        "body": text,
        "safety": alarm,
    }
    later = Later(clinic.new_effect(patient), "text", due, body)
    dropped = found.dropped
    planned = dict(record.planned)
    if "late" in planned:
        dropped = (*dropped, planned.pop("late"))
    if not alarm:
        planned["late"] = later.id
    return replace(found, record=replace(record, planned=planned), later=(*found.later, later), dropped=dropped)


def _quiet(record: Record, event: dict[str, Any], tasks: tuple[str, ...]) -> Turn:
    session = record.session
    heard = Heard("sms", session.language if session else "en", silent=True, session=session)
    return Turn(record, heard, tasks=tasks, event=event)
