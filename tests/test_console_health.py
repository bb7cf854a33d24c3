"""The console's pages about the deployment itself: what is wrong and what to do, the switch, settings, flows."""

from __future__ import annotations

import hashlib
import hmac
import json
import re
from pathlib import Path

import pytest

from bot.alerts import raise_for_clinic
from bot.console.health import _mark
from bot.doctor import faults
from bot.proved import FILE, _version
from bot.sending import Gate, pause, stops_in_force
from bot.settings import Settings
from bot.store.store import Store
from tests.test_console import SAME, Place, token_of


@pytest.fixture
def place(store: Store, tmp_path: Path) -> Place:
    return Place(store, str(tmp_path))


def spanish() -> dict[str, str]:
    return {"Accept-Language": "es"}


def test_health_names_what_the_doctor_finds_in_both_languages(place: Place) -> None:
    """One source: every finding of the command stands on the page."""
    client = place.browser(place.person("viewer", "Vic"))
    english, other = client.get("/health").text, client.get("/health", headers=spanish()).text
    given = faults(place.desk.settings, place.desk.store, place.at, place.at)
    found = [str(one) for one in given if "clock" not in one.says]  # whose seconds pass
    assert found
    for one in found:
        assert one.replace("'", "&#39;") in english
        assert one.replace("'", "&#39;") not in other
    assert "Ningún proceso de trabajo ha buscado trabajo nunca" in other
    assert "/health/pause" not in english, "a viewer has no switch"


def test_a_task_about_the_clinic_itself_is_closed_by_a_nurse_and_a_stop_only_by_resuming(place: Place) -> None:
    """Its alert would ring for ever else. A viewer may not, and the trail says who did."""
    store = place.desk.store
    raise_for_clinic(store, "fault", "fault.x", place.at, ())
    Gate(store, lambda: place.at, limit=0, zone=place.desk.zone).refused(20003)
    stop = next(task for task in store.tasks() if task.kind == "configuration")
    viewer, nurse = place.browser(place.person("viewer", "Vic")), place.browser(place.person("nurse", "Ben"))
    page = nurse.get("/").text
    assert 'action="/tasks/fault.x/close"' in page
    assert f"/tasks/{stop.id}/close" not in page
    assert 'href="/health"' in page
    assert "/tasks/" not in viewer.get("/").text
    data = {"csrf": token_of(viewer)}
    assert viewer.post("/tasks/fault.x/close", data=data, headers=SAME).status_code == 403
    for name in ("fault.x", "fault.x", stop.id, "nothing"):
        data = {"csrf": token_of(nurse)}
        assert nurse.post(f"/tasks/{name}/close", data=data, headers=SAME).status_code == 303
    assert [task.kind for task in store.tasks()] == ["configuration"]


def test_a_manager_stops_sending_for_a_reason_and_lets_it_go_on(place: Place) -> None:
    """Audited, once, under the person's name; a viewer and a nurse may not."""
    store, manager = place.desk.store, place.person("manager", "Mia")
    nurse = place.browser(place.person("nurse", "Ben"))
    form = {"csrf": token_of(nurse), "reason": "wrong text"}
    assert nurse.post("/health/pause", data=form, headers=SAME).status_code == 403
    client = place.browser(manager)
    form = {"csrf": token_of(client), "reason": " "}
    refused = client.post("/health/pause", data=form, headers=SAME)
    assert (refused.status_code, "Say why" in refused.text) == (422, True)
    assert not stops_in_force(store, place.at)
    for reason in ("wrong <b>text</b>", "pressed twice"):
        assert client.post("/health/pause", data={**form, "reason": reason}, headers=SAME).status_code == 303
    assert [(stop.why, stop.by) for stop in stops_in_force(store, place.at)] == [("wrong <b>text</b>", manager.id)]
    shown = client.get("/health").text
    assert "wrong &lt;b&gt;text&lt;/b&gt;" in shown
    assert "Mia:" in shown
    seen = re.search(r'name="seen" value="([^"]+)"', shown)
    assert seen
    for _ in range(2):
        form = {"csrf": form["csrf"], "seen": seen.group(1)}
        assert client.post("/health/resume", data=form, headers=SAME).status_code == 303
    assert not stops_in_force(store, place.at)
    acts = [(actor, action) for actor, action, *_ in place.trail]
    assert acts.count((manager.id, "pause sending")) == 3
    assert acts.count((manager.id, "resume sending")) == 2
    assert not [entry for entry in place.trail if "wrong" in "".join(entry)]


def test_what_stopped_sending_meanwhile_is_read_before_it_is_lifted(place: Place) -> None:
    """A manager who lifts a colleague's stop does not lift the carrier's refusal unseen."""
    store, client = place.desk.store, place.browser(place.person("manager", "Mia"))
    pause(store, "lunch", "somebody", place.at)
    seen = _mark(stops_in_force(store, place.at))
    Gate(store, lambda: place.at, limit=0, zone=place.desk.zone).refused(20003)
    answer = client.post("/health/resume", data={"csrf": token_of(client), "seen": seen}, headers=SAME)
    assert answer.status_code == 409
    assert len(stops_in_force(store, place.at)) == 2
    assert "(code 20003)" in answer.text
    assert "TWILIO_ACCOUNT_SID" in answer.text


def test_spending_and_failures_of_today_are_told(place: Place) -> None:
    """Against the limit; failures in a row until the carrier rests."""
    gate = Gate(place.desk.store, lambda: place.at, limit=1, zone=place.desk.zone)
    gate.worked(1_250_000, "text", "", "e0")
    gate.failed()
    assert not gate.affords(1)
    shown = place.browser(place.person("viewer", "Vic")).get("/health").text
    assert "1.25 of 50.00" in shown
    assert "<dd>1</dd>" in shown
    assert "Who lets it go on now allows the same amount once more today." in shown


def test_a_store_that_is_away_is_a_page_that_says_so(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """No stack trace, and no page that says that nothing is wrong."""
    from redis.exceptions import ConnectionError as AwayError

    client = place.browser(place.person("viewer", "Vic"))

    def away(*_: object, **__: object) -> None:
        raise AwayError

    monkeypatch.setattr("bot.console.health.vitals", away)
    answer = client.get("/health")
    assert answer.status_code == 503
    assert "Nothing is wrong" not in answer.text


def test_settings_are_shown_with_their_origin_and_without_secrets(
    place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of an environment over a .env file; a password in an address is a secret too."""
    monkeypatch.chdir(tmp_path)
    key, token, password = "ab" * 32, "cd" * 16, "pass:w@rd"
    (tmp_path / ".env").write_text(f"SECRET_KEY={key}\nCLINIC_NAME=From File\nCLINIC_HOURS=Mo-Fr 09:00-12:00\n")
    values = {"SANDBOX": "1", "DATA_DIR": str(tmp_path), "TWILIO_AUTH_TOKENS": token, "CLINIC_NAME": "Clinic <i>",
              "REDIS_URL": f"redis://me:{password}@127.0.0.1:7000/1?password=other-secret",
              "ALERT_URL": "https://hooks.example/T0KEN-in-the-path", "ALERT_SECRET": "ef" * 32,
              "ALERT_EMAIL": "desk@clinic.example", "SMTP_URL": "smtps://desk:mail-secret@mail.clinic.example"}  # fmt: skip
    for name, value in values.items():
        monkeypatch.setenv(name, value)
    made = Settings.load()
    object.__setattr__(place.desk, "settings", made)
    client = place.browser(place.person("administrator", "Ada"))
    shown = client.get("/settings").text
    for secret in (key, token, password, "w@rd", "other-secret", "T0KEN", "ef" * 32, "mail-secret"):
        assert secret not in shown
    assert "redis://127.0.0.1:7000<" in shown
    assert "https://hooks.example<" in shown
    assert "Clinic &lt;i&gt;" in shown
    origins = {name: made.origin(name) for name in ("state_url", "clinic_name", "clinic_hours", "secret_key")}
    assert origins == {"state_url": "environment", "clinic_name": "environment", "clinic_hours": ".env",
                       "secret_key": ".env"}  # fmt: skip
    assert (made.origin("public_url"), made.origin("buckets")) == ("sandbox", "default")
    assert "Puerto de la consola del personal" in client.get("/settings", headers=spanish()).text


def test_a_flow_is_shown_with_its_picture_and_what_was_proved(place: Place, tmp_path: Path) -> None:
    """Without a proof on this machine the page says so, and claims nothing."""
    client = place.browser(place.person("viewer", "Vic"))
    flows = place.conversation.clinic.flows
    assert "This machine keeps no proof" in client.get("/flows").text
    mark = hmac.new(place.desk.settings.secret_keys[0], _version(flows), hashlib.sha256).hexdigest()
    counts = {"triage": {"invariants": 78, "configurations": 2346, "turns": 23759}}
    (tmp_path / FILE).write_text(json.dumps({"proved": mark, "counts": counts}))
    shown = client.get("/flows/triage").text
    assert "78 safety rules hold on every way through (23,759 turns from 2,346 situations" in shown
    assert flows["triage"].hash in shown
    assert "style=" not in shown
    assert "Proved before it was served: its safety rules hold" in client.get("/flows/call").text
    drawn = client.get("/flows/triage/picture.svg")
    assert drawn.content_type.startswith("image/svg+xml")
    assert "style=" not in drawn.text
    assert "<script" not in drawn.text
    assert client.get("/flows/nothing").status_code == 404
    assert client.get("/flows/nothing/picture.svg").status_code == 404
