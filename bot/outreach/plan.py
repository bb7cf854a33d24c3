"""A sheet and what is known of its patients -> the plan of a campaign, with a reason for every row. Pure.

`plan` and `send` both come through here; sending only adds the writing (campaigns.py).
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from zoneinfo import ZoneInfo

from bot import wording
from bot.consent import Hours
from bot.decide import KNOWN
from bot.flow.load import Loaded
from bot.flow.model import EnumVar
from bot.outreach.judge import Number, Stated, Via, Why, number_in, refusal, says_day_first, stated_in
from bot.outreach.opening import opening
from bot.outreach.pacing import Pace, times
from bot.outreach.sheet import Sheet
from bot.record import Consent, Record
from bot.told import Told, told
from bot.turn import Clinic

EXAMPLES = 3
LONGEST_DAYS = 14.0  # a campaign that takes longer reaches people who have been asked again meanwhile
AT_ONCE = 2_000  # records read together
EXPECTED, CERTAIN = (
    0.1,
    20,
)  # until campaigns have shown it, one in ten needs a person; so many recipients weigh as much


@dataclass(frozen=True)
class Options:
    """What staff choose. *mapping*: as sheet.read_sheet. *call_after_hours*: who has not answered the text by then is
    called; 0: nobody is. *told*: what the flow cannot ask and its words depend on, such as ``cause`` surgery or injury.
    *consent_source*: where everybody in a file without a consent column gave it, "" when nobody
    answers for that; *consent_calls*: for calls, too."""

    flow: str = "outreach"
    call_flow: str = ""  # call_flow_of chooses
    mapping: Mapping[str, str | int] = field(default_factory=dict)
    call_landlines: bool = False
    call_after_hours: int = 0
    language: str = "en"
    again: bool = False
    told: Mapping[str, str] = field(default_factory=dict)
    consent_source: str = ""
    consent_calls: bool = False


@dataclass(frozen=True)
class Terms:
    """What a plan needs of the deployment. *price*: of one segment, in millionths of a dollar. *records*: those of the
    patients that are known. *handed*: (recipients of late campaigns, how many of them needed a person)."""

    clinic: Clinic
    regions: tuple[str, ...]
    zone: ZoneInfo
    hours: Callable[[str], Hours]
    patient_id: Callable[[str], str]
    records: Callable[[list[str]], Mapping[str, Record]]
    pace: Pace
    price: int
    approval_size: int
    handed: Callable[[], tuple[int, int]] = lambda: (0, 0)


@dataclass(frozen=True, slots=True)
class Load:
    """What will reach the nurses. *busiest*: recipients in the fullest hour. Of *known* recipients of late campaigns
    *needed* needed a person."""

    busiest: int
    known: int
    needed: int

    @property
    def share(self) -> float:
        """The part of the recipients that is expected to need a person."""
        return (self.needed + EXPECTED * CERTAIN) / (self.known + CERTAIN)

    @property
    def an_hour(self) -> float:
        """People to hand off in the fullest hour."""
        return self.busiest * self.share


@dataclass(slots=True)
class Row:
    """One row of the file: a recipient, or *why* not."""

    number: int
    why: Why | None = None
    same_as: int = 0
    phone: str = ""
    patient: str = ""
    zone: int = 0
    via: Via = "sms"
    stated: Stated | None = None

    def language(self, default: str) -> str:
        return (self.stated.language if self.stated else "") or default


@dataclass(frozen=True, slots=True)
class Example:
    """What one recipient would get, word for word."""

    row: int
    language: str
    via: Via
    body: str
    segments: int


@dataclass(frozen=True)
class Plan:
    """The whole campaign before it is sent. *mark* names file and flow: the same file makes the same mark. Times are
    epoch seconds, *cost* millionths of a dollar. *samples*: for each of *hours* the beginning of a number that has them
    (`sampled` makes it one). *blockers*: why it cannot be sent; *warnings*: what to think of first."""

    mark: str
    options: Options
    sheet: Sheet
    rows: list[Row]
    hours: Mapping[int, Hours]
    samples: tuple[str, ...]
    segments: Mapping[str, int]
    starts: float
    ends: float
    cost: int
    examples: tuple[Example, ...]
    load: Load
    needs_approval: bool
    warnings: tuple[Told, ...]
    blockers: tuple[Told, ...]

    @property
    def accepted(self) -> list[Row]:
        """The recipients, in order of the file."""
        return [row for row in self.rows if row.why is None]

    @property
    def refused(self) -> Counter[Why]:
        """How many rows were refused, by reason."""
        return Counter(row.why for row in self.rows if row.why is not None)


def make_plan(sheet: Sheet, raw: bytes, options: Options, terms: Terms, now: float) -> Plan:
    """Judge every row, then time, price and render. Changes nothing."""
    zones = _Zones(terms.hours)
    rows = list(_judged(sheet, options, terms, zones, now))
    accepted = [row for row in rows if row.why is None]
    texts = _texts(terms, options, accepted, zones.hours, now)
    segments = {language: wording.segments(body).count for language, body in texts.items()}
    each = [segments.get(row.language(options.language), 1) if row.via == "sms" else 1 for row in accepted]
    timed = list(times([row.zone for row in accepted], each, zones.hours, terms.pace, now))
    ends = timed[-1][1] if timed else now
    blockers = tuple(_blockers(options, terms, accepted, texts, ends - now))
    return Plan(
        mark=mark_of(raw, options),
        options=options,
        sheet=sheet,
        rows=rows,
        hours=zones.hours,
        samples=tuple(zones.samples),
        segments=segments,
        starts=timed[0][1] if timed else now,
        ends=ends,
        cost=sum(count for row, count in zip(accepted, each, strict=True) if row.via == "sms") * terms.price,
        examples=tuple(_examples(accepted, options, call_flow_of(terms.clinic, options), texts, segments)),
        load=Load(_busiest([at for _, at in timed]), *terms.handed()),
        needs_approval=len(accepted) > terms.approval_size,
        warnings=tuple(_warnings(segments, texts, accepted, options, timed[0][1] - now if timed else 0.0)),
        blockers=blockers,
    )


def _busiest(at: list[float]) -> int:
    """The most that begin within an hour; *at* in order."""
    most = first = 0
    for last, time in enumerate(at):
        while at[first] < time - 3600:
            first += 1
        most = max(most, last - first + 1)
    return most


def call_flow_of(clinic: Clinic, options: Options) -> str:
    """The flow of a call: the campaign's own when it begins as a call that we place must (flows/call.json), else that."""
    own, usual = clinic.flows.get(options.flow), clinic.flows.get("call")
    begins = own and usual and "voice" in own.flow.channels and own.flow.greeting == usual.flow.greeting
    return options.call_flow or (options.flow if begins else "call")


def to_tell(loaded: Loaded) -> dict[str, tuple[str, ...]]:
    """What staff may say of everybody in a campaign with this flow: name -> the values that there are."""
    context = loaded.flow.context
    return {
        name: tuple(one.values)
        for name, one in context.items()
        if isinstance(one, EnumVar) and name not in loaded.stored and name not in KNOWN
    }


def mark_of(raw: bytes, options: Options) -> str:
    """The name of this file sent with this flow; the same again is the same campaign."""
    told = "".join(f"{name}={value}\0" for name, value in sorted(options.told.items()))
    digest = hashlib.blake2b(f"{options.flow}\0{told}".encode(), digest_size=6)
    digest.update(raw)
    return digest.hexdigest()


def sampled(beginning: str) -> str:
    """A number, of nobody in particular, that begins so."""
    return beginning.ljust(12, "0")


class _Zones:
    """Numbers the different opening hours; asks once for each exchange (numbers of +1 share them by seven digits)."""

    def __init__(self, hours: Callable[[str], Hours]) -> None:
        self._ask = hours
        self._known: dict[str, int] = {}
        self._numbers: dict[Hours, int] = {}
        self.hours: dict[int, Hours] = {}
        self.samples: list[str] = []

    def of(self, phone: str) -> int:
        key = phone[:8] if phone.startswith("+1") else phone
        if key not in self._known:
            found = self._ask(phone)
            number = self._numbers.setdefault(found, len(self._numbers))
            if number == len(self.samples):
                self.samples.append(phone[:8])  # never a whole number: a campaign names nobody
            self.hours[number], self._known[key] = found, number
        return self._known[key]


def _judged(sheet: Sheet, options: Options, terms: Terms, zones: _Zones, now: float) -> Iterator[Row]:
    first: dict[str, int] = {}
    day_first = says_day_first(sheet.cell(cells, "consent_date") for _, cells in sheet.rows)
    for start in range(0, len(sheet.rows), AT_ONCE):
        batch: list[tuple[Row, bool]] = []
        for number, cells in sheet.rows[start : start + AT_ONCE]:
            row, landline = _read(number, cells, sheet, options, terms, now, day_first)
            if row.phone and first.setdefault(row.phone, number) != number and row.why is None:
                row.why, row.same_as = "duplicate", first[row.phone]
            if row.why is None:
                row.patient, row.zone = terms.patient_id(row.phone), zones.of(row.phone)
            batch.append((row, landline))
        known = terms.records([row.patient for row, _ in batch if row.why is None])
        for row, landline in batch:
            if row.why is None and row.stated is not None:
                record = known.get(row.patient)
                row.why = refusal(record, row.stated, landline, options.call_landlines, now)
                row.via = "call" if landline or (record and "landline" in record.facts) else "sms"
                if record and record.session:  # what the patient chose counts more than a file
                    row.stated = replace(row.stated, language=record.session.language)
            yield row


def _read(
    number: int, cells: list[str], sheet: Sheet, options: Options, terms: Terms, now: float, day_first: bool
) -> tuple[Row, bool]:
    found = number_in(sheet.cell(cells, "phone"), terms.regions)
    if not isinstance(found, Number):
        return Row(number, found), False
    cell = sheet.cell
    stated = stated_in(
        cell(cells, "language"), cell(cells, "consent"), cell(cells, "consent_calls"),
        cell(cells, "consent_source"), cell(cells, "consent_date"),
        now, terms.zone, day_first=day_first,
    )  # fmt: skip
    if not isinstance(stated, Stated):
        return Row(number, stated, phone=found.phone), found.landline
    if options.consent_source and "consent" not in sheet.mapping:
        stated = replace(stated, consent=(options.consent_source[:80], now), calls=options.consent_calls)
    return Row(number, phone=found.phone, stated=stated), found.landline


def _texts(
    terms: Terms, options: Options, accepted: Iterable[Row], hours: Mapping[int, Hours], now: float
) -> dict[str, str]:
    """Language -> the first text, made by the function that makes the real one."""
    found: dict[str, str] = {}
    for row in accepted:
        language = row.language(options.language)
        if row.via == "sms" and language not in found and options.flow in terms.clinic.flows:
            told = {"c": "", "f": options.flow, "v": "sms", "k": options.told}
            record = Record(row.phone, consents=(Consent("outreach", True, now, "plan"),), speaks=language)
            made = opening(terms.clinic, row.patient, record, "", told, hours[row.zone], hours[row.zone].next_open(now))
            found[language] = made.body or ""
    return found


def _examples(
    accepted: list[Row], options: Options, call_flow: str, texts: Mapping[str, str], segments: Mapping[str, int]
) -> Iterator[Example]:
    """Three recipients, of every language and way that there is."""
    kinds: dict[tuple[str, Via], list[Row]] = {}
    for row in accepted:
        kinds.setdefault((row.language(options.language), row.via), []).append(row)
    picked = [rows[0] for rows in kinds.values()][:EXAMPLES]
    picked += [row for row in accepted[:EXAMPLES] if row not in picked][: EXAMPLES - len(picked)]
    for row in sorted(picked, key=lambda row: row.number):
        language = row.language(options.language)
        if row.via == "call":
            yield Example(row.number, language, "call", f"(a call with the flow {call_flow})", 0)
        else:
            yield Example(row.number, language, "sms", texts.get(language, ""), segments.get(language, 0))


def _blockers(
    options: Options, terms: Terms, accepted: list[Row], texts: Mapping[str, str], seconds: float
) -> Iterator[Told]:
    flows = terms.clinic.flows
    calls = (call_flow_of(terms.clinic, options),) if options.call_landlines or options.call_after_hours else ()
    for flow in (options.flow, *calls):
        if flow not in flows:
            yield told("There is no flow {flow}; there are {flows}.", flow=flow, flows=", ".join(sorted(flows)))
    known = to_tell(flows[options.flow]) if options.flow in flows else {}
    for name, value in options.told.items():
        if value not in known.get(name, ()):
            yield told("The flow {flow} cannot be told {what}.", flow=options.flow, what=f"{name}={value}"[:60])
    if not accepted:
        yield told("No row of the file can be written to.")
    elif options.flow in flows and any(not body for body in texts.values()):
        yield told("The flow {flow} says nothing in a text.", flow=options.flow)
    if seconds > LONGEST_DAYS * 86_400:
        yield told("It would take {n} days; at most {most} are sensible. Split the file.",
                   n=f"{seconds / 86_400:.0f}", most=f"{LONGEST_DAYS:.0f}")  # fmt: skip


def _warnings(
    segments: Mapping[str, int], texts: Mapping[str, str], accepted: list[Row], options: Options, wait: float
) -> Iterator[Told]:
    for language, body in texts.items():
        guilty = wording.segments(body).guilty
        if guilty:
            yield told("The text ({language}) has letters that halve a segment: {letters}",
                       language=language, letters=" ".join(guilty))  # fmt: skip
        elif segments[language] > 1:
            yield told("The text ({language}) takes {n} segments, and as many times the price.",
                       language=language, n=segments[language])  # fmt: skip
    if wait > 60:
        yield told("Nobody may be written to right now; it begins when the quiet hours end.")
    calls = sum(row.via == "call" for row in accepted)
    if calls:
        yield told("{n} landlines are called, not texted.", n=calls)
    if options.call_after_hours:
        yield told("Who has not answered after {n} h is called.", n=options.call_after_hours)
