"""Conditions and guards worked out as far as something is known: True, False, or the tree of what still decides. Pure.

A tree is True, False, ("all", trees), ("any", trees), ("not", tree), or a leaf of the caller's own. Inside a guard the
three values stay three: what is undecided there is the caller's to take for false, at the leaf.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Iterator
from typing import Any

from bot.flow.guard import Guard
from bot.flow.invariant import Condition

Tree = Hashable
Leaf = Any


def combined(op: str, trees: Iterable[Tree]) -> Tree:
    """*trees* under "all" or "any"; those after one that settles it are not worked out."""
    settles = op == "any"
    left = []
    for tree in trees:
        if tree is settles:
            return settles
        if tree is not (not settles):
            left.append(tree)
    if len(left) == 1:
        return left[0]
    return (op, tuple(left)) if left else not settles


def turned(tree: Tree) -> Tree:
    """The two-valued opposite."""
    return (not tree) if isinstance(tree, bool) else ("not", tree)


def reduce_condition(one: Condition, leaf: Callable[[Condition], Tree]) -> Tree:
    """The tree of a condition; *leaf* says what becomes of each part that is not all, any or not."""
    if one.all is not None:
        return combined("all", (reduce_condition(part, leaf) for part in one.all))
    if one.any is not None:
        return combined("any", (reduce_condition(part, leaf) for part in one.any))
    if one.not_ is not None:
        return turned(reduce_condition(one.not_, leaf))
    return leaf(one)


def reduce_tree(tree: Tree, leaf: Callable[[Leaf], Tree]) -> Tree:
    """*tree* with each leaf replaced by what *leaf* says of it."""
    if tree is True or tree is False:
        return tree
    op = tree[0]  # type: ignore[index]  # a tuple: what is no bool is one
    if op == "all" or op == "any":
        return combined(op, (reduce_tree(part, leaf) for part in tree[1]))  # type: ignore[index]  # as above
    if op == "not":
        return turned(reduce_tree(tree[1], leaf))  # type: ignore[index]  # as above
    return leaf(tree)


def holds(tree: Tree, leaf: Callable[[Leaf], bool]) -> bool:
    """Whether *tree* is true when *leaf* decides each leaf."""
    if tree is True or tree is False:
        return tree is True
    op = tree[0]  # type: ignore[index]  # a tuple: what is no bool is one
    if op == "all" or op == "any":
        settles = op == "any"
        for part in tree[1]:  # type: ignore[index]  # as above
            if holds(part, leaf) is settles:
                return settles
        return not settles
    if op == "not":
        return not holds(tree[1], leaf)  # type: ignore[index]  # as above
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
        verdict = atom(guard)
        return guard if verdict is None else verdict
    if guard.op == "not":
        inner = reduce_guard(guard.parts[0], atom)
        return (not inner) if isinstance(inner, bool) else Guard("not", (inner,))
    settles = guard.op == "any"
    left: list[Guard] = []
    for part in guard.parts:
        found = reduce_guard(part, atom)
        if isinstance(found, bool) and found is settles:
            return found
        if isinstance(found, Guard):
            left.append(found)
    if len(left) == 1:
        return left[0]
    return Guard(guard.op, tuple(left)) if left else not settles


def decided(guard: Guard, literal: Callable[[Guard, bool], Tree], want: bool = True) -> Tree:
    """When *guard* is decided *want*, as a two-valued tree; *literal* says when an atom is."""
    if guard.name:
        return literal(guard, want)
    if guard.op == "not":
        return decided(guard.parts[0], literal, not want)
    op = "all" if (guard.op == "all") is want else "any"
    return combined(op, (decided(part, literal, want) for part in guard.parts))
