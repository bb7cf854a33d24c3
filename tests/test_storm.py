"""Webhooks and reports in any order, twice, late, cut off by a crash at any command of web or worker: against plain dicts,
over the real store.

And every webhook with every parameter missing, doubled, huge, of another type or in another encoding.
"""

from __future__ import annotations

import json
import xml.etree.ElementTree as ET
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Any
from urllib.parse import quote_plus
from zoneinfo import ZoneInfo

import pytest
from hypothesis import HealthCheck
from hypothesis import settings as examples
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test
from redis import ConnectionError as Gone

from bot.carrier import Row
from bot.conversation import Conversation
from bot.counts import week_of
from bot.followups import Office
from bot.record import Consent
from bot.reports import ARRIVED, BROKEN, ENDED, Reports
from bot.sending import Gate
from bot.store import Effect
from bot.store.counted import Counted
from bot.store.sends import Sends
from bot.store.store import RANK, Store
from bot.wiring import put_together
from tests.test_web import SIGNED, good, path_of
from tests.web_fake import PUBLIC, FakeConversation, make_app, settings, sign
from workers.executor import Executor

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


CONSENTS = (Consent("follow_up", True, 1.0, "form"), Consent("follow_up", True, 1.0, "form", channel="call"))
DEADLY = ("load", "commit", "begin_all", "mark_sent", "run_all", "finish", "put_off", "set_status", "set_call_status")
IN_A_TURN = ("", "", "before load", "before commit", "after commit")
IN_A_WORKER = (
    *IN_A_TURN,
    "before carrier",
    "after carrier",
    *(f"{when} {what}" for when in ("before", "after") for what in ("begin_all", "mark_sent", "run_all", "finish")),
    "in run_all",
)
IN_A_REPORT = (
    "",
    "",
    *(f"{when} {what}" for when in ("before", "after") for what in ("commit", "set_status", "set_call_status")),
)
CODES = (30003, 30005, 30006, 30007, 30008, 21610)
WHICH = st.integers(0, 40)
STATES = ("queued", "sent", "delivered", "undelivered", "failed")
OF_A_TEXT = st.tuples(st.sampled_from(STATES), st.sampled_from(CODES))
CALLED = (("initiated", 0), ("ringing", 1), ("in-progress", 2), ("completed", 3), ("no-answer", 3), ("busy", 3))


class Flaky:
    """The store, of which the process may die before or after a command: the caller sees the same either way."""

    def __init__(self, store: Store) -> None:
        self.store, self.dies = store, ""

    def __getattr__(self, name: str) -> Any:
        found = getattr(self.store, name)
        if name not in DEADLY:
            return found

        def called(*args: Any, **more: Any) -> Any:
            self.die(f"before {name}")
            if self.dies == f"in {name}":  # a server that ends in the middle has run the first ones
                found(args[0][: len(args[0]) // 2])
                self.die(f"in {name}")
            done = found(*args, **more)
            self.die(f"after {name}")
            return done

        return called

    def die(self, where: str) -> None:
        """Once, if this is the line."""
        if self.dies == where:
            self.dies = ""
            raise Gone("the process ends here")


class Post:
    """Stands for the carrier: what it took, by effect, and its own list. *die* may end the process on either side."""

    def __init__(self, die: Callable[[str], None], now: Callable[[], float]) -> None:
        self.die, self.now = die, now
        self.taken: Counter[str] = Counter()
        self.texts: dict[str, str] = {}
        self.calls: dict[str, str] = {}
        self.rows: list[Row] = []

    def text(self, to: str, body: str, effect_id: str) -> str:
        return self._take(to, body, effect_id, self.texts)

    def call(self, to: str, effect_id: str) -> str:
        return self._take(to, "", effect_id, self.calls)

    def _take(self, to: str, body: str, effect: str, kind: dict[str, str]) -> str:
        self.die("before carrier")
        self.taken[effect] += 1
        kind[effect] = to
        self.rows.append(Row(f"XX{effect}", body or None, self.now()))
        self.die("after carrier")
        return f"XX{effect}"

    def call_state(self, sid: str) -> tuple[str, str | None, int | None]:
        """When no report of its end came, it is asked for: everybody picks up."""
        return "completed", "human", None

    def listed(self, to: str, *, calls: bool, since: float) -> list[Row]:
        """What its own log shows."""
        kind = self.calls if calls else self.texts
        return [row for row in self.rows if kind.get(row.sid[2:]) == to and row.created >= since]


class Storm(RuleBasedStateMachine):
    """*answers* is the model: one key, one answer, for ever. *told*: which states of an effect were reported and taken;
    *tried*: those whose process died in it too."""

    store: Store

    @initialize()
    def begin(self) -> None:
        self.store.client.flushall()
        self.clock = 1_780_000_000.0
        app = put_together(settings(OPT_OUT_MODE="app"), "", self.store, lambda: self.clock)
        self.flaky = Flaky(self.store)
        self.talk: Conversation = app.conversation
        self.talk.store = self.flaky
        self.post = Post(self.flaky.die, lambda: self.clock)
        gate = Gate(self.store, lambda: self.clock, limit=0, zone=ZoneInfo("UTC"))
        office = Office(self.talk, self.post, lambda: self.clock, Sends(self.flaky), gate, settle=0.0)  # type: ignore[arg-type]
        self.worker = Executor(self.flaky, office, lambda: self.clock)  # type: ignore[arg-type]
        self.reports = Reports(self.flaky, self.talk, lambda: self.clock)  # type: ignore[arg-type]
        self.told: dict[str, set[str]] = {}
        self.tried: dict[str, set[str]] = {}
        self.taken_up: list[Callable[[], None]] = []
        for phone in PHONES:
            self.talk.agree(phone, "form", CONSENTS)
        self.answers: dict[str, bytes] = {}
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
        dies=st.sampled_from(IN_A_TURN),
    )  # fmt: skip
    def a_new_text(self, phone: str, words: str, later: float, dies: str) -> None:
        """Perhaps the process dies in it; the carrier then delivers it again, or never."""
        self.clock += later
        key = f"SM{len(self.sent)}"
        self.sent.append((phone, words, key))
        self.flaky.dies = dies
        self._hear(phone, words, key)
        self.flaky.dies = ""

    @rule(which=WHICH)
    def an_old_text_again(self, which: int) -> None:
        """Twice, late, out of order."""
        if self.sent:
            self._hear(*self.sent[which % len(self.sent)])

    # -- what a worker does, and what the carrier reports of it --

    @rule(later=st.sampled_from([1.0, 30.0, 3600.0, 90_000.0]), dies=st.sampled_from(IN_A_WORKER))
    def a_worker_does_what_is_due(self, later: float, dies: str) -> None:
        """Perhaps it dies in it; another one goes on when its claim has run out."""
        self.clock += later
        self.flaky.dies = dies
        for bucket in range(3):
            with suppress(Gone):
                self.worker.drain(bucket)
        self.flaky.dies = ""

    @rule(
        phone=st.sampled_from(PHONES[:2]),
        kind=st.sampled_from(["text", "call"]),
        dies=st.sampled_from(IN_A_WORKER),
        reports=st.lists(OF_A_TEXT, max_size=2),
    )
    def something_planned_is_due(self, phone: str, kind: str, dies: str, reports: list[tuple[str, int]]) -> None:
        """For whoever may be written to and called."""
        patient = self.store.cipher.patient_id(phone)
        effect, loaded = self.store.new_effect_id(patient), self.store.load(patient, "")
        body = json.dumps({"p": patient, "f": "call", "n": kind, "body": f"Please call us. {effect}"}).encode()
        self.store.commit(
            patient, f"plan:{effect}", loaded.version, record=loaded.record or b"", answer=b"-", now=self.clock,
            effects=[Effect(effect, kind, self.clock, body)],
        )  # fmt: skip
        self.a_worker_does_what_is_due(1.0, dies)
        if effect in self.post.texts:
            for status, code in reports:
                self._text_report(effect, status, code, "")

    @rule(which=WHICH, reports=st.lists(OF_A_TEXT, min_size=1, max_size=4),
          dies=st.sampled_from(IN_A_REPORT))  # fmt: skip
    def a_text_is_reported(self, which: int, reports: list[tuple[str, int]], dies: str) -> None:
        """Of any text that was taken, in any order."""
        if self.post.texts:
            effect = list(self.post.texts)[which % len(self.post.texts)]
            for status, code in reports:
                self._text_report(effect, status, code, dies)

    def _text_report(self, effect: str, status: str, code: int, dies: str) -> None:
        told = (f"XX{effect}", status, code if status in BROKEN else None, effect)
        self._report(effect, status, dies, partial(self.reports.delivered, *told))

    @rule(which=WHICH, reports=st.lists(st.sampled_from(CALLED), min_size=1, max_size=4),
          by=st.sampled_from([None, "human", "machine_start"]), dies=st.sampled_from(IN_A_REPORT))  # fmt: skip
    def a_call_is_reported(self, which: int, reports: list[tuple[str, int]], by: str | None, dies: str) -> None:
        """Of any call that was placed, in any order."""
        if self.post.calls:
            effect = list(self.post.calls)[which % len(self.post.calls)]
            for status, number in reports:
                told = {"sequence": number, "answered_by": by, "effect_id": effect}
                self._report(effect, status, dies, partial(self.reports.call_status, f"XX{effect}", status, **told))

    def _report(self, effect: str, status: str, dies: str, tell: Callable[[], None]) -> None:
        self.tried.setdefault(effect, set()).add(status)
        self.flaky.dies = dies
        with suppress(Gone):
            tell()
            self.told.setdefault(effect, set()).add(status)
            self.taken_up.append(tell)
        self.flaky.dies = ""

    @rule(backwards=st.booleans())
    def the_reports_come_again(self, backwards: bool) -> None:
        """All of them, whatever came since: they change nothing."""
        before = self._kept() if self.taken_up else None
        for tell in reversed(self.taken_up) if backwards else self.taken_up:
            tell()
        assert before is None or self._kept() == before

    def _kept(self) -> Any:
        """All that patients and staff could notice."""
        patients = [self.store.cipher.patient_id(phone) for phone in PHONES]
        due = self.store.each(
            lambda pipe, tag: [pipe.zrange(f"{tag}{name}", 0, -1, withscores=True) for name in ("due", "held")]
        )
        states = [self.store.delivery(effect) for effect in sorted(self.post.taken)]
        weeks = Counted(self.store).weeks([week_of(self.clock, "UTC")])
        return [self.store.events(one) for one in patients], self.store.tasks(), due, states, weeks

    @invariant()
    def nothing_is_lost_and_nothing_counts_twice(self) -> None:
        """Each text that was answered is one entry of its patient's log, and the log's chain holds."""
        for phone in PHONES if getattr(self, "sent", None) else []:
            patient = self.store.cipher.patient_id(phone)
            entries = sum(json.loads(event)["in"] == "said" for event in self.store.events(patient))
            mine = [key for at, _, key in self.sent if at == phone]
            answered = [key for key in mine if key in self.answers]
            known = [key for key in mine if self.store.load(patient, key).answer is not None]
            assert set(answered) <= set(known)
            assert entries == len(known)
            assert self.store.verify(patient) is None

    @invariant()
    def nothing_is_sent_twice_and_no_report_is_lost(self) -> None:
        """The furthest state that was taken stands; a text that did not arrive and a call that ended were seen to, once."""
        assert not [task for task in self.store.tasks() if task.kind == "fault"]
        for effect, to in (self.post.texts | self.post.calls).items() if hasattr(self, "post") else ():
            assert self.post.taken[effect] == 1
            told, patient = self.told.get(effect, set()), self.store.cipher.patient_id(to)
            if effect in self.post.calls:
                if told & ENDED:
                    assert self.store.load(patient, f"over:{effect}").answer is not None
                continue
            state = self.store.delivery(effect)
            assert max((RANK[one] for one in told), default=-1) <= (RANK[state.status] if state else -1)
            if told & BROKEN and not self.tried[effect] & ARRIVED:
                assert self.store.load(patient, f"report:{effect}").answer is not None

    def teardown(self) -> None:
        """Workers that do not die leave nothing that is due."""
        for _ in range(3 if hasattr(self, "post") else 0):
            self.a_worker_does_what_is_due(3600.0, "")
            self.the_reports_come_again(True)
            self.nothing_is_sent_twice_and_no_report_is_lost()
            assert self.store.due_buckets(self.clock) == []


@pytest.mark.timeout(600)  # what hypothesis needs to make a failing storm small
def test_any_storm_of_webhooks_is_each_text_once(store: Store) -> None:
    """Found by hypothesis, not by us."""
    machine = type("Storm", (Storm,), {"store": store})
    run_state_machine_as_test(
        machine,
        settings=examples(
            max_examples=30, stateful_step_count=30, deadline=None, database=None, derandomize=True,
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
