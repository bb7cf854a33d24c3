"""The scheduling link: looking changes nothing, only the button forwards, and only to the clinic's booking pages."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Iterator

import pytest
from flask.testing import FlaskClient

from tests.web_fake import LINK, PHONE, FakeConversation, make_app


@pytest.fixture
def conversation() -> FakeConversation:
    return FakeConversation()


@pytest.fixture
def client(conversation: FakeConversation) -> Iterator[FlaskClient]:
    with make_app(conversation).test_client() as opened:
        yield opened


def test_looking_at_the_link_changes_nothing(client: FlaskClient, conversation: FakeConversation) -> None:
    for _ in range(3):
        assert client.get(f"/go/{LINK}").status_code == 200
        assert client.head(f"/go/{LINK}").status_code == 200
    assert conversation.opens == 0


def test_the_button_opens_it_and_forwards_to_the_booking_page_of_the_visit(
    client: FlaskClient, conversation: FakeConversation
) -> None:
    answer = client.post(f"/go/{LINK}")
    assert (answer.status_code, answer.headers["Location"]) == (303, "https://other.example/pt")
    assert conversation.opens == 1


@pytest.mark.parametrize("extra", ["?next=https://evil.example", "?url=//evil.example", "?l=es"])
def test_nothing_in_the_request_chooses_where_it_leads(client: FlaskClient, extra: str) -> None:
    answer = client.post(f"/go/{LINK}{extra}", data={"next": "https://evil.example"}, headers={"Host": "evil.example"})
    assert answer.headers["Location"] == "https://other.example/pt"


@pytest.mark.parametrize("token", ["b00.0123456789abcdef", "x", "a" * 5000, "%00" * 20, "<script>alert(1)", "é" * 20])
def test_unknown_expired_and_odd_links_all_look_the_same(client: FlaskClient, token: str) -> None:
    unknown = client.get("/go/b00.zzzzzzzzzzzzzzzz")
    for answer in (client.get(f"/go/{token}"), client.post(f"/go/{token}")):
        assert (answer.status_code, answer.data) == (404, unknown.data)


@pytest.mark.parametrize(
    ("address", "accepts", "language"),
    [
        ("", "", "en"),
        ("", "es-MX,es;q=0.9,en;q=0.5", "es"),
        ("", "fr", "en"),
        ("?l=es", "en", "es"),
        ("?l=xx", "es", "es"),
    ],
)
def test_the_page_speaks_the_visitors_language(client: FlaskClient, address: str, accepts: str, language: str) -> None:
    page = client.get(f"/go/{LINK}{address}", headers={"Accept-Language": accepts})
    assert f'<html lang="{language}">' in page.text
    assert ("terapia física" in page.text) == (language == "es")
    assert page.headers["Vary"] == "Accept-Language"


def test_the_page_works_on_a_phone_without_script_or_any_other_file(client: FlaskClient) -> None:
    page = client.get(f"/go/{LINK}").text
    assert 'name="viewport"' in page
    assert page.count("<button") == 1
    assert 'href="tel:+17135550100"' in page
    assert "911" in page
    assert not re.search(r"<script|<img|<link|src=|style=|https?://", page)
    assert len(page) < 4000


def test_the_policy_allows_exactly_this_style_and_these_booking_pages(client: FlaskClient) -> None:
    page = client.get(f"/go/{LINK}")
    style = re.search(r"<style>(.*?)</style>", page.text, re.S)
    assert style
    digest = base64.b64encode(hashlib.sha256(style[1].encode()).digest()).decode()
    policy = page.headers["Content-Security-Policy"]
    assert f"style-src 'sha256-{digest}'" in policy
    # Without these Chromium would block the forwarding after the form.
    assert "form-action 'self' https://book.example https://other.example;" in policy


def test_nothing_of_the_patient_is_on_the_page(client: FlaskClient) -> None:
    page = client.get(f"/go/{LINK}").text
    assert PHONE not in page
    assert LINK not in page


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_without_the_store_the_page_gives_the_clinics_number(
    client: FlaskClient, conversation: FakeConversation, method: str
) -> None:
    conversation.break_like_a_dead_store()
    answer = client.open(f"/go/{LINK}", method=method, headers={"Accept-Language": "es"})
    assert answer.status_code == 503
    assert "+17135550100" in answer.text
    assert "911" in answer.text
    assert "Traceback" not in answer.text
