"""A console with figures in it: weeks of seeded counts beside real conversations, and a server for a browser."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from random import Random

import waitress

from bot.counts import day_of, week_of, weeks_until
from bot.engine import Session
from bot.packed import pack
from bot.record import Record, to_bytes
from bot.store.counted import Counted
from bot.store.store import Store
from bot.unread import Unread
from tests.test_console import Place

ZONE = "America/Chicago"
MIX = {"pmr": 0.42, "both": 0.14, "pt": 0.18, "urgent": 0.05, "emergency": 0.03, "staff": 0.05, "minor": 0.01,
       "expired": 0.1, "opted_out": 0.02}  # fmt: skip
WAY = ("@sms", "consent", "screen_a", "screen_b", "screen_c", "severity", "trend", "cause", "pattern", "goal")
OLD = "0ld0ld0ld0ld0ld0"


def seed(
    place: Place, *, weeks: int = 12, walks: int = 160, mixes: tuple[dict[str, float], dict[str, float]] = (MIX, MIX)
) -> None:
    """*walks* conversations a week, the first half of the weeks on an older version."""
    chance = Random(16)

    def add(one: tuple[str, str, int]) -> None:
        Counted(place.desk.store).raise_to(0, one[0], [one[1:]])

    live = place.conversation.clinic.flows["triage"].hash
    for at, week in enumerate(weeks_until(place.at, ZONE, weeks)):
        old = at < weeks // 2
        version, mix = (OLD, mixes[0]) if old else (live, mixes[1])
        left = walks + chance.randrange(-20, 20)
        for result in chance.choices(list(mix), list(mix.values()), k=left):
            add((week, f"o|triage|{version}|{result}", 1))
        for before, after in pairwise(WAY):
            gone = int(left * chance.uniform(0.01, 0.05))
            unread = int(left * chance.uniform(0.01, 0.08))
            if before != "@sms":
                add((week, f"e|triage|{version}|{before}|silence|expired|sms", gone))
                add((week, f"e|triage|{version}|{before}|unclear|{before}|sms", unread))
                left -= gone
            add((week, f"e|triage|{version}|{before}|answer|{after}|sms", left))
        for stage, share in (("linked", 0.7), ("link_opened", 0.52), ("booked", 0.33)):
            add((week, f"s|{stage}", int(left * share)))
        for code, many in ((0, left), (30003, 4), (30006, 2), (30007, 1)):
            add((week, f"m|{'undelivered' if code else 'delivered'}|{code}", many))
    for back in range(weeks * 7):
        at_day = place.at - back * 86_400
        for what, price, units in (
            ("reply", 12_000, 300 + chance.randrange(120)),
            ("text", 1, 900_000),
            ("call", 1, 240_000),
        ):
            add((week_of(at_day, ZONE), f"$|{day_of(at_day, ZONE)}|{what}|{price}", units))


def crowd(store: Store, many: int, now: float) -> None:
    """*many* patients with a conversation of the last year behind them, as their commits leave them: record and log."""
    chance = Random(5)
    for number in range(many):
        at = now - chance.random() * 365 * 86_400
        result = chance.choice(["pmr", "pt", "both", "urgent"])
        session = Session(f"s{number}", "triage", OLD, "en", "sms", "followed", 9, outcome=result, ended=True)
        record = Record(f"+1713{number:07}", session, started_at=at, last_at=at + 600, result=result)
        patient = f"crowd{number:06}"
        events = [_line(f"s{number}", place, at, result) for place in range(len(WAY))]
        store.commit(patient, "k", "0|", record=to_bytes(record), answer=b"", events=events, now=at + 600)


def _line(session: str, place: int, at: float, result: str) -> bytes:
    """One line of a log, as long as they are."""
    last = place == len(WAY) - 1
    return pack({
        "at": at + 60 * place, "in": "said", "door": "sms", "said": "no not really", "reading": ["answer", "no", "a word for no"],
        "session": session, "flow": ["triage", OLD], "turn": place, "state": (*WAY[1:], "followed")[place], "language": "en",
        "says": ["Any of these, and is it NEW?\n- Can't pee, or can't hold pee or poop\n- Numb between your legs\nReply YES or NO"],
        "result": [result if last else None, None, "R2" if last else None, None], "tasks": [], "on": "1a2b3c4d",
    })  # fmt: skip


@contextmanager
def served(place: Place) -> Iterator[str]:
    """The console at an address of this machine."""
    server = waitress.create_server(place.app, host="127.0.0.1", port=0, threads=4)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.effective_port}"
    finally:
        server.close()
        thread.join(5)


def unread(place: Place) -> None:
    """Replies of several patients that the bot does not understand, gathered."""
    said = {"kinda sorta idk": 9, "depends who you ask lol": 7, "my name is Zebulon 4455": 6, "=HYPERLINK(\"x\")": 5,
            "<script>alert(1)</script>": 5, "write to zed@example.com": 3, "only i said this": 1}  # fmt: skip
    number = 0
    for words, many in said.items():
        for _ in range(many):
            number += 1
            for at, text in enumerate(("hi", "yes", words)):
                place.at += 1
                place.conversation.hear(f"+1713555{number:04}", "sms", text, f"SM{number}.{at}")
    Unread(place.desk.store).all_now(place.at + 100)
