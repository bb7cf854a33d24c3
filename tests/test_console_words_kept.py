"""The page of a conversation is one form: whatever is pressed, what is typed beside it stays. And nothing that a patient
writes while somebody has them is out of sight."""

from __future__ import annotations

import html
import re
from typing import Any

import pytest
from flask.testing import FlaskClient

from bot.console.routes import ROUTES
from bot.sending import pause
from bot.store import Task
from bot.store.signs import note_sweep
from bot.store.store import Store
from bot.takeover import TakeOver
from tests.outreach_stage import rows
from tests.test_console import SAME, Place, token_of
from tests.test_console_loss import Lonely, act, alone, fields, sent_replies, sign_in
from tests.test_console_outreach import given

__all__ = ["alone"]  # a fixture
HALF = {"reply": 'half a <reply> & "more"', "note": "half a note"}


@pytest.fixture
def place(store: Store, tmp_path: Any) -> Place:
    return Place(store, str(tmp_path))


@pytest.fixture
def nurse(place: Place) -> FlaskClient:
    """Ben, and a patient who asked for a person."""
    place.says("hi")
    place.says("can i talk to a person")
    return place.browser(place.person("nurse", "Ben"))


def seen(page: str) -> str:
    """Up to when this page shows what the patient wrote."""
    found = re.search(r'name="seen" value="([^"]+)"', page)
    assert found
    return found.group(1)


def open_tasks(place: Place) -> list[str]:
    return [task.kind for task in place.desk.lists.tasks_of(place.patient) if task.closed_by is None]


# -- what is typed stays --


def buttons(page: str) -> list[tuple[str, dict[str, str]]]:
    """Every button of the page's one form: where it leads, and what it says besides."""
    found = []
    for tag in re.findall(r'<button form="words"[^>]*>', page):
        more = dict(re.findall(r'(name|value)="([^"]*)"', tag))
        found.append(
            (tag.partition('formaction="')[2].partition('"')[0], {more["name"]: more["value"]} if more else {})
        )
    return found


def test_whatever_is_pressed_in_a_conversation_what_is_typed_beside_it_stays(place: Place, nurse: FlaskClient) -> None:
    """A reply and a note, both half typed, through every button of the page; only what a button sends leaves its field."""
    here, pressed = f"/patients/{place.patient}", set()
    for round_ in range(3):
        ends = ("release", "finish", "claim") if round_ else ("finish", "claim")
        for path, more in sorted(buttons(nurse.get(here).text), key=lambda one: one[0].endswith(ends)):
            page = nurse.get(here).text
            form = {**fields(page), "csrf": token_of(nurse), **HALF, **more}
            shown = nurse.post(path, data=form, headers=SAME)
            what = path.rpartition("/")[2]
            pressed.add(what)
            assert shown.status_code in (200, 409), (round_, path)
            kept = {name: html.unescape(words) for name, words in
                    re.findall(r'<textarea name="(\w+)"[^>]*>([^<]*)</textarea>', shown.text)}  # fmt: skip
            left = {} if shown.status_code == 409 else {what: ""}
            for name in ("reply", "note"):
                assert kept.get(name, "") in ({**HALF, **left}[name], HALF[name] if more.get("template") else None) or (
                    more.get("template") and kept[name].startswith(HALF[name])
                ), (path, name, kept)
    doors = {route.rule.rpartition("/")[2] for route in ROUTES if route.rule.startswith("/patients/<patient>/")}
    assert pressed == doors
    assert sent_replies(place) >= 1


def test_other_words_from_a_page_that_the_way_back_showed_again_are_another_text(
    place: Place, nurse: FlaskClient
) -> None:
    """The same words once more are the same press; other words were never answered with "sent" and not sent."""
    act(place, nurse, "claim", once="c")
    for words in ("first", "first", "second"):
        act(place, nurse, "reply", once="p", reply=words)
        act(place, nurse, "note", once="p", note=words)
    assert sent_replies(place) == 2
    assert sum(b'"in":"staff_note"' in event for event in place.desk.store.events(place.patient)) == 2


def test_what_is_too_long_is_said_and_kept_whole(place: Place, nurse: FlaskClient) -> None:
    """Nothing is cut in silence; a line's end counts once, as the browser counts it."""
    act(place, nurse, "claim", once="c")
    for field, most in (("reply", 640), ("note", 1000)):
        fits = "line\r\n" * 5 + "x" * (most - 25)
        long = act(place, nurse, field, once=f"{field}1", **{field: fits + "y"})
        assert long.status_code == 422
        assert f"at most {most} characters" in long.text
        assert fields(long.text)[field].replace("\r\n", "\n") == fits.replace("\r\n", "\n") + "y"
        assert act(place, nurse, field, once=f"{field}2", **{field: fits}).status_code == 303
    whole = act(place, nurse, "reply", reply="z" * 630, template="0")  # a ready sentence is not cut off either
    assert fields(whole.text)["reply"].startswith("z" * 630 + " This is Ben")
    assert fields(whole.text)["reply"].endswith("I am calling you now.")
    assert any(b'"in":"staff"' in event and b"x" * 615 in event for event in place.desk.store.events(place.patient))


@pytest.mark.parametrize("kept", ['[["reply", "\\ud800"]]', "[[[[", '{"a": 1}', "[1]", "[" * 3000, "null", "\x00"])
def test_whatever_comes_back_through_the_sign_in_is_a_page(place: Place, nurse: FlaskClient, kept: str) -> None:
    """Halves of characters, broken and deep JSON."""
    person = place.desk.people.everybody()[0]
    back = sign_in(place, nurse, person, kept_path=f"/patients/{place.patient}/reply", kept_form=kept)
    assert back.status_code in (200, 303)


def test_a_file_that_comes_while_the_store_is_away_or_after_the_session_is_asked_for_again(alone: Lonely) -> None:
    """A browser does not hand a file on, so the page has a place for it, and its form takes a file."""
    person = alone.person("manager", "Mia")
    client = alone.browser(person)
    token, body = token_of(client), {"csrf": "", "file": ("a.csv", rows(2).encode())}

    def send() -> Any:
        whole = f'--e\r\nContent-Disposition: form-data; name="csrf"\r\n\r\n{token}\r\n--e\r\nContent-Disposition: form-data; '
        whole += f'name="file"; filename="a.csv"\r\n\r\n{body["file"][1].decode()}\r\n--e--\r\n'  # type: ignore[union-attr]
        kind = "multipart/form-data; boundary=e"
        return client.post("/outreach/new", data=whole.encode(), content_type=kind, headers=SAME)

    alone.server.stop()
    away = send()
    assert away.status_code == 503
    assert 'enctype="multipart/form-data"' in away.text
    assert '<input type="file" name="file" required>' in away.text
    alone.server.start()
    assert fields(away.text)["csrf"] == token  # so the same form, with the file, is taken now
    assert given(client, rows(2)).status_code == 303
    alone.at += 3600
    out = send()
    assert out.status_code == 401
    assert "Choose the file once more" in out.text
    back = sign_in(alone, client, person, kept_path=fields(out.text)["kept_path"], kept_form="")
    assert back.headers["Location"] == "/outreach/new"


def test_a_link_in_a_mail_opens_for_who_is_signed_in(place: Place, nurse: FlaskClient) -> None:
    """Its site keeps the cookie back; a page of ours comes between, whose next request carries it. No form is taken so."""
    here = f"/patients/{place.patient}?a=1"
    from_mail = place.app.test_client().get(here, headers={"Sec-Fetch-Site": "cross-site"})
    assert (from_mail.status_code, from_mail.headers["Refresh"]) == (200, "0")
    assert 'href="/patients/' in from_mail.text
    assert "can i talk" not in from_mail.text
    assert place.app.test_client().get(here, headers=SAME).status_code == 303
    sent = place.app.test_client().post(
        f"/patients/{place.patient}/claim", data={"a": "b"}, headers={"Sec-Fetch-Site": "cross-site"}
    )
    assert sent.status_code == 403


# -- taking over from somebody --


def test_a_conversation_is_taken_from_somebody_who_went_home_by_name_alone(place: Place, nurse: FlaskClient) -> None:
    """The button names who loses it; if by then it is somebody else's, nothing happens. Both names are in the log."""
    act(place, nurse, "claim", once="c1")
    ben = next(one for one in place.desk.people.everybody() if one.name == "Ben")
    ada, cem = (place.browser(place.person("nurse", name)) for name in ("Ada", "Cem"))
    page = ada.get(f"/patients/{place.patient}").text
    assert "Take over from Ben" in page
    assert act(place, ada, "claim", once="a1").status_code == 409  # not without the name
    assert act(place, ada, "claim", once="a2", after=ben.id).status_code == 303
    late = act(place, cem, "claim", once="m1", after=ben.id)
    assert late.status_code == 409
    assert "Ada has it now." in late.text
    assert act(place, nurse, "reply", once="r1", reply="hello").status_code == 409
    assert act(place, ada, "reply", once="r2", reply="hello").status_code == 303
    assert "Ada took over from Ben." in ada.get(f"/patients/{place.patient}").text


# -- what a patient writes meanwhile --


def test_what_a_patient_writes_to_who_has_taken_over_is_one_task_until_it_is_answered(
    place: Place, nurse: FlaskClient
) -> None:
    """Also when the first task is done, and when nobody ever looks; three texts are one task."""
    here = f"/patients/{place.patient}"
    act(place, nurse, "claim", once="c1")
    act(place, nurse, f"tasks/{place.desk.store.tasks()[0].id}/close")
    assert open_tasks(place) == []
    for text in ("tuesday", "or friday", "hello?"):
        place.says(text)
        assert place.heard[-1] is None
    assert open_tasks(place) == ["wrote"]
    assert "wrote to the person who has taken over" in nurse.get("/").text
    old = seen(nurse.get(here).text)
    place.says("are you there")
    act(place, nurse, "reply", once="r1", reply="yes", seen=old)
    assert open_tasks(place) == ["wrote"]  # the last one came after her page, so she has not read it
    read = {"once": "r2", "reply": "yes!", "seen": seen(nurse.get(here).text)}
    act(place, nurse, "reply", **read)
    assert open_tasks(place) == []
    place.says("thanks")
    assert open_tasks(place) == ["wrote"]
    act(place, nurse, "reply", **read)  # a second press of long ago
    assert open_tasks(place) == ["wrote"]
    assert sent_replies(place) == 2


def test_done_is_not_done_over_a_word_that_comes_in_between(place: Place, nurse: FlaskClient) -> None:
    """The patient writes while the button is pressed, at each step of it: what was not read is a task."""
    act(place, nurse, "claim", once="c1")
    store = place.desk.store
    for task in store.tasks():
        store.close_task(task, "x")
    for step in range(12):
        place.says(f"first {step}")
        page = nurse.get(f"/patients/{place.patient}").text
        task = next(one for one in store.tasks() if one.kind == "wrote")
        interrupted = Interrupting(place, step)
        try:
            act(place, nurse, f"tasks/{task.id}/close", once=f"d{step}", seen=seen(page))
        finally:
            interrupted.stop()
        assert open_tasks(place) == (["wrote"] if interrupted.left < 0 else []), step
        place.says(f"last {step}")
        assert open_tasks(place) == ["wrote"], step
        hands, record = TakeOver(place.conversation), nurse.get(f"/patients/{place.patient}").text
        assert hands.reply(place.patient, place.desk.people.everybody()[0].id, "ok", f"z{step}", seen=seen(record)).read
        for one in store.tasks():
            store.close_task(one, "x")


class Interrupting:
    """The patient writes right before the store's *step*th command from here on."""

    def __init__(self, place: Place, step: int) -> None:
        self.place, self.left = place, step
        self.store = place.desk.store
        self.load, self.close = self.store.load, self.store.close_task
        self.store.load = self._before(self.load)  # type: ignore[method-assign]
        self.store.close_task = self._before(self.close)  # type: ignore[method-assign]

    def _before(self, real: Any) -> Any:
        def step(*args: Any, **named: Any) -> Any:
            self.left -= 1
            if self.left == -1:
                self.place.says("in between")
            return real(*args, **named)

        return step

    def stop(self) -> None:
        del self.store.load
        del self.store.close_task


def test_an_emergency_written_to_who_has_taken_over_is_its_own_task_each_time(place: Place, nurse: FlaskClient) -> None:
    """Never hidden by the other."""
    act(place, nurse, "claim", once="c1")
    place.says("tuesday")
    place.says("i cant breathe")
    assert sorted(open_tasks(place)) == ["emergency", "person", "wrote"]


@pytest.mark.parametrize(("language", "says"), [("en", "No worker runs"), ("es", "No funciona ningún proceso")])
def test_a_dead_worker_is_said_where_nurses_look(place: Place, nurse: FlaskClient, language: str, says: str) -> None:
    """On the landing page and beside the reply, until one looks for work; a stop by staff is said first."""
    nurse.set_cookie("console-language", language)
    act(place, nurse, "claim", once="c1")
    for path in ("/", f"/patients/{place.patient}"):
        assert says in nurse.get(path).text
        note_sweep(place.desk.store, place.at)
        assert says not in nurse.get(path).text
        place.at += 120
        assert says in nurse.get(path).text
    pause(place.desk.store, "wrong text", "mia", place.at)
    assert says not in nurse.get("/").text


def test_with_ten_thousand_tasks_one_is_found_without_reading_all(place: Place) -> None:
    """The clinic's own task is closed by its id; see test_console_time for the time of the page."""
    store = place.desk.store
    store.raise_task(Task("fault.1", "clinic", "fault", 2, place.at))
    client = place.browser(place.person("nurse", "Ben"))
    token, read = token_of(client), []
    real = store.tasks
    store.tasks = lambda: read.append(1) or real()  # type: ignore[method-assign, func-returns-value]
    client.post("/tasks/fault.1/close", data={"csrf": token}, headers=SAME)
    del store.tasks
    assert not read
    assert [task for task in store.tasks() if task.patient == "clinic"] == []
