"""Invariants of pairs of walks: worse answers never lower the outcome, channels agree, early exits change nothing. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import product
from math import prod

from bot.flow import model
from bot.flow.guard import UNCLEAR, Answer
from bot.flow.invariant import EveryPath, Monotone, Parity
from bot.flow.load import Loaded
from bot.proof.collapse import Collapse
from bot.proof.talk import Talk
from bot.proof.tree import Leaf, Tree, agree, joined

Found = tuple[str, list[str]]


def not_monotone(tree: Tree, rule: Monotone, talk: Talk) -> Found | None:
    """The first pair where a worse answer gives a lower outcome: a sentence and both conversations."""
    level = {name: at for at, name in enumerate(rule.order)}
    known = [leaf for leaf in tree.leaves if leaf.result in level]
    by_level: dict[int, list[Leaf]] = {}
    for leaf in known:
        by_level.setdefault(level[leaf.result], []).append(leaf)
    for high, low in product(sorted(by_level), repeat=2):
        if low >= high:
            continue
        for better, worse in product(by_level[high], by_level[low]):
            name = _worsened(better, worse, rule)
            if name:
                text = (
                    f"A worse answer to {name!r} lowers the outcome from {better.result!r} to {worse.result!r}. "
                    f"First walk: {name} = {better.answers.get(name)}; second: {name} = {worse.answers.get(name)}."
                )
                return text, [*better.talk(talk), "  --- and with the worse answer:", *worse.talk(talk)]
    return None


def _worsened(better: Leaf, worse: Leaf, rule: Monotone) -> str | None:
    if (better.channel, better.language) != (worse.channel, worse.language):
        return None
    for name, groups in rule.worse.items():
        if name not in better.answers or name not in worse.answers:
            continue
        first, second = better.answers[name], worse.answers[name]
        if not _is_worse(first, second, groups, doubt=name in rule.doubt):
            continue
        if agree(better.answers, worse.answers, name):
            both = {**worse.answers, **better.answers}
            if rule.unless is None or rule.unless.decide(both) is not True:
                return name
    return None


def _is_worse(first: Answer, second: Answer, groups: list[list[str | int]], *, doubt: bool) -> bool:
    place: dict[Answer, int] = {value: at for at, group in enumerate(groups) for value in group}
    if second == UNCLEAR:
        return doubt and place.get(first, len(groups)) < len(groups) - 1
    return first in place and second in place and place[second] > place[first]


def not_equal(tree: Tree, rule: Parity, talk: Talk) -> Found | None:
    """The first set of answers with two results on two channels (or in two languages)."""
    leaves = [joined(leaf, rule.joins, rule.apart_from) for leaf in tree.leaves]
    ways = sorted({(leaf.channel, leaf.language) for leaf in leaves})
    for way in ways[1:]:
        for one in leaves:
            if (one.channel, one.language) != ways[0]:
                continue
            for other in leaves:
                differ = (other.channel, other.language) == way and other.result != one.result
                if differ and agree(one.answers, other.answers):
                    text = f"The same answers give {one.result!r} ({ways[0][0]}) and {other.result!r} ({way[0]})."
                    return text, [*one.talk(talk), "  --- and on the other way:", *other.talk(talk)]
    return None


# -- decision tables -------------------------------------------------------------------------------------------------


MAX_ROWS = 50_000  # of one decision table; route in triage.json has some hundreds


def kinds(loaded: Loaded, collapse: Collapse, table: model.Decision) -> tuple[list[str], int]:
    """The answers that a table reads, and how many complete rows of them there are."""
    every = {node.name for rule in table.rules for node in rule.guard.walk() if node.name in loaded.flow.context}
    return sorted(every), prod(len(collapse.classes.groups[name]) for name in every)


def rows(loaded: Loaded, collapse: Collapse, table: model.Decision) -> Iterator[dict[str, Answer]]:
    """Every complete set of clear answers that the table can read, one for each group of values."""
    names, count = kinds(loaded, collapse, table)
    if count > MAX_ROWS:
        return  # shape.tables refuses such a table
    for values in product(*(collapse.classes.standing(name) for name in names)):
        yield dict(zip(names, values, strict=True))


def first_hit(table: model.Decision, row: Mapping[str, Answer]) -> int:
    """The place of the rule that a complete row hits, -1 for ``otherwise``."""
    return next((at for at, rule in enumerate(table.rules) if rule.guard.decide(row)), -1)


def early_exit_changes(loaded: Loaded, collapse: Collapse, table: model.Decision) -> dict[str, Answer] | None:
    """A complete row that, asked question by question, ends otherwise than the whole table says; None is a proof."""
    stores = []
    for name in table.asks:
        state = loaded.flow.states[name]
        if isinstance(state, model.Question):
            stores.append(state.store)
    for row in rows(loaded, collapse, table):
        known: dict[str, Answer] = {name: value for name, value in row.items() if name not in stores}
        while True:
            place, needs = _open_rule(table, known)
            missing = next((name for name in stores if name not in known), None)
            if not needs or missing is None:
                break
            known[missing] = row.get(missing, UNCLEAR)
        if place != first_hit(table, row):
            return row
    return None


def _open_rule(table: model.Decision, known: Mapping[str, Answer]) -> tuple[int, bool]:
    for at, rule in enumerate(table.rules):
        verdict = rule.guard.decide(known)
        if verdict or verdict is None:
            return at, verdict is None
    return -1, False


# -- limits of every walk --------------------------------------------------------------------------------------------


def over_limit(tree: Tree, rule: EveryPath, talk: Talk) -> Found | None:
    """The first walk that asks too many questions, or one question too often."""
    for leaf in tree.leaves:
        put = [
            step.session.state for heard, _, step in leaf.turns if not step.session.ended and not step.session.outcome
        ]
        asked = [name for name in put if name not in rule.apart_from]
        limit = rule.questions.get(leaf.channel)  # type: ignore[call-overload]
        if limit is not None and len(set(asked)) > limit:
            return f"{len(set(asked))} questions are asked by {leaf.channel}; at most {limit}.", leaf.talk(talk)
        for name in set(asked):
            if asked.count(name) > rule.asks:
                return f"{name!r} is put {asked.count(name)} times; at most {rule.asks}.", leaf.talk(talk)
    return None
