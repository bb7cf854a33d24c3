"""In which order due effects are taken: what people wait for first, campaigns last, and no lane waits for ever.

``{bN}due`` holds what nobody has taken: its score is lane * LANE + when it is due. ``{bN}held`` holds what workers have in
hand, by when their lease ends; it is as small as their hands are, whatever waits. An effect stands in one of the two.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

LANE = 10_000_000_000  # seconds, the year 2286: a score of the last lane still tells microseconds
# Alerts to staff and answers that somebody waits for; then timers, follow-ups and our own housekeeping; then campaigns.
LANES = 3
_FIRST, _LAST = ("alert", "text"), ("outreach",)

Each = Callable[[Callable[[Any, str], Any]], list[Any]]  # Store.each

# Everything that is planned goes through this. *when* may be an argument as it came.
PLAN = f"""
local lanes = {{{", ".join([f"{kind}=0" for kind in _FIRST] + [f"{kind}=2" for kind in _LAST])}}}
local function plan(due, when, kind, id) redis.call('ZADD', due, tonumber(when) + (lanes[kind] or 1) * {LANE}, id) end
"""


def time_of(score: float) -> float:
    """When what stands in ``due`` under *score* is due; to the millisecond."""
    return round(score % LANE, 3)


def spans(now: float) -> Sequence[tuple[str, float | str, float]]:
    """(list, from, to) of everything that may be taken at *now*, in the order in which it is: each lane, and after the
    first what was held and not done."""
    first: list[tuple[str, float | str, float]] = [("due", "-inf", now), ("held", "-inf", now)]
    return first + [("due", lane * LANE, lane * LANE + now) for lane in range(1, LANES)]


def claim_args(now: float, till: float, limit: int) -> list[Any]:
    """What `scripts.CLAIM` is given. Of ten or more taken at once a tenth is kept for each span below, so that none waits
    for ever behind one that is never empty."""
    spans_ = [part for name, low, high in spans(now) for part in (1 if name == "due" else 2, low, high)]
    return [till, limit, limit // 10, *spans_]


def by_span(each: Each, now: float) -> list[list[int]]:
    """How much of each span may be taken at *now*, bucket by bucket. One round trip to each server."""
    parts = spans(now)
    counts = each(lambda pipe, tag: [pipe.zcount(f"{tag}{name}", low, high) for name, low, high in parts])
    return [counts[at : at + len(parts)] for at in range(0, len(counts), len(parts))]


def waiting(each: Each, now: float) -> list[int]:
    """How much may be taken at *now* in each bucket. One round trip to each server."""
    return list(map(sum, by_span(each, now)))


def oldest(each: Each, now: float = LANE - 1.0) -> float | None:
    """When the first of what may be taken at *now* was due; None when nothing is. One round trip to each server."""
    parts = spans(now)
    found = each(
        lambda pipe, tag: [
            pipe.zrange(f"{tag}{name}", low, high, byscore=True, offset=0, num=1, withscores=True)
            for name, low, high in parts
        ]
    )
    return min((time_of(pairs[0][1]) for pairs in found if pairs), default=None)
