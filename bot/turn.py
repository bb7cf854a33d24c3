"""What a turn is made of: what came in, what is said, what is written, what it needs of the deployment. Types only."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from bot import engine, prompts
from bot.engine import Session
from bot.flow.load import Loaded
from bot.frozen import Frozen
from bot.reading.model import Expects, Reading
from bot.record import Record

Door = Literal["sms", "voice"]
End = engine.End | Literal["offer", "record"]  # a recorded message is offered; it is recorded


@dataclass(frozen=True, slots=True)
class Input:
    """What came in. *said* is text or speech, *digits* are keys; neither = silence. *step* is the call's step token.

    *opt_out_type*: Twilio's parameter when it has already answered a keyword itself. *event*: ``call`` when a call
    begins, ``silence`` when a timer ran out, ``said`` otherwise.
    """

    door: Door
    said: str = ""
    digits: str | None = None
    step: str | None = None
    opt_out_type: str | None = None
    event: Literal["said", "call", "silence"] = "said"


@dataclass(frozen=True)
class Heard(Frozen):
    """What a turn says, before a door renders it. *silent*: nothing may be answered (the carrier did, or STOP).

    *waits*: seconds until silence counts, and of the pause that ends speech.
    """

    door: Door
    language: str
    says: tuple[str, ...] = ()
    end: End = "listen"
    step: str = ""
    expects: Expects | None = None
    hints: tuple[str, ...] = ()
    waits: tuple[int, int] = (6, 2)
    silent: bool = False
    reading: Reading = field(default_factory=lambda: Reading("unclear"))
    session: Session | None = None
    tasks: tuple[str, ...] = ()

    @property
    def text(self) -> str | None:
        """The SMS body, or None when nothing may be answered."""
        return None if self.silent else prompts.one_text(self.says)


@dataclass(frozen=True, slots=True)
class Later:
    """Something to do outside, at *due*. *body* is sealed by the store."""

    id: str
    kind: Literal["silence", "follow_up", "text", "call", "call_end", "outreach"]
    due: float
    body: Mapping[str, Any]


@dataclass(frozen=True)
class Turn(Frozen):
    """Everything one turn writes."""

    record: Record
    heard: Heard
    later: tuple[Later, ...] = ()
    dropped: tuple[str, ...] = ()
    tasks: tuple[str, ...] = ()
    links: tuple[tuple[str, str], ...] = ()
    event: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Clinic:
    """What a turn needs of the deployment. *read* is the reading room with its words; *values* fill the texts.

    *hints* are the words a caller may answer with. *may_text*: whether a number's country is texted at all. *link* gives
    (token, address) of a new scheduling link for a patient. *mark* names the edition (flows, words, settings) in the
    patient's log. *version* gives an older version of a flow by its hash, which open sessions may still be on. *alerts*:
    names of the staff channels that hear of a task. *prices*: of a segment, sent and received, in millionths, for the counts.
    """

    flows: Mapping[str, Loaded]
    read: Callable[[str, Expects | None, str, str], Reading]
    values: Mapping[str, str]
    new_id: Callable[[], str]
    new_effect: Callable[[str], str]
    link: Callable[[str], tuple[str, str]]
    opt_out_mode: Literal["twilio", "advanced", "app"] = "twilio"
    first_flow: str = "triage"
    language: str | None = None
    is_open: Callable[[float], bool] = lambda now: True
    voicemail: bool = False
    may_text: Callable[[str], bool] = lambda phone: True
    zone: str = "America/Chicago"
    mark: str = ""
    version: Callable[[str], Loaded | None] = lambda content: None
    alerts: tuple[str, ...] = ()
    prices: tuple[int, int] = (0, 0)
    hints: Callable[[Expects, str], tuple[str, ...]] = lambda expects, language: ()

    def of(self, session: Session) -> Loaded | None:
        """The version of its flow that *session* is on; None when it is nowhere kept."""
        live = self.flows.get(session.flow)
        return live if live is not None and live.hash == session.flow_hash else self.version(session.flow_hash)
