"""What is counted after the fire: by the ledger, by the patients' logs, and by what the local Twilio took."""

from __future__ import annotations

import base64
import json
import os
import re
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.request import Request, urlopen

from redis.exceptions import RedisError

from bot.replay import Again
from bot.sandbox.clock import clock_in
from bot.settings import Settings
from bot.store import lanes
from bot.store.cipher import Cipher
from bot.store.client import connect
from bot.store.sends import Sends
from bot.store.store import Store
from tests.faults.people import ALARM, STOPS, Patient
from tests.faults.product import Product

SAID = frozenset({"said", "call", "outage"})
_FLAG = re.compile(r'"effect": "([^"]+)", "status": "(\w+)"[^\n]*"event": "ambiguous_send"')


class Books:
    """The ledger as a reader sees it, past the door, and the carrier's list."""

    def __init__(self, product: Product, settings: Settings) -> None:
        self.product, self.settings = product, settings
        self.client = connect(product.server.url)
        self.store = Store(self.client, Cipher(settings.secret_keys), settings.buckets)
        self.sends, self.now = Sends(self.store), clock_in(product.folder)

    def left(self) -> tuple[int, int, int, int]:
        """What is still to be done: kept on disk, due by now, begun, and how often anything was begun so far."""
        spooled = sum(name.endswith(".in") for name in os.listdir(self.product.folder / "spool"))
        due = sum(lanes.waiting(self.store.each, self.now()))
        # A claim or another look lies less than a minute ahead; what a patient waits for, much more.
        soon = sum(lanes.waiting(self.store.each, self.now() + 200)) - due
        return spooled, due, soon, len(self.product.carrier_door.taken)

    def is_done(self) -> bool:
        return not any(self.left()[:3])

    def lines(self, patient: str) -> list[dict[str, Any]]:
        return [json.loads(one) for one in self.store.events(patient)]

    def taken(self) -> list[dict[str, Any]]:
        """Every text that the local Twilio took over REST, all pages."""
        account = self.settings.twilio_account_sid
        path = f"/2010-04-01/Accounts/{account}/Messages.json?PageSize=1000"
        login = base64.b64encode(f"{account}:{self.settings.auth_tokens[0]}".encode()).decode()
        found: list[dict[str, Any]] = []
        while path:
            request = Request(self.product.address + path, headers={"Authorization": f"Basic {login}"})
            with urlopen(request, timeout=60) as answer:
                page = json.load(answer)
            found += [one for one in page["messages"] if one["direction"] == "outbound-api"]
            path = page["next_page_uri"] or ""
        return found


@dataclass
class Figures:
    """Everything that must be nothing, and what was seen. *wrong* names patients by number, never by more."""

    seen: dict[str, Any] = field(default_factory=dict)
    wrong: dict[str, list[Any]] = field(default_factory=lambda: defaultdict(list))

    def check(self, what: str, who: Any, holds: bool) -> None:
        if not holds:
            self.wrong[what].append(who)


def count(books: Books, patients: Sequence[Patient]) -> Figures:
    """Go through all books once; nothing may be under way any more."""
    figures, store = Figures(), books.store
    logs = {one: books.lines(store.cipher.patient_id(one.phone)) for one in patients}
    _turns(figures, logs)
    _effects(figures, books, logs)
    _sends(figures, books)
    said: list[str] = []
    figures.check("log that does not replay", said, Again(store, said.append).compare(list(store.patients())) == 0)
    figures.seen["dead letters"] = dict(Counter(why for _, _, why in store.dead_letters()))
    return figures


def _turns(figures: Figures, logs: dict[Patient, list[dict[str, Any]]]) -> None:
    for one, lines in logs.items():
        kept = [(line["door"], line["said"]) for line in lines if line["in"] in SAID]
        told, have = Counter(one.said), Counter(kept)
        figures.check("lost turn", (one.number, list((told - have).elements())), not told - have)
        figures.check("double turn", (one.number, list((have - told).elements())), not have - told)
        figures.check("turns out of order", one.number, told != have or kept == one.said)
        figures.check("another answer to the same webhook", one.number, not one.differed)
        figures.check("no answer", one.number, not one.silent)
    figures.seen |= {
        "patients": len(logs), "turns": sum(len(one.said) for one in logs),
        "of them steps of calls": sum(len(one.said) for one in logs if one.calls),
        "asked again": sum(one.again for one in logs), "answered statically": sum(one.static for one in logs),
    }  # fmt: skip


def _effects(figures: Figures, books: Books, logs: dict[Patient, list[dict[str, Any]]]) -> None:
    """Everything planned is done, waits in its time, or is a dead letter; every text that was decided was taken."""
    store, tag = books.store, books.store.tag(0)
    planned = {raw.decode().partition("e:")[2] for raw in books.client.scan_iter(match=f"{tag}e:*", count=1000)}
    due = {raw.decode() for name in ("due", "held") for raw in books.client.zrange(f"{tag}{name}", 0, -1)}
    dead = {effect for effect, _ in store.dead()}
    for effect in planned - due - dead:
        figures.check("effect that nothing will ever do", effect, False)
    for effect in (due | dead) - planned:
        figures.check("due without an effect", effect, False)
    taken = {effect for effect, _ in books.product.carrier_door.taken}
    tasks = Counter((task.patient, task.kind) for task in store.tasks())
    for one, lines in logs.items():
        back = {line["fx"] for line in lines if line["in"] == "not_sent"}
        decided = {line["fx"] for line in lines if "fx" in line and line.get("says", [None])[0]} - back
        figures.check("lost text", (one.number, sorted(decided - taken - dead)), decided <= taken | dead)
        open_now = set(lines[-1].get("ids", ())) if lines else set()
        figures.check("lost effect", one.number, open_now <= due | dead | taken)
        _person(figures, one, lines, decided, tasks, store.cipher.patient_id(one.phone))


def _person(
    figures: Figures, one: Patient, lines: list[dict[str, Any]], decided: set[str], tasks: Counter[Any], patient: str
) -> None:
    """What this patient in particular is owed."""
    reminders = sum(line["in"] == "silence" for line in lines)
    if one.script is STOPS:
        figures.check("reminded after STOP", one.number, not reminders)
    elif one.script is ALARM:
        figures.check("emergency without its one task", one.number, tasks[patient, "emergency"] == 1)
    elif not one.calls:
        figures.check("not reminded once", (one.number, reminders), reminders == 1)
    else:
        pressed = [at for at, line in enumerate(lines[1:]) if _asks_for_link(lines[at], line)]
        sent = [line for line in lines if line["in"] == "text"]
        figures.check("link not sent once for each key", (one.number, len(sent)), len(sent) >= len(pressed))


def _asks_for_link(before: dict[str, Any], line: dict[str, Any]) -> bool:
    return before.get("state") == "offer_link" and bool(line.get("links"))


def _sends(figures: Figures, books: Books) -> None:
    """A text that went out twice was flagged before, and every flagged one was settled."""
    door = books.product.carrier_door
    of = defaultdict(list)
    for effect, sid in door.taken:
        of[effect].append(sid)
    flagged = {effect for effect, _ in _FLAG.findall(books.product.log())}
    how = {effect: books.sends.how(effect) for effect in of.keys() | flagged}
    for effect, sids in of.items():
        figures.check("double send that nobody knows of", effect, len(sids) == 1 or how[effect] in ("again", "found"))
    for effect in flagged:
        figures.check("ambiguous send that was not settled", effect, bool(how[effect]))
    asked = sum(one == "person" for one in how.values())
    told = sum(task.kind == "ambiguous_send" for task in books.store.tasks())
    figures.check("person who was not asked", (asked, told), told >= asked)
    listed = {one["sid"] for one in books.taken()}
    figures.check("the door and the local Twilio differ", "", listed == {sid for _, sid in door.taken})
    figures.seen |= {
        "texts sent": len(listed), "texts twice, flagged": sum(len(sids) - 1 for sids in of.values()),
        "ambiguous": dict(Counter(one for one in how.values() if one)),
        "sends lost on the way there or back": door.lost, "answers of the store lost or late": books.product.store_door.lost,
    }  # fmt: skip


def overdue(books: Books) -> tuple[int, int, int, int] | None:
    """`left`, or None while the store is away."""
    try:
        return books.left()
    except (RedisError, OSError):
        return None
