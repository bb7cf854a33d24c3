"""What counts in every state: emergency words, opt-out, commands, a child. Pure; the words are data."""

from __future__ import annotations

from bot.reading.text import is_strong
from bot.reading.utterance import TOPICS_URGENT, Symptom, Utterance
from bot.reading.words import Words

POLITE = frozenset(
    {"a", "about", "again", "an", "and", "bueno", "can", "do", "doing", "el", "en", "english", "es", "espanol",
     "favor", "go", "gracias", "hablo", "hello", "hey", "hi", "hola", "i", "in", "ingles", "is", "it", "la", "me",
     "menu", "necesito", "need", "no", "now", "ok", "only", "otra", "please", "pls", "plz", "por", "porfa",
     "prefiero", "pregunta", "pues", "que", "question", "quiero", "real", "si", "solo", "spanish", "speak", "talk",
     "tell", "thanks", "the", "this", "to", "u", "un", "una", "vez", "want", "what", "whats", "with", "yes", "you",
     "your"}
)  # fmt: skip
SHORT = 5  # words up to which a bare command word is the message
TAPBACK = "a reaction that quotes our text"
# Too common or too broad alone: they count on a screen that lists them, not in the scan.
BROAD = frozenset({"cancer", "chemo", "quimio", "weakness", "debilidad", "infection", "infeccion", "osteoporosis", "tumor",
                   "unsteady", "weak", "metastasis", "esteroides", "tia", "legs", "piernas", "weak bones", "brittle bones",
                   "bone pain", "colapso", "infected", "deform", "angina"})  # fmt: skip
COMMAND_ORDER = ("cancel_appt", "change_appt", "human", "restart", "language_es", "language_en", "repeat", "back", "start",
                 "schedule", "info_visit", "info_both", "info_pmr", "info_pt", "help")  # fmt: skip
# Words that are commands only when they are (nearly) the whole message.
ALONE = frozenset({"human", "help", "repeat", "back", "start", "schedule", "info_both", "info_visit", "restart", "language_en",
                   "language_es", "info_pmr", "info_pt"})  # fmt: skip


def scan(heard: Utterance) -> tuple[str, str]:
    """("emergency" | "crisis" | "urgent" | "unclear" | "none", why)."""
    if heard.quoted:
        return "none", TAPBACK
    mentioned = [one for one in heard.symptoms if not _broad(heard, one)]
    said = [one for one in mentioned if one.how == "said"]
    for name, fits in (
        ("crisis", lambda one: one.topic == "self_harm"),
        ("emergency", lambda one: one.topic not in TOPICS_URGENT),
        ("urgent", lambda one: True),
    ):
        for one in said:
            if fits(one):
                return name, f"{one.topic}: {' '.join(heard.words[one.start : one.end])}"
    if any(one.how in ("asked", "other") for one in mentioned):
        return "unclear", "a symptom was mentioned, but not as the patient's own now"
    return "none", "no symptom of the list is said"


def _broad(heard: Utterance, one: Symptom) -> bool:
    words = heard.words[one.start : one.end]
    text = " ".join(words)
    return text in BROAD or (
        len(words) == 1 and any(words[0].startswith(b) for b in ("debil", "paralys", "weak", "deform"))
    )


def opts_out(heard: Utterance, words: Words) -> str | None:
    """ "exact", "free", or None."""
    plain = tuple(heard.words)
    if plain in words.stop_exact or tuple(heard.text.words) in words.stop_exact:
        return "exact"
    if heard.quoted or heard.has("stop_not"):
        return None
    return "free" if heard.has("stop") else None


def asks_for_a_person(heard: Utterance) -> bool:
    """Beside STOP: "no more texts, call me". The words of STOP itself neither ask for a call nor refuse one."""
    stops = heard.spans.get("stop", ())

    def apart(span: tuple[int, int]) -> bool:
        return all(span[1] <= start or end <= span[0] for start, end in stops)

    def whole(start: int, end: int) -> bool:  # one word is a wish where Spanish says it so: llámeme
        return end - start > 1 or heard.words[start].endswith("me") or _carries(heard, start, end)

    negators = [span for span in heard.spans.get("negator", ()) if apart(span)]
    return any(
        apart((start, end)) and whole(start, end)
        and not any(0 <= start - said <= 3 for _, said in negators)
        for start, end in heard.spans.get("commands:human", ())
    )  # fmt: skip


def command(heard: Utterance) -> str | None:
    """The command of a message that is one, by name; None for anything else."""
    if heard.quoted or not heard.words:
        return None
    for name in COMMAND_ORDER:
        for start, end in heard.spans.get(f"commands:{name}", ()):
            if not _refused(heard, start, name) and (name not in ALONE or _carries(heard, start, end)):
                return name
    return None


def _carries(heard: Utterance, start: int, end: int) -> bool:
    """The phrase is the message: long enough itself, or with little else around it."""
    others = [word for at, word in enumerate(heard.words) if not start <= at < end and not _filler(heard, at)]
    around = [word for at, word in enumerate(heard.words) if not start <= at < end]
    if end - start >= 3:
        return True
    if end - start == 2:
        return len(others) <= SHORT
    return len(around) <= SHORT and all(word in POLITE for word in around)


def _filler(heard: Utterance, at: int) -> bool:
    return any(s <= at < e for s, e in heard.spans.get("fillers", ()))


def _refused(heard: Utterance, start: int, name: str) -> bool:
    """ "I don't need to talk to anyone": a negator shortly before, unless the phrase needs it (not coming)."""
    if name in ("language_en", "language_es", "cancel_appt"):
        # "don't speak Spanish", "do not cancel": only right before it; "I can't come" is how a visit is given up.
        begins = heard.words[start]
        if name == "cancel_appt" and not begins.startswith("cancel"):
            return False
        return any(e == start and heard.words[e - 1] != "cant" for _, e in heard.spans.get("negator", ()))
    return any(e <= start and start - e <= 3 and not is_strong(heard.text.before[start]) and heard.words[s] != "cant"
               and "," not in heard.text.before[e]
               for s, e in heard.spans.get("negator", ()))  # fmt: skip


def is_child(heard: Utterance) -> bool:
    """The patient is under 18: an age that is said as one's own, or a child as the one who hurts."""
    if heard.has("minor"):
        return True
    for at, word in enumerate(heard.words):
        if not word.isdecimal() or not 1 <= int(word) <= 17:
            continue
        before = heard.words[max(0, at - 2) : at]
        after = heard.words[at + 1 : at + 4]
        aged = bool({"old", "yo", "anos", "anitos"} & set(after)) and not {"ago", "since", "hace"} & {*before, *after}
        if (
            before
            and before[-1] in ("im", "am")
            and (aged or not after or after[0] in ("and", "but", "so", "is", "pero", "y"))
        ):
            return True
        if aged and ({"tengo", "soy", "my", "mi", "a"} & set(before)) and not {"for", "desde"} & set(before):
            return True
        if before and before[-1] == "tengo" and not after:
            return True
    return False
