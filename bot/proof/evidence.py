"""Which seed rule (S1-S39) each line of a flow stands for, and what cites none, or one that does not exist. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from bot.flow.load import Loaded
from bot.flow.positions import Path

SEED = {f"S{number}" for number in range(1, 40)} - {"S23"} | {"S23a", "S23b", "S23c"}
RULED = ("rule", "outcome")  # a line with one of these decides something about a patient
Found = Iterator[tuple[Path, str]]


def unknown_sources(loaded: Loaded) -> Found:
    """Sources that are cited and are neither a seed rule nor named by the flow; seed rules that the seed does not have."""
    for path, names in _citations(_body(loaded)):
        for name in names:
            if name not in SEED and name not in loaded.flow.sources:
                yield path, f"There is no source {name!r} in 'sources'."
    for name in loaded.flow.sources:
        if name not in SEED and name.startswith("S") and name[1:2].isdigit():
            yield ("sources", name), f"There is no seed rule {name!r}: they are S1 to S39, with S23a, S23b and S23c."


def uncited(loaded: Loaded) -> Found:
    """Rows of decision tables, arrows and events with a rule, and states with an outcome that cite nothing, of a flow that
    cites anything."""
    body = _body(loaded)
    if any(names for _, names in _citations(body)):
        for path, line in _lines(body, ()):
            if not line.get("source"):
                yield path, f"This {_name(line)} cites no source: give 'source' the seed rules that it stands for."


def none_at_all(loaded: Loaded) -> Found:
    """Advice for a flow that decides something and cites nothing."""
    body = _body(loaded)
    if not any(names for _, names in _citations(body)) and any(True for _ in _lines(body, ())):
        yield (), "No rule or outcome of this flow cites a source, so nobody can see what it stands for."


def unhonoured(flows: Iterable[Loaded]) -> list[str]:
    """Seed rules that no rule, arrow, follow-up, invariant or text note of any flow cites."""
    cited = {name for loaded in flows for _, names in _citations(_body(loaded)) for name in names}
    number = {name: (int("".join(c for c in name if c.isdigit())), name) for name in SEED}
    return sorted(SEED - cited, key=number.__getitem__)


def _body(loaded: Loaded) -> object:
    return loaded.flow.model_dump(mode="json", by_alias=True, exclude={"texts", "sources"})


def _name(line: dict[str, object]) -> str:
    rule = line.get("id") or line.get("rule")
    return f"rule {rule}" if rule else f"outcome {line['outcome']!r}"


def _lines(value: object, path: Path) -> Iterator[tuple[Path, dict[str, object]]]:
    """Every line that decides: a row of a table, or whatever names a rule or an outcome beside a target or a state."""
    if isinstance(value, dict):
        row = path[-2:-1] == ("rules",) or path[-1:] == ("otherwise",)
        if "source" in value and (row or any(value.get(name) for name in RULED)):
            yield path, value
        for key, inner in value.items():
            if not (path == () and key == "invariants"):
                yield from _lines(inner, (*path, key))
    elif isinstance(value, list):
        for at, inner in enumerate(value):
            yield from _lines(inner, (*path, at))


def _citations(value: object, path: Path = ()) -> Iterator[tuple[Path, list[str]]]:
    if isinstance(value, dict):
        for key, inner in value.items():
            if key == "source" and isinstance(inner, list):
                yield (*path, key), [str(one) for one in inner]
            else:
                yield from _citations(inner, (*path, key))
    elif isinstance(value, list):
        for at, inner in enumerate(value):
            yield from _citations(inner, (*path, at))
