"""Which language a first message is in. Only a first guess: the patient can switch at any time. Pure."""

from __future__ import annotations

import re
import unicodedata

# Function words and first words that exist in one language only; medical words are mostly the same in both.
_SPANISH = frozenset(
    """hola buenos buenas dias tardes noches tengo tiene me mi duele duelen dolor el la los las una un de del que por
    para con y en no puedo siento estoy esta mucho desde hace quiero necesito cita ayuda espalda rodilla pierna brazo
    cuello hombro gracias si ya muy senor senora doctor español espanol favor hablar""".split()  # noqa: SIM905  # as prose
)
_ENGLISH = frozenset(
    """hi hello hey i im my me the a an and of to for with have has is it hurts hurt pain need want help appointment
    back knee leg arm neck shoulder please thanks you can not dont cant been was at on in this that no
    doctor""".split()  # noqa: SIM905  # prose reads better
)
_WORD = re.compile(r"[a-zñ']+")


def guess_language(text: str) -> str | None:
    """``en``, ``es``, or None when the words do not tell. At most 400 characters are looked at."""
    text = text[:400].casefold()
    if "ñ" in text or "¿" in text or "¡" in text:
        return "es"
    plain = "".join(char for char in unicodedata.normalize("NFKD", text) if not unicodedata.combining(char))
    words = [word.replace("'", "") for word in _WORD.findall(plain)]
    spanish = sum(word in _SPANISH and word not in _ENGLISH for word in words)
    english = sum(word in _ENGLISH and word not in _SPANISH for word in words)
    if spanish == english:
        return None
    return "es" if spanish > english else "en"
