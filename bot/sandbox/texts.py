"""Texts in the local Twilio: inbound with webhooks, outbound with delivery and callbacks, opt-outs and their keywords.

What the REST double, the phone page and the tests all act on. Knows Twilio's rules, nothing of triage.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urljoin
from xml.etree import ElementTree

from bot.sandbox.account import Account
from bot.sandbox.grammar import message_body, parse, problems
from bot.sandbox.hooks import TWIML_TYPES, Fetched, Request
from bot.sandbox.model import API_VERSION, Message, RefusedError, SandboxConfig, new_sid
from bot.sandbox.numbers import check_text, place
from bot.wording import segments

DOCUMENT_LIMIT = 50
STOP_WORDS = frozenset(["stop", "unsubscribe", "end", "quit", "stopall", "revoke", "optout", "cancel"])
START_WORDS = frozenset(["start", "unstop", "yes"])
HELP_WORDS = frozenset(["help", "info"])
_OWN_REPLIES = {
    "STOP": "You have been unsubscribed and will get no more messages from this number. Reply START to resubscribe.",
    "START": "You are subscribed to messages from this number again. Reply HELP for help, STOP to unsubscribe. "
    "Msg&Data Rates May Apply.",
    "HELP": "Reply STOP to unsubscribe. Msg&Data Rates May Apply.",
}
LAST_STATUSES = frozenset({"delivered", "undelivered", "failed", "canceled", "received"})


class Texts(Account):
    """The messages of one account.

    Read at will: ``messages`` (sid -> Message, oldest first) and ``opted_out`` ((our number, patient) pairs).
    """

    def __init__(self, config: SandboxConfig) -> None:
        super().__init__(config)
        self.messages: dict[str, Message] = {}
        self.opted_out: set[tuple[str, str]] = set()
        self._requests: dict[str, Request] = {}

    # --- what a patient does -------------------------------------------------------------------------------------

    def text_in(
        self,
        from_: str,
        body: str = "",
        *,
        media: Sequence[tuple[str, str]] = (),
        to: str | None = None,
        extra: Mapping[str, str] | None = None,
    ) -> list[Message]:
        """A patient texts us; returns what they get back at once (Twilio's own opt-out answer and the bot's reply).

        *media*: (url, content type) pairs. *extra*: further parameters, such as ``ProfileName`` or ones Twilio has not
        invented yet. Refused and lost replies are not in the list but are in ``messages``.
        """
        inbound, own = self.hand_in(from_, body, media=media, to=to, extra=extra)
        return own + self.arrive(inbound.sid)

    def hand_in(
        self,
        from_: str,
        body: str = "",
        *,
        media: Sequence[tuple[str, str]] = (),
        to: str | None = None,
        extra: Mapping[str, str] | None = None,
    ) -> tuple[Message, list[Message]]:
        """A patient's text reaches Twilio, whose webhook is still under way: the text, and Twilio's own answer to it."""
        ours = to or self.config.numbers[0]
        body = body.encode("utf-8", "replace").decode()
        inbound = self._new_message("MM" if media else "SM", from_, ours, body, "inbound", "received")
        inbound.media = tuple(url for url, _ in media)
        word = self._keyword(inbound)
        request = self._inbound_request(inbound, media, word, extra or {})
        with self.lock:
            self._requests[inbound.sid] = request
        return inbound, [own for own in self._answer_keyword(inbound, word) if own.error_code is None]

    def arrive(self, sid: str) -> list[Message]:
        """The webhook of inbound message *sid* arrives at last; what the patient gets back."""
        answers = self._play_messages(self.messages[sid], self._requests[sid])
        return [message for message in answers if message.error_code is None]

    def redeliver(self, sid: str) -> Fetched:
        """Posts the webhook of inbound message *sid* once more, as a retry does; the answer is handed back unused."""
        request = self._requests[sid]
        answer = self.hooks.send(request)
        self.warn(answer)
        return answer

    def texts(self, phone: str) -> list[Message]:
        """Every message from or to *phone*, oldest first, those refused included."""
        with self.lock:
            return [message for message in self.messages.values() if phone in (message.from_, message.to)]

    # --- what the bot asks for over REST -------------------------------------------------------------------------

    def send(
        self,
        to: str,
        body: str,
        *,
        from_: str | None = None,
        service_sid: str | None = None,
        callback: str | None = None,
        media: Sequence[str] = (),
        send_at: float | None = None,
    ) -> Message:
        """Takes a text for delivery, or raises RefusedError with Twilio's code."""
        sender = from_ or self.config.numbers[0]
        check_text(sender, to, self.config.numbers, self.config.country_codes)
        later = service_sid is not None and self.config.opt_out_mode == "advanced"
        if (sender, to) in self.opted_out and not later:
            raise RefusedError(21610)
        first = "scheduled" if send_at else ("accepted" if service_sid else "queued")
        message = self._new_message("MM" if media else "SM", sender, to, body, "outbound-api", first)
        message.media, message.service_sid, message.send_at = tuple(media), service_sid, send_at
        message.callback = callback or self.config.webhook(self.config.message_status_path)
        self._deliver(message)
        return message

    def cancel(self, message: Message) -> None:
        """Takes back a scheduled message."""
        with self.lock:
            if message.status != "scheduled":
                raise RefusedError(30409, status=409)
            self._set_status(message, "canceled")

    def deliver_scheduled(self) -> None:
        """Starts every scheduled message whose time the virtual clock has reached."""
        now = self.config.clock()
        with self.lock:
            waiting = [m for m in self.messages.values() if m.status == "scheduled" and (m.send_at or 0) <= now]
            for message in waiting:
                message.status, message.send_at = "accepted", None
        for message in waiting:
            self._deliver(message)

    # --- inside ----------------------------------------------------------------------------------------------------

    def _new_message(self, prefix: str, from_: str, to: str, body: str, direction: Any, status: str) -> Message:
        size = segments(body)
        now = self.config.clock()
        message = Message(
            new_sid(prefix), from_, to, body, direction, status, now, size.encoding, size.count, updated=now,
            history=[status],
        )  # fmt: skip
        with self.lock:
            self.messages[message.sid] = message
        return message

    def _keyword(self, inbound: Message) -> str | None:
        """STOP, START or HELP when Twilio itself acts on this text."""
        if self.config.opt_out_mode == "app":
            return None
        word, pair = inbound.body.strip().lower(), (inbound.to, inbound.from_)
        with self.lock:
            if word in STOP_WORDS:
                return "STOP"
            if word in START_WORDS and (pair in self.opted_out or word != "yes"):
                return "START"
        return "HELP" if word in HELP_WORDS else None

    def _answer_keyword(self, inbound: Message, word: str | None) -> list[Message]:
        if word is None:
            return []
        pair = (inbound.to, inbound.from_)
        with self.lock:
            silent = word == "STOP" and pair in self.opted_out
            if word == "STOP":
                self.opted_out.add(pair)
            elif word == "START":
                self.opted_out.discard(pair)
        if silent:
            return []
        own = self._new_message("SM", inbound.to, inbound.from_, _OWN_REPLIES[word], "outbound-reply", "queued")
        self._deliver(own)
        return [own]

    def _inbound_request(
        self, inbound: Message, media: Sequence[tuple[str, str]], word: str | None, extra: Mapping[str, str]
    ) -> Request:
        params = {
            "AccountSid": self.config.account_sid,
            "ApiVersion": API_VERSION,
            "From": inbound.from_,
            "To": inbound.to,
            "Body": inbound.body,
            "MessageSid": inbound.sid,
            "SmsSid": inbound.sid,
            "SmsMessageSid": inbound.sid,
            "SmsStatus": "received",
            "NumMedia": str(len(media)),
            "NumSegments": str(inbound.segments),
            "ReferralNumMedia": "0",
            **place("From", inbound.from_),
            **place("To", inbound.to),
        }
        if self.config.messaging_service_sid:
            params["MessagingServiceSid"] = self.config.messaging_service_sid
        if word and self.config.opt_out_mode == "advanced":
            params["OptOutType"] = word
        for index, (url, content_type) in enumerate(media):
            params |= {f"MediaUrl{index}": url, f"MediaContentType{index}": content_type}
        return Request(self.config.webhook(self.config.sms_path) or "", {**params, **extra}).again()

    def _play_messages(self, inbound: Message, request: Request) -> list[Message]:
        """Fetches and plays messaging TwiML, redirects and the fallback address included."""
        fallback = self.config.webhook(self.config.sms_fallback_path)
        for _ in range(DOCUMENT_LIMIT):
            answer = self.hooks.send(request)
            document = self._document(answer)
            if document is None:
                if fallback is None or request.url == fallback:
                    return []
                wrong = {"ErrorCode": str(answer.error or 12100), "ErrorUrl": request.url}
                request = Request(fallback, {**request.params, **wrong}, token=request.token)
                continue
            replies = [self._reply(inbound, message, answer.url) for message in document.findall("Message")]
            redirect = document.find("Redirect")
            if redirect is None:
                return replies
            request = Request(urljoin(answer.url, (redirect.text or "").strip()), request.params)
        self.alert(14106, "The documents redirect to one another without end.")
        return []

    def _document(self, answer: Fetched) -> ElementTree.Element | None:
        self.warn(answer)
        if not answer.ok:
            return None
        if not answer.body:
            return ElementTree.Element("Response")
        if answer.kind == "text/plain":
            plain = ElementTree.Element("Response")
            ElementTree.SubElement(plain, "Message").text = answer.body.decode("utf-8", "replace")
            return plain
        if answer.kind not in TWIML_TYPES:
            self.alert(12300, f"The webhook answered with the content type {answer.kind or '(none)'}.")
            return None
        found = problems(answer.body, "messaging")
        for problem in found:
            self.alert(problem.code, problem.text)
        root = parse(answer.body)
        return None if any(problem.fatal for problem in found) or not isinstance(root, ElementTree.Element) else root

    def _reply(self, inbound: Message, element: ElementTree.Element, base: str) -> Message:
        to = element.get("to") or inbound.from_
        sender = element.get("from") or inbound.to
        message = self._new_message("SM", sender, to, message_body(element), "outbound-reply", "queued")
        message.media = tuple((media.text or "").strip() for media in element.iter("Media"))
        callback = element.get("statusCallback")
        message.callback = urljoin(base, callback) if callback else self.config.webhook(self.config.message_status_path)
        refused = 21610 if (sender, to) in self.opted_out else 21617 if len(message.body) > 1600 else None
        if refused or not (message.body or message.media):
            message.status, message.error_code = "failed", refused or 14103
            self.alert(message.error_code, "A reply was not sent.")
        else:
            self._deliver(message)
        return message

    def _deliver(self, message: Message) -> None:
        if message.status == "scheduled":
            return
        steps = ["sent", "delivered"] if message.status == "queued" else ["queued", "sent", "delivered"]
        if (message.from_, message.to) in self.opted_out and message.direction == "outbound-api":
            steps, message.error_code = ["failed"], 21610
        elif message.to in self.faults.undeliverable:
            steps[-1] = "undelivered"
        self.postman.after(self.config.steps[0], lambda: self._step(message, steps))

    def _step(self, message: Message, steps: list[str]) -> None:
        with self.lock:
            if message.status in LAST_STATUSES:
                return
            if steps[0] == "undelivered":
                message.error_code = self.faults.undeliverable.get(message.to, 30008)
            self._set_status(message, steps[0])
        if steps[1:]:
            self.postman.after(self.config.steps[1], lambda: self._step(message, steps[1:]))

    def _set_status(self, message: Message, status: str) -> None:
        message.status, message.updated = status, self.config.clock()
        message.history.append(status)
        if status == "sent":
            message.sent = message.updated
        if message.callback is None:
            return
        self.post_callback(message.sid, self._callback(message, message.callback), status, status in LAST_STATUSES)

    def _callback(self, message: Message, url: str) -> Request:
        params = {
            "AccountSid": self.config.account_sid,
            "ApiVersion": API_VERSION,
            "From": message.from_,
            "To": message.to,
            "MessageSid": message.sid,
            "SmsSid": message.sid,
            "MessageStatus": message.status,
            "SmsStatus": message.status,
        }
        if message.service_sid:
            params["MessagingServiceSid"] = message.service_sid
        if message.error_code and message.status in ("failed", "undelivered"):
            params["ErrorCode"] = str(message.error_code)
        if message.status in ("delivered", "undelivered"):
            params["RawDlrDoneDate"] = datetime.fromtimestamp(message.updated, UTC).strftime("%y%m%d%H%M")
        return Request(url, params)
