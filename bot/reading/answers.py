"""Answers to a question: yes or no, 0 to 10, one of a list. When in doubt: unclear. Pure; the words are data."""

from __future__ import annotations

from collections.abc import Sequence
from math import floor

from bot.reading.model import UNCLEAR
from bot.reading.signals import is_child
from bot.reading.utterance import Utterance

Found = tuple[str | int, str]
LONG = 9  # words that mean something else beside a "no": then it is a story, and a story needs a second look
CATEGORIES = ("hedge", "none_all", "except", "no", "yes")
# A number behind one of these counts or names something: "my 2 knees", "since 3", "at 4".
NOT_RATED = frozenset({"my", "mis", "age", "l", "c", "since", "en", "in", "hace", "desde", "type", "these", "estas", "estos",
                       "ft", "foot"})  # fmt: skip
# Good enough for "may we start", not for "do you have chest pain".
WEAK_YES = frozenset({"ok", "okay", "okey", "fine", "right", "alright", "bueno", "va", "vale", "sale", "k", "kk", "i can", "i will",
                      "thats fine", "sure", "esta bien", "ta bien", "perfecto", "listo", "ya", "ready", "good to go"})  # fmt: skip
# "Which of these?" - "one of them": yes to a list, nothing to a plain question.
SOME_OF_A_LIST = frozenset({"uno", "una", "algunos", "algunas", "varios", "varias"})
NOT_NOW = frozenset({"today", "yet", "now", "lately", "ahorita", "todavia", "aun", "ahora"})
SOFT_EXCEPT = frozenset({"but", "just", "only", "pero", "solo", "nomas", "solamente", "though", "well", "although", "aunque",
                         "unicamente", "however"})  # fmt: skip


def _segments(heard: Utterance) -> tuple[list[tuple[str, int, int]], list[str]]:
    """The words cut, longest first, into yes, no, none of them, hedges and exceptions; and what is left over."""
    by_start: dict[int, tuple[int, str]] = {}
    for rank, name in enumerate(CATEGORIES):
        for start, end in heard.spans.get(name, ()):
            if heard.words[start:end] == ["y"] and start > 0:
                continue  # first it may be a yes, in a sentence it is the Spanish "and"
            best = by_start.get(start)
            if best is None or (end, -rank) > (best[0], -CATEGORIES.index(best[1])):
                by_start[start] = (end, name)
    parts, rest, at = [], [], 0
    fillers = {at for start, end in heard.spans.get("fillers", ()) for at in range(start, end)}
    while at < len(heard.words):
        if at in by_start:
            end, name = by_start[at]
            parts.append((name, at, end))
            at = end
        else:
            if at not in fillers:
                rest.append(heard.words[at])
            at += 1
    return parts, rest


def yes_no(heard: Utterance, strictness: str) -> Found:
    """yes | no | unclear. *strictness*: general < red_flag < consent."""
    if heard.quoted or not heard.words:
        return UNCLEAR, "nothing that answers"
    if strictness == "consent" and is_child(heard):
        return "no", "under 18"
    parts, rest = _segments(heard)
    if strictness != "red_flag":
        parts = [one for one in parts if one[0] != "yes" or heard.words[one[1]] not in SOME_OF_A_LIST]
    kinds = [name for name, _, _ in parts]
    question = "?" in heard.raw or "¿" in heard.raw
    if strictness == "red_flag":
        return _red_flag(heard, parts, rest, question)
    if "hedge" in kinds:
        return UNCLEAR, "a hedge is no answer"
    yes, no = "yes" in kinds, "no" in kinds or "none_all" in kinds
    if yes and no:
        return _both_said(parts)
    if question and len(heard.words) > 1:
        return UNCLEAR, "a question, not an answer"
    if yes and len(rest) <= LONG:
        loose = strictness == "consent" and heard.words in (["k"], ["kk"], ["1"], ["right"])
        return (UNCLEAR, "too little for a consent") if loose else ("yes", "says yes")
    if no and len(rest) <= LONG + 3:
        return "no", "says no"
    return UNCLEAR, "neither yes nor no"


def _both_said(parts: Sequence[tuple[str, int, int]]) -> Found:
    return UNCLEAR, "says both yes and no"


def _red_flag(heard: Utterance, parts: list[tuple[str, int, int]], rest: list[str], question: bool) -> Found:
    said = heard.said()
    # What is part of the symptom's own words ("no puedo orinar", "hot n red") is no answer beside it.
    kinds = [name for name, s, e in parts if not any(one.start < e and s < one.end for one in said)]
    yes = any(name == "yes" and " ".join(heard.words[s:e]) not in WEAK_YES for name, s, e in parts)
    none_all = "none_all" in kinds
    no = "no" in kinds or none_all
    mentioned = [one for one in heard.symptoms if one.how != "figure"]
    if said and ("hedge" in kinds or no):
        return UNCLEAR, "a listed symptom, and a doubt or a no beside it"
    if said:
        return "yes", f"a listed symptom is said: {said[0].topic}"
    if "hedge" in kinds:
        return UNCLEAR, "a hedge is never an answer to a red-flag question"
    if yes:
        return _both_said(parts) if no else (UNCLEAR, "asks back") if question else ("yes", "says yes")
    if question:
        return UNCLEAR, "asks back"
    if no:
        return _red_flag_no(heard, parts, rest, none_all, bool(mentioned))
    return UNCLEAR, "neither yes nor no"


def _red_flag_no(
    heard: Utterance, parts: list[tuple[str, int, int]], rest: list[str], none_all: bool, mentioned: bool
) -> Found:
    excepts = [heard.words[start] for name, start, _ in parts if name == "except"]
    if any(word not in SOFT_EXCEPT for word in excepts):
        return UNCLEAR, "a no with an exception"
    if none_all:
        return ("no", "none of the list") if len(rest) <= LONG * 2 else (UNCLEAR, "a long story beside the no")
    nos = [(start, end) for name, start, end in parts if name == "no"]
    own_no = any(
        not _denies_a_symptom(heard, start, end) and not _part_of_a_sentence(heard, start, end) for start, end in nos
    )
    if not own_no:
        return UNCLEAR, "a denial of something else than the whole list"
    if any(word in NOT_NOW for start, end in nos for word in heard.words[start:end]):
        return UNCLEAR, "a no for now only"
    if mentioned or heard.has("past") or heard.has("third"):
        return UNCLEAR, "a no, and a symptom of another time or person beside it"
    if len(rest) > (LONG if not excepts else LONG - 3):
        return UNCLEAR, "a long story beside the no"
    return "no", "says no"


def _part_of_a_sentence(heard: Utterance, start: int, end: int) -> bool:
    """A bare "no" that goes on without a pause into another word negates that word ("no puedo caminar", "no problem")."""
    if end >= len(heard.words) or heard.text.before[end]:
        return False
    covered = {
        at
        for tag in ("fillers", "no", "none_all", "except", "yes")
        for s, e in heard.spans.get(tag, ())
        for at in range(s, e)
    }
    return end not in covered


def _denies_a_symptom(heard: Utterance, start: int, end: int) -> bool:
    return any(start <= one.start <= end + 4 and one.how == "denied" for one in heard.symptoms)


# -- 0 to 10 ---------------------------------------------------------------------------------------------------------


def scale(heard: Utterance, channel: str) -> Found:
    """0..10 | unclear. A range takes the higher number, now beats then, and a quantity is no rating."""
    if heard.quoted or not heard.words:
        return UNCLEAR, "nothing that answers"
    if channel == "speech" and len(heard.words) == 1 and heard.words[0] in heard.lexicon.homophones:
        return heard.lexicon.homophones[heard.words[0]], "heard as a number word"
    numbers = _ratings(heard)
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
        out = _out_of(heard, end)
        if out:
            skip = out
            found.append((at, value))
            continue
        if (
            _quantity(heard, at, end)
            or _negated(heard, at)
            or (word in ("one", "un", "una", "uno", "oh") and len(words) > 3)
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
    return heard.lexicon.numbers.get(word)


def _out_of(heard: Utterance, at: int) -> int | None:
    """ "7/10", "7 out of 10", "7 de 10": where the ten stands."""
    words = heard.words
    if at < len(words) and "/" in heard.text.before[at] and words[at] in ("10", "ten", "diez"):
        return at
    for start, end in heard.spans.get("outof", ()):
        if start == at and end < len(words) and words[end] in ("10", "ten", "diez"):
            return end
    return None


def _quantity(heard: Utterance, at: int, end: int) -> bool:
    if any(start == end for start, _ in heard.spans.get("units", ())):
        return True
    previous = heard.words[at - 1] if at else ""
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
    """The number belongs to another time: the nearest time word before it (or right after it) says so."""
    nearest: tuple[int, str] | None = None
    for tag in ("was", "is"):
        for _start, end in heard.spans.get(tag, ()):
            if end <= at and (nearest is None or (end, tag) > nearest):
                nearest = (end, tag)
    behind = [tag for tag in ("was", "is") for start, _ in heard.spans.get(tag, ()) if 0 < start - at <= 2]
    if behind and (nearest is None or at - nearest[0] > 2):
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
        if "both" in pool or ("rehab" in pool and pool & {"relief"}) or (len(picked) >= 2 and "rehab" in picked):
            return "both", "pain care and rehab", ()
    if picked and named and len(picked) == 1 and not set(picked) & set(named):
        short = len(heard.words) <= 2
        return (
            (picked[0], "by its number", ()) if short else (UNCLEAR, "number and words differ", (picked[0], named[0]))
        )
    if len(picked) > 1:
        return UNCLEAR, "more than one number", tuple(picked[:2])
    if "unknown" in options and not named and _segments(heard)[0][:1] and _segments(heard)[0][0][0] == "hedge":
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
        elif word in heard.lexicon.ordinals and len(heard.words) <= 6:
            place = heard.lexicon.ordinals[word]
            place = len(options) if place == -1 else place
        elif len(word) == 1 and word in "abcde" and len(heard.words) <= 2 and (word != "a" or len(heard.words) == 1):
            place = "abcde".index(word) + 1
        elif word in heard.lexicon.numbers and _lone_number(heard, at):
            place = int(heard.lexicon.numbers[word])
        if place and 1 <= place <= len(options) and options[place - 1] not in found:
            found.append(options[place - 1])
    return found


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
            and not heard.text.before[start]
            and not (heard.words[s] == "no" and s + 1 == start and s == 0 and heard.text.before[1])
        ):
            return True
    return False
