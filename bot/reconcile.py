"""A send whose answer was lost: was it sent? Found out before anything is sent again.

Evidence, best first: a callback, which carries the effect's id in its signed address; then the carrier's list, where a
text of ours to the same number, made since, with the same words, that belongs to no other effect, is the one. Nothing
found is believed only after SETTLE_SECONDS, and then it is sent again once; what stays unclear is a person's task.
Every such send is noted in the ledger with how it was settled, so a double is never undetected.
"""

from __future__ import annotations

from typing import Protocol

import structlog

from bot.carrier import CarrierError, Row
from bot.outgoing import Outgoing
from bot.sending import Gate
from bot.store.model import Begun
from bot.store.sends import Sends

log = structlog.get_logger("worker")
# Longer than any request of ours lives, plus a clock that jumps by two minutes while it is under way.
SETTLE_SECONDS = 180.0
GIVE_UP_SECONDS = 6 * 3600.0
SKEW_SECONDS = 300.0  # the carrier's clock is not ours


class Lister(Protocol):
    """The carrier's list of what it took from us."""

    def listed(self, to: str, *, calls: bool, since: float) -> list[Row]: ...


def reconcile(
    carrier: Lister, sends: Sends, gate: Gate, effect_id: str, out: Outgoing, begun: Begun, *, now: float, settle: float
) -> str:
    """``done``: it was sent. ``again``: it was not, send it. ``wait``: look again later. ``person``: a person must look."""
    how = "callback" if sends.known(effect_id) else _look(carrier, sends, gate, effect_id, out, begun, now, settle)
    if how != "wait":
        sends.settled(effect_id, how)
        log.warning("ambiguous_send", effect=effect_id, status=how)
    return "done" if how in ("callback", "found") else how


def _look(
    carrier: Lister, sends: Sends, gate: Gate, effect_id: str, out: Outgoing, begun: Begun, now: float, settle: float
) -> str:
    try:
        rows = carrier.listed(out.phone, calls=out.call, since=begun.marked - SKEW_SECONDS)
    except CarrierError as error:
        if error.kind == "configuration":
            gate.refused(error.code)
        return "person" if begun.age > GIVE_UP_SECONDS else "wait"
    free = [row for row in rows if sends.whose(row.sid, effect_id) in (None, effect_id)]
    same = [row for row in free if out.call or (row.body or "").strip().endswith((out.body or "").strip())]
    if same:
        sends.sent(effect_id, same[-1].sid, now)
        return "found"
    if begun.age < settle:
        return "wait"
    hidden = any(row.body is None for row in free) and not out.call
    return "person" if hidden or begun.again else "again"
