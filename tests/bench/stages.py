"""Where the microseconds of a whole text turn go: each stage timed inside real turns, Flask and WSGI as what is left.

The clock itself costs about a microsecond at each stage, so the sum is a little over what an untimed turn costs.
"""

from __future__ import annotations

import itertools
import statistics
import time
from collections import defaultdict
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from unittest.mock import patch

from flask import Flask

import bot.conversation
from bot.store.cipher import Cipher
from bot.store.wire import Wire
from bot.web import answers, limits, parameters, signature
from tests.bench import doors

STAGES: tuple[tuple[str, Any, str], ...] = (
    ("form", parameters, "parse"),
    ("signature", signature.Signatures, "fault_of_form"),
    ("limits", limits.Limits, "judge"),
    ("store, both trips", Wire, "ask"),
    ("seal", Cipher, "seal"),
    ("open", Cipher, "open"),
    ("record read", bot.conversation, "from_bytes"),
    ("reading, flow, texts, timers", bot.conversation, "take"),
    ("what is written", bot.conversation, "written"),
    ("TwiML", answers.Answers, "render"),
    ("all of ours", Flask, "dispatch_request"),
)


def stages(state_url: str, data_dir: Path, walks: int = 60) -> dict[str, float]:
    """Microseconds of CPU a turn, by stage."""
    spent: dict[str, float] = defaultdict(float)
    per_walk: list[dict[str, float]] = []
    source = doors.texts(70_000_000)
    with _timed(spent):
        app = doors.ours(state_url, data_dir)
        for walk in range(walks + 5):
            batch = list(itertools.islice(source, len(doors.WALK)))
            spent.clear()
            began = time.thread_time()
            for posted in batch:
                doors.call(app, posted)
            whole = time.thread_time() - began
            if walk >= 5:
                per_walk.append({**spent, "whole": whole})
    found = {
        name: round(statistics.median(one[name] for one in per_walk) / len(doors.WALK) * 1e6, 1)
        for name in [*(name for name, _, _ in STAGES), "whole"]
    }
    whole, ours = found.pop("whole"), found.pop("all of ours")
    rest = {"between the stages": ours - sum(found.values()), "Flask and WSGI": whole - ours, "whole": whole}
    return {**found, **{name: round(took, 1) for name, took in rest.items()}}


def _timed(spent: dict[str, float]) -> ExitStack:
    stack = ExitStack()
    for name, place, attribute in STAGES:
        stack.enter_context(patch.object(place, attribute, _timing(getattr(place, attribute), name, spent)))
    return stack


def _timing(act: Callable[..., Any], name: str, spent: dict[str, float]) -> Callable[..., Any]:
    def timed(*args: Any, **more: Any) -> Any:
        began = time.thread_time()
        try:
            return act(*args, **more)
        finally:
            spent[name] += time.thread_time() - began

    return timed
