"""A rating from 0 to 10, and one option of a list. When in doubt: unclear. Pure; the words are data."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from math import floor

from bot.reading.model import UNCLEAR
from bot.reading.utterance import Utterance
from bot.reading.yes_no import Found, segments

TURNS = frozenset({"just", "only", "solo", "puro", "pura", "nomas", "but", "pero", "sino", "rather", "mas", "more"})
# A number behind one of these counts or names something: "my 2 knees", "since 3", "at 4".
NOT_RATED = frozenset({"my", "mis", "age", "l", "c", "since", "en", "in", "hace", "desde", "type", "these", "estas", "estos",
                       "ft", "foot"})  # fmt: skip
FRAME = frozenset({"to", "a", "and", "y", "through", "thru", "al", "hasta"})
TEN, BEYOND = ("10", "ten", "diez"), 99.0
STANDS = frozenset(
    {"ando", "estoy", "esta", "anda", "quedo", "sigue", "sigo", "va", "voy", "empezo", "comenzo", "dejalo"}
)

# -- 0 to 10 ---------------------------------------------------------------------------------------------------------


def scale(heard: Utterance, channel: str) -> Found:
    """0..10 | unclear. A range takes the higher number, now beats then, and a quantity is no rating."""
    if heard.quoted or not heard.words:
        return UNCLEAR, "nothing that answers"
    if channel == "speech" and len(heard.words) == 1 and heard.words[0] in heard.lexicon.homophones:
        return heard.lexicon.homophones[heard.words[0]], "heard as a number word"
    numbers = _without_frame(heard, _ratings(heard))
    if _asks_about_the_scale(heard):
        return UNCLEAR, "asks about the scale"
    if any(value > 10 or value < 0 for _, value in numbers):
        return UNCLEAR, "out of the scale"
    if not numbers:
        if heard.has("no_pain") and not heard.has("except") and len(heard.words) <= 7:
            return 0, "no pain"
        return UNCLEAR, "no rating"
    present = [(at, value) for at, value in numbers if not _then(heard, at)]
    if not present:
        return UNCLEAR, "a rating of another time"
    corrections = [end for start, end in heard.spans.get("correct", ()) if start > 0]
    if corrections:
        after = [(at, value) for at, value in present if at >= max(corrections)]
        present = after or present
    value = max(value for _, value in present)
    return floor(value + 0.5), "a rating"


def _without_frame(heard: Utterance, numbers: list[tuple[int, float]]) -> list[tuple[int, float]]:
    """Without the two ends of "on a scale of 0 to 10": they name the scale and rate nothing."""
    for (low_at, low), (high_at, high) in itertools.pairwise(numbers):
        joined = high_at - low_at == 1 or (high_at - low_at == 2 and heard.words[low_at + 1] in FRAME)
        if low in (0, 1) and high == 10 and joined and heard.words[low_at + 1 : low_at + 2] != ["or"]:
            return [one for one in numbers if one[0] not in (low_at, high_at)]
    return numbers


def _asks_about_the_scale(heard: Utterance) -> bool:
    """ "What does 10 mean", "is 10 the worst?": a question that rates nothing."""
    first = heard.words[0]
    asks = "?" in heard.raw and first in ("is", "does", "que", "es", "cual") and heard.raw.rstrip().endswith("?")
    return asks or first in ("what", "whats") or heard.words[:2] == ["que", "significa"]


def _ratings(heard: Utterance) -> list[tuple[int, float]]:
    found: list[tuple[int, float]] = []
    words, skip = heard.words, -1
    for at, word in enumerate(words):
        value = _number(heard, at)
        if at <= skip or value is None:
            continue
        end = at + 1
        if end < len(words) and words[end] in ("half",):
            value, end = value + 0.5, end + 1
        if words[end : end + 3] == ["and", "a", "half"] or words[end : end + 2] in (["y", "medio"], ["y", "media"]):
            value, end = value + 0.5, end + (3 if words[end] == "and" else 2)
        if at > 0 and "half" in words[max(0, at - 2) : at] and (words[at - 1] == "half" or words[at - 1] == "a"):
            value /= 2
        out = _out_of(heard, end)
        if out:
            skip = out
            found.append((at, value if words[out] in TEN else BEYOND))
            continue
        if (
            _quantity(heard, at, end)
            or _negated(heard, at)
            or (
                word in ("one", "un", "una", "uno", "oh")
                and len(words) > 3
                and words[at - 1 : at] not in (["un"], ["a"])
            )
        ):
            continue
        found.append((at, value))
    return found


def _number(heard: Utterance, at: int) -> float | None:
    word = heard.words[at]
    if word[0].isdecimal():
        try:
            return float(word.replace(",", "."))
        except ValueError:
            digits = word.rstrip("ishabcdefgjklmnopqrtuvwxyz")
            return float(digits) if word.endswith(("ish", "sh")) and digits.isdecimal() else None
    if word.endswith("ish") and word[:-3] in heard.lexicon.numbers:
        return heard.lexicon.numbers[word[:-3]]
    if word not in heard.lexicon.numbers and len(word) > 3 and word[-1] == word[-2]:
        word = word[:-1]
    return heard.lexicon.numbers.get(word)


def _out_of(heard: Utterance, at: int) -> int | None:
    """ "7/10", "7 out of 10", "7 de 10": where the ten stands, or the end of another scale ("2 of 5")."""
    words = heard.words
    if at < len(words) and "/" in heard.text.before[at] and words[at] in TEN:
        return at
    for start, end in heard.spans.get("outof", ()):
        other = end < len(words) and words[end].isdecimal() and words[start] in ("out", "outta", "of", "de")
        if start == at and end < len(words) and (words[end] in TEN or other):
            return end
    return None


def _quantity(heard: Utterance, at: int, end: int) -> bool:
    if any(start == end for start, _ in heard.spans.get("units", ())):
        return True
    previous = heard.words[at - 1] if at else ""
    if previous == "en" and at > 1 and heard.words[at - 2] in STANDS:
        return False
    if previous in NOT_RATED:
        return True
    if previous == "at" and at > 1 and heard.words[at - 2] in ("there", "me", "up", "you", "appt", "appointment"):
        return True
    after = heard.text.before[end] if end < len(heard.text.before) else ""
    before = heard.text.before[at]
    clock = ":" in after and end < len(heard.words) and heard.words[end].isdecimal()
    return (
        clock
        or "%" in after
        or (before.endswith("-") and at == 0)
        or (":" in before and at > 0 and heard.words[at - 1].isdecimal())
    )


def _negated(heard: Utterance, at: int) -> bool:
    return (at > 0 and heard.words[at - 1] in ("not", "no") and not heard.text.before[at]) or (
        at > 1 and heard.words[at - 2] in ("not", "isnt", "aint") and heard.words[at - 1] in ("a", "an", "quite")
    ) or (at > 1 and heard.words[at - 2] == "no" and heard.words[at - 1] in ("es", "un", "llega"))  # fmt: skip


def _then(heard: Utterance, at: int) -> bool:
    """The number belongs to another time: the nearest time word before it (or right after it) says so. Of "from 4 to 7"
    the second is now."""
    if at > 1 and heard.words[at - 1] in ("to", "a") and _number(heard, at - 2) is not None:
        return False
    nearest: tuple[int, str] | None = None
    for tag in ("was", "is"):
        for _start, end in heard.spans.get(tag, ()):
            if end <= at and (nearest is None or (end, tag) > nearest):
                nearest = (end, tag)
    behind = [tag for tag in ("was", "is") for start, _ in heard.spans.get(tag, ()) if 0 < start - at <= 2]
    turned = nearest is not None and not {"but", "pero", "and", "y", "now"}.isdisjoint(heard.words[nearest[0] : at])
    if behind and (nearest is None or at - nearest[0] > 2 or turned):
        return behind[0] == "was"
    return nearest is not None and nearest[1] == "was"


# -- one of a list ---------------------------------------------------------------------------------------------------


def choice(heard: Utterance, options: Sequence[str]) -> tuple[str, str, tuple[str, ...]]:
    """(option id | unclear, why, the nearest two)."""
    if heard.quoted or not heard.words:
        return UNCLEAR, "nothing that answers", ()
    picked = _by_place(heard, options)
    named = _by_words(heard, options)
    if len(picked) == 1 and (not named or picked[0] in named):
        return picked[0], "by its number", ()
    if "both" in options and set(options) & {"relief", "rehab"}:
        pool = set(picked) | set(named)
        if "both" in pool or {"rehab", "relief"} <= pool:
            doubt = len(picked) > 1 and (heard.has("negator") or heard.has("no") or heard.has("correct"))
            return (UNCLEAR, "takes one back", tuple(picked[:2])) if doubt else ("both", "pain care and rehab", ())
    if picked and named and "keep" in options and len(heard.words) > 2:
        picked = []  # the number is an hour
    if picked and named and len(picked) == 1 and not set(picked) & set(named):
        short = len(heard.words) <= 2
        return (
            (picked[0], "by its number", ()) if short else (UNCLEAR, "number and words differ", (picked[0], named[0]))
        )
    if len(picked) > 1:
        return UNCLEAR, "more than one number", tuple(picked[:2])
    if "unknown" in options and not named and segments(heard)[0][:1] and segments(heard)[0][0][0] == "hedge":
        return "unknown", "does not know", ()
    if len(named) == 1 or (len(named) > 1 and _only_now(heard, options)):
        return (_only_now(heard, options) or named[0]), "by its words", ()
    more_care = {"surgery", "neuro"} & set(named)
    if len(more_care) == 1 and set(named) - more_care <= {"injury", "diagnosed"}:
        return more_care.pop(), "of two causes the one that a doctor must see", ()
    if len(named) > 1:
        return UNCLEAR, "more than one of the options", tuple(named[:2])
    return UNCLEAR, "none of the options", ()


def _by_place(heard: Utterance, options: Sequence[str]) -> list[str]:
    found = []
    for at, word in enumerate(heard.words):
        place = None
        if word.isdecimal():
            ordinal = heard.words[at + 1 : at + 2] in (["st"], ["nd"], ["rd"], ["th"]) and len(heard.words) <= 5
            place = int(word) if ordinal or not _quantity(heard, at, at + 1) else None
        elif word in heard.lexicon.ordinals and len(heard.words) <= 6 and not _of_time(heard, at):
            place = heard.lexicon.ordinals[word]
            place = len(options) if place == -1 else place
        elif len(word) == 1 and word in "abcde" and len(heard.words) <= 2 and (word != "a" or len(heard.words) == 1):
            place = "abcde".index(word) + 1
        elif word in heard.lexicon.numbers and _lone_number(heard, at):
            place = int(heard.lexicon.numbers[word])
        if place and 1 <= place <= len(options) and options[place - 1] not in found:
            found.append(options[place - 1])
    return found


def _of_time(heard: Utterance, at: int) -> bool:
    """ "last year", "second opinion": an ordinal that counts something else."""
    after = heard.words[at + 1] if at + 1 < len(heard.words) else ""
    return after in ("time", "night", "week", "month", "year", "opinion", "summer", "winter", "spring", "fall", "vez")


def _lone_number(heard: Utterance, at: int) -> bool:
    others = [word for place, word in enumerate(heard.words) if place != at]
    near = {word for start, end in heard.spans.get("optwords", ()) for word in heard.words[start:end]}
    return all(
        word in near or word in ("please", "the", "por", "favor", "is", "it", "its", "i", "say") for word in others
    )


def _by_words(heard: Utterance, options: Sequence[str]) -> list[str]:
    """Options whose words stand, are not negated, and are not part of a longer phrase of another option."""
    spans = [(tag[8:], s, e) for tag, s, e in heard.lexicon.options.find(heard.words) if tag[8:] in options]
    figures = heard.spans.get("idiom", ())
    spans = [one for one in spans if not any(s < one[2] and e > one[1] for s, e in figures)]
    kept = [
        one for one in spans
        if not any(o[0] != one[0] and o[1] <= one[1] and one[2] <= o[2] and o[2] - o[1] > one[2] - one[1] for o in spans)
    ]  # fmt: skip
    sure = [(name, s, e) for name, s, e in kept if not _negated_option(heard, s)]
    scores: dict[str, int] = {}
    for name, start, end in sure:
        scores[name] = max(scores.get(name, 0), end - start)
    order = sorted(scores, key=lambda name: (-scores[name], options.index(name)))
    if len(order) > 1 and scores[order[0]] >= scores[order[1]] + 2:
        return order[:1]
    return order


def _only_now(heard: Utterance, options: Sequence[str]) -> str | None:
    """ "Was worse but it's better now": of several, the one that stands with the word for now."""
    nows = [
        (s, e) for s, e in heard.spans.get("now", ()) if heard.words[s] in ("now", "ahora", "ahorita", "today", "hoy")
    ]
    if not nows:
        return None
    first, last = heard.clause(nows[-1][0])
    start = (
        nows[-1][1]
        if any(tag[8:] in options and s >= nows[-1][1] for tag, s, _ in heard.lexicon.options.find(heard.words))
        else first
    )
    names = {
        tag[8:]
        for tag, s, e in heard.lexicon.options.find(heard.words)
        if tag[8:] in options and start <= s and e <= last
    }
    return names.pop() if len(names) == 1 else None


def _negated_option(heard: Utterance, start: int) -> bool:
    if start + 1 < len(heard.words) and heard.words[start + 1] == "no" and start + 2 == len(heard.words):
        return True
    for s, e in heard.spans.get("negator", ()):
        if (
            e <= start
            and start - e <= 2
            and not TURNS & set(heard.words[e + 1 : start])
            and not heard.text.before[start]
            and not (heard.words[s] == "no" and s + 1 == start and s == 0 and heard.text.before[1])
        ):
            return True
    return False
