"""Every number of the dashboard and of a flow's page leads to a list of just what it counted: as long, and by cursor."""

from __future__ import annotations

import csv
import hashlib
import io
import re
from collections.abc import Iterator
from html import unescape
from html.parser import HTMLParser
from pathlib import Path

import pytest
from flask.testing import FlaskClient

from bot.console.app import create_app
from bot.console.desk import Desk
from bot.counts import delivered, week_of, weeks_until
from bot.figures import Figures
from bot.forget import erase_patient
from bot.simulate.command import _go_on, _move_in
from bot.simulate.personas import picked_up
from bot.simulate.town import Town, opened
from bot.store.counted import Counted
from bot.store.store import Store
from bot.unread import Unread
from tests import dash_stage
from tests.test_console import Place

ZONE = "America/Chicago"
NUMBER = re.compile(r"<?\$?\d[\d,.]*(?: %)?")
VOID = {"br", "hr", "img", "input", "meta", "link", "rect", "path"}
# Digits that are no count of conversations or messages: a moment, a code of ours or the carrier's, a week's or day's name,
# a choice, the title of the picture, and what is drawn once more for the eye beside its own table.
NO_COUNT = {"time", "code", "option", "title", "desc", "nav", "header", "script", "h1"}


class Numbers(HTMLParser):
    """(text, address or None) of every number in a page's tables and pictures."""

    def __init__(self) -> None:
        super().__init__()
        self.path: list[tuple[str, dict[str, str | None]]] = []
        self.found: list[tuple[str, str | None]] = []
        self._joined: list[str] | None = None

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in VOID:
            self.path.append((tag, dict(attrs)))
        if tag == "a" and self._inside("svg"):
            self._joined = []

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Nothing is in it."""

    def handle_endtag(self, tag: str) -> None:
        if tag in VOID:
            return
        if tag == "a" and self._joined is not None:
            said = " ".join(self._joined)
            number = re.search(r"[\d,]+$", said) or NUMBER.search(said)
            assert number, said
            self.found.append((number[0], self._href()))
            self._joined = None
        while self.path and self.path.pop()[0] != tag:
            pass

    def handle_data(self, data: str) -> None:
        said = " ".join(data.split())
        if self._joined is not None:
            self._joined += [said] if said else []
            return
        if not said or not self._counts() or any(a.get("aria-hidden") for _, a in self.path):
            return
        if self._inside("svg") and re.fullmatch(r"[\d,]+|.* % .*", said):
            self.found.append((said, None))
        elif self._inside("td") and NUMBER.fullmatch(said):
            self.found.append((said, self._href()))

    def _inside(self, tag: str) -> bool:
        return any(one == tag for one, _ in self.path)

    def _counts(self) -> bool:
        where = [tag for tag, _ in self.path]
        cell = next((attrs for tag, attrs in reversed(self.path) if tag == "td"), None)
        named = cell is not None and "number" not in (cell.get("class") or "")
        title = any(attrs.get("font-size") == "18" for tag, attrs in self.path if tag == "text")
        return not named and not title and not NO_COUNT & set(where)

    def _href(self) -> str | None:
        return next((attrs.get("href") for tag, attrs in reversed(self.path) if tag == "a"), None)


def numbers(page: str) -> list[tuple[str, str | None]]:
    """Of the main part."""
    reader = Numbers()
    reader.feed(page[page.index("<main") : page.index("</main>")])
    return [(said, unescape(to) if to else None) for said, to in reader.found if said not in ("0", "0.00", "0 %")]


def rows_of(client: FlaskClient, address: str) -> list[dict[str, object]]:
    """The whole list, page by page."""
    following: str | None = address.replace("/counted?", "/counted.json?")
    found: list[dict[str, object]] = []
    while following:
        answer = client.get(following)
        assert answer.status_code == 200, following
        told = answer.get_json()
        found += told["counted"]
        following = told["next"]
    return found


def desk_of(town: Town) -> Desk:
    app = town.app
    return Desk(app.settings, town.store, app.conversation, town.clock, town.clock, lambda *entry: None)


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Town]:
    """Three days of a town in bad weather: texts, calls, follow-ups, STOP, lost callbacks, workers that die."""
    with opened(tmp_path_factory.mktemp("town"), 7, "twilio", lambda app: app) as made:
        at = {who.phone: who for who in _move_in(made, 14, 7, "both", 3)}
        made.rings = lambda call: _go_on(made, picked_up(at[call.to], call), 9.0)
        made.live()
        Unread(made.store).all_now(made.clock() + 100)
        yield made


@pytest.fixture(scope="module")
def nurse(town: Town) -> FlaskClient:
    place = object.__new__(Place)
    place.at, place.desk = town.clock(), desk_of(town)
    place.app = create_app(place.desk)
    return place.browser(place.person("nurse", "Ana"))


def pages(town: Town) -> list[str]:
    flows = town.app.conversation.clinic.flows
    return [*(f"/dashboard?weeks=4&flow={name}" for name in flows), *(f"/flows/{name}?weeks=4" for name in flows),
            *(f"/dashboard/traffic?weeks=4&flow={name}" for name in flows)]  # fmt: skip


def test_every_number_leads_to_a_list_that_is_as_long(town: Town, nurse: FlaskClient) -> None:
    """All flows: the tables, the traffic, the picture. A share leads to the list of its part; a sum of money to what adds
    up to it."""
    walked: dict[str, list[dict[str, object]]] = {}
    kinds, in_pictures = set[str](), list[str]()
    for page in pages(town):
        for said, to in numbers(nurse.get(page).text):
            assert to, f"{said} on {page} leads nowhere"
            assert to.startswith("/counted?"), (page, said, to)
            kinds.add(re.search(r"what=(\w+)", to)[1])  # type: ignore[index]
            in_pictures += [to] if page.startswith("/flows/") else []
            rows = walked.setdefault(to, []) or rows_of(nurse, to)
            walked[to] = rows
            if "what=cost" in to:
                assert sum(float(str(row["cost"])) for row in rows) == pytest.approx(float(said), abs=0.0051), (
                    page,
                    to,
                )
            elif said.endswith("%"):
                assert rows, (page, said, to)
            else:
                assert len(rows) == int(said.replace(",", "")), (page, said, to)
            assert all(re.fullmatch(r"[\w-]*", str(row["id"])) for row in rows)
    assert len(walked) > 150
    assert len(in_pictures) > 30
    assert {"started", "ended", "linked", "reached", "replies", "unclear", "lost", "way", "cost", "texts"} <= kinds


def test_a_list_holds_those_whom_it_counts_in_all_three_forms(town: Town, nurse: FlaskClient) -> None:
    """Each row leads to a conversation that is there; page, .csv and .json have the same rows."""
    to = dict(numbers(nurse.get("/dashboard?weeks=4").text)[:1]).popitem()[1]
    assert to
    rows = rows_of(nurse, to)
    page = nurse.get(to).text
    assert "All " in page
    assert re.findall(r'href="/patients/([^"]+)"', page) == [row["id"] for row in rows][:50]
    file = csv.reader(io.StringIO(nurse.get(to.replace("/counted?", "/counted.csv?")).text.lstrip("\ufeff")))
    assert [line[0].removeprefix("'") for line in file][1:] == [row["id"] for row in rows]
    assert nurse.get(f"/patients/{rows[0]['id']}").status_code == 200


def test_a_long_list_goes_on_page_by_page_and_has_each_once(
    town: Town, nurse: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A page looks through so many logs and no more, and holds so many rows."""
    wanted = next(to for said, to in numbers(nurse.get("/flows/triage?weeks=4").text) if to and "source=%40sms" in to)
    whole = rows_of(nurse, wanted)
    monkeypatch.setattr("bot.console.counted.LOOKED_AT", 1)
    monkeypatch.setattr("bot.console.counted.AT_ONCE", 2)
    monkeypatch.setattr("bot.console.lists.SHOWN", 3)
    found, address = list[str](), wanted
    for _ in range(40):
        page = nurse.get(address).text
        found += re.findall(r'href="/patients/([^"]+)"', page)
        more = re.search(r'href="([^"]+)" rel="next"', page)
        if not more:
            break
        assert " so far." in page
        address = unescape(more.group(1))
    assert found == [row["id"] for row in whole]
    assert len(found) > 5


def test_every_arrow_that_somebody_went_along_is_a_link_on_the_picture(town: Town, nurse: FlaskClient) -> None:
    """But the way back of a pair of arrows, which is drawn as one with two heads."""
    for name, loaded in town.app.conversation.clinic.flows.items():
        page, weeks = nurse.get(f"/flows/{name}?weeks=4").text, weeks_until(town.clock(), ZONE, 4)
        went = Figures(weeks, Counted(town.store).weeks(weeks)).traffic(loaded)
        linked = {tuple(re.findall(r"(?:source|target)=([^&]+)", to or "")) for _, to in numbers(page)}
        drawn = {
            (source.replace("@", "%40"), target)
            for source, target in went
            if source[0] != "*" and source != "@handover"
        }
        assert {pair for pair in drawn - linked if pair[::-1] not in linked} == set(), name


# -- what the town does not show -------------------------------------------------------------------------------------


@pytest.fixture
def place(store: Store, tmp_path: Path) -> Place:
    return Place(store, str(tmp_path))


def test_words_that_were_not_understood_lead_to_who_wrote_them_and_no_address_holds_them(place: Place) -> None:
    dash_stage.unread(place)
    ana = place.browser(place.person("nurse", "Ana"))
    found = [(said, to) for said, to in numbers(ana.get("/dashboard/unread?weeks=4").text) if to]
    assert [int(said) for said, _ in found] == [len(rows_of(ana, to)) for _, to in found]
    assert found[0][0] == "9"
    assert "kinda" not in "".join(to for _, to in found)
    # Nor a hash that anybody could find again by trying what people write.
    plain = [hashlib.sha256("\n".join(one.key).encode()).hexdigest() for one in Unread(place.desk.store).known()[1]]
    assert plain
    assert not [to for _, to in found for one in plain if one[:8] in to]


def test_where_somebody_was_erased_the_list_is_shorter_and_says_so(place: Place) -> None:
    """The count stays: it could be of anybody."""
    dash_stage.unread(place)
    ana = place.browser(place.person("nurse", "Ana"))
    to = f"/counted?what=unclear&flow=triage&state=screen_a&since={week_of(place.at, ZONE)}&weeks=1"
    whole = rows_of(ana, to)
    erase_patient(place.desk.store, str(whole[0]["id"]), place.at)
    assert rows_of(ana, to) == [row for row in whole if row["id"] != whole[0]["id"]]
    page = unescape(ana.get(to).text)
    assert f"{len(whole)} were counted, and {len(whole) - 1} of them are still kept." in page


def test_what_became_of_a_text_leads_to_its_conversation_until_it_is_erased(place: Place) -> None:
    """The carrier's word counts once, however often it comes; two lost texts of one patient are two rows."""
    place.says("hi")
    counted, week = Counted(place.desk.store), week_of(place.at, ZONE)
    for effect in ("0-a", "0-a", "0-b"):
        counted.add(delivered(place.at, ZONE, "undelivered", 30003), place.patient, effect, place.at)
    ana = place.browser(place.person("nurse", "Ana"))
    ((said, to),) = [one for one in numbers(ana.get("/dashboard/messages?weeks=4").text) if one[1]]
    assert (said, len(rows_of(ana, to or ""))) == ("2", 2)
    assert ana.get(to or "").text.count(f'href="/patients/{place.patient}"') == 2
    erase_patient(place.desk.store, place.patient, place.at)
    assert rows_of(ana, to or "") == []
    assert counted.weeks([week])[0]["m|undelivered|30003"] == 2


def test_a_result_that_became_another_is_in_the_list_of_the_other_alone(place: Place) -> None:
    """A recommendation after which an emergency was reported counts as the emergency."""
    for text in ("hi", "yes", "no", "no", "no", "7", "i cant breathe"):
        place.says(text)
    for number, text in enumerate(("hi", "yes", "no", "no", "no", "8")):
        place.at += 20
        place.conversation.hear("+17135550124", "sms", text, f"SMother{number}")
    ana, other = place.browser(place.person("nurse", "Ana")), place.desk.store.cipher.patient_id("+17135550124")
    told = {result: rows_of(ana, f"/counted?what=ended&flow=triage&result={result}&since={week_of(place.at, ZONE)}&weeks=1")
            for result in ("pmr", "emergency")}  # fmt: skip
    assert {result: [row["id"] for row in rows] for result, rows in told.items()} == {
        "pmr": [other],
        "emergency": [place.patient],
    }


def test_a_viewer_gets_no_list_of_a_few(place: Place) -> None:
    """Whoever asks for its address by hand, too."""
    for text in ("hi", "yes", "no"):
        place.says(text)
    vic = place.browser(place.person("viewer", "Vic"))
    for what in ("started", "reached&state=screen_a", "way&source=screen_a&target=screen_b"):
        for form in ("", ".csv", ".json"):
            to = f"/counted{form}?what={what}&flow=triage&since={week_of(place.at, ZONE)}&weeks=1"
            assert vic.get(to).status_code == 403, to
    assert not [to for _, to in numbers(vic.get("/dashboard?weeks=4").text) if to and "what=cost" not in to]


ODD = ("what=nonsense", "what=cost&day=x", "since=tomorrow&weeks=-3", "weeks=9999999999", "what=texts&code=%00",
       "what=way&flow=../../x", "after=x.y.z", "after=9.99.%00", "what=words&phrase=%27")  # fmt: skip


@pytest.mark.parametrize("odd", ODD)
def test_an_odd_address_is_an_empty_list(place: Place, odd: str) -> None:
    ana = place.browser(place.person("nurse", "Ana"))
    for form in ("", ".csv", ".json"):
        assert ana.get(f"/counted{form}?{odd}").status_code == 200
