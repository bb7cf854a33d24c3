"""A clinic that can be called: the local Twilio, the bot behind signed webhooks, and the worker's office."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from bot.followups import Office, carry_out
from bot.record import Consent, Record, from_bytes, to_bytes
from bot.reports import Reports
from bot.sandbox.player import Call
from bot.settings import Settings
from bot.store import Effect
from bot.store.store import Store
from bot.web import create_app
from bot.wiring import App, put_together
from tests.sandbox_stage import ACCOUNT, OURS, PATIENT, TOKEN, Stage

NURSE = "+17135550111"
CHICAGO = ZoneInfo("America/Chicago")


def monday_noon() -> float:
    """The next one: the sandbox's clock only moves forward."""
    noon = datetime.now(CHICAGO).replace(hour=12, minute=0, second=0, microsecond=0)
    return (noon + timedelta(days=7 - noon.weekday())).timestamp()


@dataclass
class Line:
    """The local Twilio, the bot behind it, and the worker's office."""

    stage: Stage
    app: App
    store: Store
    office: Office

    def call(self, phone: str = PATIENT) -> Call:
        return self.stage.sandbox.call_in(phone)

    def record(self, phone: str = PATIENT) -> Record:
        return from_bytes(self.store.load(self.patient(phone), "-").record or b"")

    def patient(self, phone: str = PATIENT) -> str:
        return self.store.cipher.patient_id(phone)

    def tasks(self) -> list[str]:
        return [task.kind for task in self.store.tasks()]

    def work(self) -> list[str]:
        """Everything due now is done, as a worker would."""
        self.stage.sandbox.settle()
        done = []
        for bucket in range(self.store.buckets):
            for claim in self.store.claim(bucket, self.stage.clock()):
                begun = self.store.begin(claim)
                result = carry_out(self.office, claim, begun)
                if result.status == "put_off":
                    self.store.put_off(claim.id, result.at, fresh=result.fresh, unsure=result.unsure)
                else:
                    self.store.finish(claim.id)
                done.append(f"{begun.kind}: {result.status}")
        self.stage.sandbox.settle()
        return done

    def texts(self, phone: str = PATIENT) -> list[str]:
        return [one.body for one in self.stage.sandbox.messages.values() if one.to == phone]

    def plan_call(self, phone: str = PATIENT, flow: str = "call", **record: object) -> str:
        """A call is planned for a patient who agreed to follow-ups; *flow* is what whoever picks up is asked."""
        effect, patient = self.store.new_effect_id(self.patient(phone)), self.patient(phone)
        consents = (Consent("follow_up", True, 1.0, "test"),)
        kept = Record(phone, consents=consents, **record)  # type: ignore[arg-type]
        body = f'{{"p": "{patient}", "f": "{flow}", "n": "call"}}'.encode()
        version = self.store.load(patient, effect).version
        now = self.stage.clock()
        self.store.commit(
            patient, effect, version, record=to_bytes(kept), answer=b"-", effects=[Effect(effect, "call", now, body)],
            now=now,
        )  # fmt: skip
        return effect


@pytest.fixture
def line(tmp_path: Path, store: Store, request: pytest.FixtureRequest) -> Iterator[Line]:
    """One clinic, open at noon; the marker-free way to other settings is ``indirect`` with a mapping."""
    changes: dict[str, str] = getattr(request, "param", {})
    apps: list[App] = []

    def bot(public_url: str) -> object:
        settings = Settings.load(
            {
                "SANDBOX": "true", "DATA_DIR": str(tmp_path), "PUBLIC_URL": public_url, "TWILIO_ACCOUNT_SID": ACCOUNT,
                "TWILIO_AUTH_TOKENS": TOKEN, "TWILIO_FROM": OURS, "CLINIC_PHONE": "+17135550100", "NURSE_LINE": NURSE,
            } | changes
        )  # fmt: skip
        app = put_together(settings, "", store, lambda: stage[0].clock())
        apps.append(app)
        return create_app(settings, app.conversation, Reports(store, app.conversation, app.now)).wsgi_app

    stage: list[Stage] = []
    with Stage(tmp_path, bot=bot, call_status_path="/call-status") as opened:
        stage.append(opened)
        opened.clock.advance(monday_noon() - opened.clock())
        office = apps[0].office()
        office.carrier.client.api.base_url = f"http://127.0.0.1:{opened.port}"
        yield Line(opened, apps[0], store, office)
        office.carrier.client.http_client.session.close()
