"""Campaigns in Redis: what each is, who is in it, and how far it has come. Storage only; decides nothing.

Keys (``{bC}`` = bucket of the campaign's id, ``{bN}`` = bucket of a patient):
  {bC}c:<id>      hash: s state, b sealed body, e end, n and r: underway.py
  {bC}c:<id>:log  who did what when, sealed
  {bC}c:<id>:rows chunk number -> sealed rows: opaque patient ids and reasons, never a phone
  {bN}cr:<id>     row -> state of the recipient         {bN}cn:<id>      state -> how many, kept by the same script
  {bL}campaigns   ids by the time they were made (the clinic's bucket)
A recipient's effect is ``<bucket>-<campaign>.<row>``: what the carrier reports of it finds its row without a look-up. What
a worker does for a whole campaign is an effect ``<bucket>-step.<campaign>.<random>`` of kind STEP, written with the decision.
"""

from __future__ import annotations

import json
import re
import secrets
import zlib
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import islice
from typing import Any, Literal

from bot.outreach import scripts
from bot.store.runner import Call
from bot.store.store import Store, head_of

State = Literal["entering", "waiting", "running", "paused", "cancelled"]
STEP = "campaign"  # the kind of effect
KEEP_SECONDS = 400 * 86_400
CHUNK = 500
SLACK = 0.25  # seconds: what becomes due between two looks of a relay leaves together
AT_ONCE = 2_000  # commands in one pipeline
LIST = "campaigns"
# A recipient's states. A higher rank is never taken back: what is reported late or twice changes nothing.
RANK = {"queued": 0, "unknown": 1, "sent": 2, "delivered": 3, "failed": 3, "not_sent": 3, "cancelled": 3}
Keyed = tuple[list[str], list[Any]]  # keys and arguments of a script
_WRITTEN = ("sent", "delivered", "failed")
_EFFECT = re.compile(r"([0-9a-f]{1,3})-([A-Za-z0-9]{6,20})\.(\d{1,7})(c?)")


@dataclass(frozen=True, slots=True)
class Did:
    """A line of a campaign's log: at *at* *who* *did* something (a fixed word), and *why* in their own words."""

    at: float
    who: str
    did: str
    why: str = ""


@dataclass(frozen=True, slots=True)
class Kept:
    """A campaign as it is kept. *body* is what campaigns.py wrote."""

    id: str
    state: State
    body: dict[str, Any]
    log: tuple[Did, ...]


@dataclass(frozen=True, slots=True)
class Member:
    """A row of a campaign: its *patient* ("" when the row was refused, *why*), zone and segments for the pace."""

    row: int
    patient: str
    zone: int
    segments: int
    why: str | None


@dataclass(frozen=True, slots=True)
class Enrolment:
    """Everything that one recipient's entry writes, at once or not at all."""

    member: Member
    version: str
    record: bytes
    event: bytes
    body: bytes
    due: float


def parts_of(effect: str) -> tuple[str, int, bool] | None:
    """(campaign, row, whether it is the call after a text) of an effect's id; None for an effect of no campaign."""
    found = _EFFECT.fullmatch(effect)
    return (found[2], int(found[3]), bool(found[4])) if found else None


class Roster:
    """Campaigns of one ledger."""

    def __init__(self, store: Store) -> None:
        self.store, self.client, self.cipher = store, store.client, store.cipher
        self._create, self._turn = partial(store.run, scripts.CREATE), partial(store.run, scripts.TURN)
        self._reserve = partial(store.run, scripts.RESERVE)
        script: Any = store.client.register_script
        self._enter, self._due, self._cancel = script(scripts.ENTER), script(scripts.DUE), script(scripts.CANCEL)

    # -- names --

    def key(self, campaign: str) -> str:
        return f"{self.store.tag(self.store.bucket(campaign))}c:{campaign}"

    def effect(self, campaign: str, patient: str, row: int) -> str:
        """The id of the recipient's effect; the same for ever."""
        return f"{self.store.bucket(patient):x}-{campaign}.{row}"

    def _list(self) -> str:
        return f"{self.store.tag(self.store.bucket(LIST))}{LIST}"

    def _tag_of(self, effect: str) -> str:
        return self.store.tag(int(effect.partition("-")[0], 16) % self.store.buckets)

    # -- a campaign --

    def create(self, campaign: str, body: dict[str, Any], at: float, who: str, *, step: bool = False) -> bool:
        """Write a new campaign in state ``entering``; False when it is there already (nothing changes then). *step*: a
        worker goes on with it."""
        key = self.key(campaign)
        sealed = self.cipher.seal(key, json.dumps(body).encode())
        self.client.zadd(self._list(), {campaign: at}, nx=True)
        entry = self._entry(key, at, who, "made")
        keys, planned = self._step(campaign, at, wanted=step)
        return bool(self._create(keys=[key, f"{key}:log", *keys], args=[sealed, entry, KEEP_SECONDS, *planned]))

    def turn(
        self,
        campaign: str,
        allowed: Sequence[State],
        to: State,
        at: float,
        who: str,
        did: str,
        why: str = "",
        *,
        step: bool = False,
    ) -> bool:
        """From one of *allowed* to *to*, with a line in its log; False when it is in another state. *step*: a worker does
        what follows from it."""
        key = self.key(campaign)
        keys, planned = self._step(campaign, at, wanted=step)
        args = [to, self._entry(key, at, who, did, why), KEEP_SECONDS, *planned, *allowed]
        return bool(self._turn(keys=[key, f"{key}:log", *keys], args=args))

    def _step(self, campaign: str, at: float, *, wanted: bool) -> tuple[list[str], list[Any]]:
        """Each its own effect: one that a worker is about to finish must not take a newer one with it."""
        bucket = self.store.bucket(campaign)
        tag, effect = self.store.tag(bucket), f"{bucket:x}-step.{campaign}.{secrets.token_hex(4)}"
        keys = [f"{tag}e:{effect}", f"{tag}due"]
        body = self.cipher.seal(keys[0], json.dumps({"c": campaign}).encode())
        return keys, [effect if wanted else "", at, STEP, body]

    def state(self, campaign: str) -> State | None:
        """One command: asked before each send."""
        found = self.store.wire.ask("HGET", self.key(campaign), "s")
        return found.decode() if found else None

    def kept(self, campaign: str) -> Kept | None:
        """The campaign, or None."""
        key = self.key(campaign)
        found: Any = self.client.hmget(key, "s", "b")
        if found[0] is None:
            return None
        entries: Any = self.client.lrange(f"{key}:log", 0, -1)
        log = tuple(Did(*json.loads(self.cipher.open(f"{key}:log", raw))) for raw in entries)
        return Kept(campaign, found[0].decode(), json.loads(self.cipher.open(key, found[1])), log)

    def all(self) -> list[str]:
        """Every campaign's id, newest first."""
        found: Any = self.client.zrange(self._list(), 0, -1, desc=True)
        return [raw.decode() for raw in found]

    def waiting(self, newest: int = 20) -> list[str]:
        """Those of the *newest* campaigns that wait for a second person. Two round trips."""
        names = self.all()[:newest]
        pipe = self.client.pipeline(transaction=False)
        for name in names:
            pipe.hget(self.key(name), "s")
        states = pipe.execute() if names else []
        return [name for name, state in zip(names, states, strict=True) if state == b"waiting"]

    def _entry(self, key: str, at: float, who: str, did: str, why: str = "") -> bytes:
        return self.cipher.seal(f"{key}:log", json.dumps([at, who, did, why]).encode())

    # -- its rows --

    def keep_rows(self, campaign: str, number: int, members: Sequence[Member]) -> None:
        """Chunk *number* of the file's rows, refused ones included."""
        key = f"{self.key(campaign)}:rows"
        plain = json.dumps([[one.row, one.patient, one.zone, one.segments, one.why] for one in members])
        sealed = self.cipher.seal(f"{key}:{number}", zlib.compress(plain.encode(), 1))
        self.client.hset(key, str(number), sealed)
        self.client.expire(key, KEEP_SECONDS)

    def rows(self, campaign: str) -> Iterator[list[Member]]:
        """The chunks in order."""
        key = f"{self.key(campaign)}:rows"
        names: Any = self.client.hkeys(key)
        for number in sorted(int(name) for name in names):
            raw: Any = self.client.hget(key, str(number))
            plain = zlib.decompress(self.cipher.open(f"{key}:{number}", raw))
            yield [Member(*one) for one in json.loads(plain)]

    # -- recipients --

    def enter(self, campaign: str, all_of: Sequence[Enrolment]) -> list[str]:
        """Each recipient with record, event and effect at once: ``ok``, ``seen`` (was in already) or ``conflict``."""
        calls = []
        for one in all_of:
            patient = one.member.patient
            tag = self.store.tag(self.store.bucket(patient))
            effect = self.effect(campaign, patient, one.member.row)
            record, entries = self.store.sealed_record(patient, one.version, one.record, [one.event])
            keys = [f"{tag}p:{patient}", f"{tag}v:{patient}", f"{tag}e:{effect}", f"{tag}due"]
            keys += [f"{tag}cr:{campaign}", f"{tag}cn:{campaign}"]
            args = [one.version, record, entries[0], effect, one.due]
            args += ["outreach", self.cipher.seal(keys[2], one.body), one.member.row, KEEP_SECONDS]
            calls.append((keys, args))
        return [raw.decode() for raw in self._many(self._enter, calls)]

    def states(self, campaign: str, members: Sequence[Member]) -> list[str]:
        """``state`` or ``state|detail`` of each; "" for one that never entered."""
        by_tag: dict[str, list[int]] = {}
        for at, one in enumerate(members):
            if one.patient:
                by_tag.setdefault(self.store.tag(self.store.bucket(one.patient)), []).append(at)
        found = [""] * len(members)
        for tag, places in by_tag.items():
            raw: Any = self.client.hmget(f"{tag}cr:{campaign}", [str(members[at].row) for at in places])
            for at, state in zip(places, raw, strict=True):
                found[at] = state.decode() if state else ""
        return found

    def counts(self, campaign: str) -> Counter[str]:
        """How many recipients are in each state; one short command for each bucket."""
        total: Counter[str] = Counter()
        for bucket in range(self.store.buckets):
            found: Any = self.client.hgetall(f"{self.store.tag(bucket)}cn:{campaign}")
            for name, count in found.items():
                total[name.decode()] += int(count)
        return +total

    def move(self, effect: str, state: str, detail: str = "") -> bool:
        """The recipient of *effect* is in *state* now; False when that is old news or no campaign's."""
        call = self.moved(effect, state, detail)
        return call is not None and bool(self.store.run_all([call])[0])

    def moved(self, effect: str, state: str, detail: str = "") -> Call | None:
        """What `move` runs."""
        parts = parts_of(effect)
        if parts is None or parts[2]:
            return None
        campaign, row, _ = parts
        tag = self._tag_of(effect)
        args = [row, state, RANK[state], detail, *(word for pair in RANK.items() for word in pair)]
        return scripts.MOVE, [f"{tag}cr:{campaign}", f"{tag}cn:{campaign}"], args

    def bring_forward(self, effects: Iterable[tuple[str, float]], after: float = 0.0) -> int:
        """New due times for effects that wait; those being sent right now keep theirs, and those that are due until
        *after*. How many were moved."""
        calls = ((self._places(effect), [effect, due, after]) for effect, due in effects)
        return sum(int(done) for done in self._many(self._due, calls))

    def cancel(self, effects: Iterable[str]) -> int:
        """Take back effects that wait. How many were taken back."""
        return sum(int(done) for done in self._many(self._cancel, map(self._taken_back, effects)))

    def _taken_back(self, effect: str) -> Keyed:
        campaign, row, _ = parts_of(effect) or ("", 0, False)
        tag = self._tag_of(effect)
        return [*self._places(effect), f"{tag}cr:{campaign}", f"{tag}cn:{campaign}"], [effect, row]

    def _places(self, effect: str) -> list[str]:
        tag = self._tag_of(effect)
        return [f"{tag}e:{effect}", f"{tag}due", f"{tag}held"]

    def _many(self, script: Any, calls: Iterable[Keyed]) -> Iterator[Any]:
        """One script with many keys, some at a time, and the answers in order. Each call stands alone."""
        left = iter(calls)
        while some := list(islice(left, AT_ONCE)):
            yield from self._together(script, some)

    def _together(self, script: Any, calls: list[Keyed]) -> list[Any]:
        """Pipelined by bucket, so that it also runs on a cluster."""
        found: list[Any] = [None] * len(calls)
        by_tag: dict[str, list[int]] = {}
        for at, (keys, _) in enumerate(calls):
            by_tag.setdefault(keys[0].partition("}")[0], []).append(at)
        for places in by_tag.values():
            # The first alone, so that a server that has forgotten the script learns it again.
            found[places[0]] = script(keys=calls[places[0]][0], args=calls[places[0]][1])
            pipe = self.client.pipeline(transaction=False)
            for at in places[1:]:
                keys, args = calls[at]
                pipe.evalsha(script.sha, len(keys), *keys, *args)
            for at, answer in zip(places[1:], pipe.execute(), strict=True):
                found[at] = answer
        return found

    def load(self, patients: Sequence[str]) -> dict[str, tuple[bytes, str]]:
        """patient -> (record, version), of those that are known."""
        by_tag: dict[str, list[str]] = {}
        for patient in patients:
            by_tag.setdefault(self.store.tag(self.store.bucket(patient)), []).append(patient)
        found: dict[str, tuple[bytes, str]] = {}
        for tag, some in by_tag.items():
            for start in range(0, len(some), CHUNK):
                keys = [f"{tag}p:{patient}" for patient in some[start : start + CHUNK]]
                answers: Any = self.client.mget(keys)
                for key, raw in zip(keys, answers, strict=True):
                    if raw is not None:
                        head, sealed = head_of(raw)
                        record = self.cipher.open(f"{key}|{head}", sealed)
                        found[key.partition("}p:")[2]] = (record, head[:-1])
        return found

    # -- the pace --

    def forget_pace(self, *queues: str) -> None:
        """Places that were given to recipients who are not sent to now are free again."""
        self.client.delete(*(f"{self.store.tag(self.store.bucket(LIST))}pace:{queue}" for queue in queues))

    def set_ends(self, campaign: str, at: float) -> None:
        """When the last recipient's turn is."""
        self.client.hset(self.key(campaign), "e", repr(at))

    def ends(self, campaign: str) -> float | None:
        """As set_ends."""
        found: Any = self.client.hget(self.key(campaign), "e")
        return float(found) if found else None

    def reserve(self, queue: str, seconds: float, now: float, ahead: float) -> float:
        """When *queue*, shared by all workers, may send next; its next place is *seconds* later.
        A place up to SLACK ago counts as now; one more than *ahead* seconds away is told, and not taken."""
        tag = self.store.tag(self.store.bucket(LIST))
        return float(self._reserve(keys=[f"{tag}pace:{queue}"], args=[repr(now), repr(seconds), SLACK, ahead]))

    def hold(self, queue: str, effect: str, place: float) -> None:
        """Remember the place in *queue* that *effect* was given."""
        self.client.set(f"{self._tag_of(effect)}ct:{effect}:{queue}", repr(place), ex=86_400)

    def held(self, queue: str, effect: str) -> float | None:
        """The place that *effect* was given, or None."""
        found = self.store.wire.ask("GET", f"{self._tag_of(effect)}ct:{effect}:{queue}")
        return float(found) if found else None

    def open_tasks(self) -> int:
        """How many tasks wait for a human."""
        counts: list[Any] = [
            self.client.zcard(f"{self.store.tag(bucket)}tasks") for bucket in range(self.store.buckets)
        ]
        return sum(int(count) for count in counts)

    def handed(self, most: int = 500) -> tuple[int, int]:
        """(recipients of the latest campaigns who were written to, how many of them became a task), of *most* looked at."""
        known: list[str] = []
        for campaign in self.all()[:5]:
            for members in self.rows(campaign):
                states = self.states(campaign, members)
                told = [state.partition("|")[0] for state in states]
                known += [one.patient for one, state in zip(members, told, strict=True) if state in _WRITTEN]
                if len(known) >= most:
                    break
        names = [f"{self.store.tag(self.store.bucket(one))}k:{one}" for one in known[:most]]
        pipe = self.client.pipeline(transaction=False)
        for name in names:
            pipe.exists(name)
        return len(names), sum(bool(found) for found in (pipe.execute() if names else ()))
