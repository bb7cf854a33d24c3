"""A patient's log as a chain: 16-byte link + sealed event, each link an HMAC over the one before and the event.

A log that was cut as too old begins with a note instead: how many entries went, and the last one's link. It is an entry
like any other to whoever copies or seals again; that it is such a note shows in its own link, which only we can make.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

from bot.store.cipher import Cipher, UnreadableError

LINK = 16
_CUT = b"cut"  # stands where the link before would stand


@dataclass(frozen=True, slots=True)
class Cut:
    """*count* entries were removed from the beginning; *link* is the last one's."""

    count: int = 0
    link: bytes = b""


def cut_entry(cipher: Cipher, key: str, cut: Cut) -> bytes:
    """The note that a cut log under *key* begins with."""
    event = json.dumps({"cut": cut.count, "link": cut.link.hex()}).encode()
    return cipher.link(_CUT, event) + cipher.seal(key, event)


def cut_of(cipher: Cipher, entry: bytes, event: bytes) -> Cut | None:
    """What the note says; None when *entry*, opened as *event*, is an ordinary one."""
    if entry[:LINK] != cipher.link(_CUT, event):
        return None
    told = json.loads(event)
    return Cut(told["cut"], bytes.fromhex(told["link"]))


def fault(cipher: Cipher, key: str, log: Sequence[bytes], end: str) -> int | None:
    """None when *log* holds and ends with the link *end* (hex); else the number, from 0 and counting what was cut, of the
    first entry that was changed or removed."""
    before, number = b"", 0
    for at, entry in enumerate(log):
        try:
            event = cipher.open(key, entry[LINK:])
        except UnreadableError:
            return number
        cut = cut_of(cipher, entry, event) if at == 0 else None
        if cut:
            before, number = cut.link, cut.count
            continue
        if entry[:LINK] != cipher.link(before, event):
            return number
        before, number = entry[:LINK], number + 1
    # The record is sealed together with the link that its log ends with, so a shortened log shows.
    return None if before.hex() == end else number
