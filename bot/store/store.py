"""Patients, their effects, tasks and links in Redis. One commit is one script in one hash slot.

Keys (``{bN}`` = bucket of the patient; every value with words or numbers in it is sealed):
  {bN}p:<patient>        record: version|chain|sealed     {bN}a:<patient>:<key>  stored answer, 48 h
  {bN}v:<patient>        event log, each 16-byte chain link + sealed (chain.py)
  {bN}e:<effect>         k kind, d sealed body, s state, w why buried
  {bN}due  {bN}held      effects by lane and time, in hand (lanes.py)
  {bN}dead               effects given up, by time         {bN}t:<task> sealed, {bN}tasks by urgency and time
  {bN}o:<effect>         whose text it is, sealed         {bN}s:<sid>  which effect a text or call of the carrier is
  {bN}l:<hashed token>   scheduling link, 90 days          {bN}m:<effect or sid>  delivery state, 30 days
  {bN}recent             patients by last turn              {bN}k:<patient>     ids of the patient's tasks
  {bN}n:<week>           counts of the dashboard, in clear (bot/counts.py), {bN}j:... their journal (counted.py)
  {bN}heard              when something last came
  {bN}anchored           until when the logs' heads are in the audit trail
  {bN}swept to           how far tonight's sweep has come (retain.py)
  {bN}rung:<task kind>   staff were told of such a task of the clinic's own
"""

from __future__ import annotations

import hashlib
import secrets
import zlib
from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any

from redis import Redis

from bot.packed import pack, unpack
from bot.store import chain, identity, model, scripts
from bot.store.cipher import Cipher, UnreadableError
from bot.store.client import connect, has_replicas
from bot.store.due import Due
from bot.store.model import Committed, Delivery, Effect, LinkToken, Loaded, Report, Task
from bot.store.runner import Call
from bot.store.shorten import MOST_KEPT, MOST_WRITTEN, shorten

ANSWER_SECONDS = 48 * 3600  # Twilio retries for minutes; two days also cover a clinic's weekend outage
LINK_SECONDS = 90 * 86_400
STATUS_SECONDS = 30 * 86_400
MOST_ALIKE = 20  # open tasks of one patient and kind; more would ring for the same matter
# Twilio sends status callbacks in any order (twilio.md A2): a message never goes back.
RANK = {"accepted": 0, "scheduled": 0, "queued": 1, "sending": 2, "sent": 3, "delivered": 4, "undelivered": 4,
        "failed": 4, "canceled": 4, "read": 5}  # fmt: skip


class Store(Due):
    """The ledger. *buckets* is fixed for the life of the data. *copies*: replicas that are to have a turn (runner.py)."""

    def __init__(self, client: Redis, cipher: Cipher, buckets: int = 1, copies: int = 0) -> None:
        super().__init__(client, cipher, buckets, copies)
        cipher.learn_from(partial(identity.learn, client, cipher, buckets))
        self._commit, self._raise = partial(self.run, scripts.COMMIT), partial(self.run, scripts.RAISE)
        self._close = partial(self.run, scripts.CLOSE)

    def new_token(self, patient: str) -> str:
        """A link token: the bucket, then 128 random bits."""
        return f"{self.bucket(patient):x}-{secrets.token_urlsafe(16)}"

    # -- a turn --

    def load(self, patient: str, key: str) -> Loaded:
        """One command: the record, its version, and the stored answer to *key*."""
        tag = self.tag(self.bucket(patient))
        record, answer = f"{tag}p:{patient}", f"{tag}a:{patient}:{_short(key)}"
        found: Any = self.wire.ask("MGET", record, answer)
        kept = self.cipher.open(answer, found[1]) if found[1] is not None else None
        if found[0] is None:
            return Loaded(None, "0|", kept)
        head, sealed = head_of(found[0])
        return Loaded(self.cipher.open(f"{record}|{head}", sealed), head[:-1], kept)

    def opened(self, patient: str, raw: bytes) -> bytes:
        """The record of *patient* as a script gave it."""
        head, sealed = head_of(raw)
        return self.cipher.open(f"{self.tag(self.bucket(patient))}p:{patient}|{head}", sealed)

    def commit(
        self,
        patient: str,
        key: str,
        version: str,
        *,
        record: bytes,
        answer: bytes,
        effects: Sequence[Effect] = (),
        cancels: Sequence[str] = (),
        events: Sequence[bytes] = (),
        tasks: Sequence[Task] = (),
        links: Sequence[LinkToken] = (),
        counts: Sequence[tuple[str, str, int]] = (),
        heard: str = "",
        now: float,
    ) -> Committed:
        """Everything of one turn, or nothing. One command."""
        tag, seal = self.tag(self.bucket(patient)), self.cipher.seal
        answer_key = f"{tag}a:{patient}:{_short(key)}"
        names = [
            f"{tag}p:{patient}",
            answer_key,
            *(f"{tag}{one}" for one in ("due", f"v:{patient}", "tasks", "recent")),
        ]
        kept, entries = self.sealed_record(patient, version, record, events)
        body: list[Any] = [version, kept, seal(names[1], answer), ANSWER_SECONDS, tag, now, patient, MOST_WRITTEN]
        body += [len(cancels), *cancels, MOST_ALIKE, len(tasks)]
        for task in tasks:
            body += [task.id, task.urgency * 1e11 + task.at, seal(f"{tag}t:{task.id}", model.task_bytes(task))]
        body.append(len(effects))
        for effect in effects:
            body += [effect.id, effect.due, effect.kind, seal(f"{tag}e:{effect.id}", effect.body)]
        body += [len(entries), *entries, len(links)]
        for one in links:
            name = self.cipher.token_hash(one.token)
            sealed = seal(f"{tag}l:{name}", pack([one.patient, one.visit, one.at]))
            body += [name, sealed, LINK_SECONDS]
        body.append(len(counts))
        for count in counts:
            body += count
        body.append(heard)
        result = self._commit(keys=names, args=body)
        if result == [b"full"]:
            # Where nothing can be cut the chain is broken, and a turn counts all the same.
            shorten(self.client, self.cipher, names[3], lambda event: False, MOST_KEPT)
            body[7] = 10**9
            result = self._commit(keys=names, args=body)
        if result == b"ok":
            return Committed("ok", None)
        return Committed("seen", self.cipher.open(answer_key, result[1])) if result[1:] else Committed("conflict", None)

    def sealed_record(
        self, patient: str, version: str, record: bytes, events: Sequence[bytes]
    ) -> tuple[bytes, list[bytes]]:
        """What is written after *version*: the record with its new head, and the log's entries that lead to it."""
        tag, seal = self.tag(self.bucket(patient)), self.cipher.seal
        number, _, last = version.partition("|")
        entries, link = [], bytes.fromhex(last)
        for event in events:
            link = self.cipher.link(link, event)
            entries.append(link + seal(f"{tag}v:{patient}", event))
        head = f"{int(number) + 1}|{link.hex()}|"
        return head.encode() + seal(f"{tag}p:{patient}|{head}", record), entries

    # -- delivery --

    def set_status(
        self, effect_id: str, status: str, code: int | None, now: float, sid: str = "", report: Report | None = None
    ) -> bool:
        """What became of the text of *effect_id*; False for an old or repeated report. What *report* counts, a new one
        counts."""
        return bool(self.run_all([self.status_of(effect_id, status, code, now, sid, report)])[0])

    def status_of(
        self, effect_id: str, status: str, code: int | None, now: float, sid: str = "", report: Report | None = None
    ) -> Call:
        """What `set_status` runs."""
        whose = effect_id if sid and sid != effect_id else ""
        args = [status, RANK.get(status, 0), code or 0, now, sid, STATUS_SECONDS, whose, *(report or Report())]
        return self._told(self.tag_of(effect_id), effect_id, sid, args)

    def set_call_status(self, sid: str, status: str, sequence: int, now: float) -> bool:
        """A call's state; *sequence* is Twilio's own order."""
        tag = self.tag(zlib.crc32(sid.encode()) % self.buckets)
        args = [status, sequence, 0, now, sid, STATUS_SECONDS, "", *Report("call report")]
        return bool(self.run_all([self._told(tag, sid, sid, args)])[0])

    def _told(self, tag: str, name: str, sid: str, args: list[Any]) -> Call:
        return scripts.STATUS, [tag + one for one in (f"m:{name}", f"s:{sid}", "n:", "heard", "j:")], args

    def delivery(self, effect_id: str) -> Delivery | None:
        """The delivery state of an effect's text, or None when no SID and no callback is known."""
        found: Any = self.client.hgetall(f"{self.tag_of(effect_id)}m:{effect_id}")
        if b"st" not in found:
            return None
        return Delivery(found.get(b"e", b"").decode(), found[b"st"].decode(), int(found.get(b"c", 0)))

    # -- tasks, links, log --

    def tasks(self) -> list[Task]:
        """Open tasks, most urgent first, then longest waiting."""
        listed = self.each(lambda pipe, tag: pipe.zrange(f"{tag}tasks", 0, -1))
        found = []
        for bucket, names in enumerate(listed):
            keys = [f"{self.tag(bucket)}t:{raw.decode()}" for raw in names]
            kept: Any = self.client.mget(keys) if keys else []
            for name, key, raw in zip(names, keys, kept, strict=True):
                if raw:
                    found.append(model.task_from(name.decode(), self.cipher.open(key, raw)))
        return sorted(found, key=lambda task: (task.urgency, task.at))

    def raise_task(self, task: Task, alerts: Sequence[Effect] = (), once_in: int = 0) -> bool:
        """A task outside a turn, with what tells staff of it: once for its id; False when it was there. *once_in*: seconds
        in which tasks of its kind are told only once, 0: each is."""
        keys, args = self.task_script(task, alerts, once_in)
        return bool(self._raise(keys=keys, args=args))

    def task_script(self, task: Task, alerts: Sequence[Effect], once_in: int = 0) -> tuple[list[str], list[Any]]:
        """What `scripts.TASK` is given."""
        tag = self.tag(self.bucket(task.patient))
        names = [f"{tag}tasks", f"{tag}t:{task.id}", f"{tag}due", f"{tag}rung:{task.kind}"]
        sealed = self.cipher.seal(names[1], model.task_bytes(task))
        args: list[Any] = [tag, task.id, sealed, task.urgency * 1e11 + task.at, once_in]
        for one in alerts:
            args += [one.id, one.due, self.cipher.seal(f"{tag}e:{one.id}", one.body)]
        return names, args

    def is_open(self, patient: str, task: str) -> bool:
        """Whether the task waits: it was written and nobody closed it."""
        return self.client.zscore(f"{self.tag(self.bucket(patient))}tasks", task) is not None

    def close_task(self, task: Task, who: str) -> bool:
        """Done by *who*; it leaves the queue and stays readable. False when it was closed, or has come anew since."""
        tag = self.tag(self.bucket(task.patient))
        key, score = f"{tag}t:{task.id}", task.urgency * 1e11 + task.at
        closed = model.task_bytes(Task(task.id, task.patient, task.kind, task.urgency, task.at, who))
        args = [task.id, score, self.cipher.seal(key, closed), STATUS_SECONDS]
        return bool(self._close(keys=[key, f"{tag}tasks"], args=args))

    def link(self, token: str) -> LinkToken | None:
        """The scheduling link of *token*, or None when unknown or expired."""
        key = f"{self.tag_of(token)}l:{self.cipher.token_hash(token)}"
        raw: Any = self.client.get(key)
        if not raw:
            return None
        patient, visit, at = unpack(self.cipher.open(key, raw))
        return LinkToken(token, patient, visit, at)

    def events(self, patient: str) -> list[bytes]:
        """The patient's log, oldest first."""
        return list(self._log(patient))

    def cut(self, patient: str) -> int:
        """How many entries the log has lost at its beginning because of their age."""
        key = f"{self.tag(self.bucket(patient))}v:{patient}"
        raw: Any = self.client.lindex(key, 0)
        found = chain.cut_of(self.cipher, raw, self.cipher.open(key, raw[chain.LINK :])) if raw else None
        return found.count if found else 0

    def patients(self) -> Iterator[str]:
        """Every patient that is known, in no order."""
        for bucket in range(self.buckets):
            start = f"{self.tag(bucket)}p:"
            for raw in self.client.scan_iter(match=f"{start}*", count=1000):
                yield bytes(raw).decode().removeprefix(start)

    def verify(self, patient: str) -> int | None:
        """None when the log's chain holds; else the number (from 0) of the first entry that was changed or removed."""
        tag = self.tag(self.bucket(patient))
        whole: Any = self.client.pipeline(transaction=True)
        raw, log = whole.get(f"{tag}p:{patient}").lrange(f"{tag}v:{patient}", 0, -1).execute()
        end = head_of(raw)[0].split("|")[1] if raw else ""
        return chain.fault(self.cipher, f"{tag}v:{patient}", log, end)

    def _log(self, patient: str) -> Iterator[bytes]:
        key = f"{self.tag(self.bucket(patient))}v:{patient}"
        for at, raw in enumerate(self._many(self.client.lrange(key, 0, -1))):
            try:
                event = self.cipher.open(key, raw[16:])
            except UnreadableError:
                event = b""
            if at or not chain.cut_of(self.cipher, raw, event):
                yield event

    def recent(self, limit: int = 50) -> list[str]:
        """Patient ids by last turn, newest first."""
        listed = self.each(lambda pipe, tag: pipe.zrange(f"{tag}recent", 0, limit - 1, desc=True, withscores=True))
        found = sorted((pair for one in listed for pair in one), key=lambda pair: -pair[1])
        return [name.decode() for name, _ in found[:limit]]

    @staticmethod
    def _many(found: Any) -> Any:
        return found or []


def head_of(record: bytes) -> tuple[str, bytes]:
    """A record's clear head, ``version|chain|``, and its sealed part, which is bound to that head."""
    number, chain, sealed = bytes(record).split(b"|", 2)
    return f"{number.decode()}|{chain.decode()}|", sealed


def open_store(url: str, secrets_: Sequence[bytes], buckets: int) -> Store:
    """The ledger behind *url*. Where servers follow one another a turn counts once one of them has it."""
    return Store(connect(url), Cipher(secrets_), buckets, 1 if has_replicas(url) else 0)


def _short(key: str) -> str:
    """A key of fixed, small size for whatever names a webhook."""
    return hashlib.blake2b(key.encode("utf-8", "replace"), digest_size=12).hexdigest()
