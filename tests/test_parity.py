"""The same answers come to the same outcome by text, by keys and by speech, in English and in Spanish (SPEC I17)."""

from __future__ import annotations

import csv
from functools import cache
from pathlib import Path

import pytest

from bot import engine
from bot.catalog import load_flows, load_words, reader
from bot.chat import Chat
from bot.flow import model
from bot.flow.load import Loaded
from bot.reading.model import Reading
from tests.transcripts import Transcript, transcripts

TABLE = Path(__file__).parents[2] / "shared" / "clinical" / "decision_table.csv"
SEVERITY = {"none": (0,), "mild_mod": (1, 6), "severe": (7, 10), "unclear": ("unclear",)}
COLUMN = {"trend": "worsening"}
NOISE = {"text": "the weather in boston", "speech": "The weather in Boston.", "keys": "99#"}
# How people say each value; the keys come from the menu.
SAID = {
    "en": {
        "yes": "yes", "no": "no", "worse": "it's getting worse", "same": "about the same", "better": "a little better",
        "surgery": "my surgery", "neuro": "a stroke", "injury": "an injury", "diagnosed": "a doctor named it",
        "unknown": "not sure", "local": "just one spot", "nerve": "it runs down my leg", "multi": "many joints",
        "movement": "no pain, just stiff", "diagnosis": "find the cause", "relief": "a shot", "rehab": "exercise and rehab",
        "both": "both", 0: "zero", 1: "one", 6: "six", 7: "seven", 10: "ten",
    },
    "es": {
        "yes": "sí", "no": "no", "worse": "va peor", "same": "sigue igual", "better": "mejor", "surgery": "una cirugía",
        "neuro": "un derrame", "injury": "una lesión", "diagnosed": "lo dijo un médico", "unknown": "no sé",
        "local": "en un solo lugar", "nerve": "me corre por la pierna", "multi": "varias coyunturas",
        "movement": "sin dolor, solo tieso", "diagnosis": "saber la causa", "relief": "una inyección",
        "rehab": "ejercicio y terapia", "both": "las dos", 0: "cero", 1: "uno", 6: "seis", 7: "siete", 10: "diez",
    },
}  # fmt: skip
READ = reader(load_words())


@cache
def heard(state: str, way: str, language: str, value: str | int) -> tuple[Reading, ...]:
    """What the reading room makes of *value* put this *way*: one reading, or three for what stays unclear."""
    question = load_flows()["triage"].states[state]
    assert isinstance(question, model.Question)
    channel = {"text": "sms", "keys": "dtmf", "speech": "speech"}[way]
    if value == "unclear":
        return (READ(NOISE[way], engine.expects(question), language, channel),) * 3
    said = key_of(question, value) if way == "keys" else SAID[language][value]
    said = f"{said.capitalize()}." if way == "speech" else said
    return (READ(said, engine.expects(question), language, channel),)


def key_of(question: model.Question, value: str | int) -> str:
    """The key of *value* on a phone."""
    if question.takes.type == "scale0_10":
        return str(value)
    options = ["yes", "no"] if question.takes.type == "yesno" else [one.value for one in question.takes.options]
    return str(options.index(str(value)) + 1)


def walk(loaded: Loaded, way: str, language: str, row: dict[str, str], severity: str | int) -> engine.Session:
    """One row of the table, from the first word to the outcome."""
    door = "sms" if way == "text" else "voice"
    fresh = engine.Session("s", "triage", loaded.hash, language, door, answers={"language_choice": language})
    session = engine.begin(loaded, fresh, Reading("unclear")).session
    for _ in range(40):
        if session.outcome is not None:
            return session
        name = session.state
        value: str | int = "yes" if name == "consent" else "no" if name.startswith("screen_") else ""
        if not value:
            value = severity if name == "severity" else row[COLUMN.get(name, name)]
        for reading in heard(name, way, language, value):
            session = engine.advance(loaded, session, reading).session
    raise AssertionError(f"{row} did not come to an end by {way} in {language}; it stands at {session.state}")


@pytest.mark.skipif(not TABLE.exists(), reason="shared/clinical/decision_table.csv is not beside this checkout")
@pytest.mark.parametrize("language", ["en", "es"])
@pytest.mark.parametrize("way", ["text", "keys", "speech"])
def test_every_row_of_the_decision_table_by_every_way_and_language(way: str, language: str) -> None:
    """2,400 rows, said as people say them or keyed: the clinicians' outcome, rule and reason."""
    loaded = load_flows()["triage"]
    for row in csv.DictReader(TABLE.read_text().splitlines()):
        for severity in SEVERITY[row["severity"]]:
            session = walk(loaded, way, language, row, severity)
            wanted = (row["outcome"], row["rule"], f"reason_{row['reason']}")
            assert (session.outcome, session.rule, session.reason) == wanted, (row, severity)


@pytest.mark.parametrize("way", ["keys", "speech"])
@pytest.mark.parametrize("transcript", [one for one in transcripts() if one.channel == "sms"], ids=lambda one: one.name)
def test_a_conversation_written_as_texts_ends_alike_on_a_call(transcript: Transcript, way: str) -> None:
    """Each text is said aloud, or keyed where a key can say it, up to the outcome."""
    said = [exchange.said for exchange in transcript.exchanges]
    if "" in said:
        pytest.skip("silence on a call has rules of its own (test_calls.py)")
    texts, call = Chat("sms", transcript.language), Chat("speech", transcript.language)
    call.say("")
    first = True
    for words in said:
        before = texts.heard.session.state if texts.heard and texts.heard.session else ""
        reading = texts.say(words).reading
        if first and reading.kind in ("unclear", "answer"):
            first = False  # the word that opened the texts opens nothing on a call: it is the call
            continue
        first = False
        while stands(call).state == "screen_b2":
            speak(call, "no", "keys")
        speak(call, (key_for(reading, before) if way == "keys" else "") or words, way)
        if stands(texts).outcome or stands(texts).disposition:
            break
    while stands(call).state == "screen_b2":
        speak(call, "no", "keys")
    wanted, got = stands(texts), stands(call)
    assert (got.outcome, got.disposition, got.rule, got.reason) == (
        wanted.outcome, wanted.disposition, wanted.rule, wanted.reason,
    )  # fmt: skip


def stands(chat: Chat) -> engine.Session:
    """Where a conversation is."""
    assert chat.heard is not None
    assert chat.heard.session is not None
    return chat.heard.session


def key_for(reading: Reading, state: str) -> str:
    """The keys for what a text said, or "" when only words can say it."""
    question = load_flows()["triage"].states.get(state)
    if reading.kind == "answer" and reading.value is not None and isinstance(question, model.Question):
        return key_of(question, reading.value if isinstance(reading.value, int) else str(reading.value))
    return "0" if reading.kind == "command" and reading.value == "human" else ""


def speak(call: Chat, words: str, way: str) -> None:
    """By keys when there are some, else aloud."""
    call.channel = "dtmf" if way == "keys" and words.isdecimal() else "speech"
    call.say(words)
