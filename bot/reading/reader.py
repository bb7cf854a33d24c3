"""Text, keys or speech -> Reading, in the fixed order: exact opt-out, emergency scan, free-form opt-out, commands, a
child, the answer to the open question, info words, unclear. Pure; never raises for any text.
"""

from __future__ import annotations

from typing import Literal

from bot.reading import answers, signals, yes_no
from bot.reading.model import UNCLEAR, Channel, Expects, Reading
from bot.reading.utterance import Utterance
from bot.reading.words import Words

ONE_OR_TWO = ("1", "one", "uno", "2", "two", "dos")
# Commands that are an answer where the question offers just that.
BOTH = {
    "schedule": ("schedule", "link"),
    "help": ("help", "need_help"),
    "cancel_appt": ("cant_come",),
    "change_appt": ("change",),
}
OPT_IN = frozenset({("start",), ("unstop",)})


def read(
    said: str, *, expects: Expects | None, language: Literal["en", "es"], channel: Channel, words: Words
) -> Reading:
    """One input. *language* only orders ties: both languages' words always count, because patients mix them."""
    if not said.strip():
        return Reading("silence", why="nothing was said")
    if channel == "dtmf":
        return read_keys(said.strip(), expects)
    heard = Utterance(said, words)
    out = signals.opts_out(heard, words)
    if out == "exact":
        return Reading("opt_out", why="an exact opt-out word")
    if tuple(heard.words) in OPT_IN:
        return Reading("opt_in", why="an exact opt-in word")
    level, why = signals.scan(heard)
    mentions = tuple(dict.fromkeys(one.topic for one in heard.symptoms if one.how != "said"))
    if level in ("emergency", "crisis", "urgent"):
        red_flag = expects is not None and expects.strictness == "red_flag"
        if not (level == "urgent" and red_flag):
            return Reading("emergency", level, why)
    if out == "free":
        if heard.has("wrong_number"):
            return Reading("opt_out", "wrong_number", why="asks not to be written to")
        if signals.asks_for_a_person(heard):
            return Reading("opt_out", "human", why="asks not to be written to, and for a person")
        return Reading("opt_out", why="asks not to be written to")
    return _rest(heard, expects, channel, mentions)


def _rest(heard: Utterance, expects: Expects | None, channel: Channel, mentions: tuple[str, ...]) -> Reading:
    name = signals.command(heard)
    info = name is not None and name.startswith("info_")
    value, why, near = read_answer(heard, expects, channel) if expects else (UNCLEAR, "", ())
    language = (name or "").removeprefix("language_")
    if expects and language != name and language in expects.options:
        return Reading("answer", language, "names the language", mentions=mentions)
    plain = name in ("human", "schedule", "help", "cancel_appt", "change_appt", "start", "back", "repeat", None) or info
    if expects and value != UNCLEAR and plain and _answers_first(expects, name, heard):
        return Reading("answer", value, why, mentions=mentions)
    if name is not None and not info:
        return (
            Reading("opt_in", why="asks for texts again") if name == "start" else Reading("command", name, "a command")
        )
    if signals.is_child(heard):
        return Reading("minor", why="writes about a child or is one")
    if value != UNCLEAR:
        return Reading("answer", value, why, mentions=mentions)
    if info and name is not None:
        return Reading("info", name.removeprefix("info_"), "an info word")
    return Reading("unclear", None, why or "nothing was asked", tuple(near), mentions)


def _answers_first(expects: Expects, name: str | None, heard: Utterance) -> bool:
    """A valid answer beats an info word; a command beats an answer, but for the words that are both."""
    if name is None or name.startswith("info_"):
        return not (expects.strictness == "consent" and signals.is_child(heard))
    return expects.type == "choice" and any(option in expects.options for option in BOTH.get(name, ()))


def read_answer(heard: Utterance, expects: Expects, channel: Channel) -> tuple[str | int, str, tuple[str, ...]]:
    """(value | "unclear", why, the nearest two)."""
    if expects.type == "choice":
        return answers.choice(heard, expects.options)
    if expects.type == "scale0_10":
        value, why = answers.scale(heard, channel)
        return value, why, ()
    if len(heard.words) == 1 and heard.words[0] in ONE_OR_TWO and expects.strictness != "general":
        safe = heard.words[0] not in ("2", "two", "dos") and expects.strictness == "red_flag"
        return ("yes" if safe else UNCLEAR), "a bare number where the menu had none", ()
    value, why = yes_no.yes_no(heard, expects.strictness)
    return value, why, ()


def read_keys(keys: str, expects: Expects | None) -> Reading:
    """Digits of a phone: * repeats, 0 is a person unless 0 is a rating, # alone is silence."""
    keys = keys.replace(" ", "")
    bare = keys.rstrip("#")
    if not bare:
        return Reading("silence", why="only the pound key")
    if bare == "*":
        return Reading("command", "repeat", "the star key")
    scale = expects is not None and expects.type == "scale0_10"
    if bare == "0" and not scale:
        return Reading("command", "human", "the zero key")
    if not bare.isascii() or not bare.isdecimal() or len(bare) > 2 or expects is None:
        return Reading("unclear", why="no key of this menu")
    number = int(bare)
    if scale:
        return Reading("answer", number, "keys") if number <= 10 else Reading("unclear", why="out of the scale")
    options = ("yes", "no") if expects.type == "yesno" else expects.options
    if 1 <= number <= len(options) and len(bare) == 1:
        return Reading("answer", options[number - 1], "a key of this menu")
    return Reading("unclear", why="no key of this menu")
