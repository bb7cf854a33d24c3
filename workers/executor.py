"""The RQ job: drain the due effects of one bucket. Its argument is a number; everything else is read from the ledger.

Set up once per worker process by run.py; a job in a process that was not set up fails and harms nothing.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import FIRST_COMPLETED, Future, wait
from dataclasses import dataclass, field

import structlog

from bot.alerts import raise_for_clinic
from bot.followups import Office, Result, carry_out
from bot.store.model import Begun, Claim
from bot.store.store import Store

log = structlog.get_logger("worker")
BATCH = 20  # effects in hand at most: claimed, and done or about to be
# Well below the job's time limit, which would end it in the middle of a send, and below its heartbeat's (run.py): RQ takes
# a job for abandoned that gives none for so long.
DRAIN_SECONDS = 10.0

Do = Callable[[Claim, Begun], None]
Submit = Callable[[Do, Claim, Begun], "Future[None]"]


def at_once(do: Do, claim: Claim, begun: Begun) -> Future[None]:
    """One effect after the other, in the thread that asks."""
    done: Future[None] = Future()
    do(claim, begun)
    done.set_result(None)
    return done


@dataclass(frozen=True)
class Executor:
    """What a job needs in this process. *submit*: of a pool of threads, so that effects that wait for the carrier do not
    wait for each other; what is still in hand when a job ends goes on, and the next job counts it."""

    store: Store
    office: Office
    now: Callable[[], float]
    submit: Submit = at_once
    _hand: set[Future[None]] = field(default_factory=set)

    def drain(self, bucket: int) -> int:
        """Do what is due now, for DRAIN_SECONDS at most (the relay submits again), less where other buckets wait; how many
        were taken."""
        done, until = 0, time.monotonic() + DRAIN_SECONDS / min(self.store.buckets, 5)
        while time.monotonic() < until:
            claims = self.store.claim(bucket, self.now(), self._room())
            for claim, begun in zip(claims, self.store.begin_all(claims), strict=True):
                if begun.status not in ("busy", "gone"):
                    self._hand.add(self.submit(self._one, claim, begun))
            done += len(claims)
            if not claims:
                break
        return done

    def _room(self) -> int:
        """How many more may be taken; waits until it is half of BATCH. A fault of the store in an earlier one is raised."""
        while len(self._hand) > BATCH // 2:
            self._clear(wait(self._hand, return_when=FIRST_COMPLETED).done)
        self._clear({one for one in self._hand if one.done()})
        return BATCH - len(self._hand)

    def _clear(self, ready: set[Future[None]]) -> None:
        self._hand.difference_update(ready)
        for one in ready:
            one.result()

    def _one(self, claim: Claim, begun: Begun) -> None:
        if self.now() >= claim.till:
            return  # it waited for a thread until its lease ended: somebody else's, or the next claim's
        if begun.status == "sealed":
            self._settle(claim, self._fault(claim, begun.kind, "UnreadableError"))
            return
        self._settle(claim, self._do(claim, begun))

    def _do(self, claim: Claim, begun: Begun) -> Result:
        try:
            result = carry_out(self.office, claim, begun)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            return self._fault(claim, begun.kind, type(error).__name__)
        log.info("effect", effect=claim.id, kind=begun.kind, status=result.status, why=result.why)
        return result

    def _fault(self, claim: Claim, kind: str, error: str) -> Result:
        """A fault of ours would fail the same way for ever: a human looks, the others go on."""
        log.error("effect_failed", effect=claim.id, kind=kind, error=error)
        channels = tuple(self.office.alerts.channels) if self.office.alerts else ()
        raise_for_clinic(self.store, "fault", f"fault.{claim.id}", self.now(), channels, once_in=3600)
        return Result("buried", f"fault: {error}")

    def _settle(self, claim: Claim, result: Result) -> None:
        if result.status == "put_off":
            self.store.put_off(claim.id, result.at, fresh=result.fresh, unsure=result.unsure, fence=claim.till)
        elif result.status == "buried":
            self.store.bury(claim.id, result.why, self.now(), fence=claim.till)
        elif result.status == "done" and not result.settled:
            self.store.finish(claim.id)


_here: list[Executor] = []


def install(executor: Executor) -> None:
    """Make this process able to run jobs."""
    _here[:] = [executor]


def drain(bucket: int) -> int:
    """The job."""
    if not _here:
        raise RuntimeError("This process was not set up to run jobs; start it with python -m workers.run.")
    return _here[0].drain(int(bucket))
