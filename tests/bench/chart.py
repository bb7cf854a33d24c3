"""One bar for each door: how often it answers while the floor answers once (CPU in process)."""

from __future__ import annotations

from typing import Any

NAMES = {"floor": "floor: Flask + RequestValidator + one EVALSHA", "naive": "naive if/else bot, GET and SET",
         "ours": "this bot, a whole text turn", "ours_voice": "this bot, a whole step of a call"}  # fmt: skip


def chart(found: dict[str, Any]) -> str:
    """An SVG of *found*, what the bench measured."""
    rows = []
    for at, (name, label) in enumerate(NAMES.items()):
        ratio, y = found["inprocess"][name]["cpu_ratio"], 14 + at * 34
        fill = "#2a6f97" if name.startswith("ours") else "#9aa5b1"
        rows.append(
            f'<text x="4" y="{y}">{label}</text><rect x="4" y="{y + 5}" width="{ratio * 260:.0f}" height="12" fill="{fill}"/>'
            f'<text x="{10 + ratio * 260:.0f}" y="{y + 15}">{ratio:.2f}</text>'
        )
    return (
        '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 420 150" font-family="sans-serif" font-size="11">'
        f"<title>Webhooks per CPU second, as a multiple of the floor</title>{''.join(rows)}</svg>\n"
    )
