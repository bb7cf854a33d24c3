"""Calls in the local Twilio: who rings whom, answering machines, and the status callbacks of a call.

What is said in a call is played in line.py and player.py.
"""

from __future__ import annotations

from email.utils import formatdate
from urllib.parse import urljoin
from xml.etree.ElementTree import Element

from bot.sandbox.account import Account
from bot.sandbox.hooks import Request
from bot.sandbox.line import Line, Plan
from bot.sandbox.model import API_VERSION, RefusedError, SandboxConfig, new_sid
from bot.sandbox.numbers import check_call
from bot.sandbox.player import Call

_REACHED_NOBODY = ("busy", "no-answer", "failed")


class Calls(Account):
    """The calls of one account.

    Read at will: ``calls`` (sid -> Call, oldest first). Set beforehand: ``dial_outcomes`` (dialled number ->
    ``completed``/``busy``/``no-answer``/``failed``) and ``pickups`` (patient number -> ``human``, another AnsweredBy
    value, or one of those three statuses); without an entry the line waits to be told.
    """

    def __init__(self, config: SandboxConfig) -> None:
        super().__init__(config)
        self.calls: dict[str, Call] = {}
        self.dial_outcomes: dict[str, str] = {}
        self.pickups: dict[str, str] = {}

    def call_in(self, from_: str, *, to: str | None = None) -> Call:
        """A patient calls us; the call is handed back when the line first waits for them, or is over.

        *from_* may be anything Twilio sends: ``anonymous``, ``client:x``, a number."""
        plan = Plan(
            url=self.config.webhook(self.config.voice_path) or "",
            fallback=self.config.webhook(self.config.voice_fallback_path),
            callback=self.config.webhook(self.config.call_status_path),
        )
        call = self._keep(Call(self, from_, to or self.config.numbers[0], "inbound", plan))
        call.begin()
        return call

    def dial_out(self, to: str, from_: str, plan: Plan) -> Call:
        """The bot calls a patient: the line rings and waits for :meth:`answer` or :meth:`decline`. Or RefusedError."""
        check_call(from_, to, self.config.numbers, self.config.country_codes)
        call = self._keep(Call(self, from_, to, "outbound-api", plan, status="queued", waiting="ring"))
        self.postman.after(0, lambda: self._ring(call))
        return call

    def ringing(self, phone: str) -> list[Call]:
        """The calls from us that ring at *phone* right now."""
        with self.lock:
            return [call for call in self.calls.values() if call.to == phone and call.active and call.waiting == "ring"]

    def answer(self, call: Call, answered_by: str = "human") -> None:
        """Somebody or something picks up. *answered_by* is what detection finds, when the bot asked for detection."""
        if call.waiting != "ring":
            raise ValueError("That call does not ring any more.")
        call.answered_by = answered_by if call.plan.detection else None
        call.begin()
        if call.plan.detection and call.plan.amd_callback:
            told = {**self._told(call), "AnsweredBy": answered_by, "MachineDetectionDuration": "2500"}
            self.post_callback(call.sid, Request(call.plan.amd_callback, told, voice=True), "amd", last=False)

    def decline(self, call: Call, status: str = "busy") -> None:
        """Nobody picks up: ``busy``, ``no-answer`` (the line rang to the end) or ``failed``."""
        if call.waiting != "ring" or status not in _REACHED_NOBODY:
            raise ValueError(f"A ringing call can end {', '.join(_REACHED_NOBODY)}.")
        if status == "no-answer":
            self.config.advance(call.plan.ring_seconds)
        call.end(status)

    def stop_call(self, call: Call, status: str) -> None:
        """The REST API ends a call: ``canceled`` before it is answered, ``completed`` at any time."""
        if status == "canceled" and call.waiting == "ring":
            # Canceled while queued fires nothing; that the line rang already is not told either.
            call.plan.callback = call.plan.callback if call.status == "ringing" else None
            call.end("canceled")
        elif status == "completed":
            call.end("completed")
        elif call.active:
            raise RefusedError(21220)

    # --- what a line reports -------------------------------------------------------------------------------------

    def call_changed(self, call: Line, event: str) -> None:
        """Posts the status callback of *event* if it was asked for."""
        if call.plan.callback is None or event not in call.plan.events:
            return
        told = {
            **self._told(call),
            "CallbackSource": "call-progress-events",
            "SequenceNumber": str(call.sequence),
            "Timestamp": formatdate(self.config.clock(), usegmt=False),
        }
        call.sequence += 1
        if event == "initiated":
            told["CallStatus"] = event
        if event == "completed":
            seconds = round(call.elapsed) if call.started is not None and call.status == "completed" else 0
            told |= {"CallDuration": str(seconds), "Duration": str(-(-seconds // 60)), "SipResponseCode": "200"}
        if call.answered_by:
            told["AnsweredBy"] = call.answered_by
        request = Request(call.plan.callback, told, voice=True)
        self.post_callback(call.sid, request, call.status, last=event == "completed")

    def recorded(self, call: Line, element: Element, base: str, seconds: int) -> str:
        """Keeps no sound; returns the recording's address and posts its status callback."""
        sid = new_sid("RE")
        url = f"https://api.twilio.com/{API_VERSION}/Accounts/{self.config.account_sid}/Recordings/{sid}"
        callback = element.get("recordingStatusCallback")
        if callback:
            told = {
                **self._told(call),
                "RecordingSid": sid,
                "RecordingUrl": url,
                "RecordingStatus": "completed",
                "RecordingDuration": str(seconds),
                "RecordingChannels": "1",
                "RecordingSource": "RecordVerb",
            }
            self.post_callback(sid, Request(urljoin(base, callback), told, voice=True), "completed", last=True)
        return url

    # --- inside ----------------------------------------------------------------------------------------------------

    def _keep(self, call: Call) -> Call:
        with self.lock:
            self.calls[call.sid] = call
        return call

    def _ring(self, call: Call) -> None:
        if not call.active:
            return
        with call.lock:
            self.call_changed(call, "initiated")
            call.status = "ringing"
            self.call_changed(call, "ringing")
        pickup = self.pickups.get(call.to)
        if pickup in _REACHED_NOBODY:
            self.decline(call, pickup)
        elif pickup:
            self.answer(call, pickup)

    def _told(self, call: Line) -> dict[str, str]:
        return {
            "AccountSid": self.config.account_sid,
            "ApiVersion": API_VERSION,
            "CallSid": call.sid,
            "CallStatus": call.status,
            "Direction": call.direction,
            "From": call.from_,
            "To": call.to,
            "Caller": call.from_,
            "Called": call.to,
        }
