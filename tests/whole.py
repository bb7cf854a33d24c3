"""The whole product as one child process (``python -m bot run``) and a patient at its phone page, for tests."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.request import Request, urlopen

from bot.catalog import load_flows
from bot.proved import FILE, require_proof

ROOT = Path(__file__).parents[1]
PATIENCE = 20.0


class Whole:
    """Start, talk, move the clock, stop. *log* is everything that the processes printed."""

    command = ("-m", "bot", "run")

    def __init__(self, **settings: str) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="tb-"))
        kept = {name: value for name, value in os.environ.items() if name in ("PATH", "HOME", "LANG", "TMPDIR")}
        # Another port range than a person's own `make run`; a taken port is passed over anyway.
        first = 21_000 + os.getpid() % 20_000
        names = ("WEB_PORT", "SANDBOX_PORT", "CONSOLE_PORT", "METRICS_PORT")
        ports = {name: str(first + 100 * place) for place, name in enumerate(names)}
        quiet = {"QUIET_START": "23:59", "QUIET_END": "00:00"}
        # Proved once for the whole run, not once for each test: the same key, and what it sealed.
        key = "5a" * 32
        kept["SECRET_KEY"] = key
        shared = Path(tempfile.gettempdir()) / f"tb-proved-{os.getuid()}"
        require_proof(load_flows(), shared, bytes.fromhex(settings.get("SECRET_KEY", key)))
        shutil.copy(shared / FILE, self.folder / FILE)
        self.environment = {**kept, "DATA_DIR": str(self.folder), "WEB_PROCESSES": "1", **ports, **quiet, **settings}
        self.output = (self.folder / "output").open("w+")
        self.process: subprocess.Popen[bytes] | None = None
        self.address = ""

    def __enter__(self) -> Self:
        self.process = subprocess.Popen(
            [sys.executable, *self.command], cwd=ROOT, env=self.environment, stdout=self.output, stderr=self.output
        )
        found = self.until(lambda: re.search(r"Open (http://\S+)", self.log()), "the product is ready")
        self.address = found.group(1).rstrip("/")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
        self.output.close()
        shutil.rmtree(self.folder, ignore_errors=True)

    def stop(self) -> int:
        """Ctrl-C; the exit status."""
        if self.process is None:
            return 0
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
        return self.process.wait(PATIENCE)

    def log(self) -> str:
        """What was printed so far."""
        return (self.folder / "output").read_text("utf-8", "replace")

    def until(self, check: Callable[[], Any], what: str) -> Any:
        """Ask again until *check* gives something; AssertionError with the log when it never does."""
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end:
            found = check()
            if found:
                return found
            time.sleep(0.02)
        raise AssertionError(f"Never: {what}\n{self.log()[-3000:]}")

    # -- the patient --

    def post(self, path: str, **body: Any) -> Any:
        """A button of the phone page."""
        request = Request(
            f"{self.address}/phone/api/{path}",
            json.dumps(body).encode(),
            {"Content-Type": "application/json", "X-Phone": "1"},
        )
        with urlopen(request, timeout=20) as answer:
            return json.load(answer)

    def texts(self, phone: str = "p1") -> list[dict[str, Any]]:
        """Everything on the phone's screen."""
        with urlopen(f"{self.address}/phone/api/state?phone={phone}", timeout=20) as answer:
            found: list[dict[str, Any]] = json.load(answer)["messages"]
            return found

    def say(self, text: str, phone: str = "p1") -> str:
        """Send a text; the bot's answer to it ("" for none)."""
        before = len(self.texts(phone))
        self.post("text", phone=phone, text=text)
        new = self.texts(phone)[before + 1 :]
        return "\n".join(one["text"] for one in new if not one["mine"])
