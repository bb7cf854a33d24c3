"""The doors to the outside: Twilio's webhooks, the scheduling links, health. `create_app` makes the Flask app.

Only translates: a request into `Conversation` calls, its answer into bytes. Must never decide what is said, touch
Redis, import twilio.rest (0.65 s, 38 MB), set a cookie, or log a phone number or a patient's words.
"""

from __future__ import annotations

from bot.web.app import ROUTES, Route, create_app
from bot.web.desk import Conversation, Reports

__all__ = ["ROUTES", "Conversation", "Reports", "Route", "create_app"]
