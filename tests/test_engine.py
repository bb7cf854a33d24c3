"""The engine: total over every reading in every state, and its rules one by one."""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot import engine
from bot.engine import Session, Step
from bot.flow.load import load_flow
from bot.reading.model import Reading

FLOW = load_flow((Path(__file__).parents[1] / "flows" / "triage.json").read_text("utf-8"), "flows/triage.json")
ANSWERS = ["yes", "no", *range(11), "worse", "same", "better", "surgery", "unknown", "injury", "local", "nerve", "rehab",
           "both", "diagnosis", "link", "staff", "en", "es"]  # fmt: skip
COMMANDS = ["human", "help", "restart", "back", "repeat", "language_en", "language_es", "schedule", "cancel_appt"]
READINGS = st.one_of(
    st.sampled_from(ANSWERS).map(lambda value: Reading("answer", value)),
    st.sampled_from(COMMANDS).map(lambda value: Reading("command", value)),
    st.sampled_from(["emergency", "crisis", "urgent"]).map(lambda value: Reading("emergency", value)),
    st.sampled_from(["pmr", "pt", "both", "visit"]).map(lambda value: Reading("info", value)),
    st.sampled_from(["opt_out", "opt_in", "minor", "unclear", "silence"]).map(Reading),  # type: ignore[arg-type]
)


def fresh(channel: str = "sms") -> Session:
    return Session("s1", "triage", FLOW.hash, "en", channel)


def walk(*readings: Reading, channel: str = "sms") -> Step:
    step = engine.begin(FLOW, fresh(channel), Reading("unclear"))
    for reading in readings:
        step = engine.advance(FLOW, step.session, reading)
    return step


def says(value: str | int) -> Reading:
    return Reading("answer", value)


YES, NO, UNCLEAR, SILENCE = says("yes"), says("no"), Reading("unclear"), Reading("silence")


def _fits(session: Session, reading: Reading) -> bool:
    """The reading room only gives answers that the open question takes."""
    if reading.kind != "answer":
        return True
    expects = engine.waiting(FLOW, session)
    if expects is None:
        return False
    domain = {"yesno": ("yes", "no"), "scale0_10": tuple(range(11)), "choice": expects.options}[expects.type]
    return reading.value in domain


@settings(max_examples=400, deadline=None, derandomize=True, database=None)
@given(st.sampled_from(["sms", "voice"]), st.lists(READINGS, max_size=25))
def test_every_reading_in_every_state_gives_a_step_that_says_something(channel: str, readings: list[Reading]) -> None:
    """Total: no exception, always in a declared state, always one more turn, always a text unless the end is quiet."""
    step = engine.begin(FLOW, fresh(channel), readings[0] if readings else UNCLEAR)
    for reading in readings:
        if not _fits(step.session, reading):
            continue
        before, step = step.session, engine.advance(FLOW, step.session, reading)
        assert step.session.turn == before.turn + 1
        assert step.session.state in FLOW.states
        assert step.say or step.session.state in ("lapsed",)
        assert step.session.ended == (engine.waiting(FLOW, step.session) is None)


@settings(max_examples=300, deadline=None, derandomize=True, database=None)
@given(st.lists(READINGS, max_size=20))
def test_a_recommendation_is_only_reached_with_three_clear_no_answers(readings: list[Reading]) -> None:
    """I3 on random walks; the proof shows it on all of them."""
    step = engine.begin(FLOW, fresh(), UNCLEAR)
    for reading in readings:
        if _fits(step.session, reading):
            step = engine.advance(FLOW, step.session, reading)
        if step.session.outcome in ("pmr", "pt", "both"):
            answers = step.session.answers
            assert [answers.get(name) for name in ("screen_a", "screen_b", "screen_c")] == ["no", "no", "no"]


@pytest.mark.parametrize("at", range(9))
def test_an_emergency_word_ends_any_state_at_once(at: int) -> None:
    """Rule 3: from each question of the walk, the next thing said is the emergency text and nothing before it."""
    path = [YES, NO, NO, NO, says(4), says("same"), says("injury"), says("local"), says("rehab")][:at]
    step = engine.advance(FLOW, walk(*path).session, Reading("emergency", "emergency"))
    assert step.say == ("emergency",)
    assert step.session.outcome == "emergency"
    assert step.session.rule == "R0"
    assert ("task", "emergency") in [(effect.kind, effect.value) for effect in step.effects]


def test_an_urgent_word_never_softens_an_emergency() -> None:
    """After "call 911" the answer stays "call 911"."""
    step = walk(Reading("emergency", "crisis"), Reading("emergency", "urgent"))
    assert step.say == ("crisis",)
    assert step.session.outcome == "emergency"


def test_a_screen_that_stays_unclear_is_urgent_and_never_a_no() -> None:
    """Rule 4 and I4: three unclear answers give the urgent text, with a task for a person."""
    step = walk(YES, UNCLEAR, UNCLEAR, UNCLEAR)
    assert step.session.outcome == "urgent"
    assert step.say == ("urgent_unclear",)
    assert [effect.value for effect in step.effects if effect.kind == "task"] == ["unclear_safety"]


def test_a_clear_answer_after_two_unclear_ones_counts() -> None:
    """The count is per question and starts again with the next."""
    step = walk(YES, UNCLEAR, UNCLEAR, NO, UNCLEAR, UNCLEAR, NO)
    assert step.session.state == "screen_c"
    assert step.session.misses == 0


def test_silence_by_text_is_a_nudge_then_the_end_without_an_outcome() -> None:
    """Rule 5 and I29."""
    nudge = walk(YES, SILENCE)
    assert nudge.say == ("nudge_mid",)
    end = engine.advance(FLOW, nudge.session, SILENCE)
    assert (end.session.outcome, end.session.disposition) == (None, "expired")


def test_timers_are_half_an_hour_and_then_the_rest_of_a_day() -> None:
    """The nudge at 30 minutes, the end at 24 hours from the question."""
    first = walk(YES)
    assert [effect.value for effect in first.effects if effect.kind == "silence"] == [30]
    second = engine.advance(FLOW, first.session, SILENCE)
    assert [effect.value for effect in second.effects if effect.kind == "silence"] == [24 * 60 - 30]


def test_silence_and_misses_are_counted_apart_on_the_phone() -> None:
    """Two of each do not make three of one."""
    step = walk(says("en"), YES, SILENCE, UNCLEAR, SILENCE, UNCLEAR, channel="voice")
    assert step.session.state == "screen_a"
    assert not step.session.ended


def test_back_forgets_the_answer_and_asks_the_screen_again() -> None:
    """Rule 6 and I31: no way round a screen by going back."""
    step = walk(YES, NO, NO, Reading("command", "back"))
    assert step.session.state == "screen_b"
    assert "screen_b" not in step.session.answers


def test_back_after_a_recommendation_changes_nothing() -> None:
    """The result stands; RESTART is the way to answer again."""
    step = walk(YES, NO, NO, NO, says(9), Reading("command", "back"))
    assert step.session.outcome == "pmr"


def test_restart_after_an_emergency_needs_everything_again() -> None:
    """I30."""
    step = walk(YES, says("yes"), Reading("command", "restart"))
    assert step.say[:2] == ("hello", "consent")
    assert step.session.answers == {}
    assert step.session.outcome is None


def test_screen_b_is_split_in_two_for_the_ear_only() -> None:
    """By text one list; by voice two halves, both needing their own no."""
    assert walk(YES, NO, NO).session.state == "screen_c"
    assert walk(says("en"), YES, NO, NO, channel="voice").session.state == "screen_b2"


def test_help_says_the_help_text_and_asks_the_open_question_again() -> None:
    """HELP is not an answer and not a miss."""
    step = walk(YES, Reading("command", "help"))
    assert step.say == ("help", "screen_a")
    assert step.session.misses == 0


def test_the_language_changes_and_the_question_stays() -> None:
    """The same question in the other language."""
    step = walk(YES, NO, Reading("command", "language_es"))
    assert step.session.language == "es"
    assert step.say == ("lang_switch", "screen_b")


def test_a_child_gets_no_triage() -> None:
    """I21: no recommendation, no link."""
    step = walk(Reading("minor"))
    assert step.session.disposition == "minor"
    assert step.session.outcome is None


def test_the_two_nearest_readings_are_offered_once() -> None:
    """The first re-ask names them, the second is plain."""
    near = Reading("unclear", suggestions=("worse", "same"))
    first = walk(YES, NO, NO, NO, says(3), near)
    assert first.say == ("did_you_mean", "worsening")
    assert first.values["a"] == "1 worse"
    second = engine.advance(FLOW, first.session, near)
    assert second.say == ("retry_choice", "worsening")


def test_an_opener_in_distress_is_answered_before_any_greeting() -> None:
    """The scan reads the first message too."""
    step = engine.begin(FLOW, fresh(), Reading("emergency", "emergency"))
    assert step.say == ("emergency",)
