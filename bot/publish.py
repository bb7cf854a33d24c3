"""Publishing: from here on the flows, words and settings of this checkout decide, and every version is kept.

What went live is a log in the store. A version that lowers care against the one live before is refused unless somebody
answers for it by name. Open sessions stay on the version they began with, or move when that is proved harmless.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bot.catalog import FLOWS, load_flows, word_files
from bot.edition import Edition, kept_flow, kept_text, text_hash
from bot.flow.load import FlowError, Loaded
from bot.proof.outcomes import compare
from bot.proof.tree import TooManyAnswersError
from bot.proved import RefusedError
from bot.store.published import Published

ACCEPTED = FLOWS / "accepted.jsonl"
SANDBOX = "The sandbox runs it all the same. A clinic's server refuses it until somebody answers for it (bot publish)."
HOW = 'Whoever answers for it publishes it: python -m bot publish --accept NAME --reason "TEXT".'


@dataclass(frozen=True, slots=True)
class Answered:
    """Who answers for less care, and why."""

    name: str
    reason: str


def keep(published: Published, edition: Edition, flows: Mapping[str, Loaded], words: Mapping[str, str]) -> None:
    """Everything that *edition* names, and itself last: whoever finds the edition finds the rest."""
    texts = {loaded.hash: kept_text(loaded) for loaded in flows.values()}
    published.keep(texts | {text_hash(text): text for text in words.values()})
    published.keep({edition.mark: edition.to_json()})


def lowered(published: Published, live: Mapping[str, Any], flows: Mapping[str, Loaded]) -> list[tuple[str, str, str]]:
    """Each flow that gives less care than its *live* version: id, hash of that version, and a sentence."""
    found = []
    for name, before in sorted(live["flows"].items()):
        new = flows.get(name)
        if new is None:
            found.append((name, before, f"The flow {name!r} is gone."))
        elif new.hash != before and (sentence := _less(published.text(before), new)):
            found.append((name, before, sentence))
    return found


def publish(
    published: Published, edition: Edition, now: float, answered: Answered | None = None, *, anyway: str = ""
) -> list[str]:
    """Make *edition*, this checkout, the live one; sentences on what that changes, none when no flow does. Raises
    RefusedError. *anyway*: the name under which less care is let through (the sandbox)."""
    flows = load_flows()
    while True:
        log = published.log()
        live = log[-1] if log else None
        keep(published, edition, flows, word_files())
        if live and live["mark"] == edition.mark:
            return []
        less = lowered(published, live, flows) if live else []
        open_ones = [one for one in less if not _accepted(one[1], flows.get(one[0]))]
        if open_ones and not answered and not anyway:
            raise RefusedError("\n".join([*(sentence for _, _, sentence in open_ones), HOW]))
        sentences = [sentence for _, _, sentence in less]
        entry = {
            "mark": edition.mark, "flows": dict(edition.flows), "at": now, "lowers": sentences,
            "by": answered.name if answered else anyway, "reason": answered.reason if answered else "",
        }  # fmt: skip
        if published.append(entry, len(log)):
            return [*_news(live, edition), *sentences, *([SANDBOX] if open_ones and anyway else [])]


def _news(live: Mapping[str, Any] | None, edition: Edition) -> Iterable[str]:
    changed = [name for name, content in edition.flows.items() if live and live["flows"].get(name) != content]
    if changed:
        names = ", ".join(changed)
        yield f"Published: new versions of {names}. Open conversations stay on the version they began with."


def _less(before: str | None, new: Loaded) -> str:
    if before is None:
        return f"The live version of {new.flow.id!r} is not kept in this store, so nothing can be compared."
    try:
        found = compare(kept_flow(before, "live"), new)
    except (FlowError, TooManyAnswersError):
        return f"The live version of {new.flow.id!r} cannot be compared by this program."
    if not found.needs_acceptance:
        return ""
    alarms = "".join(f" {line}" for line in found.alarms)
    return (
        f"{new.file}: {found.lowered:,} of {found.total:,} sets of answers get less care than with the live version, "
        f"{found.leaving_emergency:,} leave emergency.{alarms}"
    )


def _accepted(before: str, new: Loaded | None, record: Path = ACCEPTED) -> bool:
    """Somebody has answered for this very step by ``python -m bot diff --accept``."""
    try:
        lines = [json.loads(line) for line in record.read_text("utf-8").splitlines() if line.strip()]
    except (OSError, ValueError):
        return False
    return new is not None and any((one.get("old"), one.get("new")) == (before, new.hash) for one in lines)
