"""``python -m bot chat``: a conversation in the terminal, through the same code as the web, with nothing kept.

With JSON: each input line gives exactly one JSON object on one line. An empty line is silence; on voice the first line
starts the call.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from typing import Any, Literal
from zoneinfo import ZoneInfo

from bot.catalog import make_clinic
from bot.consent import hours_for
from bot.conversation import Conversation
from bot.decide import open_walk
from bot.record import Record
from bot.store.memory import MemoryStore
from bot.tasks import TASKS
from bot.turn import Heard, Input, Turn

Channel = Literal["sms", "dtmf", "speech"]
DEMO = {"clinic": "CLS Health", "phone": "(713) 555-0142"}
PHONE = "+15005550006"


class Chat:
    """One patient at a keyboard."""

    def __init__(self, channel: Channel, language: str | None) -> None:
        self.store = MemoryStore()
        self.channel, self.calling, self.turns, self.at = channel, False, 0, time.time()
        self.heard: Heard | None = None
        ids = iter(range(1, 1_000_000))
        clinic = make_clinic(
            values=DEMO,
            link=lambda patient: (f"demo{next(ids)}", "https://clinic.example/go/demo-link"),
            new_id=lambda: f"{next(ids)}",
            new_effect=lambda patient: f"e{next(ids)}",
            language=language,
            opt_out_mode="app",
        )
        hours = hours_for((), "America/Chicago", "00:00", "23:59:59")
        self.conversation = Conversation(
            clinic,
            self.store,
            lambda phone: "you",
            now=lambda: self.at,
            hours=lambda phone: hours,
            render=self._keep,
            booking={},
        )

    def say(self, line: str) -> Heard:
        """One input line; what the bot made of it."""
        self.turns += 1
        self.conversation.take(PHONE, self._given(line), f"line{self.turns}")
        if self.heard is None:
            raise RuntimeError("The turn gave nothing.")
        return self.heard

    def begin(self, flow: str, outcome: str | None) -> Heard:
        """The bot itself begins a walk of *flow*, as a follow-up to *outcome* does; what it says first."""
        door: Literal["sms", "voice"] = "sms" if self.channel == "sms" else "voice"

        def decide(record: Record, now: float) -> tuple[Turn, bytes]:
            clinic = self.conversation.clinic
            soon = datetime.fromtimestamp(now, ZoneInfo(clinic.zone)) + timedelta(days=2)
            visit_at = record.visit_at or soon.replace(hour=14, minute=30).timestamp()
            record = record.but(phone=PHONE, result=outcome, visit_at=visit_at)
            found = open_walk(clinic, "you", record, flow, door, now)
            self._keep(found.heard)
            return found, b""

        self.conversation.staff_turn("you", f"begin {flow}", decide, phone=PHONE)
        if self.heard is None:
            raise RuntimeError("The walk did not begin.")
        return self.heard

    def texts(self) -> list[str]:
        """Texts that a call asked for, newest last."""
        bodies = (json.loads(effect.body) for effect in self.store.effects.values() if effect.kind == "text")
        return [body["body"] for body in bodies]

    def _keep(self, heard: Heard) -> bytes:
        self.heard = heard
        self.calling = heard.door == "voice" and heard.end == "listen"
        return b""

    def _given(self, line: str) -> Input:
        if self.channel == "sms":
            if line.strip() or self.heard is None:
                self.at += 20
                return Input("sms", said=line)
            self.at += 1800
            return Input("sms", event="silence")
        self.at += 10
        step = self.heard.step if self.heard and self.calling else None
        if not self.calling:
            return Input("voice", event="call")
        if self.channel == "dtmf" and line.strip():
            return Input("voice", digits=line.strip(), step=step)
        return Input("voice", said=line, step=step)


def as_json(heard: Heard) -> dict[str, Any]:
    """The object of one line."""
    session = heard.session
    messages = ([heard.text] if heard.text else []) if heard.door == "sms" else list(heard.says)
    return {
        "session": session.id if session else None,
        "state": session.state if session else None,
        "reading": {"kind": heard.reading.kind, "value": heard.reading.value},
        "messages": messages,
        "outcome": session.outcome if session else None,
        "disposition": session.disposition if session else None,
        "rule": session.rule if session else None,
        "tasks": [{"kind": kind, "urgency": TASKS[kind].urgency} for kind in heard.tasks],
    }


def run_chat(
    lines: Iterable[str], out: Callable[[str], None], channel: Channel, language: str | None, machine: bool
) -> None:
    """Read *lines* until they end; *out* gets whole lines."""
    chat = Chat(channel, language)
    for line in lines:
        heard = chat.say(line.rstrip("\r\n"))
        if machine:
            out(json.dumps(as_json(heard), ensure_ascii=False))
        else:
            out("\n".join(heard.says) if not heard.silent else "(no answer)")
            if heard.end == "dial":
                out("(the call goes to a person)")
            out("\n".join(f"(a text arrives) {text}" for text in chat.texts()) if heard.end != "listen" else "")
