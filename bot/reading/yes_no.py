"""Yes or no: general, on a red-flag screen, and for consent. When in doubt: unclear. Pure; the words are data."""

from __future__ import annotations

from collections.abc import Sequence

from bot.reading.model import UNCLEAR
from bot.reading.signals import is_child
from bot.reading.utterance import Utterance

Found = tuple[str | int, str]
DENIED = 3  # topics denied one by one, each with its own no: that is the list
LONG = 9  # words that mean something else beside a "no": then it is a story, and a story needs a second look
CATEGORIES = ("hedge", "none_all", "except", "no", "yes")
# Good enough for "may we start", not for "do you have chest pain".
WEAK_YES = frozenset({"ok", "okay", "okey", "fine", "right", "alright", "bueno", "va", "vale", "sale", "k", "kk", "i can", "i will",
                      "thats fine", "sure", "esta bien", "ta bien", "perfecto", "listo", "ya", "ready", "good to go"})  # fmt: skip
# "Which of these?" - "one of them": yes to a list, nothing to a plain question.
SOME_OF_A_LIST = frozenset({"uno", "una", "algunos", "algunas", "varios", "varias", "just", "only", "solo", "nomas"})
# A yes that asks back is no consent yet.
ASKS = frozenset(
    {"why", "what", "whats", "who", "whos", "how", "robot", "bot", "que", "quien", "como", "cuanto", "cuanta"}
)
NOT_NOW = frozenset({"today", "yet", "now", "lately", "ahorita", "todavia", "aun", "ahora"})
SOFT_EXCEPT = frozenset({"but", "just", "only", "pero", "solo", "nomas", "solamente", "though", "well", "although", "aunque",
                         "unicamente", "however"})  # fmt: skip


def segments(heard: Utterance) -> tuple[list[tuple[str, int, int]], list[str]]:
    """The words cut, longest first, into yes, no, none of them, hedges and exceptions; and what is left over."""
    by_start: dict[int, tuple[int, str]] = {}
    for rank, name in enumerate(CATEGORIES):
        for start, end in heard.spans.get(name, ()):
            if heard.words[start:end] == ["y"] and start > 0:
                continue  # first it may be a yes, in a sentence it is the Spanish "and"
            best = by_start.get(start)
            if best is None or (end, -rank) > (best[0], -CATEGORIES.index(best[1])):
                by_start[start] = (end, name)
    for start, (end, name) in list(by_start.items()):
        # "Pues no | sé": a doubt that begins inside a plain yes or no is the longer thought.
        if name in ("yes", "no"):
            longer = [e for s, e in heard.spans.get("hedge", ()) if start < s < end < e]
            if longer:
                by_start[start] = (max(longer), "hedge")
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
    parts, rest = segments(heard)
    if strictness != "red_flag":
        parts = [one for one in parts if one[0] != "yes" or heard.words[one[1]] not in SOME_OF_A_LIST]
    kinds = [name for name, _, _ in parts]
    question = "?" in heard.raw or "¿" in heard.raw
    if strictness == "red_flag":
        return _red_flag(heard, parts, rest, question)
    if "hedge" in kinds:
        # "Not yet, maybe tomorrow": the doubt is about tomorrow.
        first = parts[0]
        if strictness == "general" and first[0] == "no" and NOT_NOW & set(heard.words[first[1] : first[2]]):
            return "no", "not yet"
        return UNCLEAR, "a hedge is no answer"
    yes, no = "yes" in kinds, "no" in kinds or "none_all" in kinds
    if yes and no:
        return _both_said(parts)
    if question and len(heard.words) > 1:
        return UNCLEAR, "a question, not an answer"
    if yes and len(rest) <= LONG:
        loose = strictness == "consent" and (
            heard.words in (["k"], ["kk"], ["1"], ["right"]) or not ASKS.isdisjoint(rest)
        )
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
    if said and yes and not no:
        return "yes", f"says yes, and a listed symptom: {said[0].topic}"
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
    listed = _denied_one_by_one(heard, nos)
    mentioned = mentioned and not listed
    if not own_no and not listed:
        return UNCLEAR, "a denial of something else than the whole list"
    if any(word in NOT_NOW for start, end in nos for word in heard.words[start:end]):
        return UNCLEAR, "a no for now only"
    if mentioned or heard.has("past") or heard.has("third"):
        return UNCLEAR, "a no, and a symptom of another time or person beside it"
    if len(rest) > (LONG if not excepts else LONG - 3):
        return UNCLEAR, "a long story beside the no"
    return "no", "says no"


def _denied_one_by_one(heard: Utterance, nos: Sequence[tuple[int, int]]) -> bool:
    """ "No fever. No chills. No swelling": several topics, each with its own no, and not one word besides."""
    denied = {one.topic for one in heard.symptoms if one.how == "denied"}
    if len(denied) < DENIED or len(nos) < DENIED or any(one.how not in ("denied", "figure") for one in heard.symptoms):
        return False
    covered = set[int]()
    for start, end in nos:
        covered |= set(range(start, end))
        for at in range(end, min(end + 4, len(heard.words))):
            if heard.text.before[at]:
                break
            covered.add(at)
    return len(covered) == len(heard.words)


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
