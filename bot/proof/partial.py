"""Conditions and guards worked out as far as something is known: True, False, or the tree of what still decides. Pure.

A tree is True, False, ("all", trees), ("any", trees), ("not", tree), or a leaf of the caller's own. Inside a guard the
three values stay three: what is undecided there is the caller's to take for false, at the leaf.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator
from typing import Any

from bot.flow.guard import Guard
from bot.flow.invariant import Condition

Tree = Hashable
Leaf = Any


def combined(op: str, trees: list[Tree]) -> Tree:
    """*trees* under "all" or "any"."""
    settles = op == "any"
    if any(tree is settles for tree in trees):
        return settles
    left = tuple(tree for tree in trees if tree is not (not settles))
    if len(left) == 1:
        return left[0]
    return (op, left) if left else not settles


def turned(tree: Tree) -> Tree:
    """The two-valued opposite."""
    return (not tree) if isinstance(tree, bool) else ("not", tree)


def reduce_condition(one: Condition, leaf: Callable[[Condition], Tree]) -> Tree:
    """The tree of a condition; *leaf* says what becomes of each part that is not all, any or not."""
    if one.all is not None:
        return combined("all", [reduce_condition(part, leaf) for part in one.all])
    if one.any is not None:
        return combined("any", [reduce_condition(part, leaf) for part in one.any])
    if one.not_ is not None:
        return turned(reduce_condition(one.not_, leaf))
    return leaf(one)


def reduce_tree(tree: Tree, leaf: Callable[[Leaf], Tree]) -> Tree:
    """*tree* with each leaf replaced by what *leaf* says of it."""
    if isinstance(tree, bool):
        return tree
    if isinstance(tree, tuple) and tree[0] in ("all", "any"):
        return combined(tree[0], [reduce_tree(part, leaf) for part in tree[1]])
    if isinstance(tree, tuple) and tree[0] == "not":
        return turned(reduce_tree(tree[1], leaf))
    return leaf(tree)


def leaves(tree: Tree) -> Iterator[Leaf]:
    """Every leaf of *tree*."""
    if isinstance(tree, bool):
        return
    if isinstance(tree, tuple) and tree[0] in ("all", "any"):
        for part in tree[1]:
            yield from leaves(part)
    elif isinstance(tree, tuple) and tree[0] == "not":
        yield from leaves(tree[1])
    else:
        yield tree


def reduce_guard(guard: Guard, atom: Callable[[Guard], bool | None]) -> bool | Guard:
    """*guard* with what *atom* decides worked out; an atom that stays None stays in it."""
    if guard.name:
        found = atom(guard)
        return guard if found is None else found
    parts = [reduce_guard(part, atom) for part in guard.parts]
    if guard.op == "not":
        return (not parts[0]) if isinstance(parts[0], bool) else Guard("not", (parts[0],))
    settles = guard.op == "any"
    if any(part is settles for part in parts):
        return settles
    left = tuple(part for part in parts if isinstance(part, Guard))
    if len(left) == 1:
        return left[0]
    return Guard(guard.op, left) if left else not settles
