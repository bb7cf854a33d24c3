"""Outreach: staff write to many patients at once. Planning is pure; storage, pace and sending stand apart from it."""
