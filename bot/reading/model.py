"""What an input was understood as, and what the open question expects. Types only; no words, no logic."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Kind = Literal["answer", "command", "emergency", "opt_out", "opt_in", "info", "minor", "unclear", "silence"]
Channel = Literal["sms", "speech", "dtmf"]
Strictness = Literal["general", "red_flag", "consent"]
UNCLEAR = "unclear"


@dataclass(frozen=True, slots=True)
class Expects:
    """What the open question takes.

    *type*: ``yesno`` | ``scale0_10`` | ``choice``. *options*: choice ids in menu order, so that option i is digit i+1.
    *topics*: the symptom topics (SPEC B1) a red-flag question lists; any of them mentioned and not clearly negated is
    never "no".
    """

    type: Literal["yesno", "scale0_10", "choice"]
    strictness: Strictness = "general"
    options: tuple[str, ...] = ()
    topics: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Reading:
    """One input, understood.

    *kind* and *value*: answer -> ``yes``/``no``, an int 0..10, or an option id · command -> ``human`` ``help``
    ``restart`` ``back`` ``repeat`` ``language_en`` ``language_es`` ``schedule`` ``cancel_appt`` ``change_appt`` ``zip`` ·
    info -> ``pmr`` ``pt`` ``both`` ``visit`` · emergency -> ``emergency`` ``crisis`` ``urgent`` · opt_out -> None,
    ``wrong_number``, or ``human`` ("no more texts, call me") · opt_in / minor / silence / unclear -> None.
    *suggestions*: at most two nearest answers, only ever used to ask again. *why*: which layer and which words decided,
    in words a nurse can read. *mentions*: symptom topics that were mentioned but denied, past, or about someone else.
    """

    kind: Kind
    value: str | int | None = None
    why: str = ""
    suggestions: tuple[str | int, ...] = ()
    mentions: tuple[str, ...] = ()
