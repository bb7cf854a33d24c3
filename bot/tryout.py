"""A conversation from codes: what the flow page's simulator plays, through the very turn that patients get. Pure.

A code says how a reply was read, never its words, so an address that holds codes holds nothing of anybody. Nothing is
sent or kept. What is no code of the open question counts as not understood.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from bot.decide import open_walk, take
from bot.flow import model
from bot.flow.load import Loaded
from bot.reading.model import Expects, Reading
from bot.record import Record
from bot.turn import Clinic, Door, Input, Turn
from bot.wording import segments

LONGEST = 80  # codes of one conversation
PHONE, PATIENT = "+15005550006", "you"
LINK = "https://clinic.example/go/demo-link"
UNCLEAR, SILENCE = "U", "S"
# Code -> how a reply is read that means it. Answers are their own codes: yes, no, 0 to 10, the name of a choice.
MEANT: Mapping[str, Reading] = {
    UNCLEAR: Reading("unclear", why="chosen"),
    SILENCE: Reading("silence", why="chosen"),
    "E": Reading("emergency", "emergency", "chosen"),
    "C": Reading("emergency", "crisis", "chosen"),
    "G": Reading("emergency", "urgent", "chosen"),
    "X": Reading("opt_out", why="chosen"),
    "I": Reading("opt_in", why="chosen"),
    "M": Reading("minor", why="chosen"),
    "H": Reading("command", "human", "chosen"),
    "P": Reading("command", "help", "chosen"),
    "B": Reading("command", "back", "chosen"),
    "R": Reading("command", "repeat", "chosen"),
    "N": Reading("command", "restart", "chosen"),
    "Len": Reading("command", "language_en", "chosen"),
    "Les": Reading("command", "language_es", "chosen"),
    "D": Reading("command", "schedule", "chosen"),
}


@dataclass(frozen=True)
class Exchange:
    """One turn: the *code* that was chosen ("" for the first), where the walk stood *before*, and what the *turn* made."""

    code: str
    before: Record
    turn: Turn

    @property
    def segments(self) -> int:
        """Of the text; 0 on a call, or when nothing is said."""
        return (
            segments(self.turn.heard.text or "").count if self.turn.heard.door == "sms" and self.turn.heard.text else 0
        )


def play(
    clinic: Clinic, flow: str, door: Door, language: str, codes: Sequence[str], now: float, outcome: str | None = None
) -> Iterator[Exchange]:
    """The conversation from its first word on. *outcome*: what an earlier walk came to, for a flow that follows one."""
    clinic, record = _alone(clinic, language), Record(PHONE, result=outcome, visit_at=now + 86_400)
    first = _begin(clinic, record, flow, door, now)
    yield Exchange("", record, first)
    record, heard = first.record, first.heard
    for code in codes[:LONGEST]:
        now += 1800 if code == SILENCE and door == "sms" else 20
        clinic = replace(clinic, read=_reader(code, heard.expects))
        begins = door == "voice" and (heard.end != "listen" or not heard.step)
        event: Literal["said", "call", "silence"] = "call" if begins else "said"
        if code == SILENCE and door == "sms":
            event = "silence"
        given = Input(door, step=heard.step if door == "voice" and not begins else None, event=event)
        turn = take(clinic, PATIENT, record, given, now)
        yield Exchange(code, record, turn)
        record, heard = turn.record, turn.heard


def every_code(flows: Iterable[Loaded]) -> frozenset[str]:
    """All that an address may hold."""
    options = [str(one.value) for loaded in flows for state in loaded.flow.states.values()
               if isinstance(state, model.Question) for one in state.takes.options]  # fmt: skip
    return frozenset((*MEANT, "yes", "no", *map(str, range(11)), *options))


def codes_of(exchange: Exchange) -> tuple[str, ...]:
    """The answers that the open question takes."""
    expects = exchange.turn.heard.expects
    if expects is None or (exchange.turn.heard.session and exchange.turn.heard.session.ended):
        return ()
    if expects.type == "yesno":
        return ("yes", "no")
    return tuple(map(str, range(11))) if expects.type == "scale0_10" else expects.options


def code_of(reading: Reading) -> str:
    """The code of what typed words were understood as."""
    if reading.kind == "answer":
        return str(reading.value)
    meant = [code for code, one in MEANT.items() if (one.kind, one.value) == (reading.kind, reading.value)]
    return meant[0] if meant else UNCLEAR


def _begin(clinic: Clinic, record: Record, flow: str, door: Door, now: float) -> Turn:
    if flow != clinic.first_flow:
        return open_walk(clinic, PATIENT, record, flow, door, now)
    clinic = replace(clinic, read=_reader(UNCLEAR, None))
    given = Input("voice", event="call") if door == "voice" else Input("sms", said="a first word")
    return take(clinic, PATIENT, record, given, now)


def _reader(code: str, expects: Expects | None) -> Callable[[str, Expects | None, str, str], Reading]:
    reading = MEANT.get(code)
    if reading is None:
        value: str | int = int(code) if code.isdecimal() and code.isascii() else code
        takes = expects is not None and value in _values(expects)
        reading = Reading("answer", value, "chosen") if takes else MEANT[UNCLEAR]
    return lambda said, expects, language, channel: reading


def _values(expects: Expects) -> tuple[str | int, ...]:
    if expects.type == "yesno":
        return ("yes", "no")
    return tuple(range(11)) if expects.type == "scale0_10" else expects.options


def _alone(clinic: Clinic, language: str) -> Clinic:
    """The same flows and texts, in a world where nobody else is: numbers instead of secrets, always open."""
    ids = iter(range(1, 10_000))
    return replace(
        clinic, language=language, new_id=lambda: f"{next(ids)}", new_effect=lambda patient: f"e{next(ids)}",
        link=lambda patient: (f"demo{next(ids)}", LINK), opt_out_mode="app", is_open=lambda now: True,
        may_text=lambda phone: True, alerts=(),
    )  # fmt: skip
