"""Words that mean two things: options against carrier keywords, commands, emergency words and each other. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

from bot.engine import expects
from bot.flow import model
from bot.flow.load import Loaded
from bot.flow.positions import Path
from bot.proof.explore import Explored
from bot.reading.model import Expects, Reading

Read = Callable[[str, Expects | None, str, str], Reading]
# Twilio's default keywords and those that any reasonable patient would mean so (SPEC C4); YES is left out: it is an
# answer here, and only a number in toll-free mode takes it for an opt-in.
RESERVED = frozenset(
    "stop stopall unsubscribe cancel end quit revoke optout start unstop help info alto parar baja cancelar".split()  # noqa: SIM905
)
Said = tuple[Path, str]


def collisions(loaded: Loaded) -> Iterator[Said]:
    """Reserved words as values or labels, and two options of a question with the same name."""
    for name, state in loaded.flow.states.items():
        if not isinstance(state, model.Question):
            continue
        names: dict[tuple[str, str], int] = {}
        for at, option in enumerate(state.takes.options):
            path: Path = ("states", name, "takes", "options", at)
            for language, label in [("", option.value), *option.label.items()]:
                if set(label.lower().split()) & RESERVED and len(label.split()) == 1:
                    yield path, f"{label!r} is a word that the carrier takes for itself."
                if names.setdefault((language, label.lower()), at) != at:
                    yield path, f"{label!r} names two options of {name!r}."
            for language in loaded.flow.languages:
                if not option.label.get(language):
                    yield path, f"The option {option.value!r} has no label in {language!r}."


def misread(loaded: Loaded, read: Read) -> Iterator[Said]:
    """Digits and labels that the reading room does not take for the option that they stand for."""
    for name, state in loaded.flow.states.items():
        if not isinstance(state, model.Question):
            continue
        wanted = expects(state)
        for at, option in enumerate(state.takes.options):
            path: Path = ("states", name, "takes", "options", at)
            for language in loaded.flow.languages:
                for said in (str(at + 1), option.label.get(language, "")):
                    got = read(said, wanted, language, "sms")
                    if (got.kind, got.value) != ("answer", option.value):
                        message = (
                            f"{said!r} ({language}) is read as {got.kind} {got.value or ''}, not {option.value!r}."
                        )
                        yield path, message
                yield from ((path, message) for message in _elsewhere(loaded, option, wanted, language, read))


def _elsewhere(loaded: Loaded, option: model.Option, wanted: Expects, language: str, read: Read) -> Iterator[str]:
    """The label said while another language is on: not understood is fine, another meaning is not."""
    for other in loaded.flow.languages:
        said = option.label.get(language, "")
        got = read(said, wanted, other, "sms") if other != language and said else None
        if got and got.kind != "unclear" and (got.kind, got.value) != ("answer", option.value):
            yield f"{said!r} ({language}) is read as {got.kind} {got.value or ''} while {other!r} is on, not {option.value!r}."


def wrong_digits(loaded: Loaded) -> Iterator[Said]:
    """A text that puts a digit before the words of another option than the one that the digit stands for."""
    for name, state in loaded.flow.states.items():
        if not isinstance(state, model.Question) or len(state.takes.options) < 2:
            continue
        for language, one in loaded.flow.texts[state.ask].items():
            parts = re.split(r"\b([1-9])\b", one.sms or one.text or "")
            for digit, words in zip(parts[1::2], parts[2::2], strict=True):
                shared = [_shared(words, option.label.get(language, "")) for option in state.takes.options]
                at = int(digit) - 1
                if at < len(shared) and shared[at] < max(shared):
                    meant, best = (state.takes.options[i].value for i in (at, shared.index(max(shared))))
                    message = f"{digit} stands before words for {best!r} in {language!r}, but it is read as {meant!r}."
                    yield ("states", name, "takes", "options", at), message


def _shared(words: str, label: str) -> float:
    """How much of *label* is in *words*, by the first four letters of each word."""
    first, second = ({word[:4] for word in re.findall(r"[^\W\d_]{3,}", text.lower())} for text in (words, label))
    return len(first & second) / len(second) if second else 0.0


def same_digit(loaded: Loaded, explored: Explored) -> Iterator[Said]:
    """A digit that is a number in one question and a choice in the next: a reply sent twice answers both."""
    states = loaded.flow.states
    place = {number: node.session.state for number, node in enumerate(explored.nodes)}
    for name, after in sorted({(place[one], place[two]) for one, every in explored.forward.items() for two in every}):
        first, second = states[name], states[after]
        if not isinstance(first, model.Question) or not isinstance(second, model.Question):
            continue
        if (first.takes.type, second.takes.type) == ("scale0_10", "choice"):
            message = f"'1' is a number in {first.ask!r} and a choice in {second.ask!r}, asked in a row."
            yield ("states", name), message
