"""Why this recommendation: for every rule of the decision table, and every other way to a result, what is said to a nurse is
what decided, in both languages."""

from __future__ import annotations

from functools import partial
from itertools import product

import pytest

from bot import tryout
from bot.catalog import load_flows
from bot.chat import Chat
from bot.console.languages import Language, say
from bot.console.why import Why, explain
from bot.flow import model
from bot.session import Session
from tests.test_decision_table import drive

TRIAGE = load_flows()["triage"]
ROUTE = TRIAGE.states["route"]
assert isinstance(ROUTE, model.Decision)
# What a patient answers or writes -> the result, what decided in English and in Spanish, and the seed rule that stands beside it.
SAFETY = [
    ("yes.yes", "emergency", "screen a: yes", "seguridad A: sí"),
    ("yes.no.yes", "emergency", "screen b: yes", "seguridad B: sí"),
    ("yes.no.no.yes", "urgent", "screen c: yes", "seguridad C: sí"),
    ("yes.no.E", "emergency", "words of an emergency", "palabras de una emergencia"),
    ("C", "emergency", "words of a crisis", "palabras de una crisis"),
    ("yes.no.no.no.G", "urgent", "words of something urgent", "palabras de algo urgente"),
    ("yes.U.U.U", "urgent", "screen a stayed unclear", "seguridad A: siguió sin aclararse"),
    ("yes.no.no.U.U.U", "urgent", "screen c stayed unclear", "seguridad C: siguió sin aclararse"),
]


def both(session: Session) -> tuple[Why, Why]:
    told = [explain(TRIAGE, session, partial(say, language), language) for language in ("en", "es")]
    assert told[0]
    assert told[1]
    return told[0], told[1]


def reads_well(why: Why, language: Language) -> None:
    """Sentences, no codes; nothing of the other language."""
    for words, name in why.clinic:
        assert words.endswith("."), words
        assert "->" not in words
        assert (words in say_all("es")) == (language == "es"), (name, words)
    assert why.decided
    assert why.says


def say_all(language: Language) -> set[str]:
    return {say(language, text) for text in TRIAGE.flow.sources.values()}


def walks() -> dict[tuple[str, str | None, tuple[str, ...]], Session]:
    """One walk for each rule, reason and seed rules of the table, driven by the engine."""
    found: dict[tuple[str, str | None, tuple[str, ...]], Session] = {}
    values = {name: [o.value for o in state.takes.options] for name, state in TRIAGE.states.items()
              if isinstance(state, model.Question) and name in ROUTE.asks}  # fmt: skip
    names = ["trend", "cause", "pattern", "goal"]
    for severity, *rest in product((0, 4, 8, "unclear"), *([*values[name], "unclear"] for name in names)):
        row = dict(zip(names, rest, strict=True)) | {"worsening": rest[0]}
        session, _ = drive(TRIAGE, "sms", row, severity)
        why = explain(TRIAGE, session, partial(say, "en"), "en")
        found.setdefault(
            (str(session.rule), session.reason, tuple(one for _, one in why.clinic) if why else ()), session
        )
    return found


def test_every_rule_of_the_table_is_told_with_the_answers_that_decided_and_its_own_seed_rules() -> None:
    """Each row of the table is met, and says no more than what it looked at."""
    walked = walks()
    rows = {(rule.id, rule.reason, tuple(rule.source)): rule for rule in (*ROUTE.rules, ROUTE.otherwise)}
    last = (ROUTE.otherwise.id, ROUTE.otherwise.reason, tuple(ROUTE.otherwise.source))
    assert set(rows) - {last} <= set(walked)  # no walk comes to the last, which is there for what is never left open
    walked[last] = walked["R2", "reason_severe", ("S23a", "S34")].but(rule=last[0], reason=last[1])
    for (rule, _, seeds), session in walked.items():
        english, spanish = both(session)
        reads_well(english, "en")
        reads_well(spanish, "es")
        assert english.rule == spanish.rule == rule
        assert tuple(one for _, one in spanish.clinic) == seeds
        assert english.safety == spanish.safety == ""
        assert len(english.decided) == len(spanish.decided)
        assert english.told != spanish.told != ""
        assert english.says != spanish.says
        known = {one.partition(":")[0] for one in (*english.decided, *english.also)}
        assert rule == "R4" or {name.replace("_", " ") for name in session.answers} == known
    strong = both(walked["R2", "reason_severe", ("S23a", "S34")])
    assert [one.decided for one in strong] == [["severity: 8"], ["intensidad: 8"]]
    assert [one.says for one in strong] == ["severity is at least 7", "intensidad: 7 o más"]
    assert strong[0].clinic[0] == ("Severe pain begins with the doctor (PM&R).", "S23a")
    injury = both(next(session for (rule, reason, _), session in walked.items() if reason == "reason_injury"))
    assert "goal: exercise and rehab" in injury[0].decided
    assert "deseo: ejercicio y terapia" in injury[1].decided


@pytest.mark.parametrize(("codes", "outcome", "english", "spanish"), SAFETY, ids=[row[0] for row in SAFETY])
def test_an_emergency_or_urgent_result_says_that_safety_comes_first(
    codes: str, outcome: str, english: str, spanish: str
) -> None:
    """The clinic's article says nothing of emergencies; its sentence about severe pain stands there as the least."""
    clinic = Chat("sms", "en").conversation.clinic
    last = list(tryout.play(clinic, "triage", "sms", "en", codes.split("."), 1_790_000_000.0))[-1]
    session = last.turn.heard.session
    assert session
    assert session.outcome == outcome
    for why, words, language in zip(both(session), (english, spanish), ("en", "es"), strict=True):
        reads_well(why, language)  # type: ignore[arg-type]
        assert why.decided[0].startswith(words)
        assert [one for _, one in why.clinic] == ["S34"]
        assert why.safety.startswith("Safety comes before" if language == "en" else "La seguridad va antes")
