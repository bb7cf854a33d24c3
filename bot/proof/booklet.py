"""One flow as a booklet that a clinician reads and signs: everything that a patient can meet, and what is proved. Pure.

Rows of plain words from the flow, its proof and its comparison; ``booklet.html`` beside this file lays them out. Nothing
is judged here. English, because it is for staff; the patients' texts stand in every language.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from jinja2 import Environment, StrictUndefined
from markupsafe import Markup

from bot import prompts, wording
from bot.flow import model
from bot.flow.inherit import no_match_of
from bot.flow.invariant import Check
from bot.flow.load import Loaded, texts_used
from bot.proof.check import Report
from bot.proof.difference import Difference, classes
from bot.proof.graph import label_of
from bot.proof.picture import draw
from bot.proof.talk import LONGEST
from bot.proof.texts import WORDS_A_MINUTE
from bot.proof.turns import Fact
from bot.proof.words_of_guard import say

LANGUAGES = {"en": "English", "es": "Spanish"}
DECISIONS: Mapping[
    str, tuple[tuple[str, str, str, str], ...]
] = {  # SPEC H: what, default, the rule and words of its row
    "triage": (
        ("Pain from this number on is severe", "7", "R2", "severity"),
        ("Fever or a hot joint is urgent, the same day, with the ER as the way out", "yes", "R1", "screen c is yes"),
        ("Signs of a clot in the leg without trouble to breathe are urgent", "yes", "R1", "screen c is yes"),
        ("Mild spine pain that is local and diagnosed may go to therapy", "yes", "R11", "cause is diagnosed"),
        ("No pain, no known cause and a wish for rehab may go to therapy", "yes, S30", "R11", "cause is unknown"),
        ("After surgery a wish for rehab leads to both, the doctor first", "yes", "R9", "cause is surgery"),
        ("A wish for medicine or a shot leads to the doctor, even right after surgery", "yes", "R7", "goal is relief"),
        ("Nobody is asked about suicide; words of a crisis are heard everywhere", "yes", "R0", "anywhere: crisis"),
        ("Times at which staff are alerted, and the number after hours", "the clinic's", "", ""),
    )
}
CLINICS_OWN = "no part of the flow: the settings CLINIC_HOURS, CLINIC_PHONE and NURSE_LINE"


@dataclass(frozen=True)
class Signature:
    """Who signed which version of a flow and of the words of replies, on which day (ISO 8601, UTC)."""

    flow: str
    hash: str
    words: str
    name: str
    on: str


@dataclass(frozen=True)
class Row:
    """One row of a decision: its rule, when it holds, where it leads, its reason (a text's key), its seed rules."""

    id: str
    when: str
    then: str
    reason: str = ""
    source: tuple[str, ...] = ()


@dataclass(frozen=True)
class Asked:
    """A question: its choices as (digit, label by language), its rows, and what follows when it stays unclear."""

    name: str
    text: str
    kind: str
    choices: list[tuple[int, dict[str, str]]]
    rows: list[Row]


@dataclass(frozen=True)
class Heard:
    """One text in one language and channel. *cost*: segments by SMS, seconds when spoken."""

    language: str
    channel: str
    body: str
    cost: str


@dataclass(frozen=True)
class Promise:
    """One invariant. *holds*: None when the proof did not get that far."""

    id: str
    says: str
    source: tuple[str, ...]
    holds: bool | None
    count: int
    unit: str


@dataclass(frozen=True)
class Since:
    """The comparison with an older version. *examples*: each kind of change in words, and of most a conversation: the common
    beginning, before, and now."""

    old: Loaded
    found: Difference
    examples: list[tuple[str, tuple[list[str], list[str], list[str]]]]
    words: list[Fact]


@dataclass(frozen=True)
class Booklet:
    """What is laid out. *words*: hash of the words by which replies are read."""

    loaded: Loaded
    report: Report
    day: str
    words: str = ""
    signatures: list[Signature] = field(default_factory=list)
    since: Since | None = None

    @property
    def mark(self) -> str:
        """The version that is signed: the flow with its parts, and the words of replies."""
        return f"{self.loaded.hash}+{self.words[:8]}"

    def html(self, template: str) -> str:
        """The page: *template* is the text of booklet.html. Everything but the picture, which escapes itself, is
        escaped here."""
        page = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
        flow = self.loaded.flow
        last = next((one for one in reversed(self.signatures) if one.flow == flow.id), None)
        return page.from_string(template).render(
            book=self, flow=flow, languages=LANGUAGES, picture=Markup(draw(self.loaded)), label=label_of,  # noqa: S704 - draw escapes
            texts=list(texts(self.loaded)), questions=list(questions(self.loaded)), tables=list(tables(self.loaded)),
            events=list(events(self.loaded)), ends=list(ends(self.loaded)), promises=list(promises(self.loaded, self.report)),
            decisions=list(decisions(self.loaded)), cited=cited(self.loaded), last=last,
            signed=[one for one in self.signatures if (one.flow, one.hash, one.words) == (flow.id, self.loaded.hash, self.words)],
            say=say, minutes=model.minutes,
        ) + "\n"  # fmt: skip


def since(old: Loaded, new: Loaded, found: Difference, words: list[Fact]) -> Since:
    """*found* with a conversation of each loss and of each other outcome; the rest is named."""
    none: tuple[list[str], list[str], list[str]] = ([], [], [])
    every = [
        (sentence, kind.talk(old, new) if kind.less or getattr(kind.of, "fact", None) is None else none)
        for sentence, kind in classes(found)
    ]
    return Since(old, found, every, words)


def texts(loaded: Loaded) -> Iterator[tuple[str, list[str], list[Heard]]]:
    """(key, the states and events that say it, its wordings) of every text, as a phone shows and a voice says it."""
    body = loaded.flow.model_dump(mode="json", by_alias=True, exclude={"texts", "invariants", "sources"})
    places: dict[str, list[str]] = {}
    for path, key in texts_used(body):
        named = [str(one) for one in path if isinstance(one, str) and one not in ("states", "on", "defaults")]
        places.setdefault(key, []).append(label_of(named[0]) if len(named) > 1 else "everywhere")
    reasons = {key for key in loaded.flow.texts if key.startswith("reason_")}
    for key in loaded.flow.texts:
        heard = [one for language in loaded.flow.languages for one in _heard(loaded, key, language, reasons)]
        yield key, list(dict.fromkeys(places.get(key, []))), heard


def _heard(loaded: Loaded, key: str, language: str, reasons: set[str]) -> Iterator[Heard]:
    longest = [prompts.wording_of(loaded, one, language, "sms") or "" for one in reasons]
    values = {**LONGEST, "reason": max(longest, key=len, default="")}
    for channel in loaded.flow.channels:
        body = prompts.wording_of(loaded, key, language, channel)
        if not body:
            yield Heard(language, channel, "", "not said here")
        elif channel == "voice":
            yield Heard(language, channel, wording.spoken(body), f"{len(body.split()) / WORDS_A_MINUTE * 60:.0f} s")
        else:
            cost = wording.segments(wording.fold(wording.fill(body, values)))
            plural = "" if cost.count == 1 else "s"
            yield Heard(language, channel, wording.fold(body), f"{cost.count} segment{plural}, {cost.units} characters")


def questions(loaded: Loaded) -> Iterator[Asked]:
    """Every question, with where each answer, doubt and silence leads."""
    for name, state in loaded.flow.states.items():
        if not isinstance(state, model.Question):
            continue
        rows = [Row(one.rule or "", say(one.guard), label_of(one.target), one.reason or "", (*state.source, *one.source))
                for one in state.transitions]  # fmt: skip
        doubt = no_match_of(loaded, state)
        rows.append(
            Row(doubt.rule or "", f"still unclear after {doubt.retries} more tries", label_of(doubt.target),
                doubt.reason or "", tuple(doubt.source))
        )  # fmt: skip
        rows += _silence(loaded, state)
        choices = [(at, one.label) for at, one in enumerate(state.takes.options, 1)]
        yield Asked(name, state.ask, state.takes.type, choices, rows)


def _silence(loaded: Loaded, state: model.Question) -> Iterator[Row]:
    own, shared = state.no_input or model.NoInput(), loaded.flow.defaults.no_input or model.NoInput()
    text, call = own.sms or shared.sms, own.voice or shared.voice
    if text and "sms" in loaded.flow.channels:
        hours = model.minutes(text.expire_after) / 60
        if text.nudge_after:
            after = [f"says {text.nudge}"] * bool(text.nudge) + [*map(deed, text.do)]
            soon = model.minutes(text.nudge_after) / 60
            yield Row("", f"no reply to the text for {soon:g} hours", f"stays: {'; '.join(after)}")
        yield Row("", f"no reply to the text for {hours:g} hours", label_of(text.target))
    if call and "voice" in loaded.flow.channels:
        yield Row(call.rule or "", f"silent on a call after {call.retries} more tries", label_of(call.target), "",
                  tuple(call.source))  # fmt: skip


def tables(loaded: Loaded) -> Iterator[tuple[str, list[Row]]]:
    """Every decision table; the first row that holds decides."""
    for name, state in loaded.flow.states.items():
        if isinstance(state, model.Decision):
            rows = [Row(one.id, say(one.guard), label_of(one.target), one.reason or "", tuple(one.source))
                    for one in state.rules]  # fmt: skip
            last = state.otherwise
            rows.append(Row(last.id, "anything else", label_of(last.target), last.reason or "", tuple(last.source)))
            yield name, rows


def events(loaded: Loaded) -> Iterator[tuple[str, list[Row]]]:
    """What is heard in every state, and what it does there."""
    for name, arms in loaded.flow.on.items():
        rows = []
        for arm in arms:
            then = [label_of(arm.target)] if arm.target else ["stays and asks again"]
            rows.append(
                Row(arm.rule or "", say(arm.guard) if arm.guard else "always",
                    "; ".join([*then, *(f"says {one}" for one in arm.say), *map(deed, arm.do)]), "", tuple(arm.source))
            )  # fmt: skip
        yield name, rows


def ends(loaded: Loaded) -> Iterator[Row]:
    """Every state that sets an outcome, ends the walk or makes something happen: what it says and does."""
    for name, state in loaded.flow.states.items():
        if isinstance(state, model.Final | model.Message | model.Handover):
            kind = getattr(state, "outcome", None) or getattr(state, "disposition", None) or ""
            goes = [f"goes on in {state.flow}, {label_of(state.state)}"] if isinstance(state, model.Handover) else []
            said = [f"says {one}" for one in state.say]
            if kind or state.do or goes or isinstance(state, model.Final):
                source = tuple(getattr(state, "source", ()))
                yield Row(str(kind), label_of(name), "; ".join([*said, *map(deed, state.do), *goes]), "", source)


def deed(do: model.Do) -> str:
    """An effect in words."""
    given = {name: value for name, value in do.model_dump().items() if value is not None}
    ((kind, value),) = given.items()
    words = {"task": "task for staff:", "link": "scheduling link:", "plan": "plans", "record": "keeps"}.get(kind, kind)
    return f"{words} {', '.join(value) if isinstance(value, list) else str(value).replace('_', ' ')}"


def promises(loaded: Loaded, report: Report) -> Iterator[Promise]:
    """Every invariant with the verdict and the count of the proof."""
    for one in loaded.flow.invariants:
        broken = any(
            found.invariant == one.id or found.problem.message.startswith(f"{one.id}:") for found in report.problems
        )
        holds = False if broken else True if one.id in report.held else None
        yield Promise(
            one.id, one.says, tuple(one.source), holds, report.held.get(one.id, 0), _unit(one.check, report.counts)
        )


def _unit(check: Check, counts: Mapping[str, int]) -> str:
    if check.no_claim or check.unasked or check.lengths:
        return "texts"
    if check.every_path or check.monotone or check.parity or check.early_exit:
        return "sets of answers"
    if check.after:
        return f"of {counts.get('turns', 0):,} turns break it"
    return "turns where it applies" if check.when else "turns"


def decisions(loaded: Loaded) -> Iterator[tuple[str, str, list[str]]]:
    """(what, default, the rows of this version that do it) of everything that needs a clinician's yes."""
    rows = [row for _, table in tables(loaded) for row in table]
    rows += [row for asked in questions(loaded) for row in asked.rows]
    rows += [Row(row.id, f"heard anywhere: {name}", row.then) for name, table in events(loaded) for row in table]
    for what, default, rule, words in DECISIONS.get(loaded.flow.id, ()):
        found = [f"{row.id}: {row.when}: {row.then}" for row in rows if row.id == rule and words in row.when]
        yield what, default, found if rule else [CLINICS_OWN]


def cited(loaded: Loaded) -> dict[str, str]:
    """The seed's sentences that the flow names, by rule."""
    return dict(loaded.flow.sources)
