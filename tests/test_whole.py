"""The walking whole: real web server, real store, real RQ worker, the official client, the local Twilio."""

from __future__ import annotations

import re
from collections.abc import Iterator
from urllib.error import HTTPError
from urllib.request import HTTPRedirectHandler, Request, build_opener, urlopen

import pytest

from tests.whole import Whole

DAY = 86_400
TO_THE_DOCTOR = ("hi", "yes", "no", "no", "no", "9")


@pytest.fixture(scope="module")
def whole() -> Iterator[Whole]:
    with Whole() as running:
        yield running


def phone(whole: Whole) -> str:
    """A patient nobody has heard of."""
    made: str = whole.post("phones")["id"]
    return made


def recommended(whole: Whole, patient: str) -> str:
    """Walk to the recommendation, agree to check-ins; the answer with the link."""
    answer = ""
    for said in TO_THE_DOCTOR:
        answer = whole.say(said, patient)
    assert "Thank you" in whole.say("yes", patient)
    return answer


class _Stay(HTTPRedirectHandler):
    def redirect_request(self, *_: object) -> None:  # type: ignore[override]
        return None


def press(link: str) -> str:
    """Press the button of a link's page; where it leads."""
    with pytest.raises(HTTPError) as caught:
        build_opener(_Stay).open(Request(link, b"", method="POST"), timeout=10)
    with caught.value as answer:
        assert answer.code == 303
        return str(answer.headers["Location"])


def later(whole: Whole, patient: str, wanted: str) -> str:
    """The first automatic text with *wanted* in it."""

    def find() -> str:
        return next((one["text"] for one in whole.texts(patient) if not one["mine"] and wanted in one["text"]), "")

    return str(whole.until(find, f"a text with {wanted!r}"))


def test_a_patient_is_screened_asked_advised_and_reminded_a_day_later(whole: Whole) -> None:
    """Text in, recommendation with reason and link out, and the reminder with a fresh link after 24 hours."""
    patient = phone(whole)
    answer = recommended(whole, patient)
    assert "your pain is strong" in answer
    assert re.search(r"http://127\.0\.0\.1:\d+/go/\S+", answer)
    whole.post("later", seconds=DAY)
    reminder = later(whole, patient, "Do you still need a visit?")
    assert "/go/" in reminder
    whole.until(
        lambda: all(one["status"] == "delivered" for one in whole.texts(patient) if "still need" in one["text"]),
        "the reminder is delivered",
    )


def test_a_link_that_was_only_looked_at_still_reminds_and_an_opened_one_does_not(whole: Whole) -> None:
    """A scanner's GET changes nothing; the button's POST forwards to the booking page and takes the reminder back."""
    looked, opened = phone(whole), phone(whole)
    links = {}
    for patient in (looked, opened):
        found = re.search(r"http://\S+/go/\S+", recommended(whole, patient))
        assert found
        links[patient] = found.group()
    for _ in range(2):
        with urlopen(links[looked], timeout=10) as page:
            assert "<button" in page.read().decode()
    assert press(links[opened]).endswith("/booking/pmr")
    whole.post("later", seconds=DAY)
    later(whole, looked, "Do you still need a visit?")
    assert not [one for one in whole.texts(opened) if "still need" in one["text"]]


def test_stop_takes_everything_back(whole: Whole) -> None:
    """After STOP nothing more arrives, a reminder least of all; another patient's does."""
    stopped, control = phone(whole), phone(whole)
    for patient in (stopped, control):
        recommended(whole, patient)
    whole.say("STOP", stopped)
    count = len(whole.texts(stopped))
    whole.post("later", seconds=DAY)
    later(whole, control, "Do you still need a visit?")
    assert len(whole.texts(stopped)) == count


def test_silence_is_nudged_once_and_then_closed(whole: Whole) -> None:
    """Half an hour, then a day: one nudge, one end, no outcome."""
    patient = phone(whole)
    whole.say("hi", patient)
    whole.say("yes", patient)
    whole.post("later", seconds=3600)
    later(whole, patient, "Still there?")
    whole.post("later", seconds=DAY)
    later(whole, patient, "I closed this chat")
    assert "Are you 18 or older" in whole.say("hello again", patient)


def test_an_emergency_is_answered_at_once_and_nothing_follows(whole: Whole) -> None:
    """911 first; no link, no nudge."""
    patient = phone(whole)
    assert "Call 911 now" in whole.say("i cant breathe", patient)
    whole.post("later", seconds=DAY)
    assert not [one for one in whole.texts(patient) if "/go/" in one["text"] or "Still there" in one["text"]]


def test_no_number_and_no_word_of_a_patient_is_in_the_logs(whole: Whole) -> None:
    """Everything printed by every process during these tests."""
    patient = phone(whole)
    whole.say("CANARYWORD my knee", patient)
    assert "CANARYWORD" not in whole.log()
    assert not re.search(r"\+1\d{10}|\b\d{10}\b", whole.log())


def test_a_second_start_says_what_runs_and_ctrl_c_stops_everything() -> None:
    """One product per data folder; a clean stop gives 0 and leaves no process."""
    import subprocess
    import sys

    with Whole() as running:
        second = subprocess.run(
            [sys.executable, "-m", "bot", "run"], env=running.environment, capture_output=True, text=True, timeout=20
        )
        assert second.returncode == 1
        assert running.address in second.stdout
        assert running.stop() == 0
        found = subprocess.run(["pgrep", "-f", str(running.folder)], capture_output=True, text=True, check=False)
        assert found.stdout == ""
