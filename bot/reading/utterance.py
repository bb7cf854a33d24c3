"""One input, taken apart once: its words, what phrases stand in it, and which symptoms are said, denied, past or others'.

Everything else in this room asks here. Negation, tense and person are judged inside a clause.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate

from bot.reading.text import Text, fold, is_strong, split
from bot.reading.words import Words

MENTIONS = 60  # symptoms judged one by one; whoever names more of them in one text has them, as far as we go
# After a "no" these begin a statement of its own: "no my chest hurts" denies nothing.
SUBJECTS = frozenset(
    {"i", "im", "my", "me", "it", "mi", "yo", "its", "theres", "tengo", "estoy", "siento", "just", "only", "traigo", "ando",
     "se", "quiero", "hay", "pues", "fijese", "have", "having"}
)  # fmt: skip
PRESENT = frozenset({"is", "are", "am", "im", "have", "has", "hurts", "feel", "feels", "cant", "its", "esta", "estoy", "tengo",
                     "siento", "duele", "hay", "traigo", "keeps", "started"})  # fmt: skip
QUOTES = '“”"«»'
REACTIONS = frozenset({"liked", "loved", "emphasized", "laughed", "disliked", "questioned", "reacted",
                       "removed", "enfatizo", "reacciono"})  # fmt: skip
REACTED = ("gust", "encant", "divirt", "disgust", "enfatiz")
UNSURE = ("sure", "segur", "know", "idea", "clue", "remember", "recuerdo", "certain")
NEGATED = frozenset(
    {"no", "cant", "cannot", "dont", "not", "never", "sin", "couldnt", "wont", "without", "nobody", "ya"}
)
WEAK_PAST = frozenset(
    {"anymore", "any", "not", "antes", "previous", "prior", "ya", "previously", "better", "got", "is"}
)
TOPICS_URGENT = frozenset({"fever", "hot_joint", "wound", "calf_swelling", "new_weakness", "bone_risk", "urgent_other"})


@dataclass(frozen=True, slots=True)
class Symptom:
    """A topic of SPEC B1 that was mentioned. *how*: said | denied | past | other | asked | figure (of speech)."""

    topic: str
    start: int
    end: int
    how: str


class Utterance:
    """See the module's first lines. Cheap to make; each part is worked out when asked for."""

    def __init__(self, said: str, words: Words) -> None:
        said = _after_a_tapback(said)
        self.raw, self.lexicon = said, words
        self.text: Text = _without_runs(split(fold(said)))
        self.words = self._mend(self.text.words)

    def _mend(self, words: list[str]) -> list[str]:
        """Common misspellings, and letters held down ("noooo"); positions stay where they are."""
        if len(words) == 1 and len(words[0]) == 1:
            return words
        mended = []
        for word in words:
            right = self.lexicon.typos.get(word)
            if (
                right is None
                and len(word) > 3
                and any(word[at] == word[at - 1] == word[at - 2] for at in range(2, len(word)))
            ):
                squeezed = "".join(c for at, c in enumerate(word) if at == 0 or c != word[at - 1])
                right = (squeezed,)
            mended.append(right[0] if right and len(right) == 1 else word)
            if right and len(right) > 1:
                mended[-1] = right[0]
                mended += right[1:]
        if len(mended) != len(words):
            self.text = Text(mended, ["", *[""] * len(mended)], self.text.folded)
        return mended

    @cached_property
    def spans(self) -> dict[str, list[tuple[int, int]]]:
        """Tag -> where it stands."""
        found: dict[str, list[tuple[int, int]]] = {}
        for tag, start, end in self.lexicon.matcher.find(self.words):
            found.setdefault(tag, []).append((start, end))
        return found

    def has(self, tag: str) -> bool:
        """The tag stands anywhere."""
        return tag in self.spans

    @cached_property
    def quoted(self) -> bool:
        """A tapback that quotes one of our own texts ("Liked ..."): never an answer, never a command."""
        return _reacts(self.words[:2]) and any(mark in self.raw for mark in QUOTES)

    def clause(self, at: int) -> tuple[int, int]:
        """The clause around word *at*: from a hard stop or "but" to the next."""
        return self._clauses[at]

    @cached_property
    def _clauses(self) -> list[tuple[int, int]]:
        words, before = self.words, self.text.before
        found: list[tuple[int, int]] = []
        start = 0
        for end in range(1, len(words) + 1):
            # "but" closes the clause before it and stands alone at the head of what follows it.
            if (
                end == len(words)
                or is_strong(before[end])
                or words[end] in ("but", "pero")
                or words[end - 1] in ("but", "pero")
            ):
                found += [(start, end)] * (end - start)
                start = end
        return found

    def _sums(self, marked: list[bool]) -> list[int]:
        """How many of the first n are marked."""
        return [0, *accumulate(marked)]

    @cached_property
    def _commas(self) -> list[int]:
        return self._sums(["," in gap for gap in self.text.before])

    @cached_property
    def _subjects(self) -> list[int]:
        return self._sums([word in SUBJECTS for word in self.words])

    @cached_property
    def _breaks(self) -> list[int]:
        return self._sums([word in SUBJECTS or word in ("but", "pero") for word in self.words])

    def _in(self, tag: str, start: int, end: int) -> bool:
        return any(start <= s and e <= end for s, e in self.spans.get(tag, ()))

    @cached_property
    def symptoms(self) -> list[Symptom]:
        """Every symptom that is mentioned, with how."""
        found: list[tuple[str, int, int]] = []
        for tag, spans in self.spans.items():
            if tag.startswith("symptoms:"):
                found += [(tag[9:], s, e) for s, e in spans]
        judged = [Symptom(*one, self._how(*one)) for one in found[:MENTIONS]]
        return judged + [Symptom(*one, "said") for one in found[MENTIONS:]]

    def said(self) -> list[Symptom]:
        """Symptoms that the patient has now, as far as the words go."""
        return [one for one in self.symptoms if one.how == "said"]

    def _how(self, tag: str, start: int, end: int) -> str:
        if any(s < end and e > start for s, e in self.spans.get("idiom", ())):
            return "figure"
        first, last = self.clause(start)
        if tag == "self_harm":
            near = any(s < start and start - e <= 1 and e <= start for s, e in self.spans.get("negator", ()))
            return "denied" if near and not NEGATED & set(self.words[start:end]) else "said"
        if self._denied(start, first):
            return "denied"
        now = any(self._in("now", first, last) and s >= 0 for s, _ in self.spans.get("now", ((-1, 0),)))
        if self._past(start, end, first, last) and not self._strong_now(first, last):
            return "past"
        if any(first <= s < end for s, _ in self.spans.get("third", ())) and not self._mine(first, start):
            return "said" if self._strong_now(first, last) else "other"
        if any(first <= s <= start for s, _ in self.spans.get("worry", ())) and not now:
            return "asked"
        return "said"

    def _past(self, start: int, end: int, first: int, last: int) -> bool:
        """A word of another time in the clause. "Anymore" beside what cannot be done is no past: it is the complaint."""
        cannot = bool(NEGATED & set(self.words[start:end]))
        for s, e in self.spans.get("past", ()):
            if e <= start and self._goes_on(e, start, end):
                continue
            around = s <= start and end <= e and e - s > end - start
            if first <= s and e <= last and (around or not (s < end and e > start)):
                weak = e - s <= 2 and self.words[s] in WEAK_PAST
                if not (weak and cannot):
                    return True
        return False

    def _doubts(self, at: int) -> bool:
        """The "not" of "not sure" denies nothing."""
        return any(s <= at < e and self.words[e - 1].startswith(UNSURE) for s, e in self.spans.get("hedge", ()))

    def _goes_on(self, past_end: int, start: int, end: int) -> bool:
        """ "Had surgery in 2019 and my leg is swollen": after the "and" the sentence is about today."""
        between = self.words[past_end:start]
        joints = [past_end + at for at, word in enumerate(between) if word in ("and", "y", "so", "pero", "but")]
        return bool(joints) and not PRESENT.isdisjoint(self.words[joints[-1] : end + 4])

    def _strong_now(self, first: int, last: int) -> bool:
        words = set(self.words[first:last])
        return bool(words & {"now", "ahora", "ahorita", "still", "todavia", "again", "just", "sigo"}) and not words & {
            "ago"
        }

    def _mine(self, first: int, start: int) -> bool:
        return bool({"i", "im", "yo", "tengo", "ive"} & set(self.words[first:start]))

    def _denied(self, start: int, first: int) -> bool:
        """A negator before the symptom in its clause, with nothing between that begins a statement of its own."""
        for s, e in self.spans.get("negator", ()):
            if not first <= s < start or e > start or self._doubts(s):
                continue
            between = start - e
            comma = self._commas[start + 1] > self._commas[e]
            if self.words[s] in ("no", "nope", "nah", "nop") and (comma or (between and self.words[e] in SUBJECTS)):
                own = self._subjects[start] > self._subjects[e]
                if comma and not own and "," not in self.text.before[e]:
                    return True
                continue
            if between <= (12 if comma else 6) and self._breaks[start] == self._breaks[min(e + 1, start)]:
                return True
        return False


def _after_a_tapback(said: str) -> str:
    """What a patient wrote behind a quoted text of ours; the whole when there is nothing behind it."""
    last = max(said.rfind(mark) for mark in QUOTES)
    behind = said[last + 1 :]
    if last < 0 or not any(char.isalnum() for char in behind):
        return said
    return behind if _reacts(fold(said[:60]).split()[:2]) else said


def _reacts(words: list[str]) -> bool:
    """ "Liked ...", "Le gustó ...": how phones write a reaction to our text."""
    if len(words) < 2:
        return False
    return words[0] in REACTIONS or (words[0] in ("le", "te", "les", "me") and words[1].startswith(REACTED))


def _without_runs(text: Text) -> Text:
    """A word held down ("no no no no ...") counts three times; more says nothing more and costs time."""
    kept = [at for at in range(len(text.words)) if at < 3 or len(set(text.words[at - 3 : at + 1])) > 1]
    if len(kept) == len(text.words):
        return text
    return Text([text.words[at] for at in kept], [*(text.before[at] for at in kept), text.before[-1]], text.folded)
