"""Pictures of a flow, and what a new version of it changes for whom."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import pytest

from bot.flow.load import load_flow
from bot.proof.command import FLOWS
from bot.proof.compare import run_diff, run_draw
from bot.proof.graph import edges, mermaid, outline
from bot.proof.outcomes import compare
from bot.proof.picture import draw

TEXT = (FLOWS / "triage.json").read_text("utf-8")
TRIAGE = load_flow(TEXT, "triage.json")
SVG = "{http://www.w3.org/2000/svg}"


def changed(edit: Any) -> str:
    """The text of triage.json after *edit*."""
    body = json.loads(TEXT)
    edit(body)
    return json.dumps(body)


def cut_at(number: int) -> Any:
    """Strong pain begins at *number*."""

    def edit(body: Any) -> None:
        body["states"]["route"]["rules"][0]["guard"] = {"gte": ["severity", number]}

    return edit


def test_the_picture_is_plain_svg_with_every_state_and_a_text_alternative() -> None:
    """No script, no style, no link; each state's name is in it, and its outline stands in desc."""
    root = ET.fromstring(draw(TRIAGE))
    assert {one.tag for one in root.iter()} <= {
        SVG + name for name in ("svg", "title", "desc", "defs", "marker", "path", "rect", "text", "g")
    }
    assert not [one for one in root.iter() if "style" in one.attrib or "href" in one.attrib]
    said = {one.text for one in root.iter(SVG + "text")}
    assert {name.replace("_", " ") for name in TRIAGE.flow.states} <= said
    assert root.findtext(SVG + "desc") == "\n".join(outline(TRIAGE))


def test_boxes_of_the_picture_never_overlap_and_lie_inside() -> None:
    """Every box has its own place within the view."""
    root = ET.fromstring(draw(TRIAGE))
    wide, high = float(root.attrib["width"]), float(root.attrib["height"])
    boxes = [one for group in root.iter(SVG + "g") for one in group.iter(SVG + "rect")]
    places = [tuple(float(one.attrib[name]) for name in ("x", "y", "width", "height")) for one in boxes]
    for at, (x, y, w, h) in enumerate(places):
        assert x >= 0
        assert y >= 0
        assert x + w <= wide
        assert y + h <= high
        assert not [1 for a, b, c, d in places[at + 1 :] if x < a + c and a < x + w and y < b + d and b < y + h]


def test_traffic_stands_on_the_arrows() -> None:
    """The console gives numbers for pairs of states; they are printed beside their arrow."""
    assert ">1,234<" in draw(TRIAGE, {("@sms", "consent"): 1234})


def test_mermaid_has_every_arrow() -> None:
    """The same data as the picture."""
    text = mermaid(TRIAGE)
    assert text.startswith("flowchart TD")
    assert sum("-->" in line or "-.->" in line for line in text.splitlines()) >= len(edges(TRIAGE))


def test_a_file_that_is_no_flow_is_refused_in_words(tmp_path: Path) -> None:
    """Status 2 and a place, for both commands."""
    bad = tmp_path / "bad.json"
    bad.write_text("{")
    said: list[str] = []
    assert run_draw(str(bad), "svg", said.append) == 2
    assert run_diff(str(bad), str(FLOWS / "triage.json"), None, None, said.append) == 2
    assert all("bad.json:1:" in line for line in said)


def test_the_same_flow_changes_nothing() -> None:
    """No set of answers, no text, no alarm."""
    found = compare(TRIAGE, TRIAGE)
    assert (found.changed, found.texts, found.alarms, found.needs_acceptance) == (0, [], [], False)


@pytest.mark.parametrize(("number", "lowers"), [(8, True), (6, False)])
def test_moving_the_severity_cut_is_seen_with_its_direction(number: int, lowers: bool) -> None:
    """Strong from 8 sends some 7s to less care; strong from 6 only raises; nobody leaves an emergency."""
    found = compare(TRIAGE, load_flow(changed(cut_at(number)), "new.json"))
    assert found.changed
    assert {one.answers["severity"] for one in found.changes} == {7 if lowers else 6}
    assert bool(found.lowered) is lowers
    assert found.leaving_emergency == 0


def test_less_care_is_published_only_with_a_name_and_a_reason_that_are_kept(tmp_path: Path) -> None:
    """Status 1 without; 0 with both, and one line of record."""
    new, record, said = tmp_path / "new.json", tmp_path / "accepted.jsonl", list[str]()
    new.write_text(changed(cut_at(8)))
    old = str(FLOWS / "triage.json")
    assert run_diff(old, str(new), None, None, said.append, record) == 1
    assert run_diff(old, str(new), "Dr. A", None, said.append, record) == 1
    assert not record.exists()
    assert "0 leave emergency." in said
    assert run_diff(old, str(new), "Dr. A", "a test", said.append, record) == 0
    assert json.loads(record.read_text())["name"] == "Dr. A"


def test_an_alarm_that_leads_elsewhere_needs_acceptance() -> None:
    """Emergency words are no answers, so they are compared on their own."""

    def edit(body: Any) -> None:
        body["on"]["emergency"][0]["target"] = "urgent"

    found = compare(TRIAGE, load_flow(changed(edit), "new.json"))
    assert found.needs_acceptance
    assert "'emergency' no longer leads to 'emergency'" in found.alarms[0]


def test_texts_that_changed_are_listed() -> None:
    """Old and new words, by language and channel."""

    def edit(body: Any) -> None:
        body["texts"]["declined"]["en"]["sms"] += " Bye."

    (line,) = compare(TRIAGE, load_flow(changed(edit), "new.json")).texts
    assert line.startswith("changed: declined (en, sms)")
