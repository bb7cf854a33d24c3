"""Checks TwiML against Twilio's whole grammar when ../shared is there, and against the shipped subset when not.

``assert not faults(document, "voice")`` is what other tests say. Also derives the shipped subset, so that a test can
keep the two equal.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bot.sandbox.grammar import Elements, Kind, problems, shipped_grammar

SHARED = Path(__file__).resolve().parents[2] / "shared" / "twilio"
FULL = SHARED / "twiml_grammar_flat.json"
_SSML = ["break", "emphasis", "lang", "p", "phoneme", "prosody", "s", "say-as", "sub", "w"]
_VOICE = ["Response", "Dial", "Number", "Gather", "Hangup", "Pause", "Play", "Record", "Redirect", "Reject", "Say"]
_MESSAGING = ["Response", "Message", "Body", "Media", "Redirect"]
_LANGUAGES = ("en-", "es-")
_SPEAKERS = ["Danielle", "Joanna", "Matthew", "Ruth", "Stephen", "Lupe", "Pedro", "Mia", "Andres"]


def full_grammar() -> Mapping[str, Elements]:
    """Twilio's own grammar, or the shipped subset in a clean clone that stands alone."""
    if not FULL.exists():
        return shipped_grammar()
    loaded: dict[str, Elements] = json.loads(FULL.read_text(encoding="utf-8"))
    return loaded


def faults(document: str | bytes, kind: Kind, *, inline: bool = False) -> list[str]:
    """Every fault of *document* as one sentence each; empty when Twilio would play it without a word."""
    return [f"{p.code} {p.text}" for p in problems(document, kind, grammar=full_grammar(), inline=inline)]


def derive(full: Mapping[str, Any]) -> dict[str, Any]:
    """The subset in bot/sandbox/grammar.json: the elements we speak, voices and languages of English, Spanish."""
    return {
        "_source": full["_source"],
        "_licence": "MIT. Copyright (C) Twilio, Inc. A subset, derived by tests/twiml_grammar.py.",
        "voice": {name: _slim(full["voice"][name], [*_VOICE, *_SSML]) for name in [*_VOICE, *_SSML]},
        "messaging": {name: _slim(full["messaging"][name], _MESSAGING) for name in _MESSAGING},
    }


def _slim(element: Mapping[str, Any], kept: list[str]) -> dict[str, Any]:
    attributes = {name: dict(rule) for name, rule in element["attributes"].items()}
    for name, rule in attributes.items():
        if name == "voice":
            rule["enum"] = [voice for voice in rule["enum"] if _our_voice(voice)]
        elif name == "language":
            rule["enum"] = [language for language in rule["enum"] if language.startswith(_LANGUAGES)]
    return {"attributes": attributes, "children": [child for child in element["children"] if child in kept]}


def _our_voice(voice: str) -> bool:
    company, _, name = voice.partition(".")
    if company == "Google":
        return name.startswith(("en-US", "es-US"))
    return company in ("man", "woman") or name.partition("-")[0] in _SPEAKERS
