"""The settings as they are in force, to read: value, where it comes from, what it means. Secrets never; nothing is set."""

from __future__ import annotations

from urllib.parse import urlsplit

from flask import Response
from pydantic import SecretStr

from bot.console.desk import Visit
from bot.console.languages import sentence
from bot.settings import Settings, as_written

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
            "value": shown(settings, name),
            "origin": visit.say(ORIGINS[settings.origin(name)]),
            "meaning": visit.say(field.description or ""),
        }
        for name, field in Settings.model_fields.items()
    ]
    return visit.page("settings.html", rows=rows)


def shown(settings: Settings, name: str) -> str | None:
    """The value of the field *name* as it is written in the environment; None for a secret that is set. An address is
    without the name, password and query it may hold, and one that is never printed is its server alone."""
    value, printed = getattr(settings, name), type(settings).model_fields[name].repr
    if isinstance(value, SecretStr) or (isinstance(value, tuple) and any(isinstance(one, SecretStr) for one in value)):
        return None if value else ""
    text = as_written(value)
    if "://" not in text:
        return text if printed or not text else None
    parts = urlsplit(text)
    if "@" in text and "@" not in parts.netloc:
        return None
    server = parts.netloc.rpartition("@")[2]
    return f"{parts.scheme}://{server}{parts.path if printed or not server else ''}"
