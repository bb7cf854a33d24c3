"""A patient's log as staff read it: bubbles with the reading beside the raw words and the state of each delivery.

Only reads. Words of the patient come from the log alone and go to the page alone.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from bot.codes import in_words, reason_in_words
from bot.console import terms
from bot.console.desk import Visit
from bot.console.languages import sentence

NOTES = {
    "claimed": sentence("{name} took over."),
    "claimed_from": sentence("{name} took over from {other}."),
    "released": sentence("{name} handed back to the bot."),
    "closed": sentence("{name} closed the matter."),
    "reopened": sentence("{name} opened the matter again."),
    "visit_booked": sentence("A visit was booked."),
    "visit_moved": sentence("The visit was moved."),
    "visit_cancelled": sentence("The visit was cancelled."),
    "visit_missed": sentence("The visit was missed."),
    "link_opened": sentence("The scheduling link was opened."),
    "outage": sentence("This came while the program was down."),
    "call": sentence("We called."),
    "not_called": sentence("A planned call was not placed: {why}"),
    "not_sent": sentence("Not sent: {why}"),
    "note": sentence("Note of the program: {why}"),
    "staff_note": sentence("Note of {name}: {why}"),
    "picked_up": sentence("Our call was picked up."),
    "dialled": sentence("The caller was put through to a person."),
    "recording": sentence("A message was recorded."),
}
FINAL = frozenset({"delivered", "read", "undelivered", "failed", "canceled"})


@dataclass(frozen=True, slots=True)
class Bubble:
    """*side*: ``patient``, ``bot``, ``staff`` or ``note``. *about*: how it was read, or which state it is from.
    *delivery*: a sentence, "" where there is none. *bad*: it did not arrive."""

    side: str
    text: str
    at: float
    about: str = ""
    delivery: str = ""
    bad: bool = False
    language: str = ""


def read_log(visit: Visit, patient: str) -> list[dict[str, Any]]:
    """The patient's log, oldest first."""
    return [json.loads(raw) for raw in visit.desk.store.events(patient) if raw]


def reasons(visit: Visit, events: list[dict[str, Any]]) -> dict[tuple[float, str], str]:
    """(when, kind of task) -> why it was written, in words, for tasks that came of a text or call of ours."""
    noted = [event for event in events if event.get("in") == "note" and event.get("why")]
    return {
        (float(event["at"]), kind): reason_in_words(terms.plain(event["why"]), visit.say)
        for event in noted
        for kind in event.get("tasks", ())
    }


def tell(visit: Visit, events: list[dict[str, Any]], names: Mapping[str, str]) -> list[Bubble]:
    """The whole conversation, oldest first."""
    effects = list(dict.fromkeys(event["fx"] for event in events if event.get("fx")))
    waits = dict(zip(effects, visit.desk.lists.waits(effects), strict=True))
    seen = dict(zip(effects, visit.desk.lists.deliveries(effects), strict=True))
    kept = {event["fx"] for event in events if event.get("in") == "not_sent" and event.get("fx")}
    by_staff = {event["fx"] for event in events if event.get("in") == "staff" and event.get("fx")}
    found: list[Bubble] = []
    for event in events:
        if event.get("in") == "text" and event.get("fx") in by_staff and event["says"][0]:
            continue  # a nurse's text is shown where it was written; its hand-over is its delivery state
        effect, delivery, bad = event.get("fx", ""), "", False
        if effect and effect not in kept:
            state = (
                seen[effect].status if seen.get(effect) else "waiting" if waits.get(effect) is not None else "handed"
            )
            bad = state in ("undelivered", "failed", "canceled")
            delivery = visit.say(terms.DELIVERY.get(state, state))
            if bad and seen.get(effect):
                delivery += ": " + in_words(seen[effect].code, visit.say)
        found += _bubbles(visit, event, names, delivery, bad)
    return found


def _bubbles(visit: Visit, event: dict[str, Any], names: Mapping[str, str], delivery: str, bad: bool) -> list[Bubble]:
    at, kind, found = float(event.get("at", 0.0)), event.get("in", ""), []
    if kind == "visit" and event.get("why") != "over":
        kind = f"visit_{event['what']}"
    language = event.get("language", "")
    if kind in ("said", "call") and ("said" in event or "reading" in event):
        reading = event.get("reading") or ["", None, ""]
        value = "" if reading[1] in (None, reading[0]) else terms.value(visit.say, reading[1])
        about = f"{visit.say(terms.READINGS.get(reading[0], reading[0]))} {value}".strip()
        by = visit.say("by telephone") if event.get("door") == "voice" else ""
        text = event.get("said") or visit.say("(nothing was said)")
        found.append(Bubble("patient", text, at, ", ".join(one for one in (about, by) if one), language=language))
    elif kind in NOTES or kind == "text":
        if kind == "text" and not (event.get("says") or [None])[0]:
            kind = "not_sent"
        if kind in NOTES:
            name = names.get(event.get("by", ""), event.get("by", ""))
            why = event.get("note") or reason_in_words(terms.plain(event.get("why") or "-"), visit.say)
            other = names.get(event.get("of", ""), event.get("of", ""))
            found.append(Bubble("note", visit.say(NOTES[kind], name=name, why=why, other=other), at))
    words = "\n".join(one for one in event.get("says", ()) if one)
    if words:
        staff = kind == "staff"
        about = (
            names.get(event.get("by", ""), "")
            if staff
            else terms.state(visit.say, event.get("state") or event.get("name") or "")
        )
        side = "staff" if staff else "bot"
        found.append(Bubble(side, words, at, about, delivery, bad, language))
    return found
