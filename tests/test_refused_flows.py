"""P9, from outside: real processes and commands on a checkout whose flows were edited. What lowers care, or breaks a promise,
is refused before anything is served, in words with file, line and column."""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[1]


class Checkout:
    """A copy of the program with flows of its own, and a data directory."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.data = folder / "checkout", folder / "data"
        self.folder.mkdir()
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        for name in ("bot", "workers"):
            (self.folder / name).symlink_to(ROOT / name)
        shutil.copytree(ROOT / "flows", self.folder / "flows")

    def edit(self, change: Callable[[Any], None], flow: str = "triage") -> None:
        """Change a flow file in place, as an editor does: one key a line, so that places mean something."""
        file = self.folder / "flows" / f"{flow}.json"
        body = json.loads(file.read_text("utf-8"))
        change(body)
        file.write_text(json.dumps(body, ensure_ascii=False, indent=1), "utf-8")

    def run(self, *words: str, **settings: str) -> subprocess.CompletedProcess[str]:
        """Run a module of this checkout to its end."""
        kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
        env = {
            **kept,
            "SANDBOX": "1",
            "DATA_DIR": str(self.data),
            "WEB_PORT": str(self.port),
            "PYTHONPATH": str(self.folder),
        }
        return subprocess.run(
            [sys.executable, "-m", *words], cwd=self.folder, env=env | settings, capture_output=True, text=True, timeout=90,
            check=False,
        )  # fmt: skip


@pytest.fixture
def checkout(tmp_path: Path) -> Checkout:
    """With the flows as they are."""
    return Checkout(tmp_path)


def to_therapy(body: Any) -> None:
    """Strong pain is sent to therapy: the promise I5 is broken."""
    body["states"]["route"]["rules"][0]["target"] = "pt"


def test_the_server_refuses_at_its_start_a_flow_that_breaks_a_promise(checkout: Checkout) -> None:
    """Before it serves anybody: the promise, its place in the file, and the conversation that breaks it."""
    checkout.edit(to_therapy)
    ended = checkout.run("bot.web.serve")
    assert ended.returncode == 2
    place = re.search(r"^flows/triage\.json:(\d+):\d+ I5 is broken: Strong pain", ended.stderr, re.MULTILINE)
    assert place, ended.stderr
    lines = (checkout.folder / "flows" / "triage.json").read_text("utf-8").splitlines()
    assert '"id": "I5"' in "".join(lines[int(place[1]) - 1 : int(place[1]) + 1])
    assert "[severity]" in ended.stderr
    assert "Traceback" not in ended.stderr
    assert not (checkout.data / "proved.json").exists()


@pytest.mark.parametrize("words", [("workers.run",), ("bot", "run"), ("bot", "publish"), ("bot.web.serve",)])
def test_every_part_refuses_a_flow_that_points_nowhere(checkout: Checkout, words: tuple[str, ...]) -> None:
    """Two faults in two files: both are told at once, each with its line; nothing is started."""
    checkout.edit(lambda body: body["states"]["consent"]["transitions"][1].update(target="nowhere"))
    checkout.edit(lambda body: body.update(surprise=1), "peg")
    ended = checkout.run(*words)
    told = ended.stdout + ended.stderr
    assert ended.returncode == 2, told
    assert re.search(r"flows/triage\.json:\d+:\d+ There is no state 'nowhere' in this flow\.", told)
    assert re.search(r"flows/peg\.json:\d+:\d+ The key 'surprise' is not known here\.", told)
    assert "Traceback" not in told


@pytest.mark.faults
@pytest.mark.timeout(300)
def test_an_edit_that_takes_care_away_is_told_in_the_sandbox_and_refused_by_publish(checkout: Checkout) -> None:
    """Live; edited so that every promise holds and yet a check-in is lost: refused with its conversation; then somebody
    answers for it; then it is live, once."""
    first = checkout.run("bot", "publish")
    assert first.returncode == 0, first.stderr
    assert "Live: edition" in first.stdout
    checkout.edit(lambda body: body["states"]["followed"]["do"][1]["plan"].remove("F5"))
    dry = checkout.run("bot", "publish", "--dry")
    refused = checkout.run("bot", "publish")
    for one in (dry, refused):
        assert one.returncode == 1, one.stderr
        assert "no longer: plan F5 (LESS)" in one.stdout
        assert "--- before:" in one.stdout
        assert "--accept NAME --reason" in one.stderr
    assert "Live: edition" not in refused.stdout
    accepted = checkout.run("bot", "publish", "--accept", "Dr. Ames", "--reason", "the six weeks are too long")
    assert accepted.returncode == 0, accepted.stderr
    assert "no longer: plan F5 (LESS)" in accepted.stdout
    again = checkout.run("bot", "publish")
    assert again.returncode == 0
    assert "is live already; nothing is published." in again.stdout
