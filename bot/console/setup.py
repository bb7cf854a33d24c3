"""The settings as they are in force, to read: value, where it comes from, what it means. Secrets never; nothing is set."""

from __future__ import annotations

from flask import Response

from bot.console.desk import Visit
from bot.console.languages import sentence
from bot.settings import Settings

ORIGINS = {
    "environment": sentence("environment"),
    ".env": sentence("file .env"),
    "sandbox": sentence("sandbox"),
    "default": sentence("default"),
}


def page(visit: Visit) -> Response:
    """Every setting, in the order of the README."""
    settings = visit.desk.settings
    rows = [
        {
            "name": name.upper(),
            "value": settings.shown(name),
            "origin": visit.say(ORIGINS[settings.origin(name)]),
            "meaning": visit.say(field.description or ""),
        }
        for name, field in Settings.model_fields.items()
    ]
    return visit.page("settings.html", rows=rows)
