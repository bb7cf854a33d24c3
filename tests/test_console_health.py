"""The console's pages about the deployment itself: what is wrong and what to do, the switch, settings, flows."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from bot.console.health import _mark
from bot.doctor import faults
from bot.sending import Gate, pause, stops_in_force
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
    gate.worked(1_250_000)
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
