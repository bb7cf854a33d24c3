"""Demo data: made-up patients who text the running program through the local Twilio, and their removal in one go.

Nothing here writes into the store beside the program: each patient is a telephone of the local Twilio, and what is then
stored is what the webhooks stored. Their numbers are set aside for fiction (555-0100 to 555-0109) and used by nobody else
here, so who is made up is known from the number alone.
"""

from __future__ import annotations

import json
import re
from typing import Any
from urllib.request import Request, urlopen

from bot.console.languages import sentence
from bot.counts import Prices, of_log
from bot.counts_command import FIRST
from bot.forget import erase_patient
from bot.record import from_bytes
from bot.settings import Settings
from bot.store.counted import Counted
from bot.store.lists import Lists
from bot.store.store import Store

STORIES: tuple[tuple[str, ...], ...] = (
    ("hi, my back has been killing me", "yes", "nope none of those", "no", "no just my back", "6 or 7", "yes please"),
    ("my ankle is stiff", "yes", "no", "no", "no", "2", "3", "3", "1", "3", "yes"),
    ("stiff since my knee surgery", "yes", "no", "no", "no", "3", "2", "1", "1", "3", "no"),
    ("hola me duele la espalda", "si", "no", "no", "no", "8", "si"),
    ("my arm hurts", "yes", "no", "no", "yes"),
    ("hello", "yes", "I can't breathe"),
    ("hola", "si", "quiero hablar con una persona"),
    ("hi there", "yes", "maybe the blue one", "what do you mean", "banana"),
    ("neck pain since last week", "yes", "no", "no"),
    ("hello?", "yes", "STOP"),
)
PHONES = tuple(f"+1281555010{number}" for number in range(len(STORIES)))
FICTION = re.compile(r"\+1\d{3}55501\d\d")
MOST_LOOKED_AT = 500
SECONDS = 20.0

LIVE = sentence("Sending is live here, so there is no demo data: it is for a program that runs with SANDBOX=true.")
REAL = sentence("There are patients here whose telephone numbers are real, so no made-up ones are put among them.")
THERE = sentence("The demo data is here already.")
SILENT = sentence(
    "The local Twilio does not answer; start everything with make run. What is here already can be removed."
)


class DemoError(RuntimeError):
    """It cannot be done; the text is a sentence of the interface."""


def patients(store: Store) -> list[str]:
    """The ids that the made-up patients have here, whether or not they are loaded."""
    return [store.cipher.patient_id(phone) for phone in PHONES]


def present(store: Store) -> frozenset[str]:
    """The made-up patients who are here now. One round trip."""
    names = patients(store)
    pipe: Any = store.client.pipeline(transaction=False)
    for name in names:
        pipe.exists(f"{store.tag(store.bucket(name))}p:{name}")
    return frozenset(name for name, found in zip(names, pipe.execute(), strict=True) if found)


def why_not(settings: Settings, store: Store) -> str:
    """Why no demo data may be loaded; "" when it may."""
    if not settings.sandbox or not settings.twilio_api_base:
        return LIVE
    here = present(store)
    lists = Lists(store)
    found, rest = lists.recent("", MOST_LOOKED_AT)
    for raw in lists.records([patient for patient, _ in found if patient not in here]):
        if raw and not FICTION.fullmatch(from_bytes(raw).phone):
            return REAL
    if rest:
        return REAL
    return THERE if here else ""


def load(settings: Settings, store: Store) -> None:
    """Let each made-up patient text. Raises DemoError."""
    refused = why_not(settings, store)
    if refused:
        raise DemoError(refused)
    try:
        for phone, texts in zip(PHONES, STORIES, strict=True):
            telephone = _post(settings, "phones", number=phone)["id"]
            for text in texts:
                _post(settings, "text", phone=telephone, text=text)
    except (OSError, ValueError, KeyError):
        raise DemoError(SILENT) from None


def remove(settings: Settings, store: Store, now: float) -> int:
    """Everything of the made-up patients goes, what keeps a real patient's STOP too; how many they were. Raises
    EraseError while one of them writes."""
    here = present(store)
    client: Any = store.client
    for patient in here:
        _uncount(settings, store, patient)
        erase_patient(store, patient, now)
        tag = store.tag(store.bucket(patient))
        kept = list(client.scan_iter(match=f"{tag}a:{patient}:*", count=1000))
        client.delete(f"{tag}p:{patient}", *kept)
    return len(here)


def _uncount(settings: Settings, store: Store, patient: str) -> None:
    """What the dashboard counted of them is taken back."""
    events, counted = [json.loads(raw) for raw in store.events(patient) if raw], Counted(store)
    prices = Prices(*settings.prices, settings.opt_out_mode)
    for _, (week, field, many) in of_log(events, FIRST, settings.clinic_timezone, prices):
        counted.raise_to(store.bucket(patient), week, [(counted.as_paid(store.bucket(patient), week, field), -many)])
    counted.take_back(patient)


def _post(settings: Settings, path: str, **body: str) -> Any:
    """A button of the phone page of the local Twilio; its address is on this machine (settings refuse any other)."""
    headers = {"Content-Type": "application/json", "X-Phone": "1"}
    address = f"{str(settings.twilio_api_base).rstrip('/')}/phone/api/{path}"
    asked = Request(address, json.dumps(body).encode(), headers)  # noqa: S310  # loopback
    with urlopen(asked, timeout=SECONDS) as answer:  # noqa: S310  # loopback
        return json.load(answer)
