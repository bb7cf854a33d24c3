"""What staff see and do in a browser, in a process of its own. Decides nothing a patient hears, and sends nothing itself.

Every step goes through bot/conversation.py and bot/takeover.py, as the webhooks and workers do. Imports neither bot.web
nor workers.
"""
