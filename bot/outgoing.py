"""What a worker is to send for a due effect, and its bytes: decided once, kept as the answer of ``fx:<effect>``. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from bot.consent import Verdict
from bot.packed import pack, unpack


@dataclass(frozen=True, slots=True)
class Outgoing:
    """What a worker is to do now: send *body*, or place a *call*; neither: nothing, and *why*. *later*: not until then."""

    phone: str
    body: str | None
    why: str
    later: float | None = None
    call: bool = False


class NotYetError(Exception):
    """Not now but at verdict.later; nothing was decided, so nothing is committed."""

    def __init__(self, verdict: Verdict) -> None:
        super().__init__(verdict.why)
        self.verdict = verdict


def key_of(effect_id: str) -> str:
    """The key under which it is kept."""
    return f"fx:{effect_id}"


def to_bytes(out: Outgoing) -> bytes:
    return pack({"phone": out.phone, "body": out.body, "why": out.why, "call": out.call})


def from_bytes(raw: bytes) -> Outgoing:
    return Outgoing(**unpack(raw))
