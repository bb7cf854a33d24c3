"""The one place where a turn happens, on the real store: once per key, nothing lost, STOP means stop."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable
from typing import Any

import pytest

from bot.catalog import make_clinic
from bot.consent import hours_for
from bot.conversation import Conversation
from bot.record import from_bytes
from bot.store.cipher import Cipher
from bot.store.store import Store

PHONE = "+17135550142"
Make = Callable[..., Conversation]


@pytest.fixture
def make(store: Store, cipher: Cipher) -> Make:
    """A conversation over the real store; ``mode`` is OPT_OUT_MODE, ``at`` a list whose last entry is the clock."""
    ids = itertools.count()

    def build(mode: Any = "app", at: list[float] | None = None) -> Conversation:
        clock = at or [1_764_007_200.0]
        clinic = make_clinic(
            values={"clinic": "CLS Health", "phone": "(713) 555-0100"},
            link=lambda patient: (token := store.new_token(patient), f"https://clinic.example/go/{token}"),
            new_id=lambda: f"s{next(ids)}",
            new_effect=store.new_effect_id,
            opt_out_mode=mode,
        )
        return Conversation(
            clinic,
            store,
            cipher.patient_id,
            now=lambda: clock[-1],
            hours=lambda _: hours_for((), "America/Chicago", "09:00", "20:00"),
            render=lambda heard: (heard.text or "").encode(),
            booking={"pmr": "https://book.example/pmr", "pt": "https://book.example/pt"},
        )

    return build


def text(conversation: Conversation, said: str, key: str, **more: Any) -> str:
    return conversation.hear(PHONE, "sms", said, key, **more).decode()


def record(store: Store, cipher: Cipher) -> Any:
    return from_bytes(store.load(cipher.patient_id(PHONE), "-").record or b"")


def walk(conversation: Conversation, *words: str) -> str:
    answer = ""
    for number, said in enumerate(words):
        answer = text(conversation, said, f"SM{number}")
    return answer


def test_a_webhook_that_comes_twice_gets_the_same_bytes_and_moves_nothing(
    make: Make, store: Store, cipher: Cipher
) -> None:
    """Late too: after the walk has gone on, the old key still gets its old answer."""
    conversation = make()
    first = text(conversation, "hi", "SM1")
    second = text(conversation, "yes", "SM2")
    turn = record(store, cipher).session.turn
    assert text(conversation, "yes", "SM2") == second
    assert text(conversation, "hi", "SM1") == first
    assert record(store, cipher).session.turn == turn


def test_many_texts_at_once_from_one_patient_lose_nothing(make: Make, store: Store, cipher: Cipher) -> None:
    """Eight webhooks in eight threads, each delivered twice: eight turns, sixteen answers, two of each."""
    conversation = make()
    text(conversation, "hi", "SM0")
    answers: list[tuple[str, str]] = []

    def send(key: str) -> None:
        answers.append((key, text(conversation, f"what {key}", key)))

    threads = [threading.Thread(target=send, args=(f"SM{number % 8 + 1}",)) for number in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(answers) == 16
    assert len(set(answers)) == 8
    assert len(store.events(cipher.patient_id(PHONE))) == 9


def test_after_stop_one_confirmation_then_silence_until_start(make: Make, store: Store, cipher: Cipher) -> None:
    """Everything planned is gone with the same commit; YES does not revive, START does."""
    conversation = make()
    walk(conversation, "hi", "yes", "no", "no", "no", "9", "yes")
    assert record(store, cipher).planned
    assert "no more texts" in text(conversation, "STOP", "SMa")
    assert record(store, cipher).planned == {}
    assert text(conversation, "hello?", "SMb") == ""
    assert text(conversation, "yes", "SMc") == ""
    assert "18 or older" in text(conversation, "START", "SMd")


@pytest.mark.parametrize("mode", ["twilio", "advanced"])
def test_what_the_carrier_has_answered_is_not_answered_again(make: Make, mode: str) -> None:
    """STOP, START and HELP by Twilio: recorded, empty answer. A free-form "stop texting me" is ours in every mode."""
    conversation = make(mode)
    given: Any = {"opt_out_type": "HELP"} if mode == "advanced" else {}
    assert text(conversation, "hi", "SM0")
    assert text(conversation, "HELP", "SM1", **given) == ""
    given = {"opt_out_type": "STOP"} if mode == "advanced" else {}
    assert text(conversation, "STOP", "SM2", **given) == ""
    assert text(conversation, "hi", "SM3") == ""
    again = make(mode)
    assert "no more texts" in again.hear("+17135550143", "sms", "please stop texting me", "SM9").decode()


def test_an_emergency_word_after_stop_is_a_task_and_never_only_stored(make: Make, store: Store) -> None:
    """I34: no text may answer, so a person must."""
    conversation = make()
    text(conversation, "hi", "SM1")
    text(conversation, "STOP", "SM2")
    assert text(conversation, "i have chest pain", "SM3") == ""
    assert store.tasks()[0].kind == "alarm_opted_out"


def test_the_alert_is_in_the_same_commit_as_the_words(make: Make, store: Store) -> None:
    """ "We told our team" is only said when the task is stored (I27)."""
    answer = text(make(), "i want to kill myself", "SM1")
    assert "We told our team" in answer
    assert [task.kind for task in store.tasks()] == ["crisis"]


def test_a_picture_without_words_is_answered_and_is_no_silence(make: Make) -> None:
    """MMS without a body: the question is asked again."""
    conversation = make()
    walk(conversation, "hi", "yes")
    assert "clear answer" in text(conversation, "", "SMx")


def test_two_machines_talking_to_each_other_stop(make: Make, store: Store) -> None:
    """The same text more than five times in half an hour: one task, then nothing."""
    conversation = make()
    answers = [text(conversation, "beep boop", f"SM{number}") for number in range(9)]
    assert all(answers[:5])
    assert answers[5:] == ["", "", "", ""]
    assert [task.kind for task in store.tasks()].count("echo") == 1


def test_a_day_later_an_ended_walk_begins_anew_and_repeats_no_answer(make: Make) -> None:
    """A number is an address, not an identity: the new walk starts at hello."""
    clock = [1_764_007_200.0]
    conversation = make(at=clock)
    walk(conversation, "hi", "yes", "no", "no", "no", "9", "no")
    clock.append(clock[-1] + 90_000)
    assert "not a doctor" in text(conversation, "hello", "SMz")


def test_a_dropped_call_goes_on_by_text_from_the_same_question(make: Make) -> None:
    """The first text after the call is not taken as an answer to what was only heard: it is asked in writing."""
    conversation = make()
    conversation.hear(PHONE, "voice", "", "CA1:start")
    conversation.hear(PHONE, "voice", "", "CA1:1", step="1", digits="1")
    conversation.hear(PHONE, "voice", "", "CA1:2", step="2", digits="1")
    assert "ANY of these now?" in text(conversation, "no", "SM1")
    assert "is it NEW" in text(conversation, "no", "SM2")


def test_an_old_key_press_reads_the_current_question_again(make: Make, store: Store, cipher: Cipher) -> None:
    """A repeated Gather of an old step moves nothing."""
    conversation = make()
    conversation.hear(PHONE, "voice", "", "CA1:start")
    conversation.hear(PHONE, "voice", "", "CA1:1", step="1", digits="1")
    before = record(store, cipher).session
    conversation.hear(PHONE, "voice", "", "CA1:again", step="1", digits="1")
    assert record(store, cipher).session.state == before.state


def test_the_log_of_every_turn_holds_and_verifies(make: Make, store: Store, cipher: Cipher) -> None:
    """One entry a turn, chained."""
    walk(make(), "hi", "yes", "no")
    patient = cipher.patient_id(PHONE)
    assert len(store.events(patient)) == 3
    assert store.verify(patient) is None


def test_threads_of_one_process_take_turns_of_one_patient_one_after_the_other() -> None:
    """Waiting is cheaper than deciding a turn that will meet a conflict; whoever waits too long goes on all the same."""
    from bot.alone import Alone

    alone, seen = Alone(), []
    with alone.of("p", 1.0):
        other = threading.Thread(target=lambda: (alone.of("p", 0.01).__enter__(), seen.append("gave up waiting")))
        other.start()
        other.join()
    with alone.of("p", 0.0):
        seen.append("free again")
    assert seen == ["gave up waiting", "free again"]
