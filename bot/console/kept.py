"""Pages for what went wrong around a form. Nothing that somebody typed is lost: it stands in the page, ready to go on."""

from __future__ import annotations

import json
from typing import Any

from flask import Response

from bot.console.desk import Visit
from bot.console.languages import sentence

AWAY = sentence(
    "The store (Redis) cannot be reached. Patients get the clinic's number meanwhile. Nothing you typed is lost."
)
TROUBLE = sentence("Something went wrong here; it is in the log. Go back and try again.")
LABELS = {"reply": sentence("Your reply"), "note": sentence("Note"), "name": sentence("Name")}  # the rest is hidden
NEVER_KEPT = frozenset({"csrf", "password", "password_again", "code", "kept_path", "kept_form"})


def typed(visit: Visit) -> list[tuple[str, str]]:
    """What the form held, without secrets."""
    return [(name, value) for name, value in visit.request.form.items(multi=True) if name not in NEVER_KEPT]


def local_path(given: str) -> str:
    """*given* when it is an address of this console, else the landing page (no open redirect)."""
    plain = given.startswith("/") and not given.startswith(("//", "/\\")) and given.isprintable() and "\\" not in given
    return given if plain else "/"


def sign_in_first(visit: Visit) -> Response:
    """No session any more. A form's content goes with the person through sign-in."""
    if "HX-Request" in visit.request.headers:
        return Response(status=401)  # the page's script brings what was typed here before it shows the sign-in
    if visit.request.method == "GET":
        if visit.request.headers.get("Sec-Fetch-Site") == "cross-site":
            # A link in somebody's mail. The browser kept the cookie back, as it should; of our own page it sends it along.
            answer = visit.page("coming.html")
            answer.headers["Refresh"] = "0"
            return answer
        here = visit.address(visit.request.path, visit.request.args)
        return visit.go("/sign-in" if here == "/" else visit.address("/sign-in", {"back": here}))
    if visit.request.files:  # which no page can hand on
        says = visit.say("You were signed out. Choose the file once more after you signed in.")
        return visit.page("sign_in.html", 401, error=says, kept_path=visit.request.path)
    values: dict[str, Any] = {"kept_path": visit.request.path, "kept_form": json.dumps(typed(visit))}
    return visit.page("sign_in.html", 401, error=visit.say("You were signed out. What you typed is kept."), **values)


def sign_in_again(visit: Visit, status: int, why: str) -> Response:
    """The sign-in with a sentence of what was wrong, and with what is carried through it."""
    values = {"kept_path": visit.typed("kept_path"), "kept_form": visit.typed("kept_form", 70_000)}
    return visit.page("sign_in.html", status, error=visit.say(why), name=visit.typed("name", 80), **values)


def resume(visit: Visit) -> Response | None:
    """After sign-in: the form that was interrupted, to be sent by a press of its button, or the page that was asked for;
    None when there was neither."""
    path = local_path(visit.typed("kept_path"))
    if path != "/" and not visit.typed("kept_form"):
        return visit.go(path)
    try:
        kept = json.loads(visit.typed("kept_form", 70_000) or "[]")
        fields = [(_writable(name), _writable(value)) for name, value in kept]
    except (ValueError, TypeError, RecursionError):
        return None
    if not fields or path == "/":
        return None
    return visit.page("resume.html", path=path, fields=fields, labels=LABELS, why=visit.say("You are signed in again."))


def _writable(given: object) -> str:
    """Text that a page can hold: JSON can also name halves of characters."""
    return str(given).encode("utf-8", "replace").decode()


def press_again(visit: Visit) -> Response:
    """The form belongs to an older session of the same browser."""
    why = visit.say("This page was opened before you signed in again.")
    return visit.page("resume.html", 403, path=visit.request.path, fields=typed(visit), labels=LABELS, why=why)


def store_away(visit: Visit) -> Response:
    """Redis cannot be reached: say so, keep the form, offer to try again."""
    return _try_again(visit, 503, AWAY)


def trouble(visit: Visit) -> Response:
    """A fault of ours."""
    return _try_again(visit, 500, TROUBLE)


def _try_again(visit: Visit, status: int, why: str) -> Response:
    asked = visit.request
    if asked.method == "POST" and asked.path == "/sign-in":
        return sign_in_again(visit, status, why)
    return visit.page(
        "away.html",
        status,
        why=visit.say(why),
        fields=typed(visit) if asked.method == "POST" else [],
        file=bool(asked.files),
        labels=LABELS,
        method=asked.method,
        path=asked.path,
        given_token=asked.form.get("csrf", ""),
    )
