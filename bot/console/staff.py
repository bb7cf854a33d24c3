"""The administrator's page: who works here, inviting, changing a role, ending somebody's access."""

from __future__ import annotations

from dataclasses import replace

from flask import Response, abort

from bot.console.desk import Visit
from bot.console.people import ROLES, Role


def page(visit: Visit) -> Response:
    """Everybody."""
    return _page(visit)


def invite(visit: Visit) -> Response:
    """A one-time link, shown once."""
    role = _role(visit)
    token = visit.desk.people.invite(role, visit.who.id)
    return _page(visit, link=f"{visit.desk.address}/join/{token}", role=role)


def change(visit: Visit, name: str) -> Response:
    """Another role, or no access at all. One administrator always remains."""
    people = visit.desk.people
    person = people.by_id(name) or abort(404)
    active = visit.typed("role") != "none"
    role = _role(visit) if active else person.role
    others = [one for one in people.everybody() if one.active and one.role == "administrator" and one.id != person.id]
    if not others and (role != "administrator" or not active):
        return _page(visit, 422, error=visit.say("The last administrator must stay one."))
    # A new epoch ends the sessions of the old role.
    people.keep(replace(person, role=role, active=active, epoch=person.epoch + 1))
    return visit.go("/staff")


def _role(visit: Visit) -> Role:
    given = visit.typed("role")
    return next((role for role in ROLES if role == given), None) or abort(400)


def _page(visit: Visit, status: int = 200, *, link: str = "", role: str = "", error: str = "") -> Response:
    everybody = visit.desk.people.everybody()
    return visit.page("staff.html", status, everybody=everybody, roles=ROLES, link=link, role=role, error=error)
