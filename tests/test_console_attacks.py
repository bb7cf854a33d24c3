"""What attackers and accidents do to the console: each test fails without its guard. The rest stands in test_console.py."""

from __future__ import annotations

from typing import Any

import pyotp
import pytest

from bot.console.people import PersonError
from bot.outreach.csvout import safe_cell
from bot.store import Task
from bot.store.store import Store
from tests.test_console import SAME, Place, token_of

FORM = {"password": "four quiet words here"}


@pytest.fixture
def place(store: Store, tmp_path: Any) -> Place:
    return Place(store, str(tmp_path))


@pytest.mark.parametrize("cell", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "  =cmd|' /C calc'!A0"])
def test_a_cell_that_a_spreadsheet_would_run_is_text(cell: str) -> None:
    """CSV formula injection."""
    assert safe_cell(cell).startswith("'")
    assert safe_cell("plain - text") == "plain - text"


def test_a_formula_in_a_name_does_not_reach_a_spreadsheet(place: Place) -> None:
    """Through the whole export."""
    place.says("hi")
    nurse = place.person("nurse", "=HYPERLINK(1)")
    client = place.browser(nurse)
    client.post(f"/patients/{place.patient}/claim", data={"csrf": token_of(client), "once": "1"}, headers=SAME)
    given = client.get("/patients.csv").text
    assert "'=HYPERLINK(1)" in given
    assert ",=HYPERLINK" not in given
    assert (nurse.id, "conversations exported", "") in [entry[:3] for entry in place.trail]


def test_a_list_pages_by_cursor_without_losing_or_repeating(place: Place) -> None:
    """Also where many have the same time; in every form."""
    store, lists = place.desk.store, place.desk.lists
    for number in range(130):
        task = Task(f"t{number}", f"p{number}", "person", 2, 100.0 + number // 50)
        store.commit(f"p{number}", "k", "0|", record=b"{}", answer=b"", tasks=[task], now=100.0 + number // 50)
    for page in (lists.recent, lists.open_tasks):
        seen: list[Any] = []
        after: str | None = ""
        while after is not None:
            rows, after = page(after, 20)
            seen += [getattr(row, "patient", None) or row[0] for row in rows]
        assert len(seen) == len(set(seen)) == 130
    assert lists.recent("nonsense", 5)[0] == lists.recent("", 5)[0]


def test_a_body_that_is_too_large_is_refused_in_words_before_it_is_read(place: Place) -> None:
    """Upload bombs."""
    client = place.browser(place.person("nurse", "Ben"))
    answer = client.post("/patients/x/reply", data={"reply": "a" * 70_000}, headers=SAME)
    assert answer.status_code == 413
    assert "64 kB" in answer.text
    bomb = client.post("/sign-in", data=b"0" * 5_000_000, content_type="multipart/form-data; boundary=x", headers=SAME)
    assert bomb.status_code == 413


def test_no_page_may_be_framed_and_no_session_is_adopted_at_sign_in(place: Place) -> None:
    """Clickjacking and session fixation."""
    person = place.person("nurse", "Ben")
    client = place.browser(person)
    answer = client.get("/")
    assert answer.headers["X-Frame-Options"] == "DENY"
    assert "frame-ancestors 'none'" in answer.headers["Content-Security-Policy"]
    before = client.get_cookie("console")
    place.at += 60
    code = pyotp.TOTP(person.secret).at(int(place.at))
    client.post("/sign-in", data={**FORM, "name": "Ben", "code": code}, headers=SAME)
    after = client.get_cookie("console")
    assert before
    assert after
    assert before.value != after.value
    old = place.app.test_client()
    old.set_cookie("console", before.value)
    assert old.get("/").status_code == 303


def test_the_language_button_leads_nowhere_else(place: Place) -> None:
    """No open redirect; and the page is Spanish then."""
    client = place.browser(place.person("viewer", "Ben"))
    away = client.post("/language", data={"language": "es", "back": "//evil.example"}, headers=SAME)
    assert away.headers["Location"] == "/"
    page = client.get("/").text
    assert '<html lang="es">' in page
    assert "Requiere atención" in page


def test_a_second_person_is_another_one_who_was_here_before_and_is_at_the_keyboard(place: Place) -> None:
    """Not oneself, not an account made for it, not without a code, not with a used one."""
    first, second = place.person("manager", "Ana"), place.person("manager", "Ben")
    people, asked = place.desk.people, place.at
    place.at += 60
    late = place.person("manager", "Cem")
    code = pyotp.TOTP(second.secret).at(int(place.at))
    for person, given in ((first, code), (late, code), (second, "000000")):
        with pytest.raises(PersonError):
            people.be_second(person, first.id, asked, given, place.at)
    people.be_second(second, first.id, asked, code, place.at)
    with pytest.raises(PersonError):
        people.be_second(second, first.id, asked, code, place.at)


def test_a_page_that_renews_itself_is_one_view_but_a_first_view_is_always_in_the_trail(place: Place) -> None:
    """Whatever a request says of itself."""
    place.says("hi")
    client = place.browser(place.person("viewer", "Ben"))
    for _ in range(3):
        client.get(f"/patients/{place.patient}", headers={"X-Poll": "1"})
    assert [entry[1] for entry in place.trail].count("patient viewed") == 1
    client.get(f"/patients/{place.patient}")
    assert [entry[1] for entry in place.trail].count("patient viewed") == 2


def test_a_task_is_not_closed_over_words_that_were_not_read(place: Place) -> None:
    """The page is older than the patient's last text; and the same alarm after closing is a task again."""
    place.says("hi")
    place.says("i cant breathe")
    client = place.browser(place.person("nurse", "Ben"))
    task = place.desk.store.tasks()[0]
    path = f"/patients/{place.patient}/tasks/{task.id}/close"
    seen = place.at
    place.says("please help")
    stale = client.post(path, data={"csrf": token_of(client), "seen": str(seen)}, headers=SAME)
    assert stale.status_code == 409
    fresh = client.post(path, data={"csrf": token_of(client), "seen": str(place.at)}, headers=SAME)
    assert fresh.status_code == 303
    again = client.post(path, data={"csrf": token_of(client), "seen": str(place.at)}, headers=SAME)
    assert again.status_code == 409


def test_a_double_press_sends_one_reply_and_a_template_sends_nothing(place: Place) -> None:
    """The same press twice."""
    place.says("hi")
    client = place.browser(place.person("nurse", "Ben"))
    base, token = f"/patients/{place.patient}", token_of(client)
    client.post(f"{base}/claim", data={"csrf": token, "once": "1"}, headers=SAME)
    for _ in range(2):
        client.post(f"{base}/reply", data={"csrf": token, "once": "2", "reply": "hello"}, headers=SAME)
    ready = client.post(f"{base}/reply", data={"csrf": token, "reply": "Good day.", "template": "0"}, headers=SAME)
    assert "Good day. This is Ben" in ready.text
    events = place.desk.store.events(place.patient)
    assert sum(b'"in":"staff"' in event for event in events) == 1
