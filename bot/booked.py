"""What a booking page told, kept: once for each message, for patients we know, in the order things happened.

Sends nothing; bot/visits.py says what a visit changes. Of somebody unknown or erased nothing is kept.
"""

from __future__ import annotations

from bot import visits
from bot.booking import Booking
from bot.conversation import Conversation
from bot.record import ERASED, Record, from_bytes
from bot.turn import Heard, Turn


def keep(conversation: Conversation, told: Booking) -> None:
    """Raises what the store raises when it is away, and BusyError; the page tries again then."""
    patient = _whose(conversation, told)
    if patient is None:
        return

    def decide(record: Record, now: float) -> tuple[Turn, bytes]:
        # Asked at every attempt of the commit, so that two messages at once are in order too.
        late = bool(told.unless) and conversation.store.load(patient, told.unless).answer is not None
        if late or _another(record, told):
            session = record.session
            heard = Heard("sms", session.language if session else "en", silent=True, session=session)
            return Turn(record, heard, event={"at": now, "in": "visit", "what": told.what, "why": "over"}), b"over"
        return visits.told(conversation.clinic, patient, record, told.what, told.at, now), b"told"

    conversation.staff_turn(patient, told.key, decide)


def _another(record: Record, told: Booking) -> bool:
    """Whether a visit ended that is not the one we know of: the one we know of still stands."""
    ended = told.what in ("cancelled", "missed")
    return ended and bool(told.at) and bool(record.visit_at) and record.visit_at != told.at


def _whose(conversation: Conversation, told: Booking) -> str | None:
    link = conversation.store.link(told.ref) if told.ref else None
    if link is None and not told.phone:
        return None
    patient = link.patient if link else conversation.patient_id(told.phone)
    kept = conversation.store.load(patient, told.key).record
    return patient if kept and ERASED not in from_bytes(kept).facts else None
