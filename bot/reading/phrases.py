"""Phrases of the word files -> a matcher over words. Set-based, so no phrase and no input can make it backtrack.

In a phrase: ``(a|b c)`` alternatives, ``[a]`` may be missing, ``*`` up to three words of anything, ``word~`` any word that
begins so, ``##`` two or more digits. Every phrase of a tag is tried only where its first word stands.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

GAP = 3
Ends = frozenset[int]
_PIECE = re.compile(r"\(|\)|\[|\]|\||\*|[^\s()\[\]|*]+")


class PhraseError(ValueError):
    """A phrase that cannot be read; the message shows it."""


@dataclass(frozen=True, slots=True)
class Node:
    """``word`` (text), ``begins`` (text), ``digits`` (text = how they begin), ``gap``, ``seq`` and ``alt`` (parts),
    ``maybe`` (parts[0])."""

    kind: str
    text: str = ""
    parts: tuple[Node, ...] = ()

    def ends(self, words: Sequence[str], starts: Iterable[int]) -> set[int]:
        """Every position at which this node can end when it starts at one of *starts*."""
        if self.kind == "seq":
            at = set(starts)
            for part in self.parts:
                if not at:
                    return at
                at = part.ends(words, at)
            return at
        if self.kind == "alt":
            return set().union(*(part.ends(words, starts) for part in self.parts))
        if self.kind == "maybe":
            return {*starts, *self.parts[0].ends(words, starts)}
        if self.kind == "gap":
            return {end for start in starts for end in range(start, min(len(words), start + GAP) + 1)}
        return {start + 1 for start in starts if start < len(words) and self._fits(words[start])}

    def _fits(self, word: str) -> bool:
        if self.kind == "word":
            return word == self.text
        if self.kind == "begins":
            return word.startswith(self.text)
        return word.startswith(self.text) and word.isdecimal() and len(word) >= 2

    def firsts(self) -> Iterator[tuple[str, str]]:
        """What a match can begin with: (kind, text) of leaves; ("any", "") when with anything or nothing."""
        if self.kind == "seq":
            for part in self.parts:
                yield from (one for one in part.firsts() if one[0] != "nothing")
                if not any(one[0] == "nothing" for one in part.firsts()):
                    return
            yield "nothing", ""
        elif self.kind in ("alt", "maybe"):
            for part in self.parts:
                yield from part.firsts()
            if self.kind == "maybe":
                yield "nothing", ""
        elif self.kind == "gap":
            raise PhraseError("A phrase cannot begin with *.")
        else:
            yield self.kind, self.text


def parse_phrase(text: str) -> Node:
    """A phrase as a node. Raises PhraseError."""
    pieces = _PIECE.findall(text)
    node, at = _alternatives(pieces, 0, text)
    if at != len(pieces):
        raise PhraseError(f"The phrase {text!r} has a bracket that does not close.")
    return node


def _alternatives(pieces: list[str], at: int, text: str) -> tuple[Node, int]:
    options: list[Node] = []
    parts: list[Node] = []
    while at < len(pieces) and pieces[at] not in ")]":
        piece = pieces[at]
        if piece == "|":
            options.append(Node("seq", parts=tuple(parts)))
            parts = []
        elif piece in "([":
            inner, at = _alternatives(pieces, at + 1, text)
            if at >= len(pieces) or pieces[at] != (")" if piece == "(" else "]"):
                raise PhraseError(f"The phrase {text!r} has a bracket that does not close.")
            parts.append(inner if piece == "(" else Node("maybe", parts=(inner,)))
        else:
            parts.append(_leaf(piece))
        at += 1
    options.append(Node("seq", parts=tuple(parts)))
    return (options[0] if len(options) == 1 else Node("alt", parts=tuple(options))), at


def _leaf(piece: str) -> Node:
    if piece == "*":
        return Node("gap")
    if piece.endswith("##"):
        return Node("digits", piece[:-2])
    if piece.endswith("~"):
        return Node("begins", piece[:-1])
    return Node("word", piece)


class Matcher:
    """Many phrases, each with a tag."""

    def __init__(self, phrases: Iterable[tuple[str, str]]) -> None:
        self._by_word: dict[str, list[tuple[str, Node]]] = defaultdict(list)
        self._by_start: dict[str, list[tuple[str, str, Node]]] = defaultdict(list)
        self._digits: list[tuple[str, Node]] = []
        for tag, text in phrases:
            node = parse_phrase(text)
            for kind, first in set(node.firsts()):
                if kind == "word":
                    self._by_word[first].append((tag, node))
                elif kind == "begins":
                    self._by_start[first[:2]].append((first, tag, node))
                elif kind == "digits":
                    self._digits.append((tag, node))

    def find(self, words: Sequence[str]) -> list[tuple[str, int, int]]:
        """Every (tag, start, end), the longest for each tag and start."""
        found: dict[tuple[str, int], int] = {}
        for at, word in enumerate(words):
            for tag, node in self._candidates(word):
                ends = node.ends(words, (at,))
                if ends:
                    end = max(ends)
                    if end > at and end > found.get((tag, at), at):
                        found[tag, at] = end
        return [(tag, start, end) for (tag, start), end in found.items()]

    def _candidates(self, word: str) -> Iterator[tuple[str, Node]]:
        yield from self._by_word.get(word, ())
        for first, tag, node in self._by_start.get(word[:2], ()):
            if word.startswith(first):
                yield tag, node
        if word.isdecimal():
            yield from self._digits
