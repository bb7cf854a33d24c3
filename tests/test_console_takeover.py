"""Taking over, in generated interleavings: nurses, the patient and a worker, switched at every step of the real store.

`Between` stands before the store. At each of its steps another move of the plan may run to its end, or be switched away
from in turn: so a claim commits between a worker's decision and the carrier, between two tries of a send, anywhere.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bot.carrier import CarrierError, Row
from bot.catalog import make_clinic
from bot.chat import DEMO
from bot.consent import hours_for
from bot.conversation import Conversation
from bot.followups import Office
from bot.record import Record, from_bytes
from bot.sending import Gate
from bot.store.sends import Sends
from bot.store.store import Store
from bot.takeover import TakeOver
from workers.executor import Executor

PHONE = "+17135550123"
NURSES = ("nurse1", "nurse2")


class Between:
    """The store, with the world going on at each of its steps."""

    def __init__(self, store: Store, clinic: Clinic) -> None:
        self._store, self._world = store, clinic

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._store, name)
        if name not in ("load", "commit", "claim", "begin_all", "mark_sent", "run_all", "finish", "put_off"):
            return found

        def step(*given: Any, **named: Any) -> Any:
            self._world.go_on()
            return found(*given, **named)

        return step


class Clinic:
    """One patient, two nurses, a worker, and a carrier that sometimes is busy. *plan*: (how many steps later, what)."""

    def __init__(self, store: Store, plan: list[tuple[int, str]]) -> None:
        self.store, self.at, self.plan, self.waits = store, 1_790_000_000.0, list(plan), 0
        self.left: list[tuple[str, str | None]] = []  # what reached the carrier, and who owned the patient then
        self.accepted: list[str] = []
        self.busy, self.number = False, 0
        ids = iter(range(100_000))
        clinic = make_clinic(
            values=DEMO,
            link=lambda patient: (store.new_token(patient), "https://clinic.example/go/x"),
            new_id=lambda: f"s{next(ids)}",
            new_effect=store.new_effect_id,
            opt_out_mode="app",
        )
        hours = hours_for((), "America/Chicago", "00:00", "23:59:59")
        self.conversation = Conversation(
            clinic, Between(store, self), store.cipher.patient_id, now=lambda: self.at, hours=lambda phone: hours,
            render=lambda heard: (heard.text or "").encode(), booking={},
        )  # fmt: skip
        self.patient = store.cipher.patient_id(PHONE)
        self.hands = TakeOver(self.conversation)
        gate = Gate(store, lambda: self.at, limit=0, zone=ZoneInfo("America/Chicago"))
        sends = Sends(Between(store, self))  # type: ignore[arg-type]
        office = Office(self.conversation, self, lambda: self.at, sends, gate, settle=0.0, allowed=self.allowed)
        self.worker = Executor(Between(store, self), office, lambda: self.at)  # type: ignore[arg-type]
        self.working = False

    def record(self) -> Record:
        raw = self.store.load(self.patient, "-").record
        return from_bytes(raw) if raw else Record(PHONE)

    def allowed(self, phone: str) -> bool:
        """Between a worker's decision and its last question."""
        self.go_on()
        return True

    # -- the carrier --

    def text(self, to: str, body: str, effect_id: str) -> str:
        if self.busy:
            self.busy = False
            raise CarrierError("busy", 20429)
        self.left.append((body, self.record().owner))
        return f"SM{len(self.left)}"

    def listed(self, to: str, *, calls: bool, since: float) -> list[Row]:
        return []

    def call(self, to: str, effect_id: str) -> str:
        raise AssertionError("nobody is called here")

    # -- the moves --

    def go_on(self) -> None:
        """One step of somebody: maybe the plan's next move comes in between."""
        if not self.plan:
            return
        if self.waits < self.plan[0][0]:
            self.waits += 1
            return
        self.waits = 0
        self.do(self.plan.pop(0)[1])

    def do(self, move: str) -> None:
        self.number += 1
        name, once = f"n{self.number}", str(self.number)
        if move.startswith("claim"):
            self.hands.claim(self.patient, NURSES[int(move[-1])], once)
        elif move.startswith("release"):
            self.hands.release(self.patient, NURSES[int(move[-1])], once, screens=self.number % 2 == 0)
        elif move.startswith("reply"):
            if self.hands.reply(self.patient, NURSES[int(move[-1])], f"reply {name}", once).ok:
                self.accepted.append(f"reply {name}")
        elif move == "work":
            self.work()
        elif move == "later":
            self.at += 1900.0
        elif move == "busy":
            self.busy = True
        else:
            self.at += 5
            self.conversation.hear(PHONE, "sms", move, f"SM{name}")

    def work(self) -> None:
        if not self.working:  # one worker; it is switched away from at its steps
            self.working = True
            self.worker.drain(self.store.bucket(self.patient))
            self.working = False

    def rest(self) -> None:
        """Everything to its end."""
        while self.plan:
            self.do(self.plan.pop(0)[1])
        for _ in range(6):
            self.at += 1000.0
            self.work()

    def log(self) -> Iterator[dict[str, Any]]:
        return (json.loads(raw) for raw in self.store.events(self.patient))


MOVES = st.tuples(
    st.integers(0, 6),
    st.sampled_from(
        [
            "claim0",
            "claim1",
            "reply0",
            "reply1",
            "release0",
            "release1",
            "yes",
            "no",
            "STOP",
            "START",
            "work",
            "work",
            "later",
            "later",
            "busy",
        ]
    ),
)


def check(clinic: Clinic) -> None:
    """What must hold of every interleaving."""
    owner: str | None = None
    kept_back = []
    for event in clinic.log():
        if event.get("in") == "claimed":
            assert owner in (None, event["by"]), "two nurses owned the patient at once"
            owner = event["by"]
        elif event.get("in") == "released":
            assert owner == event["by"], "somebody handed back what was not theirs"
            owner = None
        elif event.get("in") in ("not_sent", "text") and event.get("why") in ("opted out", "opted out since"):
            kept_back.append(event)
    assert clinic.record().owner == owner
    for body, owned in clinic.left:
        assert body.startswith("reply ") or owned is None, "the bot talked over a nurse"
    sent = [body for body, _ in clinic.left if body.startswith("reply ")]
    assert len(sent) == len(set(sent)), "a reply was sent twice"
    assert set(sent) <= set(clinic.accepted)
    lost = set(clinic.accepted) - set(sent)
    assert len(lost) <= len(kept_back), "a reply was lost without a word"


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(MOVES, max_size=14))
def test_however_steps_fall_the_bot_never_talks_over_a_nurse(store: Store, plan: list[tuple[int, str]]) -> None:
    """After a claim commits no text of the bot reaches the carrier, no reply is lost, two nurses never both own it."""
    store.client.flushall()
    clinic = Clinic(store, [])
    clinic.do("hi")
    clinic.plan = list(plan)
    for move in ("later", "work"):
        clinic.do(move)
    clinic.rest()
    check(clinic)


def test_a_claim_between_the_decision_and_the_carrier_keeps_the_text_back(store: Store) -> None:
    """The nudge was decided; the nurse claims; it stays, and the log says so."""
    clinic = Clinic(store, [])
    clinic.do("hi")
    clinic.do("later")
    clinic.plan, clinic.waits = [(4, "claim0")], 0  # claim, begin, load, commit; then the claim, then the last question
    clinic.work()
    assert clinic.record().owner == "nurse1"
    assert clinic.left == []
    assert [event["why"] for event in clinic.log() if event.get("in") == "not_sent"] == [
        "a person has taken over since"
    ]


def test_a_text_that_the_carrier_put_off_does_not_go_out_after_a_claim(store: Store) -> None:
    """Busy now, tried again in a minute, and by then a nurse has the patient."""
    clinic = Clinic(store, [])
    for move in ("hi", "later", "busy", "work"):
        clinic.do(move)
    clinic.do("claim0")
    clinic.do("later")
    clinic.work()
    assert clinic.left == []
    assert [event["why"] for event in clinic.log() if event.get("in") == "not_sent"] == [
        "a person has taken over since"
    ]


def test_a_nudge_that_the_carrier_put_off_is_sent_later(store: Store) -> None:
    """Its own turn does not take it back."""
    clinic = Clinic(store, [])
    for move in ("hi", "later", "busy", "work"):
        clinic.do(move)
    clinic.at += 20
    clinic.work()
    assert len(clinic.left) == 1


def test_handing_back_asks_the_same_question_again_and_silence_counts_from_there(store: Store) -> None:
    """Same state, its text sent once more, its timer set."""
    clinic = Clinic(store, [])
    for move in ("hi", "yes", "claim0", "reply0"):
        clinic.do(move)
    before = clinic.record()
    assert before.session
    clinic.hands.release(clinic.patient, "nurse1", "x")
    after = clinic.record()
    assert after.session
    assert (after.session.state, after.session.answers) == (before.session.state, before.session.answers)
    assert "silence" in after.planned
    clinic.work()
    assert len(clinic.left) == 2
    clinic.do("later")
    clinic.work()
    assert len(clinic.left) == 3  # the nudge


def test_handing_back_with_the_screens_goes_to_the_first_safety_question(store: Store) -> None:
    """What was answered long ago is asked again."""
    clinic = Clinic(store, [])
    for move in ("hi", "yes", "no", "claim0"):
        clinic.do(move)
    before = clinic.record().session
    clinic.hands.release(clinic.patient, "nurse1", "x", screens=True)
    after = clinic.record()
    assert before
    assert after.session
    assert before.state != after.session.state == "screen_a"
    assert "silence" in after.planned


@pytest.mark.parametrize("round_", range(3))
def test_of_many_claims_at_the_same_moment_one_wins(store: Store, round_: int) -> None:
    """Real threads against the real store."""
    clinic = Clinic(store, [])
    clinic.do("hi")
    start, won = threading.Barrier(4), []

    def claim(who: str) -> None:
        start.wait(5)
        if clinic.hands.claim(clinic.patient, who, f"{who}{round_}").ok:
            won.append(who)

    threads = [threading.Thread(target=claim, args=(f"nurse{n}",)) for n in range(4)]
    for one in threads:
        one.start()
    for one in threads:
        one.join(10)
    assert won == [clinic.record().owner]
