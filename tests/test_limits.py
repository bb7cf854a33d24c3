"""Abuse: too many texts cost little and lose no alarm; countries that are not texted; strangers who keep erring."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from flask.testing import FlaskClient

from bot.followups import carry_out
from bot.outgoing import Outgoing
from bot.record import Consent, from_bytes
from bot.regions import is_allowed
from bot.store import Begun, Claim
from bot.store.client import connect
from bot.store.store import Store
from bot.web import create_app
from bot.web.limits import CALLS, REFUSALS_PER_MINUTE, TEXTS, WINDOW_SECONDS, Limits, Strangers, Verdict
from bot.wiring import App, limits, make_shelter, put_together, urgent_in
from tests.test_worker import Line, office
from tests.web_fake import PHONE, call, post, settings, text

REGIONS = ("US", "PR")


@pytest.mark.parametrize(
    ("phone", "allowed"),
    [("+12125550188", True), ("+17872345678", True), ("+18005550100", True), ("+15005550006", True),
     ("+18765550123", False), ("+18095550123", False), ("+442079460000", False), ("+19002345678", False),
     ("call:CA1", False), ("", False)],
)  # fmt: skip
def test_a_country_is_told_by_its_region_and_not_by_plus_one(phone: str, allowed: bool) -> None:
    """Jamaica and the Dominican Republic are +1 as well; 900 numbers cost a premium."""
    assert is_allowed(phone, REGIONS) is allowed


# -- through the doors, over the real store ---------------------------------------------------------------------------


@pytest.fixture
def app(store: Store, tmp_path: Any, request: pytest.FixtureRequest) -> App:
    ringing = getattr(request, "param", False)
    more = {"ALERT_URL": "https://alert.example/hook", "ALERT_SECRET": "7c" * 32} if ringing else {}
    made = settings(DATA_DIR=str(tmp_path), OPT_OUT_MODE="app", **more)
    return put_together(made, "", store, lambda: 1_780_000_000.0)


@pytest.fixture
def client(app: App) -> Iterator[FlaskClient]:
    shelter = make_shelter(app)
    with create_app(
        app.settings, shelter, shelter, urgent=urgent_in(app), texts=limits(app, TEXTS), calls=limits(app, CALLS)
    ).test_client() as opened:
        yield opened


class Sender:
    """Numbers the texts, so that none is a repeated one."""

    def __init__(self, client: FlaskClient) -> None:
        self.client, self.sid = client, 0

    def say(self, phone: str, words: str) -> str:
        self.sid += 1
        answer = post(self.client, "/sms", text(words, sid=f"SM{self.sid:032x}", From=phone))
        assert answer.status_code == 200
        return str(answer.text)


def tasks(app: App) -> list[str]:
    return [task.kind for task in app.store.tasks()]


def test_one_phone_that_floods_gets_one_static_answer_and_a_person_one_task(client: FlaskClient, app: App) -> None:
    """Then silence towards the carrier; its neighbours are served, and an alarm or STOP of its own comes through."""
    sender, phone = Sender(client), "+12125550188"
    for number in range(TEXTS.phone):
        assert "<Message>" in sender.say(phone, f"words {number}")
    assert "911" in sender.say(phone, "one more")
    assert "<Message>" not in sender.say(phone, "and one more")
    assert [kind for kind in tasks(app) if kind in ("flood", "not_read", "limit")] == ["flood"]
    assert "911" in sender.say(phone, "I have chest pain")
    assert "emergency" in tasks(app)
    assert "<Message>" in sender.say("+13125550188", "hello"), "others are served"
    sender.say(phone, "STOP")
    assert "wrote_after_stop" not in tasks(app)


def test_a_thousand_numbers_of_one_block_cost_a_bounded_number_of_answers(client: FlaskClient, app: App) -> None:
    """SMS pumping: each number once. What is paid for is limited; an alarm among them is answered and is a task."""
    sender = Sender(client)
    paid = sum("<Message>" in sender.say(f"+1212555{number:04d}", "hello") for number in range(300))
    assert paid == TEXTS.block + TEXTS.told
    assert tasks(app).count("not_read") == TEXTS.told
    assert tasks(app).count("limit") == 1, "one that rings, however many"
    assert "911" in sender.say("+12125559999", "i want to die")
    assert "crisis" in tasks(app)


def alerts(app: App) -> list[str]:
    """The kinds of tasks that ring, once for each planned alert."""
    client: Any = app.store.client
    found = [key for key in client.keys("*e:*") if client.hget(key, "k") == b"alert"]
    effects = [app.store.effect(key.decode().partition("e:")[2]) for key in found]
    return [json.loads(one.body)["k"] for one in effects if one]


@pytest.mark.parametrize("app", [True], indirect=True)
def test_pumping_rings_once_and_not_for_each_number(app: App, client: FlaskClient) -> None:
    """By block and by phone: a bounded number of alerts, and another only after half an hour."""
    sender = Sender(client)
    for number in range(TEXTS.block + TEXTS.told + 20):
        sender.say(f"+1212555{number:04d}", "hello")
    assert alerts(app) == ["limit"]
    for phone in range(TEXTS.alone + 3):
        for number in range(TEXTS.phone + 2):
            sender.say(f"+1{phone + 2}13{phone}550188", f"words {number}")
    assert sorted(alerts(app)) == ["limit"]
    assert tasks(app).count("limit") == 2


def test_words_of_an_emergency_are_answered_far_beyond_every_limit_and_not_without_end(
    client: FlaskClient, app: App
) -> None:
    """First by the conversation, with its task, then by the static text that names 911; a flood of them is bounded."""
    sender, phone = Sender(client), "+12125550188"
    for number in range(TEXTS.phone):
        sender.say(phone, f"words {number}")
    said = [sender.say(phone, "chest pain") for _ in range(TEXTS.alarms_each + TEXTS.alarms_told_each + 5)]
    assert [("911" in one) for one in said] == [True] * (len(said) - 4) + [False] * 4, (
        "the last paid one is the phone's own"
    )
    assert tasks(app).count("emergency") == 1 + (TEXTS.alarms_each - 1)
    assert "limit" in tasks(app), "an alarm that only got the static text is never without a task"
    judged = Limits(lambda: 0.0, TEXTS)
    for number in range(TEXTS.block):
        judged.judge(f"+1212555{number:04d}", f"a{number}")
    paid = [
        judged.judge(f"+1212555{number:04d}", f"b{number}", lambda: "alarm").answer != "silent"
        for number in range(1000, 3000)
    ]
    assert sum(paid) == TEXTS.alarms + TEXTS.alarms_told + TEXTS.told


def test_a_stop_is_heard_over_every_limit(client: FlaskClient, app: App) -> None:
    """From a number nobody has heard of, in the middle of pumping."""
    sender = Sender(client)
    for number in range(TEXTS.block + TEXTS.told + 5):
        sender.say(f"+1212555{number:04d}", "hello")
    sender.say("+12125559999", "STOP")
    record = from_bytes(app.store.load(app.store.cipher.patient_id("+12125559999"), "").record or b"")
    assert record.opted_out


def test_patients_we_wrote_to_are_not_starved_by_strangers_of_their_block(client: FlaskClient, app: App) -> None:
    """Consented, written to by a campaign, or in the middle of a conversation; by a share of their own, with an end."""
    sender, campaign, talking = Sender(client), "+12125558001", "+12125558002"
    app.conversation.agree(campaign, "file", (Consent("outreach", True, 1.0, "form"),))
    for words in ("hi", "yes", "no"):
        sender.say(talking, words)
    for number in range(TEXTS.block + TEXTS.told):
        sender.say(f"+1212555{number:04d}", "hello")
    assert "<Message>" not in sender.say("+12125557777", "hello")
    assert "Reply YES or NO" in sender.say(campaign, "hello")
    assert "Any of these?" in sender.say(talking, "no")
    known = Limits(lambda: 0.0, TEXTS, known=lambda phone: True)
    went = [known.judge(f"+1212555{number:04d}", str(number)).answer == "go" for number in range(2000)]
    assert sum(went) == TEXTS.block + TEXTS.known


def test_a_normal_text_asks_the_store_nothing_more_and_a_pumped_one_less(client: FlaskClient, app: App) -> None:
    """Whether somebody is known is asked only once a limit bites."""
    sender = Sender(client)
    for number in range(TEXTS.block + TEXTS.told + 5):
        sender.say(f"+1212555{number:04d}", "hello")
    sender.say("+13125550188", "hi")
    for phone, commands in (("+13125550188", 2), ("+12125559999", 1)):
        app.store.client.config_resetstat()
        sender.say(phone, "hello")
        stats: Any = app.store.client.info("commandstats")
        inside = sum(
            one["calls"] for name, one in stats.items() if name in ("cmdstat_mget", "cmdstat_evalsha", "cmdstat_eval")
        )
        assert inside == commands


def test_calls_have_limits_of_their_own_and_never_end_in_silence(client: FlaskClient, app: App) -> None:
    """One phone that calls and calls, and callers without a number: 911 and the clinic's number, then the busy tone."""

    def ring(number: int, caller: str = PHONE) -> str:
        return str(post(client, "/voice", call(CallSid=f"CA{number:032x}", From=caller)).text)

    heard = [ring(number) for number in range(CALLS.phone + CALLS.each + 2)]
    assert all("<Gather" in one for one in heard[: CALLS.phone])
    assert all("9 1 1" in one or "911" in one for one in heard[CALLS.phone : CALLS.phone + CALLS.each])
    assert all('<Reject reason="busy"/>' in one for one in heard[CALLS.phone + CALLS.each :])
    assert ring(0) == heard[0], "the same call gets the same answer"
    assert tasks(app).count("flood") == 1
    hidden = [ring(1000 + number, "anonymous") for number in range(CALLS.block + 1)]
    assert ["<Gather" in one for one in hidden] == [True] * CALLS.block + [False]
    assert tasks(app).count("limit") == 1
    assert "<Gather" in ring(5000, "+13125550188"), "others are served"


def test_while_the_store_is_away_nobody_is_a_stranger(app: App) -> None:
    """What comes is answered statically anyway, and kept: it must not be dropped by a limit."""
    away = replace(app, store=Store(connect("unix:///nowhere.sock"), app.store.cipher, 3))
    judged = limits(away, TEXTS)
    for number in range(TEXTS.block):
        judged.judge(f"+1212555{number:04d}", str(number))
    assert judged.judge("+12125559999", "x").answer == "go"


def test_a_repeated_webhook_has_the_same_answer_when_its_phone_has_passed_the_limit(client: FlaskClient) -> None:
    """The carrier tries again while the phone floods: the same bytes."""
    first = post(client, "/sms", text("hello", sid="SM" + "a" * 32))
    sender = Sender(client)
    for number in range(TEXTS.phone + 5):
        sender.say("+12125550188", f"words {number}")
    assert post(client, "/sms", text("hello", sid="SM" + "a" * 32)).data == first.data


def test_the_window_ends_and_the_memory_is_bounded() -> None:
    """Ten minutes later all is forgotten; a million keys do not stay."""
    now = [0.0]
    texts = Limits(lambda: now[0], TEXTS)
    for number in range(TEXTS.total * 60):
        texts.judge(f"+1{number:010d}", str(number))
    assert len(texts._judged) == 10_000
    assert len(texts._counts) <= 20_000
    assert texts.judge("+19", "x") == Verdict("silent", "total")
    now[0] = WINDOW_SECONDS + 1
    assert texts.judge("+19", "y") == Verdict("go")
    assert len(texts._counts) == 3


def test_a_text_from_a_country_that_is_not_texted_is_a_task_and_never_an_answer(client: FlaskClient, app: App) -> None:
    """Jamaica: silence towards the carrier, one task; an alarm is a task for now; STOP is obeyed."""
    sender = Sender(client)
    assert "<Message>" not in sender.say("+18765550123", "hello")
    assert "<Message>" not in sender.say("+18765550123", "hello?")
    assert tasks(app) == ["abroad"]
    assert "<Message>" not in sender.say("+18765550123", "chest pain")
    assert tasks(app) == ["alarm_abroad", "abroad"]


def test_nothing_goes_out_to_a_country_that_is_not_texted(store: Store) -> None:
    """Whatever was planned: the worker asks at the moment of sending."""
    line = Line()
    made, desk = office(store, line, Outgoing("+18765550123", "hello", "asked for"))
    made = replace(made, allowed=lambda phone: is_allowed(phone, REGIONS))
    result = carry_out(made, Claim("0-e", 1), Begun("go", "text", b'{"p": "patient-one"}'))
    assert (result.status, line.sent) == ("done", [])
    assert [more["tasks"] for _, more in desk.notes] == [("abroad",)]


# -- strangers --------------------------------------------------------------------------------------------------------


def test_an_address_that_keeps_erring_is_not_read_any_more_for_a_minute(client: FlaskClient) -> None:
    """Before the signature is looked at. Addresses behind which patients may be are never shut out."""
    for address, expected in (("8.8.8.8", 429), ("127.0.0.1", 403), ("10.1.2.3", 403)):
        codes = [
            client.post("/sms", data={"a": "b"}, environ_base={"REMOTE_ADDR": address}).status_code
            for _ in range(REFUSALS_PER_MINUTE + 1)
        ]
        assert codes[:-1] == [403] * REFUSALS_PER_MINUTE
        assert codes[-1] == expected
    assert post(client, "/sms", text("hello", sid="SM" + "b" * 32)).status_code == 200


def test_a_stranger_is_let_in_again_after_a_minute() -> None:
    """The count is of the last minute only."""
    now = [100.0]
    strangers = Strangers(lambda: now[0])
    for _ in range(REFUSALS_PER_MINUTE):
        strangers.shut_out("8.8.8.8")
        strangers.refused("8.8.8.8")
    assert strangers.shut_out("8.8.8.8")
    now[0] += 61
    assert not strangers.shut_out("8.8.8.8")


def test_a_second_alarm_is_a_new_task_when_the_first_was_closed(app: App) -> None:
    """And two patients without a conversation have a task each: an id names its patient and its moment."""
    clock = [1_780_000_000.0]
    app.conversation.now = lambda: clock[0]
    for number in range(8):
        app.conversation.note(f"patient-{number}", "k", tasks=("undelivered",), phone=f"+1713555010{number}")
    assert tasks(app) == ["undelivered"] * 8
    sid = 0
    for words in ("hello", "STOP", "chest pain", "chest pain"):
        sid, clock[0] = sid + 1, clock[0] + 60
        app.conversation.hear("+12125550188", "sms", words, f"SM{sid}")
        if words == "chest pain":
            alarm = app.store.tasks()[0]
            assert alarm.kind == "alarm_opted_out"
            app.store.close_task(alarm, "nurse")
