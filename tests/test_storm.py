"""Webhooks in any order, twice, late, cut off by a crash at any command: against a plain dict, over the real store.

And every webhook with every parameter missing, doubled, huge, of another type or in another encoding.
"""

from __future__ import annotations

import xml.etree.ElementTree as ET
from typing import Any
from urllib.parse import quote_plus

import pytest
from hypothesis import HealthCheck
from hypothesis import settings as examples
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test
from redis import ConnectionError as Gone

from bot.conversation import Conversation
from bot.store.store import Store
from bot.wiring import put_together
from tests.test_web import SIGNED, good, path_of
from tests.web_fake import PUBLIC, FakeConversation, make_app, settings, sign

WORDS = [
    "hi my back hurts",
    "yes",
    "no",
    "5",
    "chest pain",
    "STOP",
    "START",
    "HELP",
    "restart",
    "qwerty",
    "",
    "¿cuándo?",
    "\x00\ud800",
]
PHONES = ["+12125550188", "+13125550188", "+18765550123"]


class Flaky:
    """The store, of which the process may die before or after a command: the caller sees the same either way."""

    def __init__(self, store: Store) -> None:
        self.store, self.dies = store, ""

    def load(self, *args: Any) -> Any:
        self._die("before load")
        return self.store.load(*args)

    def commit(self, *args: Any, **more: Any) -> Any:
        self._die("before commit")
        done = self.store.commit(*args, **more)
        self._die("after commit")
        return done

    def link(self, token: str) -> Any:
        return self.store.link(token)

    def _die(self, where: str) -> None:
        if self.dies == where:
            self.dies = ""
            raise Gone("the process ends here")


class Storm(RuleBasedStateMachine):
    """*answers* is the model: one key, one answer, for ever; *logged* which texts of a patient count, in order."""

    store: Store

    @initialize()
    def begin(self) -> None:
        self.store.client.flushall()
        self.clock = 1_780_000_000.0
        app = put_together(settings(OPT_OUT_MODE="app"), "", self.store, lambda: self.clock)
        self.flaky = Flaky(self.store)
        self.talk: Conversation = app.conversation
        self.talk.store = self.flaky
        self.answers: dict[str, bytes] = {}
        self.logged: dict[str, list[str]] = {}
        self.sent: list[tuple[str, str, str]] = []

    def _hear(self, phone: str, words: str, key: str) -> None:
        try:
            answer = self.talk.hear(phone, "sms", words, key)
        except Gone:
            return
        assert ET.fromstring(answer).tag == "Response"
        assert self.answers.setdefault(key, answer) == answer, "the same key has the same bytes"

    @rule(
        phone=st.sampled_from(PHONES), words=st.sampled_from(WORDS), later=st.sampled_from([1.0, 60.0, 90_000.0]),
        dies=st.sampled_from(["", "", "before load", "before commit", "after commit"]),
    )  # fmt: skip
    def a_new_text(self, phone: str, words: str, later: float, dies: str) -> None:
        """Perhaps the process dies in it; the carrier then delivers it again, or never."""
        self.clock += later
        key = f"SM{len(self.sent)}"
        self.sent.append((phone, words, key))
        self.flaky.dies = dies
        self._hear(phone, words, key)
        self.flaky.dies = ""

    @rule(data=st.data())
    def an_old_text_again(self, data: st.DataObject) -> None:
        """Twice, late, out of order."""
        if self.sent:
            self._hear(*data.draw(st.sampled_from(self.sent)))

    @invariant()
    def nothing_is_lost_and_nothing_counts_twice(self) -> None:
        """Each text that was answered is one entry of its patient's log, and the log's chain holds."""
        for phone in PHONES if getattr(self, "sent", None) else []:
            patient = self.store.cipher.patient_id(phone)
            entries = len(self.store.events(patient))
            mine = [key for at, _, key in self.sent if at == phone]
            answered = [key for key in mine if key in self.answers]
            known = [key for key in mine if self.store.load(patient, key).answer is not None]
            assert set(answered) <= set(known)
            assert entries == len(known)
            assert self.store.verify(patient) is None


def test_any_storm_of_webhooks_is_each_text_once(store: Store) -> None:
    """Found by hypothesis, not by us."""
    machine = type("Storm", (Storm,), {"store": store})
    run_state_machine_as_test(
        machine,
        settings=examples(
            max_examples=25, stateful_step_count=20, deadline=None, database=None, derandomize=True,
            suppress_health_check=list(HealthCheck),
        ),
    )  # fmt: skip


ODD = [
    "",
    " ",
    "\x00",
    "0" * 9000,
    "-1",
    "null",
    "[]",
    "{}",
    "+",
    "+1",
    "é" * 300,
    "\u202e",
    "SM" + "g" * 32,
    "%",
    "&=",
    "NaN",
]


@pytest.mark.parametrize("route", SIGNED, ids=lambda route: route.rule)
def test_every_parameter_of_every_webhook_may_be_missing_doubled_huge_or_odd(route: Any) -> None:
    """Signed, so it is really read: an answer or a plain 4xx, and never an error of ours or a word in a header."""
    path, base = path_of(route.rule), good(route.rule)
    bodies: list[list[tuple[str, str]]] = []
    for name in [*base, "Digits", "SpeechResult", "Confidence", "OptOutType", "NumMedia", "ErrorCode", "SequenceNumber",
                 "AnsweredBy", "RecordingUrl", "MessagingServiceSid"]:  # fmt: skip
        rest = [pair for pair in base.items() if pair[0] != name]
        bodies += [
            rest,
            [*rest, (name, "a"), (name, "b")],
            [*rest, (name, base.get(name, "x")), (name, base.get(name, "x"))],
        ]
        bodies += [[*rest, (name, odd)] for odd in ODD]
    with make_app(FakeConversation()).test_client() as client:
        for pairs in bodies:
            headers = {"X-Twilio-Signature": sign(PUBLIC + path, pairs)}
            raw = "&".join(f"{quote_plus(name)}={quote_plus(value)}" for name, value in pairs)
            answer = client.post(path, data=raw, headers=headers, content_type="application/x-www-form-urlencoded")
            assert answer.status_code in (200, 204, 400, 403), pairs[-1][0]
            if answer.status_code == 200:
                assert ET.fromstring(answer.data).tag == "Response"
            assert "Set-Cookie" not in answer.headers
        for raw_body in (
            b"\xff\xfe%ff%zz=\xc3&Body=%C3",
            b"&&&===",
            "Body=ñ".encode("latin-1"),
            "Body=x".encode("utf-16"),
        ):
            assert client.post(path, data=raw_body, content_type="application/x-www-form-urlencoded").status_code == 403
