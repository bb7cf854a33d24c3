"""No English is left on a Spanish page: each page is rendered in both languages, and a word that stands in both must be one
of the Spanish words of ours, a name, a number, a code, or what somebody wrote."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from flask.testing import FlaskClient

from bot.catalog import load_flows
from bot.console.languages import catalogue
from bot.console.routes import ROUTES
from bot.flow import model
from bot.sending import FAILURES, Gate, pause
from bot.store.store import Store
from tests import dash_stage
from tests.outreach_stage import rows
from tests.test_console import Place, token_of
from tests.test_console_outreach import campaign, prepared

SAME = {"Sec-Fetch-Site": "same-origin"}
VOID = {"br", "hr", "img", "input", "meta", "link", "rect", "path"}
READ_OUT = ("alt", "aria-label", "title", "placeholder", "data-says", "data-out", "data-news", "data-title")
UNREAD = {"script", "style", "code", "kbd", "pre", "textarea"}
WORD = re.compile(r"[^\W\d_]{2,}")
CODE = re.compile(r"\S*[\d_/@:=<>\[\]]\S*|[A-Z]{2,}\S*")  # an id, an address, a setting's name, CSV, STOP
# The clinic, people, places and products; values of settings; what patients wrote; column names of a file.
NAMES = frozenset(
    WORD.findall(
        "cls health ada mia stone ben ana english español twilio america chicago polly joanna lupe neural info true false mo fr "
        "redis valkey rq python bot calendly cal com fhir sep appendfsync always csv "
        "kinda sorta idk depends who you ask lol my name is hyperlink write to mail "
        "phone consent source calls language intake form yes no patients"
    )
) | {word for name in load_flows() for word in name.split("_")}
# Pages that are a document in the language of whoever signs it, or the output of a command for engineers; marked lang="en".
ENGLISH = ("/flows/<name>/booklet", "/flows/<name>/changes")


class Texts(HTMLParser):
    """What a reader of the page meets: texts, and attributes that are read out. Without what was said in a conversation."""

    def __init__(self) -> None:
        super().__init__()
        self.path: list[tuple[str, dict[str, str | None]]] = []
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._attributes(dict(attrs))
        if tag not in VOID:
            self.path.append((tag, dict(attrs)))

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._attributes(dict(attrs))

    def handle_endtag(self, tag: str) -> None:
        while tag not in VOID and self.path and self.path.pop()[0] != tag:
            pass

    def handle_data(self, data: str) -> None:
        if self.path and self._reads():
            self.found.append(" ".join(data.split()))

    def _attributes(self, attrs: dict[str, str | None]) -> None:
        if self._reads():
            self.found += [value for name in READ_OUT if (value := attrs.get(name))]

    def _reads(self) -> bool:
        inside = [(tag, attrs.get("class") or "") for tag, attrs in self.path]
        said = any("bubble" in look or "sample" in look for _, look in inside)
        said = said or (any("talk" in look for _, look in inside) and inside[-1][0] == "p")
        quoted = any(
            tag in ("ul", "button") and attrs.get("lang") for tag, attrs in self.path
        )  # another language's name
        to_patient = any(tag == "a" and (attrs.get("href") or "").startswith("/patients/") for tag, attrs in self.path)
        return not said and not quoted and not to_patient and not UNREAD & {tag for tag, _ in self.path}


def words(page: str) -> dict[str, str]:
    """Word, in lower case -> the text that it stands in."""
    reader = Texts()
    reader.feed(page)
    return {word.lower(): text for text in reader.found for word in WORD.findall(CODE.sub(" ", text))}


def spanish() -> set[str]:
    """Every word of ours that is Spanish: the interface's, and the flows' own."""
    found = list(catalogue("es").values())
    for loaded in load_flows().values():
        wordings = loaded.flow.model_dump(mode="json")["texts"].values()
        found += [json.dumps(one["es"], ensure_ascii=False) for one in wordings if "es" in one]
        for state in loaded.flow.states.values():
            found += [one.label["es"] for one in state.takes.options] if isinstance(state, model.Question) else []
    return {word.lower() for text in found for word in WORD.findall(text)}


@pytest.fixture
def place(store: Store, tmp_path: Path) -> Place:
    return Place(store, str(tmp_path))


def left(place: Place, client: FlaskClient, path: str) -> dict[str, str]:
    """What is English on the Spanish page."""
    pages = []
    for language in ("en", "es"):
        client.set_cookie("console-language", language)
        answer = client.get(path)
        assert answer.status_code < 500, path
        pages.append(words(answer.text))
    return {one: pages[1][one] for one in pages[0].keys() & pages[1].keys() - OURS - NAMES}


OURS = spanish()


def filled(place: Place) -> tuple[dict[str, str], dict[str, FlaskClient]]:
    """A clinic in which every page has something to show, and who may open it."""
    mia = place.person("manager", "Mia Stone")
    manager, ada = place.browser(mia), place.browser(place.person("administrator", "Ada"))
    dash_stage.seed(place)
    dash_stage.unread(place)
    for text in ("hi", "yes", "no", "no", "help", "no", "7", "yes", "what", "i cant breathe"):
        place.says(text)
    ada.post(f"/patients/{place.patient}/claim", data={"csrf": token_of(ada), "once": "1"}, headers=SAME)
    ada.post(
        f"/patients/{place.patient}/note", data={"csrf": token_of(ada), "note": "12 34", "once": "2"}, headers=SAME
    )
    sent, draft = campaign(manager, 3), prepared(manager, rows(4, 20))
    pause(place.desk.store, "0", "Mia Stone", place.at)
    parts = {"<patient>": place.patient, "<campaign>": sent.rpartition("/")[2], "<draft>": draft.rpartition("/")[2],
             "<table>": "funnel", "<name>": "triage", "<token>": place.desk.people.invite("nurse", "test")}  # fmt: skip
    return parts, {"mia": manager, "ada": ada, "nobody": place.app.test_client()}


def test_no_page_has_english_left(place: Place) -> None:
    """Every page of the table; each table of the dashboard, each flow, and conversations tried out to every result."""
    parts, people = filled(place)
    pages: list[tuple[str, str]] = []
    for route in ROUTES:
        if route.method == "GET" and route.form == "html" and not route.asset and route.rule not in ENGLISH:
            path = route.rule
            for part, value in parts.items():
                path = path.replace(part, value)
            who = "nobody" if route.least is None else "mia" if "/drafts/" in path else "ada"
            pages.append((path, who))
    for name in load_flows():
        pages += [(f"/dashboard?flow={name}", "ada"), (f"/flows/{name}", "ada"), (f"/flows/{name}/try?w=yes.no.1&o=pt", "ada"),
                  (f"/flows/{name}/try?w=H&c=voice&o=both", "ada"), (f"/dashboard/traffic?flow={name}", "ada")]  # fmt: skip
    tables = ("questions", "cost", "messages", "versions", "unread", "outcomes")
    pages += [(f"/dashboard/{name}", "ada") for name in tables]
    walks = ("yes.no.no.no.7.yes", "yes.no.no.no.2.same.injury.local.rehab.yes.yes", "yes.no.no.no.2.better.surgery.nerve.rehab",
             "E", "C.P", "G", "yes.U.U.U", "M", "X", "H", "no", "yes.no.no.no.5.worse.D", "S.S.S", "yes.no.B.N.Les")  # fmt: skip
    pages += [(f"/flows/triage/try?w={walk}&c={door}", "ada") for walk in walks for door in ("sms", "voice")]
    counted, texts = "since=2026-09-21&flow=triage&what=", "texts&state=undelivered&code=30003"
    kinds = ("reached&state=screen_a", "replies&state=screen_b", "started", "ended", "way&source=screen_a&target=screen_b",
             "cost&day=2026-09-21", texts)  # fmt: skip
    pages += [(f"/counted?{counted}{what}", "ada") for what in kinds]
    wrong = {path: found for path, who in pages if (found := left(place, people[who], path))}
    assert not wrong, json.dumps(wrong, indent=1, ensure_ascii=False)


def test_the_programs_own_reason_for_a_stop_is_told_in_spanish(place: Place) -> None:
    """As bot/sending.py writes each of them."""
    gate = Gate(place.desk.store, lambda: place.at, limit=1, zone=ZoneInfo("America/Chicago"))
    gate.refused(20003)
    gate.affords(2)
    for _ in range(FAILURES):
        gate.failed()
    client = place.browser(place.person("nurse", "Ben"))
    assert not left(place, client, "/health")
    page = client.get("/health").text
    for words in ("límite de gasto de hoy", "(código 20003)", "fallos seguidos"):
        assert words in page


def test_an_english_word_on_a_spanish_page_is_found() -> None:
    """The test above would see one."""
    page = "<html lang='es'><main><p>Tablero</p><td>severity</td><img alt='weight'></main></html>"
    assert set(words(page)) - OURS - NAMES == {"severity", "weight"}
