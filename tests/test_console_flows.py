"""The flow page: traffic on the picture, the simulator that is the turn itself, the booklet, what changed."""

from __future__ import annotations

import base64
import hashlib
import re
from html import unescape
from pathlib import Path
from xml.etree import ElementTree

import pytest
from flask.testing import FlaskClient

from bot import tryout
from bot.catalog import load_flows
from bot.chat import Chat
from bot.counts import Prices, of_turn
from bot.edition import kept_text
from bot.eventlog import line
from bot.figures import Figures
from bot.store.counted import Counted
from bot.store.published import Published
from bot.store.store import Store
from tests import dash_stage
from tests.test_console import SAME, Place, token_of


@pytest.fixture
def place(store: Store, tmp_path: Path) -> Place:
    return Place(store, str(tmp_path))


@pytest.fixture
def viewer(place: Place) -> FlaskClient:
    return place.browser(place.person("viewer", "Eve"))


TALKS = [("en", "sms", "yes no no no 7 yes no"), ("es", "sms", "yes no no no 3 no unknown"), ("en", "sms", "yes yes"),
         ("es", "sms", "no"), ("en", "sms", "yes no no no 10")]  # fmt: skip


@pytest.mark.parametrize(("language", "door", "codes"), TALKS)
def test_the_simulator_says_what_the_bot_says(language: str, door: str, codes: str) -> None:
    """Word for word what `python -m bot chat` answers to the same replies."""
    chat, said = Chat("sms", language), {"es": {"yes": "si", "no": "no", "unknown": "no se"}}.get(language, {})
    heard = [chat.say("hello there")] + [chat.say(said.get(code, code)) for code in codes.split()]
    clinic = chat.conversation.clinic
    played = list(tryout.play(clinic, "triage", "sms", language, codes.split(), 1_790_000_000.0))
    reached = [(one.session.state, one.tasks) for one in heard if one.session]
    assert [(one.turn.heard.session.state, one.turn.heard.tasks) for one in played if one.turn.heard.session] == reached
    assert [one.says for one in heard] == [one.turn.heard.says for one in played]


def test_what_is_typed_becomes_a_code_and_its_words_go_nowhere(place: Place, viewer: FlaskClient) -> None:
    """Neither into the address nor into the store."""
    place.says("hi")
    token = token_of(viewer)
    kept = sorted(place.desk.store.client.keys("{b*"))
    for words, code in (
        ("yes, I am Zebulon 7135550199", "yes"),
        ("what??", "U"),
        ("stop", "X"),
        ("I want to kill myself", "C"),
    ):
        answer = viewer.post("/flows/triage/try?c=sms&l=en", data={"csrf": token, "words": words}, headers=SAME)
        assert answer.status_code == 303
        assert answer.headers["Location"] == f"/flows/triage/try?c=sms&l=en&w={code}", words
    assert viewer.post("/flows/triage/try", data={"words": "yes"}, headers=SAME).status_code == 403
    assert sorted(place.desk.store.client.keys("{b*")) == kept


def test_an_address_of_the_simulator_that_somebody_filled_with_words_hands_on_none_of_them(viewer: FlaskClient) -> None:
    """Whoever writes a patient's words or number into it shares a page that has them nowhere."""
    for words in ("7135550199", "john_smith", "zebulon", "chest_pain", "yes.zebulon.no", "11", "Zebulon" * 50):
        page = viewer.get("/flows/triage/try", query_string={"w": words, "c": words, "o": words}).text
        for one in words.split("."):
            assert one in ("yes", "no", "11") or one not in page, one
        assert re.search(r'readonly value="[^"]*[=.]U[".]', page)


def test_an_address_of_the_simulator_opens_the_same_conversation_for_anybody(viewer: FlaskClient) -> None:
    """With the rule and its words; by call and in Spanish too; whatever stands in it, nothing breaks or runs."""
    page = unescape(viewer.get("/flows/triage/try?c=sms&l=en&w=yes.no.no.no.7").text)
    for words in (
        "R2",
        "severity is at least 7",
        "doctor (PM&R)",
        "a link to book",
        "follow up consent",
        "Segments of",
    ):
        assert words in page, words
    assert "Patient:" in page
    assert "Gracias por llamar" in viewer.get("/flows/triage/try?c=voice&l=es").text
    for given in (
        "<script>alert(1)</script>",
        "yes.nonsense.99.U",
        "..",
        "x" * 5000,
        ".".join(["U"] * 500),
        "%00",
        "٣",
    ):
        answer = viewer.get("/flows/triage/try", query_string={"w": given, "c": given, "l": given, "o": given})
        assert answer.status_code == 200, given[:20]
        assert "<script>alert" not in answer.text
    for name in load_flows():
        assert viewer.get(f"/flows/{name}/try").status_code == 200, name
    assert viewer.get("/flows/nonsense/try").status_code == 404


def test_every_step_of_a_walk_has_a_way_along_the_arrows() -> None:
    """What a conversation does is counted on the picture: as many arrows lead in as lead out of what does not wait."""
    clinic, loaded = Chat("sms", "en").conversation.clinic, load_flows()["triage"]
    fields: dict[str, int] = {}
    for _, _, codes in TALKS:
        for one in tryout.play(clinic, "triage", "sms", "en", codes.split(), 1_790_000_000.0):
            event = line(one.before, one.turn, "m", 1_790_000_000.0)
            for _, field, many in of_turn(one.before, one.turn, event, "triage", "UTC", Prices(1, 1, "app")):
                fields[field] = fields.get(field, 0) + many
    from collections import Counter

    found = Figures(["2026-09-21"], [Counter(fields)]).traffic(loaded)
    assert not [pair for pair in found if pair[0] == "*"]
    assert found["@sms", "consent"] == len(TALKS)
    assert found["severity", "route"] == found["screen_c", "route"] == 3
    assert found["pmr", "book_pmr"] == found["book_pmr", "follow_up_consent"] == 2
    assert not found["severity", "pmr"]  # that arrow is for who was not understood
    for passed in ("route", "book_pmr", "pmr"):
        assert sum(n for (_, to), n in found.items() if to == passed) == sum(
            n for (of, _), n in found.items() if of == passed
        )


def test_the_picture_carries_the_traffic_and_hides_small_counts_from_a_viewer(
    place: Place, viewer: FlaskClient
) -> None:
    """Counts as text, thickness, and a red bar with words where walks stop; still one well-formed image."""
    dash_stage.seed(place, weeks=4)
    nurse = place.browser(place.person("nurse", "Ana"))
    svg = nurse.get("/flows/triage/picture.svg").text
    ElementTree.fromstring(svg)
    assert re.search(r">\d+ % stop here<", svg)
    assert 'fill="#b91c1c"' in svg
    assert len(set(re.findall(r'stroke-width="([\d.]+)"', svg))) > 3
    Counted(place.desk.store).raise_to(0, "2026-09-21", [("e|triage|x|consent|answer|declined|sms", 3)])
    assert re.search(r">3<", nurse.get("/flows/triage/picture.svg").text)
    assert not re.search(r">(?:[a-z ,]*\s)?([1-9]|10)</text>", viewer.get("/flows/triage/picture.svg").text)
    assert "&lt;11" in viewer.get("/flows/triage/picture.svg").text


def test_the_booklet_opens_in_the_console_under_a_strict_policy(viewer: FlaskClient) -> None:
    """Its one style sheet is named by its hash; nothing else may style or run."""
    answer = viewer.get("/flows/no_show/booklet")
    assert answer.status_code == 200
    rule = answer.headers["Content-Security-Policy"]
    sheet = re.search(r"<style>(.*?)</style>", answer.text, re.S)
    assert sheet
    digest = base64.b64encode(hashlib.sha256(sheet.group(1).encode()).digest()).decode()
    assert f"style-src 'sha256-{digest}'" in rule
    assert "unsafe" not in rule
    assert " style=" not in answer.text
    assert viewer.get("/flows/nonsense/booklet").status_code == 404


def test_what_changed_is_told_against_the_version_that_was_live_before(place: Place, viewer: FlaskClient) -> None:
    """First version: says so. A version that is kept: its differences. One that is lost: says so."""
    live = load_flows()["no_show"]
    log, address = Published(place.desk.store.client, place.desk.store.cipher), "/flows/no_show/changes"

    def publish(content: str, after: int) -> None:
        log.append(
            {"mark": f"m{after}", "flows": {"no_show": content}, "at": 1.0, "lowers": [], "by": "", "reason": ""}, after
        )

    publish(live.hash, 0)
    assert "first version" in viewer.get(address).text
    publish("lost", 1)
    publish(live.hash, 2)
    assert "cannot be compared" in viewer.get(address).text
    older = kept_text(live).replace("missed", "skipped")
    log.keep({"older": older})
    publish("older", 3)
    publish(live.hash, 4)
    page = unescape(viewer.get(address).text)
    assert "sets of answers" in page or "texts differ" in page
    viewer.set_cookie("console-language", "es")
    assert "Qué cambió" in viewer.get(address).text


def test_the_flow_page_leads_to_all_of_it(viewer: FlaskClient) -> None:
    """Try it, booklet, changes, numbers."""
    page = viewer.get("/flows/triage").text
    for address in (
        "/flows/triage/try",
        "/flows/triage/booklet",
        "/flows/triage/changes",
        "/dashboard/traffic?flow=triage",
    ):
        assert f'href="{address}' in page


def test_health_says_when_the_carrier_last_came(place: Place, viewer: FlaskClient) -> None:
    """And what to do when that is long ago."""
    assert "Nothing came from a patient for a day" in viewer.get("/health").text
    place.says("hi")
    page = viewer.get("/health").text
    assert "Nothing came from a patient" not in page
    assert re.search(r"A text of a patient last came</dt><dd>less than a minute ago", page)
    assert re.search(r"The carrier last reported on a call</dt><dd>never", page)
    place.desk.store.set_call_status("CA1", "completed", 1, place.at)
    assert re.search(r"The carrier last reported on a call</dt><dd>less than", viewer.get("/health").text)
    place.at += 86_400 * 2
    viewer = place.browser(place.person("viewer", "Eva"))
    assert "Nothing came from a patient for a day" in viewer.get("/health").text
