"""A sentence for staff, said by a room that does not know their language: English with {places}, and what fills them. Pure.

Printed, it is the English sentence; the console looks its Spanish up. A test finds every sentence given to `told`.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Told:
    """*says* is the sentence, *fills* the values of its {places}; never a number or words of a patient."""

    says: str
    fills: tuple[tuple[str, object], ...] = ()

    def __str__(self) -> str:
        return self.says.format(**dict(self.fills)) if self.fills else self.says


def told(says: str, **fills: object) -> Told:
    """The sentence *says* with its places filled."""
    return Told(says, tuple(fills.items()))
