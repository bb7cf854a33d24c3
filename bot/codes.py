"""The carrier's error codes in staff words: what happened and what to do. The one table of them. Pure.

English here; the console has the Spanish in ``bot/console/words/es/codes.json``, and a test finds what is missing. Facts:
twilio.com/docs/api/errors. What the program itself does about a code is in carrier.py.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Code:
    """*says*: one sentence. *do*: what staff do now."""

    says: str
    do: str


_CALL = "Call the patient, or correct the number."
_LANDLINE = Code("The number is a landline, which takes no texts.", "Call instead; the program does not text it again.")
_ADMINISTRATOR = "An administrator corrects this at Twilio; then let sending go on."
_CREDENTIALS = Code("The carrier refuses our account or token.", _ADMINISTRATOR)
_SENDER = Code("The carrier refuses the number that we send from.", _ADMINISTRATOR)
_UNREGISTERED = Code("Our number is not registered for texts at the carriers.", _ADMINISTRATOR)
_COUNTRY = Code("Our account may not text this country.", "Call, or an administrator allows the country at Twilio.")
_OURS = Code("The text itself was refused.", "Call the patient, and tell a developer.")
_BUSY = Code("The carrier had too much to do, or a limit of the day is reached.", "Wait, or call if it cannot wait.")
_NUMBER = Code("This is not a number that takes texts.", _CALL)
_UNKNOWN = Code("The phone company gave no reason.", "Call the patient.")
_PUMPING = Code("The carrier held the text back as abuse or against its rules.", "Call, and tell an administrator.")

NO_CODE = Code("The carrier gave no code.", "Call the patient.")
OTHER = Code(
    "This code is not in our list.", "Call the patient; Twilio explains the code at twilio.com/docs/api/errors."
)

CODES: dict[int, Code] = {
    **dict.fromkeys((20003, 20005, 20404), _CREDENTIALS),
    **dict.fromkeys((20429, 21611, 30001, 30022, 30023, 30027), _BUSY),
    **dict.fromkeys((21211, 21604, 21635), _NUMBER),
    **dict.fromkeys((21212, 21603, 21606, 21659, 21660, 21703, 21704, 21705), _SENDER),
    **dict.fromkeys((13227, 21215, 21408), _COUNTRY),
    **dict.fromkeys((21602, 21617, 21619, 21620), _OURS),
    **dict.fromkeys((21614, 30006), _LANDLINE),
    **dict.fromkeys((30002, 30032, 30034, 30035), _UNREGISTERED),
    **dict.fromkeys((30008, 30410), _UNKNOWN),
    **dict.fromkeys((30450, 30640), _PUMPING),
    21608: Code("Our account is a trial or not approved, and may only text verified numbers.", _ADMINISTRATOR),
    21610: Code("The patient has opted out with STOP.", "Do not text; only START from their phone undoes it."),
    21612: Code("The carrier cannot reach this number from ours.", _CALL),
    30003: Code("The phone is off or out of reach.", "Call later today."),
    30004: Code("The phone or its company blocks our texts.", "Call the patient; texts will not arrive."),
    30005: Code("The number does not exist or is not in use any more.", "Ask for the right number."),
    30007: Code(
        "A phone company filtered the text as unwanted.", "Call, and tell an administrator if it happens again."
    ),
    30036: Code("The text could not be delivered while it still mattered.", "Call if it is still needed."),
    30039: Code("Two machines were texting each other.", "See whether a person uses this number before you write."),
    30610: Code("It was outside the hours in which the carrier delivers texts.", "Call in the day, or write tomorrow."),
}

LANDLINE = frozenset(code for code, one in CODES.items() if one is _LANDLINE)  # a call does arrive
UNREGISTERED = frozenset(
    code for code, one in CODES.items() if one is _UNREGISTERED
)  # for nobody until it is corrected

_IN_REASON = re.compile(r"\bcode (\d+)$")


def in_words(code: int, say: Callable[[str], str] = str) -> str:
    """*code* (0: none was given) as what happened and what to do, by *say* in the reader's language."""
    found = CODES.get(code, OTHER) if code else NO_CODE
    return f"{say(found.says)} {say(found.do)}" + (f" ({code})" if code else "")


def reason_in_words(why: str, say: Callable[[str], str] = str) -> str:
    """A reason as the log keeps it, by *say* in the reader's language: where it ends with a carrier's code, that in words;
    where it is ``cancelled: `` and a fact, both."""
    found = _IN_REASON.search(why)
    if found:
        return in_words(int(found[1]), say)
    head, sep, fact = why.partition(": ")
    return f"{say(head)}: {say(fact)}" if sep and head == "cancelled" else say(why)
