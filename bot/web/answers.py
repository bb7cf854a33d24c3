"""What a turn said, as the bytes Twilio gets; and the one static answer for when no turn was possible.

`render` is handed to the conversation, which stores the bytes with the turn, so that a repeated webhook gets the same
ones. Must never need the store: the static answers are made at start.
"""

from __future__ import annotations

from collections.abc import Iterable

from bot import twiml
from bot.settings import Settings
from bot.turn import Door, Heard
from bot.twiml import Spoken
from bot.wording import fill, fold, spoken

# Not in a flow: it must be sayable when no flow, no session and no store is at hand. Names the two numbers that matter.
_SORRY = {
    "en": {
        "sms": "Sorry, we can't answer by text right now. EMERGENCY? Call 911 now. Crisis? 988. To talk with a person: "
        "{phone}",
        "voice": "Sorry, we can't take your answers right now. If this is an emergency, hang up and dial 911. "
        "In a crisis, dial 988. To talk with a person, call {phone}.",
    },
    "es": {
        "sms": "Ahora no podemos responder por texto. ¿EMERGENCIA? Llame al 911 ya. ¿Crisis? 988. Para hablar con una "
        "persona: {phone}",
        "voice": "Ahora no podemos atenderle por este medio. Si es una emergencia, cuelgue y marque 911. "
        "En una crisis, marque 988. Para hablar con una persona, llame al {phone}.",
    },
}
_SCALE_KEYS = 2


class Answers:
    """Renders for one deployment."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._sorry = {
            (door, language): self._make_sorry(door, [language] if language else ["en", "es"])
            for door in ("sms", "voice")
            for language in ("en", "es", None)
        }

    def render(self, heard: Heard) -> bytes:
        """The TwiML of one turn, at its door. A caller who waits for words and gets none hears the static answer."""
        if heard.door == "sms":
            return twiml.message(heard.text).encode()
        parts = self._spoken(heard.says, heard.language)
        if heard.end == "listen" and parts:
            return self._question(heard, parts).encode()
        if heard.end == "dial":
            document = twiml.dial(
                parts,
                self._settings.nurse_line,
                self._action(heard.step, "dialled"),
                caller_id=self._settings.twilio_from,
            )
            return document.encode()
        if heard.end == "offer":
            return twiml.listen(parts, self._action(heard.step, "message"), digits=1, finish_on_key="").encode()
        if heard.end == "record":
            return twiml.record(parts, self._action(heard.step, "recorded")).encode()
        if parts or (heard.end == "hangup" and not heard.silent):
            return twiml.speak_and_hang_up(parts).encode()
        return self.apology("voice", heard.language)

    def apology(self, door: Door, language: str | None = None) -> bytes:
        """The static answer: 911, 988 and the clinic's number; in both languages when *language* is None."""
        return self._sorry[door, language if language in ("en", "es") else None]

    def _question(self, heard: Heard, parts: list[Spoken]) -> str:
        scale = heard.expects is not None and heard.expects.type == "scale0_10"
        return twiml.listen(
            parts,
            self._action(heard.step),
            hints=",".join(heard.hints),
            timeout=heard.waits[0],
            speech_timeout=heard.waits[1],
            digits=_SCALE_KEYS if scale else 1,
            # In a one-key menu pound must arrive as a key, or it would end the input and count as silence.
            finish_on_key="#" if scale else "",
        )

    def _action(self, step: str, *more: str) -> str:
        return "/".join([self._settings.public_url, "voice", step, *more])

    def _spoken(self, says: Iterable[str], language: str) -> list[Spoken]:
        if language == "es":
            return [Spoken(text, self._settings.speech_es, self._settings.voice_es) for text in says]
        return [Spoken(text, self._settings.speech_en, self._settings.voice_en) for text in says]

    def _make_sorry(self, door: str, languages: list[str]) -> bytes:
        values = {"phone": self._settings.clinic_phone_shown}
        if door == "sms":
            return twiml.message(fold("\n".join(fill(_SORRY[each]["sms"], values) for each in languages))).encode()
        parts = [
            part for each in languages for part in self._spoken([spoken(fill(_SORRY[each]["voice"], values))], each)
        ]
        return twiml.speak_and_hang_up(parts).encode()
