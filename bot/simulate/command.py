"""``python -m bot simulate``: seeded patients against the running program; counts, and the transcript of every failure."""

from __future__ import annotations

import logging
import random
import sys
import tempfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import click
import structlog

from bot.simulate.person import Person
from bot.simulate.personas import PERSONAS, Acts, life, picked_up
from bot.simulate.promises import Promises
from bot.simulate.town import Change, Mode, Town, opened

AREAS = ("713", "281", "832", "210", "214", "312", "404", "512", "305", "212", "415", "206", "303", "602", "504")
EACH = 80  # numbers of an area that are kept free for stories, 555-0120 to 555-0199
MOST = len(AREAS) * EACH
MODES: tuple[Mode, ...] = ("twilio", "advanced", "app")
Say = Callable[[str], None]


@click.command("simulate")
@click.option("--patients", type=click.IntRange(1, MOST), default=100, show_default=True, help="How many.")
@click.option("--seed", type=int, default=None, help="The same seed: the same people in the same weather.")
@click.option("--language", type=click.Choice(["en", "es", "both"]), default="both", show_default=True)
@click.option("--days", type=click.IntRange(0, 120), default=21, show_default=True, help="How long they live on.")
def simulate_command(patients: int, seed: int | None, language: str, days: int) -> None:
    """Let simulated patients loose on the running program, on a clock of its own; nothing leaves this machine. 0: every
    promise held. 1: not, with the transcript."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    chosen = seed if seed is not None else random.SystemRandom().randrange(1_000_000)
    sys.exit(simulate(patients, chosen, language, click.echo, days=days))


def simulate(
    patients: int, seed: int, language: str, out: Say, *, days: int = 21, change: Change = lambda app: app
) -> int:
    """*patients* people, 1 to MOST; *language*: ``en``, ``es`` or ``both``. The command's exit status."""
    mode = MODES[seed % len(MODES)]
    out(f"{patients:,} patients, seed {seed}, language {language}, OPT_OUT_MODE {mode}, {days} days")
    with tempfile.TemporaryDirectory(prefix="town-") as folder, opened(Path(folder), seed, mode, change) as town:
        people = _move_in(town, patients, seed, language, days)
        at = {who.phone: who for who in people}
        town.rings = lambda call: _go_on(town, picked_up(at[call.to], call), at[call.to].random.uniform(2, 20))
        town.live()
        return _report(town, people, seed, out)


def _move_in(town: Town, patients: int, seed: int, language: str, days: int) -> list[Person]:
    chance = random.Random(seed)  # noqa: S311  # a seed that is printed, no secret
    people = []
    for number in range(patients):
        speaks = chance.choice(("en", "es")) if language == "both" else language
        phone = f"+1{AREAS[number // EACH]}5550{120 + number % EACH}"
        persona = list(PERSONAS)[number % len(PERSONAS)]
        who = Person(town, phone, persona, speaks, random.Random(f"{seed} {number}"))  # noqa: S311  # as above
        people.append(who)
        _go_on(town, life(who, days), chance.uniform(0, 6 * 3600))
    return people


def _go_on(town: Town, acts: Acts, seconds: float) -> None:
    """The next act in *seconds*, and so on until the last."""

    def act() -> None:
        wait = next(acts, None)
        if wait is not None:
            _go_on(town, acts, wait)

    town.later(seconds, act)


def _report(town: Town, people: list[Person], seed: int, out: Say) -> int:
    promises = Promises(town)
    broken = {who.phone: promises.broken_for(who) for who in people}
    for name in PERSONAS:
        of_it = [who for who in people if who.persona == name]
        if of_it:
            outcomes = Counter(one for who in of_it for one in (who.outcomes or {"none"}))
            told = ", ".join(f"{outcome} {count}" for outcome, count in sorted(outcomes.items()))
            failed = sum(bool(broken[who.phone]) for who in of_it)
            out(f"  {name:24}{len(of_it):5,}   outcomes: {told}" + (f"   FAILED {failed}" if failed else ""))
    town.weather.fates |= Counter({"calls placed": sum(call.direction != "inbound" for call in town.sandbox.calls.values()),
                                   "taken over": sum(len(who.nurse.spans) for who in people)})  # fmt: skip
    fates = ", ".join(f"{name} {count:,}" for name, count in sorted(town.weather.fates.items()))
    out(f"{len(town.weather.deliveries):,} webhooks delivered ({fates}); {len(town.store.tasks()):,} tasks")
    general = promises.of_everybody()
    for breach in general:
        out(f"BROKEN: {breach}")
    failed_people = [who for who in people if broken[who.phone]]
    for who in failed_people:
        out(f"\nBROKEN for {who.persona} ({who.language}), seed {seed}:")
        for breach in broken[who.phone]:
            out(f"  - {breach}")
        out(who.transcript())
    if general or failed_people:
        out(f"\n{len(failed_people):,} of {len(people):,} patients met a broken promise. Again: --seed {seed}")
        return 1
    out("Every promise held.")
    return 0
