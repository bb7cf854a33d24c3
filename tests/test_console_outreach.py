"""Outreach in the browser: from the file to the result, with roles, a second person, bad files and double presses."""

from __future__ import annotations

import csv
import io
import tempfile
from typing import Any

import pyotp
import pytest
from flask import Response
from flask.testing import FlaskClient

from bot.console.app import UPLOAD_LIMIT
from bot.console.people import Person
from bot.forget import erase_patient
from bot.settings import Settings
from bot.store.store import Store
from tests.outreach_stage import HEAD, phone, rows
from tests.test_console import SAME, Place, token_of

BASE = "/outreach/drafts/"


class Works(Place):
    """A console with a worker that does at once what is decided; *away*: it does not."""

    def __init__(self, store: Store, tmp: str) -> None:
        super().__init__(store, tmp)
        self.away = False
        self.app.after_request(self._work)

    def _work(self, answer: Response) -> Response:
        for name in [] if self.away else self.desk.campaigns.roster.all():
            self.desk.campaigns.steps.go_on("step", name)
        return answer


@pytest.fixture
def place(store: Store, tmp_path: Any) -> Works:
    return Works(store, str(tmp_path))


@pytest.fixture
def ana(place: Works) -> Person:
    return place.person("manager", "Ana")


def post(client: FlaskClient, path: str, **form: Any) -> Any:
    return client.post(path, data={"csrf": token_of(client), **form}, headers=SAME)


def given(client: FlaskClient, raw: bytes | str, name: str = "patients.csv") -> Any:
    """Upload; the answer."""
    body = raw.encode() if isinstance(raw, str) else raw
    edge = "--edge\r\nContent-Disposition: form-data; name="
    head = f'{edge}"csrf"\r\n\r\n{token_of(client)}\r\n{edge}"file"; filename="{name}"\r\n\r\n'
    # By hand: the test client would put a large body into a temporary file, and here nobody may.
    whole = head.encode() + body + b"\r\n--edge--\r\n"
    return client.post("/outreach/new", data=whole, content_type="multipart/form-data; boundary=edge", headers=SAME)


def prepared(client: FlaskClient, raw: bytes | str, **more: str) -> str:
    """Upload, columns as they were found; the address of the draft."""
    here: str = given(client, raw).headers["Location"]
    header = (raw if isinstance(raw, str) else raw.decode()).partition("\n")[0].split(",")
    known = ("phone", "language", "consent", "consent_source", "consent_date", "consent_calls")
    form = {f"column_{name}": str(header.index(name)) if name in header else "" for name in known}
    post(client, here, **{**form, "flow": "triage", "row_language": "en", **more})
    return here


def campaign(client: FlaskClient, count: int = 3, start: int = 0) -> str:
    """Prepared and sent; its address."""
    here = prepared(client, rows(count, start))
    found: str = post(client, f"{here}/send", count=str(count)).headers["Location"]
    return found


def small(place: Works, size: int) -> None:
    """Campaigns over *size* recipients need a second person."""
    made = Settings.load(
        {"SANDBOX": "1", "DATA_DIR": str(place.desk.settings.data_dir), "OUTREACH_APPROVAL": str(size)}
    )
    Works.__init__(place, place.desk.store, str(made.data_dir))
    object.__setattr__(place.desk, "settings", made)
    place.desk.__post_init__()


def code_of(place: Works, person: Person) -> str:
    place.at += 60
    return pyotp.TOTP(person.secret).at(int(place.at))


def test_a_file_becomes_a_campaign_and_the_file_is_gone(place: Works, ana: Person) -> None:
    """Columns are found as by the command; the report names each reason; the number typed sends it."""
    client = place.browser(ana)
    text = rows(3) + f"{phone(9)},en,no,form,\nnobody,en,yes,form,\n"
    at = given(client, text)
    assert at.status_code == 303
    page = client.get(at.headers["Location"]).text
    assert post(client, at.headers["Location"] + "/discard").status_code == 303
    assert page.count(" selected>") >= 5
    here = prepared(client, text)
    shown = client.get(f"{here}/check").text
    assert "this is not a phone number that exists" in shown
    assert "said no to outreach" in shown
    assert "Type the number of recipients, 3, to send" in shown
    only = client.get(f"{here}/check?why=bad_phone").text
    assert "nobody" in only
    assert phone(9) not in only
    assert post(client, f"{here}/send", count="2").status_code == 422
    sent = post(client, f"{here}/send", count=" 3 ")
    assert sent.status_code == 303
    place_of = sent.headers["Location"]
    assert "0 of 3 written to" in client.get(place_of).text
    assert post(client, f"{here}/send", count="3").headers["Location"] == place_of
    assert client.get(here).headers["Location"] == place_of
    assert not [key for key in place.desk.store.client.keys("{console}draft*") if b":as" not in key]


def test_what_is_uploaded_is_nowhere_in_clear(place: Works, ana: Person, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not in the store, and not in a temporary file either, however large it is."""

    from werkzeug import formparser

    def never(*_: object, **__: object) -> None:
        raise AssertionError("a temporary file")

    for name in ("TemporaryFile", "SpooledTemporaryFile", "NamedTemporaryFile"):
        monkeypatch.setattr(tempfile, name, never)
    for name in ("TemporaryFile", "SpooledTemporaryFile"):
        monkeypatch.setattr(formparser, name, never, raising=False)
    client = place.browser(ana)
    text = HEAD + f"{phone(1)},en,yes,Zanzibar form,\n" + ("x" * 9_000 + ",en,yes,form,\n") * 70
    assert given(client, text).status_code == 303
    dump = place.desk.store.client
    for key in dump.keys("*"):
        if dump.type(key) == b"string":
            value = dump.get(key)
            assert b"Zanzibar" not in value
            assert phone(1).encode() not in value


def test_the_server_holds_a_whole_body_in_memory_and_refuses_a_larger_one() -> None:
    """The largest upload and the largest report; waitress writes what is over its limits into a temporary file."""
    from waitress.buffers import OverflowableBuffer

    from bot.console.door import IN_MEMORY, MOST_BODY

    buffer = OverflowableBuffer(IN_MEMORY)
    buffer.append(bytes(MOST_BODY))
    buffer.append(bytes(MOST_BODY))
    assert buffer.overflowed is False
    assert MOST_BODY <= UPLOAD_LIMIT + 65_536


def test_a_body_that_the_server_refuses_while_it_comes_in_is_answered_with_a_sentence_and_a_way_on() -> None:
    """200 MB, said by the length or found while reading; through the server's own reader of requests."""
    from waitress.adjustments import Adjustments

    from bot.console.door import IN_MEMORY, MOST_BODY, Reader

    reader = Reader(Adjustments(max_request_body_size=MOST_BODY, inbuf_overflow=IN_MEMORY))
    reader.received(b"POST /outreach/new HTTP/1.1\r\nHost: x\r\nContent-Length: 200000000\r\n\r\n")
    status, headers, body = reader.error.to_response("")
    assert status.startswith("413")
    assert dict(headers)["Content-Type"].startswith("text/html")
    assert b"4 MB" in body
    assert b'href="/outreach/new"' in body


@pytest.mark.parametrize(
    ("raw", "word"),
    [
        (b"", "empty"),
        (b"PK\x03\x04" + bytes(200), "spreadsheet file"),
        (b"%PDF-1.4", "a PDF"),
        (b"\xff\xd8\xff\xe0" + bytes(50), "a picture"),
        (b"\x1f\x8b" + bytes(50), "packed"),
        (b"phone,x\n+17135550142,a\0b\n", "NUL"),
        (b"phone,x\n+17135550142\n", "1 values"),
        (b"phone,x\n\xff\xfe\n", "UTF-8"),
        (b"phone" + b",x" * 100 + b"\n1" + b"," * 100 + b"\n", "100 columns"),
        (b"phone\n" + b"1\n" * 100_001, "100,000 rows"),
    ],
)
def test_a_file_of_the_wrong_kind_is_refused_in_words_and_not_kept(
    place: Works, ana: Person, raw: bytes, word: str
) -> None:
    client = place.browser(ana)
    answer = given(client, raw)
    assert answer.status_code == 422
    assert word in answer.text
    assert "Nothing was changed" in answer.text
    assert 'type="file"' in answer.text
    assert not place.desk.store.client.keys("{console}draft*")


def test_a_file_of_thousands_of_rows_is_taken(place: Works, ana: Person) -> None:
    """Whatever the pieces are in which the server reads it."""
    client = place.browser(ana)
    for count in (1_500, 4_001):
        assert given(client, rows(count)).status_code == 303
    here = prepared(client, rows(3_000))
    assert "Type the number of recipients, 3000, to send" in client.get(f"{here}/check").text


def test_uploads_of_one_person_do_not_fill_the_store(place: Works, ana: Person) -> None:
    """The newest five stay."""
    client = place.browser(ana)
    for number in range(7):
        place.at += 1
        given(client, rows(1, number), f"file {number}.csv")
    assert [one.name for one in place.desk.drafts.of(ana.id)] == [f"file {number}.csv" for number in (6, 5, 4, 3, 2)]
    assert len(place.desk.store.client.keys("{console}draft:*:file")) == 5


def test_an_upload_bomb_is_refused_before_it_is_read(place: Works, ana: Person) -> None:
    client = place.browser(ana)
    bomb = given(client, b"phone\n" + b"1" * UPLOAD_LIMIT)
    assert bomb.status_code == 413
    assert "4 MB" in bomb.text


def test_a_file_without_a_header_for_the_phone_is_mapped_by_hand(place: Works, ana: Person) -> None:
    """And the word for the whole file is a consent, kept with its source, where no column states one."""
    client = place.browser(ana)
    text = f"who,number\nAna,{phone(1)}\nBen,{phone(2)}\n"
    here = given(client, text).headers["Location"]
    wrong = post(client, here, flow="triage", column_phone="", consent_source="intake form 2026")
    assert wrong.status_code == 422
    assert "intake form 2026" in wrong.text
    assert post(client, here, flow="triage", column_phone="1", column_consent="1").status_code == 422
    assert post(client, here, flow="triage", column_phone="1").status_code == 303
    assert "No row of the file can be written to" in client.get(f"{here}/check").text
    post(client, here, flow="triage", column_phone="1", consent_source="intake form 2026")
    assert "your word for the whole file (2)" in client.get(f"{here}/check").text
    assert post(client, f"{here}/send", count="2").status_code == 303
    kept = place.desk.campaigns.roster.load([place.desk.store.cipher.patient_id(phone(1))])
    assert b"intake form 2026" in next(iter(kept.values()))[0]


def test_a_consent_column_with_an_empty_cell_is_no_consent_whatever_is_said_for_the_file(
    place: Works, ana: Person
) -> None:
    client = place.browser(ana)
    here = prepared(client, HEAD + f"{phone(1)},en,,,\n", consent_source="intake form")
    assert "No row of the file can be written to" in client.get(f"{here}/check").text


def test_a_large_campaign_waits_for_another_manager_with_a_code(place: Works) -> None:
    """Not oneself, not a nurse, not without the code; and guessing codes is locked."""
    small(place, 2)
    ana, ben, nia = place.person("manager", "Ana"), place.person("manager", "Ben"), place.person("nurse", "Nia")
    place.at += 60
    client = place.browser(ana)
    there = campaign(client)
    assert "waits for a second person" in client.get(there).text
    assert post(client, f"{there}/approve", code=code_of(place, ana)).status_code == 422
    assert post(place.browser(nia), f"{there}/approve", code=code_of(place, nia)).status_code == 403
    other = place.browser(ben)
    assert "A campaign waits for a second person" in other.get("/").text
    assert "A campaign waits" not in place.browser(nia).get("/").text
    assert "Approve and begin" in other.get(there).text
    for _ in range(5):
        assert "not right" in post(other, f"{there}/approve", code="000000").text
    assert "15 minutes" in post(other, f"{there}/approve", code=code_of(place, ben)).text
    assert place.desk.campaigns.progress(there.rpartition("/")[2]).state == "waiting"
    place.desk.store.client.delete(f"{{console}}fail:{ben.id}")
    assert post(other, f"{there}/approve", code=code_of(place, ben)).status_code == 303
    assert place.desk.campaigns.progress(there.rpartition("/")[2]).state == "running"
    assert post(other, f"{there}/approve", code=code_of(place, ben)).status_code == 409


def test_an_account_that_is_newer_than_the_request_does_not_approve(place: Works) -> None:
    small(place, 2)
    client = place.browser(place.person("manager", "Ana"))
    there = campaign(client)
    place.at += 60
    late = place.person("manager", "Cem")
    assert "newer than the request" in post(place.browser(late), f"{there}/approve", code=code_of(place, late)).text


def test_pause_go_on_and_cancel_with_a_reason_and_two_managers_at_once(place: Works, ana: Person) -> None:
    """The second of two presses sees how it stands; nothing is done twice."""
    client, other = place.browser(ana), place.browser(place.person("manager", "Ben"))
    there = campaign(client)
    name = there.rpartition("/")[2]
    assert post(client, f"{there}/pause", why="wrong text").status_code == 303
    assert post(other, f"{there}/pause").status_code == 409
    page = other.get(there).text
    assert "wrong text" in page
    assert "Go on sending" in page
    assert post(other, f"{there}/resume").status_code == 303
    assert post(client, f"{there}/resume").status_code == 409
    assert post(client, f"{there}/cancel").status_code == 422
    assert post(client, f"{there}/cancel", why="=cmd|<b>").status_code == 303
    assert post(other, f"{there}/cancel", why="too").status_code == 409
    assert "=cmd|&lt;b&gt;" in client.get(there).text
    assert place.desk.campaigns.progress(name).counts["cancelled"] == 3


def test_a_page_that_renews_itself_is_asked_for_whole_when_it_stands_otherwise(place: Works, ana: Person) -> None:
    client = place.browser(ana)
    there = campaign(client)
    assert client.get(f"{there}?seen=running", headers={"X-Poll": "1"}).status_code == 200
    again = client.get(f"{there}?seen=paused", headers={"X-Poll": "1"})
    assert (again.status_code, again.headers["HX-Refresh"]) == (204, "true")


def test_viewers_see_counts_nurses_people_and_only_managers_act(place: Works, ana: Person) -> None:
    """A guessed campaign or draft is a 404; somebody else's draft too."""
    client = place.browser(ana)
    there = campaign(client)
    here = prepared(client, rows(2, 50))
    for role, people, acts in (("viewer", 403, 403), ("nurse", 200, 403), ("manager", 200, 404)):
        theirs = place.browser(place.person(role, f"One {role}"))
        page = theirs.get(there)
        assert page.status_code == 200
        assert place.desk.store.cipher.patient_id(phone(0)) not in page.text
        assert theirs.get(f"{there}/people").status_code == people
        assert theirs.get(f"{there}/people.csv").status_code == people
        assert theirs.get(here).status_code == acts
        assert theirs.get(f"{here}/check").status_code == acts
        assert theirs.get(f"{here}/check.csv").status_code == acts
        assert post(theirs, f"{here}/send", count="2").status_code == acts
        if role != "manager":
            assert given(theirs, rows(1)).status_code == 403
            assert theirs.get(f"{there}/result.csv").status_code == 403
            for act in ("approve", "pause", "resume", "cancel"):
                assert post(theirs, f"{there}/{act}", why="x", code="1").status_code == 403
        else:
            assert theirs.get("/outreach/0123456789ab").status_code == 404
            for act in ("approve", "pause", "resume", "cancel", "people", "result.csv"):
                path = f"/outreach/0123456789ab/{act}"
                got = theirs.get(path) if act in ("people", "result.csv") else post(theirs, path, why="x", code="1")
                assert got.status_code == 404, act
            post(theirs, f"{here}/discard")
    assert client.get(here).status_code == 200
    assert place.desk.campaigns.progress(there.rpartition("/")[2]).state == "running"


@pytest.mark.parametrize("step", ["/outreach/new", "send", "approve", "cancel"])
def test_a_form_of_another_site_or_without_its_token_sends_nothing(place: Works, ana: Person, step: str) -> None:
    client = place.browser(ana)
    there, here = campaign(client), prepared(client, rows(2, 50))
    path = {"/outreach/new": "/outreach/new", "send": f"{here}/send"}.get(step, f"{there}/{step}")
    form: dict[str, Any] = {"count": "2", "why": "x", "code": "1"}
    for headers, token in (({"Sec-Fetch-Site": "cross-site"}, token_of(client)), (SAME, "wrong")):
        file = {"file": (io.BytesIO(rows(2, 90).encode()), "x.csv")} if step == "/outreach/new" else {}
        assert client.post(path, data={**form, **file, "csrf": token}, headers=headers).status_code == 403
    assert len(place.desk.campaigns.roster.all()) == 1
    assert len(place.desk.drafts.of(ana.id)) == 1
    assert place.desk.campaigns.progress(there.rpartition("/")[2]).state == "running"


def test_a_script_in_a_cell_is_words_and_a_formula_in_a_result_is_text(place: Works, ana: Person) -> None:
    client = place.browser(ana)
    head = "phone,language,consent,consent_source,consent_calls,<script>alert(0)</script>\n"
    evil = f"<script>alert(1)</script>,en,yes,form,,=HYPERLINK(1)\n{phone(1)},en,yes,form,,@SUM(1)\n"
    at = given(client, head + evil, "<script>alert(2)<b>.csv")
    here = at.headers["Location"]
    prepared_page = client.get(here).text
    post(
        client,
        here,
        column_phone="0",
        column_language="1",
        column_consent="2",
        column_consent_source="3",
        flow="triage",
    )
    for text in (prepared_page, client.get(f"{here}/check").text, client.get("/outreach").text):
        assert "<script>alert" not in text
        assert "&lt;script&gt;alert" in text
    told = list(csv.reader(io.StringIO(client.get(f"{here}/check.csv").text)))
    there = post(client, f"{here}/send", count="1").headers["Location"]
    told += list(csv.reader(io.StringIO(client.get(f"{there}/result.csv").text)))
    told += list(csv.reader(io.StringIO(client.get(f"{there}/people.csv").text)))
    assert len(told) >= 6
    assert not [cell for line in told for cell in line if cell.lstrip(" \ufeff").startswith(("=", "+", "-", "@", "\t"))]


def test_the_files_to_take_away_are_in_the_readers_language(place: Works, ana: Person) -> None:
    """Report and result, header and reasons; the clinic's own columns stay as they are."""
    client = place.browser(ana)
    client.set_cookie("console-language", "es")
    here = prepared(client, rows(3) + rows(1).partition("\n")[2])
    report = list(csv.reader(io.StringIO(client.get(f"{here}/check.csv").text.removeprefix("\ufeff"))))
    assert (report[0][0], report[0][1], *report[0][-2:]) == ("fila", "phone", "resultado", "motivo")
    assert report[-1][-2:] == ["rechazado", "el mismo número está en una fila anterior (fila 2)"]
    there = post(client, f"{here}/send", count="3").headers["Location"]
    place.desk.conversation.hear(phone(1), "sms", "STOP", "s1")
    roster, name = place.desk.campaigns.roster, there.rpartition("/")[2]
    for effect, state, detail in (("2", "not_sent", "opted out"), ("3", "failed", "30005")):
        one = next(one for some in roster.rows(name) for one in some if str(one.row) == effect)
        roster.move(roster.effect(name, one.patient, one.row), state, detail)
    result = list(csv.reader(io.StringIO(client.get(f"{there}/result.csv").text.removeprefix("\ufeff"))))
    assert result[0] == ["fila", "paciente", "resultado", "detalle"]
    assert [row[2:] for row in result[1:]] == [
        ["no enviado", "pidió no recibir mensajes"],
        ["falló", "El número no existe o ya no se usa. Pida el número correcto. (30005)"],
        ["en espera", "espera su turno"],
        ["rechazado", "el mismo número está en una fila anterior"],
    ]


def test_after_an_injury_is_chosen_beside_the_flow(place: Works, ana: Person) -> None:
    client = place.browser(ana)
    here = prepared(client, rows(1), flow="outreach", told_cause="injury")
    assert "after your care" in client.get(f"{here}/check").text
    assert 'value="injury" selected' in client.get(here).text
    post(client, f"{here}/send", count="1")
    assert (
        "after your procedure"
        in client.get(f"{prepared(client, rows(1), flow='outreach', told_cause='surgery')}/check").text
    )


def test_an_expired_session_loses_neither_the_file_nor_the_number(place: Works, ana: Person) -> None:
    """Signed out in the middle: the draft is still there, and the number comes back ready to be sent."""
    client = place.browser(ana)
    here = prepared(client, rows(2))
    place.at += 20 * 60
    lost = client.post(f"{here}/send", data={"count": "2", "csrf": "x"}, headers=SAME)
    assert lost.status_code == 401
    assert "&#34;count&#34;, &#34;2&#34;" in lost.text
    form = {"name": "Ana", "password": "four quiet words here", "code": code_of(place, ana)}
    form |= {"kept_path": f"{here}/send", "kept_form": '[["count", "2"]]'}
    back = client.post("/sign-in", data=form, headers=SAME)
    assert f'action="{here}/send"' in back.text
    assert post(client, f"{here}/send", count="2").status_code == 303
    nothing = client.post("/outreach/new", data={"csrf": token_of(client)}, headers=SAME)
    assert nothing.status_code == 422
    assert "Choose a file first" in nothing.text


def test_the_same_file_by_two_managers_is_one_campaign_and_once_more_only_when_said(place: Works, ana: Person) -> None:
    """Also when the button of a repeat is pressed twice."""
    client, other = place.browser(ana), place.browser(place.person("manager", "Ben"))
    one, two = prepared(client, rows(2)), prepared(other, rows(2))
    there = post(client, f"{one}/send", count="2").headers["Location"]
    stopped = post(other, f"{two}/send", count="2")
    assert stopped.status_code == 422
    assert "was sent with this flow before" in stopped.text
    again = prepared(other, rows(2), again="yes")
    second = post(other, f"{again}/send", count="2").headers["Location"]
    assert second != there
    assert len(place.desk.campaigns.roster.all()) == 2


def test_a_repeat_whose_process_died_or_whose_button_was_pressed_twice_is_the_same_campaign(
    place: Works, ana: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The draft has its campaign's name before the first recipient enters, and keeps it."""
    client = place.browser(ana)
    campaign(client)
    here = prepared(client, rows(3), again="yes")
    create = place.desk.campaigns.roster.create

    def die(*_: object, **more: object) -> bool:
        create(*_, **more)  # type: ignore[arg-type]
        raise KeyError

    place.away = True
    monkeypatch.setattr(place.desk.campaigns.roster, "create", die)
    assert post(client, f"{here}/send", count="3").status_code == 500
    half = place.desk.campaigns.roster.all()[0]
    assert "The recipients are being entered" in client.get(f"/outreach/{half}").text
    monkeypatch.setattr(place.desk.campaigns.roster, "create", create)
    raw = place.desk.store.client.get(f"{{console}}draft:{here.rpartition('/')[2]}:file")
    assert post(client, f"{here}/send", count="3").headers["Location"] == f"/outreach/{half}"
    assert raw
    place.away = False
    client.get("/outreach")
    assert place.desk.campaigns.progress(half).counts["queued"] == 3
    assert len(place.desk.campaigns.roster.all()) == 2


def test_a_press_of_send_writes_the_decision_down_and_a_worker_enters_whom_it_confirmed(
    place: Works, ana: Person
) -> None:
    """The page comes at once and tells how far the worker is. Whoever could not be written to when the number was typed is
    not entered although it would be possible now, and whoever said STOP since is not either."""
    client = place.browser(ana)
    place.desk.conversation.hear(phone(0), "sms", "hi", "h1")  # in a conversation now, not any more in two days
    here = prepared(client, rows(600))
    place.away = True
    there = post(client, f"{here}/send", count="599").headers["Location"]
    assert "0 of 599 entered" in client.get(there).text
    place.desk.conversation.hear(phone(1), "sms", "STOP", "h2")
    place.at += 2 * 86_400
    place.away, client = False, place.browser(ana)
    client.get("/outreach")
    found = place.desk.campaigns.progress(there.rpartition("/")[2])
    assert (found.state, found.counts) == ("waiting", {"queued": 598})
    told = {row[0]: row[2:] for row in csv.reader(io.StringIO(client.get(f"{there}/result.csv").text))}
    assert told["2"] == ["refused", "this patient is in a conversation right now"]
    assert told["3"] == ["refused", "this patient has opted out"]
    assert told["4"] == ["queued", "waits for its turn"]


def test_a_cancel_ends_the_entering_and_takes_back_who_is_in(
    place: Works, ana: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bot.outreach.steps.AT_ONCE_SECONDS", -1.0)  # one chunk in one go
    client = place.browser(ana)
    here = prepared(client, rows(1200))
    place.away = True
    there = post(client, f"{here}/send", count="1200").headers["Location"]
    name = there.rpartition("/")[2]
    assert place.desk.campaigns.steps.go_on("step", name) == place.at
    assert "500 of 1,200 entered" in client.get(there).text
    post(client, f"{there}/cancel", why="the wrong file")
    assert 'hx-get="' in client.get(there).text  # it is cancelled, and still takes back
    assert place.desk.campaigns.steps.go_on("step", name) is None
    assert place.desk.campaigns.progress(name).counts == {"cancelled": 500}
    assert 'hx-get="' not in client.get(there).text
    assert not place.desk.campaigns.steps.underway.has_file(name)


def test_who_is_erased_while_a_file_waits_to_be_entered_takes_the_file_along(place: Works, ana: Person) -> None:
    """It holds their number. The same file again goes on where it was, without them."""
    store = place.desk.store
    place.desk.conversation.hear(phone(2), "sms", "hi", "h1")
    place.at += 2 * 86_400
    client = place.browser(ana)
    here = prepared(client, rows(3))
    place.away = True
    there = post(client, f"{here}/send", count="3").headers["Location"]
    place.at += 5
    erase_patient(store, store.cipher.patient_id(phone(2)), place.at)
    assert "send the same file again" in client.get(there).text
    here = prepared(client, rows(3))
    place.away = False
    assert post(client, f"{here}/send", count="3").headers["Location"] == there
    assert place.desk.campaigns.progress(there.rpartition("/")[2]).counts == {"queued": 2}
    assert "erased after the file was given" in client.get(f"{there}/result.csv").text


def test_the_trail_tells_who_uploaded_viewed_confirmed_and_took_away(place: Works, ana: Person) -> None:
    """Ids and fixed words only: no name of a file, no number."""
    client = place.browser(ana)
    there = campaign(client)
    client.get(there)
    client.get(f"{there}/result.csv")
    post(client, f"{there}/pause")
    post(client, f"{there}/resume")
    post(client, f"{there}/cancel", why="x")
    done = [action for actor, action, *_ in place.trail if actor == ana.id]
    for action in (
        "file uploaded",
        "planned",
        "confirmed",
        "sent",
        "viewed",
        "result downloaded",
        "paused",
        "resumed",
        "cancelled",
    ):
        assert f"campaign {action}" in done, action
    assert not [entry for entry in place.trail if "patients.csv" in str(entry) or "+1713" in str(entry)]


def test_a_list_of_recipients_pages_and_filters(place: Works, ana: Person) -> None:
    client = place.browser(ana)
    there = campaign(client, 120)
    seen, after = [], f"{there}/people.json"
    found = client.get(after).json
    seen = [row["row"] for row in found["recipients"]]
    assert seen == list(range(2, 122))
    first = client.get(f"{there}/people").text
    assert 'rel="next"' in first
    assert "Nobody is in this state" in client.get(f"{there}/people?state=failed").text
    listed = client.get("/outreach.csv").text
    assert "120" in listed
