"""A flow as one SVG: no script, no style attribute, no request; its outline is the text alternative. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from html import escape

from bot.flow.load import Loaded
from bot.proof.graph import KINDS, Edge, anywhere, edges, kind_of, label_of, outline
from bot.proof.layout import BOX, Placed, place
from bot.proof.words_of_guard import Tell, plainly

HIGH, ROW, TOP, MARGIN, PANEL = 30.0, 78.0, 70.0, 20.0, 300.0
FONT = 'font-family="DejaVu Sans, Arial, sans-serif"'
COLOURS = {  # kind: fill, border
    "start": ("#ffffff", "#444444"), "question": ("#dbeafe", "#1d4ed8"), "message": ("#f3f4f6", "#6b7280"),
    "decision": ("#fef3c7", "#92400e"), "handover": ("#ede9fe", "#6d28d9"), "final": ("#e5e7eb", "#374151"),
    "emergency": ("#fecaca", "#b91c1c"), "urgent": ("#fed7aa", "#c2410c"), "pmr": ("#bbf7d0", "#15803d"),
    "both": ("#ccfbf1", "#0f766e"), "pt": ("#cffafe", "#0e7490"),
}  # fmt: skip
LEGEND = tuple(kind for kind in KINDS if kind not in ("start", "handover"))
EVERYWHERE, COLOURS_SAY, NET_SAYS = "In every state (or question)", "Colours and lines", "stays unclear or silent"
HALO = 'stroke="#ffffff" stroke-width="3" paint-order="stroke"'
Point = tuple[float, float]
Area = tuple[float, float, float, float]


@dataclass(frozen=True)
class Seen:
    """What became of walks, for their way through the picture. *traffic*: how many went from one state to another
    (``@sms``, ``@voice``: where walks begin). *lost*: state -> the share (0 to 1) that stopped there, that in words, and
    the address of those. *shown*: how a count is written. *to*: the address of those who went along an arrow."""

    traffic: Mapping[tuple[str, str], int]
    lost: Mapping[str, tuple[float, str, str]] = field(default_factory=dict)
    shown: Callable[[int], str] = "{:,}".format
    to: Callable[[str, str], str] = lambda source, target: ""


def draw(loaded: Loaded, seen: Seen | None = None, tell: Tell = plainly) -> str:
    """The SVG, with what was *seen*."""
    every = edges(loaded, tell)
    drawn = {one.source for one in every} | {one.target for one in every}
    names = [
        *(f"@{channel}" for channel in loaded.flow.initial),
        *(name for name in loaded.flow.states if name in drawn),
    ]
    placed = place(names, [(one.source, one.target) for one in every])
    width = PANEL + placed.width + BOX + 2 * MARGIN
    side = _panel(loaded, tell)
    height = max(TOP + (max(placed.row.values(), default=0) + 1) * ROW, TOP + side[1]) + MARGIN
    title = f"{tell(loaded.flow.title)} - {loaded.flow.id} {loaded.flow.version}, {loaded.hash}"
    taken: list[Area] = []  # by labels
    body = [_edge(one, placed, seen, taken) for one in every if not _answered(one, every, placed)]
    role = "figure" if seen else "img"  # with links in it, it is more than one picture
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:.0f} {height:.0f}" width="{width:.0f}" '
        f'height="{height:.0f}" role="{role}" aria-labelledby="flow-title flow-desc" {FONT} font-size="12" fill="#111827">',
        f'<title id="flow-title">{escape(title)}</title>',
        f'<desc id="flow-desc">{escape(chr(10).join(outline(loaded, tell)))}</desc>',
        _markers(),
        '<rect width="100%" height="100%" fill="#ffffff"/>',
        f'<text x="{MARGIN}" y="34" font-size="18" font-weight="bold">{escape(title)}</text>',
        *side[0],
        *(path for path, _ in body),
        *(_box(loaded, name, *_at(placed, name), label_of(name, tell)) for name in names),
        *(_stopped(name, placed, *seen.lost[name]) for name in names if seen and name in seen.lost),
        *(label for _, label in body),
        "</svg>",
    ]
    return "\n".join(line for line in lines if line) + "\n"


def _answered(edge: Edge, every: list[Edge], placed: Placed) -> bool:
    """The way back of a pair of arrows: its other half is drawn with two heads."""
    there = any((one.source, one.target) == (edge.target, edge.source) for one in every)
    return there and (edge.source, edge.target) in placed.back


def _at(placed: Placed, name: str) -> tuple[float, float]:
    return PANEL + MARGIN + BOX / 2 + placed.x[name], TOP + HIGH / 2 + placed.row[name] * ROW


def _edge(edge: Edge, placed: Placed, seen: Seen | None, taken: list[Area]) -> tuple[str, str]:
    x1, y1 = _at(placed, edge.source)
    x2, y2 = _at(placed, edge.target)
    sign = 1 if y2 > y1 else -1
    points = [(x1, y1 + sign * HIGH / 2)]
    for bend, row in placed.bends[(edge.source, edge.target)]:
        middle = TOP + HIGH / 2 + row * ROW
        x = PANEL + MARGIN + BOX / 2 + bend
        points += [(x, middle - sign * HIGH / 2), (x, middle + sign * HIGH / 2)]
    points.append((x2, y2 - sign * (HIGH / 2 + 3)))
    path = f"M{points[0][0]:.0f} {points[0][1]:.0f}"
    for at in range(1, len(points)):
        (ax, ay), (bx, by) = points[at - 1], points[at]
        half = (ay + by) / 2
        path += f" C{ax:.0f} {half:.0f} {bx:.0f} {half:.0f} {bx:.0f} {by:.0f}"
    count = None if seen is None else seen.traffic.get((edge.source, edge.target), 0)
    most = max(seen.traffic.values(), default=0) if seen else 0
    thick = 1.2 if not count else 1.2 + 5 * (count / most) ** 0.5
    both = (edge.target, edge.source) in placed.back
    dash = ' stroke-dasharray="4 3"' if edge.net else ""
    ends = ' marker-start="url(#head)"' if both else ""
    colour = "#9ca3af" if edge.net or count == 0 else "#374151"
    line = f'<path d="{path}" fill="none" stroke="{colour}" stroke-width="{thick:.1f}"{dash} marker-end="url(#head)"{ends}/>'
    told = "" if edge.net else edge.label  # the dashes say it
    words = told if seen is None or count is None else f"{told} {seen.shown(count)}".strip()
    label = _label(words, points[0], points[1], taken) if words else ""
    return line, _linked(label, seen.to(edge.source, edge.target)) if seen and count else label


def _linked(drawn: str, address: str) -> str:
    """By mouse; whoever uses keys has the same numbers as a table, and not a hundred stops on the way through a page."""
    return f'<a href="{escape(address)}" tabindex="-1">{drawn}</a>' if address else drawn


def _label(words: str, start: Point, end: Point, taken: list[Area]) -> str:
    """On the arrow's first stretch, at the first place where no other label stands."""
    parts = _wrap(words, 18)
    wide, high = max(map(len, parts)) * 5.5, len(parts) * 11.0
    area: Area = (0.0, 0.0, 0.0, 0.0)
    for t in (0.55, 0.7, 0.42, 0.8, 0.3, 0.9):
        bow = t * t * (3 - 2 * t)
        x = start[0] * (1 - bow) + end[0] * bow
        y = start[1] + (end[1] - start[1]) * ((1 - t) ** 2 * t * 1.5 + (1 - t) * t * t * 1.5 + t**3)
        area = (x - wide / 2, y - high / 2, wide, high)
        if not any(_overlap(area, other) for other in taken):
            break
    taken.append(area)
    x, y = area[0] + wide / 2, area[1] + 9
    halo = f'font-size="10" text-anchor="middle" {HALO} fill="#111827"'
    return "".join(
        f'<text x="{x:.0f}" y="{y + at * 11:.0f}" {halo}>{escape(one)}</text>' for at, one in enumerate(parts)
    )


def _overlap(one: Area, two: Area) -> bool:
    apart_x = one[0] + one[2] <= two[0] or two[0] + two[2] <= one[0]
    return not (apart_x or one[1] + one[3] <= two[1] or two[1] + two[3] <= one[1])


def _wrap(words: str, size: int) -> list[str]:
    lines = [""]
    for word in words.split():
        if lines[-1] and len(lines[-1]) + 1 + len(word) > size:
            lines.append("")
        lines[-1] = f"{lines[-1]} {word}".strip()
    return lines


def _box(loaded: Loaded, name: str, x: float, y: float, words: str) -> str:
    fill, border = COLOURS[kind_of(loaded, name)]
    state = loaded.flow.states.get(name)
    round_ = HIGH / 2 if state is None or state.type == "final" else 4
    deep = 3 if state is not None and state.type == "decision" else 1.5
    return (
        f'<g><rect x="{x - BOX / 2:.0f}" y="{y - HIGH / 2:.0f}" width="{BOX:.0f}" height="{HIGH:.0f}" rx="{round_:.0f}" '
        f'fill="{fill}" stroke="{border}" stroke-width="{deep}"/>'
        f'<text x="{x:.0f}" y="{y + 4:.0f}" text-anchor="middle"{_fitting(words)}>{escape(words)}</text></g>'
    )


def _fitting(words: str) -> str:
    """Long names stay in their box."""
    small = ' font-size="10"' if len(words) > 18 else ""
    return small + (f' textLength="{BOX - 6:.0f}" lengthAdjust="spacingAndGlyphs"' if len(words) > 22 else "")


def _stopped(name: str, placed: Placed, share: float, words: str, address: str) -> str:
    """How many walks went no further: words under the box, and a bar along it that is as long as the share."""
    x, y = _at(placed, name)
    left, under = x - BOX / 2, y + HIGH / 2
    bar = f'<rect x="{left:.0f}" y="{under - 4:.0f}" width="{BOX * min(1.0, share):.1f}" height="4" fill="#b91c1c"/>'
    words = f'<text x="{left:.0f}" y="{under + 11:.0f}" font-size="10" fill="#991b1b" {HALO}>{escape(words)}</text>'
    return bar + _linked(words, address)


def _panel(loaded: Loaded, tell: Tell) -> tuple[list[str], float]:
    """At the side: what leads out of every state, and what the colours mean. With its height."""
    y, found = 0.0, []
    found.append(f'<text x="{MARGIN}" y="{TOP + 8:.0f}" font-weight="bold">{escape(tell(EVERYWHERE))}</text>')
    for heard, target in anywhere(loaded, tell):
        y += 36
        words = f'<text x="{MARGIN}" y="{TOP + y + 4:.0f}">{escape(heard)} \u2192</text>'
        found += [words, _box(loaded, target, MARGIN + 130 + BOX / 2, TOP + y, label_of(target, tell))]
    y += 50
    found.append(f'<text x="{MARGIN}" y="{TOP + y:.0f}" font-weight="bold">{escape(tell(COLOURS_SAY))}</text>')
    for kind in LEGEND:
        y += 22
        fill, border = COLOURS[kind]
        found.append(
            f'<rect x="{MARGIN}" y="{TOP + y - 12:.0f}" width="24" height="15" rx="3" fill="{fill}" stroke="{border}"/>'
            f'<text x="{MARGIN + 34}" y="{TOP + y:.0f}">{escape(tell(KINDS[kind]))}</text>'
        )
    y += 24
    found.append(
        f'<path d="M{MARGIN} {TOP + y - 4:.0f} h24" stroke="#9ca3af" stroke-dasharray="4 3" fill="none"/>'
        f'<text x="{MARGIN + 34}" y="{TOP + y:.0f}">{escape(tell(NET_SAYS))}</text>'
    )
    return found, y


def _markers() -> str:
    return (
        '<defs><marker id="head" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="9" markerHeight="9" '
        'markerUnits="userSpaceOnUse" orient="auto-start-reverse"><path d="M0 0 L8 4 L0 8 z" fill="#374151"/></marker></defs>'
    )
