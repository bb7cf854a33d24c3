"""Every transcript, replayed through the turn alone and through the real webhook."""

import pytest

from bot.chat import Chat
from bot.wording import fold
from tests.transcripts import Transcript, check, transcripts

ALL = transcripts()


@pytest.mark.parametrize("transcript", ALL, ids=lambda one: one.name)
def test_a_conversation_goes_as_written(transcript: Transcript) -> None:
    """By text, through the same code as the web, nothing stored."""
    chat = Chat("sms", transcript.language)
    for exchange in transcript.exchanges:
        heard = chat.say(exchange.said)
        session = heard.session
        stands = (session.state, session.outcome, session.rule) if session else ()
        exchange.words = [fold(words) for words in exchange.words]
        check(transcript, exchange, heard.text, stands)
