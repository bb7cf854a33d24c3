"""How the deployment is, in words with what to do, and the switch that stops sending. The findings are those of
``python -m bot doctor``, the switch is bot/sending.py: nothing is judged or decided here.
"""

from __future__ import annotations

from collections.abc import Iterator

from flask import Response
from redis.exceptions import RedisError

from bot.console import terms
from bot.console.desk import Clock, Visit
from bot.console.languages import sentence
from bot.doctor import faults
from bot.sending import TASK_OF, Stop, failures_in_a_row, pause, resume, spent_today, stops_in_force
from bot.store.client import connect
from bot.store.counted import Counted
from bot.tasks import TASKS
from bot.told import Told
from bot.vitals import memory_used, vitals, workers_alive

LONGEST_REASON = 200
ADVICE = {
    "staff": sentence("Let sending go on when the reason has passed."),
    "configuration": sentence(
        "An administrator checks TWILIO_ACCOUNT_SID, the token and TWILIO_FROM at Twilio; then let sending go on."
    ),
    "carrier": sentence(
        "It is tried again by itself. When it lasts, look at Twilio's status page, and call who cannot wait."
    ),
    "spending": sentence(
        "It goes on by itself at midnight. Who lets it go on now allows the same amount once more today."
    ),
}


def page(visit: Visit) -> Response:
    """What is wrong, whether anything is sent, and the figures."""
    return _page(visit)


def pause_sending(visit: Visit) -> Response:
    """Stop all texts and calls of the program's own, for a reason. The first reason stays."""
    reason = visit.typed("reason", LONGEST_REASON).strip()
    if not reason:
        return _page(visit, 422, error=visit.say("Say why, so that others know when sending may go on."))
    pause(visit.desk.store, reason, visit.who.id, visit.desk.now())
    return visit.go("/health")


def resume_sending(visit: Visit) -> Response:
    """Lift what the person saw. Something else that stops sending by now is looked at first."""
    desk = visit.desk
    stops = stops_in_force(desk.store, desk.now())
    if stops and _mark(stops) != visit.typed("seen"):
        return _page(visit, 409, error=visit.say("What stops sending has changed. Read it again first."))
    if stops:
        resume(desk.store, visit.who.id, desk.now(), desk.zone)
    return visit.go("/health")


def _page(visit: Visit, status: int = 200, error: str = "") -> Response:
    desk = visit.desk
    stops = stops_in_force(desk.store, desk.now())
    found = [in_words(visit, one) for one in faults(desk.settings, desk.store, desk.now(), desk.wall())]
    return visit.page(
        "health.html",
        status,
        error=error,
        typed=visit.typed("reason", LONGEST_REASON),
        most=LONGEST_REASON,
        found=found,
        stops=[_told(visit, stop) for stop in stops],
        seen=_mark(stops),
        work=[*_work(visit)],
        webhooks=[*_webhooks(visit)],
        silence=_silence(visit),
        carrier=[*_carrier(visit)],
    )


def in_words(visit: Visit, fault: Told) -> str:
    """A finding in the person's language."""
    fills = dict(fault.fills)
    if "result" in fills:
        fills["result"] = visit.say(terms.ENDS.get(str(fills["result"]), str(fills["result"])))
    return visit.say(fault.says, **fills)


def _mark(stops: list[Stop]) -> str:
    """What a person saw when they pressed the button."""
    return " ".join(f"{stop.cause}@{stop.since!r}" for stop in stops)


def _told(visit: Visit, stop: Stop) -> dict[str, object]:
    names = visit.desk.people.names()
    staff = stop.cause == "staff"
    return {
        "says": visit.say("Staff stopped sending.") if staff else visit.say(TASKS[TASK_OF[stop.cause]].says),
        "why": stop.why,
        "by": names.get(stop.by, stop.by) if staff else "",
        "since": stop.since,
        "until": stop.until,
        "advice": visit.say(ADVICE[stop.cause]),
    }


def _work(visit: Visit) -> Iterator[tuple[str, str]]:
    desk, say, clock = visit.desk, visit.say, Clock(visit)
    now = vitals(desk.store, desk.now(), desk.wall())
    late = say("{n}, the oldest for {age}", n=now.overdue, age=clock.ago(now.backlog))
    yield say("Due and not yet done"), late if now.overdue else say("nothing")
    swept = say("never") if now.swept is None else say("{age} ago", age=clock.ago(now.swept))
    yield say("A worker last looked for work"), swept
    yield say("Workers"), _workers(visit)
    yield say("Given up after many tries"), str(now.dead) if now.dead else say("nothing")
    yield say("Tasks that wait for a person"), str(now.tasks)
    yield say("The store"), say("answers; {mb} MB of data", mb=f"{memory_used(desk.store) / 1e6:,.1f}")


LAST = (
    ("sms", sentence("A text of a patient last came")),
    ("voice", sentence("A call last asked what to say")),
    ("text report", sentence("The carrier last reported on a text")),
    ("call report", sentence("The carrier last reported on a call")),
)
LONG = 24 * 3600.0


def _webhooks(visit: Visit) -> Iterator[tuple[str, str]]:
    """When what the carrier tells us last came."""
    heard, now = Counted(visit.desk.store).heard(), visit.desk.now()
    for name, says in LAST:
        at = heard.get(name)
        yield (
            visit.say(says),
            visit.say("never") if at is None else visit.say("{age} ago", age=Clock(visit).ago(now - at)),
        )


def _silence(visit: Visit) -> str:
    """What to do when nothing of patients came for long; "" while it did."""
    heard, now = Counted(visit.desk.store).heard(), visit.desk.now()
    last = max((heard.get(name, 0.0) for name in ("sms", "voice")), default=0.0)
    if now - last < LONG:
        return ""
    return visit.say(
        "Nothing came from a patient for a day or more. On a quiet weekend that may be right; else text the clinic's number "
        "yourself, and when no answer comes, python -m bot doctor says whether the carrier calls this program's address."
    )


def _workers(visit: Visit) -> str:
    url = visit.desk.settings.queue_url
    try:
        return str(workers_alive(connect(url) if url else visit.desk.store.client))
    except (RedisError, OSError):
        return visit.say("The queue's server (QUEUE_URL) does not answer: start it, or nothing is sent.")


def _carrier(visit: Visit) -> Iterator[tuple[str, str]]:
    desk, say = visit.desk, visit.say
    failed, limit = failures_in_a_row(desk.store), desk.settings.daily_spend_limit
    yield say("Failures of the carrier in a row"), str(failed) if failed else say("none")
    spent = f"{spent_today(desk.store, desk.now(), desk.zone) / 1e6:,.2f}"
    of = (
        say("{spent} of {limit}", spent=spent, limit=f"{limit:,.2f}")
        if limit
        else say("{spent}, no limit", spent=spent)
    )
    yield say("Spent today (DAILY_SPEND_LIMIT)"), of
