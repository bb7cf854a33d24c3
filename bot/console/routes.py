"""Who may open what: every address of the console, in one table that a test walks for every role.

A new page: a module of its own, its rows here, its words in words/es/. A row with *nav* is in the menu, in this order.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal

from flask import Response

from bot.console import (
    assets,
    counted,
    dashboard,
    first,
    flows,
    health,
    outreach,
    patient,
    patients,
    prepare,
    queue,
    setup,
    signin,
    simulator,
    staff,
)
from bot.console.desk import Form
from bot.console.languages import sentence
from bot.console.people import Role


@dataclass(frozen=True)
class Route:
    """One door. *least*: the role it needs, None for anybody. *action*: its name in the audit chain. *nav*: its name in
    the menu, a sentence of the interface. *asset*: a file that needs no session and no store. *upload*: the body may be
    as large as a file. *form*: what a list is given as."""

    rule: str
    method: Literal["GET", "POST"]
    least: Role | None
    handler: Callable[..., Response]
    action: str = ""
    nav: str = ""
    asset: bool = False
    upload: bool = False
    form: Form = "html"


def listed(route: Route, exported: str) -> tuple[Route, Route, Route]:
    """A list as a page, as .csv and as .json under the same name. *exported*: the action of taking a file away."""
    rule = "/queue" if route.rule == "/" else route.rule
    csv = replace(route, rule=f"{rule}.csv", form="csv", action=exported, nav="")
    return route, csv, replace(csv, rule=f"{rule}.json", form="json")


ROUTES = (
    Route("/static/<name>", "GET", None, assets.file, asset=True),
    Route("/healthz", "GET", None, assets.alive, asset=True),
    Route("/language", "POST", None, signin.change_language),
    # -- signing in and out --
    Route("/sign-in", "GET", None, signin.page),
    Route("/sign-in", "POST", None, signin.enter),
    Route("/join/<token>", "GET", None, signin.join_page),
    Route("/join/<token>", "POST", None, signin.join),
    Route("/sign-out", "POST", "viewer", signin.leave, "signed out"),
    Route("/sign-out-everywhere", "POST", "viewer", signin.leave_everywhere, "signed out everywhere"),
    Route("/stay", "POST", "viewer", signin.stay),
    Route("/shortcuts", "GET", "viewer", signin.shortcuts),
    # -- patients --
    *listed(Route("/", "GET", "viewer", queue.page, nav=sentence("Needs attention")), "queue exported"),
    *listed(
        Route("/patients", "GET", "viewer", patients.page, nav=sentence("Conversations")), "conversations exported"
    ),
    Route("/patients/<patient>", "GET", "viewer", patient.page, "patient viewed"),
    Route("/patients/<patient>/reveal", "POST", "nurse", patient.reveal, "phone number shown"),
    Route("/patients/<patient>/claim", "POST", "nurse", patient.claim, "take over"),
    Route("/patients/<patient>/reply", "POST", "nurse", patient.reply, "reply"),
    Route("/patients/<patient>/note", "POST", "nurse", patient.note, "note"),
    Route("/patients/<patient>/release", "POST", "nurse", patient.release, "hand back"),
    Route("/patients/<patient>/finish", "POST", "nurse", patient.finish, "close the matter"),
    Route("/patients/<patient>/reopen", "POST", "nurse", patient.reopen, "open the matter again"),
    Route("/patients/<patient>/tasks/<task>/close", "POST", "nurse", patient.close, "close task"),
    Route("/tasks/<task>/close", "POST", "nurse", queue.close, "close task"),
    # -- outreach --
    *listed(Route("/outreach", "GET", "viewer", outreach.page, nav=sentence("Outreach")), "campaigns exported"),
    Route("/outreach/new", "GET", "manager", prepare.start),
    Route("/outreach/new", "POST", "manager", prepare.upload, "campaign file uploaded", upload=True),
    Route("/outreach/drafts/<draft>", "GET", "manager", prepare.columns, "campaign file viewed"),
    Route("/outreach/drafts/<draft>", "POST", "manager", prepare.choose, "campaign planned"),
    Route("/outreach/drafts/<draft>/check", "GET", "manager", prepare.check, "campaign file viewed"),
    Route("/outreach/drafts/<draft>/check.csv", "GET", "manager", prepare.check, "campaign file exported", form="csv"),
    Route("/outreach/drafts/<draft>/send", "GET", "manager", prepare.check, "campaign file viewed"),
    Route("/outreach/drafts/<draft>/send", "POST", "manager", prepare.send, "campaign confirmed"),
    Route("/outreach/drafts/<draft>/discard", "POST", "manager", prepare.discard, "campaign file thrown away"),
    Route("/outreach/<campaign>", "GET", "viewer", outreach.one, "campaign viewed"),
    Route("/outreach/<campaign>/approve", "POST", "manager", outreach.approve, "campaign approved"),
    Route("/outreach/<campaign>/pause", "POST", "manager", outreach.pause, "campaign paused"),
    Route("/outreach/<campaign>/resume", "POST", "manager", outreach.resume, "campaign resumed"),
    Route("/outreach/<campaign>/cancel", "POST", "manager", outreach.cancel, "campaign cancelled"),
    *listed(
        Route("/outreach/<campaign>/people", "GET", "nurse", outreach.people, "campaign recipients viewed"),
        "campaign recipients exported",
    ),
    Route("/outreach/<campaign>/result.csv", "GET", "manager", outreach.result, "campaign result downloaded"),
    # -- how it runs --
    Route("/dashboard", "GET", "viewer", dashboard.page, nav=sentence("Dashboard")),
    *listed(Route("/counted", "GET", "viewer", counted.page), "figures exported"),
    *listed(Route("/dashboard/<table>", "GET", "viewer", dashboard.table), "figures exported"),
    Route("/health", "GET", "viewer", health.page, nav=sentence("Health")),
    Route("/health/pause", "POST", "manager", health.pause_sending, "pause sending"),
    Route("/health/resume", "POST", "manager", health.resume_sending, "resume sending"),
    Route("/flows", "GET", "viewer", flows.page, nav=sentence("Flows")),
    Route("/flows/<name>", "GET", "viewer", flows.one),
    Route("/flows/<name>/picture.svg", "GET", "viewer", flows.picture),
    Route("/flows/<name>/booklet", "GET", "viewer", flows.booklet),
    Route("/flows/<name>/changes", "GET", "viewer", flows.changes),
    Route("/flows/<name>/try", "GET", "viewer", simulator.page),
    Route("/flows/<name>/try", "POST", "viewer", simulator.typed),
    Route("/start", "GET", "administrator", first.page),
    Route("/start/demo", "POST", "administrator", first.load, "demo data loaded"),
    Route("/start/demo/remove", "POST", "administrator", first.remove, "demo data removed"),
    Route("/settings", "GET", "administrator", setup.page, nav=sentence("Settings")),
    # -- staff --
    Route("/staff", "GET", "administrator", staff.page, nav=sentence("Staff")),
    Route("/staff/invite", "POST", "administrator", staff.invite, "invite staff"),
    Route("/staff/<name>/role", "POST", "administrator", staff.change, "change role"),
    Route("/staff/<name>/renew", "POST", "administrator", staff.renew, "renew password"),
    Route("/staff/<name>/sign-out", "POST", "administrator", staff.sign_out, "sign somebody out"),
)
