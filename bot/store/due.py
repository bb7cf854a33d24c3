"""Effects of the ledger: planned, claimed, begun, and then done, put off or given up. See store.py for the keys.

What a worker takes leaves ``due`` for ``held``, which stays small; a lease that ends there is taken again. Sends nothing.
"""

from __future__ import annotations

import secrets
import zlib
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from redis import Redis

from bot.store import lanes, scripts
from bot.store.cipher import Cipher, UnreadableError
from bot.store.model import Begun, Claim, Effect
from bot.store.runner import Call, Runner
from bot.store.wire import Wire

LEASE_SECONDS = 20.0


class Due:
    """The effects of one ledger, and where things are in it."""

    def __init__(self, client: Redis, cipher: Cipher, buckets: int, copies: int) -> None:
        self.client, self.cipher, self.buckets, self.wire = client, cipher, buckets, Wire(client)
        runner = Runner(client, self.wire, copies)
        run, self.run, self.run_all = runner.run, runner.run, runner.run_all
        # Not copied: a claim that is lost with its primary is made again.
        self._claim = partial(Runner(client, self.wire).run, scripts.CLAIM)
        self._begin = partial(run, scripts.BEGIN)
        self._put_off, self._bury = partial(run, scripts.PUT_OFF), partial(run, scripts.BURY)
        self.mark_sent = partial(run, scripts.MARK)

    # -- where things are --

    def bucket(self, patient: str) -> int:
        """0 to buckets-1; the patient id is a keyed hash already, so this spreads evenly."""
        return zlib.crc32(patient.encode()) % self.buckets

    def tag(self, bucket: int) -> str:
        """The hash tag that keeps a bucket's keys in one slot."""
        return f"{{b{bucket}}}"

    def new_effect_id(self, patient: str) -> str:
        """An opaque id from which the bucket is read: it comes back from the carrier alone."""
        return f"{self.bucket(patient):x}-{secrets.token_urlsafe(12)}"

    def tag_of(self, name: str) -> str:
        """The tag of an effect's or a token's own bucket."""
        bucket = name.partition("-")[0]
        known = len(bucket) <= 3 and all(char in "0123456789abcdef" for char in bucket) and bucket
        return self.tag(int(bucket, 16) % self.buckets) if known else self.tag(0)

    def each(self, ask: Callable[[Any, str], Any]) -> list[Any]:
        """The answer of every bucket to one command: one round trip to each server."""
        pipe = self.client.pipeline(transaction=False)
        for bucket in range(self.buckets):
            ask(pipe, self.tag(bucket))
        return pipe.execute()

    def well(self) -> bool:
        """Every server that holds a bucket answers. Raises what a store that is away raises."""
        return len(self.each(lambda pipe, tag: pipe.exists(f"{tag}due"))) == self.buckets

    # -- due effects --

    def due_buckets(self, now: float) -> list[int]:
        """Every bucket with something due: one round trip to each server."""
        return list(self.due_in(now))

    def due_in(self, now: float) -> dict[int, bool]:
        """As due_buckets; and whether an alert or an answer that somebody waits for is among it."""
        counts = lanes.by_span(self.each, now)
        return {bucket: bool(first) for bucket, (first, *others) in enumerate(counts) if first or any(others)}

    def claim(self, bucket: int, now: float, limit: int = 50, lease: float = LEASE_SECONDS) -> list[Claim]:
        """Up to *limit* due effects (2,000 at most), taken for *lease* seconds: what dies with its worker is due again
        then. Alerts and answers before all others, campaigns last (lanes.py)."""
        tag, till = self.tag(bucket), now + lease
        found = self._claim(keys=[f"{tag}due", f"{tag}held"], args=lanes.claim_args(now, till, limit))
        return [Claim(raw.decode(), till) for raw in found]

    def begin(self, claim: Claim) -> Begun:
        """As `begin_all`, of one."""
        return self.begin_all([claim])[0]

    def begin_all(self, claims: Sequence[Claim]) -> list[Begun]:
        """Of each of one `claim`: ``go``; ``redo`` when an earlier attempt may have sent it; ``busy`` when claimed anew;
        ``gone``; ``sealed`` when its body cannot be opened. One command."""
        if not claims:
            return []
        tag = self.tag_of(claims[0].id)
        keys = [f"{tag}e:{claim.id}" for claim in claims]
        found = self._begin(keys=[f"{tag}held", *keys], args=[claims[0].till, *(claim.id for claim in claims)])
        return [self._begun(key, one) for key, one in zip(keys, found, strict=True)]

    def _begun(self, key: str, found: list[Any]) -> Begun:
        status = found[0].decode()
        if len(found) == 1:
            return Begun(status, "", b"")
        kind, age, marked, tries, again = found[1].decode(), found[3], *(raw.decode() for raw in found[4:7])
        try:
            body = self.cipher.open(key, found[2])
        except UnreadableError:
            status, body = "sealed", b""
        return Begun(status, kind, body, float(age), float(marked), int(tries), int(again))

    def effect(self, effect_id: str) -> Effect | None:
        """A planned effect as it stands now, or None when it is done or was taken back. Its time, while a worker has it in
        hand, is when that lease ends."""
        tag = self.tag_of(effect_id)
        key, pipe = f"{tag}e:{effect_id}", self.client.pipeline(transaction=True)
        pipe.hmget(key, ["k", "d"])
        due, held = pipe.zscore(f"{tag}due", effect_id), pipe.zscore(f"{tag}held", effect_id)
        (kind, body), due, held = pipe.execute()
        if kind is None or (due is None and held is None):
            return None
        at = lanes.time_of(held if due is None else due)
        return Effect(effect_id, kind.decode(), at, self.cipher.open(key, body))

    def finish(self, effect_id: str) -> None:
        """Done for good."""
        self.run_all([self.finished(effect_id)])

    def finished(self, effect_id: str) -> Call:
        """What `finish` runs."""
        return scripts.FINISH, self._places(effect_id), [effect_id]

    def put_off(
        self, effect_id: str, due: float, *, fresh: bool = False, unsure: bool = False, fence: float | None = None
    ) -> None:
        """Not now: due again at *due*. *fresh* forgets the attempts so far (it was not tried, only too early), *unsure*
        keeps that it may have been sent. *fence*: of the claim that says so; it counts only while nobody claimed anew."""
        how = "unsure" if unsure else "fresh" if fresh else "tried"
        args = [effect_id, "" if fence is None else fence, due, how]
        self._put_off(keys=self._places(effect_id), args=args)

    def bury(self, effect_id: str, why: str, now: float, *, fence: float | None = None) -> None:
        """To the dead letters, with a reason for a human. *why* never holds a number or words of a patient."""
        keys = [*self._places(effect_id), f"{self.tag_of(effect_id)}dead"]
        self._bury(keys=keys, args=[effect_id, "" if fence is None else fence, now, why])

    def _places(self, effect_id: str) -> list[str]:
        tag = self.tag_of(effect_id)
        return [f"{tag}e:{effect_id}", f"{tag}due", f"{tag}held"]

    def dead(self) -> list[tuple[str, str]]:
        """Every dead letter: effect id and reason."""
        return [(effect_id, why) for effect_id, _, why in self.dead_letters()]

    def dead_letters(self) -> list[tuple[str, str, str]]:
        """Every dead letter: effect id, kind and reason."""
        listed = self.each(lambda pipe, tag: pipe.zrange(f"{tag}dead", 0, -1))
        names = [raw.decode() for one in listed for raw in one]
        pipe = self.client.pipeline(transaction=False)
        for name in names:
            pipe.hmget(f"{self.tag_of(name)}e:{name}", ["k", "w"])
        about: Any = pipe.execute() if names else []
        return [
            (name, (kind or b"gone").decode(), (why or b"").decode())
            for name, (kind, why) in zip(names, about, strict=True)
        ]

    def drop(self, effect_id: str) -> None:
        """A dead letter is given up for good."""
        self.finish(effect_id)
        self.client.zrem(f"{self.tag_of(effect_id)}dead", effect_id)

    def retry(self, effect_id: str, now: float) -> None:
        """A dead letter is due again."""
        self.put_off(effect_id, now, fresh=True)
        self.client.zrem(f"{self.tag_of(effect_id)}dead", effect_id)
