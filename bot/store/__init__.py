"""Everything in Redis, and the only room that knows a key."""

from bot.store.model import Begun, Claim, Committed, Delivery, Effect, LinkToken, Loaded, Task

__all__ = ["Begun", "Claim", "Committed", "Delivery", "Effect", "LinkToken", "Loaded", "Task"]
