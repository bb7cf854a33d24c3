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
from bot.proof.difference import compare, tell
from bot.proof.graph import edges, mermaid, outline
from bot.proof.picture import Seen, draw

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
    assert ">1,234<" in draw(TRIAGE, Seen({("@sms", "consent"): 1234}))


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
    assert (found.nothing, found.changed, found.losses, found.needs_acceptance) == (True, 0, [], False)


@pytest.mark.parametrize(("number", "lowers"), [(8, True), (6, False)])
def test_moving_the_severity_cut_is_seen_with_its_direction(number: int, lowers: bool) -> None:
    """Strong from 8 sends some 7s to less care; strong from 6 only raises; nobody leaves an emergency."""
    found = compare(TRIAGE, load_flow(changed(cut_at(number)), "new.json"))
    assert found.changed
    assert {one.answers["severity"] for one in found.changes} == {7 if lowers else 6}
    assert found.needs_acceptance is lowers
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
    assert "0 leave emergency." in "\n".join(said).splitlines()
    assert run_diff(old, str(new), "Dr. A", "a test", said.append, record) == 0
    assert json.loads(record.read_text())["name"] == "Dr. A"


def test_an_alarm_that_leads_elsewhere_needs_acceptance() -> None:
    """Emergency words are no answers, so they are compared on their own."""

    def edit(body: Any) -> None:
        body["on"]["emergency"][0]["target"] = "urgent"

    found = compare(TRIAGE, load_flow(changed(edit), "new.json"))
    assert found.needs_acceptance
    assert found.changed == 0
    assert any("heard emergency: outcome emergency -> urgent (LESS)" in one for one in found.losses)


def test_texts_that_changed_are_listed() -> None:
    """Old and new words, by language and channel."""

    def edit(body: Any) -> None:
        body["texts"]["declined"]["en"]["sms"] += " Bye."

    (line,) = compare(TRIAGE, load_flow(changed(edit), "new.json")).texts
    assert line.startswith("changed: declined (en, sms)")


def drop(*path: Any) -> Any:
    """An edit that takes out what stands at *path*."""

    def edit(body: Any) -> None:
        for step in path[:-1]:
            body = body[step]
        del body[path[-1]]

    return edit


def put(*path: Any) -> Any:
    """An edit that writes the last of *path* where the others lead."""

    def edit(body: Any) -> None:
        for step in path[:-2]:
            body = body[step]
        body[path[-2]] = path[-1]

    return edit


LOSSES = {
    "a task of an outcome": (drop("states", "emergency", "do", 0), "emergency: no longer: task emergency"),
    "the alert of words alone": (drop("states", "crisis", "do", 0), "heard crisis: no longer: task crisis"),
    "the task of a command": (drop("on", "cancel_appt", 0, "do"), "heard cancel appt: no longer: task visit_change"),
    "the link": (put("states", "book_pmr", "do", []), "pmr: no longer: link pmr"),
    "the link that a caller asks for": (put("states", "text_pmr", "do", [{"link": "pmr"}]), "no longer: text link_text"),
    "the link for who gets no texts": (
        drop("on", "schedule", 0), "heard schedule: goes to offer_link instead of follow_up_consent"),
    "a follow-up of the plan": (drop("states", "followed", "do", 1, "plan", 4), "no longer: plan F5"),
    "the person on the line": (drop("states", "urgent", "then"), "urgent: then hangup, not dial"),
    "the end of silence": (
        drop("defaults", "no_input", "sms", "nudge"), "silence: says nothing; before: nudge_mid"),
    "a screen that passes whom it did not understand": (
        put("states", "screen_c", "no_match", {"retries": 0, "target": "route"}), "urgent -> pmr: LESS CARE"),
    "a follow-up's own terms": (put("follow_ups", "F2", "within", "P1D"), "follow_ups.F2.within: P1D, before P4D"),
    "a promise": (drop("invariants", 0), "The promise I1 is gone"),
    "a sign that a screen listens for": (
        drop("states", "screen_a", "takes", "topics", 0), "states.screen_a.takes.topics.chest_pain: gone"),
}  # fmt: skip


def test_whatever_is_lost_needs_somebody_who_answers_for_it() -> None:
    """Not only outcomes: tasks, alerts, links, plans, a person on the line, follow-ups, promises, signs. All in one file, and
    each is named."""
    body = json.loads(TEXT)
    for edit, _ in LOSSES.values():
        edit(body)
    found = compare(TRIAGE, load_flow(json.dumps(body), "new.json"))
    missed = [name for name, (_, wanted) in LOSSES.items() if not any(wanted in one for one in found.losses)]
    assert not missed, found.losses
    assert found.leaving_emergency == 0


def test_a_screen_that_is_asked_no_more_is_a_loss_with_its_conversation() -> None:
    """Yes to it was urgent; now it is not even asked."""
    edit = put("states", "screen_b", "transitions", 2, "target", "route")
    new = load_flow(changed(edit), "new.json")
    found = compare(TRIAGE, new)
    told = "\n".join(tell(found, TRIAGE, new, all_talks=False))
    assert found.lowered > 1000
    assert "urgent -> pmr: LESS CARE" in told
    talk = told.partition("urgent -> pmr: LESS CARE")[2].partition("sets of answers")[0]
    same, _, after = talk.partition("--- before:")
    before, _, now = after.partition("--- now:")
    assert "[screen_b]" in same
    assert "[screen_c]" in before
    assert "[screen_c]" not in now


def test_more_care_and_another_reason_are_shown_and_need_nobody() -> None:
    """A reason, a text, a longer wait, an added task: told, not refused."""

    def edit(body: Any) -> None:
        body["states"]["route"]["rules"][1]["reason"] = "reason_severe"
        body["states"]["declined"]["do"] = [{"task": "person"}]
        body["defaults"]["no_input"]["sms"]["nudge_after"] = "PT60M"
        body["texts"]["declined"]["en"]["sms"] += " Bye."
        body["texts"]["brand_new"] = body["texts"].pop("fu_24h_link")
        body["follow_ups"]["F1"]["say"] = ["brand_new"]

    new = load_flow(changed(edit), "new.json")
    found = compare(TRIAGE, new)
    assert found.losses == []
    told = "\n".join(tell(found, TRIAGE, new))
    for wanted in (
        "pmr: because of R3, reason_severe; before: R3, reason_worse", "staff: new: task person",
        "waits 60 minutes for a reply, before 30 minutes", "changed: declined (en, sms)", "added: brand_new (en, sms)",
        "removed: fu_24h_link (es, sms)", "follow_ups.F1.say.brand_new: yes", "0 leave emergency.",
    ):  # fmt: skip
        assert wanted in told


def test_two_different_flows_are_not_compared(tmp_path: Path) -> None:
    """In words, and status 2."""
    said: list[str] = []
    assert run_diff(str(FLOWS / "triage.json"), str(FLOWS / "peg.json"), None, None, said.append) == 2
    assert "no version of 'triage'" in said[0]
