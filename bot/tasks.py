"""What a human must do: the closed list of task kinds, how urgent each is, and by when. No patient words here."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class TaskKind:
    """*urgency*: 0 is answered first. *minutes*: the call-back clock (SPEC D), None = end of the next work day."""

    urgency: int
    minutes: int | None
    says: str


TASKS: dict[str, TaskKind] = {
    "crisis": TaskKind(0, 15, "may be in crisis: call back now"),
    "emergency": TaskKind(0, 15, "reported an emergency sign and was told to call 911: call back"),
    "alarm_opted_out": TaskKind(0, 15, "wrote an emergency sign after STOP, so no text may answer: call"),
    "urgent": TaskKind(1, 60, "should be seen today"),
    "unclear_safety": TaskKind(1, 60, "a safety screen could not be answered: call today"),
    "person": TaskKind(2, None, "asked for a person"),
    "minor": TaskKind(2, None, "is under 18 or writes about a child"),
    "worse": TaskKind(2, None, "says it is getting worse"),
    "ambiguous_send": TaskKind(3, None, "a text may or may not have been sent: check before sending again"),
    "undelivered": TaskKind(3, None, "a text could not be delivered"),
    "landline": TaskKind(3, None, "has a landline, which takes no texts: call"),
    "fault": TaskKind(2, 240, "something planned could not be done: see python -m bot dead list"),
    "voicemail": TaskKind(2, None, "left a recorded message"),
    "not_reached": TaskKind(3, None, "could not be reached by phone and cannot be texted"),
    "new_signs": TaskKind(
        1, 60, "said yes, or nothing clear, to new warning signs in a check-in: see the answers, else call"
    ),
    "score": TaskKind(2, None, "reports strong pain, or clearly more trouble than before"),
    "wrong_number": TaskKind(3, None, "says that this is the wrong number: correct it"),
    "question": TaskKind(2, None, "has a question after the visit"),
    "booking_help": TaskKind(3, None, "needs help to set up a visit"),
    "no_reply": TaskKind(3, None, "did not answer the reminder of a visit"),
    "no_plan": TaskKind(3, None, "is not doing the home plan"),
    "not_sent": TaskKind(3, None, "a planned check-in could not be sent in its time: call"),
    "visit_change": TaskKind(3, None, "wants to change or give up a visit"),
    "visit_cancelled": TaskKind(
        3, None, "had a visit that is cancelled: see whether a new one is booked, else offer one"
    ),
    "outage": TaskKind(2, None, "wrote or called while the program was down: read it and call back"),
    "echo": TaskKind(3, None, "the same text came again and again: maybe another machine"),
    "alarm_abroad": TaskKind(0, 15, "wrote an emergency sign from a number that may not be texted: call"),
    "abroad": TaskKind(3, None, "wrote from a number of a country that is not texted; no text may answer"),
    "flood": TaskKind(1, 60, "wrote or called so often that not all of it was taken: look"),
    "not_read": TaskKind(3, None, "wrote or called while too many did, and got only the clinic's number: look"),
    "limit": TaskKind(
        1,
        60,
        "so many texts or calls come in that strangers get only the clinic's number, or nothing: is it abuse? Block it"
        " at Twilio",
    ),
    "alert_failed": TaskKind(
        2, 240, "an alert could not be told over a staff channel: check the ALERT_ and SMTP_URL settings"
    ),
    "wrote": TaskKind(2, None, "wrote to the person who has taken over: read it and answer"),
    "wrote_after_stop": TaskKind(4, None, "wrote after STOP; no text may answer"),
    "configuration": TaskKind(1, 60, "sending is stopped: the carrier refused our credentials or set-up"),
    "carrier_away": TaskKind(1, 60, "sending waits: the carrier fails again and again"),
    "spending": TaskKind(1, 60, "sending is stopped: today's spending limit is reached"),
    "unread_input": TaskKind(1, 60, "what a patient sent during an outage cannot be read: look at DATA_DIR/spool"),
}

# About the clinic itself and no patient; told to staff like a patient's (bot/alerts.py).
CLINICS = ("configuration", "carrier_away", "spending", "fault", "unread_input", "alert_failed", "limit")
