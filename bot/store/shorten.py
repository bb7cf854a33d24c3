"""A patient's log cut at its beginning, with a note of what went (chain.py): at night by age, and by a commit that meets a
log as long as no conversation makes it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from bot.store.chain import LINK, Cut, cut_entry, cut_of
from bot.store.cipher import Cipher, UnreadableError

AT_ONCE = 5_000  # entries of one log in one go
MOST_KEPT = 2_000  # entries that outlive a cut, however new: fifty conversations; more is a machine that writes
MOST_WRITTEN = 2_500  # a commit that finds so many cuts first, so that not every commit of such a machine has to

_CUT = """
if redis.call('LINDEX', KEYS[1], 0) ~= ARGV[1] then return 0 end
redis.call('LTRIM', KEYS[1], ARGV[2], -1); redis.call('LPUSH', KEYS[1], ARGV[3])
return 1
"""


def shorten(client: Any, cipher: Cipher, key: str, is_old: Callable[[bytes], bool], most: int) -> int:
    """Entries of the log under *key* that are old go, from the beginning up to the first that is not, and whatever is
    before the newest *most*. How many went. Where the chain does not hold nothing goes from there on: the fault must stay
    to be found."""
    log, length = client.lrange(key, 0, AT_ONCE), client.llen(key)
    cut, gone = Cut(), 0
    for at, entry in enumerate(log):
        try:
            event = cipher.open(key, entry[LINK:])
        except UnreadableError:
            break
        noted = cut_of(cipher, entry, event) if at == 0 else None
        if noted:
            cut = noted
        elif entry[:LINK] == cipher.link(cut.link, event) and (length - at > most or is_old(event)):
            cut, gone = Cut(cut.count + 1, entry[:LINK]), at + 1
        else:
            break
    if not gone:
        return 0
    return gone if client.eval(_CUT, 1, key, log[0], gone, cut_entry(cipher, key, cut)) else 0
