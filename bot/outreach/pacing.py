"""When each recipient is written to: at the sender's rate, slowly at first, only in open hours of the recipient. Pure."""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from bot.consent import Hours

QUARTER = 900.0


@dataclass(frozen=True, slots=True)
class Pace:
    """*rate*: segments a second that the sender may send. *first_hour*: recipients in the first hour, doubling with
    each hour of sending until *rate* is the limit; 0: at full rate from the start."""

    rate: float
    first_hour: int = 0

    def seconds_after(self, sent: int, segments: int) -> float:
        """The time between recipient number *sent* (from 0), whose text has *segments*, and the next."""
        full = segments / self.rate
        if not self.first_hour:
            return full
        doublings = (sent // self.first_hour + 1).bit_length() - 1
        return max(full, 3600.0 / self.first_hour * 0.5**doublings)


def times(
    zones: Sequence[int],
    segments: Sequence[int],
    hours: Mapping[int, Hours],
    pace: Pace,
    start: float,
    sent: int = 0,
) -> Iterator[tuple[int, float]]:
    """(index, epoch seconds) of every recipient, in the order of sending. *zones*: for each recipient the key of its
    *hours*; *sent*: how many went before. In the order given,
    except that whoever may not be written to yet lets others go first."""
    waiting_of: dict[int, deque[int]] = {}
    for index, zone in enumerate(zones):
        waiting_of.setdefault(zone, deque()).append(index)
    closed = [(hours[zone].next_open(start), zone) for zone in waiting_of]
    heapq.heapify(closed)
    ready: list[tuple[int, int, float]] = []  # (next recipient, zone, closes at)
    at = start
    while closed or ready:
        if not ready:
            at = max(at, closed[0][0])
        while closed and closed[0][0] <= at:
            _, zone = heapq.heappop(closed)
            heapq.heappush(ready, (waiting_of[zone][0], zone, _closes(hours[zone], at)))
        index, zone, closes = heapq.heappop(ready)
        if at >= closes:
            heapq.heappush(closed, (hours[zone].next_open(at), zone))
            continue
        waiting_of[zone].popleft()
        if waiting_of[zone]:
            heapq.heappush(ready, (waiting_of[zone][0], zone, closes))
        yield index, at
        at += pace.seconds_after(sent, segments[index])
        sent += 1


def _closes(hours: Hours, at: float) -> float:
    """The first quarter of an hour after *at* at which *hours* are closed, at most a day ahead."""
    end = (at // QUARTER + 1) * QUARTER
    while end < at + 86_400 and hours.open(end):
        end += QUARTER
    return end
