"""The language of the interface: what the person chose, else what their browser prefers. The words: bot/staff_words.py."""

from __future__ import annotations

from flask import Request

from bot.staff_words import FOLDER as FOLDER
from bot.staff_words import Language as Language
from bot.staff_words import catalogue as catalogue
from bot.staff_words import say as say
from bot.staff_words import sentence as sentence

LANGUAGES: dict[Language, str] = {"en": "English", "es": "Español"}
COOKIE = "console-language"
MONTHS: dict[Language, tuple[str, ...]] = {
    "en": ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"),
    "es": ("ene", "feb", "mar", "abr", "may", "jun", "jul", "ago", "sep", "oct", "nov", "dic"),
}


def language_of(asked: Request) -> Language:
    """What the person chose; else what their browser prefers."""
    chosen = asked.cookies.get(COOKIE) or asked.accept_languages.best_match(list(LANGUAGES), "en")
    return "es" if chosen == "es" else "en"
