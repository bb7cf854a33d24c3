"""A number of the dashboard under its name, and the counts that it adds up: so the list behind it can be found. Pure.

The same counts come of the patients' logs and of the journal, each with what it is of (bot/counts.py, bot/store/counted.py).
So a number and its list are one rule read twice.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields

from bot.counts import OF_LOGS, STAGES
from bot.figures import LEFT, LOST, STARTS, Figures, Ways, counts_for, ends_of
from bot.flow.load import Loaded

FINISHED = "finished"  # stands for every result of a walk that came to an end


@dataclass(frozen=True, slots=True)
class Number:
    """*what*: ``started``, ``ended``, a stage, one of ``Asked``, ``lost``, ``way``, ``cost`` or ``texts``; the rest narrows
    it, "" is any. *source* and *target*: of an arrow of the picture. *kind*: what costs. *code*: the carrier's.
    *phrase*: words that were not understood, by their mark (bot/unread.py), because no address holds words."""

    what: str
    flow: str = ""
    version: str = ""
    result: str = ""
    state: str = ""
    source: str = ""
    target: str = ""
    day: str = ""
    kind: str = ""
    code: str = ""
    phrase: str = ""

    @staticmethod
    def of(given: Mapping[str, str]) -> Number:
        """From an address."""
        return Number(**{one.name: given.get(one.name, "")[:80] for one in fields(Number)})

    @property
    def query(self) -> dict[str, str]:
        """For an address."""
        return {one.name: value for one in fields(self) if (value := getattr(self, one.name))}


Counts = list[Counter[str]]  # field -> how many, for each week
Rule = Callable[[Number, Figures, Loaded | None], Counts]


def adds_up(number: Number, figures: Figures, loaded: Loaded | None) -> Counts:
    """The counts that *number* is the sum of, for each of the figures' weeks. *loaded*: its flow, None when that is not
    live. Empty for a name that is none."""
    rule = _RULES.get(number.what)
    return rule(number, figures, loaded) if rule else [Counter() for _ in figures.weeks]


def in_logs(field: str) -> bool:
    """Whether a patient's log tells of it; else it is in the journal."""
    kind, *parts = field.split("|")
    return kind in "eos" or (kind == "$" and parts[1] in OF_LOGS)


def cost_of(field: str, many: int) -> int:
    """In millionths; 0 for what is no cost."""
    return many * int(field.rpartition("|")[2]) if field.startswith("$|") else 0


def _steps(number: Number, figures: Figures, loaded: Loaded | None) -> Counts:
    found: Counts = [Counter() for _ in figures.weeks]
    ends = ends_of(loaded) if loaded else {}
    for one in figures.steps:
        if one.flow != number.flow or number.version not in ("", one.version):
            continue
        wanted = LOST if number.what == "lost" else {number.what}
        if any(state == number.state and what in wanted for state, what in counts_for(one, ends)):
            found[one.week][one.field] += one.many
    return found


def _started(number: Number, figures: Figures, loaded: Loaded | None) -> Counts:
    found: Counts = [Counter() for _ in figures.weeks]
    for one in figures.steps:
        if one.flow == number.flow and one.source in STARTS:
            found[one.week][one.field] += one.many
    return found


def _along(number: Number, figures: Figures, loaded: Loaded | None) -> Counts:
    found: Counts = [Counter() for _ in figures.weeks]
    ways = Ways(loaded) if loaded else None
    for one in figures.steps:
        if ways and (number.source, number.target) in ways.of(one):
            found[one.week][one.field] += one.many
    return found


def _ended(number: Number, figures: Figures, loaded: Loaded | None) -> Counts:
    def takes(flow: str, version: str, result: str) -> bool:
        right = result not in LEFT if number.result == FINISHED else number.result in ("", result)
        return flow == number.flow and number.version in ("", version) and right

    return _those(figures, "o", takes)


def _staged(number: Number, figures: Figures, loaded: Loaded | None) -> Counts:
    return _those(figures, "s", lambda stage: stage == number.what)


def _costs(number: Number, figures: Figures, loaded: Loaded | None) -> Counts:
    return _those(figures, "$", lambda day, kind, price: day == number.day and number.kind in ("", kind))


def _texts(number: Number, figures: Figures, loaded: Loaded | None) -> Counts:
    return _those(figures, "m", lambda state, code: (state, code) == (number.state, number.code or "0"))


def _those(figures: Figures, kind: str, takes: Callable[..., bool]) -> Counts:
    return [
        Counter(
            {
                field: many
                for field, many in one.items()
                if field.startswith(f"{kind}|") and takes(*field.split("|")[1:])
            }
        )
        for one in figures.counts
    ]


_RULES: Mapping[str, Rule] = {
    "started": _started, "ended": _ended, "way": _along, "cost": _costs, "texts": _texts,
    **dict.fromkeys(STAGES, _staged),
    **dict.fromkeys(("reached", "replies", "unclear", "silent", "stopped", "person", "lost"), _steps),
}  # fmt: skip
