"""Staff are told that somebody needs them: over a real HTTP server, a real mail server and the local Twilio."""

from __future__ import annotations

import base64
import hmac
import json
import socketserver
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from bot.alerts import ESCALATION, planned, raise_for_clinic
from bot.followups import Office, carry_out
from bot.sending import pause, resume
from bot.settings import Settings, SettingsError
from bot.store.model import Task
from bot.store.store import Store
from bot.tasks import TASKS
from bot.wiring import App, put_together
from tests.sandbox_stage import ACCOUNT, OURS, PATIENT, TOKEN, Stage
from tests.web_fake import settings as plain_settings
from workers.executor import Executor

NURSE, CHIEF = "+17135550171", "+17135550172"
KEY = "7c" * 32
CHICAGO = ZoneInfo("America/Chicago")
STORY = "I have chest pain and I can not breathe"


def monday(hour: int) -> float:
    """The next one: the sandbox's clock only moves forward."""
    at = datetime.now(CHICAGO).replace(hour=hour, minute=0, second=0, microsecond=0)
    return (at + timedelta(days=7 - at.weekday())).timestamp()


class MailHandler(socketserver.StreamRequestHandler):
    """Enough of RFC 5321 for one mail: every command is taken, the data is kept."""

    def handle(self) -> None:
        mails: list[str] = self.server.mails  # type: ignore[attr-defined]
        self.wfile.write(b"220 here\r\n")
        while line := self.rfile.readline():
            word = line.strip().upper()
            if word == b"QUIT":
                self.wfile.write(b"221 bye\r\n")
                return
            if word == b"DATA":
                self.wfile.write(b"354 go on\r\n")
                kept = []
                while (one := self.rfile.readline()) != b".\r\n":
                    kept.append(one.decode())
                mails.append("".join(kept))
            self.wfile.write(b"250 ok\r\n")


class HookHandler(BaseHTTPRequestHandler):
    """Keeps what was posted."""

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        self.server.posts.append((dict(self.headers), body))  # type: ignore[attr-defined]
        self.send_response(self.server.status)  # type: ignore[attr-defined]
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        return


@dataclass
class Staff:
    """A clinic whose staff have every channel; ``work`` lets a worker do what is due."""

    stage: Stage
    app: App
    store: Store
    office: Office
    hook: Any
    mail: Any
    keys: Iterator[int] = field(default_factory=lambda: iter(range(999)))

    def says(self, words: str = STORY) -> None:
        self.app.conversation.hear(PATIENT, "sms", words, f"SM{next(self.keys)}")

    def work(self, minutes: float = 0.0) -> None:
        self.stage.clock.advance(minutes * 60)
        executor = Executor(self.store, self.office, self.stage.clock)
        for bucket in range(self.store.buckets):
            executor.drain(bucket)

    def texts(self, phone: str) -> list[str]:
        return [one.body for one in self.stage.sandbox.messages.values() if one.to == phone]

    def told(self, kind: str) -> list[str]:
        """How loud the webhook was told of each task of *kind*."""
        posts = [json.loads(body) for _, body in self.hook.posts]
        return [one["level"] for one in posts if one["kind"] == kind]

    def close(self) -> None:
        for task in self.store.tasks():
            self.store.close_task(task, "nurse")


@pytest.fixture
def staff(tmp_path: Path, store: Store, request: pytest.FixtureRequest) -> Iterator[Staff]:
    """Monday noon, or the hour of the parameter."""
    hook: Any = ThreadingHTTPServer(("127.0.0.1", 0), HookHandler)
    mail: Any = socketserver.ThreadingTCPServer(("127.0.0.1", 0), MailHandler)
    hook.posts, hook.status, mail.mails = [], 204, []
    for one in (hook, mail):
        one.daemon_threads = True
        threading.Thread(target=one.serve_forever, args=(0.01,), daemon=True).start()
    with Stage(tmp_path) as stage:
        stage.clock.advance(monday(getattr(request, "param", 12)) - stage.clock())
        made = Settings.load(
            {
                "SANDBOX": "true", "DATA_DIR": str(tmp_path), "TWILIO_ACCOUNT_SID": ACCOUNT, "TWILIO_AUTH_TOKENS": TOKEN,
                "PUBLIC_URL": stage.public_url, "TWILIO_API_BASE": f"http://127.0.0.1:{stage.port}", "TWILIO_FROM": OURS,
                "ALERT_PHONES": NURSE, "ALERT_ESCALATION_PHONES": CHIEF, "ALERT_SECRET": KEY,
                "ALERT_URL": f"http://127.0.0.1:{hook.server_address[1]}/hook", "ALERT_EMAIL": "nurse@clinic.example",
                "SMTP_URL": f"smtp://127.0.0.1:{mail.server_address[1]}", "CONSOLE_URL": "https://console.example",
            }
        )  # fmt: skip
        app = put_together(made, "", store, stage.clock)
        yield Staff(stage, app, store, app.office(), hook, mail)
    for one in (hook, mail):
        one.shutdown()
        one.server_close()


def test_an_emergency_is_told_at_once_over_every_channel_and_tells_no_story(staff: Staff) -> None:
    """Kind of task and a link to the console; no number, no words, and the webhook's signature holds."""
    staff.says()
    staff.work()
    (text,) = staff.texts(NURSE)
    patient = staff.store.cipher.patient_id(PATIENT)
    assert text.startswith("CLS Health alert NEW: a patient reported an emergency sign")
    assert text.endswith(f"https://console.example/patients/{patient}")
    ((headers, body),) = staff.hook.posts
    heads = {name.lower(): value for name, value in headers.items()}
    signed = f"{heads['webhook-id']}.{heads['webhook-timestamp']}.".encode() + body
    mark = base64.b64encode(hmac.digest(bytes.fromhex(KEY), signed, "sha256")).decode()
    assert heads["webhook-signature"] == f"v1,{mark}"
    assert abs(int(heads["webhook-timestamp"]) - staff.stage.clock()) < 5
    told = json.loads(body)
    assert (told["kind"], told["urgency"], told["level"]) == ("emergency", 0, "new")
    (mail,) = staff.mail.mails
    assert "To: nurse@clinic.example" in mail
    assert staff.texts(CHIEF) == [], "the next in line hears when nobody takes it"
    for said in (text, body.decode(), mail):
        assert PATIENT[2:] not in said
        assert "chest" not in said
        assert "breathe" not in said


def test_what_nobody_takes_comes_again_louder_until_the_task_is_closed(staff: Staff) -> None:
    """After a third of the call-back clock to the next in line as well, and after its end it says late."""
    staff.says()
    staff.work()
    staff.work(5.5)
    assert [text.split(":")[0] for text in staff.texts(NURSE)] == [
        "CLS Health alert NEW", "CLS Health alert UNANSWERED, waiting 6 min",
    ]  # fmt: skip
    assert len(staff.texts(CHIEF)) == 1
    staff.work(10)
    assert "alert LATE, waiting 16 min" in staff.texts(CHIEF)[-1]
    staff.close()
    before = len(staff.texts(NURSE)), len(staff.hook.posts), len(staff.mail.mails)
    staff.work(60)
    assert (len(staff.texts(NURSE)), len(staff.hook.posts), len(staff.mail.mails)) == before
    assert json.loads(staff.hook.posts[-1][1])["level"] == "late"


def test_a_task_that_somebody_has_taken_is_quiet_and_rings_again_when_handed_back(staff: Staff) -> None:
    """Taking over is the acknowledgement; handing back an open task is not an end."""
    from bot.takeover import TakeOver

    staff.says()
    staff.work()
    hands, patient = TakeOver(staff.app.conversation), staff.store.cipher.patient_id(PATIENT)
    assert hands.claim(patient, "nurse", "once-1").ok
    staff.work(6)
    assert (len(staff.texts(NURSE)), staff.texts(CHIEF)) == (1, [])
    assert hands.release(patient, "nurse", "once-2", screens=False).ok
    staff.work(6)
    assert len(staff.texts(NURSE)) == 2


def test_an_emergency_of_a_patient_whom_somebody_took_over_long_ago_rings(staff: Staff) -> None:
    """Who had the patient may have gone home: only closing the task, or another person, ends it."""
    from bot.takeover import TakeOver

    staff.says("hi")
    assert TakeOver(staff.app.conversation).claim(staff.store.cipher.patient_id(PATIENT), "nurse", "once-1").ok
    staff.says()
    staff.work()
    staff.work(6)
    assert (len(staff.texts(NURSE)), len(staff.texts(CHIEF))) == (2, 1)


def test_alerts_cost_a_turn_no_command_more(staff: Staff) -> None:
    """They are part of the commit: one load and one script, with four channels set."""
    staff.says("hi")
    staff.store.client.config_resetstat()
    staff.says()
    stats: Any = staff.store.client.info("commandstats")
    asked = {name.removeprefix("cmdstat_"): one["calls"] for name, one in stats.items()}
    assert asked["mget"] == 1
    assert asked.get("evalsha", 0) + asked.get("eval", 0) + asked.get("fcall", 0) == 1, asked


def test_a_webhook_that_comes_twice_rings_once_and_a_death_before_the_end_rings_again(staff: Staff) -> None:
    """Once for a task; twice is better than never when a worker died after the carrier took the text."""
    for _ in range(2):
        staff.app.conversation.hear(PATIENT, "sms", STORY, "SM-same")
    now = staff.stage.clock()
    for bucket in range(staff.store.buckets):
        for claim in staff.store.claim(bucket, now):
            carry_out(staff.office, claim, staff.store.begin(claim))  # and dies: neither finished nor put off
    assert len(staff.texts(NURSE)) == 1
    staff.work(0.5)
    assert len(staff.texts(NURSE)) == 2
    assert len({dict(headers)["webhook-id"] for headers, _ in staff.hook.posts}) == 1, "the receiver can tell"


def test_a_stop_of_patients_texts_holds_no_alert_and_refused_credentials_hold_only_texts(staff: Staff) -> None:
    """Paused by staff: all ring. Refused by the carrier: e-mail and webhook do, and the failure is a task."""
    pause(staff.store, "wrong wording", "nurse", staff.stage.clock())
    staff.says()
    staff.work()
    assert len(staff.texts(NURSE)) == 1
    staff.office.gate.refused(20003)
    staff.work(6)
    assert len(staff.texts(NURSE)) == 1
    assert staff.told("emergency") == ["new", "unanswered"]
    assert [sum("emergency sign" in mail for mail in staff.mail.mails), staff.told("configuration")] == [2, ["new"]]
    assert "alert_failed" in [task.kind for task in staff.store.tasks()]


def test_a_channel_that_fails_is_tried_again_within_two_minutes_and_holds_up_no_other(staff: Staff) -> None:
    """The webhook's server answers 500, then works."""
    staff.hook.status = 500
    staff.says()
    staff.work()
    assert [sum("emergency" in one for one in told) for told in (staff.texts(NURSE), staff.mail.mails)] == [1, 1]
    assert staff.told("emergency") == ["new"]
    staff.hook.status = 204
    staff.work(1.6)
    assert staff.told("emergency") == ["new", "new"]
    assert [task.kind for task in staff.store.tasks()].count("alert_failed") == 1
    assert staff.told("alert_failed") == [], "the others hear that this channel failed, it does not"
    assert [["emergency" in said, "staff channel" in said] for said in staff.texts(NURSE)] == [[1, 0], [0, 1]]


def test_refused_credentials_are_told_once_by_every_way_but_the_one_that_is_refused(staff: Staff) -> None:
    """About no patient; louder while nobody resumes; the carrier is not asked again and again; ends with the stop."""
    staff.says("hi")
    for _ in range(3):
        staff.office.gate.refused(20003)
    staff.work()
    ((_, body),) = staff.hook.posts
    told = json.loads(body)
    assert told["says"] == ("CLS Health alert NEW: sending is stopped: the carrier refused our credentials or set-up")
    assert told["link"] == "https://console.example/"
    staff.work(21)
    staff.work(50)
    assert staff.told("configuration") == ["new", "unanswered", "late"]
    assert (len(staff.mail.mails), staff.texts(NURSE), staff.texts(CHIEF)) == (3, [], [])
    resume(staff.store, "nurse", staff.stage.clock(), CHICAGO)
    staff.work(120)
    assert len(staff.hook.posts) == 3


def test_a_flood_of_faults_rings_once_in_an_hour_and_each_is_a_task(staff: Staff) -> None:
    """One fault of ours can bury ten thousand effects; two tasks are two, one alert is enough to look."""
    names = tuple(staff.office.alerts.channels) if staff.office.alerts else ()
    for name in ("fault.1", "fault.1", "fault.2"):
        raise_for_clinic(staff.store, "fault", name, staff.stage.clock(), names, once_in=3600)
    staff.work()
    assert [task.kind for task in staff.store.tasks()] == ["fault", "fault"]
    assert staff.told("fault") == ["new"]
    assert len(staff.texts(NURSE)) == 1


@pytest.mark.parametrize("staff", [22], indirect=True)
def test_a_stop_rings_at_night_and_a_fault_waits_for_the_morning(staff: Staff) -> None:
    """Nobody is woken for what can wait; who is on call decides about sending that has stopped."""
    names = tuple(staff.office.alerts.channels) if staff.office.alerts else ()
    raise_for_clinic(staff.store, "fault", "fault.1", staff.stage.clock(), names)
    staff.office.gate.refused(20003)
    staff.work()
    assert (staff.told("fault"), staff.told("configuration")) == ([], ["new"])
    staff.work(11 * 60)
    assert staff.told("fault") == ["unanswered"] or staff.told("fault") == ["late"]


@pytest.mark.parametrize("staff", [22], indirect=True)
def test_what_is_not_urgent_waits_for_the_clinic_to_open_and_comes_once(staff: Staff) -> None:
    """*worse* is for the next work day (SPEC D): nobody is woken for it."""
    staff.app.conversation.note(staff.store.cipher.patient_id(PATIENT), "n", tasks=("worse", "urgent"), phone=PATIENT)
    staff.work()
    assert [text.split(" a patient ")[1].split(".")[0] for text in staff.texts(NURSE)] == [TASKS["urgent"].says], (
        "an urgent one is told at once, and repeated in opening hours"
    )
    staff.work(9 * 60)
    assert len(staff.texts(NURSE)) == 1
    staff.work(70)
    assert sorted(text.split(" a patient ")[1].split(".")[0] for text in staff.texts(NURSE)[1:]) == [
        TASKS["worse"].says, TASKS["urgent"].says,
    ]  # fmt: skip
    staff.close()
    staff.work(300)
    assert len(staff.texts(NURSE)) == 3


def test_without_a_staff_channel_nothing_is_planned_and_half_a_channel_is_refused(store: Store) -> None:
    """A task alone, as before; what could never ring is a problem at start."""
    app = put_together(plain_settings(), "", store, lambda: 1_780_000_000.0)
    app.conversation.hear(PATIENT, "sms", STORY, "SM1")
    assert [task.kind for task in store.tasks()] == ["emergency"]
    kinds = [store.client.hget(key, "k") for key in store.client.keys("*e:*")]
    assert b"alert" not in kinds
    with pytest.raises(SettingsError, match="ALERT_EMAIL and SMTP_URL"):
        plain_settings(ALERT_EMAIL="nurse@clinic.example")
    with pytest.raises(SettingsError, match="SMTP_URL: must be like smtps://") as wrong:
        plain_settings(ALERT_EMAIL="nurse@clinic.example", SMTP_URL="http://user:hunter2@mail.example")
    assert "hunter2" not in str(wrong.value)


def test_worse_is_told_to_the_staff_of_the_day_and_never_to_who_is_on_call() -> None:
    """It has no call-back clock, so nothing of it escalates; an emergency goes to both, to the latter after a third of its
    clock."""
    channels = ("text 1", f"{ESCALATION} 1", "webhook")
    found = {}
    for kind in ("worse", "emergency", "no_reply"):
        task = Task("t", "p", kind, TASKS[kind].urgency, 100.0)
        found[kind] = [
            (json.loads(one.body)["to"], one.due) for one in planned([task], channels, None, lambda who: "e")
        ]
    assert found["worse"] == [("text 1", 100.0), ("webhook", 100.0)]
    assert found["emergency"] == [("text 1", 100.0), (f"{ESCALATION} 1", 400.0), ("webhook", 100.0)]
    assert found["no_reply"] == []
