"""How long and where: only for a nurse's notes, never for the route. Pure; the words are data."""

from __future__ import annotations

from bot.reading.model import UNCLEAR
from bot.reading.utterance import Utterance

WEEKS_4, WEEKS_12 = 4.0, 12.0


def duration(heard: Utterance) -> tuple[str, str]:
    """lt_4w | 4_12w | gt_12w | unclear."""
    if "forever" in heard.words:
        return "gt_12w", "a phrase of time"
    longest = -1.0
    for at, word in enumerate(heard.words):
        unit = heard.lexicon.durations.get(word)
        if unit is None:
            continue
        count = _count(heard, at)
        after = heard.words[at + 1 : at + 3]
        if after in (["or", "two"], ["o", "dos"]):
            count = 2.0
        elif after in (["y", "medio"], ["y", "media"]):
            count = (count or 1.0) + 0.5
        if count is not None and {"less", "under", "menos"} & set(heard.words[max(0, at - 4) : at]):
            count -= 0.1
        if count is not None:
            longest = max(longest, count * unit)
    if longest >= 0:
        return ("lt_4w" if longest < WEEKS_4 else "4_12w" if longest <= WEEKS_12 + 1.1 else "gt_12w"), "a stated time"
    for name in ("gt_12w", "4_12w", "lt_4w"):
        if heard.has(f"duration_words:{name}"):
            return name, "a phrase of time"
    return UNCLEAR, "no time is said"


def _count(heard: Utterance, at: int) -> float | None:
    for back in range(1, 4):
        if at - back < 0:
            break
        word = heard.words[at - back]
        if word[0].isdecimal():
            return float(word.replace(",", ".")) if word.replace(",", "").replace(".", "", 1).isdecimal() else None
        if word in heard.lexicon.numbers:
            return heard.lexicon.numbers[word]
        if word in ("couple", "par"):
            return 2
        if word in ("few", "unos", "unas", "pocos", "pocas"):
            return 3
        if word in ("several", "varios", "varias", "many", "muchos", "muchas"):
            return 5
        if word in ("a", "an"):
            return 1
        if word in ("half", "medio", "media"):
            return 0.5
    return None


def _part_of_another(heard: Utterance, end: int) -> bool:
    """ "The back of my knee", "el dedo gordo del pie": the place is what follows the "of"."""
    if heard.words[end : end + 1] not in (["of"], ["de"], ["del"]):
        return False
    return any(
        end < start <= end + 3 for tag, spans in heard.spans.items() if tag.startswith("regions:") for start, _ in spans
    )


def body_region(heard: Utterance) -> tuple[str, str]:
    """One region id, multi, other or unclear."""
    found: list[str] = []
    for tag, spans in heard.spans.items():
        if tag.startswith("regions:"):
            for start, end in spans:
                if _part_of_another(heard, end) or any(s <= start < e for s, e in heard.spans.get("idiom", ())):
                    continue
                negated = any(e <= start and start - e <= 2 for _, e in heard.spans.get("negator", ()))
                if not negated and tag[8:] not in found:
                    found.append(tag[8:])
    if "multi" in found:
        return "multi", "many places"
    places = [name for name in found if name != "other"]
    if len(places) > 1:
        return "multi", "more than one place"
    if places:
        return places[0], "one place"
    return ("other", "another place") if found else (UNCLEAR, "no place is named")
