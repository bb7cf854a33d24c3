"""Which open sessions may go on in a new version of their flow, proved. Pure.

A session moves when the new version, given the same answers to the same questions, comes to exactly the same place: then
it stands where some walk of the new version stands, and every invariant that was proved of all of those holds from there.
"""

from __future__ import annotations

from bot import engine
from bot.flow import model
from bot.flow.guard import UNCLEAR
from bot.flow.load import Loaded
from bot.reading.model import Reading
from bot.session import Session

TURNS_LIMIT = 200
SAME = ("state", "answers", "trail", "outcome", "disposition", "rule", "reason", "ended", "language")


def stays_because(old: Loaded, new: Loaded, session: Session) -> str:
    """Why *session*, open in *old*, must stay there; "" when it may move to *new*."""
    was, now = old.flow.states.get(session.state), new.flow.states.get(session.state)
    if not isinstance(was, model.Question) or not isinstance(now, model.Question):
        return "its question is gone"
    if (was.store, was.takes) != (now.store, now.takes):
        return "its question takes other answers"
    reached = _walked(new, session)
    for name in SAME:
        if reached is None or getattr(reached, name) != getattr(session, name):
            return "the same answers do not lead to the same place"
    return ""


def moved(new: Loaded, session: Session) -> Session:
    """The session on the new version; where it stands is the same."""
    return session.but(flow_hash=new.hash)


def _walked(new: Loaded, session: Session) -> Session | None:
    """Where the new version comes to with the session's answers, each to the question that it was given to."""
    asked = {state.store for name in session.trail if isinstance(state := new.flow.states.get(name), model.Question)}
    given = {name: value for name, value in session.answers.items() if name not in asked}
    step = engine.start(
        new, Session(session.id, session.flow, new.hash, session.language, session.channel, answers=given)
    )
    for name in session.trail:
        question = new.flow.states.get(step.session.state)
        if step.session.state != name or not isinstance(question, model.Question):
            return None
        value = session.answers.get(question.store)
        if value is None:
            return None
        for _ in range(TURNS_LIMIT):
            reading = Reading("unclear") if value == UNCLEAR else Reading("answer", value)  # type: ignore[arg-type]
            step = engine.advance(new, step.session, reading)
            if step.handover or question.store in step.session.answers:
                break
    return None if step.handover else step.session
