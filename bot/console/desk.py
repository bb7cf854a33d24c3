"""What every page has at hand: the deployment's parts, and one request of one member of staff. No routes here."""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

from flask import Request, Response, make_response, redirect, render_template

from bot.console import languages
from bot.console.demo import present
from bot.console.drafts import Drafts
from bot.console.languages import LANGUAGES, MONTHS, Language
from bot.console.people import People, Person
from bot.console.sessions import IDLE_SECONDS, Sessions, Signed
from bot.conversation import Conversation
from bot.outreach.campaigns import Campaigns, open_campaigns
from bot.sending import stops_in_force
from bot.settings import Settings
from bot.store.lists import Lists
from bot.store.signs import last_sweep
from bot.store.store import Store
from bot.told import Told

IDLE_WORKER_SECONDS = 60.0  # a relay looks every second
Audit = Callable[[str, str, str, str], None]
Form = Literal["html", "csv", "json"]


def policy(style: str = "'self'") -> str:
    """What a page of ours may load: our own files only. *style*: another place of styles, such as the hash of one sheet."""
    return (
        f"default-src 'none'; script-src 'self'; style-src {style}; img-src 'self' data:; connect-src 'self'; "
        "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    )


@dataclass(frozen=True)
class Desk:
    """One deployment's console. *now* is the product's clock (virtual in the sandbox), *wall* the real one. *audit*
    appends (actor, action, object, detail) to the chain before an action or a patient's page is answered."""

    settings: Settings
    store: Store
    conversation: Conversation
    now: Callable[[], float]
    wall: Callable[[], float]
    audit: Audit
    people: People = field(init=False)
    sessions: Sessions = field(init=False)
    lists: Lists = field(init=False)
    campaigns: Campaigns = field(init=False)
    drafts: Drafts = field(init=False)
    zone: ZoneInfo = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "people", People(self.store))
        object.__setattr__(self, "sessions", Sessions(self.store, self.people))
        object.__setattr__(self, "lists", Lists(self.store))
        campaigns = open_campaigns(self.settings, self.store, self.conversation, self.now)
        object.__setattr__(self, "campaigns", campaigns)
        object.__setattr__(self, "drafts", Drafts(self.store))
        object.__setattr__(self, "zone", ZoneInfo(self.settings.clinic_timezone))

    @property
    def address(self) -> str:
        """What staff open, without a slash at the end."""
        return self.settings.console_url or f"http://127.0.0.1:{self.settings.console_port}"

    @property
    def secure(self) -> bool:
        """Reached over https, so the cookie may insist on it."""
        return self.address.startswith("https://")

    @property
    def cookie(self) -> str:
        """The cookie's name; the prefix makes browsers refuse it from another host or without https."""
        return "__Host-console" if self.secure else "console"


@dataclass(frozen=True)
class Visit:
    """One request. *signed* and *person* are None on the pages before sign-in. *form* is what the address asks for."""

    desk: Desk
    request: Request
    signed: Signed | None = None
    person: Person | None = None
    form: Form = "html"

    @property
    def who(self) -> Person:
        """The person of a route that needs one."""
        if self.person is None:
            raise RuntimeError("This route lets anybody in and asks who it is.")
        return self.person

    @property
    def language(self) -> Language:
        """Of the interface."""
        return languages.language_of(self.request)

    def say(self, text: str, /, **values: object) -> str:
        """A sentence of the interface in the person's language, its {names} filled."""
        return languages.say(self.language, text, **values)

    @property
    def demo(self) -> frozenset[str]:
        """The made-up patients that are here. Only the sandbox lets any in, but what is left of them shows anywhere."""
        return present(self.desk.store)

    @property
    def held(self) -> Literal["staff", "idle", ""]:
        """Why nothing of the program's own goes out now: sending is stopped, or no worker looks for work."""
        desk, swept = self.desk, last_sweep(self.desk.store)
        if stops_in_force(desk.store, desk.now()):
            return "staff"
        return "idle" if swept is None or desk.wall() - swept > IDLE_WORKER_SECONDS else ""

    def told(self, one: Told) -> str:
        """A sentence of another room in the person's language; words that fill it, too."""
        return self.say(one.says, **{name: self.say(v) if isinstance(v, str) else v for name, v in one.fills})

    def typed(self, name: str, most: int = 2000) -> str:
        """A field of the form, cut to *most* characters."""
        return self.request.form.get(name, "")[:most]

    def audit(self, action: str, about: str, detail: str = "") -> None:
        """Who did or saw what; before it is done."""
        self.desk.audit(self.person.id if self.person else "nobody", action, about, detail)

    def page(self, template: str, status: int = 200, **values: Any) -> Response:
        """A whole page, or a part of one for htmx."""
        given: Mapping[str, Any] = {
            "v": self,
            "t": self.say,
            "clock": Clock(self),
            "csrf": self.signed.csrf if self.signed else "",
            "once": secrets.token_urlsafe(12),
            "clinic": self.desk.settings.clinic_name,
            "languages": LANGUAGES,
            "now": self.desk.now(),
            "idle_seconds": IDLE_SECONDS,
            "demo": self.demo if self.person else (),
            **values,
        }
        return make_response(render_template(template, **given), status)

    def json(self, value: Any, status: int = 200) -> Response:
        """The same for a program."""
        text = json.dumps(value, ensure_ascii=False, default=list) + "\n"
        return Response(text, status, content_type="application/json; charset=utf-8")

    def go(self, path: str) -> Response:
        """See another page of ours; *path* is made by us, never taken from the request."""
        return make_response(redirect(path, 303))

    @staticmethod
    def address(path: str, args: Mapping[str, str]) -> str:
        """*path* with a query."""
        return f"{path}?{urlencode(args)}" if args else path


@dataclass(frozen=True)
class Clock:
    """Times as staff read them, in the clinic's zone."""

    visit: Visit

    def at(self, when: float) -> str:
        """Nov 24, 13:05"""
        moment = datetime.fromtimestamp(when, self.visit.desk.zone)
        month = MONTHS[self.visit.language][moment.month - 1]
        day = f"{moment.day} {month}" if self.visit.language == "es" else f"{month} {moment.day}"
        this_year = datetime.fromtimestamp(self.visit.desk.now(), self.visit.desk.zone).year
        return f"{day}{'' if moment.year == this_year else f' {moment.year}'}, {moment:%H:%M}"

    def day(self, when: float) -> str:
        """Nov 24"""
        return self.at(when).partition(",")[0]

    def iso(self, when: float) -> str:
        """For the time element."""
        return datetime.fromtimestamp(when, self.visit.desk.zone).isoformat(timespec="seconds")

    def ago(self, seconds: float) -> str:
        """How long, in words."""
        minutes = max(0, int(seconds // 60))
        if minutes < 1:
            return self.visit.say("less than a minute")
        if minutes < 60:
            return self.visit.say("{n} min", n=minutes)
        if minutes < 48 * 60:
            return self.visit.say("{h} h {m} min", h=minutes // 60, m=minutes % 60)
        return self.visit.say("{n} days", n=minutes // 1440)
