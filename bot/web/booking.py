"""/booking/PAGE: a booking page's signed word on a visit. A page without its key in the settings has no door.

Nothing of a payload is logged or answered, and the answer is the same for patients we know and for anybody else.
"""

from __future__ import annotations

import time

from flask import Request, Response
from pydantic import SecretStr

from bot.booking import PAGES, Mail, RefusedBookingError, read
from bot.settings import Settings
from bot.web.desk import Desk, Refused


def keys_of(settings: Settings, page: str) -> tuple[str, ...]:
    """The keys of a booking *page* of PAGES in the clear, current first; none: it has no door."""
    keys: tuple[SecretStr, ...] = getattr(settings, f"booking_{page}_key")
    return tuple(key.get_secret_value() for key in keys)


def told(desk: Desk, request: Request, page: str) -> Response:
    """200 for everything that is genuine, repeated ones and strangers' too; 503 while the store is away."""
    keys = keys_of(desk.settings, page) if page in PAGES else ()
    if not keys:
        raise Refused(404, "no such booking page is set up")
    mail = Mail(
        dict(request.headers.items()),
        request.get_data(cache=False),
        keys,
        time.time(),
        desk.settings.allowed_regions[0],
    )
    try:
        found = read(page, mail)
    except RefusedBookingError as refused:
        raise Refused(refused.status, f"booking: {refused}") from None
    if found is not None:
        desk.booked(found)
    return Response(status=200)
