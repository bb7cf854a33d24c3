"""Which flows' mix of results has changed since their last version, from what is counted. For the dashboard and doctor."""

from __future__ import annotations

from bot.counts import weeks_until
from bot.figures import Figures
from bot.shift import Shift, pairs_of, shift
from bot.store.counted import Counted
from bot.store.published import Published
from bot.store.store import Store

WEEKS = 26


def shifts_now(store: Store, now: float, zone: str) -> list[Shift]:
    """Every change that somebody should look at."""
    log = Published(store.client, store.cipher).log()
    pairs = {flow: pair for flow in (log[-1]["flows"] if log else ()) if (pair := pairs_of(log, flow))}
    if not pairs:
        return []
    weeks = weeks_until(now, zone, WEEKS)
    figures = Figures(weeks, Counted(store).weeks(weeks))
    found = []
    for flow, (old, new) in pairs.items():
        before, after = (figures.results(flow, version=version) for version in (old, new))
        if one := shift(flow, old, new, before, after):
            found.append(one)
    return found
