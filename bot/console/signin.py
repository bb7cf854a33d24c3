"""Signing in and out, and joining by a one-time link."""

from __future__ import annotations

from dataclasses import replace

import pyotp
import segno
from flask import Response

from bot.console import kept, terms
from bot.console.desk import Visit
from bot.console.languages import COOKIE, LANGUAGES, sentence
from bot.console.people import LINK_USED, BusyError, Person, PersonError
from bot.console.sessions import IDLE_SECONDS, LONGEST_SECONDS

LOCKED = sentence("Too many wrong tries. Wait 15 minutes, or ask an administrator.")
BUSY = sentence("Too many people are signing in at this moment. Try again.")
WRONG = sentence("Name, password or code is not right, or the code was used already. Wait for the next code.")


def page(visit: Visit) -> Response:
    """The sign-in form."""
    if visit.person:
        return visit.go("/")
    back = kept.local_path(visit.request.args.get("back", "")[:2000])
    return visit.page("sign_in.html", error="", nobody=visit.desk.people.nobody_yet(), kept_path=back)


def enter(visit: Visit) -> Response:
    """Name, password and code. One sentence for every kind of wrong."""
    desk = visit.desk
    try:
        person = desk.people.sign_in(
            visit.typed("name", 80), visit.typed("password", 300), visit.typed("code", 20), desk.wall()
        )
    except BusyError:
        return kept.sign_in_again(visit, 503, BUSY)
    if person is None:
        desk.audit("nobody", "sign-in refused", "", "")
        locked = desk.people.locked(visit.typed("name", 80))
        return kept.sign_in_again(visit, 422, LOCKED if locked else WRONG)
    return _inside(visit, person)


def _inside(visit: Visit, person: Person) -> Response:
    desk = visit.desk
    old = visit.request.cookies.get(desk.cookie, "")
    if old:
        desk.sessions.end(old)
    token = desk.sessions.begin(person, desk.wall())
    desk.audit(person.id, "signed in", "", "")
    found = desk.sessions.find(token, desk.wall(), touch=False)
    signed = replace(visit, signed=found[0] if found else None, person=person)
    response = kept.resume(signed) or visit.go("/")
    response.set_cookie(
        desk.cookie, token, max_age=LONGEST_SECONDS, secure=desk.secure, httponly=True, samesite="Strict", path="/"
    )
    return response


def leave(visit: Visit) -> Response:
    """Sign out of this browser."""
    visit.desk.sessions.end(visit.request.cookies.get(visit.desk.cookie, ""))
    response = visit.go("/sign-in")
    response.delete_cookie(visit.desk.cookie, path="/", secure=visit.desk.secure, httponly=True, samesite="Strict")
    return response


def leave_everywhere(visit: Visit) -> Response:
    """Sign out of every browser."""
    visit.desk.sessions.end_all(visit.who)
    return leave(visit)


def join_page(visit: Visit, token: str) -> Response:
    """The form of a one-time link."""
    return _join_form(visit, token, 200, "")


def join(visit: Visit, token: str) -> Response:
    """Make the account and sign in."""
    desk = visit.desk
    if visit.typed("password", 300) != visit.typed("password_again", 300):
        return _join_form(visit, token, 422, visit.say("The two passwords are not the same."))
    try:
        person = desk.people.join(
            token,
            visit.typed("name", 80),
            visit.typed("password", 300),
            visit.typed("code", 20),
            desk.wall(),
        )
    except PersonError as error:
        return _join_form(visit, token, 422, visit.say(str(error)))
    desk.audit(person.id, "joined", person.id, person.role)
    return _inside(visit, person)


def _join_form(visit: Visit, token: str, status: int, error: str) -> Response:
    invite = visit.desk.people.invitation(token)
    if invite is None:
        return visit.page("refused.html", 404, why=visit.say(LINK_USED))
    person = visit.desk.people.by_id(invite.person) if invite.person else None
    label = person.name if person else visit.say(terms.ROLES[invite.role])
    address = pyotp.TOTP(invite.secret).provisioning_uri(name=label, issuer_name=visit.desk.settings.clinic_name)
    return visit.page(
        "join.html",
        status,
        token=token,
        code_key=invite.secret,
        key_address=address,
        picture=segno.make(address, micro=False).svg_data_uri(scale=4, light="white"),
        role=invite.role,
        error=error,
        renewed=person,
        name=visit.typed("name", 80),
    )


def change_language(visit: Visit) -> Response:
    """The interface in another language; kept in the browser."""
    chosen = visit.typed("language", 5)
    response = visit.go(kept.local_path(visit.typed("back")))
    if chosen in LANGUAGES:
        response.set_cookie(
            COOKIE, chosen, max_age=31_536_000, secure=visit.desk.secure, httponly=True, samesite="Strict", path="/"
        )
    return response


def stay(visit: Visit) -> Response:
    """A person who was warned that the session will end says that they are there; finding the session kept it."""
    return visit.json({"seconds": IDLE_SECONDS})


def shortcuts(visit: Visit) -> Response:
    """What the keys do, for browsers that show no dialog."""
    return visit.page("shortcuts.html")
