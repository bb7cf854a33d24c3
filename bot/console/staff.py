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
    people.change(person.id, lambda one: replace(one, role=role, active=active, epoch=one.epoch + 1))
    return visit.go("/staff")


def renew(visit: Visit, name: str) -> Response:
    """A one-time link with which somebody sets a new password and a new code: the telephone was lost."""
    person = visit.desk.people.by_id(name) or abort(404)
    if not person.active:
        return _page(visit, 422, error=visit.say("{name} has no access. Give a role first.", name=person.name))
    token = visit.desk.people.invite(person.role, visit.who.id, person.id)
    return _page(visit, link=f"{visit.desk.address}/join/{token}", renewed=person.name)


def sign_out(visit: Visit, name: str) -> Response:
    """Ends every session of somebody, everywhere."""
    person = visit.desk.people.by_id(name) or abort(404)
    visit.desk.sessions.end_all(person)
    return visit.go("/staff")


def _role(visit: Visit) -> Role:
    given = visit.typed("role")
    return next((role for role in ROLES if role == given), None) or abort(400)


def _page(visit: Visit, status: int = 200, **values: str) -> Response:
    everybody = visit.desk.people.everybody()
    return visit.page("staff.html", status, everybody=everybody, roles=ROLES, **values)
