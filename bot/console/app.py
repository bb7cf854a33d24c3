"""The console's Flask app: the one table of who may open what, and the checks that every request passes.

Order: size, route, store, session, role, same-origin, form token, audit, page. A refusal is a page with a sentence and
a way on; what was typed is kept. Never a stack trace.
"""

from __future__ import annotations

import gzip
import io
import logging
import secrets
from collections.abc import Callable
from dataclasses import replace
from typing import IO, Any
from urllib.parse import urlsplit

from flask import Flask, Request, Response, request
from werkzeug.exceptions import HTTPException, RequestEntityTooLarge

from bot.console import assets, kept, terms
from bot.console.desk import Desk, Visit, policy
from bot.console.door import FORM_LIMIT, UPLOAD_LIMIT
from bot.console.languages import sentence
from bot.console.routes import ROUTES, Route
from bot.logs import places
from bot.store.client import AWAY

log = logging.getLogger("bot.console")
SAYS = {
    404: sentence("There is nothing here. It may have been removed, or the address is not complete."),
    405: sentence("This address is not a page."),
    413: sentence("That is too large. A file may have 4 MB, a form 64 kB."),
}
NOT_UNDERSTOOD = sentence("The request could not be understood.")
CSP = policy()


class InMemory(Request):
    """A request whose uploaded files are never written to a disk, where they would lie in clear."""

    def _get_file_stream(self, *_: object, **__: object) -> IO[bytes]:
        return io.BytesIO()


def create_app(desk: Desk) -> Flask:
    """The console process's app."""
    app = Flask("bot.console", static_folder=None, template_folder="templates")
    app.request_class = InMemory
    # The library counts the piece of a file that it is just reading as memory, too; a form is held to FORM_LIMIT by _answer.
    app.config.update(MAX_CONTENT_LENGTH=UPLOAD_LIMIT, MAX_FORM_MEMORY_SIZE=UPLOAD_LIMIT, PROPAGATE_EXCEPTIONS=False)
    app.jinja_env.trim_blocks = app.jinja_env.lstrip_blocks = True
    app.jinja_env.globals.update(asset=assets.address, places=[route for route in ROUTES if route.nav], terms=terms)
    for route in ROUTES:
        app.add_url_rule(
            route.rule,
            f"{route.method} {route.rule}",
            _guarded(route, desk),
            methods=[route.method],
            provide_automatic_options=False,
        )
    app.register_error_handler(HTTPException, lambda error: _http_error(desk, error))

    @app.after_request
    def protect(response: Response) -> Response:
        for name, value in _headers(desk).items():
            response.headers.setdefault(name, value)
        return _smaller(response)

    return app


def _guarded(route: Route, desk: Desk) -> Callable[..., Response]:
    def view(**parts: str) -> Response:
        visit = Visit(desk, request, form=route.form)
        try:
            return _answer(route, visit, parts)
        except AWAY as error:
            log.error("store away in %s: %s", route.rule, type(error).__name__)
            return kept.store_away(visit)
        except HTTPException:
            raise
        except Exception as error:
            log.error("failed %s: %s at %s", route.rule, type(error).__name__, places(error))
            return kept.trouble(visit)

    return view


def _answer(route: Route, visit: Visit, parts: dict[str, str]) -> Response:
    desk = visit.desk
    size = visit.request.content_length
    if visit.request.method == "POST" and (size is None or size > (UPLOAD_LIMIT if route.upload else FORM_LIMIT)):
        raise RequestEntityTooLarge
    if visit.request.method == "POST" and not same_origin(visit.request):
        return visit.page("refused.html", 403, why=visit.say("This form came from another site, so it was refused."))
    if route.asset:
        return route.handler(visit, **parts)
    found = desk.sessions.find(
        visit.request.cookies.get(desk.cookie, ""), desk.wall(), touch="X-Poll" not in visit.request.headers
    )
    if found:
        visit = replace(visit, signed=found[0], person=found[1])
    if route.least is None:
        return route.handler(visit, **parts)
    if found is None:
        return kept.sign_in_first(visit)
    if not visit.who.may(route.least):
        visit.audit("refused", route.rule)
        return visit.page("refused.html", 403, why=visit.say("Your role may not do this. Ask an administrator."))
    if route.method == "POST" and not _token_is_right(visit):
        return kept.press_again(visit)
    about = next((parts[name] for name in ("patient", "name", "campaign", "draft", "task") if name in parts), "")
    page = route.action and route.method == "GET" and route.form == "html"  # what may renew itself
    seen = page and desk.sessions.saw(visit.who.id, route.action, about)
    if route.action and not (seen and "X-Poll" in visit.request.headers):
        visit.audit(route.action, about)
    answer = route.handler(visit, **parts)
    if route.action and answer.status_code >= 400:
        visit.audit("refused", about, route.action)
    return answer


def same_origin(asked: Request) -> bool:
    """A browser's POST from our own page. Neither header there: refused (stricter than needed, never looser)."""
    site = asked.headers.get("Sec-Fetch-Site")
    if site is not None:
        return site in ("same-origin", "none")
    origin = asked.headers.get("Origin")
    return origin is not None and urlsplit(origin).netloc == asked.host


def _token_is_right(visit: Visit) -> bool:
    given = visit.request.form.get("csrf", "")
    return visit.signed is not None and secrets.compare_digest(given.encode(), visit.signed.csrf.encode())


def _http_error(desk: Desk, error: HTTPException) -> Response:
    visit = Visit(desk, request)
    text = SAYS.get(error.code or 500, NOT_UNDERSTOOD)
    response = visit.page("refused.html", error.code or 500, why=visit.say(text))
    allowed: Any = getattr(error, "valid_methods", None)
    if allowed:
        response.headers["Allow"] = ", ".join(sorted(allowed))
    return response


def _smaller(response: Response) -> Response:
    """Compressed when the browser takes it. A page holds its form token beside what others wrote (BREACH), but a
    SameSite=Strict cookie means that no other site can ask for a page of a signed-in person."""
    response.headers.setdefault("Vary", "Accept-Encoding, Cookie")
    takes = "gzip" in request.headers.get("Accept-Encoding", "")
    if takes and not response.is_streamed and "Content-Encoding" not in response.headers:
        body = response.get_data()
        if len(body) > 1000:
            response.set_data(gzip.compress(body, 5))
            response.headers["Content-Encoding"] = "gzip"
    return response


def _headers(desk: Desk) -> dict[str, str]:
    headers = {
        "Content-Security-Policy": CSP,
        "Cache-Control": "no-store",
        "Cross-Origin-Opener-Policy": "same-origin",
        "Cross-Origin-Resource-Policy": "same-origin",
        "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
        # Not no-referrer: that makes a browser say "Origin: null" of our own forms (same_origin).
        "Referrer-Policy": "same-origin",
        "X-Content-Type-Options": "nosniff",
        "X-Frame-Options": "DENY",
        "X-Robots-Tag": "noindex, nofollow",
    }
    if desk.secure:
        headers["Strict-Transport-Security"] = "max-age=31536000"
    return headers
