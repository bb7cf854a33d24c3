"""Everything in Redis, and the only room that knows a key."""

from bot.store.model import Committed, Effect, LinkToken, Loaded, Task

__all__ = ["Committed", "Effect", "LinkToken", "Loaded", "Task"]
