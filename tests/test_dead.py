"""Dead letters: shown with their reason, tried again or dropped, by the command a person uses; a killed worker's work."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest
from redis import Redis
from rq import Queue
from rq.serializers import JSONSerializer

from bot.relay import QUEUE
from bot.store import Effect
from bot.store.store import Store
from tests.conftest import SECRET
from workers.run import make_worker

ROOT = Path(__file__).parents[1]
P = "patient-one"


def command(store: Store, *words: str) -> subprocess.CompletedProcess[str]:
    url = f"unix://{store.client.connection_pool.connection_kwargs['path']}"
    kept = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    given = {
        "SANDBOX": "1",
        "STATE_URL": url,
        "SECRET_KEY": SECRET.hex(),
        "BUCKETS": "3",
        "DATA_DIR": tempfile.gettempdir(),
    }
    return subprocess.run(
        [sys.executable, "-m", "bot", "dead", *words],
        cwd=ROOT,
        env=kept | given,
        capture_output=True,
        text=True,
        check=False,
    )


def bury(store: Store) -> str:
    effect = store.new_effect_id(P)
    body = b'{"p": "patient-one", "body": "secret words"}'
    version = store.load(P, effect).version
    store.commit(P, effect, version, record=b"r", answer=b"a", effects=[Effect(effect, "text", 5.0, body)], now=1.0)
    store.bury(effect, "carrier permanent (code 21211)", 2.0)
    return effect


def test_dead_letters_are_listed_retried_and_dropped(store: Store) -> None:
    """The reason is shown and no words; retry makes it due; drop ends it; an unknown id is said in words."""
    one, other = bury(store), bury(store)
    listed = command(store, "list")
    assert f"{one}  text  carrier permanent (code 21211)" in listed.stdout
    assert "secret" not in listed.stdout
    assert command(store, "retry", one).returncode == 0
    claims = store.claim(store.bucket(P), time.time() + 1)
    assert [claim.id for claim in claims] == [one]
    assert store.begin(claims[0]).status == "go"
    assert command(store, "drop", other).returncode == 0
    assert store.dead_letters() == []
    wrong = command(store, "retry", "0-nobody")
    assert (wrong.returncode, "is not among those given up" in wrong.stderr) == (1, True)


def test_a_forged_job_written_as_raw_hash_or_pickle_is_refused(store: Store, redis_client: Redis) -> None:
    """Whoever can write to Redis still cannot run code: not by name, not by pickle, not through a dependency."""
    mark = Path(tempfile.gettempdir()) / f"forged-{os.getpid()}"
    pickled = b"cos\nsystem\n(S'touch " + str(mark).encode() + b"'\ntR."
    queue = Queue(QUEUE, connection=redis_client, serializer=JSONSerializer)
    for number, data in enumerate((pickled, b'["os.system", null, ["touch ' + str(mark).encode() + b'"], {}]')):
        job = queue.enqueue("workers.executor.drain", 0)
        redis_client.hset(job.key, mapping={"data": data, "meta": pickled if number else b"{}"})
    make_worker(redis_client).work(burst=True, logging_level="CRITICAL")
    assert not mark.exists()
    assert queue.count == 0


@pytest.mark.faults
@pytest.mark.timeout(120)
def test_a_supervised_worker_that_is_killed_is_started_again() -> None:
    """A worker killed with SIGKILL under ``make run`` is started again by its supervisor."""
    from tests.whole import Whole

    with Whole() as product:
        assert product.process is not None
        children = Path(f"/proc/{product.process.pid}/task/{product.process.pid}/children").read_text().split()
        worker = next(pid for pid in children if b"workers.run" in Path(f"/proc/{pid}/cmdline").read_bytes())
        os.kill(int(worker), signal.SIGKILL)
        product.until(lambda: "The worker stopped by itself and is started again." in product.log(), "a new worker")
