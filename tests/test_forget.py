"""P8: a patient's number and words are nowhere in clear while they are served, and nowhere at all after forget."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from http.cookiejar import CookieJar, DefaultCookiePolicy
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.parse import urlencode
from urllib.request import HTTPCookieProcessor, Request, build_opener, urlopen

import pyotp
import pytest

from bot.conversation import Conversation
from bot.forget import erase_patient, erase_spooled
from bot.record import ERASED, Record, to_bytes
from bot.sandbox.phone import FIRST_PHONES
from bot.store.cipher import Cipher
from bot.store.client import connect
from bot.store.embedded import EmbeddedServer
from bot.store.erase import left
from bot.store.sends import Sends, Sent
from bot.store.spool import Spool
from bot.store.store import Store
from bot.store.walk import walk as walk_store
from bot.turn import Input
from bot.undelivered import Lost
from tests.test_conversation import PHONE, Make, make, record, text, walk
from tests.whole import ROOT, Whole

__all__ = ["make"]
CANARY = "zebrafinch"
TO_CONSENT = ("hi", "yes", "no", "no", "no", "9", "yes")


def forgotten(store: Store, cipher: Cipher, now: float = 1_764_007_300.0) -> str:
    patient: str = cipher.patient_id(PHONE)
    erase_patient(store, patient, now)
    return patient


def test_everything_that_names_the_patient_is_gone_and_others_are_untouched(
    make: Make, store: Store, cipher: Cipher
) -> None:
    """Record, log, effects, due, tasks, links, senders, how a text fared; whatever is added later is found too."""
    conversation = make()
    walk(conversation, *TO_CONSENT, CANARY)
    conversation.hear("+17135550177", "sms", "hi", "SMx")
    other = {value for value in walk_store(store.client, cipher) if cipher.patient_id("+17135550177") in value.key}
    patient = cipher.patient_id(PHONE)
    conversation.note(patient, "n", tasks=("person",))
    Sends(store).keep("0-e", Sent(patient, "text", {}))
    store.set_status("0-e", "sent", 0, 1.0, "SM1")
    client: Any = store.client
    client.hset("{outreach}rows", "7", cipher.seal("{outreach}rows", json.dumps({"to": PHONE}).encode()))
    forgotten(store, cipher)
    assert left(store, patient, (patient.encode(), PHONE.encode())) == []
    assert not client.exists("{outreach}rows", "{b0}m:0-e")
    waiting = [client.zcard(f"{store.tag(bucket)}{name}") for bucket in range(3) for name in ("due", "held", "tasks")]
    assert sum(waiting) == 1, "the other patient's timer"
    assert store.verify(patient) is None
    assert other <= set(walk_store(store.client, cipher))
    assert record(store, cipher) == Record("", last_at=1_764_007_300.0, facts=frozenset({ERASED}))
    assert not [
        v
        for v in walk_store(store.client, cipher)
        if v.plain and (CANARY.encode() in v.plain or PHONE.encode() in v.plain)
    ]


def test_a_stop_outlives_the_erasure(make: Make, store: Store, cipher: Cipher) -> None:
    """For ever, under the keyed hash alone; writing again gets no answer, START opens again."""
    conversation = make()
    walk(conversation, "hi", "STOP")
    patient = forgotten(store, cipher)
    client: Any = store.client
    assert record(store, cipher).opted_out
    assert client.ttl(f"{store.tag(store.bucket(patient))}p:{patient}") == -1
    assert text(conversation, "hello?", "SM8") == ""
    assert record(store, cipher).opted_out
    text(conversation, "START", "SM9")
    assert not record(store, cipher).opted_out


def test_what_comes_late_for_an_erased_patient_revives_nothing(make: Make, store: Store, cipher: Cipher) -> None:
    """The same webhook again, a report, a worker's effect, a press of a link or of staff, an older kept input."""
    conversation: Conversation = make()
    walk(conversation, *TO_CONSENT)
    patient = forgotten(store, cipher)
    bare = to_bytes(record(store, cipher))
    assert "<Response/>" in text(conversation, "hi", "SM0")
    conversation.note(patient, "report:x", tasks=("undelivered",))
    conversation.call_over(patient, "0-x", "completed", "human")
    assert conversation.tick(patient, "0-y", {"s": "s0", "t": 1}).body is None
    assert json.loads(conversation.staff_turn(patient, "claim", lambda *_: pytest.fail("decided")))[0] is False
    conversation.take_up(PHONE, Input("sms", "my back"), "SM77", came=1_764_007_100.0, answered=b"<Response/>")
    assert to_bytes(record(store, cipher)) == bare
    assert store.tasks() == []
    assert store.events(patient) == []
    conversation.not_arrived(patient, "21610", Lost("0-x", "text", {}, 21610))
    assert (record(store, cipher).opted_out, record(store, cipher).phone) == (True, ""), "a late STOP counts"


def test_whoever_writes_after_the_erasure_is_a_new_patient(make: Make, store: Store, cipher: Cipher) -> None:
    """A full conversation, with the number again, that no expiry ends."""
    conversation = make()
    walk(conversation, *TO_CONSENT)
    patient = forgotten(store, cipher)
    client: Any = store.client
    key = f"{store.tag(store.bucket(patient))}p:{patient}"
    assert 0 < client.ttl(key) <= 30 * 86_400
    assert "EMERGENCY? Call 911" in text(conversation, "hi", "SM100")
    assert (record(store, cipher).phone, record(store, cipher).facts, client.ttl(key)) == (PHONE, frozenset(), -1)
    assert store.verify(patient) is None


def test_a_turn_in_between_is_never_half_erased(make: Make, store: Store, cipher: Cipher, monkeypatch: Any) -> None:
    """The patient writes while the store is walked over: the record has changed, so it is walked over again."""
    from bot.store import erase as erasing

    conversation = make()
    walk(conversation, "hi", "yes")
    patient, real, once = cipher.patient_id(PHONE), erasing.walk, []

    def slow(*given: Any) -> Any:
        found = list(real(*given))
        if not once:
            once.append(text(conversation, "no", "SM50"))
        return found

    monkeypatch.setattr(erasing, "walk", slow)
    forgotten(store, cipher)
    assert once
    assert store.events(patient) == []
    assert left(store, patient, (patient.encode(),)) == []


def test_kept_inputs_of_the_patient_leave_the_disk(store: Store, cipher: Cipher, tmp_path: Path) -> None:
    """Also those set aside for a person; another patient's stay."""
    spool = Spool(tmp_path, cipher)
    for phone in (PHONE, PHONE, "+17135550199"):
        spool.keep({"do": "take_up", "given": [phone, "sms", "words"]})
    spool.set_aside(spool.names()[0])
    assert erase_spooled(tmp_path, cipher, cipher.patient_id(PHONE)) == 2
    assert (len(spool.names()), spool.aside()) == (1, 0)


def files(folder: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def places(whole: Whole, client: Any) -> dict[str, bytes]:
    """Everywhere a number or a word could be: files, what was printed, every key and value, the slow log, processes."""
    found = files(whole.folder)
    for key in client.keys("*"):
        found[repr(key)] = key + (client.dump(key) or b"")
    found["slowlog"] = repr(client.slowlog_get(1000)).encode()
    found["processes"] = subprocess.run(["ps", "axww", "-o", "args"], capture_output=True, check=True).stdout
    return found


def forget(whole: Whole, *words: str, given: str = "") -> subprocess.CompletedProcess[str]:
    environment = {**whole.environment, "SANDBOX": "1"}
    run = [sys.executable, "-m", "bot", "forget", *words]
    return subprocess.run(run, cwd=ROOT, env=environment, input=given, capture_output=True, text=True, check=False)


def called(whole: Whole) -> None:
    """A call in which the canary is said, and hung up."""
    call = whole.post("call", phone="p1")["id"]
    whole.post("input", call=call, kind="say", value=CANARY)
    whole.post("input", call=call, kind="hang_up")


def voicemail(whole: Whole) -> None:
    """A caller asks for a person when nobody is there, says the canary, and leaves a message."""
    call = whole.post("call", phone="p1")["id"]
    for kind, value in (("press", "1"), ("say", f"{CANARY} person"), ("press", "0"), ("press", "1"), ("record", "")):
        whole.post("input", call=call, kind=kind, value=value)


def written_by_staff(whole: Whole, patient: str) -> None:
    """A member of staff joins by the printed link, opens the patient's page, which shows what was written, takes the
    patient over and answers with the canary."""
    link = whole.until(lambda: re.search(r"(http://\S+)/join/(\S+)", whole.log()), "the first link")
    staff = build_opener(HTTPCookieProcessor(CookieJar(policy=DefaultCookiePolicy(secure_protocols=("https", "http")))))
    page = staff.open(link.group(0), timeout=10).read().decode()
    secret = re.search(r"<code>([A-Z2-7]+)</code>", page)
    assert secret
    code = pyotp.TOTP(secret[1]).at(int(time.time()))
    form = {"name": "Ana", "password": "four quiet words here", "password_again": "four quiet words here", "code": code}
    staff.open(Request(link.group(0), urlencode(form).encode(), {"Sec-Fetch-Site": "same-origin"}), timeout=10)
    address = f"{link.group(1)}/patients/{patient}"
    shown = staff.open(address, timeout=10).read().decode()
    assert CANARY in shown
    csrf = re.search(r'name="csrf" value="([^"]+)"', shown)
    assert csrf
    for action, more in (
        ("claim", {}),
        ("reply", {"reply": f"about the {CANARY}"}),
        ("note", {"note": CANARY}),
        ("release", {}),
    ):
        data = urlencode({"csrf": csrf[1], "once": f"once-{action}", **more}).encode()
        staff.open(Request(f"{address}/{action}", data, {"Sec-Fetch-Site": "same-origin"}), timeout=10)
    whole.until(lambda: any("about the" in one["text"] for one in whole.texts()), "the reply of staff")


def outreach(whole: Whole, number: str) -> str:
    """A file with a number of somebody else, sent by command; what the command printed."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "patients.csv"
        file.write_text(f"phone,consent,consent_source,name\n{number},yes,form,{CANARY}\n")
        run = [sys.executable, "-m", "bot", "outreach", "send", str(file), "--confirm", "1", "--by", "ana"]
        run += ["--result", str(Path(folder) / "result.csv")]
        environment = {**whole.environment, "SANDBOX": "1"}
        done = subprocess.run(run, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    whole.until(lambda: whole.texts("p2"), "the campaign's text")
    return done.stdout + done.stderr


def forged_and_broken(whole: Whole) -> None:
    """What a stranger sends to every door, the canary in address, headers and body: none of it is logged."""
    web = f"http://127.0.0.1:{whole.environment['WEB_PORT']}"
    body = urlencode({"From": FIRST_PHONES[0], "Body": CANARY, "MessageSid": CANARY}).encode()
    for path in ("/sms", "/voice", "/status", f"/go/{CANARY}", f"/{CANARY}?q={CANARY}", "/booking/calendly"):
        for data in (body, None):
            given = {"User-Agent": CANARY, "X-Twilio-Signature": CANARY, "Referer": f"http://{CANARY}/"}
            with suppress(HTTPError):
                urlopen(Request(web + path, data, given), timeout=10).close()


def kept_on_disk(whole: Whole) -> None:
    """The store freezes, the canary is written, and what was kept on disk meanwhile shows nothing."""
    server = EmbeddedServer(whole.folder)
    number = connect(server.url).info("server")["process_id"]
    os.kill(number, signal.SIGSTOP)
    try:
        whole.say(CANARY)
        spooled = list((whole.folder / "spool").glob("*.in"))
        assert spooled
        digits = FIRST_PHONES[0].lstrip("+").encode()
        clear = [name for name, raw in files(whole.folder).items() if CANARY.encode() in raw or digits in raw]
        assert not clear
    finally:
        os.kill(number, signal.SIGCONT)
    whole.until(lambda: not list((whole.folder / "spool").glob("*.in")), "it is taken up")


@pytest.mark.faults
@pytest.mark.timeout(240)
def test_a_canary_is_nowhere_in_clear_and_after_forget_nowhere_at_all() -> None:
    """Real processes: a conversation, calls, a recorded message, a follow-up, staff who read and write, forged requests, a
    campaign, an outage; then the command, with the number on standard input."""
    with Whole(VOICEMAIL="true", CLINIC_HOURS="Mo-Su 03:00-03:01") as whole:
        number = FIRST_PHONES[0]
        for said in (*TO_CONSENT[:-1], f"{CANARY} yes", "yes", CANARY):
            whole.say(said)
        client = connect(f"unix://{whole.folder / 'store' / 'socket'}")
        cipher = Cipher([bytes.fromhex(whole.environment["SECRET_KEY"])])
        store = Store(client, cipher)
        patient = cipher.patient_id(number)
        assert store.load(patient, "").record, "the canary was heard"
        whole.post("later", seconds=86_400)
        whole.until(lambda: any("still need" in one["text"] for one in whole.texts()), "the follow-up that was due")
        called(whole)
        voicemail(whole)
        written_by_staff(whole, patient)
        forged_and_broken(whole)
        other = FIRST_PHONES[1].lstrip("+")
        assert other not in outreach(whole, FIRST_PHONES[1])
        kept_on_disk(whole)
        assert store.effect("0-retention"), "the worker planted it"
        digits = number.lstrip("+").encode()
        secrets = (CANARY.encode(), digits, other.encode())
        clear = [name for name, raw in places(whole, client).items() if any(one in raw for one in secrets)]
        assert not clear, "sealed everywhere"
        assert "refused /sms" in whole.log(), "what is searched has what is looked for"
        mine = [v for v in walk_store(client, cipher) if patient in v.key and v.plain]
        assert any(CANARY.encode() in (v.plain or b"") for v in mine)
        sealed = [v.raw[v.start :] for v in mine]
        assert forget(whole, number).returncode == 2, "a number on the command line is refused"
        done = forget(whole, given=f"{number}\n")
        assert (done.returncode, done.stderr) == (0, "")
        assert patient in done.stdout
        assert number.lstrip("+") not in done.stdout
        after = places(whole, client)
        assert not [name for name, raw in after.items() if any(one in raw for one in sealed)], "files are rewritten"
        opened = [v.plain for v in walk_store(client, cipher) if v.plain]
        assert not [one for one in opened if CANARY.encode() in one or digits in one]
        assert forget(whole, given="+17135550000\n").returncode == 1
