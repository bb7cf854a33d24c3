"""Which flows' mix of results has changed since their last version, from what is counted. For the dashboard and doctor."""

from __future__ import annotations

from collections.abc import Mapping

from bot.counts import weeks_until
from bot.figures import Figures
from bot.shift import Shift, pairs_of, shift
from bot.store.counted import Counted
from bot.store.published import Published
from bot.store.store import Store

WEEKS = 26
SAYS = (
    "Flow {flow}: since version {new} it is {after} % {result} instead of {before} % ({walks} conversations against "
    "{old_walks} of version {old}). Chance alone would do that less than once in {odds}: look whether the change was "
    "meant (python -m bot diff, the flow's page), or whether other patients came."
)


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


def sentence_of(one: Shift) -> tuple[str, Mapping[str, object]]:
    """An English sentence with {places}, and what fills them."""
    odds = 1_000_000 if one.chance < 1e-6 else int(1 / one.chance)
    return SAYS, {
        "flow": one.flow, "old": one.old[:8], "new": one.new[:8], "result": one.result.replace("_", " "),
        "before": f"{100 * one.before:.1f}", "after": f"{100 * one.after:.1f}",
        "walks": f"{one.walks[1]:,}", "old_walks": f"{one.walks[0]:,}", "odds": f"{odds:,}",
    }  # fmt: skip
