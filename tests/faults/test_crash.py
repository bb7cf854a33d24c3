"""The crash test: patients write, while web, worker and store are killed, frozen, filled and made read-only at random.

``make faults`` prints its figures and its seed; FAULTS_SEED repeats a run, FAULTS_SIZE is the number of patients. What
is counted is counted by the ledger (turns) and by the local Twilio (texts that it took), never by the bot's own words.
"""

from __future__ import annotations

import base64
import json
import os
import random
import re
import signal
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.parse import urlencode
from urllib.request import Request, urlopen

import pytest
from redis.exceptions import RedisError

from bot.sandbox.clock import clock_in
from bot.settings import Settings
from bot.store.cipher import Cipher
from bot.store.client import connect
from bot.store.embedded import EmbeddedServer
from bot.store.sends import Sends
from bot.store.store import Store
from tests.web_fake import sign
from tests.whole import Whole

pytestmark = [pytest.mark.faults, pytest.mark.timeout(1200)]
SIZE = int(os.environ.get("FAULTS_SIZE", "120"))
SEED = int(os.environ.get("FAULTS_SEED", "0")) or random.randrange(1, 10**6)
SAYS = ("hi my back hurts", "yes", "no", "no")  # and leaves the third screen open
GIVE_UP = 240.0


class Chaos:
    """One seeded enemy of one running product."""

    def __init__(self, whole: Whole, store: EmbeddedServer, seed: int) -> None:
        self.whole, self.store, self.dice = whole, store, random.Random(seed)
        self.done: Counter[str] = Counter()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._rage, daemon=True)

    def __enter__(self) -> Chaos:
        self._stop.clear()
        self._thread = threading.Thread(target=self._rage, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join(30)

    def pids(self, *names: str) -> list[int]:
        """Living processes of the product whose command holds one of *names*."""
        assert self.whole.process is not None
        found, todo = [], [self.whole.process.pid]
        while todo:
            pid = todo.pop()
            try:
                children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
            except OSError:
                continue
            for child in map(int, children):
                todo.append(child)
                try:
                    command = Path(f"/proc/{child}/cmdline").read_text()
                except OSError:
                    continue
                if any(name in command for name in names):
                    found.append(child)
        return sorted(found)

    def _rage(self) -> None:
        while not self._stop.wait(self.dice.uniform(0.2, 1.2)):
            harm = self.dice.choices(
                [self.kill_web, self.kill_worker, self.kill_store, self.freeze_store, self.fill, self.read_only],
                [4, 6, 1, 1, 1, 1],
            )[0]
            try:
                harm()
                self.done[harm.__name__] += 1
            except (OSError, RedisError, IndexError):
                continue  # it was dead already

    def hunt(self, clinic: Clinic, wanted: int) -> None:
        """Kill the worker in the middle of its sends, again and again, until *wanted* texts are out."""
        first, until = len(clinic.taken()), time.monotonic() + wanted / 2
        out = first
        while out < first + wanted and time.monotonic() < until:
            now = len(clinic.taken())
            if now > out:
                time.sleep(self.dice.uniform(0, 0.1))
                for pid in self.pids("workers.run"):
                    os.kill(pid, signal.SIGKILL)
                    self.done["kill_worker in its sends"] += 1
            out = now
            time.sleep(0.02)

    def kill_web(self) -> None:
        os.kill(self.dice.choice(self.pids("bot.web.serve")), signal.SIGKILL)

    def kill_worker(self) -> None:
        os.kill(self.dice.choice(self.pids("workers.run")), signal.SIGKILL)

    def kill_store(self) -> None:
        os.kill(self.pids("valkey-server", "redis-server")[0], signal.SIGKILL)

    def freeze_store(self) -> None:
        pid = self.pids("valkey-server", "redis-server")[0]
        os.kill(pid, signal.SIGSTOP)
        time.sleep(self.dice.uniform(0.2, 2.5))
        os.kill(pid, signal.SIGCONT)

    def fill(self) -> None:
        self._configured("maxmemory", "1", "0")

    def read_only(self) -> None:
        client = connect(self.store.url)
        client.replicaof("127.0.0.1", "1")
        time.sleep(self.dice.uniform(0.2, 1.0))
        client.replicaof("NO", "ONE")
        client.close()

    def _configured(self, name: str, bad: str, good: str) -> None:
        client = connect(self.store.url)
        client.config_set(name, bad)
        time.sleep(self.dice.uniform(0.2, 1.0))
        client.config_set(name, good)
        client.close()


class Clinic:
    """The product, its ledger as a reader sees it, and Twilio's side of the webhooks."""

    def __init__(self, whole: Whole) -> None:
        self.whole = whole
        env = {**whole.environment, "SANDBOX": "1", "TWILIO_API_BASE": whole.address}
        self.settings = Settings.load({**env, "PUBLIC_URL": f"http://127.0.0.1:{env['WEB_PORT']}"})
        self.server = EmbeddedServer(whole.folder)
        self.answers: Counter[str] = Counter()

    def store(self) -> Store:
        return Store(connect(self.server.url), Cipher(self.settings.secret_keys), self.settings.buckets)

    def deliver(self, phone: str, said: str, sid: str) -> bytes:
        """One webhook as Twilio delivers it: again, after a failure, until it is answered."""
        form = {
            "AccountSid": self.settings.twilio_account_sid, "ApiVersion": "2010-04-01", "Body": said, "From": phone,
            "MessageSid": sid, "NumMedia": "0", "NumSegments": "1", "SmsMessageSid": sid, "SmsSid": sid,
            "SmsStatus": "received", "To": self.settings.twilio_from,
        }  # fmt: skip
        url = f"{self.settings.public_url}/sms"
        headers = {"X-Twilio-Signature": sign(url, form, self.settings.auth_tokens[0])}
        until = time.monotonic() + 60
        while time.monotonic() < until:
            try:
                began = time.monotonic()
                with urlopen(Request(url, urlencode(form).encode(), headers), timeout=15) as answer:
                    body: bytes = answer.read()
                    self.answers["slowest ms"] = max(
                        self.answers["slowest ms"], round((time.monotonic() - began) * 1000)
                    )
                    return body
            except (HTTPError, URLError, OSError):
                self.answers["deliveries that failed and came again"] += 1
                time.sleep(0.05)
        raise AssertionError(f"never answered\n{self.whole.log()[-3000:]}")

    def taken(self) -> list[dict[str, Any]]:
        """Every text that the local Twilio took over REST, all pages."""
        account = self.settings.twilio_account_sid
        path = f"/2010-04-01/Accounts/{account}/Messages.json?PageSize=1000"
        login = base64.b64encode(f"{account}:{self.settings.auth_tokens[0]}".encode()).decode()
        found: list[dict[str, Any]] = []
        while path:
            request = Request(self.whole.address + path, headers={"Authorization": f"Basic {login}"})
            with urlopen(request, timeout=20) as answer:
                page = json.load(answer)
            found += [one for one in page["messages"] if one["direction"] == "outbound-api"]
            path = page["next_page_uri"] or ""
        return found


def talk(clinic: Clinic, number: int, seed: int) -> tuple[str, int, int]:
    """One patient, in order; some answers are asked for again. (phone, redeliveries, answers that differed)"""
    dice, phone = random.Random(seed * 100_003 + number), f"+1713555{number:04d}"
    again = differed = 0
    for turn, said in enumerate(SAYS):
        sid = f"SM{number:024x}{turn:08x}"
        first = clinic.deliver(phone, said, sid)
        if dice.random() < 0.25:
            again += 1
            differed += clinic.deliver(phone, said, sid) != first
    return phone, again, differed


def turns_of(store: Store, phone: str) -> list[str]:
    """What the ledger holds of what this patient said, in its order."""
    events = [json.loads(one) for one in store.events(store.cipher.patient_id(phone))]
    return [one["said"] for one in events if one.get("in") in ("said", "outage")]


def settled(clinic: Clinic, until: float) -> None:
    """Wait until nothing is due, spooled or begun any more."""
    while time.monotonic() < until:
        try:
            store = clinic.store()
            spool = [name for name in os.listdir(clinic.whole.folder / "spool") if name.endswith(".in")]
            now = clock_in(clinic.whole.folder)()
            # Due within the longest wait between two looks counts as due.
            if not spool and not store.client.zcount(f"{store.tag(0)}due", "-inf", now + 100):
                return
        except (RedisError, OSError, ValueError):
            pass
        time.sleep(0.5)
    raise AssertionError(f"work is left\n{clinic.whole.log()[-3000:]}")


def test_nothing_is_lost_and_nothing_is_done_twice_whatever_dies() -> None:
    """0 lost turns, 0 lost effects, 0 double turns, 0 undetected double sends."""
    with Whole(OPT_OUT_MODE="app", WEB_PROCESSES="2") as whole:
        clinic = Clinic(whole)
        enemy = Chaos(whole, clinic.server, SEED)
        with enemy, ThreadPoolExecutor(8) as pool:
            talks = list(pool.map(lambda number: talk(clinic, number, SEED), range(1, SIZE + 1)))
        settled(clinic, time.monotonic() + GIVE_UP)
        before = len(clinic.taken())
        # Half an hour later everyone who did not answer the last question is reminded once, under fire.
        whole.post("later", seconds=3600)
        with enemy:
            enemy.hunt(clinic, SIZE)
        settled(clinic, time.monotonic() + GIVE_UP)
        report(clinic, enemy, talks, before)


def report(clinic: Clinic, enemy: Chaos, talks: list[tuple[str, int, int]], before: int) -> None:
    store = clinic.store()
    turns = {phone: turns_of(store, phone) for phone, _, _ in talks}
    lost = sum(len(SAYS) - len(said) for said in turns.values() if len(said) < len(SAYS))
    double = sum(len(said) - len(SAYS) for said in turns.values() if len(said) > len(SAYS))
    disorder = sum(sorted(said) == sorted(SAYS) and said != list(SAYS) for said in turns.values())
    texts = Counter((one["to"], one["body"]) for one in clinic.taken())
    nudged = {to for to, body in texts if body.startswith("Still there") or "still there" in body.lower()}
    flagged = re.findall(r'"effect": "([^"]+)", "status": "(\w+)"[^\n]*"event": "ambiguous_send"', clinic.whole.log())
    how = {effect: Sends(store).how(effect) for effect, _ in flagged}
    doubles = sum(count - 1 for count in texts.values())
    resent = sum(one == "again" for one in how.values())
    left = [(one, why) for one, _, why in store.dead_letters()]
    figures = {
        "seed": SEED, "patients": SIZE, "turns": sum(map(len, turns.values())), "lost": lost, "double": double,
        "out of order": disorder, "asked again": sum(one[1] for one in talks),
        "texts sent": sum(texts.values()), "of them under the second fire": sum(texts.values()) - before,
        "patients reminded": len(nudged), "texts twice": doubles, "ambiguous": dict(Counter(how.values())),
        "dead letters": len(left), "harm": dict(enemy.done), **clinic.answers,
    }  # fmt: skip
    print("\n" + json.dumps(figures))
    assert (lost, double, disorder) == (0, 0, 0)
    assert doubles <= resent, "a double send that nobody knows of"
    assert all(how.values()), "an ambiguous send was not reconciled"
    assert not [why for _, why in left if "unknown" not in why]
    assert len(nudged) + len(left) >= SIZE, "a reminder was lost"


def test_the_work_of_a_killed_worker_goes_on_within_half_a_minute() -> None:
    """The worker dies by SIGKILL while a claim is held: supervisor, lease and relay together take less than 30 s."""
    with Whole(OPT_OUT_MODE="app") as whole:
        clinic = Clinic(whole)
        phone, _, _ = talk(clinic, 1, SEED)
        store = clinic.store()
        for pid in Chaos(whole, clinic.server, SEED).pids("workers.run"):
            os.kill(pid, signal.SIGKILL)
        died = time.monotonic()
        whole.post("later", seconds=3600)
        held = store.claim(0, clock_in(whole.folder)())
        assert len(held) == 1, "what the worker held when it died"
        while not clinic.taken() and time.monotonic() < died + 60:
            time.sleep(0.2)
        took = time.monotonic() - died
        print(f"\na killed worker's work went on after {took:.1f} s")
        assert [one["to"] for one in clinic.taken()] == [phone]
        assert took < 30
