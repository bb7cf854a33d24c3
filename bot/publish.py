"""Publishing: from here on the flows, words and settings of this checkout decide, and every version is kept.

What went live is a log in the store. A version that lowers care against the one live before is refused unless somebody
answers for it by name. Open sessions stay on the version they began with, or move when that is proved harmless.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from bot.catalog import FLOWS, load_flows, word_files
from bot.edition import Edition, kept_flow, kept_text, text_hash
from bot.flow.load import FlowError, Loaded
from bot.proof.command import labelled_replies
from bot.proof.difference import compare, tell
from bot.proof.explore import TooManyError
from bot.proof.reading_changes import word_changes
from bot.proof.tree import TooManyAnswersError
from bot.proved import RefusedError
from bot.reading.words import words_hash
from bot.store.published import Published

ACCEPTED = FLOWS / "accepted.jsonl"
SANDBOX = "The sandbox runs it all the same. A clinic's server refuses it until somebody answers for it (bot publish)."
HOW = (
    "What changes, with conversations: python -m bot publish --dry. Whoever answers for it publishes it: "
    'python -m bot publish --accept NAME --reason "TEXT".'
)
SHOWN = 12  # losses of one flow in a refusal


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


@dataclass(frozen=True, slots=True)
class Compared:
    """One flow, or the words of replies, against what is live. *old*, *new*: hashes. *losses*: what somebody must answer
    for; *head* counts them. *lines*: everything that changed, with a conversation of each loss."""

    name: str
    old: str
    new: str
    losses: list[str]
    lines: list[str]
    head: str = ""

    def refusal(self) -> list[str]:
        """The losses in sentences, the first of many."""
        more = len(self.losses) - SHOWN
        shown = [self.head, *self.losses[:SHOWN]] if self.head and self.losses else self.losses[:SHOWN]
        return [f"{self.name}: {one}" for one in shown] + [f"... and {more} more."] * (more > 0)


def compared(
    published: Published, live: Mapping[str, Any], flows: Mapping[str, Loaded], words: Mapping[str, str]
) -> list[Compared]:
    """Whatever differs from what is *live*: flows by their hash, and the words by which replies are read."""
    found = []
    for name, before in sorted(live["flows"].items()):
        new = flows.get(name)
        if new is None:
            found.append(Compared(name, before, "", ["the whole flow is gone"], []))
        elif new.hash != before:
            found.append(_flow(published.text(before), before, new, flows))
    found += [
        Compared(name, "", flows[name].hash, [], ["This flow is new."]) for name in flows if name not in live["flows"]
    ]
    return found + _words(published, live, flows, words)


def _flow(text: str | None, before: str, new: Loaded, flows: Mapping[str, Loaded]) -> Compared:
    name = new.flow.id
    if text is None:
        why = f"the live version {before} is not kept in this store, so nothing can be compared"
        return Compared(name, before, new.hash, [why], [])
    try:
        old = kept_flow(text, before)
        difference = compare(old, new, flows)
    except (FlowError, TooManyAnswersError, TooManyError) as error:
        why = f"the live version {before} cannot be compared by this program ({error})"
        return Compared(name, before, new.hash, [why], [])
    head = (
        f"{difference.lowered:,} of {difference.total:,} sets of answers get less care than with the live version, "
        f"{difference.leaving_emergency:,} leave emergency."
    )
    return Compared(name, before, new.hash, difference.losses, list(tell(difference, old, new, all_talks=False)), head)


def _words(
    published: Published, live: Mapping[str, Any], flows: Mapping[str, Loaded], words: Mapping[str, str]
) -> list[Compared]:
    edition = published.text(live["mark"])
    kept = Edition.from_json(edition).words if edition else {}
    if kept == {language: text_hash(text) for language, text in words.items()}:
        return []
    texts = {language: published.text(content) for language, content in kept.items()}
    old = {language: text for language, text in texts.items() if text}
    marks = words_hash(old), words_hash(words)
    if not old or len(old) < len(texts):
        return [Compared("words", marks[0], marks[1], ["the live words are not kept in this store"], [])]
    found = list(word_changes(old, words, labelled_replies(), flows.get("triage")))
    lines = [f"{one.says}{' (LESS)' if one.less else ''}." for one in found]
    return [Compared("words", *marks, [one.says for one in found if one.less], lines)]


def publish(
    published: Published,
    edition: Edition,
    now: float,
    answered: Answered | None = None,
    *,
    anyway: str = "",
    tell_all: Callable[[str], None] = lambda line: None,
) -> list[str]:
    """Make *edition*, this checkout, the live one; sentences on what that changes, none when it is live already. Raises
    RefusedError. *anyway*: the name under which less care is let through (the sandbox). *tell_all* hears every change,
    also before a refusal."""
    flows, words = load_flows(), word_files()
    while True:
        log = published.log()
        live = log[-1] if log else None
        keep(published, edition, flows, words)
        if live and live["mark"] == edition.mark:
            return []
        changes = compared(published, live, flows, words) if live else []
        for one in changes:
            tell_all("\n".join([f"== {one.name} {one.old or 'nothing'} -> {one.new or 'gone'}", *one.lines, ""]))
        open_ones = [one for one in changes if one.losses and not _accepted(one.old, one.new)]
        if open_ones and not answered and not anyway:
            raise RefusedError("\n".join([*(line for one in open_ones for line in one.refusal()), HOW]))
        losses = [f"{one.name}: {loss}" for one in changes for loss in one.losses]
        entry = {
            "mark": edition.mark, "flows": dict(edition.flows), "at": now, "lowers": losses,
            "by": answered.name if answered else anyway, "reason": answered.reason if answered else "",
        }  # fmt: skip
        if published.append(entry, len(log)):
            shown = [line for one in changes for line in one.refusal()]
            return [*_news(published, live, edition), *shown, *([SANDBOX] if open_ones and anyway else [])]


def dry_run(published: Published, edition: Edition, tell_all: Callable[[str], None]) -> list[str]:
    """What publish would do: every change through *tell_all*; the sentences of a refusal, none when it would not refuse."""
    log = published.log()
    if not log or log[-1]["mark"] == edition.mark:
        return []
    changes = compared(published, log[-1], load_flows(), word_files())
    for one in changes:
        tell_all("\n".join([f"== {one.name} {one.old or 'nothing'} -> {one.new or 'gone'}", *one.lines, ""]))
    return [line for one in changes if one.losses and not _accepted(one.old, one.new) for line in one.refusal()]


def _news(published: Published, live: Mapping[str, Any] | None, edition: Edition) -> Iterable[str]:
    text = published.text(live["mark"]) if live else None
    if not live or not text:
        return
    changed = [name for name, content in edition.flows.items() if live["flows"].get(name) != content]
    if changed:
        names = ", ".join(changed)
        yield f"Published: new versions of {names}. Open conversations stay on the version they began with."
    before, after = asdict(Edition.from_json(text)), asdict(edition)
    others = [name.replace("_", " ") for name in after if name != "flows" and after[name] != before[name]]
    if others:
        yield f"Also different from the edition before: {', '.join(others)}."


def _accepted(before: str, new: str, record: Path = ACCEPTED) -> bool:
    """Somebody has answered for this very step by ``python -m bot diff --accept``."""
    try:
        lines = [json.loads(line) for line in record.read_text("utf-8").splitlines() if line.strip()]
    except (OSError, ValueError):
        return False
    return any((one.get("old"), one.get("new")) == (before, new) for one in lines)
