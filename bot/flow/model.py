"""What a flow is: the pydantic model of the JSON in flows/. Shape only; what must agree with what is in load.py.

One file is one flow. Its words are those of DESIGN section 2 and 6. The JSON Schema in flows/schema.json is generated
from these classes (``python -m bot schema``); unknown keys are errors everywhere.
"""

from __future__ import annotations

from functools import cache
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, PlainSerializer, PlainValidator, WithJsonSchema
from pydantic_core import PydanticCustomError

from bot.flow.guard import GUARD_SCHEMA, Guard, GuardError, parse_guard
from bot.flow.invariant import Invariants

Outcome = Literal["emergency", "urgent", "pmr", "both", "pt"]
Disposition = Literal["minor", "staff", "opted_out", "expired"]
Channel = Literal["sms", "voice"]
Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,39}$")]
Duration = Annotated[str, Field(pattern=r"^PT\d{1,4}[HM]$|^P\d{1,3}D$", description="ISO 8601: PT30M, PT24H, P7D")]


def _read_guard(raw: Any) -> Guard:
    if isinstance(raw, Guard):
        return raw
    try:
        return parse_guard(raw)
    except GuardError as problem:
        raise PydanticCustomError("guard", "{text}", {"text": str(problem), "path": problem.path}) from None


GuardField = Annotated[
    Guard, PlainValidator(_read_guard), PlainSerializer(lambda guard: guard.to_json()), WithJsonSchema(GUARD_SCHEMA)
]


class Part(BaseModel):
    """Everything in a flow is frozen and refuses keys that it does not know."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


# -- answers ---------------------------------------------------------------------------------------------------------


@cache
def minutes(duration: str) -> int:
    """PT30M -> 30, PT24H -> 1440, P7D -> 10080."""
    number = int("".join(char for char in duration if char.isdigit()))
    return number * {"M": 1, "H": 60, "D": 1440}[duration[-1]]


class EnumVar(Part):
    """One of a closed list of words."""

    type: Literal["enum"]
    values: Annotated[list[Name], Field(min_length=1, max_length=20)]


class SetVar(Part):
    """Any of a closed list of words."""

    type: Literal["set"]
    values: Annotated[list[Name], Field(min_length=1, max_length=20)]


class BoolVar(Part):
    """true or false."""

    type: Literal["bool"]


class IntVar(Part):
    """A whole number within bounds, both included."""

    type: Literal["int"]
    min: Annotated[int, Field(ge=-1000, le=1000)]
    max: Annotated[int, Field(ge=-1000, le=1000)]


Variable = Annotated[EnumVar | SetVar | BoolVar | IntVar, Field(discriminator="type")]


class Option(Part):
    """One choice. Its place in the list is its digit; *label* is how a re-ask names it, by language."""

    value: Name
    label: dict[str, str]


class Takes(Part):
    """How the answer to a question is read. *topics* are the symptom topics (SPEC B1) a screen lists.

    *keys*: keys of the phone that mean an event here besides the answers, where the question says so.
    """

    type: Literal["yesno", "scale0_10", "choice"]
    strictness: Literal["general", "red_flag", "consent"] = "general"
    options: list[Option] = []
    topics: list[Name] = []
    keys: dict[Annotated[str, Field(pattern=r"^[3-9]$")], Literal["opt_out"]] = {}


# -- texts -----------------------------------------------------------------------------------------------------------


class Wording(Part):
    """One text in one language. *text* serves every channel; *sms* and *voice* serve their own.

    *of*: in a translation, the hash of the base text that it translates (``python -m bot check`` prints it).
    """

    text: str | None = None
    sms: str | None = None
    voice: str | None = None
    of: str | None = None


# -- what happens ----------------------------------------------------------------------------------------------------


class Do(Part):
    """One effect. Exactly one key is given."""

    task: Name | None = Field(None, description="A human must do something: the task's reason.")
    link: Literal["pmr", "pt"] | None = Field(None, description="Make the scheduling link for this visit.")
    text: Name | None = Field(None, description="During a call: send this text message, once, as the caller asked.")
    grant: Name | None = Field(None, description="Record consent for this purpose.")
    refuse: Name | None = Field(None, description="Record that consent for this purpose was refused.")
    score: Name | None = Field(None, description="Add up this score of the flow and keep it.")
    plan: list[str] | None = Field(None, description="Plan these follow-ups.")
    cancel: Literal["follow_ups"] | None = Field(None, description="Cancel everything that is planned.")
    record: Name | None = Field(None, description="Keep this fact of the patient.")


class Arrow(Part):
    """Where to go. Arrows of a list are tried in order; the first whose guard is true is taken."""

    guard: GuardField | None = None
    target: Name
    rule: str | None = Field(None, pattern=r"^[A-Z]{1,3}\d{1,3}$")
    reason: Name | None = None
    source: list[str] = []


class Rule(Part):
    """One row of a decision table: first hit wins. *reason* is the text that tells the patient why."""

    id: Annotated[str, Field(pattern=r"^[A-Z]{1,3}\d{1,3}$")]
    guard: GuardField
    target: Name
    reason: Name | None = None
    source: list[str] = []


class Otherwise(Part):
    """The last row of a decision table: anything else."""

    id: Annotated[str, Field(pattern=r"^[A-Z]{1,3}\d{1,3}$")]
    target: Name
    reason: Name | None = None
    source: list[str] = []


class Event(Part):
    """What an any-state event does: say something, do something, and move (or stay and ask again). *source*: the seed
    rules that what it says stands for."""

    guard: GuardField | None = None
    say: list[Name] = []
    do: list[Do] = []
    target: Name | None = None
    rule: str | None = None
    source: list[str] = []


class NoMatch(Part):
    """Not understood: asked again *retries* times, each time after *say*; then *target*.

    *suggest* is said instead of *say* on the first retry when the reader names the two nearest answers ({a} and {b}).
    """

    retries: Annotated[int, Field(ge=0, le=5)]
    say: list[Name] = []
    suggest: Name | None = None
    target: Name
    rule: str | None = None
    reason: Name | None = None
    source: list[str] = []


class SmsSilence(Part):
    """No reply by text: after *nudge_after* one *nudge* is said and *do* is done, once; the question waits on until it goes
    to *target*. An answer that comes before that is the answer, however late."""

    nudge_after: Duration | None = None
    nudge: Name | None = None
    do: list[Do] = []
    expire_after: Duration
    target: Name


class VoiceSilence(Part):
    """Nothing said and no key: asked again *retries* times, then *target*."""

    retries: Annotated[int, Field(ge=0, le=5)]
    say: list[Name] = []
    target: Name
    rule: str | None = None
    source: list[str] = []


class NoInput(Part):
    """Silence, by channel."""

    sms: SmsSilence | None = None
    voice: VoiceSilence | None = None


# -- states ----------------------------------------------------------------------------------------------------------


class Listen(Part):
    """How long a call waits for the answer, in whole seconds: *timeout* for a key or the first word, *speech* for the
    pause that ends what is said. Twilio's Gather: timeout, speechTimeout."""

    timeout: Annotated[int, Field(ge=1, le=60)] = 6
    speech: Annotated[int, Field(ge=1, le=10)] = 2


class Question(Part):
    """Asks and waits. *before* is said only when the question is first asked, *after* each time on a call; *skip_if*
    passes it by.

    *after* and *listen* are inherited from the flow's defaults when they are not given.
    """

    type: Literal["question"]
    before: list[Name] = []
    ask: Name
    after: list[Name] | None = None
    listen: Listen | None = None
    store: Name
    takes: Takes
    sets_language: bool = False
    skip_if: GuardField | None = None
    transitions: Annotated[list[Arrow], Field(min_length=1)]
    no_match: NoMatch | None = None
    no_input: NoInput | None = None
    source: list[str] = []


class Message(Part):
    """Says something and moves on in the same turn."""

    type: Literal["message"]
    say: list[Name] = []
    do: list[Do] = []
    outcome: Outcome | None = None
    transitions: Annotated[list[Arrow], Field(min_length=1)]
    source: list[str] = []


class Decision(Part):
    """A decision table. While its first open rule needs an answer, the next unanswered question of *asks* is put."""

    type: Literal["decision"]
    asks: list[Name] = []
    rules: Annotated[list[Rule], Field(min_length=1)]
    otherwise: Otherwise


class Handover(Part):
    """Goes on in a state of another flow, and does not come back."""

    type: Literal["handover"]
    flow: Name
    state: Name
    say: list[Name] = []
    do: list[Do] = []


class Final(Part):
    """The end of a walk. *again* is said to whatever comes later and is not understood (else *say* is)."""

    type: Literal["final"]
    say: list[Name] = []
    again: list[Name] = []
    do: list[Do] = []
    outcome: Outcome | None = None
    disposition: Disposition | None = None
    then: Literal["hangup", "dial"] = "hangup"
    source: list[str] = []


State = Annotated[Question | Message | Decision | Handover | Final, Field(discriminator="type")]


# -- the flow --------------------------------------------------------------------------------------------------------


class FollowUp(Part):
    """Something to begin later: a text of its own (*say*) or a walk of another flow. *when*, consent and *cancel_on* are
    checked again when it is sent.

    Due *after* so long, or so long *before* the visit. *clock*: what *after* counts from; ``visit`` counts from the visit
    once one is booked, until then from planning. *within*: how late it may still be sent; later is a task.
    """

    title: str
    after: Duration | None = None
    before: Duration | None = None
    clock: Literal["planning", "visit"] = "planning"
    within: Duration = "P3D"
    say: list[Name] = []
    flow: Name | None = None
    when: GuardField | None = None
    needs: Name = Field("follow_up", description="The consent it needs.")
    cancel_on: list[Literal["link_opened", "booked", "confirmed", "released", "newer_session"]] = []
    source: list[str] = []


class Score(Part):
    """Numbers of one walk, added up when all of them were given. *rise*: when their mean is this much over the first (or
    the last) one kept, *task* is made. What a patient reads never depends on it, so the proof need not know it."""

    of: Annotated[list[Name], Field(min_length=1, max_length=9)]
    rise: Annotated[int, Field(ge=1, le=10)]
    against: Literal["first", "last"]
    task: Name


class Defaults(Part):
    """What a question inherits that does not say it itself."""

    no_match: NoMatch | None = None
    no_input: NoInput | None = None
    after: list[Name] = []
    listen: Listen = Listen()


class Resume(Part):
    """Whoever comes back by a new call or on the other channel *after* so long, or by the same more than a day later, is
    asked again from *target* on."""

    after: Duration
    target: Name


class Flow(Part):
    """A whole flow document."""

    schema_: str | None = Field(None, alias="$schema")
    extends: Name | None = Field(
        None, description="A file of flows/parts whose states, events and texts this flow shares."
    )
    spec: Literal["pmr-flow/1"]
    id: Name
    version: Annotated[str, Field(pattern=r"^\d+\.\d+\.\d+$")]
    title: str
    languages: Annotated[list[Literal["en", "es"]], Field(min_length=1)]
    channels: Annotated[list[Channel], Field(min_length=1)]
    greeting: Name | None = None
    initial: dict[Channel, Name]
    resume: Resume | None = None
    context: dict[Name, Variable]
    texts: dict[Name, dict[str, Wording]]
    defaults: Defaults = Defaults()
    on: dict[Name, list[Event]] = {}
    states: Annotated[dict[Name, State], Field(min_length=1)]
    follows: list[Outcome] = Field([], description="Outcomes with which a walk of this flow may begin.")
    follow_ups: dict[Annotated[str, Field(pattern=r"^F[1-9]\d?$")], FollowUp] = {}
    scores: dict[Name, Score] = {}
    invariants: Invariants = []
    sources: dict[str, str] = {}
