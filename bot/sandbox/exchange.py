"""The whole local Twilio of one account: its texts and its calls."""

from __future__ import annotations

from bot.sandbox.calls import Calls
from bot.sandbox.texts import Texts


class Sandbox(Texts, Calls):
    """What tests, the REST double and the phone page act on; see :class:`Texts` and :class:`Calls`."""
