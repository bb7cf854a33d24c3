"""Phrases of the word files -> a matcher over words. An automaton, so no phrase and no input can make it backtrack.

In a phrase: ``(a|b c)`` alternatives, ``[a]`` may be missing, ``*`` up to three words of anything, ``word~`` any word that
begins so, ``##`` two or more digits.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from sys import intern

GAP = 3
STATES, WORDS = (
    5_000,
    5_000,
)  # kept at most: states of the automaton (3,700 replies of the corpus make 3,500), and words per state
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


def parse_phrase(text: str) -> Node:
    """A phrase as a node. Raises PhraseError."""
    pieces = [intern(piece) for piece in _PIECE.findall(text)]
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
    """Many phrases, each with a tag, as one automaton over words whose states are made when they are first reached.

    From every word one walk starts; a walk ends where no phrase can go on. So an input of n words costs n times the
    longest phrase at most, whatever it says (before: 0.5 ms for "no", 127 ms for 1,600 bad characters; now 3 us, 1 ms).
    """

    def __init__(self, phrases: Iterable[tuple[str, str]]) -> None:
        self._net = _Net()
        first: set[int] = set()
        for tag, text in phrases:
            node = parse_phrase(text)
            entry = self._net.build(node, (self._net.leaf("accept", tag, ()),))
            if any(self._net.kinds[one] == "gap" for one in entry):
                raise PhraseError(f"The phrase {text!r} begins with *.")
            first.update(entry)
        self._net.close()
        self._net.first = self._start = self._net.state(_union(first))

    def find(self, words: Sequence[str]) -> list[tuple[str, int, int]]:
        """Every (tag, start, end), the longest for each tag and start."""
        found: dict[tuple[str, int], int] = {}
        many, step, start = len(words), self._net.step, self._start
        for at in range(many):
            state, end = step(start, words[at]), at + 1
            while state is not None:
                for tag in state.tags:
                    found[tag, at] = end
                if end == many:
                    break
                state, end = step(state, words[end]), end + 1
        return [(tag, begin, end) for (tag, begin), end in found.items()]


Places = tuple[int, ...]  # in order, each once; a set of one takes 216 bytes, and there are ten thousand


def _union(*many: Iterable[int]) -> Places:
    return tuple(sorted(set().union(*many)))


class _State:
    """A set of places in phrases. *words*, *begins* (by their first two letters), *digits*, *gap*: what leads where;
    *go*: where words led so far."""

    __slots__ = ("begins", "digits", "gap", "go", "plain", "tags", "words")

    def __init__(self) -> None:
        self.tags: tuple[str, ...] = ()
        self.words: dict[str, Places] = {}
        self.begins: dict[str, list[tuple[str, Places]]] = {}
        self.digits: tuple[tuple[str, Places], ...] = ()
        self.gap: Places = ()
        self.plain = True
        self.go: dict[str, _State] = {}


class _Net:
    """Places in phrases, and the states of places reached so far. Equal tails of phrases are one."""

    def __init__(self) -> None:
        self.kinds: list[str] = []
        self.texts: list[str] = []
        self.nexts: list[Places] = []
        self._known: dict[tuple[str, str, Places], int] = {}
        self._states: dict[Places, _State] = {}
        self.first = _State()

    def leaf(self, kind: str, text: str, after: Places) -> int:
        key = (kind, text, after)
        if key not in self._known:
            self._known[key] = len(self.kinds)
            self.kinds.append(kind)
            self.texts.append(text)
            self.nexts.append(after)
        return self._known[key]

    def build(self, node: Node, after: Places) -> Places:
        """Where *node* begins when *after* follows it."""
        if node.kind == "seq":
            for part in reversed(node.parts):
                after = self.build(part, after)
            return after
        if node.kind == "alt":
            return _union(*(self.build(part, after) for part in node.parts))
        if node.kind == "maybe":
            return _union(after, self.build(node.parts[0], after))
        if node.kind == "gap":
            inside = after
            for _ in range(GAP):
                inside = _union(after, (self.leaf("gap", "", inside),))
            return inside
        return (self.leaf(node.kind, node.text, after),)

    def close(self) -> None:
        """Every phrase is built: what only finds equal tails is not kept."""
        self._known.clear()

    def state(self, places: Places) -> _State:
        found = self._states.get(places)
        if found is None:
            if len(self._states) >= STATES:
                # Odd input must not fill memory; what is needed is made again.
                for state in (self.first, *self._states.values()):
                    state.go.clear()
                self._states.clear()
            found = self._states[places] = self._made(places)
        return found

    def _made(self, places: Places) -> _State:
        state, words = _State(), dict[str, Places]()
        tags, gap = [], set[int]()
        for place in places:
            kind, text, after = self.kinds[place], self.texts[place], self.nexts[place]
            if kind == "word":
                # Most words lead one way: those places are shared, not copied.
                words[text] = _union(words[text], after) if text in words else after
            elif kind == "accept":
                tags.append(text)
            elif kind == "begins":
                state.begins.setdefault(text[:2], []).append((text, after))
            elif kind == "digits":
                state.digits = (*state.digits, (text, after))
            else:
                gap.update(after)
        state.tags, state.gap, state.words = tuple(dict.fromkeys(tags)), _union(gap), words
        state.plain = not (state.begins or state.digits or gap)
        return state

    def step(self, state: _State, word: str) -> _State | None:
        """Where *word* leads, or None."""
        to = state.go.get(word)
        if to is not None or (state.plain and word not in state.words):
            return to
        places = {*state.words.get(word, ()), *state.gap}
        for text, after in state.begins.get(word[:2], ()):
            if word.startswith(text):
                places.update(after)
        if word.isdecimal() and len(word) >= 2:
            for text, after in state.digits:
                if word.startswith(text):
                    places.update(after)
        if not places:
            return None
        to = self.state(_union(places))
        if len(state.go) < WORDS:
            state.go[word] = to
        return to
