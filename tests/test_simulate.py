"""Simulated patients on the running program: every promise holds, and a bot that breaks one is told with its transcript."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from pathlib import Path
from random import Random
from typing import Any

import pytest
from click.testing import CliRunner

from bot.cli import cli
from bot.sandbox.line import Plan
from bot.simulate.command import simulate
from bot.simulate.person import Person
from bot.simulate.promises import Promises
from bot.simulate.town import OURS, Wsgi, opened


def test_forty_patients_in_bad_weather_meet_no_broken_promise() -> None:
    """All personas, both languages, five days on the virtual clock; webhooks twice, late and lost, reports lost and out of
    order, processes that die, a nurse in the middle, and calls of ours."""
    said: list[str] = []
    assert simulate(40, 14, "both", said.append, days=5) == 0, "\n".join(said)
    told = "\n".join(said)
    for fate in ("twice", "answer lost", "again later", "lost, redelivered", "died before the answer", "worker died",
                 "report lost", "report late", "report twice", "calls placed", "taken over"):  # fmt: skip
        assert re.search(rf"{fate} [1-9]", told), fate
    assert "emergency" in told
    assert "pmr" in told
    assert said[-1] == "Every promise held."


def answers_instead(answer: Callable[[bytes], bytes]) -> Callable[[Wsgi], Wsgi]:
    """A bot of which every answer to a text is changed on its way out."""

    def change(app: Wsgi) -> Wsgi:
        def broken(environ: Any, start: Any) -> Iterable[bytes]:
            if environ["PATH_INFO"] != "/sms":
                return app(environ, start)  # type: ignore[no-any-return]
            body = answer(b"".join(app(environ, lambda status, headers, *_: None)))
            start("200 OK", [("Content-Type", "text/xml"), ("Content-Length", str(len(body)))])
            return [body]

        return broken

    return change


@pytest.mark.parametrize(
    ("answer", "breach"),
    [
        (lambda body: b"<Response/>", "got no answer and no task"),
        (lambda body: body.replace(b"</Response>", b"<Message>And more.</Message></Response>"), "got 2 answers"),
        (lambda body: b"<Response><Message>Call 0</Message></Response>", "was not answered with 911 or 988"),
    ],
    ids=["nothing", "two", "no 911"],
)
def test_a_broken_bot_is_reported_with_its_transcript(answer: Callable[[bytes], bytes], breach: str) -> None:
    """The seed to run again, who met it, and what was on their phone."""
    said: list[str] = []
    assert simulate(13, 4, "en", said.append, days=0, change=answers_instead(answer)) == 1
    told = "\n".join(said)
    assert breach in told
    assert "patient: hi my back hurts" in told
    assert "--seed 4" in said[-1]


def test_an_answer_that_differs_from_one_retry_to_the_next_is_found() -> None:
    """The same SID, the same bytes."""
    count = iter(range(10_000))
    said: list[str] = []
    change = answers_instead(lambda body: f"<Response><Message>No. {next(count)}, 911</Message></Response>".encode())
    assert simulate(5, 4, "es", said.append, days=0, change=change) == 1
    assert "different answers" in "\n".join(said)


def test_the_command_refuses_more_people_than_there_are_numbers() -> None:
    """In words, with the limit."""
    found = CliRunner().invoke(cli, ["simulate", "--patients", "100000"])
    assert found.exit_code == 2
    assert "1<=x<=1200" in found.output


@pytest.mark.parametrize(
    ("words", "breach"),
    [
        ("chat after stop", "texts and 0 calls between STOP and START"),
        ("log", "run again"),
        ("screens", "a visit without the screens"),
        ("nurse", "while a nurse had them the bot wrote 'Are you there?'"),
        ("twice", "2 times the same text or call"),
        ("call", "a call without consent to calls"),
        ("unknown", "a text did not arrive, and nobody knows"),
    ],
)
def test_what_the_town_did_is_judged_and_not_only_what_it_answered(words: str, breach: str, tmp_path: Path) -> None:
    """A text after STOP, a log with another word in it, an outcome without its screens."""
    with opened(tmp_path, 2, "app", lambda app: app) as town:
        who = Person(town, "+17135550142", "terse", "en", Random(1))
        for said in ("hi", "1", "yes", "no", *(("STOP",) if words == "chat after stop" else ())):
            who.text(said)
            town.live()
        promises = Promises(town)
        assert promises.broken_for(who) == []
        if words == "chat after stop":
            town.clock.advance(60)
            town.sandbox.send(who.phone, "Are you there?")
        elif words == "nurse":
            who.nurse.claim()
            town.clock.advance(60)
            town.sandbox.send(who.phone, "Are you there?")
        elif words == "twice":
            for _ in range(2):
                town.sandbox.send(who.phone, "Are you there?", callback="http://127.0.0.1:1/status?m=0-one")
        elif words == "call":
            town.sandbox.dial_out(who.phone, OURS, Plan(url="http://127.0.0.1:1/call/0-one"))
        elif words == "unknown":
            town.sandbox.faults.undeliverable[who.phone] = 30007
            town.sandbox.send(who.phone, "Are you there?", callback=f"{town.app.settings.public_url}/status?m=0-none")
            town.sandbox.settle()
            promises = Promises(town)
        elif words == "screens":
            who.skipped.append("pt in pt")
        else:
            events = town.store.events
            town.store.events = lambda patient: [  # type: ignore[method-assign]
                raw.replace(b'"yes"', b'"no"') for raw in events(patient)
            ]
        assert breach in "; ".join(promises.broken_for(who))
        assert "patient: yes" in who.transcript()
