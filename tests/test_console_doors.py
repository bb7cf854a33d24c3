"""Every door of the console against attackers, found in the table of routes so that none can be forgotten. Each test fails
without its guard."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from html.parser import HTMLParser
from itertools import product
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pyotp
import pytest
from flask.testing import FlaskClient

from bot import console
from bot.console import people
from bot.console.app import CSP
from bot.console.kept import local_path
from bot.console.people import FAILURES, LOCK_SECONDS
from bot.console.routes import ROUTES, Route
from bot.store.store import Store
from tests.test_console import SAME, Place, token_of
from tests.test_console_axe import address, fill

POSTS = [route for route in ROUTES if route.method == "POST"]
BOOKLET = (
    "/flows/<name>/booklet"  # takes seconds once and nothing from an address; tests/test_console_flows.py opens it
)
ENDS = ("/sign-out", "/sign-out-everywhere", "/start/demo", "/start/demo/remove")  # after which there is nothing to try
GETS = [route for route in ROUTES if route.method == "GET"]
EVIL = (
    "\0",
    "a\0b",
    "\ud800",
    "\ufffe\uffff",
    "\x1b[2J\x08",
    "\u202e\u2066\u200b",
    "𝕏" * 300,
    "9" * 400,
    "-1",
    "1e999",
    "nan",
    "²٧",
    "../../etc/passwd",
    "%00",
    "${7*7}{{7*7}}",
    "' OR 1=1 --",
    "<script>alert(1)</script>",
    "\r\nX-Evil: 1",
    "2026-13-45",
    "AAAA",
    "[]",
    "e30",
    "W251bGwsIG51bGxd",
)
# What a browser cannot say, and a program can: bytes that are no UTF-8.
RAW = (b"%ff%fe", b"%c3%28", b"%ed%a0%80", b"%00", b"%0d%0aX-Evil:%201", b"%f8%88%80%80%80")
PARAMETERS = ("after", "since", "until", "flow", "version", "result", "state", "stage", "asked", "left", "unread",
              "failed", "weeks", "words", "c", "l", "o", "row_language", "call_landlines", "consent_calls", "back",
              "why", "seen", "walk", "door", "language", "w", "to", "said", "a", "csrf", "once", "kept_path",
              "kept_form", "reply", "note", "template", "count", "code", "name", "password", "again", "password_again",
              "role", "reason",
              "column_phone", "call_after", "consent_source", "screens")  # fmt: skip


@pytest.fixture
def place(store: Store, tmp_path: Any) -> Place:
    return Place(store, str(tmp_path))


def where(route: Route, parts: dict[str, str]) -> str:
    return address(route, {**parts, "<task>": "none", "<name>": "triage"})


# -- forms of other sites --


OTHERS: tuple[dict[str, str], ...] = (
    {"Sec-Fetch-Site": "cross-site"},
    {"Sec-Fetch-Site": "same-site"},
    {"Origin": "https://evil.example"},
    {"Origin": "null"},
    {"Origin": "http://localhost:1"},
    {"Sec-Fetch-Site": "cross-site", "Origin": "http://localhost"},
    {"Origin": "http://localhost.evil.example", "X-Forwarded-Host": "localhost.evil.example"},
    {"Referer": "http://localhost/"},
    {},
)


def test_no_form_of_another_site_is_taken_anywhere(place: Place) -> None:
    """Signing in and out and the language too; with the right token and cookie, so that this guard stands alone."""
    ada = place.person("administrator", "Ada")
    parts, client = fill(place, place.person("manager", "Mia")), place.browser(ada)
    token, before = token_of(client), len(place.trail)
    for route in POSTS:
        for headers in OTHERS:
            answer = client.post(where(route, parts), data={"csrf": token, "language": "es"}, headers=headers)
            assert answer.status_code == 403, (route.rule, headers)
            assert "Set-Cookie" not in answer.headers, (route.rule, headers)
    assert len(place.trail) == before
    assert client.get("/").status_code == 200


def test_no_form_without_its_token_is_taken_where_somebody_is_signed_in(place: Place) -> None:
    """The second guard, alone. What was typed comes back."""
    ada = place.person("administrator", "Ada")
    parts, client = fill(place, place.person("manager", "Mia")), place.browser(ada)
    before = len(place.trail)
    for route in POSTS:
        if route.least is None:
            continue
        for token in ("", "wrong", "\0é"):
            answer = client.post(where(route, parts), data={"csrf": token, "note": "typed"}, headers=SAME)
            assert answer.status_code == 403, route.rule
            assert "typed" in answer.text, route.rule
    assert len(place.trail) == before


def test_a_method_is_the_one_of_the_table_whatever_is_claimed(place: Place) -> None:
    """No override by header or field, no other verb."""
    ada = place.person("administrator", "Ada")
    parts, client = fill(place, place.person("manager", "Mia")), place.browser(ada)
    # A page may be looked at that somebody else uploaded, and is refused then: that is no action.
    before = [entry for entry in place.trail if "view" not in f"{entry[1]}{entry[3]}"]
    for route in POSTS:
        path = where(route, parts)
        for verb in ("GET", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "PROPFIND"):
            claimed = {"X-HTTP-Method-Override": "POST", "X-Method-Override": "POST"}
            answer = client.open(f"{path}?_method=POST", method=verb, headers=claimed)
            known = any(one.method == verb and where(one, parts) == path for one in ROUTES)
            assert known or answer.status_code in (303, 404, 405), (verb, path)
    acted = [entry for entry in place.trail if "view" not in f"{entry[1]}{entry[3]}"]
    assert acted == before


# -- what any parameter of any route may hold --


def asked(place: Place) -> Iterator[tuple[FlaskClient, Route, str]]:
    ada = place.person("administrator", "Ada")
    parts, client = fill(place, place.person("manager", "Mia")), place.browser(ada)
    for route in ROUTES:
        if route.rule not in (*ENDS, BOOKLET):
            yield client, route, where(route, parts)


def fits(answer: Any, about: object) -> None:
    """A page, a file or a sentence; never a stack trace, never a fault of ours, never another header."""
    assert answer.status_code < 500, (answer.status_code, about)
    assert "X-Evil" not in answer.headers, about
    assert "Traceback" not in answer.text, about
    assert "<script>alert" not in answer.text, about
    assert answer.headers.get("Location", "/").startswith("/"), about
    assert not answer.headers.get("Location", "/").startswith(("//", "/\\")), about


def test_every_parameter_that_a_page_reads_is_among_those_that_are_tried() -> None:
    """By the source: a new field is tried without anybody thinking of it."""
    read = set()
    for path in sorted((Path(console.__file__).parent).glob("*.py")):
        text = path.read_text("utf-8")
        read |= set(re.findall(r"""(?:typed|args\.get|given\.get|form\.get)\(\s*f?["'](\w+)["']""", text))
    assert read - {"column_"} <= set(PARAMETERS)


@pytest.mark.parametrize("some", [12, pytest.param(1, marks=[pytest.mark.faults, pytest.mark.timeout(300)])])
def test_no_bytes_in_any_parameter_of_any_route_break_it(place: Place, some: int) -> None:
    """NUL, halves of characters, bad UTF-8, huge numbers, broken cursors and JSON; in queries and forms. Each route meets a
    few of them, other ones than its neighbour; all with all: ``-m faults``."""
    token = ""
    for number, (client, route, path) in enumerate(asked(place)):
        token = token or token_of(client)
        for evil in EVIL[number % some :: some]:
            text = evil.encode("utf-8", "surrogatepass").decode("utf-8", "replace")
            given = dict.fromkeys(PARAMETERS, text)
            if route.method == "GET":
                query = "&".join(f"{name}={quote(evil, errors='surrogatepass')}" for name in given)
                fits(client.get(f"{path}?{query}"), (route.rule, evil))
            else:
                fits(client.post(path, data={**given, "csrf": token}, headers=SAME), (route.rule, evil))
        for raw in RAW[number % min(some, 3) :: min(some, 3)]:
            query = b"&".join(name.encode() + b"=" + raw for name in PARAMETERS)
            if route.method == "GET":
                fits(client.get(f"{path}?{query.decode()}"), (route.rule, raw))
            else:
                body = query.replace(b"csrf=" + raw, b"csrf=" + token.encode())
                kind = "application/x-www-form-urlencoded"
                fits(client.post(path, data=body, content_type=kind, headers=SAME), (route.rule, raw))


@pytest.mark.parametrize("some", [4, pytest.param(1, marks=pytest.mark.faults)])
def test_no_bytes_in_any_place_of_an_address_break_it(place: Place, some: int) -> None:
    """Each <part> of each rule; what is not there is a page that says so, never somebody else's thing. All with all:
    ``-m faults``."""
    evils = [*(quote(one, safe="", errors="surrogatepass") for one in EVIL), *(raw.decode() for raw in RAW)]
    ada = place.person("administrator", "Ada")
    parts, client = fill(place, place.person("manager", "Mia")), place.browser(ada)
    token = token_of(client)
    for number, route in enumerate(ROUTES):
        for part in re.findall(r"<\w+>", route.rule):
            for evil in evils[number % some :: some]:
                path = address(route, {**parts, "<task>": "none", "<name>": "triage", part: evil})
                if route.method == "GET":
                    answer = client.get(path)
                else:
                    answer = client.post(path, data={"csrf": token, "role": "viewer"}, headers=SAME)
                fits(answer, (route.rule, evil))
                assert answer.status_code != 200, (route.rule, evil)


def test_a_strange_cookie_is_nobody(place: Place) -> None:
    """Huge ones, bytes, broken quotes."""
    cookies = ("a" * 60_000, "\xff\xfe", "a\0b", '"', "%00", "; ; =", "console")
    for name, cookie in product(("console", "console-language", "__Host-console"), cookies):
        raw = f"{name}={cookie}".encode("latin-1", "replace").decode("latin-1")
        answer = place.app.test_client().get("/", headers={"Cookie": raw})
        assert answer.status_code == 303
        assert answer.headers["Location"] == "/sign-in"


# -- where things lead --


AWAY = (
     "//evil.example", "/\\evil.example", "/\t/evil.example", "/%0d%0aSet-Cookie:a=b", "https:evil.example", "///evil",
     "\\\\evil", "/\x00/evil.example", "javascript:alert(1)", "/%2f%2fevil.example/..//", "http://localhost@evil.example",
     "/\u2028/evil", ".evil.example", "/ /evil", "//evil.example%2f..")  # fmt: skip


def test_no_address_leads_away_from_here(place: Place) -> None:
    """By any door that goes where it was told: sign-in, its way back, the language."""
    ben = place.person("nurse", "Ben")
    for evil, door in product(AWAY, ("kept", "language", "page")):
        client = place.app.test_client()
        if door == "page":
            shown = client.get("/sign-in", query_string={"back": evil}).text
            led = re.search(r'name="kept_path" value="([^"]*)"', shown)
            to = led.group(1) if led else ""
        elif door == "kept" and evil not in AWAY[::5]:
            to = local_path(evil)  # which it asks
        elif door == "kept":
            place.at += 60
            form = {"name": "Ben", "password": "four quiet words here", "kept_path": evil}
            form["code"] = pyotp.TOTP(ben.secret).at(int(place.at))
            to = client.post("/sign-in", data=form, headers=SAME).headers["Location"]
        else:
            to = client.post("/language", data={"language": "es", "back": evil}, headers=SAME).headers["Location"]
        assert re.match(r"/(?![/\\])[\x20-\x7e]*$", to), (door, to)


def test_the_host_that_a_request_names_is_in_no_answer(place: Place) -> None:
    """Neither Host nor what a proxy is said to have seen: not in a page, a link that is made, a cookie or a redirect."""
    ada = place.person("administrator", "Ada")
    parts, client = fill(place, place.person("manager", "Mia")), place.browser(ada)
    names = {"Host": "evil.example", "X-Forwarded-Host": "evil.example", "X-Forwarded-Proto": "https", "X-Forwarded-Port": "1",
             "X-Forwarded-Prefix": "/evil.example", "Forwarded": "host=evil.example", "X-Original-URL": "/staff",
             "X-Rewrite-URL": "/staff", "X-Forwarded-For": "127.0.0.1"}  # fmt: skip
    cookie, token = client.get_cookie("console"), token_of(client)
    assert cookie
    for route in ROUTES:
        headers = {**names, **SAME, "Cookie": f"console={cookie.value}"}
        form = {"csrf": token, "role": "viewer"} if route.method == "POST" else None
        if route.rule in (*ENDS, BOOKLET):
            continue
        answer = place.app.test_client().open(where(route, parts), method=route.method, headers=headers, data=form)
        assert "evil.example" not in answer.text, route.rule
        assert "evil.example" not in str(answer.headers), route.rule


# -- what every answer carries --


def test_every_answer_of_every_door_is_guarded(place: Place) -> None:
    """Signed in and not: no framing, no sniffing, nothing kept by a cache, no address told to others, strict policy. A file is
    what it says it is, and is saved, not shown."""
    ada = place.person("administrator", "Ada")
    parts, client = fill(place, place.person("manager", "Mia")), place.browser(ada)
    token = token_of(client)
    for route in ROUTES:
        form = {"csrf": token, "role": "viewer"} if route.method == "POST" else None
        if route.rule in (*ENDS, BOOKLET):
            continue
        for who in (client, place.app.test_client()):
            answer = who.open(where(route, parts), method=route.method, headers=SAME, data=form)
            headers = answer.headers
            assert headers["X-Frame-Options"] == "DENY", route.rule
            assert headers["X-Content-Type-Options"] == "nosniff", route.rule
            assert headers["Referrer-Policy"] == "same-origin", route.rule
            assert headers["Cross-Origin-Resource-Policy"] == "same-origin", route.rule
            assert "unsafe" not in headers["Content-Security-Policy"], route.rule
            if not route.asset:
                assert headers["Cache-Control"] == "no-store", route.rule
            if "html" in headers.get("Content-Type", ""):
                assert headers["Content-Security-Policy"] == CSP, route.rule
            if headers.get("Content-Type", "").startswith("text/csv"):
                assert headers["Content-Disposition"].startswith("attachment; filename="), route.rule
            assert "Server" not in headers, route.rule


# -- stored scripts --

SCRIPT = """"'><script>alert(1)</script><img src=x onerror=alert(1)>{{7*7}}<a href="javascript:alert(1)">"""


class Tags(HTMLParser):
    """Names of all elements and attributes of a page."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))


def test_what_patients_staff_and_files_say_is_never_more_than_words(place: Place) -> None:
    """Texts, notes, replies, names of staff, files, columns, cells, sources of consent, reasons; on every page."""
    ada = place.person("administrator", f"Ada {SCRIPT}"[:40])
    parts, client = fill(place, place.person("manager", "Mia")), place.browser(ada)
    token = token_of(client)

    def press(path: str, **form: str) -> Any:
        return client.post(path, data={"csrf": token, **form}, headers=SAME)

    place.says(SCRIPT)
    place.says(f"my zip is {SCRIPT}")
    here = f"/patients/{place.patient}"
    press(f"{here}/claim", once="1")
    press(f"{here}/note", once="2", note=SCRIPT)
    press(f"{here}/reply", once="3", reply=SCRIPT)
    press(f"{here}/reply", once="4", reply=SCRIPT, note=SCRIPT, template="0")
    press("/health/pause", reason=SCRIPT)
    press(f"/outreach/{parts['<campaign>']}/pause", why=SCRIPT)
    cell = '"' + SCRIPT.replace('"', '""') + '"'
    text = f"phone,{cell},language\n+12815550123,{cell},{cell}\n{cell},{cell},en\n"
    name = SCRIPT.replace('"', "").replace("\\", "") + ".csv"
    edge = (
        f'--e\r\nContent-Disposition: form-data; name="csrf"\r\n\r\n{token}\r\n--e\r\nContent-Disposition: form-data; '
    )
    edge += f'name="file"; filename="{name}"\r\n\r\n{text}\r\n--e--\r\n'
    sent = client.post(
        "/outreach/new", data=edge.encode(), content_type="multipart/form-data; boundary=e", headers=SAME
    )
    draft = sent.headers["Location"].rpartition("/")[2]
    press(f"/outreach/drafts/{draft}", flow="triage", column_phone="0", consent_source=SCRIPT, row_language="en")
    pages = [where(route, {**parts, "<draft>": draft}) for route in GETS
             if not route.asset and route.form == "html" and route.rule != BOOKLET]  # fmt: skip
    words = 0
    for path in pages:
        shown = client.get(path)
        if "html" not in shown.headers.get("Content-Type", ""):
            continue
        words += "&lt;script&gt;" in shown.text
        tags = Tags()
        tags.feed(shown.text)
        for tag, attrs in tags.found:
            assert tag != "script" or (attrs.get("src") or "").startswith("/static/"), path
            assert not [one for one in attrs if one.startswith("on") or one == "style"], (path, tag)
            for leads in ("href", "src", "action", "formaction"):
                assert not (attrs.get(leads) or "").strip().lower().startswith(("javascript:", "data:text")), path
        assert "49" not in re.findall(r"alert\(1\)&gt;(\d\d)", shown.text), path
    assert words >= 5


# -- what is told of whom --


def test_no_header_keeps_an_export_or_a_first_view_out_of_the_trail(place: Place) -> None:
    """A page that renews itself says so by a header; an export never renews itself, and one page is not another."""
    ada = place.person("administrator", "Ada")
    parts, client = fill(place, place.person("manager", "Mia")), place.browser(ada)
    for route in ROUTES:
        if route.method == "POST" or not route.action:
            continue
        path, renews = where(route, parts), route.form == "html"
        seen = Counter(entry[:2] for entry in place.trail)[(ada.id, route.action)]
        for _ in range(3):
            client.get(path, headers={"X-Poll": "1"})
        again = Counter(entry[:2] for entry in place.trail)[(ada.id, route.action)]
        # "campaign file viewed" has two addresses, and so on: the same page of the same thing.
        assert again - seen in ((0, 1) if renews and seen else (1,) if renews else (3,)), route.rule


def test_every_page_that_shows_a_patient_or_a_number_is_in_the_trail(place: Place) -> None:
    """Found by what the pages hold: no address leads around it."""
    ada = place.person("administrator", "Ada")
    mia = place.person("manager", "Mia")
    parts = fill(place, mia)
    client = place.browser(mia)
    for route in GETS:
        if route.rule == BOOKLET:
            continue
        who = place.browser(ada) if route.least == "administrator" else client
        before = len(place.trail)
        shown = who.get(where(route, parts)).text
        private = re.search(r"i cant breathe|\+1\d{10}|\(\d{3}\) 555-01(?!42|00)\d\d", shown)
        rule = route.rule.startswith(("/outreach/new", "/start", "/settings", "/flows"))
        if private and not rule:
            assert len(place.trail) > before, (route.rule, private.group())


# -- signing in --


def test_tries_against_a_lock_do_not_lengthen_it(place: Place) -> None:
    """Who tries all day from outside locks nobody out for longer than was said."""
    ben = place.person("nurse", "Ben")
    staff, wrong = place.desk.people, ("Ben", "wrong", "000000")
    for _ in range(FAILURES):
        assert staff.sign_in(*wrong, place.at) is None
    counter = staff._counter("Ben")
    place.desk.store.client.expire(counter, 100)
    for _ in range(5):
        staff.sign_in(*wrong, place.at)
    assert 0 < place.desk.store.client.ttl(counter) <= 100 < LOCK_SECONDS
    place.desk.store.client.delete(counter)
    place.at += 60
    assert staff.sign_in("Ben", "four quiet words here", pyotp.TOTP(ben.secret).at(int(place.at)), place.at)


def test_a_flood_of_sign_ins_takes_no_more_than_two_threads_and_their_memory(place: Place) -> None:
    """Two are being checked: the third is told at once, with what it carries, and it is no wrong try."""
    ben, held = place.person("nurse", "Ben"), []
    place.at += 60
    form = {"name": "Ben", "password": "four quiet words here", "code": pyotp.TOTP(ben.secret).at(int(place.at))}
    form |= {"kept_path": "/patients/x/reply", "kept_form": '[["reply", "call me"]]'}
    while people._turns.acquire(blocking=False):
        held.append(1)
    try:
        assert len(held) == 2
        for _ in range(FAILURES + 1):
            busy = place.app.test_client().post("/sign-in", data=form, headers=SAME)
            assert busy.status_code == 503
            assert "Try again" in busy.text
            assert "call me" in busy.text
    finally:
        for _ in held:
            people._turns.release()
    assert "call me" in place.app.test_client().post("/sign-in", data=form, headers=SAME).text
    assert people._turns.acquire(blocking=False)
    people._turns.release()


def test_every_kind_of_wrong_takes_the_same_steps(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """So that neither its words nor its time tell whether a name is here, or whether the password was right."""
    ben, cem = place.person("nurse", "Ben"), place.person("nurse", "Cem")
    place.desk.people.change(cem.id, lambda one: people.replace(one, active=False))
    place.at += 60
    right, code = "four quiet words here", pyotp.TOTP(ben.secret).at(int(place.at))
    steps: Counter[str] = Counter()
    for name in ("_password_is", "_step_of"):
        real = getattr(people, name)
        monkeypatch.setattr(people, name, lambda *a, real=real, name=name: (steps.update([name]), real(*a))[1])
    real_command = place.desk.store.client.execute_command
    monkeypatch.setattr(
        place.desk.store.client,
        "execute_command",
        lambda *a, **k: (steps.update([str(a[0])]), real_command(*a, **k))[1],
    )
    told = set()
    for name, password, given in (("Nobody", right, code), ("Ben", "wrong", code), ("Ben", right, "000000"), ("Ben", "wrong", "1"),
                                  ("Cem", right, pyotp.TOTP(cem.secret).at(int(place.at))), ("", "", "")):  # fmt: skip
        steps.clear()
        form = {"name": name, "password": password, "code": given}
        answer = place.app.test_client().post("/sign-in", data=form, headers=SAME)
        words = re.sub(r'value="[^"]*"', "", answer.text)
        told.add((answer.status_code, words, tuple(sorted(steps.items()))))
    assert len(told) == 1


def test_a_code_opens_once_whoever_tries_it_and_wherever(place: Place) -> None:
    """At the sign-in, at once by many, and as a second person; the code before and after it too."""
    ben = place.person("nurse", "Ben")
    staff, right = place.desk.people, "four quiet words here"
    place.at += 90
    for drift in (-30, 0, 30):
        code = pyotp.TOTP(ben.secret).at(int(place.at) + drift)
        opened = [staff.sign_in("Ben", right, code, place.at + again) is not None for again in (0, 0, 29)]
        assert opened == [True, False, False], drift
    assert staff.sign_in("Ben", right, pyotp.TOTP(ben.secret).at(int(place.at) - 60), place.at) is None
    assert staff.sign_in("Ben", right, pyotp.TOTP(ben.secret).at(int(place.at) + 60), place.at) is None
