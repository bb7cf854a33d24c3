"""Booking pages' webhooks through the real app and store: what they change, once, and all that is refused."""

from __future__ import annotations

import hmac
import itertools
import json
import logging
import os
import shutil
import signal
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient

from bot.booked import keep
from bot.record import ERASED, Record, from_bytes
from bot.store.embedded import EmbeddedServer
from bot.turn import Heard, Turn
from bot.web import create_app
from bot.web.shelter import Shelter
from bot.wiring import App, build, make_shelter
from tests.web_fake import FakeConversation, make_app, post, settings, text

KEYS = {name: f"a secret of {name} that is only for tests" for name in ("calendly", "calcom", "fhir")}
SETTINGS = {f"BOOKING_{name.upper()}_KEY": f"{key.replace(' ', '-')}" for name, key in KEYS.items()}
DAY, NOW = 86_400.0, time.time()
PHONE, TO_PMR = "+12125550188", ("hi", "yes", "no", "no", "no", "9", "yes")


@dataclass
class Pages:
    """The booking pages, and a patient who finished the triage and agreed to check-ins."""

    app: App
    shelter: Shelter
    client: FlaskClient
    server: EmbeddedServer
    patient: str
    token: str = ""  # of the link that the patient was texted

    def send(self, page: str, payload: Any, **changes: Any) -> int:
        raw = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
        return self.client.post(f"/booking/{page}", data=raw, headers=signed(page, raw, **changes)).status_code

    @property
    def record(self) -> Record:
        return from_bytes(self.app.store.load(self.patient, "-").record or b"")

    def planned(self) -> set[str]:
        return set(self.record.planned)

    def told(self) -> list[tuple[str, str]]:
        """What the log says of visits."""
        events = [json.loads(one) for one in self.app.store.events(self.patient)]
        return [(one["what"], one.get("why", "")) for one in events if one.get("in") == "visit"]


def signed(page: str, raw: bytes, *, key: str | None = None, age: float = 0.0) -> dict[str, str]:
    secret = (key or SETTINGS[f"BOOKING_{page.upper()}_KEY"]).encode()
    if page == "calcom":
        return {"X-Cal-Signature-256": hmac.digest(secret, raw, "sha256").hex()}
    at = int(time.time() - age)
    header = "Calendly-Webhook-Signature" if page == "calendly" else "X-Booking-Signature"
    return {header: f"t={at},v1={hmac.digest(secret, f'{at}.'.encode() + raw, 'sha256').hex()}"}


@pytest.fixture(scope="module")
def opened() -> Iterator[tuple[EmbeddedServer, App, Shelter, FlaskClient]]:
    folder = Path(tempfile.mkdtemp(prefix="tb-"))
    server = EmbeddedServer(folder, fsync="no")
    server.start()
    hours = {"QUIET_START": "23:59", "QUIET_END": "00:00"}
    app = build(settings(STATE_URL=server.url, DATA_DIR=str(folder), OPT_OUT_MODE="app", **hours, **SETTINGS))
    shelter = make_shelter(app)
    made = create_app(
        app.settings, shelter, shelter, booked=lambda told: shelter.tried(lambda: keep(app.conversation, told))
    )
    with made.test_client() as client:
        yield server, app, shelter, client
    app.store.client.close()
    if server.process and server.process.poll() is None:
        os.kill(server.process.pid, signal.SIGCONT)
    server.stop()
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def pages(opened: tuple[EmbeddedServer, App, Shelter, FlaskClient]) -> Pages:
    server, app, shelter, client = opened
    app.store.client.flushdb()
    token = ""
    for sid, words in enumerate(TO_PMR):
        said = post(client, "/sms", text(words, sid=f"SM{sid:032x}", From=PHONE)).text
        if "/go/" in said:
            token = said.partition("/go/")[2].split()[0].split("<")[0].rstrip(".")
    found = Pages(app, shelter, client, server, app.store.cipher.patient_id(PHONE), token)
    assert {"F1", "F3", "F4"} <= found.planned()
    return found


def at(days: float) -> tuple[float, str]:
    seconds = float(int(NOW + days * DAY))
    return seconds, datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def calendly(
    event: str = "created", uid: str = "A", days: float = 10, *, told: float = 0, **more: Any
) -> dict[str, Any]:
    """*told*: minutes after NOW at which the page says so."""
    payload = {
        "uri": f"https://api.calendly.com/scheduled_events/E/invitees/{uid}", "old_invitee": None, "rescheduled": False,
        "text_reminder_number": "+1 212-555-0188", "questions_and_answers": [], "tracking": {"utm_content": None},
        "scheduled_event": {"start_time": at(days)[1]}, "name": "Ann Secret",
    } | more  # fmt: skip
    if uid_before := payload.pop("before", None):
        payload["old_invitee"] = payload["uri"].rpartition("/")[0] + f"/{uid_before}"
    return {"event": f"invitee.{event}", "created_at": at(told / 1440)[1], "payload": payload}


def calcom(event: str = "CREATED", uid: Any = "A", days: float = 10, *, age: float = 0, **more: Any) -> dict[str, Any]:
    payload = {
        "uid": uid, "startTime": at(days)[1], "status": "CANCELLED" if event == "CANCELLED" else "ACCEPTED",
        "metadata": {}, "attendees": [{"name": "Ann Secret"}],
        "responses": {"attendeePhoneNumber": {"label": "phone", "value": "(212) 555-0188"}},
    } | more  # fmt: skip
    return {"triggerEvent": f"BOOKING_{event}", "createdAt": at(-age)[1], "payload": payload}


def fhir(status: str = "booked", days: float = 10, version: str = "1", **more: Any) -> dict[str, Any]:
    patient = {"resourceType": "Patient", "telecom": [{"system": "phone", "value": PHONE}]}
    return {
        "resourceType": "Appointment", "id": "A", "meta": {"versionId": version}, "status": status,
        "start": at(days)[1], "contained": [patient],
    } | more  # fmt: skip


BOOKED = {"calendly": calendly(), "calcom": calcom(), "fhir": fhir()}
MOVED = {
    "calendly": calendly(uid="B", days=20, before="A", told=1),
    "calcom": calcom("RESCHEDULED", "B", 20, age=-1 / 1440, rescheduleUid="A"),
    "fhir": fhir(days=20, version="2"),
}  # fmt: skip
CANCELLED = {
    "calendly": calendly("canceled", "B", 20, told=2), "calcom": calcom("CANCELLED", "B", 20, age=-2 / 1440),
    "fhir": fhir("cancelled", 20, "3"),
}  # fmt: skip
each_page = pytest.mark.parametrize("page", list(KEYS))


@each_page
def test_a_booking_drops_the_nudges_a_move_moves_the_clock_and_a_cancellation_takes_the_reminders(
    pages: Pages, page: str
) -> None:
    assert pages.send(page, BOOKED[page]) == 200
    assert "booked" in pages.record.facts
    assert {"F6", "F7", "F8"} <= pages.planned()
    assert {"F1", "F3"}.isdisjoint(pages.planned())
    assert pages.record.visit_at == at(10)[0]
    first = {one.name: one.at for one in pages.app.conversation.upcoming(pages.patient)}
    assert pages.send(page, MOVED[page]) == 200
    moved = {one.name: one.at for one in pages.app.conversation.upcoming(pages.patient)}
    assert pages.record.visit_at == at(20)[0]
    assert 9 * DAY < (moved["F4"] or 0) - (first["F4"] or 0) < 11 * DAY
    assert pages.send(page, CANCELLED[page]) == 200
    assert "booked" not in pages.record.facts
    assert {"F6", "F7", "F8"}.isdisjoint(pages.planned())
    assert {"F2", "F4", "F5", "F10", "F11"} <= pages.planned()
    again = {one.name: one for one in pages.app.conversation.upcoming(pages.patient)}
    assert 0.9 * DAY < (again["F10"].at or 0) - time.time() < 2 * DAY
    assert 13 * DAY < (again["F4"].at or 0) - time.time() < 15 * DAY  # from the triage again
    assert [one.kind for one in pages.app.store.tasks()] == ["visit_cancelled"]
    assert [what for what, _ in pages.told()][0::2] == ["booked", "cancelled"]


@each_page
def test_the_same_message_again_counts_once(pages: Pages, page: str) -> None:
    assert [pages.send(page, BOOKED[page]) for _ in range(3)] == [200] * 3
    assert pages.told() == [("booked", "")]


@each_page
def test_what_comes_after_its_move_or_its_end_changes_nothing(pages: Pages, page: str) -> None:
    pages.send(page, MOVED[page])
    pages.send(page, BOOKED[page])
    assert pages.record.visit_at == at(20)[0]
    pages.send(page, CANCELLED[page])
    pages.send(page, MOVED[page])
    assert "booked" not in pages.record.facts
    assert [why for _, why in pages.told()] == ["", "over", ""]  # the last is the first again


@each_page
@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
def test_in_whatever_order_three_words_come_no_visit_stays_that_is_cancelled(
    pages: Pages, page: str, order: tuple[int, ...]
) -> None:
    """Booked, moved, cancelled: no reminder, the nudges are planned, once each, and staff have it as one task."""
    words = (BOOKED[page], MOVED[page], CANCELLED[page])
    for number in (*order, *order):
        assert pages.send(page, words[number]) == 200
    assert "booked" not in pages.record.facts
    assert {"F6", "F7", "F8"}.isdisjoint(pages.planned())
    assert len({"F1", "F10"} & pages.planned()) == len({"F3", "F11"} & pages.planned()) == 1
    assert [one.kind for one in pages.app.store.tasks()] == ["visit_cancelled"]


@pytest.mark.parametrize("order", [(3, 0, 2, 1), (3, 2, 0, 1), (3, 1, 0, 2), (0, 3, 2, 1), (2, 3, 1, 0)])
def test_staff_hear_once_of_a_visit_that_was_moved_twice_and_ended(pages: Pages, order: tuple[int, ...]) -> None:
    moved, ended = calendly(uid="C", days=30, before="B", told=2), calendly("canceled", "C", 30, told=3)
    for number in (*order, *order):
        pages.send("calendly", (BOOKED["calendly"], MOVED["calendly"], moved, ended)[number])
    assert "booked" not in pages.record.facts
    assert [one.kind for one in pages.app.store.tasks()] == ["visit_cancelled"]


@each_page
@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
def test_a_visit_moved_twice_is_where_it_was_moved_last(pages: Pages, page: str, order: tuple[int, ...]) -> None:
    third = {
        "calendly": calendly(uid="C", days=30, before="B", told=2),
        "calcom": calcom("RESCHEDULED", "C", 30, age=-2 / 1440, rescheduleUid="B"), "fhir": fhir(days=30, version="3"),
    }  # fmt: skip
    words = (BOOKED[page], MOVED[page], third[page])
    for number in order:
        assert pages.send(page, words[number]) == 200
    assert pages.record.visit_at == at(30)[0]
    assert {"F6", "F7", "F8"} <= pages.planned()
    assert {"F1", "F3", "F10", "F11"}.isdisjoint(pages.planned())


def test_a_cal_com_booking_that_keeps_its_name_is_where_the_newer_word_puts_it(pages: Pages) -> None:
    pages.send("calcom", calcom("RESCHEDULED", days=30, age=0.001, rescheduleUid="A"))
    pages.send("calcom", calcom("RESCHEDULED", days=20, age=0.002, rescheduleUid="A"))
    assert pages.record.visit_at == at(30)[0]


def test_a_new_visit_after_a_cancelled_one_takes_the_nudges_back(pages: Pages) -> None:
    for payload in (BOOKED["calendly"], calendly("canceled")):
        pages.send("calendly", payload)
    assert "F10" in pages.planned()
    pages.send("calendly", calendly(uid="Z", days=5))
    assert {"F6", "F7", "F8"} <= pages.planned()
    assert {"F10", "F11"}.isdisjoint(pages.planned())


@each_page
def test_what_a_page_sends_again_a_day_later_counts_and_only_once(pages: Pages, page: str) -> None:
    """Calendly tries for 24 hours; whether it signs anew for that is not said."""
    late = json.dumps(calcom(age=0.99) if page == "calcom" else BOOKED[page]).encode()
    assert [pages.send(page, late, age=23.9 * 3600) for _ in range(2)] == [200, 200]
    assert pages.told() == [("booked", "")]


def test_the_other_half_of_a_calendly_move_cancels_nothing(pages: Pages) -> None:
    """Whichever half comes first."""
    pages.send("calendly", BOOKED["calendly"])
    assert pages.send("calendly", calendly("canceled", "A", rescheduled=True)) == 200
    assert "booked" in pages.record.facts
    pages.send("calendly", MOVED["calendly"])
    assert pages.send("calendly", calendly("canceled", "A", rescheduled=True)) == 200
    assert pages.told() == [("booked", ""), ("moved", "")]


@pytest.mark.parametrize("page", ["calendly", "calcom"])
def test_the_end_of_another_visit_leaves_the_one_we_know_of(pages: Pages, page: str) -> None:
    pages.send(page, BOOKED[page])
    pages.send(page, CANCELLED[page])
    assert "booked" in pages.record.facts
    assert {"F6", "F7", "F8"} <= pages.planned()


def test_a_cal_com_booking_that_waits_for_confirmation_is_none_yet(pages: Pages) -> None:
    assert pages.send("calcom", calcom(status="PENDING")) == 200
    assert pages.told() == []


def test_a_missed_visit_gets_its_follow_up(pages: Pages) -> None:
    pages.send("fhir", BOOKED["fhir"])
    pages.send("fhir", fhir("noshow", version="2"))
    assert "F9" in pages.planned()


def test_the_links_token_says_who_it_is_better_than_any_number(pages: Pages) -> None:
    """The redirect hands it to the page, the page hands it back; somebody else's phone in the form changes nothing."""
    led = pages.client.post(f"/go/{pages.token}").headers["Location"]
    assert led.endswith(f"?visit=1&utm_content={pages.token}&metadata%5Bref%5D={pages.token}")
    other = calendly(text_reminder_number="+12125550199", tracking={"utm_content": pages.token})
    assert pages.send("calendly", other) == 200
    ref = calcom("RESCHEDULED", "B", 12, rescheduleUid="A", responses={}, metadata={"ref": pages.token})
    assert pages.send("calcom", ref) == 200
    mark = [{"system": "urn:triage:ref", "value": pages.token}]
    assert pages.send("fhir", fhir(contained=[], identifier=mark)) == 200
    assert [what for what, _ in pages.told()] == ["booked", "moved", "booked"]


@pytest.mark.parametrize(
    ("asked", "known"),
    [
        ({"Your mobile phone": "212 555 0188"}, True),
        ({"Your mobile phone": "212 555 0188", "Cell phone again": "212 555 0189"}, False),
        ({"Emergency contact phone": "212 555 0188"}, False),
        ({"Your member number": "2125550188"}, False),
    ],
)
def test_an_answer_counts_only_as_the_patients_own_one_number(pages: Pages, asked: dict[str, str], known: bool) -> None:
    answers = [{"question": question, "answer": answer} for question, answer in asked.items()]
    assert pages.send("calendly", calendly(text_reminder_number=None, questions_and_answers=answers)) == 200
    assert bool(pages.told()) is known


@each_page
def test_of_somebody_unknown_or_erased_nothing_is_kept(pages: Pages, page: str) -> None:
    before = pages.app.store.client.dbsize()
    strange = json.loads(json.dumps(BOOKED[page]).replace("0188", "0177"))
    assert pages.send(page, strange) == 200
    assert pages.app.store.client.dbsize() == before
    pages.app.conversation.staff_turn(
        pages.patient,
        "erased",
        lambda record, now: (Turn(record.but(facts=frozenset({ERASED})), Heard("sms", "en")), b""),
    )
    assert pages.send(page, BOOKED[page]) == 200
    assert pages.told() == []


@each_page
@pytest.mark.parametrize(
    ("change", "status", "words"),
    [
        ({"key": "some other secret of theirs"}, 403, "not ours"),
        ({"age": 26 * 3600}, 403, ""),
        ({"age": -400}, 403, ""),
        ({"raw": b"{" * 40_000}, 400, "not JSON"),
        ({"raw": b'{"payload":' + b"[" * 60_000}, 400, "not JSON"),
        ({"raw": b"\xff\xfeAnn Secret"}, 400, "not JSON"),
        ({"raw": b'["Ann Secret"]'}, 400, "no JSON object"),
        ({"raw": b"x" * 70_000}, 413, ""),
        ({"strip": True}, 403, ""),
    ],
)
def test_forged_stale_huge_and_malformed_are_refused_in_words_without_the_payload(
    pages: Pages, page: str, change: dict[str, Any], status: int, words: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    change = dict(change)
    raw = change.pop("raw", None) or json.dumps(BOOKED[page]).encode()
    if page == "calcom" and "age" in change:
        raw = json.dumps(calcom(age=change.pop("age") / 300)).encode()
    headers = {} if change.pop("strip", False) else signed(page, raw, **change)
    answer = pages.client.post(f"/booking/{page}", data=raw, headers=headers)
    assert answer.status_code == status
    assert words in caplog.text
    assert not any(one in caplog.text + answer.text for one in ("Ann", "Secret", "0188", "Traceback"))
    assert pages.told() == []


@pytest.mark.parametrize(
    ("page", "payload"),
    [
        ("calendly", calendly(uri=None)),
        ("calendly", calendly(scheduled_event=None)),
        ("calendly", calendly(scheduled_event={"start_time": "2026-13-45T99:00:00Z"})),
        ("calendly", calendly(scheduled_event={"start_time": "2026-12-24T09:00:00"})),
        ("calendly", calendly(days=4000)),
        ("calcom", calcom(startTime=5)),
        ("calcom", calcom(uid=["A"])),
        ("calcom", calcom("RESCHEDULED", rescheduleUid={"a": 1})),
        ("calcom", {"triggerEvent": "BOOKING_CREATED", "createdAt": None, "payload": []}),
        ("fhir", {"resourceType": "Patient"}),
        ("fhir", fhir(start=None)),
        ("fhir", fhir(id=7)),
    ],
)
def test_signed_nonsense_is_refused(pages: Pages, page: str, payload: dict[str, Any]) -> None:
    assert pages.send(page, payload) == 400
    assert pages.told() == []


@pytest.mark.parametrize(
    ("page", "payload"),
    [
        ("calendly", {"event": "invitee_no_show.created", "payload": {}}),
        ("calcom", {"triggerEvent": "PING", "createdAt": at(0)[1], "payload": {}}),
        ("fhir", fhir("proposed")),
        ("calendly", calendly(tracking=7, text_reminder_number=["x"], questions_and_answers={"a": 1})),
        ("calcom", calcom(responses=[1], metadata="x", attendees="y", smsReminderNumber={"value": 3})),
        ("fhir", fhir(contained=[{"resourceType": "Patient", "telecom": "x"}, 3], identifier=[None])),
    ],
)
def test_what_changes_no_visit_is_taken_and_forgotten(pages: Pages, page: str, payload: dict[str, Any]) -> None:
    assert pages.send(page, payload) == 200
    assert pages.told() == []


def test_a_page_without_its_key_has_no_door() -> None:
    with make_app(FakeConversation()).test_client() as client:
        for page in [*KEYS, "other"]:
            raw = json.dumps(calcom()).encode()
            empty = {"X-Cal-Signature-256": hmac.digest(b"", raw, "sha256").hex()}
            assert client.post(f"/booking/{page}", data=raw, headers=empty).status_code == 404
        assert client.get("/booking/calcom").status_code == 405


@each_page
def test_while_the_store_is_away_the_page_is_told_to_try_again(pages: Pages, page: str) -> None:
    assert pages.server.process is not None
    pages.server.stop()
    try:
        assert pages.send(page, BOOKED[page]) == 503
    finally:
        pages.server.start()
        pages.shelter.look()
    assert pages.send(page, BOOKED[page]) == 200
    assert pages.told() == [("booked", "")]
