"""A flow's simulator: the turn that patients get, played from codes in the address, so that it can be shared.

The address holds how replies were read, never words; what is typed is read once and becomes a code. Nothing is sent, kept
or counted.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal
from urllib.parse import urlencode

from flask import Response, abort

from bot import tryout
from bot.console import terms
from bot.console.desk import Visit
from bot.console.languages import sentence
from bot.flow import model
from bot.flow.load import Loaded
from bot.proof.graph import rules
from bot.tasks import TASKS
from bot.tryout import Exchange
from bot.turn import Door

LONGEST_TYPED = 320
SPECIAL: tuple[tuple[str, str], ...] = (
    (tryout.UNCLEAR, sentence("not understood")),
    (tryout.SILENCE, sentence("no reply")),
    ("B", sentence("back")),
    ("H", sentence("a person")),
    ("P", sentence("help")),
    ("N", sentence("restart")),
    ("E", sentence("emergency sign")),
    ("C", sentence("crisis")),
    ("G", sentence("urgent sign")),
    ("M", sentence("under 18")),
    ("X", "STOP"),
)
WORDS = {
    "yes": sentence("yes"),
    "no": sentence("no"),
    "R": sentence("repeat"),
    "I": "START",
    "Len": sentence("English"),
    "Les": sentence("Spanish"),
    "D": sentence("a visit"),
}


def page(visit: Visit, name: str) -> Response:
    """The conversation so far, what may be answered, and which rule decided."""
    return _page(visit, name, _asked(visit, name))


def typed(visit: Visit, name: str) -> Response:
    """Words are read under the open question and become a code in the address."""
    asked = _asked(visit, name)
    exchanges = _played(visit, name, asked)
    words = visit.typed("words", LONGEST_TYPED).strip()
    if not words:
        return visit.go(_address(name, asked))
    last = exchanges[-1].turn.heard
    channel = "sms" if asked["c"] == "sms" else "dtmf" if words.isdecimal() else "speech"
    reading = visit.desk.conversation.clinic.read(words, last.expects, last.language, channel)
    return visit.go(_address(name, asked, tryout.code_of(reading)))


def _asked(visit: Visit, name: str) -> dict[str, str]:
    """What the address says, cut to what it may say."""
    loaded = visit.desk.conversation.clinic.flows.get(name) or abort(404)
    given = visit.request.args
    languages = loaded.flow.languages
    follows = list(loaded.flow.follows)
    known = tryout.every_code(visit.desk.conversation.clinic.flows.values())
    # What is no code may be anybody's words, and goes no further.
    codes = [code if code in known else tryout.UNCLEAR for code in given.get("w", "")[:1000].split(".") if code]
    doors = [door for door in ("sms", "voice") if door in loaded.flow.initial]
    return {
        "c": given.get("c", "") if given.get("c", "") in doors else doors[0],
        "l": given.get("l", "") if given.get("l", "") in languages else languages[0],
        "o": given.get("o", "") if given.get("o", "") in follows else (follows[0] if follows else ""),
        "w": ".".join(codes[: tryout.LONGEST]),
    }


def _address(name: str, asked: dict[str, str], code: str = "", **other: str) -> str:
    """The same conversation, one *code* longer, or by another channel or in another language."""
    whole = {**asked, **other}
    whole["w"] = ".".join(part for part in (whole["w"], code) if part)
    return f"/flows/{name}/try?" + urlencode({key: value for key, value in whole.items() if value})


def _played(visit: Visit, name: str, asked: dict[str, str]) -> list[Exchange]:
    door: Door = "voice" if asked["c"] == "voice" else "sms"
    codes = asked["w"].split(".") if asked["w"] else []
    clinic = visit.desk.conversation.clinic
    return list(tryout.play(clinic, name, door, asked["l"], codes, visit.desk.now(), asked["o"] or None))


def _page(visit: Visit, name: str, asked: dict[str, str]) -> Response:
    loaded = visit.desk.conversation.clinic.flows[name]
    exchanges = _played(visit, name, asked)
    last = exchanges[-1]
    answers = [(code, _label(visit, loaded, last, code)) for code in tryout.codes_of(last)]
    codes = asked["w"].split(".") if asked["w"] else []
    return visit.page(
        "simulator.html",
        name=name,
        loaded=loaded,
        asked=asked,
        turns=[_told(visit, loaded, exchanges, at) for at in range(len(exchanges))],
        answers=[(label, _address(name, asked, code)) for code, label in answers],
        special=[(visit.say(label), _address(name, asked, code)) for code, label in SPECIAL],
        again=_address(name, {**asked, "w": ""}),
        undo=_address(name, {**asked, "w": ".".join(codes[:-1])}) if codes else "",
        others=[*_others(visit, name, loaded, asked)],
        here=visit.desk.address + _address(name, asked),
        action=_address(name, asked),
        full=len(codes) >= tryout.LONGEST,
        ended=last.turn.heard.session is not None and last.turn.heard.session.ended,
    )


def _others(visit: Visit, name: str, loaded: Loaded, asked: dict[str, str]) -> Iterator[tuple[str, str, bool]]:
    """(label, address, chosen) of the same answers by another channel or in another language."""
    for door in ("sms", "voice"):
        if door in loaded.flow.initial:
            yield visit.say(terms.CHANNELS[door]), _address(name, asked, c=door), asked["c"] == door
    for language in loaded.flow.languages:
        yield visit.say(terms.LANGUAGES[language]), _address(name, asked, l=language), asked["l"] == language


def _label(visit: Visit, loaded: Loaded, at: Exchange, code: str) -> str:
    """An answer as a patient would choose it."""
    session = at.turn.heard.session
    state = loaded.states.get(session.state) if session and session.flow == loaded.flow.id else None
    if isinstance(state, model.Question):
        for option in state.takes.options:
            if option.value == code:
                return option.label.get(at.turn.heard.language) or terms.value(visit.say, code)
    given = {**dict(SPECIAL), **WORDS}.get(code)
    return visit.say(given) if given else terms.value(visit.say, code)


def _told(visit: Visit, loaded: Loaded, exchanges: list[Exchange], at: int) -> dict[str, Any]:
    """One turn in words: what was said, where it led, by which rule, and what else it did."""
    one = exchanges[at]
    heard, session = one.turn.heard, one.turn.heard.session
    before = one.before.session
    flow = visit.desk.conversation.clinic.flows.get(session.flow) if session else None
    named = session.rule if session and (before is None or session.rule != before.rule) else None
    planned = [
        terms.value(visit.say, later.body.get("n", later.kind)) for later in one.turn.later if later.kind != "silence"
    ]
    end: Literal["listen", "hangup", "dial", "offer", "record"] = heard.end
    return {
        "code": one.code,
        "said": _label(visit, loaded, exchanges[at - 1], one.code) if at else "",
        "says": list(heard.says) if not heard.silent else [],
        "language": heard.language,
        "silent": heard.silent,
        "segments": one.segments,
        "state": terms.state(visit.say, session.state) if session else "",
        "flow": visit.say(flow.flow.title) if session and flow and session.flow != loaded.flow.id else "",
        "rule": named,
        "rule_says": [text for _, rule, text, _, _ in rules(flow or loaded, visit.say) if rule == named],
        "outcome": visit.say(terms.ENDS.get(session.outcome or session.disposition or "", "")) if session else "",
        "tasks": [visit.say(TASKS[kind].says) for kind in one.turn.tasks],
        "links": [visit.say("a link to book: {visit}", visit=visit.say(terms.OUTCOMES[to])) for _, to in one.turn.links],
        "later": [visit.say("planned: {what}", what=", ".join(planned))] if planned else [],
        "sources": sorted({seed for _, rule, _, _, seeds in rules(flow or loaded) if rule == named for seed in seeds}),
        "dials": end == "dial",
    }  # fmt: skip
