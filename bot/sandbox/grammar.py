"""Is this document TwiML that Twilio would play? The grammar (grammar.json) plus the rules no grammar can hold.

The data is derived from Twilio's own typings; this module adds nothing to it and plays nothing. Pure but for reading
the grammar file once.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit
from xml.etree import ElementTree

Kind = Literal["voice", "messaging"]
Elements = Mapping[str, Mapping[str, Any]]

BODY_LIMIT = 64 * 1024
SAY_LIMIT = 4096
MESSAGE_LIMIT = 1600
MESSAGES_LIMIT = 10
HINTS_LIMIT = 500
_XML_LANG = "{http://www.w3.org/XML/1998/namespace}lang"
# Voices whose language Twilio fixes; a wrong pair can fail the verb. Google names carry their language themselves.
_POLLY_LANGUAGE = {
    **dict.fromkeys(
        ("Danielle", "Gregory", "Ivy", "Joanna", "Joey", "Justin", "Kendra", "Kevin", "Kimberly", "Matthew", "Ruth"),
        "en-US",
    ),
    **dict.fromkeys(["Salli", "Stephen"], "en-US"),
    **dict.fromkeys(["Lupe", "Pedro", "Penelope", "Miguel"], "es-US"),
    **dict.fromkeys(["Mia", "Andres"], "es-MX"),
    **dict.fromkeys(["Conchita", "Enrique", "Lucia", "Sergio"], "es-ES"),
}


@dataclass(frozen=True, slots=True)
class Problem:
    """*code*: Twilio's error or warning number, 0 where only we object. *fatal*: Twilio would stop here; otherwise it
    warns and goes on."""

    code: int
    text: str
    fatal: bool


@cache
def shipped_grammar() -> Mapping[str, Elements]:
    """The subset beside this module: ``{"voice": elements, "messaging": elements}``."""
    loaded: dict[str, Elements] = json.loads(Path(__file__).with_name("grammar.json").read_text(encoding="utf-8"))
    return loaded


def parse(document: bytes) -> ElementTree.Element | Problem:
    """The document's root, or the fatal problem that keeps Twilio from reading it at all."""
    if len(document) > BODY_LIMIT:
        return Problem(11750, f"The TwiML is {len(document)} bytes long; Twilio takes {BODY_LIMIT}.", True)
    if b"<!DOCTYPE" in document or b"<!ENTITY" in document:
        return Problem(12100, "The TwiML declares a document type; Twilio refuses entities.", True)
    try:
        return ElementTree.fromstring(document)  # noqa: S314 - no document type, 64 kB at most
    except (ElementTree.ParseError, ValueError) as wrong:
        return Problem(12100, f"The TwiML is not well-formed XML: {wrong}.", True)


def problems(
    document: bytes | str, kind: Kind, *, grammar: Mapping[str, Elements] | None = None, inline: bool = False
) -> list[Problem]:
    """Everything wrong with *document* as *kind* TwiML; empty when Twilio would play it without a word.

    *inline*: it was given as the ``Twiml`` parameter of a call, so it has no URL that a relative one could lean on."""
    try:
        raw = document.encode() if isinstance(document, str) else document
    except UnicodeEncodeError:
        return [Problem(12100, "The TwiML holds a lone surrogate, which is no character.", True)]
    root = parse(raw)
    if isinstance(root, Problem):
        return [root]
    elements = (grammar or shipped_grammar())[kind]
    if root.tag != "Response":
        return [Problem(12100, f"The TwiML begins with <{root.tag}>, not <Response>.", True)]
    found: list[Problem] = []
    _check(root, elements, found)
    found += _messaging_rules(root) if kind == "messaging" else _voice_rules(root, inline)
    return found


def _check(element: ElementTree.Element, elements: Elements, found: list[Problem]) -> None:
    known = elements[element.tag]
    for name, value in element.attrib.items():
        name = "xml:lang" if name == _XML_LANG else name
        wrong = "" if (name, value) == ("timeout", "auto") else _attribute_fault(known["attributes"].get(name), value)
        if wrong:
            found.append(Problem(12200, f"<{element.tag} {name}={value!r}>: {wrong}.", False))
    for child in element:
        if child.tag not in known["children"] or child.tag not in elements:
            found.append(Problem(12200, f"<{child.tag}> may not stand inside <{element.tag}>.", False))
        else:
            _check(child, elements, found)


def _attribute_fault(rule: Mapping[str, Any] | None, value: str) -> str:
    if rule is None:
        return "there is no such attribute"
    if rule["type"] == "enum":
        words = value.split() if rule.get("space_separated_list") else [value]
        unknown = [word for word in words if word not in rule["enum"]]
        return f"{unknown[0]!r} is not one of the values Twilio lists" if unknown or not words else ""
    if rule["type"] == "number":
        return "" if value.isascii() and value.isdigit() else "that is not a number"
    if rule["type"] == "boolean":
        return "" if value in ("true", "false") else "that is neither true nor false"
    return ""


def _messaging_rules(root: ElementTree.Element) -> list[Problem]:
    found = []
    messages = [child for child in root if child.tag == "Message"]
    if len(messages) > MESSAGES_LIMIT:
        found.append(Problem(14109, f"{len(messages)} messages answer one message; Twilio takes 10.", True))
    for message in messages:
        body, media = message_body(message), message.findall("Media")
        if not body and not media:
            found.append(Problem(14103, "<Message> holds no text and no media.", False))
        if len(body) > MESSAGE_LIMIT:
            found.append(Problem(21617, f"<Message> is {len(body)} characters long; Twilio takes 1600.", False))
    return found


def message_body(message: ElementTree.Element) -> str:
    """The text of a ``<Message>``, whether it stands in ``<Body>`` or directly inside."""
    body = message.find("Body")
    return "".join((message if body is None else body).itertext()).strip() if body is not None else _own_text(message)


def _own_text(element: ElementTree.Element) -> str:
    return "".join([element.text or "", *(child.tail or "" for child in element)]).strip()


def _voice_rules(root: ElementTree.Element, inline: bool) -> list[Problem]:
    found = []
    for say in root.iter("Say"):
        text = "".join(say.itertext()).strip()
        if not text:
            found.append(Problem(13520, "<Say> has nothing to say.", False))
        if len(text) > SAY_LIMIT:
            found.append(Problem(13521, f"<Say> is {len(text)} characters long; Twilio takes {SAY_LIMIT}.", True))
        found += _voice_and_language(say.get("voice", ""), say.get("language"))
    for gather in root.iter("Gather"):
        found += _gather_rules(gather)
    for element in root.iter():
        target = (element.text or "").strip() if element.tag == "Redirect" else element.get("action")
        if inline and target is not None and not urlsplit(target).scheme:
            found.append(
                Problem(11100, f"<{element.tag}> points to {target!r}; in inline TwiML a URL must be absolute.", True)
            )
    return found


def _voice_and_language(voice: str, language: str | None) -> list[Problem]:
    company, _, name = voice.partition(".")
    if company == "Polly":
        fixed = _POLLY_LANGUAGE.get(name.partition("-")[0])
    else:
        fixed = "-".join(name.split("-")[:2]) if company == "Google" else None
    if language and fixed and language != fixed:
        return [Problem(0, f"The voice {voice} speaks {fixed}, not {language}.", False)]
    return []


def _gather_rules(gather: ElementTree.Element) -> list[Problem]:
    found = []
    if gather.get("speechTimeout") == "auto" and gather.get("speechModel"):
        found.append(Problem(13335, 'speechTimeout="auto" may not be combined with a speechModel.', True))
    if gather.get("action") is None:
        # Twilio would ask the current document again with the answer: a loop nobody meant.
        found.append(Problem(0, "<Gather> names no action, so its answer would go to the same document again.", False))
    hints = [hint.strip() for hint in gather.get("hints", "").split(",") if hint.strip()]
    if len(hints) > HINTS_LIMIT or any(len(hint) > 100 for hint in hints):
        found.append(Problem(0, "hints holds more than 500 entries, or one of more than 100 characters.", False))
    return found
