"""Frozen values that change by copy. ``dataclasses.replace`` runs __init__ again: 7 us for a session, 0.9 us here."""

from __future__ import annotations

from typing import Any, Self


class Frozen:
    """Base of frozen dataclasses without slots."""

    def but(self, **changes: Any) -> Self:
        """The same value with some fields changed. Raises TypeError for a field it does not have."""
        mine, other = self.__dict__, object.__new__(type(self))
        fields = other.__dict__
        fields.update(mine)
        fields.update(changes)
        if len(fields) != len(mine):
            raise TypeError(f"There is no {sorted(changes.keys() - mine.keys())} in {type(self).__name__}.")
        return other
