"""What the conversation decided, as the TwiML document Twilio executes. Prepared strings and one escape function.

Pure: no settings, no Flask, no twilio import (its classes cost 40 us a document and pass control characters through;
tests hold this module equal to them in meaning). Must never contain wording.
"""

from __future__ import annotations

import html
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

from bot.wording import safe_text

_HEAD = '<?xml version="1.0" encoding="UTF-8"?><Response>'
EMPTY = '<?xml version="1.0" encoding="UTF-8"?><Response/>'
MESSAGE_LIMIT = 1600  # characters; error 21617 beyond
SAY_LIMIT = 4000  # Twilio's limit is 4,096 characters of text in one Say
_HINT_LIMIT, _HINT_COUNT = 100, 500
_NOT_DIALLED = frozenset({"911", "988", "112"})


@dataclass(frozen=True, slots=True)
class Spoken:
    """One thing said: *text* for the ear, its *language* (en-US, es-MX), and a Twilio *voice* that speaks it."""

    text: str
    language: str
    voice: str


def _escape(text: str) -> str:
    """*text* fit for element content and double-quoted attributes alike."""
    return safe_text(text).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").replace('"', "&quot;")


@lru_cache(maxsize=512)  # what a flow says is said to many
def message(text: str | None) -> str:
    """The SMS answer: one message, or the empty response for None and for text with nothing to show.

    Longer than Twilio takes (1,600 characters) is cut: a cut text beats the silence of error 21617.
    """
    visible = safe_text(text or "").strip()
    if not visible:
        return EMPTY
    return f"{_HEAD}<Message>{_escape(visible[:MESSAGE_LIMIT])}</Message></Response>"


def text_of(document: str) -> str | None:
    """The text in a document that `message` made; None for the empty response and for a call's document."""
    found = re.search(r"<Message>(.*?)</Message>", document, re.DOTALL)
    return html.unescape(found[1]) if found else None


def listen(
    parts: Sequence[Spoken],
    action: str,
    *,
    hints: str = "",
    timeout: int = 6,
    digits: int | None = None,
    finish_on_key: str = "#",
    speech_timeout: int = 2,
    language: str | None = None,
) -> str:
    """Say *parts*, then take keys or speech and POST them to the absolute URL *action*, silence included.

    *timeout* and *speech_timeout* in whole seconds ("auto" is left out on purpose: error 13335 with a model); *digits*:
    how many keys end the input, None for "until *finish_on_key*"; *hints*: comma list of expected words;
    *language* of the speech expected, by default that of the last part.
    """
    _require_absolute(action)
    heard_in = language or (parts[-1].language if parts else "en-US")
    optional = f' numDigits="{int(digits)}"' if digits else ""
    cut = _cut_hints(hints)
    if cut:
        optional += f' hints="{_escape(cut)}"'
    # A profanity filter would hide words from the emergency scan.
    return (
        f'{_HEAD}<Gather input="dtmf speech" action="{_escape(action)}" method="POST" actionOnEmptyResult="true"'
        f' timeout="{int(timeout)}" speechTimeout="{int(speech_timeout)}" finishOnKey="{_escape(finish_on_key)}"'
        f' language="{heard_in}" profanityFilter="false"{optional}>{_say(parts)}</Gather></Response>'
    )


def speak_and_hang_up(parts: Sequence[Spoken]) -> str:
    """Say *parts* and end the call, so that the caller can dial 911."""
    return f"{_HEAD}{_say(parts)}<Hangup/></Response>"


def dial(parts: Sequence[Spoken], number: str, action: str, *, timeout: int = 25, caller_id: str | None = None) -> str:
    """Say *parts*, then connect to *number* (E.164); how it went is POSTed to the absolute URL *action*.

    *timeout*: seconds of ringing. *caller_id* must be the number called or one verified with Twilio (13214).
    Raises ValueError for an emergency number: Twilio does not put such calls through; the caller must dial.
    """
    _require_absolute(action)
    if re.sub(r"\D", "", number) in _NOT_DIALLED:
        raise ValueError("an emergency number cannot be dialled for the caller; say it and hang up")
    shown = f' callerId="{_escape(caller_id)}"' if caller_id else ""
    return (
        f'{_HEAD}{_say(parts)}<Dial action="{_escape(action)}" method="POST" timeout="{int(timeout)}"'
        f' answerOnBridge="true"{shown}><Number>{_escape(number)}</Number></Dial></Response>'
    )


def record(parts: Sequence[Spoken], action: str, *, seconds: int = 120, silence: int = 5) -> str:
    """Say *parts*, then record after a tone, at most *seconds*; what was recorded is POSTed to the absolute URL *action*,
    and so is the silence of a caller who says nothing, or Twilio would end the call without a word."""
    _require_absolute(action)
    return (
        f'{_HEAD}{_say(parts)}<Record action="{_escape(action)}" method="POST" maxLength="{int(seconds)}"'
        f' timeout="{int(silence)}" finishOnKey="#" playBeep="true"/>'
        f'<Redirect method="POST">{_escape(action)}</Redirect></Response>'
    )


def reject(reason: Literal["rejected", "busy"] = "rejected") -> str:
    """Refuse the call without answering it (and without cost)."""
    return f'{_HEAD}<Reject reason="{reason}"/></Response>'


def _say(parts: Sequence[Spoken]) -> str:
    return "".join(
        f'<Say language="{part.language}" voice="{_escape(part.voice)}">{_escape(piece)}</Say>'
        for part in parts
        for piece in _pieces(safe_text(part.text).strip())
    )


def _pieces(text: str) -> list[str]:
    pieces = []
    while len(text) > SAY_LIMIT:
        cut = text.rfind(" ", 1, SAY_LIMIT)
        cut = cut if cut > 0 else SAY_LIMIT
        pieces.append(text[:cut])
        text = text[cut:].lstrip()
    return [*pieces, text] if text else pieces


def _cut_hints(hints: str) -> str:
    words = [word.strip()[:_HINT_LIMIT] for word in safe_text(hints).split(",")]
    return ",".join([word for word in words if word][:_HINT_COUNT])


def _require_absolute(action: str) -> None:
    # A relative action fails in a call that was created with inline TwiML.
    if not action.startswith(("https://", "http://")):
        raise ValueError("action must be an absolute URL: configured public URL + path")
