"""Why this recommendation, for a nurse: the answers that decided, the rule, and what the clinic says. Only reads a flow.

Nothing here judges anew: the rule that the engine wrote down is looked up in the version of the flow that the patient is on.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from bot.console import terms
from bot.console.languages import Language, sentence
from bot.engine import context
from bot.flow import model
from bot.flow.guard import UNCLEAR, Guard
from bot.flow.load import Loaded
from bot.prompts import wording_of
from bot.proof.words_of_guard import Tell, plain
from bot.proof.words_of_guard import say as say_guard
from bot.session import Session

STAYED_UNCLEAR = sentence("{question} stayed unclear, or without a reply")
WORDS = {
    "emergency": sentence("words of an emergency"),
    "crisis": sentence("words of a crisis"),
    "urgent": sentence("words of something urgent"),
}
NOTHING_ELSE = sentence("no other rule fits, and what is unclear is for the doctor")
SAFETY = {
    "emergency": sentence(
        "Safety comes before every other rule: a sign of an emergency is for 911, whatever else was answered. The clinic's "
        "text about the two visits does not speak of emergencies; what it says of severe problems is the least:"
    ),
    "urgent": sentence(
        "Safety comes before every other rule: a warning sign, or a safety question that stays unclear, is seen today. The "
        "clinic's text about the two visits does not speak of warning signs; what it says of severe or unclear problems is the "
        "least:"
    ),
}


@dataclass(frozen=True, slots=True)
class Why:
    """*decided*: what the patient answered, or what was read, that was enough; *also*: the other answers. *rule*: its id,
    and *says* what it says. *told*: the reason in the patient's text. *clinic*: (sentence, its number in the flow)."""

    outcome: str
    decided: list[str]
    also: list[str]
    rule: str
    says: str
    told: str
    safety: str
    clinic: list[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class _Found:
    """A place of the flow that gives the rule."""

    says: str
    names: tuple[str, ...] = ()
    sources: tuple[str, ...] = ()


def explain(loaded: Loaded, session: Session, say: Tell, language: Language) -> Why | None:
    """None while there is no recommendation."""
    if session.outcome is None:
        return None
    found = next(_places(loaded, session, say), _Found(""))
    answers = {
        name: _answer(loaded, name, value, say, language) for name, value in session.answers.items() if value != UNCLEAR
    }
    decided = [answers.pop(name) for name in found.names if name in answers]
    sources = loaded.flow.sources
    return Why(
        outcome=say(terms.OUTCOMES.get(session.outcome, session.outcome)),
        decided=decided or ([found.says] if found.says else []),
        also=list(answers.values()),
        rule=session.rule or "",
        says=found.says,
        told=(wording_of(loaded, session.reason, language, "sms") or "") if session.reason else "",
        safety=say(SAFETY[session.outcome]) if session.outcome in SAFETY else "",
        clinic=[(say(sources[one]), one) for one in dict.fromkeys(found.sources) if one in sources],
    )


def _places(loaded: Loaded, session: Session, say: Tell) -> Iterator[_Found]:
    """Where the rule may have come from, what is surest first."""
    seen, states, silent = context(session), loaded.flow.states, list[_Found]()
    for name, state in states.items():
        if isinstance(state, model.Decision):
            yield from _of_table(state, session, say)
        if not isinstance(state, model.Question):
            continue
        store = state.store or name
        for arrow in state.transitions:
            if arrow.rule == session.rule and arrow.rule and arrow.guard and arrow.guard.decide(seen) is True:
                yield _Found(say_guard(arrow.guard, tell=say), tuple(_names(arrow.guard)), tuple(arrow.source))
        for policy in _policies(loaded, state):
            if policy.rule and policy.rule == session.rule:
                stayed = _Found(say(STAYED_UNCLEAR, question=terms.state(say, name)), (), tuple(policy.source))
                if session.answers.get(store) == UNCLEAR:
                    yield stayed
                silent += [stayed] if store not in session.answers and policy.target == session.state else []
    for event, arms in loaded.flow.on.items():
        for arm in arms:
            if arm.rule and arm.rule == session.rule and arm.target == session.state:
                yield _Found(say(WORDS.get(event, event)), (), tuple(arm.source))
    yield from silent


def _policies(loaded: Loaded, question: model.Question) -> Iterator[model.NoMatch | model.VoiceSilence]:
    """What follows an answer that stays unclear or away, of the question or of its flow."""
    defaults = loaded.flow.defaults
    silence = question.no_input or defaults.no_input
    yield from filter(None, (question.no_match or defaults.no_match, silence.voice if silence else None))


def _of_table(table: model.Decision, session: Session, say: Tell) -> Iterator[_Found]:
    seen = context(session)
    for rule in table.rules:
        if (rule.id, rule.reason) == (session.rule, session.reason) and rule.guard.decide(seen) is True:
            yield _Found(say_guard(rule.guard, tell=say), tuple(_names(rule.guard)), tuple(rule.source))
    last = table.otherwise
    if (last.id, last.reason) == (session.rule, session.reason):
        yield _Found(
            say(NOTHING_ELSE), tuple(name for name in table.asks if name in session.answers), tuple(last.source)
        )


def _names(guard: Guard) -> Iterator[str]:
    for part in guard.parts:
        yield from _names(part)
    if guard.name:
        yield guard.name


def _answer(loaded: Loaded, name: str, value: object, say: Tell, language: Language) -> str:
    """``goal: exercise and rehab``, as the patient could choose it."""
    values = value if isinstance(value, tuple | list) else (value,)
    return f"{plain(name, say)}: {', '.join(value_of(loaded, name, one, say, language) for one in values)}"


def value_of(loaded: Loaded, name: str, value: object, say: Tell, language: Language) -> str:
    """One answer in the words that its question offers, else as it is called."""
    for state in loaded.flow.states.values():
        if isinstance(state, model.Question) and state.store == name:
            for option in state.takes.options:
                if option.value == value and language in option.label:
                    return option.label[language]
    return plain(value, say)
