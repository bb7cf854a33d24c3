"""The booklet that a clinician signs: nothing of the flow is missing, nothing in it runs, and who signed is kept."""

from __future__ import annotations

import json
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from markupsafe import Markup

from bot import booklet_command, wording
from bot.booklet_command import TEMPLATE, make_booklet
from bot.flow.load import load_flow
from bot.proof.booklet import Booklet
from bot.proof.check import Report, check
from bot.proof.command import FLOWS, beside, read_flow, reader, word_texts
from bot.reading.words import words_hash

TRIAGE = FLOWS / "triage.json"
PEG = FLOWS / "peg.json"  # small, so quick to prove


@pytest.fixture(scope="module")
def booklet(tmp_path_factory: pytest.TempPathFactory) -> Booklet:
    """Of triage, as it is."""
    return make_booklet(TRIAGE, None, tmp_path_factory.mktemp("signed") / "signed.jsonl")


def page(book: Booklet) -> str:
    return book.html(TEMPLATE.read_text("utf-8"))


def changed(tmp_path: Path, edit: Any, flow: Path = TRIAGE) -> Path:
    """A file with *flow* after *edit*."""
    body = json.loads(flow.read_text("utf-8"))
    edit(body)
    file = tmp_path / flow.name
    file.write_text(json.dumps(body))
    return file


def test_every_text_stands_in_it_in_every_language_and_channel(booklet: Booklet) -> None:
    """As SMS folds it and as a voice says it, under its key."""
    html, flow = page(booklet), booklet.loaded.flow
    for key, wordings in flow.texts.items():
        assert f'id="text-{key}"' in html
        part = html.partition(f'id="text-{key}"')[2].partition("</table>")[0]
        for language in flow.languages:
            one = wordings[language]
            for form, body in ((wording.fold, one.sms or one.text), (wording.spoken, one.voice or one.text)):
                if body:
                    assert f'lang="{language}" style="width:70%">{Markup.escape(form(body))}<' in part


def test_invariants_stand_with_the_verdict_and_the_count_of_check(booklet: Booklet) -> None:
    """The booklet counts nothing itself."""
    report, html = check(booklet.loaded, flows=beside([booklet.loaded]), read=reader()), page(booklet)
    assert len(report.held) > 50
    for one in booklet.loaded.flow.invariants:
        row = html.partition(f"<tr><td>{one.id}</td><td>")[2].partition("</tr>")[0]
        assert f"<td>holds</td><td>{report.held[one.id]:,} " in row


def test_a_broken_invariant_and_one_that_was_not_reached_are_never_called_good(tmp_path: Path) -> None:
    """Broken is said with its conversation, and nobody can sign it; what the proof did not reach is "not proved"."""

    def edit(body: Any) -> None:
        body["states"]["route"]["rules"][0]["target"] = "pt"

    file = changed(tmp_path, edit)
    html = page(make_booklet(file, None, tmp_path / "signed.jsonl"))
    assert "NOT PROVED" in html
    assert "BROKEN" in html.partition("<tr><td>I5</td>")[2].partition("</tr>")[0]
    with pytest.raises(booklet_command.RecordError, match="nobody can sign"):
        make_booklet(file, None, tmp_path / "signed.jsonl", "Dr. A", "the version")
    assert not (tmp_path / "signed.jsonl").exists()
    loaded = read_flow(TRIAGE)
    assert page(Booklet(loaded, Report("f", loaded.hash), "today")).count("not proved</span>") == len(
        loaded.flow.invariants
    )


def test_every_rule_stands_with_its_seed_rule_and_the_seeds_sentence(booklet: Booklet) -> None:
    """A clinician need not look anything up."""
    html, flow = page(booklet), booklet.loaded.flow
    for rule in flow.states["route"].rules:  # type: ignore[union-attr]
        assert f"<tr><td>{rule.id}</td>" in html
        for name in rule.source:
            assert f"<b>{name}</b> {Markup.escape(flow.sources[name])}" in html


def test_nothing_in_it_runs_or_is_fetched(tmp_path: Path) -> None:
    """Words of a flow are words, in the page and in its picture; the page asks nobody for anything."""
    evil = "<script>alert(1)</script>"

    def edit(body: Any) -> None:
        body["title"] += evil
        body["sources"]["S34"] += evil
        body["invariants"][0]["says"] += evil
        body["texts"]["declined"]["en"]["sms"] += evil
        body["states"]["trend"]["takes"]["options"][0]["label"]["en"] += evil

    loaded = load_flow(changed(tmp_path, edit).read_text("utf-8"), "evil.json")
    html = page(Booklet(loaded, Report("evil.json", loaded.hash), "today"))
    assert "<script" not in html
    assert html.count("&lt;script&gt;") >= 6
    found: list[tuple[str, str | None]] = []

    class Reader(HTMLParser):
        def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
            assert tag not in {"script", "link", "img", "iframe", "object", "embed", "form", "base"}
            found.extend(
                (name, value) for name, value in attrs if name in ("src", "href", "srcset") or name[:2] == "on"
            )

    Reader().feed(html)
    assert found
    assert all(name == "href" and (value or "").startswith("#") for name, value in found)
    assert "url(" not in html.replace("url(#", "")  # the picture's own arrow heads
    assert "@import" not in html


def test_what_changed_since_an_older_version_is_shown(tmp_path: Path) -> None:
    """Old and new words of a text, and how many sets of answers get less care, with both conversations."""

    def edit(body: Any) -> None:
        body["texts"]["declined"]["en"]["sms"] += " Bye & thanks."
        body["states"]["route"]["rules"][0]["guard"] = {"gte": ["severity", 6]}

    older = changed(tmp_path, edit)
    html = page(make_booklet(TRIAGE, older, tmp_path / "signed.jsonl"))
    part = html.partition('id="changed"')[2].partition("<h2")[0]
    assert "changed: declined (en, sms)" in part
    assert "Bye &amp; thanks." in part
    assert "LESS CARE" in part
    assert "which is not the last signed version" in part


def test_who_signed_which_version_is_kept_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Never signed; then signed by name and day; a new version is unsigned again, names the last one, and what changed since
    then is shown without asking."""
    record = tmp_path / "signed.jsonl"
    monkeypatch.setattr(booklet_command, "SIGNED", record)
    target = tmp_path / "booklet.html"

    def run(*words: str) -> str:
        result = CliRunner().invoke(booklet_command.booklet_command, [*words, "-o", str(target)])
        assert result.exit_code == 0, result.output
        return target.read_text("utf-8")

    assert "<b>Never signed.</b>" in run(str(PEG))
    assert not record.exists()
    version = f"{read_flow(PEG).hash}+{words_hash(word_texts())[:8]}"
    for _ in range(2):
        assert "Signed: Dr. A, 20" in run(str(PEG), "--signed", "Dr. A", "--version", version)
    (line,) = record.read_text("utf-8").splitlines()
    assert json.loads(line)["hash"] == read_flow(PEG).hash
    assert "Nothing that a patient or staff can meet is different." in run(str(PEG))

    def edit(body: Any) -> None:
        body["states"]["peg_p"]["no_match"] |= {"retries": 1, "target": "staff"}

    assert "<b>This version was never signed.</b> Last signed: version" in run(str(changed(tmp_path, edit, PEG)))
    part = target.read_text("utf-8").partition('id="changed"')[2].partition("<h2")[0]
    assert "which Dr. A signed on 20" in part
    assert "goes to staff instead of" in part or "-&gt; staff" in part


def test_other_words_of_replies_are_another_version_to_sign(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The flow is the same; a reply is read as something else; what was signed does not cover it."""
    record = tmp_path / "signed.jsonl"
    book = make_booklet(PEG, None, record)
    make_booklet(PEG, None, record, "Dr. A", book.mark)
    texts = word_texts()
    body = json.loads(texts["en"])
    body["symptoms"]["fainting"] = ["purple monkey"]
    monkeypatch.setattr(booklet_command, "word_texts", lambda: {**texts, "en": json.dumps(body)})
    html = page(make_booklet(PEG, None, record))
    assert "<b>This version was never signed.</b>" in html
    part = html.partition('id="changed"')[2].partition("<h2")[0]
    assert "symptoms.fainting: no longer" in part
    assert "labelled replies: emergency -&gt; none" in part


def test_only_the_version_on_the_signed_page_can_be_recorded(tmp_path: Path) -> None:
    """The file was changed between printing and recording: refused, and nothing is written."""
    record = tmp_path / "signed.jsonl"
    printed = make_booklet(PEG, None, record).mark
    newer = changed(tmp_path, lambda body: body.update(title="Another title"), PEG)
    with pytest.raises(booklet_command.RecordError, match="what was signed is another text"):
        make_booklet(newer, None, record, "Dr. A", printed)
    assert [one.name for one in tmp_path.iterdir()] == ["peg.json"]


@pytest.mark.parametrize(
    "words",
    [
        [str(PEG), "--signed", " ", "--version", f"{read_flow(PEG).hash}+{words_hash(word_texts())[:8]}"],
        [str(PEG), "--signed", "Dr. A", "--version", read_flow(PEG).hash],
        [str(PEG), "--signed", "Dr. A"],
        [str(TRIAGE), "--since", str(PEG)],
    ],
)
def test_what_makes_no_sense_is_refused_in_words_and_writes_nothing(
    words: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Status 2, a sentence, and the page that was there before stays."""
    monkeypatch.setattr(booklet_command, "SIGNED", tmp_path / "signed.jsonl")
    target = tmp_path / "booklet.html"
    target.write_text("before")
    result = CliRunner().invoke(booklet_command.booklet_command, [*words, "-o", str(target)])
    assert result.exit_code == 2
    assert result.output.strip().endswith(".")
    assert target.read_text() == "before"
    assert not (tmp_path / "signed.jsonl").exists()


def test_a_spoiled_record_of_signatures_names_its_line(tmp_path: Path) -> None:
    """It is never taken for "never signed"."""
    record = tmp_path / "signed.jsonl"
    record.write_text('{"flow": "triage"}\n')
    with pytest.raises(booklet_command.RecordError, match=r"signed\.jsonl:1 is no record"):
        make_booklet(TRIAGE, None, record)


@pytest.mark.parametrize("file", sorted(FLOWS.glob("*.json")), ids=lambda one: one.stem)
def test_every_flow_has_a_booklet(file: Path) -> None:
    """Also those that share a part, hand over, or decide nothing."""
    if file.name != "schema.json":
        loaded = read_flow(file)
        assert loaded.hash in page(Booklet(loaded, Report(str(file), loaded.hash), "today"))
