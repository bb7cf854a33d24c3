"""A worker that dies on either side of the carrier: before a text or a call was handed over, or after it and before that was
written down."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable
from typing import Any

SHARE = 0.04  # of all sends, on each side


class DiedError(BaseException):
    """The process is gone; no handler of its own may catch this."""


class MortalCarrier:
    """*carrier*, in the hands of a process that may die. *sends* outlives it, so that a seed is the same deaths again."""

    def __init__(self, carrier: Any, seed: int, sends: Counter[str]) -> None:
        self._carrier, self._seed, self._sends = carrier, seed, sends

    def __getattr__(self, name: str) -> Any:
        return getattr(self._carrier, name)

    def text(self, to: str, body: str, effect_id: str) -> str:
        """As Carrier.text, or the end."""
        return self._hand_over(to, lambda: str(self._carrier.text(to, body, effect_id)))

    def call(self, to: str, effect_id: str) -> str:
        """As Carrier.call, or the end."""
        return self._hand_over(to, lambda: str(self._carrier.call(to, effect_id)))

    def _hand_over(self, to: str, send: Callable[[], str]) -> str:
        self._sends[to] += 1
        luck = random.Random(f"{self._seed} {to} {self._sends[to]}").random()  # noqa: S311  # a printed seed, no secret
        if luck < SHARE:
            raise DiedError
        sid = send()
        if luck > 1 - SHARE:
            raise DiedError
        return sid
