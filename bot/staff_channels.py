"""The ways to staff: a text through the carrier, a signed webhook, an e-mail. Only workers open them.

Must never log or raise an address, a number or a secret: what fails is named by its kind. Every wait and every whole
exchange is bounded, so that one channel that hangs, or drips, does not use up a worker.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import smtplib
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from email.message import EmailMessage
from typing import Any, Protocol
from urllib.parse import unquote, urlsplit

import requests

from bot.alerts import ESCALATION, Channel, Notice, NotToldError
from bot.bounded import Mail, Post, TlsMail, ends_within
from bot.carrier import CarrierError
from bot.sending import Gate, stops_in_force
from bot.setting_shapes import LOOPBACK
from bot.settings import Settings
from bot.wording import fold, segments

CONNECT_SECONDS, ANSWER_SECONDS = 3.0, 5.0
WHOLE_SECONDS = 15.0  # for everything that is said to one channel
# What no second try a minute later changes; a wrong password that is tried again and again locks the account.
LASTING = (smtplib.SMTPAuthenticationError, smtplib.SMTPNotSupportedError, ssl.SSLCertVerificationError)


class Texter(Protocol):
    """bot/carrier.Carrier."""

    def text(self, to: str, body: str, effect_id: str) -> str: ...


@dataclass(frozen=True)
class Text:
    """A text to one member of staff. The stop of patients' texts does not hold it, unless the carrier refuses us. One
    that may have been sent is sent again: twice is better than never."""

    phone: str
    carrier: Texter
    gate: Gate
    segment: int

    def tell(self, notice: Notice) -> None:
        """See Channel."""
        if any(stop.cause == "configuration" for stop in stops_in_force(self.gate.store, self.gate.now())):
            raise NotToldError("the carrier refuses our credentials or set-up")
        body = f"{fold(notice.says)}. {notice.link}"
        try:
            self.carrier.text(self.phone, body, notice.id.partition(".")[0])
        except CarrierError as error:
            if error.kind == "configuration":
                self.gate.refused(error.code)
            why = f"carrier {error.kind}, code {error.code}"
            raise NotToldError(why, lasting=error.kind in ("permanent", "opted_out")) from None
        self.gate.worked(self.segment * segments(body).count, "alert", notice.patient, notice.id)


@dataclass(frozen=True)
class Webhook:
    """A POST, signed as Standard Webhooks say: ``webhook-signature: v1,base64(HMAC-SHA256(key, id.timestamp.body))``,
    one for each key while it is being changed. *now* stamps it; whoever receives it refuses an old one."""

    url: str
    keys: tuple[bytes, ...]
    now: Callable[[], float]

    def tell(self, notice: Notice) -> None:
        """See Channel."""
        body = json.dumps(
            {"kind": notice.kind, "urgency": notice.urgency, "level": notice.level.lower(), "says": notice.says,
             "at": int(notice.at), "waiting_seconds": int(notice.age), "link": notice.link}
        ).encode()  # fmt: skip
        stamp = str(int(self.now()))
        signed = f"{notice.id}.{stamp}.".encode() + body
        marks = " ".join("v1," + base64.b64encode(hmac.digest(key, signed, "sha256")).decode() for key in self.keys)
        headers = {"content-type": "application/json", "webhook-id": notice.id, "webhook-timestamp": stamp,
                   "webhook-signature": marks}  # fmt: skip
        waits = (CONNECT_SECONDS, ANSWER_SECONDS)
        try:
            # Not followed anywhere else: an alert goes where the settings say. Not read: only its status counts.
            with requests.Session() as session, ends_within(WHOLE_SECONDS, (post := Post()).door):
                session.mount("http://", post)
                session.mount("https://", post)
                answer = session.post(
                    self.url, body, headers=headers, timeout=waits, allow_redirects=False, stream=True
                )
                status = answer.status_code
        except requests.RequestException as error:
            raise NotToldError(f"webhook: {type(error).__name__}") from None
        if not 200 <= status < 300:
            raise NotToldError(f"webhook: status {status}")


@dataclass(frozen=True)
class Email:
    """One e-mail to all addresses over *server*: ``smtps://user:password@host`` or ``smtp://`` with STARTTLS, which only
    a server on this machine may lack."""

    server: str
    sender: str
    to: tuple[str, ...]

    def tell(self, notice: Notice) -> None:
        """See Channel."""
        mail = EmailMessage()
        mail["From"], mail["To"], mail["Subject"] = self.sender, ", ".join(self.to), notice.says
        mail["Message-ID"] = f"<{hashlib.sha256(notice.id.encode()).hexdigest()[:32]}@alerts.invalid>"
        mail["Auto-Submitted"] = "auto-generated"
        mail.set_content(f"{notice.says}.\n\n{notice.link}\n")
        try:
            self._send(mail)
        except (OSError, ValueError, smtplib.SMTPException) as error:
            raise NotToldError(f"e-mail: {type(error).__name__}", lasting=isinstance(error, LASTING)) from None

    def _send(self, mail: EmailMessage) -> None:
        parts = urlsplit(self.server)
        host, safe = parts.hostname or "", ssl.create_default_context()
        smtp = _door(parts.scheme, host, parts.port, safe)
        with ends_within(WHOLE_SECONDS, lambda: smtp.sock), smtp:
            if parts.scheme == "smtp" and host not in LOOPBACK:
                smtp.starttls(context=safe)
            if parts.username:
                smtp.login(unquote(parts.username), unquote(parts.password or ""))
            if smtp.send_message(mail):
                raise smtplib.SMTPException("some addresses were refused")


def _door(scheme: str, host: str, port: int | None, safe: ssl.SSLContext) -> smtplib.SMTP:
    if scheme == "smtps":
        return TlsMail(WHOLE_SECONDS, host, port or 465, timeout=CONNECT_SECONDS, context=safe)
    return Mail(WHOLE_SECONDS, host, port or 587, timeout=CONNECT_SECONDS)


def open_channels(settings: Settings, carrier: Any, gate: Gate, segment: int) -> dict[str, Channel]:
    """Settings.alert_channels, each with its way."""
    found: dict[str, Channel] = {}
    for name, phones in (("text", settings.alert_phones), (ESCALATION, settings.alert_escalation_phones)):
        found |= {f"{name} {number}": Text(one, carrier, gate, segment) for number, one in enumerate(phones, 1)}
    if settings.alert_url:
        found["webhook"] = Webhook(settings.alert_url, settings.alert_keys, gate.now)
    if settings.alert_email and settings.smtp_url:
        sender = settings.alert_email_from or settings.alert_email[0]
        found["e-mail"] = Email(settings.smtp_url.get_secret_value(), sender, settings.alert_email)
    return found
