"""The first steps of a clinic: demo data to look at, and what is left to do before real patients are written to.

The findings are those of ``python -m bot doctor`` and of the settings in force; nothing is set or judged here.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal
from urllib.parse import urlsplit

from flask import Response

from bot.booklet_command import SIGNED, RecordError, read_signatures
from bot.console import demo
from bot.console.demo import DemoError
from bot.console.desk import Clock, Visit
from bot.console.languages import sentence
from bot.doctor import faults
from bot.setting_shapes import LOOPBACK
from bot.settings import Settings
from bot.store.audit import Audit
from bot.store.counted import Counted
from bot.store.erase import EraseError

ENTRIES, BACKUP_SECONDS, HEARD_SECONDS = 3_000, 7 * 86_400.0, 7 * 86_400.0
OWN = ("clinic_name", "clinic_timezone", "clinic_hours", "quiet_start", "quiet_end", "price_per_segment")
BUSY = sentence("A made-up patient writes right now; nothing was removed of that one. Press the button again.")


@dataclass(frozen=True, slots=True)
class Step:
    """*title*, and what to do about it; *state*: ``done``, ``open``, or ``look``: only a person can tell."""

    title: str
    does: str
    state: Literal["done", "open", "look"]
    way: str = ""


def page(visit: Visit) -> Response:
    """The list."""
    return _page(visit)


def load(visit: Visit) -> Response:
    """Made-up patients text the running program."""
    try:
        demo.load(visit.desk.settings, visit.desk.store)
    except DemoError as error:
        return _page(visit, 409, visit.say(str(error)))
    return visit.go("/")


def remove(visit: Visit) -> Response:
    """All of them are gone."""
    desk = visit.desk
    try:
        gone = demo.remove(desk.settings, desk.store, desk.now())
    except EraseError:
        return _page(visit, 409, visit.say(BUSY))
    return _page(visit, told=visit.say("Removed: {n} made-up patients, and everything of them.", n=gone))


def _page(visit: Visit, status: int = 200, error: str = "", told: str = "") -> Response:
    steps = [*_steps(visit)]
    why_not = demo.why_not(visit.desk.settings, visit.desk.store)
    return visit.page(
        "start.html",
        status,
        error=error,
        told=told,
        steps=steps,
        done=sum(step.state == "done" for step in steps),
        why_not=visit.say(why_not) if why_not else "",
        stories=len(demo.STORIES),
    )


def _steps(visit: Visit) -> Iterator[Step]:
    yield from _of_the_settings(visit)
    yield from _of_twilio(visit)
    yield from _of_the_flow(visit)
    yield from _of_the_staff(visit)
    yield from _of_the_machine(visit)


def _of_the_settings(visit: Visit) -> Iterator[Step]:
    say, settings = visit.say, visit.desk.settings
    missing = [
        name.upper()
        for name, field in Settings.model_fields.items()
        if isinstance(field.json_schema_extra, dict) and settings.origin(name) in ("sandbox", "default")
    ]
    yield Step(
        say("The settings that a clinic must give"),
        say("Set {names} in the environment or in .env.", names=", ".join(missing))
        if missing
        else say("All are given."),
        "open" if missing else "done",
        "/settings",
    )
    yield Step(
        say("The real Twilio"),
        say("The program runs with the local Twilio: nothing leaves this machine. Unset SANDBOX when all else is done.")
        if settings.sandbox
        else say("Texts and calls go out."),
        "open" if settings.sandbox else "done",
    )
    usual = [name.upper() for name in OWN if settings.origin(name) in ("sandbox", "default")]
    hours = f"{settings.quiet_end:%H:%M}-{settings.quiet_start:%H:%M}"
    yield Step(
        say("Name, hours and quiet hours are yours"),
        say("Opening hours {hours}; outreach and check-ins {quiet} where the patient is; time zone {zone}.",
            hours=settings.clinic_hours, quiet=hours, zone=settings.clinic_timezone)
        + (" " + say("Still as delivered, look whether they fit: {names}.", names=", ".join(usual)) if usual else ""),
        "look" if usual else "done",
        "/settings",
    )  # fmt: skip


def _of_twilio(visit: Visit) -> Iterator[Step]:
    say, desk = visit.say, visit.desk
    url = urlsplit(desk.settings.public_url)
    public = url.scheme == "https" and url.hostname not in LOOPBACK
    at = max((when for kind, when in Counted(desk.store).heard().items() if kind in ("sms", "voice")), default=0.0)
    heard = public and not desk.settings.sandbox and desk.now() - at < HEARD_SECONDS
    does = say("Twilio calls {url}/sms for texts and {url}/voice for calls, both with POST; set both for the clinic's number. "
               "python -m bot doctor asks Twilio whether it is so.", url=desk.settings.public_url)  # fmt: skip
    if heard:
        does = say("Twilio last called {when}.", when=Clock(visit).at(at))
    elif not public:
        does = say("Give PUBLIC_URL, an https address that Twilio reaches.") + " " + does
    yield Step(say("The webhook address at Twilio"), does, "done" if heard else "look" if public else "open")


def _of_the_flow(visit: Visit) -> Iterator[Step]:
    say, flows = visit.say, visit.desk.conversation.clinic.flows
    try:
        signed = {(one.flow, one.hash) for one in read_signatures(SIGNED)}
    except RecordError:
        signed = set()
    left = [name for name, loaded in sorted(flows.items()) if (loaded.flow.id, loaded.hash) not in signed]
    yield Step(
        say("A clinician signed what patients are told"),
        say("Not signed in this version: {names}. python -m bot booklet flows/NAME.json -o FILE prints the page to sign; "
            "--signed NAME --version VERSION records who did.", names=", ".join(left))
        if left
        else say("Every flow is signed in the version that is served."),
        "open" if left else "done",
        "/flows",
    )  # fmt: skip


def _of_the_staff(visit: Visit) -> Iterator[Step]:
    say, settings = visit.say, visit.desk.settings
    yield Step(
        say("Staff are told at once when a patient needs a person"),
        say("Channels: {names}. Try them with an emergency on the phone page.", names=", ".join(settings.alert_channels))
        if settings.alert_channels
        else say("Set ALERT_PHONES, ALERT_EMAIL with SMTP_URL, or ALERT_URL with ALERT_SECRET."),
        "done" if settings.alert_channels else "open",
    )  # fmt: skip
    console = (settings.console_url or "").startswith("https://")
    yield Step(
        say("Staff reach the console from their own screens"),
        settings.console_url or "" if console else say("Set CONSOLE_URL to its https address behind your proxy."),
        "done" if console else "open",
    )
    active = [one for one in visit.desk.people.everybody() if one.active]
    several = sum(one.role == "administrator" for one in active) > 1
    yield Step(
        say("A second administrator"),
        say("Somebody can let you in again when your telephone is lost.")
        if several
        else say("Invite one: without them nobody lets you in again when your telephone is lost."),
        "done" if several else "open",
        "/staff",
    )
    pair = sum(one.may("manager") for one in active) > 1
    yield Step(
        say("Two who may approve a campaign"),
        say("A campaign with more than {n} recipients needs a second manager or administrator.",
            n=settings.outreach_approval),
        "done" if pair else "open",
        "/staff",
    )  # fmt: skip


def _of_the_machine(visit: Visit) -> Iterator[Step]:
    say, desk = visit.say, visit.desk
    trail = Audit(desk.store.client, desk.store.cipher).last(ENTRIES)
    saved = max((one.at for _, one in trail if one and one.action == "backup written"), default=0.0)
    fresh = desk.wall() - saved < BACKUP_SECONDS
    yield Step(
        say("A backup that is kept elsewhere"),
        say("The last was written {when}.", when=Clock(visit).at(saved))
        if saved
        else say("Run python -m bot backup FILE every day, and python -m bot backup --verify FILE once to see it restored."),
        "done" if fresh else "open",
    )  # fmt: skip
    found = [visit.told(one) for one in faults(desk.settings, desk.store, desk.now(), desk.wall())]
    yield Step(
        say("Nothing is wrong with the program"),
        " ".join(found) if found else say("The store is safe, a worker works, nothing is late."),
        "open" if found else "done",
        "/health",
    )
    here = len(demo.present(desk.store))
    yield Step(
        say("No made-up patients"),
        say("{n} are here. Remove them before real patients write.", n=here) if here else say("None is here."),
        "open" if here else "done",
    )
