"""The dashboard: its figures agree with its files and its lists, a viewer learns no small count, and no page is slow."""

from __future__ import annotations

import csv
import io
import re
from html import unescape
from pathlib import Path

import pytest
from flask.testing import FlaskClient

from bot.console.app import CSP
from bot.console.figures import TABLES
from bot.doctor import of_the_mix
from bot.forget import erase_patient
from bot.store.published import Published
from bot.store.store import Store
from bot.unread import Unread
from tests import dash_stage
from tests.test_console import Place


@pytest.fixture
def place(store: Store, tmp_path: Path) -> Place:
    return Place(store, str(tmp_path))


@pytest.fixture
def nurse(place: Place) -> FlaskClient:
    return place.browser(place.person("nurse", "Ana"))


def cells(page: str, table: str) -> list[list[str]]:
    """The words in a table's body."""
    body = re.search(rf'id="table-{table}".*?<tbody>(.*?)</tbody>', page, re.S)
    assert body, table
    rows = re.findall(r"<tr.*?</tr>", body.group(1), re.S)
    return [
        [
            unescape(re.sub(r"<small>.*?</small>|<[^>]+>", "", one)).strip()
            for one in re.findall(r"<td.*?</td>", row, re.S)
        ]
        for row in rows
    ]


@pytest.mark.parametrize("name", TABLES)
def test_page_csv_and_json_say_the_same(place: Place, nurse: FlaskClient, name: str) -> None:
    """Three forms of one table, in the same order, and none of them is empty."""
    dash_stage.seed(place, weeks=3, walks=60)
    dash_stage.unread(place)
    alone = cells(nurse.get(f"/dashboard/{name}?weeks=4").text, name)
    shown = alone if name == "traffic" else cells(nurse.get("/dashboard?weeks=4").text, name)
    answer = nurse.get(f"/dashboard/{name}.csv?weeks=4")
    assert "attachment" in answer.headers["Content-Disposition"]
    lines = list(csv.reader(io.StringIO(answer.text.lstrip("\ufeff"))))[1:]
    told = nurse.get(f"/dashboard/{name}.json?weeks=4").get_json()[name]
    assert shown == alone  # the traffic stands on the flow's own page
    assert shown
    timeless = [at for at, head in enumerate(told[0]) if head not in ("since",)]
    as_text = [["" if value is None else str(value) for value in row.values()] for row in told]
    for row, line, one in zip(shown, lines, as_text, strict=True):
        assert [row[at] for at in timeless] == [one[at] for at in timeless]
        assert [line[at].removeprefix("'") for at in timeless] == [one[at] for at in timeless]


def test_a_viewer_is_told_no_count_under_eleven_on_no_form(place: Place) -> None:
    """Nor what it could be worked out from: no total beside it, no share, no list of those whom it counts."""
    dash_stage.seed(place, weeks=4, walks=40)
    dash_stage.unread(place)
    viewer = place.browser(place.person("viewer", "Eve"))
    page = viewer.get("/dashboard?weeks=4").text
    assert "<11 to a viewer" in unescape(page)
    for name in ("funnel", "outcomes", "versions", "questions", "unread", "messages"):
        for row in viewer.get(f"/dashboard/{name}.json?weeks=4").get_json()[name]:
            numbers = [value for key, value in row.items() if isinstance(value, int) and key != "code"]
            assert not [one for one in numbers if 0 < one < 11], (name, row)
        for row in cells(page, name):
            assert not [one for one in row[1:] if one in map(str, range(1, 11))], (name, row)
            assert "<11" not in row or row[-1] == "" or name not in ("outcomes", "versions")
    assert not re.search(r"<a [^>]*>&lt;11</a>", page)
    nurse = place.browser(place.person("nurse", "Ana"))
    assert "<11" not in unescape(nurse.get("/dashboard?weeks=4").text)


def published(place: Place) -> None:
    """The older version of dash_stage was live before this one."""
    log, live = (
        Published(place.desk.store.client, place.desk.store.cipher),
        place.conversation.clinic.flows["triage"].hash,
    )
    for number, content in enumerate((dash_stage.OLD, live)):
        entry = {"mark": f"m{number}", "flows": {"triage": content}, "at": place.at - 86_400 * (40 - number * 20), "lowers": [],
                 "by": "", "reason": ""}  # fmt: skip
        assert log.append(entry, number)


def test_a_shift_of_the_mix_is_told_on_the_dashboard_by_doctor_and_on_health(place: Place, nurse: FlaskClient) -> None:
    """And not when it is the same mix."""
    published(place)
    moved = {**dash_stage.MIX, "pmr": 0.27, "pt": 0.33}
    dash_stage.seed(place, weeks=12, walks=200, mixes=(dash_stage.MIX, moved))
    found = [str(one) for one in of_the_mix(place.desk.store, place.at, dash_stage.ZONE)]
    assert len(found) == 1
    assert re.match(
        r"Flow triage: since version \w{8}, \d+\.\d % of the conversations that did not fall silent end with p(t|mr) instead of",
        found[0],
    )
    assert "Chance alone does that" in nurse.get("/dashboard").text
    assert "Chance alone does that" in nurse.get("/health").text
    nurse.set_cookie("console-language", "es")
    assert "El azar solo lo hace" in nurse.get("/dashboard").text


def test_the_same_mix_is_no_alarm(place: Place, nurse: FlaskClient) -> None:
    """Two versions, one mix."""
    published(place)
    dash_stage.seed(place, weeks=12, walks=200)
    assert not list(of_the_mix(place.desk.store, place.at, dash_stage.ZONE))
    assert "Chance alone does that" not in nurse.get("/dashboard").text


def test_words_that_were_not_understood_are_shown_without_names_and_run_nowhere(
    place: Place, nurse: FlaskClient
) -> None:
    """At least five patients; a formula is text for a spreadsheet, a tag is text for a browser."""
    dash_stage.unread(place)
    place.desk.store.client.hset("{b0}x", "y", "z")
    page, file = nurse.get("/dashboard/unread").text, nurse.get("/dashboard/unread.csv").text
    assert "kinda sorta idk" in page
    for words in ("zebulon", "Zebulon", "4455", "zed@", "only i said this"):
        assert words not in page
        assert words not in file
    assert "<script>alert" not in page
    assert "'=hyperlink" in file
    assert "\n=hyperlink" not in file
    assert '"=hyperlink' not in file
    rows = nurse.get("/dashboard/unread.json?state=screen_a").get_json()["unread"]
    assert rows[0] == {"words": "kinda sorta idk", "patients": 9, "state": "screen a", "language": "English"}
    assert not nurse.get("/dashboard/unread.json?state=goal").get_json()["unread"]


def test_gathering_goes_on_where_it_was_counts_each_patient_once_and_forgets_with_them(place: Place) -> None:
    """A worker that dies between two goes; one that wrote again meanwhile; one of five who is erased."""
    import bot.unread

    dash_stage.unread(place)
    unread, store = Unread(place.desk.store), place.desk.store
    whole = unread.known()[1]
    bot.unread.AT_ONCE, before = 3, bot.unread.AT_ONCE
    try:
        goes, now = 0, place.at + 100
        while unread.sweep(now) <= now:
            goes += 1
            Unread(store)  # nothing is kept in the process
            if goes == 2:
                place.at = now
                place.conversation.hear("+17135550001", "sms", "kinda sorta idk", "SMagain")
        assert goes > 5
        assert {one.words: one.patients for one in unread.known()[1]} == {one.words: one.patients for one in whole}
    finally:
        bot.unread.AT_ONCE = before
    unread.sweep(place.at + 150)
    store.client.set("{b0}unread sweep", store.client.get("{b0}unread sweep") or b"words of somebody")
    erase_patient(store, store.cipher.patient_id("+17135550023"), place.at)
    assert not store.client.exists("{b0}unread sweep")  # words of the erased may be among what was gathered so far
    unread.all_now(place.at + 200)
    left = {one.words for one in unread.known()[1]}
    assert '=hyperlink("x")' not in left
    assert "kinda sorta idk" in left


def test_dashboard_pages_are_strict_and_small(nurse: FlaskClient, place: Place) -> None:
    """No inline style or script, the policy on every answer, under 100 kB with everything it loads."""
    dash_stage.seed(place)
    answer = nurse.get("/dashboard", headers={"Accept-Encoding": "gzip"})
    assert answer.headers["Content-Security-Policy"] == CSP
    total = len(answer.data)
    page = nurse.get("/dashboard").text
    assert not re.search(r"<[^>]+ (?:style|on\w+)=", page)
    assert not re.search(r"<script(?![^>]* src=)", page)
    for address in re.findall(r'(?:src|href)="(/static/[^"]+)"', page):
        total += len(nurse.get(address, headers={"Accept-Encoding": "gzip"}).data)
    assert total < 100_000, total
    assert nurse.get("/dashboard/nonsense").status_code == 404
    assert nurse.get("/dashboard?weeks=x&flow=../../x").status_code == 200


def test_spanish_has_no_english_left(nurse: FlaskClient, place: Place) -> None:
    """The same page in the other language."""
    dash_stage.seed(place, weeks=4)
    nurse.set_cookie("console-language", "es")
    page = nurse.get("/dashboard").text
    for words in ("Tablero", "Hicieron cita", "Abandono", "Costo por día"):
        assert words in page
    for words in ("Dashboard", "Booked", "Drop-off", "Week from", "Texts"):
        assert f">{words}<" not in page
