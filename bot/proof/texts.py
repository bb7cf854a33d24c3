"""Every text in every language and channel that can reach it: present, same placeholders, length, reading grade. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator

from bot import prompts, wording
from bot.engine import Step
from bot.flow import model
from bot.flow.inherit import asking
from bot.flow.invariant import Lengths, NoClaim, Unasked
from bot.flow.load import Loaded, base_hash, texts_used
from bot.flow.positions import Path
from bot.proof.explore import Move
from bot.proof.talk import LONGEST, Talk, values_of

MAX_SEGMENTS = 3  # of the whole joined message of one turn
WORDS_A_MINUTE = 165
MAX_SPOKEN = 20.0  # seconds of one text
MAX_MENU = 5  # options that an ear keeps (SPEC B2)
GRADE = 6.0
EASE_ES = 55.0
Said = tuple[Path, str]


class Turns:
    """Which texts are said where; one example turn for each different thing that is said."""

    def __init__(self) -> None:
        self.examples: dict[tuple[tuple[str, ...], str, str | None, str | None], Move] = {}

    def visit(self, move: Move) -> None:
        """Note what is said."""
        step = move.step
        key = (step.say, step.session.channel, step.values.get("reason"), step.values.get("a"))
        if key not in self.examples:
            self.examples[key] = move

    def reached(self) -> set[tuple[str, str]]:
        """(text, channel) pairs that some turn says."""
        return {(key, found[1]) for found in self.examples for key in found[0]}


def missing(loaded: Loaded, turns: Turns) -> Iterator[Said]:
    """Texts that a channel reaches and that have no words there, in some language; and turns that say nothing."""
    quiet = {key for state in loaded.flow.states.values() for key in getattr(state, "before", ())}
    quiet |= {loaded.flow.greeting}  # a text that we begin says who writes in its own words
    for key, channel in sorted(turns.reached()):
        for language in loaded.flow.languages:
            if prompts.wording_of(loaded, key, language, channel) is None and key not in quiet:
                message = f"The text {key!r} is said by {channel} but has no {channel} wording in {language!r}."
                yield ("texts", key, language), message


def silent(loaded: Loaded, turns: Turns, talk: Talk) -> Iterator[tuple[Path, str, Move]]:
    """Turns that answer a patient with nothing, or that cannot be filled."""
    for move in turns.examples.values():
        path: Path = ("states", move.step.session.state)
        for language in loaded.flow.languages:
            try:
                said = talk.said(move.step, language)
            except wording.MissingPlaceholderError as error:
                yield path, f"This turn cannot be said in {language!r}: {error}.", move
                break
            if not said and move.heard.name != "silence" and not move.step.handover:
                yield path, f"This turn answers the patient with nothing in {language!r}.", move
                break


def too_long(loaded: Loaded, turns: Turns, talk: Talk) -> Iterator[tuple[Path, str, Move]]:
    """Whole messages of more than MAX_SEGMENTS segments, or outside GSM-7 (with the guilty characters)."""
    for move in turns.examples.values():
        if move.step.session.channel != "sms":
            continue
        for language in loaded.flow.languages:
            values = {**LONGEST, **longest_labels(loaded, move.step, language)}
            lines = prompts.render(loaded, move.step.say, language, "sms", {**values, **_reason(move.step)})
            cost = wording.segments(prompts.one_text(lines) or "")
            path: Path = ("texts", move.step.say[-1] if move.step.say else "", language)
            keys = " + ".join(move.step.say)
            if cost.guilty:
                bad = ", ".join(f"{char!r} (U+{ord(char):04X})" for char in cost.guilty)
                yield path, f"{keys} in {language!r}: {bad} cannot be sent as GSM-7 and doubles the cost.", move
            elif cost.count > MAX_SEGMENTS:
                yield path, f"{keys} in {language!r} is one message of {cost.count} segments; at most 3.", move


def _reason(step: Step) -> dict[str, str]:
    return {name: value for name, value in step.values.items() if name == "reason"}


def longest_labels(loaded: Loaded, step: Step, language: str) -> dict[str, str]:
    """The longest that {a} and {b} can be at the question where *step* waits."""
    state = loaded.flow.states.get(step.session.state)
    if not isinstance(state, model.Question):
        return {}
    labels = sorted((f"1 {one.label.get(language, '')}" for one in state.takes.options), key=len, reverse=True)
    return dict(zip(("a", "b"), labels, strict=False))


def bodies(loaded: Loaded) -> Iterator[tuple[Path, str, str, str, str]]:
    """(path, key, language, channel, body) of every wording."""
    for key, wordings in loaded.flow.texts.items():
        for language, one in wordings.items():
            for channel in ("text", "sms", "voice"):
                body = getattr(one, channel)
                if body:
                    yield ("texts", key, language, channel), key, language, channel, body


def stale(loaded: Loaded) -> Iterator[Said]:
    """Translations of a base text that has changed since, and placeholders that differ from the base."""
    base = loaded.flow.languages[0]
    for key, wordings in loaded.flow.texts.items():
        want = base_hash(wordings[base])
        for language, one in wordings.items():
            if language == base:
                continue
            if one.of != want:
                message = (
                    f"This {language!r} translation is of an older {base!r} text: check it, then set of to {want!r}."
                )
                yield ("texts", key, language), message
            for channel in ("text", "sms", "voice"):
                here, there = getattr(one, channel), getattr(wordings[base], channel)
                if values_of([here]) != values_of([there]):
                    yield ("texts", key, language, channel), f"The placeholders differ from those in {base!r}."


def unused(loaded: Loaded, turns: Turns) -> Iterator[Said]:
    """Texts that nothing says."""
    flow = loaded.flow
    document = flow.model_dump(mode="json", by_alias=True, exclude={"texts", "context", "invariants"})
    used = {key for _, key in texts_used(document)} | {key for key, _ in turns.reached()}
    used |= {do["text"] for state in document["states"].values() for do in state.get("do", ()) if do.get("text")}
    by_hand = {"lang_switch", "closed", "no_one", "goodbye", "offer_message", "leave_message", "message_kept",
               "call_machine", "call_missed"}  # fmt: skip  # said by engine.py and calls.py by name
    for key in flow.texts:
        if key not in used | by_hand:
            yield ("texts", key), f"Nothing says the text {key!r}."


def lengths(loaded: Loaded, rule: Lengths) -> Iterator[Said]:
    """Single texts that are longer than their limit as SMS."""
    reasons = {state.reason for table in loaded.flow.states.values() for state in getattr(table, "rules", ())}
    for path, key, language, channel, body in bodies(loaded):
        if channel == "voice" or key.startswith("reason_"):
            continue
        texts = [prompts.wording_of(loaded, one, language, "sms") or "" for one in reasons if one]
        values = {**LONGEST, "reason": max(texts, key=len, default="")}
        cost = wording.segments(wording.fold(wording.fill(body, values)))
        limit = rule.but.get(key, rule.sms)
        if cost.guilty:
            yield path, f"{', '.join(map(repr, cost.guilty))} in {key!r} cannot be sent as GSM-7."
        elif cost.units > limit:
            yield path, f"The text {key!r} takes {cost.units} characters with the longest values; at most {limit}."


def claims(loaded: Loaded, rule: NoClaim) -> Iterator[Said]:
    """Sentences that say what no text may say."""
    for path, key, language, _, body in bodies(loaded):
        denial = set(rule.unless.get(language, ()))
        for sentence in re.split(r"(?<=[.!?:])\s+|\n", body.lower()):
            if denial & set(re.findall(r"[\w']+", sentence)):
                continue
            for phrase in rule.says.get(language, ()):
                parts = [re.escape(part.strip()) for part in phrase.lower().split("...")]
                if re.search(r"\b" + r"\b.*\b".join(parts), sentence):
                    yield path, f"The text {key!r} says {phrase!r}, which no text may say."


def unasked(loaded: Loaded, rule: Unasked) -> Iterator[Said]:
    """Texts that are sent later and would carry more than they may."""
    keys = [key for one in loaded.flow.follow_ups.values() for key in one.say]
    keys += [do.text for state in loaded.flow.states.values() for do in getattr(state, "do", ()) if do.text]
    for path, key, _, channel, body in bodies(loaded):
        extra = values_of([body]) - set(rule.only)
        if key in keys and channel != "voice" and extra:
            yield path, f"The text {key!r} is sent later and must not carry {{{', '.join(sorted(extra))}}}."


# -- advice ----------------------------------------------------------------------------------------------------------


def advice(loaded: Loaded) -> Iterator[Said]:
    """What is worth a look: long speech, long menus, hard words."""
    for path, key, language, channel, body in bodies(loaded):
        if channel == "voice" or (channel == "text" and "voice" in loaded.flow.channels):
            seconds = len(body.split()) / WORDS_A_MINUTE * 60
            if seconds > MAX_SPOKEN:
                yield path, f"The text {key!r} takes about {seconds:.0f} s to say; at most {MAX_SPOKEN:.0f}."
        grade = reading_grade(body, language)
        if language == "en" and grade > GRADE:
            yield path, f"The text {key!r} reads at grade {grade:.1f}; at most {GRADE:.0f}."
        if language == "es" and grade < EASE_ES:
            yield path, f"The text {key!r} has reading ease {grade:.0f} (Fernandez-Huerta); at least {EASE_ES:.0f}."
    for name, state in loaded.flow.states.items():
        if isinstance(state, model.Question):
            yield from _long_prompts(loaded, name, state)
        if isinstance(state, model.Question) and len(state.takes.options) > MAX_MENU:
            yield ("states", name, "takes"), f"{len(state.takes.options)} choices are more than a caller keeps in mind."


def _long_prompts(loaded: Loaded, name: str, state: model.Question) -> Iterator[Said]:
    """A question and what is said after it, as one breath of a call."""
    for language in loaded.flow.languages if "voice" in loaded.flow.channels else ():
        keys = asking(loaded, state, "voice")
        words = " ".join(prompts.wording_of(loaded, key, language, "voice") or "" for key in keys).split()
        seconds = len(words) / WORDS_A_MINUTE * 60
        if len(keys) > 1 and seconds > MAX_SPOKEN:
            yield (
                ("states", name),
                f"This question takes {seconds:.0f} s to say in {language!r}; at most {MAX_SPOKEN:.0f}.",
            )


def reading_grade(text: str, language: str) -> float:
    """Flesch-Kincaid grade for English, Fernandez-Huerta ease for Spanish (higher is easier)."""
    words = re.findall(r"[^\W\d_]+", re.sub(r"\{[a-z_]+\}", "", text))
    sentences = max(1, len(re.findall(r"[.!?:]+(?:\s|$)|\n", text)))
    if len(words) < 8:
        return 0.0 if language == "en" else 100.0
    spread, beats = len(words) / sentences, sum(map(_syllables, words)) / len(words)
    if language == "es":
        return 206.84 - 60 * beats - 1.02 * spread
    return 0.39 * spread + 11.8 * beats - 15.59


def _syllables(word: str) -> int:
    found = len(re.findall(r"[aeiouyáéíóúü]+", word.lower()))
    silent_e = word.lower().endswith("e") and not word.lower().endswith(("le", "ee"))
    return max(1, found - (1 if silent_e and found > 1 and word.isascii() else 0))
