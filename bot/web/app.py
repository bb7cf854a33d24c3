"""The Flask app: one table of routes, one way to fail, one set of headers. Never a stack trace, cookie or bare 500."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal
from urllib.parse import urlsplit

from flask import Flask, Response, request
from werkzeug.exceptions import HTTPException

from bot.booking import Booking
from bot.logs import places
from bot.settings import Settings
from bot.turn import Door
from bot.web import booking, health, links, sms, status, voice
from bot.web.desk import BODY_LIMIT, Conversation, Desk, Document, Refused, Reports
from bot.web.limits import Limits, Urgency
from bot.web.parameters import ParameterError

log = logging.getLogger("bot.web")


@dataclass(frozen=True)
class Route:
    """One door. *caller*: twilio (signed), patient (whoever holds the link's token), booking (a booking
    page, signed), or monitor (anybody).

    *door* names the channel whose static apology answers when no turn is possible; None: a report, answered 503.
    """

    rule: str
    method: Literal["GET", "POST"]
    caller: Literal["twilio", "patient", "booking", "monitor"]
    handler: Callable[..., Response]
    door: Door | None = None


ROUTES = (
    Route("/sms", "POST", "twilio", sms.receive, "sms"),
    Route("/voice", "POST", "twilio", voice.start, "voice"),
    Route("/voice/<step>", "POST", "twilio", voice.answer, "voice"),
    Route("/voice/<step>/dialled", "POST", "twilio", voice.dialled, "voice"),
    Route("/voice/<step>/message", "POST", "twilio", voice.wants_message, "voice"),
    Route("/voice/<step>/recorded", "POST", "twilio", voice.recorded, "voice"),
    Route("/call/<effect>", "POST", "twilio", voice.picked_up, "voice"),
    Route("/status", "POST", "twilio", status.message),
    Route("/call-status", "POST", "twilio", status.call),
    Route("/go/<token>", "GET", "patient", links.page),
    Route("/go/<token>", "POST", "patient", links.open_link),
    Route("/booking/<page>", "POST", "booking", booking.told),
    Route("/healthz", "GET", "monitor", health.alive),
    Route("/readyz", "GET", "monitor", health.ready),
)


def create_app(
    settings: Settings,
    conversation: Conversation,
    reports: Reports,
    *,
    ready: Callable[[], bool] = lambda: True,
    urgent: Callable[[str], Urgency] = lambda said: "",
    texts: Limits | None = None,
    calls: Limits | None = None,
    about: Callable[[], str] = lambda: "",
    booked: Callable[[Booking], None] = lambda told: None,
) -> Flask:
    """The web process's app. *conversation* renders with ``Answers(settings).render``.

    *ready* tells whether a turn would be possible now; raising counts as no. *urgent*: whether it is an alarm or an
    opt-out, which *texts* lets through far longer; without *texts* and *calls* there is no limit. *about*: lines for a monitor.
    *booked* keeps what a booking page told; raising is answered 503.
    """
    desk = Desk(settings, conversation, reports, ready, urgent, texts, calls, about, booked)
    app = Flask("bot.web", static_folder=None)
    app.config.update(MAX_CONTENT_LENGTH=BODY_LIMIT, PROPAGATE_EXCEPTIONS=False)
    for route in ROUTES:
        app.add_url_rule(
            route.rule,
            f"{route.method} {route.rule}",
            _guarded(route, desk),
            methods=[route.method],
            provide_automatic_options=False,
        )
    app.register_error_handler(HTTPException, _plain)
    _add_to_every_answer(app, list(_headers(settings).items()))
    return app


def _add_to_every_answer(app: Flask, headers: list[tuple[str, str]]) -> None:
    """At the server's door, not in Flask: the checks of its header objects cost 5 % of a whole turn."""
    inner = app.wsgi_app

    def answer(environ: Any, start: Callable[..., Any]) -> Any:
        return inner(environ, lambda status, given, *failed: start(status, [*given, *headers], *failed))

    app.wsgi_app = answer  # type: ignore[method-assign,assignment]  # Flask's own documented way to wrap an application


def _guarded(route: Route, desk: Desk) -> Callable[..., Response]:
    def view(**parts: str) -> Response:
        stranger = request.environ.get("REMOTE_ADDR", "")
        if desk.strangers.shut_out(stranger):
            return Response(status=429, headers={"Retry-After": "60"})
        try:
            return route.handler(desk, request, **parts)
        except (Refused, ParameterError) as refused:
            desk.strangers.refused(stranger)
            log.warning("refused %s: %s", route.rule, refused)
            return Response(status=refused.status if isinstance(refused, Refused) else 400)
        except HTTPException:
            raise
        except Exception as error:
            # Whatever broke, the person at the other end needs 911 and the clinic's number, not an error.
            log.error("failed %s: %s at %s", route.rule, type(error).__name__, places(error))
            return _apology(route, desk)

    return view


def _apology(route: Route, desk: Desk) -> Response:
    if route.door:
        return Document(desk.answers.apology(route.door))
    return links.down(desk, request) if route.caller == "patient" else Response(status=503)


def _plain(error: HTTPException) -> Response:
    response = Response(f"{error.name}\n", error.code, content_type="text/plain; charset=utf-8")
    allowed: Any = getattr(error, "valid_methods", None)
    if allowed:
        response.headers["Allow"] = ", ".join(sorted(allowed))
    return response


def _headers(settings: Settings) -> dict[str, str]:
    pages = {urlsplit(url) for url in (settings.booking_url_pmr, settings.booking_url_pt)}
    # Browsers hold the redirect after a form to form-action as well, so the booking pages must be named.
    targets = " ".join(sorted({f"{url.scheme}://{url.netloc}" for url in pages}))
    headers = {
        "Content-Security-Policy": f"default-src 'none'; style-src {links.STYLE_HASH}; form-action 'self' {targets}; "
        "base-uri 'none'; frame-ancestors 'none'",
        "Cache-Control": "no-store",
        "Cross-Origin-Opener-Policy": "same-origin",
        "Cross-Origin-Resource-Policy": "same-origin",
        "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
        "Referrer-Policy": "no-referrer",
        "X-Content-Type-Options": "nosniff",
        "X-Frame-Options": "DENY",
        "X-Robots-Tag": "noindex, nofollow",
    }
    if settings.public_url.startswith("https://"):
        headers["Strict-Transport-Security"] = "max-age=31536000"
    return headers
