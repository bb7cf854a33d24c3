"""The product's own web command, started cold: seconds to its first answer, and the memory of each of its processes.

Resident memory counts a page for every process that has it mapped; the share (PSS) counts a page of two processes half for
each, and what is a process's alone is what one more of them would cost.
"""

from __future__ import annotations

import http.client
import itertools
import os
import signal
import socket
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from tests.bench import doors


def start(state_url: str, data_dir: Path, rounds: int = 3, turns: int = 200) -> dict[str, float]:
    """Medians of *rounds* starts; memory is taken after *turns* turns. The first start, which compiles the program and proves
    the flows, is apart; *first_rss_mb* is what its processes keep."""
    found = [_once(state_url, data_dir, turns) for _ in range(rounds + 1)]
    later = {name: round(statistics.median(one[name] for one in found[1:]), 2) for name in found[0]}
    return {"first_start_s": round(found[0]["cold_start_s"], 2), "first_rss_mb": round(found[0]["rss_mb"], 1), **later}


def _once(state_url: str, data_dir: Path, turns: int) -> dict[str, float]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    env = {**os.environ, **doors.environment(state_url, data_dir), "WEB_PORT": str(port), "LOG_LEVEL": "ERROR"}
    # As on a server, where what was compiled is kept, whatever the shell of this run says; and not in the tree.
    env = {name: value for name, value in env.items() if name != "PYTHONDONTWRITEBYTECODE"}
    env["PYTHONPYCACHEPREFIX"] = str(data_dir / "compiled")
    began = time.monotonic()
    server = subprocess.Popen([sys.executable, "-m", "bot.web.serve"], env=env)
    try:
        while not _answers(port):
            if server.poll() is not None:
                raise RuntimeError("The web command ended before it answered.")
        took = time.monotonic() - began
        line = http.client.HTTPConnection("127.0.0.1", port)
        for posted in itertools.islice(doors.texts(80_000_000 + server.pid * 100), turns):
            head = {"Content-Type": "application/x-www-form-urlencoded", "X-Twilio-Signature": posted.signature}
            line.request("POST", posted.path, posted.body, head)
            line.getresponse().read()
        children = Path(f"/proc/{server.pid}/task/{server.pid}/children").read_text().split()
        each = [_megabytes(child) for child in children]
        return {
            "cold_start_s": took,
            "processes": len(each),
            **{f"{name}_mb": statistics.mean(one[name] for one in each) for name in each[0]},
        }
    finally:
        server.send_signal(signal.SIGTERM)
        server.wait(20)


def _answers(port: int) -> bool:
    try:
        line: Any = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
        line.request("GET", "/healthz")
        return bool(line.getresponse().status == 200)
    except OSError:
        time.sleep(0.005)
        return False


def _megabytes(process: str) -> dict[str, float]:
    lines = Path(f"/proc/{process}/smaps_rollup").read_text().splitlines()[1:]
    sizes = {line.split(":")[0]: int(line.split()[1]) / 1024 for line in lines}
    return {"rss": sizes["Rss"], "share": sizes["Pss"], "own": sizes["Private_Clean"] + sizes["Private_Dirty"]}
