"""What a question says and does itself, or else inherits from its flow's defaults. Pure look-up; decides nothing."""

from __future__ import annotations

from bot.flow import model
from bot.flow.load import Loaded


class UnfinishedFlowError(LookupError):
    """A question without a rule that load.py demands: only a flow that was never loaded can have it."""


def asking(loaded: Loaded, question: model.Question, channel: str) -> tuple[str, ...]:
    """The texts each time a question is put: the question, and what a call always hears after it."""
    if channel != "voice":
        return (question.ask,)
    after = loaded.flow.defaults.after if question.after is None else question.after
    return (question.ask, *after)


def listening(loaded: Loaded, name: str) -> model.Listen:
    """How long a call waits in the state *name*."""
    state = loaded.states.get(name)
    own = state.listen if isinstance(state, model.Question) else None
    return own or loaded.flow.defaults.listen


def no_match_of(loaded: Loaded, question: model.Question) -> model.NoMatch:
    """What follows an answer that is not understood."""
    found = question.no_match or loaded.flow.defaults.no_match
    if found is None:
        raise UnfinishedFlowError("A question without no_match was loaded.")
    return found


def no_input_of(loaded: Loaded, question: model.Question, channel: str) -> model.SmsSilence | model.VoiceSilence:
    """What follows silence on this channel."""
    for holder in (question.no_input, loaded.flow.defaults.no_input):
        part = getattr(holder, channel) if holder else None
        if part is not None:
            return part  # type: ignore[no-any-return]  # getattr by a closed channel name
    raise UnfinishedFlowError("A question without no_input was loaded.")
