"""What a booking page told, kept: once for each message, for patients we know, in the order things happened.

Sends nothing; bot/visits.py says what a visit changes. Of somebody unknown or erased nothing is kept.
"""

from __future__ import annotations

from bot import visits
from bot.booking import A_TIME, Booking
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
        # What its end was answered with: ``told`` when staff heard of it then, also of the end of a visit it was moved to.
        ended = conversation.store.load(patient, told.unless).answer if told.unless else None
        over = ended is not None
        if over and told.before and _names(record, told.before):
            # The visit that it was moved to has ended meanwhile, and the one that we know of ended by the move.
            turn = visits.told(conversation.clinic, patient, record, "cancelled", 0.0, now)
            return _without_task(turn) if ended == b"told" else turn, b"told"
        if over or _older(record, told) or _another(record, told):
            session = record.session
            heard = Heard("sms", session.language if session else "en", silent=True, session=session)
            return Turn(
                record, heard, event={"at": now, "in": "visit", "what": told.what, "why": "over"}
            ), ended or b"over"
        turn = visits.told(conversation.clinic, patient, record, told.what, told.at, now)
        return turn.but(record=turn.record.but(visit_mark=(told.visit, told.order))), b"told"

    conversation.staff_turn(patient, told.key, decide)


def _without_task(turn: Turn) -> Turn:
    """Staff were told when that visit ended."""
    event = {name: value for name, value in turn.event.items() if name != "tasks"}
    return turn.but(tasks=(), event=event)


def _names(record: Record, visit: str) -> bool:
    return record.visit_mark is not None and record.visit_mark[0] == visit


def _older(record: Record, told: Booking) -> bool:
    """Whether we know a newer word on the same visit, or of a newer visit that stands."""
    known = record.visit_mark[1] if record.visit_mark is not None else 0.0
    stands = "booked" in record.facts and told.what in ("booked", "moved") and told.order >= A_TIME
    return told.order < known and (stands or _names(record, told.visit))


def _another(record: Record, told: Booking) -> bool:
    """Whether a visit ended that is not the one we know of: the one we know of still stands."""
    if told.what not in ("cancelled", "missed") or _names(record, told.visit):
        return False
    if record.visit_mark is not None and "booked" in record.facts:
        return True
    return bool(told.at) and bool(record.visit_at) and record.visit_at != told.at


def _whose(conversation: Conversation, told: Booking) -> str | None:
    link = conversation.store.link(told.ref) if told.ref else None
    if link is None and not told.phone:
        return None
    patient = link.patient if link else conversation.patient_id(told.phone)
    kept = conversation.store.load(patient, told.key).record
    return patient if kept and ERASED not in from_bytes(kept).facts else None
