"""One small broken flow for each thing that ``check`` finds: exactly its message, at its place, with a conversation."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from typing import Any

import pytest

from bot.flow.load import base_hash, load_flow
from bot.flow.model import Wording
from bot.proof.check import Report, check
from bot.proof.command import reader
from bot.proof.evidence import unhonoured
from bot.proof.explore import LIMIT
from tests.proof import made

Body = dict[str, Any]
LONG = "word " * 70


def good() -> Body:
    """A flow of a screen, a number and a wish, of which everything is proved."""
    yes_no = {"type": "enum", "values": ["yes", "no"]}
    wishes = {"type": "enum", "values": ["rehab", "both", "diagnosis"]}
    context = {"alarm": yes_no, "pain": {"type": "int", "min": 0, "max": 10}, "wish": wishes}
    labels = {
        "rehab": ("exercise", "ejercicio"),
        "both": ("both", "las dos"),
        "diagnosis": ("find the cause", "saber la causa"),
    }
    options = [{"value": value, "label": {"en": en, "es": es}} for value, (en, es) in labels.items()]
    states: Body = {
        "alarm": {"type": "question", "ask": "ask_alarm", "store": "alarm", "takes": {"type": "yesno", "strictness": "red_flag"},
                  "transitions": [{"guard": {"eq": ["alarm", "yes"]}, "target": "urgent"}, {"target": "route"}]},
        "route": {"type": "decision", "asks": ["pain", "wish"],
                  "rules": [{"id": "R1", "guard": {"gte": ["pain", 7]}, "target": "pmr"},
                            {"id": "R2", "guard": {"eq": ["wish", "rehab"]}, "target": "pt"},
                            {"id": "R3", "guard": {"in": ["wish", ["both", "diagnosis"]]}, "target": "pmr"}],
                  "otherwise": {"id": "R4", "target": "pmr"}},
        "pain": {"type": "question", "ask": "ask_pain", "store": "pain", "takes": {"type": "scale0_10"},
                 "transitions": [{"target": "route"}]},
        "wish": {"type": "question", "ask": "ask_wish", "store": "wish", "takes": {"type": "choice", "options": options},
                 "transitions": [{"target": "route"}]},
        "urgent": {"type": "final", "say": ["today"], "outcome": "urgent"},
        "pmr": {"type": "final", "say": ["out_pmr"], "outcome": "pmr"},
        "pt": {"type": "final", "say": ["out_pt"], "outcome": "pt"},
    }  # fmt: skip
    body = made.frame(states, context, "alarm", languages=["en", "es"])
    for key, wordings in body["texts"].items():
        wordings["es"] = {"text": f"Esto es {key}.", "of": base_hash(Wording(text=wordings["en"]["text"]))}
    return body


def proved(body: Body, **more: Any) -> Report:
    """The report of *body*."""
    return check(made.loaded(body), read=reader(), **more)


def put(*path: Any) -> Callable[[Body], None]:
    """Set the value at the end of *path*; the last part is the value."""

    def change(body: Body) -> None:
        for step in path[:-2]:
            body = body[step]
        body[path[-2]] = path[-1]

    return change


def add(*path: Any) -> Callable[[Body], None]:
    """Append the last part to the list at *path*."""

    def change(body: Body) -> None:
        for step in path[:-1]:
            body = body[step]
        body.append(path[-1])  # type: ignore[attr-defined]  # a list, by then

    return change


def promise(kind: Body) -> Callable[[Body], None]:
    """Declare one invariant."""
    return put("invariants", [{"id": "I90", "says": "It must not be.", "check": kind}])


def text(key: str, english: str, spanish: str = "") -> Callable[[Body], None]:
    """Give a text other words (the translation is of the new one)."""

    def change(body: Body) -> None:
        body["texts"][key]["en"]["text"] = english
        body["texts"][key]["es"] = {"text": spanish or "Dice algo.", "of": base_hash(Wording(text=english))}

    return change


def uneven(body: Body) -> None:
    """A caller goes elsewhere than who writes."""
    promise({"parity": {}})(body)
    body["states"]["wish"]["transitions"].insert(0, {"guard": {"eq": ["channel", "voice"]}, "target": "pt"})


OF = base_hash(Wording(text="This is out_pt."))
HM = {"en": {"text": "Hm."}, "es": {"text": "Hm.", "of": base_hash(Wording(text="Hm."))}}
OPTIONS = ("states", "wish", "takes", "options")
RULES = ("states", "route", "rules")
BROKEN: list[tuple[str, Callable[[Body], None], tuple[Any, ...], str]] = [
    # shape
    ("unreached", put("states", "island", {"type": "final", "say": ["bye"]}), ("states", "island"),
     "No walk ever comes to the state 'island'."),
    ("never holds", put("states", "alarm", "skip_if", {"eq": ["outcome", "pt"]}), ("states", "alarm", "skip_if"),
     "This guard can never hold."),
    ("always holds", put("states", "alarm", "transitions", 0, "guard", {"answered": "alarm"}),
     ("states", "alarm", "transitions", 0, "guard"), "This guard always holds, so what stands below it is never used."),
    ("gap", put("states", "route", "rules", 2, "guard", {"eq": ["wish", "both"]}), RULES,
     '1 kinds of answers hit no rule and fall to "otherwise". A row like this is missing: '
     '{"guard": {"all": [{"eq": ["pain", 0]}, {"eq": ["wish", "diagnosis"]}]}}.'),
    ("dead rule", add(*RULES, {"id": "R5", "guard": {"eq": ["wish", "rehab"]}, "target": "pmr"}), (*RULES, 3),
     "The rule R5 is dead: rules above it take every answer that it is for."),
    ("ring", put("states", "alarm", "transitions", 1, "target", "alarm"), ("states", "alarm"),
     "From 'alarm' the same questions can come again and again without a limit."),
    ("never again", put("defaults", "no_match", "retries", 0), ("defaults", "no_match", "retries"),
     "A question is asked again once or twice, not 0 times."),
    ("too often", put("defaults", "no_input", "voice", "retries", 4), ("defaults", "no_input", "voice", "retries"),
     "A question is asked again once or twice, not 4 times."),
    ("lenient", put("states", "alarm", "takes", {"type": "yesno", "topics": ["fever"]}), ("states", "alarm", "takes"),
     "'alarm' asks for symptoms, so its answer is read with strictness 'red_flag'."),
    ("said twice", put("states", "pt", "say", ["out_pt", "out_pt"]), ("states", "pt"),
     "The text 'out_pt' is said twice in a row."),
    ("no such flow", put("states", "pt", {"type": "handover", "flow": "nowhere", "state": "x"}), ("states", "pt", "flow"),
     "There is no flow 'nowhere' beside this one."),
    ("no such state", put("states", "pt", {"type": "handover", "flow": "made", "state": "x"}), ("states", "pt", "state"),
     "The flow 'made' has no state 'x'."),
    ("endless hops", put("states", "pt", {"type": "message", "transitions": [{"target": "route"}]}), ("states", "wish"),
     "The engine stops here: FlowLoopError: The flow made does not come to wait."),
    # words
    ("reserved", put(*OPTIONS, 0, "label", "en", "stop"), (*OPTIONS, 0), "'stop' is a word that the carrier takes for itself."),
    ("same label", put(*OPTIONS, 1, "label", "en", "exercise"), (*OPTIONS, 1), "'exercise' names two options of 'wish'."),
    ("no label", put(*OPTIONS, 1, "label", "es", ""), (*OPTIONS, 1), "The option 'both' has no label in 'es'."),
    ("an emergency", put(*OPTIONS, 2, "label", "en", "chest pain now"), (*OPTIONS, 2),
     "'chest pain now' (en) is read as emergency emergency, not 'diagnosis'."),
    ("wrong digit", text("ask_wish", "1 Both 2 Exercise 3 Find the cause", "1 Ejercicio 2 Las dos 3 Saber la causa"), (*OPTIONS, 0),
     "1 stands before words for 'both' in 'en', but it is read as 'rehab'."),
    ("another language", put(*OPTIONS, 1, "label", "es", "exercise"), (*OPTIONS, 1),
     "'exercise' (es) is read as answer rehab while 'en' is on, not 'both'."),
    # texts
    ("no wording", put("texts", "out_pt", "es", {"sms": "Esto.", "of": OF}),
     ("texts", "out_pt", "es"), "The text 'out_pt' is said by voice but has no voice wording in 'es'."),
    ("stale", put("texts", "out_pt", "es", "of", "00000000"), ("texts", "out_pt", "es"),
     f"This 'es' translation is of an older 'en' text: check it, then set of to {OF!r}."),
    ("placeholders", text("out_pt", "Call {phone}.", "Llame."), ("texts", "out_pt", "es", "text"),
     "The placeholders differ from those in 'en'."),
    ("cannot be filled", text("out_pt", "As {reason}.", "Por {reason}."), ("states", "pt"),
     "This turn cannot be said in 'en': prompt asks for {reason}, but the only placeholders with a value are: a, b, clinic, "
     "day, link, phone, surg, time."),
    ("no GSM-7", text("out_pt", "Rest \u4e2d.", "Descanse."), ("texts", "out_pt", "en"),
     "out_pt in 'en': '\u4e2d' (U+4E2D) cannot be sent as GSM-7 and doubles the cost."),
    ("segments", text("out_pt", LONG * 2, "Descanse."), ("texts", "out_pt", "en"),
     "out_pt in 'en' is one message of 5 segments; at most 3."),
    ("unused", put("texts", "idle", HM),
     ("texts", "idle"), "Nothing says the text 'idle'."),
    ("silent", put("states", "pt", "say", []), ("states", "pt"), "This turn answers the patient with nothing in 'en'."),
    # evidence
    ("unknown source", put("states", "route", "rules", 0, "source", ["S99"]), (*RULES, 0, "source"),
     "There is no source 'S99' in 'sources'."),
    # invariants
    ("never", promise({"never": {"guard": {"eq": ["outcome", "pt"]}}}), ("invariants", 0), "I90 is broken: It must not be."),
    ("always", promise({"always": {"guard": {"ne": ["outcome", "pt"]}}}), ("invariants", 0), "I90 is broken: It must not be."),
    ("when/then", promise({"when": {"says": ["out_pt"]}, "then": {"does": ["task"]}}), ("invariants", 0),
     "I90 is broken: It must not be."),
    ("after", promise({"after": {"guard": {"eq": ["outcome", "urgent"]}}, "never": {"guard": {"eq": ["outcome", "emergency"]}}}),
     ("invariants", 0), "I90 is broken: It must not be."),
    ("every_path", promise({"every_path": {"questions": {"sms": 2}}}), ("invariants", 0),
     "I90 is broken: It must not be. 3 questions are asked by sms; at most 2."),
    ("monotone", promise({"monotone": {"order": ["pmr", "pt"], "worse": {"pain": [[0], [7]]}}}), ("invariants", 0),
     "I90 is broken: It must not be. A worse answer to 'pain' lowers the outcome from 'pt' to 'pmr'. First walk: pain = 0; "
     "second: pain = 7."),
    ("parity", uneven,
     ("invariants", 0), "I90 is broken: It must not be. The same answers give 'pmr' (sms) and 'pt' (voice)."),
    ("no_claim", promise({"no_claim": {"says": {"en": ["this is"]}}}), ("texts", "out_pt", "en", "text"),
     "I90: The text 'out_pt' says 'this is', which no text may say."),
    ("lengths", promise({"lengths": {"sms": 5}}), ("texts", "out_pt", "en", "text"),
     "I90: The text 'out_pt' takes 15 characters with the longest values; at most 5."),
    ("strictness", promise({"strictness": {"consent": ["alarm"]}}), ("states", "alarm", "takes"),
     "I90: The answer to 'alarm' is not read with strictness 'consent'."),
    ("unknown strict", promise({"strictness": {"consent": ["nowhere"]}}), ("invariants", 0, "check", "strictness"),
     "I90: There is no state 'nowhere'."),
    ("unknown name", promise({"never": {"to": ["nowhere"]}}), ("invariants", 0, "check", "never"),
     "I90: There is no state 'nowhere'."),
]  # fmt: skip
TALKS = {"never", "always", "when/then", "after", "every_path", "monotone", "parity", "ring", "silent", "cannot be filled",
         "segments", "no GSM-7", "endless hops"}  # fmt: skip


def test_the_flow_that_the_others_are_broken_from_is_proved() -> None:
    """Otherwise the messages below would prove nothing."""
    assert [str(found.problem) for found in proved(good()).problems] == []


@pytest.mark.parametrize(("name", "change", "path", "message"), BROKEN, ids=[one[0] for one in BROKEN])
def test_each_thing_that_is_wrong_has_its_message_at_its_place(
    name: str, change: Callable[[Body], None], path: tuple[Any, ...], message: str
) -> None:
    """file:line:column and the sentence; the conversation that shows it, where a turn does."""
    body = copy.deepcopy(good())
    change(body)
    loaded = made.loaded(body)
    found = {str(one.problem): one.talk for one in proved(body).problems}
    wanted = str(loaded.problem(path, message))
    assert wanted in found, "\n".join(found)
    if name in TALKS:
        assert any(line.startswith("  Bot: ") for line in found[wanted])


def test_the_counter_example_is_the_shortest_conversation() -> None:
    """A nurse can read it: what the patient said, what the bot said, where that leads."""
    body = good()
    promise({"never": {"guard": {"eq": ["outcome", "pt"]}}})(body)
    (broken,) = proved(body).problems
    assert list(broken.talk) == [
        "  Patient: hi",
        "  Bot: This is hello. / This is ask_alarm.  [alarm]",
        "  Patient: NO",
        "  Bot: This is ask_pain.  [pain]",
        "  Patient: 0",
        "  Bot: This is ask_wish.  [wish]",
        "  Patient: 1 (exercise)",
        "  Bot: This is out_pt.  [pt, outcome pt]",
    ]
    assert broken.invariant == "I90"


def test_walks_begin_where_another_flow_hands_over_too() -> None:
    """What holds of every walk from hello on is broken by a flow that sends patients past the screen."""
    body = good()
    screened = {"never": {"all": [{"to": ["pain"]}, {"not": {"guard": {"eq": ["alarm", "no"]}}}]}}
    promise(screened)(body)
    assert proved(body).problems == []
    other = made.frame({"sent": {"type": "handover", "flow": "made", "state": "pain"}}, {}, "sent") | {"id": "other"}
    (broken,) = proved(body, flows={"other": made.loaded(other)}).problems
    assert broken.invariant == "I90"
    assert list(broken.talk) == [
        "  Patient: (was talking with us in another flow, which goes on here)",
        "  Bot: This is ask_pain.  [pain]",
    ]


def test_overlaps_are_named_with_the_rule_that_wins() -> None:
    """First hit is a decision, so it is listed."""
    assert proved(good()).overlaps == ["route: R1 before R2 (pmr, not pt) in 1 kinds"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda body: None, "'1' is a number in 'ask_pain' and a choice in 'ask_wish', asked in a row."),
        (text("out_pt", LONG, "Descanse."), "The text 'out_pt' takes about 25 s to say; at most 20."),
        (text("out_pt", "Immediately initiate comprehensive multidisciplinary rehabilitation evaluation procedures today."),
         "The text 'out_pt' reads at grade "),
    ],
)  # fmt: skip
def test_advice_is_given_for_what_is_only_hard(change: Callable[[Body], None], message: str) -> None:
    """Spoken length, reading grade, a digit with two meanings: listed, and no reason to refuse."""
    body = good()
    change(body)
    report = proved(body)
    assert any(message in str(one) for one in report.warnings), report.warnings


def test_a_flow_that_is_too_large_is_refused_with_what_makes_it_large() -> None:
    """Instead of a hang."""
    report = check(made.loaded(made.hoard(14)), limit=2_000)
    (problem,) = report.problems
    assert (
        "This flow has more than 2,000 configurations, so it cannot be proved. What makes it large: the answers"
        in str(problem.problem)
    )
    assert LIMIT <= 40_000  # some ten seconds


def test_a_table_of_too_many_kinds_of_answers_is_refused_although_few_are_asked() -> None:
    """Early exits keep the walks few; the table itself cannot be looked through."""
    body = made.hoard(20)
    names = [f"q{at}" for at in range(20)]
    for name in names:
        body["states"][name]["transitions"] = [{"target": "table"}]
    body["states"]["table"]["asks"] = names[1:]
    (problem,) = [one.problem for one in proved(body).problems if "kinds of them" in one.problem.message]
    assert problem.message == "This table reads 20 answers, 1,048,576 kinds of them; at most 50,000: split it in two."


def test_seed_rules_that_nothing_honours_are_reported() -> None:
    """A rule that is cited nowhere is named; one that is cited is not."""
    body = good()
    body["sources"] = {"S3": "both may be best"}
    body["states"]["route"]["rules"][1]["source"] = ["S3"]
    missing = unhonoured([load_flow(json.dumps(body), "made.json")])
    assert "S3" not in missing
    assert {"S1", "S23a", "S39"} <= set(missing)


def test_a_rule_or_an_outcome_that_cites_nothing_is_a_problem_where_it_stands() -> None:
    """In a flow that cites anything: rows of tables, the last one too, and states with an outcome."""
    body = good()
    body["states"]["route"]["rules"][1]["source"] = ["S3"]
    said = [one.problem.message for one in proved(body).problems]
    states = body["states"].values()
    lines = 1 + len(body["states"]["route"]["rules"]) - 1 + sum("outcome" in state for state in states)
    assert len([one for one in said if "cites no source" in one]) == lines
    assert (
        f"This rule {body['states']['route']['otherwise']['id']} cites no source: give 'source' the seed rules"
        in " ".join(said)
    )
    body["states"]["route"]["rules"][1]["source"] = []
    report = proved(body)
    assert not report.problems
    assert any("No rule or outcome of this flow cites a source" in one.message for one in report.warnings)


@pytest.mark.parametrize("name", ["S40", "S23", "S0", "X1"])
def test_a_seed_rule_that_does_not_exist_cannot_be_cited_by_a_rule_or_an_invariant(name: str) -> None:
    """Nor can the flow invent it: S1 to S39 are the seed's."""
    for path in (("states", "route", "rules", 0), ("invariants", 0)):
        body = good()
        body["invariants"] = [
            {"id": "Z1", "says": "Never pt.", "check": {"never": {"all": [{"to": ["pt"]}, {"to": ["pmr"]}]}}}
        ]
        target: Any = body
        for step in path:
            target = target[step]
        target["source"] = [name]
        assert any(f"There is no source '{name}'" in one.problem.message for one in proved(body).problems), path
    body["sources"] = {name: "invented"}
    invented = [one.problem.message for one in proved(body).problems if "no seed rule" in one.problem.message]
    assert bool(invented) is name.startswith("S")
