"""What every part of the local Twilio shares: configuration, faults, the sender of webhooks, the debugger's alerts.

No rule of texting or calling lives here.
"""

from __future__ import annotations

import threading

from bot.sandbox.hooks import Fetched, Hooks, Request
from bot.sandbox.model import Alert, Faults, SandboxConfig
from bot.sandbox.postman import Postman


class Account:
    """One account. ``debugger`` is what Twilio's console would complain about; a good bot leaves it empty."""

    def __init__(self, config: SandboxConfig) -> None:
        self.config = config
        self.faults = Faults()
        self.hooks = Hooks(config.auth_token)
        self.postman = Postman()
        self.debugger: list[Alert] = []
        self.lock = threading.RLock()
        self._held: dict[str, list[Request]] = {}
        self._draining: set[str] = set()

    def settle(self, seconds: float = 10.0) -> None:
        """Waits until every delivery step and callback that is under way has happened."""
        self.postman.settle(seconds)

    def close(self) -> None:
        self.postman.close()

    def post_callback(self, sid: str, request: Request, status: str, last: bool) -> None:
        """Posts a status callback in the background, in the order, number and completeness ``faults`` asks for."""
        copies = [] if status in self.faults.lose else [request] * (2 if self.faults.duplicate else 1)
        with self.lock:
            held = self._held.setdefault(sid, [])
            held.extend(copies)
            if self.faults.reverse:
                if not last:
                    return
                held.reverse()
        self.postman.after(0, lambda: self._drain(sid))

    def _drain(self, sid: str) -> None:
        # One at a time per message or call: only a fault that was asked for may change the order.
        with self.lock:
            if sid in self._draining:
                return
            self._draining.add(sid)
        while True:
            with self.lock:
                if not self._held[sid]:
                    self._draining.discard(sid)
                    return
                request = self._held[sid].pop(0)
            self.warn(self.hooks.send(request))

    def alert(self, code: int, text: str) -> None:
        """Notes what Twilio's debugger would show."""
        with self.lock:
            self.debugger.append(Alert(code, text))

    def warn(self, answer: Fetched) -> None:
        if answer.error:
            self.alert(answer.error, answer.why)
        if answer.redirected:
            self.alert(0, "The webhook answered with a redirect, which drops every parameter.")
