"""What is left open of the invariants once answers are fixed. Pure.

Two walks with the same left-over break the same invariants from here on, whatever their answers were.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping

from bot.flow import model
from bot.flow.guard import Answer, Guard
from bot.flow.invariant import Check, Condition
from bot.flow.load import BUILT_IN
from bot.proof.future import Ahead
from bot.proof.partial import Leaf, Tree, combined, decided, leaves, reduce_condition, reduce_guard, reduce_tree, turned


class Left:
    """The left-overs of one flow's invariants."""

    def __init__(self, flow: model.Flow) -> None:
        self.checks = [one.check for one in flow.invariants]
        self._open: dict[Ahead, _Open] = {}
        self._numbers: dict[Hashable, int] = {}

    def of(self, answers: Mapping[str, Answer], open_names: frozenset[str], ahead: Ahead) -> int:
        """A number: equal for equal left-overs. *open_names* may still be answered anew."""
        found = self._open.get(ahead)
        if found is None:
            every = [tree for check in self.checks for one in (False, True) for tree in _trees(check, ahead, one)]
            found = self._open[ahead] = _Open([tree for tree in every if not isinstance(tree, bool)], self._numbers)
        return found.of(answers, open_names)


class _Open:
    """What invariants leave open where only some outcomes can come, and what answers make of it (remembered)."""

    def __init__(self, trees: list[Tree], numbers: dict[Hashable, int]) -> None:
        self._numbers = numbers
        self.trees = trees
        guards = [leaf[1] for tree in trees for leaf in leaves(tree) if leaf[0] != "opaque"]
        self.names = sorted({node.name for guard in guards for node in guard.walk() if node.name})
        self._known: dict[Hashable, int] = {}
        # Trees that read the same names, together: most of them are the same for most answers.
        groups: dict[tuple[str, ...], list[Tree]] = {}
        for tree in trees:
            read = {node.name for leaf in leaves(tree) if leaf[0] != "opaque" for node in leaf[1].walk() if node.name}
            groups.setdefault(tuple(sorted(read)), []).append(tree)
        self._groups = [(names, same, dict[Hashable, Hashable]()) for names, same in groups.items()]

    def of(self, answers: Mapping[str, Answer], open_names: frozenset[str]) -> int:
        key = (open_names, tuple([answers.get(name) for name in self.names]))
        found = self._known.get(key)
        if found is None:
            found = self._known[key] = self._numbers.setdefault(self._left(answers, open_names), len(self._numbers))
        return found

    def _left(self, answers: Mapping[str, Answer], open_names: frozenset[str]) -> Hashable:
        def literal(guard: Guard, want: bool) -> Tree:
            if guard.name in open_names or guard.name in BUILT_IN:
                return "is", guard, want
            if guard.op != "answered" and guard.name not in answers:
                return False  # nobody will ever know
            return guard.decide(answers) is want

        def leaf(found: Leaf) -> Tree:
            if found[0] == "opaque":
                return found  # type: ignore[no-any-return]  # a leaf of _trees
            tree = decided(found[1], literal)
            return tree if isinstance(tree, bool) else (found[0], tree)

        found: list[Hashable] = []
        for names, trees, known in self._groups:
            key = tuple([(answers.get(name), name in open_names) for name in names])
            if key not in known:
                known[key] = tuple([reduce_tree(tree, leaf) for tree in trees])
            found.append(known[key])
        return tuple(found)


def _trees(check: Check, ahead: Ahead, afresh: bool) -> Iterator[Tree]:
    """*afresh*: of a turn that starts over, after which no answer is left, so nothing is known of the after."""

    def atom(guard: Guard) -> bool | None:
        if guard.name != "outcome":
            return None
        seen = {guard.decide({"outcome": one}) for one in ahead.outcomes}
        return seen.pop() if len(seen) == 1 else None

    def leaf(one: Condition) -> Tree:
        if one.from_ is not None and ahead.states.isdisjoint(one.from_):
            return False
        for wanted, found in ((one.to, ahead.states), (one.says or one.first, ahead.says), (one.does, ahead.does)):
            if wanted is not None and not afresh and found.isdisjoint(wanted):
                return False
        side, guard = ("was", one.was) if one.was is not None else ("guard", None if afresh else one.guard)
        if guard is None:
            return "opaque", id(one)
        left = reduce_guard(guard, atom)
        return left if isinstance(left, bool) else (side, left)

    def tree(one: Condition) -> Tree:
        return reduce_condition(one, leaf)

    if check.when is not None and check.then is not None:
        yield combined("any", [turned(tree(check.when)), tree(check.then)])
    for one in (check.after, check.never, check.always):
        if one is not None:
            yield tree(one)
