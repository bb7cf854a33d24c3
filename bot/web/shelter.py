"""In front of the conversation: when the store is away, the static answer at once and the input to the spool.

Every signed webhook is answered within seconds (P2): the first to meet a dead store waits for one short timeout, the
others do not wait at all until a background look finds the store well again. What came meanwhile is taken up in order
before anything newer, once (the same key is never two turns). The rules of taking up are in bot/late.py.
"""

from __future__ import annotations

import base64
import logging
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Protocol, TypeVar

from bot.conversation import BusyError
from bot.reading.language import guess_language
from bot.store import client
from bot.store.spool import Spool, SpoolFullError
from bot.turn import Door, Input
from bot.web import desk
from bot.web.answers import Answers

log = logging.getLogger("bot.web")
LOOK_SECONDS = 0.5
DRAIN_SECONDS = 1.5  # how long a new webhook waits for older ones to be taken up
T = TypeVar("T")
AWAY: tuple[type[Exception], ...] = (*client.AWAY, BusyError)


class AwayError(RuntimeError):
    """The store is known to be away; nothing was tried."""


class Conversation(desk.Conversation, Protocol):
    """The real one, which can also take up what was answered statically."""

    def take_up(self, phone: str, given: Input, key: str, *, came: float, answered: bytes) -> None: ...


class Shelter:
    """A Conversation and Reports in one. *well* asks the store for a sign of life; *unread* tells a person of an entry
    that cannot be taken up."""

    def __init__(
        self,
        conversation: Conversation,
        reports: desk.Reports,
        spool: Spool,
        answers: Answers,
        *,
        well: Callable[[], bool],
        now: Callable[[], float],
        unread: Callable[[str], None],
    ) -> None:
        self._conversation, self._reports, self._spool, self._answers = conversation, reports, spool, answers
        self.well, self._now, self._unread = well, now, unread
        self.away = False

    # -- texts and calls --

    def hear(
        self,
        phone: str,
        channel: Door,
        said: str,
        key: str,
        *,
        step: str | None = None,
        digits: str | None = None,
        opt_out_type: str | None = None,
    ) -> bytes:
        given = [phone, channel, said, digits, opt_out_type, key]
        return self._answered(
            lambda: self._conversation.hear(
                phone, channel, said, key, step=step, digits=digits, opt_out_type=opt_out_type
            ),
            given,
        )

    def wants_message(self, phone: str, key: str, *, step: str, said: str, digits: str | None) -> bytes:
        return self._answered(
            lambda: self._conversation.wants_message(phone, key, step=step, said=said, digits=digits),
            [phone, "voice", said, digits, None, key],
        )

    def picked_up(self, phone: str, key: str, *, effect_id: str, by: str | None) -> bytes:
        return self._answered(
            lambda: self._conversation.picked_up(phone, key, effect_id=effect_id, by=by),
            [phone, "voice", "", None, None, key],
        )

    def flooded(self, phone: str, key: str, *, alone: bool = True) -> None:
        again = {"do": "flooded", "args": [phone, key], "more": {"alone": alone}}
        with suppress(SpoolFullError):  # only the task is lost, and the log says so; the text is answered all the same
            self._kept(lambda: self._conversation.flooded(phone, key, alone=alone), again, None)

    def dialled(self, phone: str, key: str, *, step: str, status: str) -> bytes:
        again = {"do": "dialled", "args": [phone, key], "more": {"step": step, "status": status}}
        sorry = self._answers.apology("voice")
        return self._kept(lambda: self._conversation.dialled(phone, key, step=step, status=status), again, sorry)

    def left_message(self, phone: str, key: str, *, step: str, recording: str | None) -> bytes:
        again = {"do": "left_message", "args": [phone, key], "more": {"step": step, "recording": recording}}
        sorry = self._answers.apology("voice")
        return self._kept(
            lambda: self._conversation.left_message(phone, key, step=step, recording=recording), again, sorry
        )

    # -- links: the page says that it cannot be done now, and the patient presses again --

    def link(self, token: str) -> str | None:
        return self.tried(lambda: self._conversation.link(token))

    def opened(self, token: str) -> str | None:
        return self.tried(lambda: self._conversation.opened(token))

    # -- reports --

    def delivered(
        self, sid: str, status: str, error_code: int | None, effect_id: str | None, to: str | None = None
    ) -> None:
        again = {"do": "delivered", "args": [sid, status, error_code, effect_id, to], "more": {}}
        self._kept(lambda: self._reports.delivered(sid, status, error_code, effect_id, to), again, None)

    def call_status(self, sid: str, status: str, person: str | None = None, **more: Any) -> None:
        again = {"do": "call_status", "args": [sid, status, person], "more": more}
        self._kept(lambda: self._reports.call_status(sid, status, person, **more), again, None)

    # -- in an outage --

    def _answered(self, act: Callable[[], bytes], given: list[Any]) -> bytes:
        came = self._now()
        try:
            return self.tried(act)
        except Exception as error:
            sorry = self._answers.apology(given[1], guess_language(given[2]))
            again = {"do": "take_up", "given": given, "answered": base64.b64encode(sorry).decode()}
            return self._keep(error, {**again, "came": came}, sorry)

    def _kept(self, act: Callable[[], T], again: dict[str, Any], otherwise: T) -> T:
        """*act*, or *otherwise* with *again* on disk. A report (None) that cannot be kept raises: Twilio gets 503."""
        came = self._now()
        try:
            return self.tried(act)
        except Exception as error:
            return self._keep(error, {**again, "came": came}, otherwise)

    def _keep(self, error: Exception, again: dict[str, Any], otherwise: T) -> T:
        log.error("not possible now, kept for later: %s", type(error).__name__)
        try:
            self._spool.keep(again)
        except SpoolFullError as full:
            log.error("%s What came in was answered and is not kept.", full)
            if otherwise is None:
                raise
        return otherwise

    def tried(self, act: Callable[[], T]) -> T:
        """*act* now, or an error at once: for who is told to try again later."""
        if self.away or (self._spool.waiting() and not self._drained_soon()):
            raise AwayError
        try:
            return act()
        except AWAY as error:
            self.away = self.away or not isinstance(error, BusyError)
            raise

    def _drained_soon(self) -> bool:
        until = time.monotonic() + DRAIN_SECONDS
        while not self.drain():
            if self.away or time.monotonic() > until:
                return False
            time.sleep(0.02)
        return True

    def drain(self) -> bool:
        """Take up what waits; True when nothing does any more."""
        with self._spool.alone() as mine:
            if not mine:
                return not self._spool.waiting()
            for name in self._spool.names():
                try:
                    self._take_up(self._spool.read(name))
                except AWAY as error:
                    self.away = self.away or not isinstance(error, BusyError)
                    return False
                except Exception as error:
                    log.error("kept input cannot be taken up (%s): set aside as %s.bad", type(error).__name__, name)
                    if not self._told(name):
                        return False
                    self._spool.set_aside(name)
                else:
                    self._spool.remove(name)
            return True

    def _told(self, name: str) -> bool:
        """A person knows of it before it leaves the queue; False when the store went away meanwhile."""
        try:
            self._unread(name)
        except AWAY:
            self.away = True
            return False
        return True

    def _take_up(self, entry: dict[str, Any]) -> None:
        if entry["do"] == "take_up":
            phone, door, said, digits, opt_out_type, key = entry["given"]
            given = Input(door, said, digits, None, opt_out_type)
            answered = base64.b64decode(entry["answered"])
            self._conversation.take_up(phone, given, key, came=entry["came"], answered=answered)
        elif entry["do"] in ("delivered", "call_status"):
            getattr(self._reports, entry["do"])(*entry["args"], **entry["more"])
        elif entry["do"] in ("dialled", "left_message", "flooded"):
            getattr(self._conversation, entry["do"])(*entry["args"], **entry["more"])
        else:
            raise ValueError("an entry of another version")

    def look(self) -> None:
        """Find out whether the store is well again, and if so take up what waits. Called twice a second."""
        if not self.away and not self._spool.waiting():
            return
        try:
            if not self.well():
                return
        except AWAY:
            return
        # Drained first, opened after: what is new must not overtake what waits.
        self.away = False
        self.drain()

    def keep_looking(self) -> None:
        """Start the background look of this process."""
        threading.Thread(target=self._look_for_ever, daemon=True).start()

    def _look_for_ever(self) -> None:
        while True:
            time.sleep(LOOK_SECONDS)
            try:
                self.look()
            except Exception as error:
                log.error("looking after the store failed: %s", type(error).__name__)
