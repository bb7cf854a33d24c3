"""P6: the stored log of any conversation, run again, comes to the identical record and texts; a flipped value shows."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from redis import Redis

from bot.catalog import FLOWS, load_flows, word_files
from bot.eventlog import Difference, UnknownEditionError, replay
from bot.flow.load import Loaded, load_flow
from bot.publish import keep
from bot.publish_command import move_open_ones
from bot.record import Record, from_bytes, to_bytes
from bot.replay import Again
from bot.settings import Settings
from bot.store import Effect
from bot.store.published import Published
from bot.store.retain import Retained
from bot.store.store import Store
from bot.takeover import TakeOver
from bot.turn import Input
from bot.undelivered import Lost
from bot.versions import Versions
from bot.whatif import what_if
from bot.wiring import App, edition_of, put_together

PHONE = "+17135550142"
WORDS = ("hi", "yes", "no", "si", "7", "0", "10", "1", "2", "hola", "espanol", "english", "STOP", "START", "HELP", "back",
         "restart", "no idea", "i cant breathe", "my foot drags", "i want to kill myself", "person", "beep", "", "book",
         "no just my back", "6 or 7", "\U0001f600 \u00f1", "what is pmr", "wrong number", "i am 15")  # fmt: skip


class Ward:
    """One clinic over the real store, a clock of its own, and everything that can happen to a patient."""

    def __init__(self, store: Store, seed: int, folder: Path, **changes: str) -> None:
        self.random = random.Random(seed)
        self.at = 1_790_000_000.0 + self.random.randrange(7 * 86_400)
        env = {"SANDBOX": "1", "DATA_DIR": str(folder), "VOICEMAIL": self.random.choice(["true", "false"])}
        self.settings = Settings.load(env | changes)
        self.app: App = put_together(self.settings, "", store, lambda: self.at)
        self.store, self.talk, self.patient = store, self.app.conversation, store.cipher.patient_id(PHONE)
        self.published = Published(store.client, store.cipher)
        keep(self.published, edition_of(self.settings), load_flows(), word_files())
        self.staff, self.keys = TakeOver(self.talk), 0

    # -- one thing happens --

    def key(self) -> str:
        self.keys += 1
        return f"k{self.keys}"

    def record(self) -> Record:
        raw = self.store.load(self.patient, "-").record
        return from_bytes(raw) if raw else Record(PHONE)

    def happen(self) -> None:
        doors: list[tuple[int, Callable[[], Any]]] = [
            (12, self.writes), (8, self.speaks), (2, self.late), (2, self.twice), (3, self.waits), (1, self.nurse),
            (1, self.opens_link), (1, self.is_called), (1, self.reported), (1, self.dialled),
        ]  # fmt: skip
        self.at += self.random.choice([1, 20, 20, 600])
        self.random.choices([do for _, do in doors], [weight for weight, _ in doors])[0]()

    def writes(self) -> None:
        kind = self.random.choice(["STOP", "START", "HELP", None, None, None, None])
        self.talk.hear(PHONE, "sms", self.random.choice(WORDS), self.key(), opt_out_type=kind)

    def speaks(self) -> None:
        session = self.record().session
        step = str(session.turn) if session else None
        step = self.random.choice([step, step, step, None, "1"])
        digits = self.random.choice([None, "1", "2", "7", "0", "*", "99"]) if step else None
        said = "" if digits or step is None else self.random.choice(WORDS)
        self.talk.hear(PHONE, "voice", said, self.key(), step=step, digits=digits)

    def late(self) -> None:
        given = Input(self.random.choice(["sms", "voice"]), self.random.choice(WORDS))  # type: ignore[arg-type]
        came = self.at - self.random.choice([60, 3600, 90_000])
        key = self.key()
        for _ in range(self.random.choice([1, 2])):
            self.talk.take_up(PHONE, given, key, came=came, answered=b"<Response/>")

    def twice(self) -> None:
        said, key = self.random.choice(WORDS), self.key()
        assert self.talk.hear(PHONE, "sms", said, key) == self.talk.hear(PHONE, "sms", said, key)

    def waits(self) -> None:
        self.at += self.random.choice([1800, 86_400, 7 * 86_400])
        for bucket in range(self.store.buckets):
            for claim in self.store.claim(bucket, self.at):
                begun = self.store.begin(claim)
                do = {"silence": self.talk.tick, "text": self.talk.asked_for, "call": self.talk.place_call}
                out = do.get(begun.kind, self.talk.follow_up)(self.patient, claim.id, json.loads(begun.body))
                if out.later is not None:
                    self.store.put_off(claim.id, out.later, fresh=True)
                else:
                    self.store.finish(claim.id)

    def nurse(self) -> None:
        who = self.random.choice(["ann", "bob"])
        self.staff.claim(self.patient, who, self.key())
        self.staff.reply(self.patient, who, "We will call you at noon.", self.key())
        if self.random.random() < 0.7:
            self.staff.release(self.patient, who, self.key())

    def opens_link(self) -> None:
        for event in self.events():
            for token in event.get("links", ())[:1]:
                self.talk.opened(token)

    def is_called(self) -> None:
        effect = self.store.new_effect_id(self.patient)
        body = json.dumps({"p": self.patient, "f": "call", "n": "call"}).encode()
        loaded = self.store.load(self.patient, effect)
        if loaded.record is not None:
            one = Effect(effect, "call", self.at, body)
            self.store.commit(
                self.patient, effect, loaded.version, record=loaded.record, answer=b"-", effects=[one], now=self.at
            )
            self.waits()
            by = self.random.choice(["human", "machine_start", None])
            if self.record().calling:
                self.talk.picked_up(PHONE, self.key(), effect_id=effect, by=by)
                self.talk.call_over(self.patient, effect, self.random.choice(["completed", "no-answer"]), by)

    def reported(self) -> None:
        if self.record() != Record(PHONE):
            code = self.random.choice([30003, 30003, 30005, 21610, 30006])
            told = {"s": "x", "n": self.random.choice(["text", "late"])}
            self.talk.not_arrived(self.patient, self.key(), Lost("0-x", "text", told, code, "words", self.at))

    def dialled(self) -> None:
        self.talk.dialled(PHONE, self.key(), step="3", status=self.random.choice(["completed", "no-answer"]))
        self.talk.wants_message(PHONE, self.key(), step="3", said=self.random.choice(WORDS), digits=None)
        self.talk.left_message(PHONE, self.key(), step="3", recording="RE1")

    # -- and is run again --

    def events(self) -> list[Any]:
        return [json.loads(raw) for raw in self.store.events(self.patient)]

    def again(
        self, events: list[Any] | None = None, versions: Versions | None = None
    ) -> tuple[Record, Difference | None]:
        versions = versions or Versions(self.published)
        return replay(
            self.patient,
            self.events() if events is None else events,
            self.record(),
            lambda mark: versions.then(mark, PHONE),
        )


@pytest.mark.parametrize("seed", range(8))
def test_any_conversation_replays_to_the_identical_record_and_texts(store: Store, tmp_path: Path, seed: int) -> None:
    """All doors, silence, commands, a nurse, links, calls of ours, reports, texts that came during an outage."""
    ward = Ward(store, seed, tmp_path, OPT_OUT_MODE=["app", "twilio", "advanced"][seed % 3])
    for _ in range(60):
        ward.happen()
    record, difference = ward.again()
    assert difference is None
    assert to_bytes(record) == store.load(ward.patient, "-").record
    assert "said" in {event["in"] for event in ward.events()}


def test_a_value_changed_in_any_line_is_found(store: Store, tmp_path: Path) -> None:
    """Every field of every line that a turn wrote; what came from outside shows in the record at the end."""
    ward = Ward(store, 3, tmp_path)
    for said in ("hi", "yes", "no", "no", "no", "9", "yes", "back"):
        ward.talk.hear(PHONE, "sms", said, ward.key())
    ward.staff.claim(ward.patient, "ann", "1")
    assert ward.again()[1] is None
    tried, versions = 0, Versions(ward.published)
    for number, event in enumerate(ward.events()):
        # What came in, was drawn or is a name of its own is the chain's to guard: run again, it gives another true log.
        for name in event.keys() - {"at", "in", "on", "door", "said", "ids", "links", "by", "session", "fx"}:
            events = ward.events()
            events[number][name] = {} if name == "sets" else ["x"]
            assert ward.again(events, versions)[1] is not None, (number, name)
            tried += 1
    assert tried > 50
    with pytest.raises(UnknownEditionError):
        ward.again([{**event, "on": "00000000"} if "on" in event else event for event in ward.events()])


def test_the_command_names_patients_by_id_and_never_by_word_or_number(
    store: Store, tmp_path: Path, redis_client: Redis
) -> None:
    """Identical: 0. A log that was changed in the store: 1, and its line."""
    ward, said = Ward(store, 5, tmp_path), []  # type: ignore[var-annotated]
    for words in ("hi canary", "yes", "i cant breathe"):
        ward.talk.hear(PHONE, "sms", words, ward.key())
    assert Again(store, said.append).compare([ward.patient]) == 0
    key = f"{store.tag(store.bucket(ward.patient))}v:{ward.patient}"
    raw = redis_client.lrange(key, 0, -1)[1]  # type: ignore[index]
    redis_client.lset(key, 1, raw[:-1] + bytes([raw[-1] ^ 1]))
    assert Again(store, said.append).compare([ward.patient]) == 1
    assert f"{ward.patient}: line 1 of the log was changed" in said[-2]
    assert not [line for line in said if "canary" in line or "713" in line or "breathe" in line]


def test_what_retention_took_is_said_and_is_no_difference(store: Store, tmp_path: Path) -> None:
    """First the answers, then the beginning of the log."""
    ward, said = Ward(store, 5, tmp_path), []  # type: ignore[var-annotated]
    for words in ("hi", "yes", "i cant breathe"):
        ward.talk.hear(PHONE, "sms", words, ward.key())
    kept = Retained(store, store.bucket(ward.patient))
    _, (one,) = kept.some(0, 1)
    assert kept.replace(one, to_bytes(ward.record().but(session=None, echoes=())))
    assert Again(store, said.append).compare([ward.patient]) == 2
    assert "the answers that it led to were removed as too old" in said[0]
    kept.cut_log(ward.patient, lambda _: True, 1)
    said.clear()
    assert Again(store, said.append).compare([ward.patient]) == 2
    assert "the beginning of the log was removed as too old" in said[0]


def test_another_flow_shows_which_past_walks_would_have_ended_otherwise(store: Store, tmp_path: Path) -> None:
    """Strong pain from 10 on instead of 7: the walk with 9 goes elsewhere, the emergency does not."""
    ward = Ward(store, 7, tmp_path, OPT_OUT_MODE="app")
    for said in ("hi", "yes", "no", "no", "no", "9", "no", "restart", "yes", "i cant breathe"):
        ward.talk.hear(PHONE, "sms", said, ward.key())
    body = json.loads((FLOWS / "triage.json").read_text("utf-8"))
    body["states"]["route"]["rules"][0]["guard"] = {"gte": ["severity", 10]}
    new, versions = load_flow(json.dumps(body), "new.json"), Versions(ward.published)
    walks = what_if(ward.patient, ward.events(), ward.record(), lambda mark: versions.then(mark, PHONE), new)
    assert [walk.was for walk in walks] == ["pmr", "emergency"]
    assert [walk.now == walk.was for walk in walks] == [False, True]
    said_out: list[str] = []
    assert Again(store, said_out.append).otherwise([ward.patient], new) in (0, 1)
    assert "1 of 2 past walks" in said_out[-1]


def test_another_flow_shows_which_past_walks_would_have_made_other_tasks(store: Store, tmp_path: Path) -> None:
    """The same end without the task for a person is less care; the same end with one more is not."""
    ward = Ward(store, 7, tmp_path, OPT_OUT_MODE="app")
    for said in ("hi", "yes", "i cant breathe", "restart", "no"):
        ward.talk.hear(PHONE, "sms", said, ward.key())
    body = json.loads((FLOWS / "triage.json").read_text("utf-8"))
    body["states"]["emergency"]["do"] = [{"cancel": "follow_ups"}]
    body["states"]["declined"]["do"] = [{"task": "person"}]
    new, versions, said_out = load_flow(json.dumps(body), "new.json"), Versions(ward.published), list[str]()
    walks = what_if(ward.patient, ward.events(), ward.record(), lambda mark: versions.then(mark, PHONE), new)
    assert [(walk.lost, walk.gained, walk.lowers) for walk in walks if walk.otherwise] == [
        (("emergency",), (), True), ((), ("person",), False),
    ]  # fmt: skip
    assert Again(store, said_out.append).otherwise([ward.patient], new) == 1
    assert "emergency (LESS CARE); no longer: task emergency" in said_out[0]
    assert "staff (no less care); new: task person" in said_out[1]
    assert "2 of 2 past walks" in said_out[-1]
    assert "1 with less care, 0 leave emergency" in said_out[-1]


def newer(ward: Ward, edit: Callable[[Any], None]) -> Loaded:
    """Triage after *edit*, published beside what was live; the ward serves it from here on."""
    body = json.loads((FLOWS / "triage.json").read_text("utf-8"))
    edit(body)
    new = load_flow(json.dumps(body), "triage.json")
    flows = {**load_flows(), "triage": new}
    edition = replace(edition_of(ward.settings), flows={name: one.hash for name, one in flows.items()})
    keep(ward.published, edition, flows, word_files())
    ward.talk.clinic = replace(ward.talk.clinic, flows=flows, mark=edition.mark, version=Versions(ward.published).flow)
    return new


def test_a_moved_conversation_goes_on_in_the_new_version_and_replays(store: Store, tmp_path: Path) -> None:
    """Said before anything moves; moved once; the next text is the new version's; the log of both versions runs again."""
    ward, said = Ward(store, 9, tmp_path, OPT_OUT_MODE="app"), list[str]()
    for words in ("hi", "yes", "no"):
        ward.talk.hear(PHONE, "sms", words, ward.key())
    before = ward.record().session
    new = newer(ward, lambda body: body["texts"]["screen_c"]["en"].update(sms="Anything else? Reply YES or NO"))
    versions = Versions(ward.published)
    assert move_open_ones(store, versions, ward.talk, said.append, dry=True) == {"": 1}
    assert said == [
        "1 open conversations can move to the new version (same place by the same answers, proved from there)."
    ]
    assert ward.record().session == before
    assert move_open_ones(store, versions, ward.talk, said.append, dry=False) == {"": 1}
    session = ward.record().session
    assert session
    assert before
    assert session == before.but(flow_hash=new.hash)
    assert not move_open_ones(store, versions, ward.talk, said.append, dry=False)
    assert "Anything else?" in ward.talk.hear(PHONE, "sms", "no", ward.key()).decode()
    assert [event["in"] for event in ward.events()].count("moved") == 1
    assert ward.again()[1] is None
    assert Again(store, said.append).compare([ward.patient]) == 0


def test_a_conversation_whose_question_is_gone_stays_and_ends_in_its_own_version(store: Store, tmp_path: Path) -> None:
    """It is named with the reason, and hears the words it began with."""
    ward, said = Ward(store, 9, tmp_path, OPT_OUT_MODE="app"), list[str]()
    for words in ("hi", "yes", "no", "no", "no"):
        ward.talk.hear(PHONE, "sms", words, ward.key())

    def edit(body: Any) -> None:
        body["states"]["how_bad"] = body["states"].pop("severity")
        body["states"]["route"]["asks"][0] = "how_bad"

    newer(ward, edit)
    found = move_open_ones(store, Versions(ward.published), ward.talk, said.append, dry=False)
    assert found == {"its question is gone": 1}
    assert "1 stay on their version until they end: its question is gone." in said
    ward.talk.hear(PHONE, "sms", "9", ward.key())
    session = ward.record().session
    assert session
    assert (session.outcome, session.flow_hash) == ("pmr", load_flows()["triage"].hash)
    assert ward.again()[1] is None
