"""The one place where a turn happens: web, workers, console and command line all come through here.

Loads a patient's record, lets turn.py decide, commits everything at once, and runs again when another turn came
between. Decides nothing itself; sends nothing itself.
"""

from __future__ import annotations

import json
import random
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from typing import Any

from bot import calls, late, outgoing, plan, twiml, visits
from bot.alone import Alone
from bot.consent import Hours, Verdict, may_answer_silence, may_still_send
from bot.decide import take
from bot.ledger import Ledger, written
from bot.outgoing import NotYetError, Outgoing
from bot.record import ERASED, GONE, Consent, GoneError, Record, erased_since, from_bytes
from bot.turn import Clinic, Door, Heard, Input, Later, Turn
from bot.undelivered import OPTED_OUT, Lost, settle
from bot.work import with_consent

ATTEMPTS = 20  # compare-and-set rounds before the safe static answer; with jitter none of 8 writers needed more (bench)
CALL_SECONDS = 900.0  # after which a call of ours is asked after; a whole walk takes five minutes
TURN_SECONDS = 2.5  # then the static answer: a slow store must not use up the time Twilio waits

Render = Callable[[Heard], bytes]


class BusyError(RuntimeError):
    """Too many turns of one patient at once; the door gives the safe static answer and the carrier may try again."""


class Conversation:
    """All turns of all patients."""

    def __init__(
        self,
        clinic: Clinic,
        store: Ledger,
        patient_id: Callable[[str], str],
        *,
        now: Callable[[], float],
        hours: Callable[[str], Hours],
        render: Render,
        booking: Mapping[str, str],
    ) -> None:
        self.clinic, self.store, self.patient_id, self.now, self.hours = clinic, store, patient_id, now, hours
        self.render, self.booking, self.alone = render, booking, Alone()

    # -- doors of the patient --

    def hear(
        self,
        phone: str,
        channel: Door,
        said: str,
        key: str,
        *,
        step: str | None = None,
        digits: str | None = None,
        opt_out_type: str | None = None,
    ) -> bytes:
        """One webhook. *key* is MessageSid, or CallSid:step; the same key gives the same bytes for ever. On a call
        *step* None means that it begins. Raises BusyError, and what the store raises when it is away."""
        begins = channel == "voice" and step is None
        given = Input(channel, said, digits, step, opt_out_type, "call" if begins else "said")
        return self.take(phone, given, key)

    def take(self, phone: str, given: Input, key: str) -> bytes:
        """One input of any kind, rendered and stored under *key*."""
        patient = self.patient_id(phone)

        return self._said(phone, key, lambda record, now: take(self.clinic, patient, record, given, now))

    def take_up(self, phone: str, given: Input, key: str, *, came: float, answered: bytes) -> None:
        """An input that came at *came* while the store was away and got the static answer *answered*, which stays the
        answer of its key. Once per key; see late.py for what is made of it."""
        patient, hours = self.patient_id(phone), self.hours(phone)
        if erased_since(self.store.load(patient, key).record, came):
            return

        def decide(record: Record, now: float) -> tuple[Turn, bytes]:
            return late.taken_up(self.clinic, patient, record, given, now, came=came, hours=hours), answered

        stored = self._commit(patient, phone, key, decide)
        text = twiml.text_of(stored.decode()) if stored != answered and given.door == "sms" else None
        if text:

            def send(record: Record, now: float) -> tuple[Turn, bytes]:
                return late.unheard(self.clinic, patient, record, text, now, came=came, hours=hours), b"sent late"

            self._commit(patient, phone, f"late:{key}", send)

    def dialled(self, phone: str, key: str, *, step: str, status: str) -> bytes:
        """A person was dialled for the caller; *status* is how that went."""
        return self._said(phone, key, lambda record, now: calls.dialled(self.clinic, record, step, status, now))

    def wants_message(self, phone: str, key: str, *, step: str, said: str, digits: str | None) -> bytes:
        """The answer to the offer to leave a recorded message."""
        given, patient = Input("voice", said, digits, step), self.patient_id(phone)
        return self._said(
            phone, key, lambda record, now: calls.wants_message(self.clinic, patient, record, step, given, now)
        )

    def left_message(self, phone: str, key: str, *, step: str, recording: str | None) -> bytes:
        """A message was recorded; only its SID is kept. None: nothing was said."""
        return self._said(phone, key, lambda record, now: calls.left_message(self.clinic, record, step, recording, now))

    def picked_up(self, phone: str, key: str, *, effect_id: str, by: str | None) -> bytes:
        """A call of ours was picked up by a human or a machine."""
        patient = self.patient_id(phone)
        return self._said(
            phone, key, lambda record, now: calls.answered(self.clinic, patient, record, effect_id, by, now)
        )

    def opened(self, token: str) -> str | None:
        """The patient pressed the button of a scheduling link: mark it, drop the nudges that wait for it, and give the
        visit type to go to; None for a token that is unknown or expired."""
        link = self.store.link(token)
        if link is None:
            return None

        def decide(record: Record, now: float) -> tuple[Turn, bytes]:
            record = replace(record, facts=record.facts | {"link_opened"})
            record, dropped = plan.pointless(self.clinic, record.but(unanswered=0), "link_opened")
            return self._bare(record, dropped, {"at": now, "in": "link_opened", "visit": link.visit}), b"opened"

        self.told(link.patient, f"open:{token}", decide)
        return self.booking.get(link.visit)

    def link(self, token: str) -> str | None:
        """The visit type of a scheduling link, without opening it."""
        link = self.store.link(token)
        return link.visit if link else None

    # -- doors of the workers --

    def tick(self, patient: str, effect_id: str, body: dict[str, Any]) -> Outgoing:
        """A silence timer ran out. Nothing happens when the patient has moved on since it was set."""
        out: list[Outgoing] = []

        def decide(record: Record, now: float) -> tuple[Turn, bytes]:
            session = record.session
            if record.owner or session is None or session.ended or (session.id, session.turn) != (body["s"], body["t"]):
                out[:] = [Outgoing(record.phone, None, "the patient has moved on")]
                return self._bare(record, (), {}), outgoing.to_bytes(out[0])
            verdict = may_answer_silence(record, self.hours(record.whereabouts), now)
            if verdict.later is not None:
                raise NotYetError(verdict)
            # This very effect is not taken back by its own turn: the carrier may be busy, and then it is tried again.
            record = record.but(planned={name: one for name, one in record.planned.items() if one != effect_id})
            found = take(self.clinic, patient, record, Input("sms", event="silence"), now)
            text = found.heard.text if verdict.go and session.channel == "sms" else None
            out[:] = [Outgoing(record.phone, text, verdict.why)]
            return replace(found, event={**found.event, "fx": effect_id}), outgoing.to_bytes(out[0])

        return self.outgoing(patient, effect_id, decide)

    def follow_up(self, patient: str, effect_id: str, body: dict[str, Any]) -> Outgoing:
        """A planned message is due: its conditions are checked again now, then it is made once and kept (plan.py)."""

        def decide(record: Record, now: float) -> tuple[Turn, bytes]:
            due = plan.due_effect(effect_id, body)
            found = plan.send(self.clinic, patient, record, due, self.hours(record.whereabouts), now)
            if found.turn is None:
                raise NotYetError(Verdict(False, found.why, found.later))
            turn = replace(found.turn, event={**found.turn.event, "fx": effect_id})
            return turn, outgoing.to_bytes(Outgoing(found.phone, found.text, found.why, call=found.call))

        return self.outgoing(patient, effect_id, decide)

    def upcoming(self, patient: str) -> list[plan.Upcoming]:
        """Every message that this patient will get, by the very function that decides when it is due."""
        loaded = self.store.load(patient, "-")
        if loaded.record is None:
            return []
        record = from_bytes(loaded.record)
        effects = [one for one in map(self.store.effect, record.planned.values()) if one is not None]
        planned = [(one.id, one.kind, one.due, json.loads(one.body)) for one in effects]
        return plan.upcoming(self.clinic, record, planned, self.hours(record.whereabouts), self.now())

    def visit(self, phone: str, key: str, happened: visits.Happened, at: float = 0.0) -> None:
        """A visit was booked for *at*, moved to it, cancelled or missed: once per *key* (visits.py)."""
        patient = self.patient_id(phone)

        def decide(record: Record, now: float) -> tuple[Turn, bytes]:
            return visits.told(self.clinic, patient, record, happened, at, now), b"told"

        self._commit(patient, phone, f"visit:{key}", decide)

    def agree(self, phone: str, key: str, consents: tuple[Consent, ...], zip_code: str = "") -> None:
        """Somebody else recorded what a patient agreed to or refused (a form, a file, staff): once per *key*."""

        def decide(record: Record, now: float) -> tuple[Turn, bytes]:
            kept = record.consents
            for one in consents:
                kept = with_consent(kept, one)
            event = {"at": now, "in": "consent", "consents": [list(one) for one in consents]}
            return self._bare(record.but(consents=kept, zip_code=zip_code or record.zip_code), (), event), b"agreed"

        self._commit(self.patient_id(phone), phone, f"agree:{key}", decide)

    def asked_for(self, patient: str, effect_id: str, body: dict[str, Any]) -> Outgoing:
        """The one text that a caller asked for during the call: their key press is the consent for it."""

        def decide(record: Record, now: float) -> tuple[Turn, bytes]:
            taken = "a person has taken over" if record.owner and "by" not in body else ""
            why = "opted out" if record.opted_out else taken
            why = why or ("a landline takes no texts" if "landline" in record.facts else "")
            why = why or ("" if record.consents_to(body["needs"]) else "no consent") if "needs" in body else why
            record = record.but(planned={name: one for name, one in record.planned.items() if one != effect_id})
            allowed = not why and record.phone.startswith("+")
            out = Outgoing(record.phone, body["body"] if allowed else None, why or "asked for")
            event = {"at": now, "in": "text", "says": [out.body], "why": out.why, "fx": effect_id}
            return self._bare(record, (), event), outgoing.to_bytes(out)

        return self.outgoing(patient, effect_id, decide)

    def place_call(self, patient: str, effect_id: str, body: dict[str, Any]) -> Outgoing:
        """A planned call is due: whether to place it now."""

        def decide(record: Record, now: float) -> tuple[Turn, bytes]:
            found = calls.place(
                self.clinic,
                record,
                effect_id,
                body["f"],
                body.get("needs", "follow_up"),
                self.hours(record.whereabouts),
                now,
            )
            if found.later is not None:
                raise NotYetError(Verdict(False, found.why, found.later))
            return found.turn, outgoing.to_bytes(
                Outgoing(found.phone or "", None, found.why, call=found.phone is not None)
            )

        return self.outgoing(patient, effect_id, decide)

    def call_over(self, patient: str, effect_id: str, status: str, by: str | None) -> None:
        """A call of ours has ended: when nobody spoke with us, the text instead, or a task."""

        def decide(record: Record, now: float) -> tuple[Turn, bytes]:
            return calls.over(self.clinic, patient, record, effect_id, status, by, now), b"over"

        self.told(patient, f"over:{effect_id}", decide)

    def note(self, patient: str, key: str, *, tasks: tuple[str, ...] = (), why: str = "", phone: str = "") -> None:
        """Something became known outside a conversation: once per key. *phone* is kept for a patient who was never heard
        of."""

        def decide(record: Record, now: float) -> tuple[Turn, bytes]:
            event = {"at": now, "in": "note", "why": why, "tasks": list(tasks), "opted_out": False}
            return replace(self._bare(record, (), event), tasks=tasks), b"noted"

        self.told(patient, key, decide, phone)

    def not_arrived(self, patient: str, key: str, lost: Lost, phone: str = "") -> bool:
        """A text of ours did not arrive (undelivered.py): once per key. True: it will be sent again, or a call placed
        instead. *phone* as for `note`."""

        def decide(record: Record, now: float) -> tuple[Turn, bytes]:
            found = settle(self.clinic, patient, record, lost, now)
            return found, b"again" if found.later else b"noted"

        # A STOP that is learnt of late counts for an erased patient too; their record stays bare.
        return self.told(patient, key, decide, phone, bare=lost.code == OPTED_OUT) == b"again"

    def flooded(self, phone: str, key: str, *, alone: bool = True) -> None:
        """A text or call of *phone* was over a limit and was not taken: a person looks. Once per key. *alone*: over its
        own limit, which is about this patient; else too many came at once."""
        task = "flood" if alone else "not_read"
        self.note(self.patient_id(phone), key, tasks=(task,), why="over a limit", phone=phone)

    def still(
        self, patient: str, effect_id: str, kind: str, told: Mapping[str, Any], kept: bytes | None, *, call: bool
    ) -> Verdict:
        """Whether what was decided may leave now; asked right before the carrier, of the record that is *kept* now. The
        log says what was kept back."""
        record, now = from_bytes(kept) if kept else Record(""), self.now()
        verdict = may_still_send(record, kind, told, self.hours, now, call=call)
        since = plan.overtaken(self.clinic, record, plan.due_effect(effect_id, told)) if kind == "follow_up" else None
        verdict = Verdict(False, since) if since else verdict
        if not verdict.go and verdict.later is None:
            self.kept_back(patient, effect_id, verdict.why)
        return verdict

    def kept_back(self, patient: str, effect_id: str, why: str) -> None:
        """What was decided to be sent does not leave: the log says so, once."""
        event = {"in": "not_sent", "fx": effect_id, "why": why}
        self._commit(
            patient, "", f"kept:{effect_id}", lambda at, now: (self._bare(at, (), {"at": now, **event}), b"kept")
        )

    def staff_turn(
        self, patient: str, key: str, decide: Callable[[Record, float], tuple[Turn, bytes]], phone: str = ""
    ) -> bytes:
        """A commit by a member of staff (bot/takeover.py), stored under *key* like any turn. *phone*: of a new patient."""
        try:
            return self._commit(patient, phone, key, decide)
        except GoneError as gone:
            return json.dumps([False, str(gone), None]).encode()

    # -- inside --

    def told(
        self,
        patient: str,
        key: str,
        decide: Callable[[Record, float], tuple[Turn, bytes]],
        phone: str = "",
        *,
        bare: bool = False,
    ) -> bytes | None:
        """Something that came about a patient, not from them: of one who was erased nothing is kept."""
        with suppress(GoneError):
            return self._commit(patient, phone, key, decide, bare=bare)
        return None

    def _said(self, phone: str, key: str, decide: Callable[[Record, float], Turn]) -> bytes:
        """One turn on a call, rendered and stored under *key*."""

        def both(record: Record, now: float) -> tuple[Turn, bytes]:
            found = decide(record, now)
            return found, self.render(found.heard)

        return self._commit(self.patient_id(phone), phone, key, both)

    def _bare(self, record: Record, dropped: tuple[str, ...], event: dict[str, Any]) -> Turn:
        session = record.session
        heard = Heard("sms", session.language if session else "en", silent=True, session=session)
        return Turn(record, heard, dropped=dropped, event=event)

    def outgoing(self, patient: str, effect_id: str, decide: Callable[[Record, float], tuple[Turn, bytes]]) -> Outgoing:
        """What *decide* found to send for a due effect, decided once; nothing for a patient who was erased."""

        def not_itself(record: Record, now: float) -> tuple[Turn, bytes]:
            # Its own turn takes back the open question's timer, which is this very effect: it is still to be sent.
            found, answer = decide(record, now)
            later = found.later
            if outgoing.from_bytes(answer).call:
                later = (
                    *later,
                    Later(self.clinic.new_effect(patient), "call_end", now + CALL_SECONDS, {"of": effect_id}),
                )
            return replace(found, later=later, dropped=tuple(one for one in found.dropped if one != effect_id)), answer

        try:
            raw = self._commit(patient, "", outgoing.key_of(effect_id), not_itself)
        except NotYetError as put_off:
            return Outgoing("", None, put_off.verdict.why, put_off.verdict.later)
        except GoneError as gone:
            return Outgoing("", None, str(gone))
        return outgoing.from_bytes(raw)

    def _commit(
        self,
        patient: str,
        phone: str,
        key: str,
        decide: Callable[[Record, float], tuple[Turn, bytes]],
        *,
        bare: bool = False,
    ) -> bytes:
        until = time.monotonic() + TURN_SECONDS
        with self.alone.of(patient, TURN_SECONDS / 2):
            for attempt in range(ATTEMPTS):
                if time.monotonic() > until:
                    break
                loaded = self.store.load(patient, key)
                if loaded.answer is not None:
                    return bytes(loaded.answer)
                record = from_bytes(loaded.record) if loaded.record else Record(phone)
                if ERASED in record.facts and not bare:
                    if not phone:
                        raise GoneError(GONE)
                    record = record.but(phone=phone, facts=record.facts - {ERASED})
                now = round(self.now(), 3)  # a millisecond is enough, and half the digits in all that is kept
                found, answer = decide(record, now)
                more = written(patient, record, found, self.clinic, now)
                done = self.store.commit(patient, key, loaded.version, now=now, answer=answer, **more)
                if done.status == "ok":
                    return answer
                if done.status == "seen":
                    return bytes(done.answer or b"")
                time.sleep(random.random() * 0.004 * (attempt + 1))  # noqa: S311  # jitter, not a secret
        raise BusyError("This patient's conversation is busy; try again.")
