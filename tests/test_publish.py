"""Publishing: less care than the live version is refused; an open conversation stays on its version or moves, proved."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bot import publish as room
from bot.catalog import FLOWS, load_flows
from bot.flow.load import Loaded, load_flow
from bot.moving import moved, stays_because
from bot.proved import RefusedError
from bot.publish import Answered, publish
from bot.settings import Settings
from bot.store.cipher import Cipher
from bot.store.embedded import EmbeddedServer
from bot.store.published import Published
from bot.store.store import Store
from bot.wiring import edition_of, go_live, put_together

PHONE = "+17135550142"


def weaker() -> Loaded:
    """Strong pain begins at 10: some answers get less care."""
    body = json.loads((FLOWS / "triage.json").read_text("utf-8"))
    body["states"]["route"]["rules"][0]["guard"] = {"gte": ["severity", 10]}
    return load_flow(json.dumps(body), "triage.json")


def test_less_care_is_refused_until_somebody_answers_for_it(store: Store, tmp_path: Any, monkeypatch: Any) -> None:
    """The first start publishes; the same again changes nothing; what was accepted is in the log with its name."""
    published, settings = (
        Published(store.client, store.cipher),
        Settings.load({"SANDBOX": "1", "DATA_DIR": str(tmp_path)}),
    )
    edition, new = edition_of(settings), weaker()
    assert publish(published, edition, 1.0) == publish(published, edition, 2.0) == []
    flows = {**load_flows(), "triage": new}
    monkeypatch.setattr(room, "load_flows", lambda: flows)
    lower = replace(edition, flows={**edition.flows, "triage": new.hash})
    with pytest.raises(RefusedError, match=r"(?s)get less care.*--accept NAME"):
        publish(published, lower, 3.0)
    assert len(published.log()) == 1
    assert "less care" in publish(published, lower, 4.0, Answered("Dr. Ames", "new evidence"))[1]
    assert [one["by"] for one in published.log()] == ["", "Dr. Ames"]


def test_a_start_like_the_last_compares_nothing_and_any_other_does(
    store: Store, server: EmbeddedServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A version that comes back is live again; a text that was lost is kept again."""
    here = Settings.load({"SANDBOX": "1", "DATA_DIR": str(tmp_path)})
    there = here.model_copy(update={"clinic_name": "Elsewhere"})
    published, asked = Published(store.client, Cipher(here.secret_keys)), list[str]()

    def counted(*given: Any, **more: Any) -> list[str]:
        asked.append(given[1].mark)
        return publish(*given, **more)

    monkeypatch.setattr(room, "publish", counted)
    first, second = edition_of(here).mark, edition_of(there).mark
    for settings in (here, here, there, there, here):
        go_live(settings, server.url)
    assert asked == [one["mark"] for one in published.log()] == [first, second, first]
    for lost in (first, *edition_of(here).flows.values(), *edition_of(here).words.values()):
        store.client.delete(f"pub:{lost}")
        assert go_live(here, server.url) == []
        assert published.has(lost)
    assert len(published.log()) == 3


def test_an_open_conversation_goes_on_in_its_own_version_and_moves_only_to_the_same_place(
    store: Store, tmp_path: Any
) -> None:
    """Pinned by hash: a new version that asks the same so far may take it over; one whose question is gone may not."""
    settings = Settings.load({"SANDBOX": "1", "DATA_DIR": str(tmp_path)})
    talk, new, old = (
        put_together(settings, "", store, lambda: 1_790_000_000.0).conversation,
        weaker(),
        load_flows()["triage"],
    )
    publish(Published(store.client, store.cipher), edition_of(settings), 1.0)
    for number, said in enumerate(("hi", "yes", "no")):
        talk.hear(PHONE, "sms", said, f"SM{number}")
    from bot.record import from_bytes

    session = from_bytes(store.load(store.cipher.patient_id(PHONE), "").record or b"").session
    assert session
    talk.clinic = replace(talk.clinic, flows={**talk.clinic.flows, "triage": new})
    assert talk.clinic.of(session) is not None
    assert (talk.clinic.of(session) or new).hash == old.hash
    assert stays_because(old, new, session) == ""
    assert moved(new, session).flow_hash == new.hash
    assert stays_because(old, new, session.but(state="emergency"))
