"""Who may open what: every address of the console, in one table that a test walks for every role."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from flask import Response

from bot.console import assets, patient, queue, signin, staff
from bot.console.people import Role


@dataclass(frozen=True)
class Route:
    """One door. *least*: the role it needs, None for anybody. *action*: its name in the audit chain.

    *asset*: a file that needs no session and no store. *upload*: the body may be as large as a file.
    """

    rule: str
    method: Literal["GET", "POST"]
    least: Role | None
    handler: Callable[..., Response]
    action: str = ""
    asset: bool = False
    upload: bool = False


ROUTES = (
    Route("/static/<name>", "GET", None, assets.file, asset=True),
    Route("/healthz", "GET", None, assets.alive, asset=True),
    Route("/sign-in", "GET", None, signin.page),
    Route("/sign-in", "POST", None, signin.enter),
    Route("/join/<token>", "GET", None, signin.join_page),
    Route("/join/<token>", "POST", None, signin.join),
    Route("/sign-out", "POST", "viewer", signin.leave, "signed out"),
    Route("/sign-out-everywhere", "POST", "viewer", signin.leave_everywhere, "signed out everywhere"),
    Route("/", "GET", "viewer", queue.page),
    Route("/patients", "GET", "viewer", queue.patients),
    Route("/patients/<patient>", "GET", "viewer", patient.page, "patient viewed"),
    Route("/patients/<patient>/reveal", "POST", "nurse", patient.reveal, "phone number shown"),
    Route("/patients/<patient>/claim", "POST", "nurse", patient.claim, "taken over"),
    Route("/patients/<patient>/reply", "POST", "nurse", patient.reply, "reply sent"),
    Route("/patients/<patient>/release", "POST", "nurse", patient.release, "handed back"),
    Route("/patients/<patient>/tasks/<task>/close", "POST", "nurse", patient.close, "task closed"),
    Route("/staff", "GET", "administrator", staff.page),
    Route("/staff/invite", "POST", "administrator", staff.invite, "staff invited"),
    Route("/staff/<name>/role", "POST", "administrator", staff.change, "staff changed"),
)
