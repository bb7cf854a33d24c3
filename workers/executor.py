"""The RQ job: drain the due effects of one bucket. Its argument is a number; everything else is read from the ledger.

Set up once per worker process by run.py; a job in a process that was not set up fails and harms nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import structlog

from bot.followups import Office, Result, carry_out
from bot.store.store import Store

log = structlog.get_logger("worker")
BATCH = 20


@dataclass(frozen=True)
class Executor:
    """What a job needs in this process."""

    store: Store
    office: Office
    now: Callable[[], float]

    def drain(self, bucket: int) -> int:
        """Do everything that is due now, in batches; how many effects were looked at."""
        done = 0
        while True:
            claims = self.store.claim(bucket, self.now(), BATCH)
            for claim in claims:
                begun = self.store.begin(claim)
                if begun.status in ("go", "redo"):
                    self._settle(
                        claim.id, self._do(claim.id, claim.attempt, begun.kind, begun.body, begun.status == "redo")
                    )
                done += 1
            if len(claims) < BATCH:
                return done

    def _do(self, effect_id: str, attempt: int, kind: str, body: bytes, redo: bool) -> Result:
        try:
            result = carry_out(self.office, effect_id, kind, body, attempt=attempt, redo=redo)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            # A fault of ours would fail the same way for ever: a human looks, the others go on.
            log.error("effect_failed", effect=effect_id, kind=kind, error=type(error).__name__)
            return Result("buried", f"fault: {type(error).__name__}")
        log.info("effect", effect=effect_id, kind=kind, status=result.status, why=result.why)
        return result

    def _settle(self, effect_id: str, result: Result) -> None:
        if result.status == "put_off":
            self.store.put_off(effect_id, result.at, fresh=result.fresh)
        elif result.status == "buried":
            self.store.bury(effect_id, result.why, self.now())
        else:
            self.store.finish(effect_id)


_here: list[Executor] = []


def install(executor: Executor) -> None:
    """Make this process able to run jobs."""
    _here[:] = [executor]


def drain(bucket: int) -> int:
    """The job."""
    if not _here:
        raise RuntimeError("This process was not set up to run jobs; start it with python -m workers.run.")
    return _here[0].drain(int(bucket))
