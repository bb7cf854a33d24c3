"""The scheduling link a patient was texted: /go/<token>. GET and HEAD change nothing, since link scanners follow them;
the button's POST marks the link opened and forwards to the clinic's booking page. Never to any other address.

No patient data in the address or the page; unknown and expired look the same.
"""

from __future__ import annotations

import base64
import hashlib
import re
from importlib import resources

from flask import Request, Response, render_template
from markupsafe import Markup

from bot.web.booking import keys_of
from bot.web.desk import Desk

_TOKEN = re.compile(r"[A-Za-z0-9_.-]{16,100}")
_CSS = resources.files("bot.web").joinpath("templates/page.css").read_text()
STYLE_HASH = "'sha256-" + base64.b64encode(hashlib.sha256(_CSS.encode()).digest()).decode() + "'"

_WORDS = {
    "en": {
        "language": "en",
        "other": ("es", "Español"),
        "title": "Book your visit",
        "pmr": "Visit with the doctor (PM&R)",
        "pt": "Visit for physical therapy",
        "both": "Visit with the doctor first, then physical therapy",
        "button": "Go to booking",
        "leads": "This opens the clinic's booking page.",
        "call": "Or call",
        "emergency": "Emergency? Call 911.",
        "gone": "This link does not work any more",
        "again": "Text the clinic the word RESTART for a new one, or call",
        "down": "Booking is not reachable right now",
        "later": "Please try again in a few minutes, or call",
    },
    "es": {
        "language": "es",
        "other": ("en", "English"),
        "title": "Haga su cita",
        "pmr": "Cita con el médico (PM&R)",
        "pt": "Cita de terapia física",
        "both": "Cita primero con el médico y después terapia física",
        "button": "Ir a las citas",
        "leads": "Se abre la página de citas de la clínica.",
        "call": "O llame al",
        "emergency": "¿Emergencia? Llame al 911.",
        "gone": "Este enlace ya no sirve",
        "again": "Mande un texto a la clínica con la palabra REINICIAR para recibir otro, o llame al",
        "down": "Las citas no están disponibles ahora",
        "later": "Intente de nuevo en unos minutos, o llame al",
    },
}


def page(desk: Desk, request: Request, token: str) -> Response:
    """The page with the one button."""
    visit = desk.conversation.link(token) if _TOKEN.fullmatch(token) else None
    if visit is None:
        return gone(desk, request)
    return _page(desk, request, "link.html", 200, visit=visit)


def open_link(desk: Desk, request: Request, token: str) -> Response:
    """The button was pressed."""
    target = desk.conversation.opened(token) if _TOKEN.fullmatch(token) else None
    # Only ever to an address from the settings, whatever a link may say.
    if target is None or target not in (desk.settings.booking_url_pmr, desk.settings.booking_url_pt):
        return gone(desk, request)
    return Response(status=303, headers={"Location": _known_again(desk, target, token)})


def _known_again(desk: Desk, target: str, token: str) -> str:
    """*target*, with the token where a booking page that reports to us hands it back. It says nothing of the patient."""
    names = (("calendly", "utm_content"), ("calcom", "metadata%5Bref%5D"))
    marks = "&".join(f"{name}={token}" for page, name in names if keys_of(desk.settings, page))
    if not marks:
        return target
    before, hash_, after = target.partition("#")
    return f"{before}{'&' if '?' in before else '?'}{marks}{hash_}{after}"


def gone(desk: Desk, request: Request) -> Response:
    """The one answer to every link that does not work."""
    return _page(desk, request, "notice.html", 404, heading="gone", advice="again")


def down(desk: Desk, request: Request) -> Response:
    """The answer while the store is away."""
    return _page(desk, request, "notice.html", 503, heading="down", advice="later")


def _page(desk: Desk, request: Request, template: str, status: int, **values: str) -> Response:
    asked = request.args.get("l")
    language = asked if asked in _WORDS else request.accept_languages.best_match(list(_WORDS), "en")
    body = render_template(
        template,
        words=_WORDS[language or "en"],
        clinic=desk.settings.clinic_name,
        dial=desk.settings.clinic_phone,
        phone=desk.settings.clinic_phone_shown,
        css=Markup(_CSS),  # noqa: S704 - our own file; its hash is what the policy allows
        **values,
    )
    response = Response(body, status, content_type="text/html; charset=utf-8")
    response.headers["Vary"] = "Accept-Language"
    return response
