"""No flow that breaks an invariant is served (P9): each version is proved once, before the first process serves it.

What was proved is kept in the data directory, sealed with the deployment's key and bound to the flows and to the code that
proved and runs them; a changed line of either proves again. Never runs inside a request.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Iterable, Mapping
from pathlib import Path

from bot.flow.load import FlowError, Loaded, Problem

FILE = "proved.json"


class RefusedError(ValueError):
    """A version gives somebody less care than the one that is live, and nobody has answered for it (bot/publish.py)."""


ROOM = Path(__file__).parent


def require_proof(flows: Mapping[str, Loaded], folder: Path, key: bytes) -> bool:
    """Prove what was not proved yet; True when anything had to be. Raises FlowError with each problem and the shortest
    conversation that shows it."""
    mark = hmac.new(key, _version(flows), hashlib.sha256).hexdigest()
    if _known(folder, mark):
        return False
    from bot.proof.check import check  # only when it is needed: it is not small
    from bot.proof.command import reader

    problems: list[Problem] = []
    counts: dict[str, dict[str, int]] = {}
    read = reader()
    for name, loaded in flows.items():
        report = check(loaded, flows=flows, read=read)
        counts[name] = {"invariants": len(report.held), **report.counts}
        for finding in report.problems:
            one = finding.problem
            shown = "".join(f"\n{line}" for line in finding.talk)
            problems.append(Problem(one.file, one.line, one.column, f"{one.message}{shown}"))
    if problems:
        raise FlowError(problems)
    folder.mkdir(parents=True, exist_ok=True)
    fresh = folder / f"{FILE}.new"
    fresh.write_text(json.dumps({"proved": mark, "counts": counts}), "utf-8")
    fresh.replace(folder / FILE)
    return True


def what_was_proved(flows: Mapping[str, Loaded], folder: Path, key: bytes) -> Mapping[str, Mapping[str, int]] | None:
    """Flow -> how much was looked at (``invariants``, ``configurations``, ``turns``, ``sets of answers``); None when
    *folder* holds no proof of exactly these flows."""
    mark = hmac.new(key, _version(flows), hashlib.sha256).hexdigest()
    if not _known(folder, mark):
        return None
    counts = json.loads((folder / FILE).read_text("utf-8")).get("counts", {})
    return {name: counts.get(name, {}) for name in flows}


def _known(folder: Path, mark: str) -> bool:
    try:
        kept = json.loads((folder / FILE).read_text("utf-8"))
        return hmac.compare_digest(str(kept["proved"]), mark)
    except (OSError, ValueError, KeyError, TypeError):
        return False


def _version(flows: Mapping[str, Loaded]) -> bytes:
    """The flows, the words, and the code that runs and proves them."""
    whole = hashlib.sha256()
    for name in sorted(flows):
        whole.update(f"{name} {flows[name].hash}\n".encode())
    for path in _files():
        whole.update(path.name.encode() + b"\0" + path.read_bytes())
    return whole.digest()


def _files() -> Iterable[Path]:
    yield ROOM / "engine.py"
    yield ROOM / "session.py"
    for folder in ("flow", "proof", "reading"):
        yield from sorted((ROOM / folder).glob("*.py"))
    yield from sorted((ROOM.parent / "flows" / "words").glob("*.json"))
