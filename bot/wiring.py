"""Where the parts are put together, from settings."""

from __future__ import annotations

import atexit
import secrets
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal
from zoneinfo import ZoneInfo

import phonenumbers
from flask import Flask

from bot.alerts import raise_for_clinic
from bot.booked import keep
from bot.catalog import load_flows, load_words, program_hash, reader, word_files
from bot.conversation import Conversation
from bot.edition import Edition, text_hash
from bot.reading.hints import make_hints
from bot.record import Record, from_bytes
from bot.regions import is_allowed
from bot.reports import Reports
from bot.sandbox.clock import clock_in
from bot.settings import Settings
from bot.store.client import AWAY
from bot.store.embedded import EmbeddedServer
from bot.store.published import Published
from bot.store.signs import begun_with
from bot.store.spool import Spool
from bot.store.store import Store, open_store
from bot.unread import Unread
from bot.versions import Versions
from bot.vitals import vitals
from bot.web import create_app
from bot.web.answers import Answers
from bot.web.limits import CALLS, TEXTS, Limits, Most, Urgency
from bot.web.shelter import Shelter

if TYPE_CHECKING:
    from bot.carrier import Carrier
    from bot.outreach.campaigns import Campaigns
    from bot.retention import Retention


@dataclass(frozen=True)
class App:
    """One process's parts."""

    settings: Settings
    state_url: str
    store: Store
    conversation: Conversation
    now: Callable[[], float]

    def office(self) -> Any:
        """What a worker's handlers need. Only here is the carrier imported: it costs half a second and 38 MB."""
        from bot.alerts import Alerts
        from bot.followups import Office
        from bot.outreach.pacing import Pace
        from bot.outreach.roster import Roster
        from bot.outreach.sender import CampaignSender
        from bot.sending import Gate
        from bot.staff_channels import open_channels
        from bot.store.sends import Sends

        settings, store, now = self.settings, self.store, self.now
        gate = Gate(
            store,
            now,
            limit=_millionths(settings.daily_spend_limit),
            zone=ZoneInfo(settings.clinic_timezone),
            channels=settings.alert_channels,
        )
        carrier, segment = carrier_of(settings), _millionths(settings.price_per_segment)
        channels = open_channels(settings, carrier, gate, segment)
        return Office(
            self.conversation,
            carrier,
            now,
            Sends(store),
            gate,
            segment=segment,
            call=_millionths(settings.price_per_call),
            minute=_millionths(settings.price_per_minute),
            allowed=lambda phone: is_allowed(phone, settings.allowed_regions),
            outreach=CampaignSender(
                Roster(store),
                settings.twilio_from,
                Pace(settings.sender_rate, settings.outreach_first_hour),
                settings.outreach_open_tasks,
            ),
            steps=self.campaigns().steps,
            alerts=Alerts(store, channels, now, self.conversation.clinic.is_open, *settings.alert_words),
            retention=self.retention(),
            unread=Unread(store),
        )

    def retention(self) -> Retention:
        """What becomes of what is too old."""
        from bot.retention import Keep, Retention
        from bot.store.audit import Audit

        given, store = self.settings, self.store
        keep = Keep(given.keep_session_days, given.keep_log_days, given.keep_record_days, given.keep_audit_days)
        return Retention(store, Audit(store.client, store.cipher, given.data_dir), keep)

    def campaigns(self) -> Campaigns:
        """What staff do with outreach."""
        from bot.outreach.campaigns import open_campaigns

        return open_campaigns(self.settings, self.store, self.conversation, self.now)


def _millionths(amount: float) -> int:
    return round(amount * 1_000_000)


def carrier_of(settings: Settings) -> Carrier:
    """The door to Twilio. Only workers and commands go through it."""
    from bot.carrier import Carrier

    return Carrier(
        settings.twilio_account_sid,
        settings.auth_tokens[0],
        sender=settings.twilio_from,
        status_url=f"{settings.public_url}/status",
        call_url=f"{settings.public_url}/call",
        call_status_url=f"{settings.public_url}/call-status",
        service_sid=settings.twilio_messaging_service_sid,
        base_url=settings.twilio_api_base,
    )


def build(settings: Settings, *, role: Literal["web", "worker"] = "web") -> App:
    """Put one process together. Raises StoreError words of bot/store when STATE_URL is missing or wrong."""
    if settings.state_url is None:
        server = EmbeddedServer(settings.data_dir)
        server.start()
        atexit.register(server.stop)
        state_url = server.url
    else:
        state_url = settings.state_url
    store = open_store(state_url, settings.secret_keys, settings.buckets)
    with suppress(*AWAY):  # a store that is away is no reason not to answer; the first turn asks again
        store.cipher.patient_id("")
        _refuse_emptied(settings, store)
        _refuse_other_buckets(store)
    now: Callable[[], float] = clock_in(settings.data_dir) if settings.sandbox else time.time
    return put_together(settings, state_url, store, now)


def _refuse_emptied(settings: Settings, store: Store) -> None:
    """In a store that lost its data everybody who said STOP would be written to again."""
    from bot.store.audit import Audit

    if Audit(store.client, store.cipher, settings.data_dir).emptied():
        from bot.doctor import of_the_trail

        print(*of_the_trail(settings, store), file=sys.stderr)
        raise SystemExit(2)


def _refuse_other_buckets(store: Store) -> None:
    """With another number every patient would be a stranger, and whoever said STOP would be written to again."""
    held = begun_with(store)
    if held != store.buckets:
        print(
            f"BUCKETS: is {store.buckets}, and the data behind STATE_URL was begun with {held}; set BUCKETS={held}, "
            "or every patient's consent and STOP would be lost.",
            file=sys.stderr,
        )
        raise SystemExit(2)


def put_together(settings: Settings, state_url: str, store: Store, now: Callable[[], float]) -> App:
    """One clinic's conversation over a store and a clock."""
    edition = edition_of(settings)
    clinic = replace(
        edition.clinic(load_flows(), reader(load_words()), make_hints(word_files())),
        link=lambda patient: (token := store.new_token(patient), f"{edition.links}{token}"),
        new_id=lambda: secrets.token_urlsafe(9),
        new_effect=store.new_effect_id,
        version=Versions(Published(store.client, store.cipher)).flow,
        alerts=settings.alert_channels,
        prices=settings.prices,
    )
    conversation = Conversation(
        clinic,
        store,
        store.cipher.patient_id,
        now=now,
        hours=edition.hours_of,
        render=Answers(settings).render,
        booking={"pmr": settings.booking_url_pmr, "pt": settings.booking_url_pt},
    )
    return App(settings, state_url, store, conversation, now)


def edition_of(settings: Settings) -> Edition:
    """The flows, words and program of this checkout under these settings."""
    return Edition(
        flows={name: loaded.hash for name, loaded in load_flows().items()},
        words={language: text_hash(text) for language, text in word_files().items()},
        values={"clinic": settings.clinic_name, "phone": local_form(settings.clinic_phone)},
        links=f"{settings.public_url}/go/",
        opt_out_mode=settings.opt_out_mode,
        voicemail=settings.voicemail,
        zone=settings.clinic_timezone,
        hours=settings.clinic_hours,
        state_hours=settings.state_hours,
        quiet=(settings.quiet_end.isoformat(), settings.quiet_start.isoformat()),
        regions=tuple(settings.allowed_regions),
        program=program_hash(),
    )


def make_web_app(settings: Settings) -> Flask:
    """The web process's Flask app; called in each process after the fork."""
    app = build(settings)
    shelter = make_shelter(app)
    _wait_for_publishing(app, shelter)
    shelter.keep_looking()
    texts, calls = (None, None) if settings.sandbox else (limits(app, TEXTS), limits(app, CALLS))
    return create_app(
        settings,
        shelter,
        shelter,
        ready=shelter.well,
        urgent=urgent_in(app),
        texts=texts,
        calls=calls,
        about=lambda: about_work(app),
        booked=lambda told: shelter.tried(lambda: keep(app.conversation, told)),
    )


def about_work(app: App) -> str:
    """Lines for a monitor: what waits, and whether a worker looks after it. No patient, no version."""
    found = vitals(app.store, app.now(), time.time())
    swept = "never" if found.swept is None else f"{found.swept:.0f} s ago"
    return (
        f"oldest overdue effect: {found.backlog:.0f} s\noverdue effects: {found.overdue}\n"
        f"given up: {found.dead}\nopen tasks: {found.tasks}\nlast relay: {swept}\n"
    )


def urgent_in(app: App) -> Callable[[str], Urgency]:
    """Whether a text is an alarm or an opt-out, in either language."""
    read = app.conversation.clinic.read

    def urgency(said: str) -> Urgency:
        kinds = {read(said, None, one, "sms").kind for one in ("en", "es")}
        return "opt_out" if "opt_out" in kinds else "alarm" if "emergency" in kinds else ""

    return urgency


def limits(app: App, most: Most) -> Limits:
    """For one web process. A patient is known who agreed to something, whom we wrote to, or who has answered a question:
    one command, and only once a limit bites. A store that is away knows everybody, so that what comes is kept."""
    store, now = app.store, app.now

    def known(phone: str) -> bool:
        try:
            raw = store.load(app.conversation.patient_id(phone), "").record
        except AWAY:
            return True
        record = from_bytes(raw) if raw else Record("")
        session = record.session
        talks = session is not None and not session.ended and session.turn > 1
        return talks or bool(record.sent) or record.owner is not None or any(one.granted for one in record.consents)

    def notice(over: str) -> bool:
        name = f"limit.{'texts' if most is TEXTS else 'calls'}.{over}.{int(now() // 3600)}"
        try:
            raise_for_clinic(store, "limit", name, now(), app.settings.alert_channels, once_in=1800)
        except AWAY:
            return False
        return True

    return Limits(time.monotonic, most, known=known, notice=notice)


def go_live(settings: Settings, state_url: str) -> list[str]:
    """Publish this checkout, once for each edition, before it serves anybody; sentences on what changes. Raises
    RefusedError when it lowers care and nobody answers for it, and what a store that is away raises."""
    store = open_store(state_url, settings.secret_keys, settings.buckets)
    published, edition = Published(store.client, store.cipher), edition_of(settings)
    if _is_live(published, edition):
        return []
    from bot.publish import (
        publish,
    )  # only here: the web processes need no proofs, and a start like the last no comparison

    return publish(published, edition, time.time(), anyway="the sandbox" if settings.sandbox else "")


def _is_live(published: Published, edition: Edition) -> bool:
    """Nothing to do, as at every start but the first of a version: all of it is kept, and nothing was published since."""
    log = published.log()
    names = (edition.mark, *edition.flows.values(), *edition.words.values())
    return bool(log) and log[-1]["mark"] == edition.mark and all(published.has(name) for name in names)


def _wait_for_publishing(app: App, shelter: Shelter) -> None:
    """While the store was away at the start, nothing could be compared with the live version: the doors give the static
    answer until it was."""
    published, mark = Published(app.store.client, app.store.cipher), app.conversation.clinic.mark
    try:
        shelter.away = not published.has(mark)
    except AWAY:
        shelter.away = True

    def well() -> bool:
        if not published.has(mark):
            go_live(app.settings, app.state_url)
        return app.store.well()

    if shelter.away:
        shelter.well = well


def make_console_desk(settings: Settings) -> Any:
    """The console process's desk; what staff do and see is in the audit trail before they are answered. Only here is its
    room imported: passwords and codes have no place in the web process."""
    from bot.console.desk import Desk
    from bot.store.audit import Audit, Entry

    app = build(settings)
    trail = Audit(app.store.client, app.store.cipher, settings.data_dir)

    def audit(actor: str, action: str, about: str, detail: str) -> None:
        trail.append(Entry(time.time(), actor, action, about, detail))

    return Desk(settings, app.store, app.conversation, app.now, time.time, audit)


def make_shelter(app: App) -> Shelter:
    """What stands between the doors and the conversation; it does not look after the store by itself yet."""
    reports = Reports(app.store, app.conversation, app.now, _millionths(app.settings.price_per_minute))
    spool = Spool(app.settings.data_dir / "spool", app.store.cipher)
    answers = Answers(app.settings)

    def unread(name: str) -> None:
        channels = app.settings.alert_channels
        raise_for_clinic(app.store, "unread_input", f"unread.{name}", app.now(), channels, once_in=3600)

    return Shelter(app.conversation, reports, spool, answers, well=app.store.well, now=app.now, unread=unread)


def local_form(phone: str) -> str:
    """+17135550100 -> (713) 555-0100, as a patient dials it; other countries stay international."""
    parsed = phonenumbers.parse(phone)
    if parsed.country_code == 1:
        return phonenumbers.format_number(parsed, phonenumbers.PhoneNumberFormat.NATIONAL)
    return phonenumbers.format_number(parsed, phonenumbers.PhoneNumberFormat.INTERNATIONAL)
