"""Which flows' mix of results has changed since their last version, from what is counted. For the dashboard and doctor."""

from __future__ import annotations

from bot.counts import weeks_until
from bot.figures import Figures
from bot.shift import Shift, pairs_of, shift_of
from bot.store.counted import Counted
from bot.store.published import Published
from bot.store.store import Store

WEEKS = 26
UNSETTLED = 2  # weeks at the end, this one too: a follow-up waits a week for its answer


def shifts_now(store: Store, now: float, zone: str) -> list[Shift]:
    """Every change that somebody should look at."""
    log = Published(store.client, store.cipher).log()
    pairs = {flow: pair for flow in (log[-1]["flows"] if log else ()) if (pair := pairs_of(log, flow))}
    if not pairs:
        return []
    weeks = weeks_until(now, zone, WEEKS)
    figures = Figures(weeks, Counted(store).weeks(weeks))
    settled = Figures(weeks[:-UNSETTLED], figures.counts[:-UNSETTLED])
    found = []
    for flow, (old, new) in pairs.items():
        every, whole = ((of.results(flow, version=old), of.results(flow, version=new)) for of in (figures, settled))
        if one := shift_of(flow, old, new, every, whole):
            found.append(one)
    return found
