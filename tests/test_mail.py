"""Alerts by e-mail through a real mail server with a certificate of our own: TLS from the start, STARTTLS, and what fails."""

from __future__ import annotations

import asyncio
import contextlib
import datetime
import email
import email.policy
import ipaddress
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.smtp import SMTP, AuthResult, LoginPassword
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from bot.alerts import Notice, NotToldError
from bot.staff_channels import Email, Webhook

# aiosmtpd says so of a server that is TLS from the first byte, too, and of how it keeps who has signed in.
pytestmark = pytest.mark.filterwarnings("ignore:Requiring AUTH while not requiring TLS", "ignore:Session.login_data")
HERE, NAMED = "127.0.0.2", "127.0.0.1"  # not the address that may go without TLS; the one that is in LOOPBACK
USER, PASSWORD = "alerts@clinic.example", "s3cret/pass word"
IN_URL = "alerts%40clinic.example:s3cret%2Fpass%20word@"
NOTICE = Notice("e1.0", "emergency", 0, "NEW", 0.0, 1.0, "https://console.example/patients/p", "CLS Health", "p")


def certificate(folder: Path, name: str, *hosts: str, days: float = 1) -> Path:
    """A certificate that signs itself, and its key, in one file."""
    key = ec.generate_private_key(ec.SECP256R1())
    who = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(who).issuer_name(who).public_key(key.public_key()).serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=2)).not_valid_after(now + datetime.timedelta(days=days))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(one)) for one in hosts]), False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), True)
        .sign(key, hashes.SHA256())
    )  # fmt: skip
    pem, raw = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    path = folder / f"{name}.pem"
    path.write_bytes(key.private_bytes(pem, raw, serialization.NoEncryption()) + made.public_bytes(pem))
    return path


@dataclass
class Post:
    """A mail server that takes mail of one user only, and what it saw."""

    mails: list[bytes] = field(default_factory=list)
    tried: list[str] = field(default_factory=list)
    envelopes: list[tuple[str, list[str]]] = field(default_factory=list)

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:
        self.mails.append(envelope.content)
        self.envelopes.append((envelope.mail_from, envelope.rcpt_tos))
        return "250 ok"

    async def handle_RCPT(self, server: Any, session: Any, envelope: Any, address: str, options: Any) -> str:
        if address.startswith("gone"):
            return "550 no such person"
        envelope.rcpt_tos.append(address)
        return "250 ok"

    def let_in(self, server: Any, session: Any, envelope: Any, mechanism: str, data: Any) -> AuthResult:
        assert isinstance(data, LoginPassword)
        self.tried.append(mechanism)
        return AuthResult(success=(data.login, data.password) == (USER.encode(), PASSWORD.encode()), handled=False)


class MailServer:
    """*kind*: ``starttls``, ``implicit`` (TLS from the first byte) or ``plain`` (offers none)."""

    def __init__(self, kind: str, tls: ssl.SSLContext, host: str = HERE) -> None:
        self.kind, self.tls, self.post, self.loop = kind, tls, Post(), asyncio.new_event_loop()
        self.thread = threading.Thread(target=self.loop.run_forever, daemon=True)
        self.thread.start()
        begun = self.loop.create_server(self._protocol, host, 0, ssl=tls if kind == "implicit" else None)
        self.server = asyncio.run_coroutine_threadsafe(begun, self.loop).result(5)
        self.port: int = self.server.sockets[0].getsockname()[1]

    def _protocol(self) -> SMTP:
        open_door, late = self.kind == "plain", self.kind == "starttls"
        return SMTP(
            self.post, loop=self.loop, tls_context=self.tls if late else None, require_starttls=late,
            authenticator=self.post.let_in, auth_required=not open_door, auth_require_tls=late,
        )  # fmt: skip

    def stop(self) -> None:
        async def end() -> None:
            self.server.close()
            others = asyncio.all_tasks() - {asyncio.current_task()}
            for one in others:
                one.cancel()
            await asyncio.gather(*others, return_exceptions=True)

        asyncio.run_coroutine_threadsafe(end(), self.loop).result(5)
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join(5)
        self.loop.close()


Start = Callable[..., tuple[Post, int]]


@pytest.fixture
def start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Start]:
    """Starts a mail server; the machine trusts ``ours``."""
    ours, running = certificate(tmp_path, "ours", HERE), []
    monkeypatch.setenv("SSL_CERT_FILE", str(ours))

    def begin(kind: str, shown: Path | None = None, host: str = HERE) -> tuple[Post, int]:
        tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        tls.load_cert_chain(shown or ours)
        running.append(MailServer(kind, tls, host))
        return running[-1].post, running[-1].port

    yield begin
    for one in running:
        one.stop()


def tell(scheme: str, port: int, user: str = IN_URL, host: str = HERE, to: str = "nurse@clinic.example") -> None:
    Email(f"{scheme}://{user}{host}:{port}", USER, (to, "chief@clinic.example")).tell(NOTICE)


@pytest.mark.parametrize(("kind", "scheme"), [("starttls", "smtp"), ("implicit", "smtps")])
def test_an_alert_arrives_over_tls_with_a_password_that_needs_quoting(start: Start, kind: str, scheme: str) -> None:
    post, port = start(kind)
    tell(scheme, port)
    (raw,) = post.mails
    mail = email.message_from_bytes(raw, policy=email.policy.default)
    assert mail["Subject"] == NOTICE.says
    assert "https://console.example/patients/p" in str(mail.get_content())  # type: ignore[attr-defined]
    assert post.envelopes == [(USER, ["nurse@clinic.example", "chief@clinic.example"])]


@pytest.mark.parametrize(("kind", "scheme"), [("starttls", "smtp"), ("implicit", "smtps")])
@pytest.mark.parametrize("fault", ["stranger", "another host", "expired"])
def test_to_a_server_whose_certificate_does_not_hold_nothing_is_said(
    start: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str, scheme: str, fault: str
) -> None:
    """Not the password, not the mail; and it is not tried every minute."""
    shown = certificate(
        tmp_path, "shown", "127.0.0.9" if fault == "another host" else HERE, days=-1 if fault == "expired" else 1
    )
    if fault != "stranger":
        monkeypatch.setenv("SSL_CERT_FILE", str(shown))
    post, port = start(kind, shown)
    with pytest.raises(NotToldError) as found:
        tell(scheme, port)
    assert (found.value.why, found.value.lasting) == ("e-mail: SSLCertVerificationError", True)
    assert (post.mails, post.tried) == ([], [])


def test_a_server_that_does_not_offer_starttls_gets_neither_password_nor_mail(start: Start) -> None:
    """As when somebody on the way takes the offer out."""
    post, port = start("plain")
    with pytest.raises(NotToldError, match="SMTPNotSupportedError"):
        tell("smtp", port)
    assert (post.mails, post.tried) == ([], [])


@pytest.mark.parametrize(("kind", "scheme"), [("starttls", "smtp"), ("implicit", "smtps")])
@pytest.mark.parametrize("user", ["alerts%40clinic.example:other@", ""])
def test_a_wrong_or_missing_password_is_said_without_it(start: Start, kind: str, scheme: str, user: str) -> None:
    post, port = start(kind)
    with pytest.raises(NotToldError) as found:
        tell(scheme, port, user)
    assert found.value.lasting is bool(user)
    assert post.mails == []
    assert not any(word in repr(found.value) + found.value.why for word in ("other", "alerts", "clinic.example", HERE))


def test_an_address_that_is_refused_is_a_failure_although_the_other_got_it(start: Start) -> None:
    """Somebody is not told, and that must be seen."""
    post, port = start("starttls")
    with pytest.raises(NotToldError, match="SMTPException"):
        tell("smtp", port, to="gone@clinic.example")
    assert post.envelopes == [(USER, ["chief@clinic.example"])]


@pytest.mark.parametrize("scheme", ["smtp", "smtps"])
def test_a_server_that_is_away_or_says_nothing_holds_a_worker_no_longer_than_the_limit(
    monkeypatch: pytest.MonkeyPatch, scheme: str
) -> None:
    monkeypatch.setattr("bot.staff_channels.CONNECT_SECONDS", 0.2)
    with socket.socket() as gone:
        gone.bind((HERE, 0))
        port = gone.getsockname()[1]
    with pytest.raises(NotToldError, match="ConnectionRefusedError"):
        tell(scheme, port)
    with socket.socket() as dumb:
        dumb.bind((HERE, 0))
        dumb.listen()
        began = time.monotonic()
        with pytest.raises(NotToldError, match=r"TimeoutError|SMTPServerDisconnected"):
            tell(scheme, dumb.getsockname()[1])
        assert time.monotonic() - began < 2


@contextlib.contextmanager
def dripping(begins: bytes) -> Iterator[int]:
    """A server that says *begins* in one piece, and then one letter of an endless line again and again; its port."""
    with socket.socket() as door:
        door.bind((NAMED, 0))
        door.listen()

        def drip() -> None:
            guest, _ = door.accept()
            with guest, contextlib.suppress(OSError):
                guest.sendall(begins)
                while True:
                    guest.sendall(b"x")
                    time.sleep(0.02)

        served = threading.Thread(target=drip, daemon=True)
        served.start()
        yield door.getsockname()[1]
        served.join(5)
        assert not served.is_alive()  # the guest hung up


@pytest.mark.parametrize("begins", [b"", b"220 mail\r\n", b"220 mail\r\n250-mail\r\n"])
def test_a_server_that_answers_a_letter_at_a_time_holds_a_worker_no_longer_than_the_limit(
    monkeypatch: pytest.MonkeyPatch, begins: bytes
) -> None:
    """Each letter is in time; the whole exchange is not."""
    monkeypatch.setattr("bot.staff_channels.WHOLE_SECONDS", 0.3)
    with dripping(begins) as port:
        began = time.monotonic()
        with pytest.raises(NotToldError, match="SMTP"):
            tell("smtp", port, "", NAMED)
        assert time.monotonic() - began < 2


@pytest.mark.parametrize(
    ("begins", "told"), [(b"", False), (b"HTTP/1.1 200 OK\r\n", True), (b"HTTP/1.1 500 No\r\nx: ", False)]
)
def test_a_webhook_that_answers_a_letter_at_a_time_holds_a_worker_no_longer_than_the_limit(
    monkeypatch: pytest.MonkeyPatch, begins: bytes, told: bool
) -> None:
    """Its status counts once it is there; headers cannot be drawn out, and what follows is not read at all."""
    monkeypatch.setattr("bot.staff_channels.WHOLE_SECONDS", 0.3)
    with dripping(begins) as port:
        began = time.monotonic()
        with (
            contextlib.nullcontext() if told else pytest.raises(NotToldError, match=r"webhook: (Connection|status 500)")
        ):
            Webhook(f"http://{NAMED}:{port}/hook", (b"k",), time.time).tell(NOTICE)
        assert time.monotonic() - began < 2


def test_a_webhook_is_never_told_anywhere_else_than_where_the_settings_say() -> None:
    """It answers that it has moved: that is a failure, and nobody is asked at the other address."""
    asked: list[str] = []

    class Moved(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            asked.append(self.path)
            self.send_response(307)
            self.send_header("location", "/elsewhere")
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            return

    with ThreadingHTTPServer((NAMED, 0), Moved) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        with pytest.raises(NotToldError, match="status 307"):
            Webhook(f"http://{NAMED}:{server.server_address[1]}/hook", (b"k",), time.time).tell(NOTICE)
        server.shutdown()
    assert asked == ["/hook"]


def test_only_a_server_on_this_machine_may_go_without_tls(start: Start) -> None:
    """smtp://127.0.0.1 is a relay beside us; the same server by another address must offer STARTTLS."""
    post, port = start("plain", host=NAMED)
    tell("smtp", port, "", NAMED)
    assert len(post.mails) == 1


def test_an_alert_in_spanish_keeps_its_accents_in_mail(start: Start) -> None:
    post, port = start("starttls")
    spanish = replace(NOTICE, language="es", level="LATE", age=960.0)
    Email(f"smtp://{IN_URL}{HERE}:{port}", USER, ("nurse@clinic.example",)).tell(spanish)
    subject = email.message_from_bytes(post.mails[0], policy=email.policy.default)["Subject"]
    assert " ".join(subject.split()) == (  # folding a long subject doubles a space here and there (CPython 3.11)
        "CLS Health, aviso TARDE, espera 16 min: un paciente dijo una señal de emergencia y se le indicó "
        "llamar al 911: devuelva la llamada"
    )
