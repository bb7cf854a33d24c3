"""Taking over while everything happens at the same moment: nurses, the patient and workers, each with a connection of its own to
the real store, as processes or as threads. No switch is planned: what falls how is the machine's business, and what must hold
is read from the log, whose order is the order of the commits, and from what reached the carrier.
"""

from __future__ import annotations

import json
import multiprocessing
import random
import threading
import time
from dataclasses import dataclass, field
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from redis import Redis

from bot.carrier import CarrierError, Row
from bot.catalog import make_clinic
from bot.chat import DEMO
from bot.consent import hours_for
from bot.conversation import BusyError, Conversation
from bot.followups import Office
from bot.record import from_bytes
from bot.sending import Gate
from bot.store.cipher import Cipher
from bot.store.client import connect
from bot.store.embedded import EmbeddedServer
from bot.store.sends import Sends
from bot.store.store import Store
from bot.takeover import TakeOver
from tests.conftest import SECRET
from workers.executor import Executor

PHONE, BEGUN = "+17135550123", 1_790_000_000.0
NURSES = ("ana", "ben", "cem")
SAYS = ("RESTART", "RESTART", "yes", "yes", "no", "7", "maybe", "hello?", "thanks", "i cant breathe")
RESTS = 8  # jumps of the clock after everybody has stopped: what was put off is tried again
LATER = 4_000.0  # longer than any timer of a question


@dataclass
class Hand:
    """One actor: a connection, a conversation and a random plan of its own. *told*: what it will tell of at the end."""

    url: str
    name: str
    seed: int
    told: list[dict[str, Any]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.client: Redis = connect(self.url)
        self.store = Store(self.client, Cipher([SECRET]), buckets=3)
        self.chance = random.Random(self.seed)
        clinic = make_clinic(
            values=DEMO,
            link=lambda patient: (self.store.new_token(patient), "https://clinic.example/go/x"),
            new_id=lambda: f"{self.name}{self.chance.getrandbits(60):x}",
            new_effect=self.store.new_effect_id,
            opt_out_mode="app",
        )
        hours = hours_for((), "America/Chicago", "00:00", "23:59:59")
        self.conversation = Conversation(
            clinic, self.store, self.store.cipher.patient_id, now=self.now, hours=lambda phone: hours,
            render=lambda heard: (heard.text or "").encode(), booking={},
        )  # fmt: skip
        self.patient = self.store.cipher.patient_id(PHONE)
        self.hands = TakeOver(self.conversation)

    def now(self) -> float:
        """The product's clock, the same for all, with this machine's seconds on top so that no two moments are one."""
        jumped: Any = self.client.get("test:jumped")
        return BEGUN + float(jumped or 0) + time.monotonic() % 1000

    def going(self) -> bool:
        return not self.client.exists("test:over")

    def number_of(self, name: str) -> int:
        """A counter that all actors share."""
        found: Any = self.client.get(f"test:{name}")
        return int(found or 0)

    def note(self, what: str, begun: float, **more: Any) -> None:
        self.told.append({"what": what, "who": self.name, "from": begun, "to": time.monotonic(), **more})


def nurse(hand: Hand) -> None:
    """Claims, takes over by name, answers, hands back, in any order and as fast as it goes."""
    for number in range(1, 100_000):
        if not hand.going():
            return
        begun, once = time.monotonic(), f"{hand.name}{number}"
        move = hand.chance.choice(
            ("claim", "reply", "reply", "release", "release", "release", "steal", "note", "rest", "rest")
        )
        try:
            if move == "claim":
                done = hand.hands.claim(hand.patient, hand.name, once)
                hand.note("claim", begun, ok=done.ok)
            elif move == "steal":
                raw = hand.store.load(hand.patient, "-").record
                after = (from_bytes(raw).owner if raw else None) or ""
                hand.note("claim", begun, ok=hand.hands.claim(hand.patient, hand.name, once, after=after).ok)
            elif move == "reply":
                text = f"reply {once}"
                press = [hand.hands.reply(hand.patient, hand.name, text, once).ok for _ in range(2)]  # a double press
                assert press[0] == press[1]
                hand.note("reply", begun, ok=press[0], text=text)
            elif move == "release":
                done = hand.hands.release(hand.patient, hand.name, once, screens=number % 2 == 0)
                hand.note("release", begun, ok=done.ok)
            elif move == "note":
                hand.hands.note(hand.patient, hand.name, f"note {once}", once)
            else:
                time.sleep(hand.chance.random() * 0.04)
        except BusyError:
            hand.note("busy", begun)


def patient(hand: Hand) -> None:
    """Writes, and each webhook comes twice."""
    for number in range(1, 100_000):
        if not hand.going():
            return
        begun, text, key = time.monotonic(), hand.chance.choice(SAYS), f"SM{hand.seed}.{number}"
        try:
            said = hand.conversation.hear(PHONE, "sms", text, key)
            assert hand.conversation.hear(PHONE, "sms", text, key) == said
            hand.note("said", begun, text=text, answer=bool(said), key=key)
        except BusyError:
            hand.note("busy", begun)
        time.sleep(hand.chance.random() * 0.08)


class Carrier:
    """Takes a while, and is busy now and then; keeps what left and when its sender last asked whether it may."""

    def __init__(self, hand: Hand) -> None:
        self.hand, self.asked = hand, 0.0

    def text(self, to: str, body: str, effect_id: str) -> str:
        if self.hand.chance.random() < 0.1:
            raise CarrierError("busy", 20429)
        self.hand.note("left", self.asked, text=body, effect=effect_id)
        time.sleep(self.hand.chance.random() * 0.004)
        return f"SM{effect_id}"

    def listed(self, to: str, *, calls: bool, since: float) -> list[Row]:
        return []

    def call(self, to: str, effect_id: str) -> str:
        raise AssertionError("nobody is called here")


def worker(hand: Hand) -> None:
    """Does what is due; goes on until nothing is left after the others stopped."""
    carrier = Carrier(hand)
    sends = Sends(hand.store)
    mark = sends.mark

    def asked(*args: Any, **named: Any) -> Any:
        carrier.asked = time.monotonic()
        return mark(*args, **named)

    sends.mark = asked  # type: ignore[method-assign]
    gate = Gate(hand.store, hand.now, limit=0, zone=ZoneInfo("America/Chicago"))
    office = Office(hand.conversation, carrier, hand.now, sends, gate, settle=0.0)
    executor, idle = Executor(hand.store, office, hand.now), 0
    while idle < 20:
        hand.client.hincrby("test:working", "n", 1)
        try:  # no time jumps in the middle of a send: that is what tests/faults does
            if not hand.client.exists("test:jumping"):
                did = executor.drain(hand.store.bucket(hand.patient))
                idle = 0 if did or hand.number_of("rested") < RESTS else idle + 1
        finally:
            hand.client.hincrby("test:working", "n", -1)
        time.sleep(0.002)


def clock(hand: Hand) -> None:
    """Hours pass, while no worker is at work, so that timers of questions and put-off sends come due."""
    while hand.number_of("rested") < RESTS:
        time.sleep(0.01 + hand.chance.random() * 0.03)
        hand.client.set("test:jumping", 1)
        while int(hand.client.hget("test:working", "n") or 0) > 0:
            time.sleep(0.0005)
        hand.client.incrbyfloat("test:jumped", LATER)
        hand.client.delete("test:jumping")
        if hand.number_of("done") == len(NURSES) + 1:
            hand.client.incr("test:rested")


PARTS = {"nurse": nurse, "patient": patient, "worker": worker, "clock": clock}


def play(url: str, part: str, name: str, seed: int, told: Any) -> None:
    """One actor from beginning to end, wherever it runs."""
    hand = Hand(url, name, seed)
    hand.client.incr("test:ready")
    while not hand.client.exists("test:go"):
        time.sleep(0.002)
    try:
        PARTS[part](hand)
        if part in ("nurse", "patient"):
            hand.client.incr("test:done")
    except BaseException as error:
        hand.note("failed", 0.0, why=repr(error))
        raise
    finally:
        told.put(hand.told)
        hand.client.close()


def run(url: str, seed: int, seconds: float, *, processes: bool) -> list[dict[str, Any]]:
    """Everybody at once for *seconds*; what they tell."""
    cast = [*(("nurse", name) for name in NURSES), ("patient", "p"), ("worker", "w1"), ("worker", "w2"), ("clock", "c")]
    context = multiprocessing.get_context("spawn")
    told: Any = context.Queue() if processes else Gathered()
    Kind: Any = context.Process if processes else threading.Thread
    all_of_them = [
        Kind(target=play, args=(url, part, name, 100 * seed + number, told)) for number, (part, name) in enumerate(cast)
    ]
    client = connect(url)
    for one in all_of_them:
        one.start()
    until = time.monotonic() + 60
    while int(client.get("test:ready") or 0) < len(cast):
        assert time.monotonic() < until
        time.sleep(0.01)
    first = Hand(url, "first", seed)
    first.conversation.hear(PHONE, "sms", "hi", "SMfirst")
    client.set("test:go", 1)
    time.sleep(seconds)  # what they do meanwhile is the test
    client.set("test:over", 1)
    found = [event for _ in cast for event in told.get(timeout=60)]
    for one in all_of_them:
        one.join(30)
    client.close()
    first.client.close()
    return found


class Gathered(list[list[dict[str, Any]]]):
    """A queue for threads."""

    def put(self, told: list[dict[str, Any]]) -> None:
        self.append(told)

    def get(self, timeout: float) -> list[dict[str, Any]]:
        until = time.monotonic() + timeout
        while not self:
            assert time.monotonic() < until
            time.sleep(0.005)
        return self.pop()


def owned_by_log(log: list[dict[str, Any]]) -> str | None:
    """Who has the patient at the end; on the way, that nobody ever took what another had, and that the bot was silent."""
    owner: str | None = None
    for event in log:
        kind = event.get("in")
        if kind == "claimed":
            assert owner in (None, event["by"]), "two nurses owned the patient at once"
            owner = event["by"]
        elif kind == "claimed_from":
            assert owner == event["of"], "it was taken from somebody who did not have it"
            owner = event["by"]
        elif kind == "released":
            assert owner == event["by"], "somebody handed back what was not theirs"
            owner = None
        elif kind == "staff":
            assert owner == event["by"], "somebody answered who did not have the patient"
        elif kind in ("said", "silence", "begun"):
            assert owner is None or not any(event.get("says", ())), (
                "the bot decided to speak while a nurse had the patient"
            )
    return owner


def check(store: Store, told: list[dict[str, Any]]) -> dict[str, int]:
    """What must hold; and how much happened, so that a test in which nothing did fails."""
    assert [one for one in told if one["what"] == "failed"] == []
    patient_id = store.cipher.patient_id(PHONE)
    log = [json.loads(raw) for raw in store.events(patient_id)]
    raw = store.load(patient_id, "-").record
    assert raw
    assert from_bytes(raw).owner == owned_by_log(log)
    left = [one for one in told if one["what"] == "left"]
    replies = [one["text"] for one in left if one["text"].startswith("reply ")]
    accepted = [one["text"] for one in told if one["what"] == "reply" and one["ok"]]
    assert sorted(replies) == sorted(accepted), "a reply was lost, or left twice"
    assert sorted(accepted) == sorted(event["says"][0] for event in log if event.get("in") == "staff")
    asked = [one["key"] for one in told if one["what"] == "said"]
    assert sum(event.get("in") == "said" for event in log) == len(asked) + 1, (
        "a text of the patient was lost, or taken twice"
    )
    # From the moment that a claim was answered until somebody began to hand back, no text of the bot was let go.
    bot = [one for one in left if not one["text"].startswith("reply ")]
    changes = sorted(
        (one for one in told if one["what"] in ("claim", "release") and one["ok"]), key=lambda one: one["to"]
    )
    releases = [one for one in changes if one["what"] == "release"]
    for claim in (one for one in changes if one["what"] == "claim"):
        until = min((one["from"] for one in releases if one["to"] > claim["from"]), default=float("inf"))
        talked = [one for one in bot if claim["to"] < one["from"] and one["to"] < until]
        assert not talked, "the bot talked over a nurse"
        answered = [one for one in told if one["what"] == "said" and one["answer"]
                    and claim["to"] < one["from"] and one["to"] < until]  # fmt: skip
        assert not answered, "the bot answered over a nurse"
    return {
        "claims": sum(one["what"] == "claim" for one in changes),
        "refused": sum(one["what"] == "claim" and not one["ok"] for one in told),
        "releases": len(releases), "replies": len(replies), "bot": len(bot), "said": len(asked),
        "answers": sum(one["what"] == "said" and one["answer"] for one in told),
        "kept back": sum(event.get("in") == "not_sent" for event in log),
    }  # fmt: skip


@pytest.mark.timeout(120)
@pytest.mark.parametrize("seed", range(2))
def test_at_the_same_moment_the_bot_never_talks_over_a_nurse_and_no_word_is_lost(
    server: EmbeddedServer, store: Store, seed: int
) -> None:
    """Threads, each with its own connection; a second and a half of everybody at once."""
    found = check(store, run(server.url, seed, 1.5, processes=False))
    assert min(found[name] for name in ("claims", "refused", "releases", "replies", "said")) > 0, found


@pytest.mark.faults
@pytest.mark.timeout(300)
@pytest.mark.parametrize("seed", range(10, 13))
def test_as_processes_too(server: EmbeddedServer, store: Store, seed: int, capsys: Any) -> None:
    """Nothing is shared but the store."""
    found = check(store, run(server.url, seed, 6.0, processes=True))
    with capsys.disabled():
        print(found)
    assert min(found.values()) > 0, found
