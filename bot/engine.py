"""How a session moves: (flow, session, reading) -> (session', what to say, effects).

Rules of this file
1. Pure. No clock, no random, no storage, no words of any language: texts are named by key, ids are given from outside.
2. Total. Every reading in every state gives a step; a flow that loops stops after MAX_HOPS with an error that the
   load-time proof makes unreachable.
3. An emergency, a crisis or an urgent word moves the session from any state, an ended one too, and nothing is said
   before it.
4. Unclear is never an answer. It is counted; after the question's retries it becomes the value "unclear" and the
   question's own no_match target decides.
5. Silence is counted apart from misses and never becomes an answer.
6. BACK forgets the answer it goes back to and everything after it, so no safety screen can be stepped around.
7. A decision asks only while its first undecided rule needs it (guard.py: three-valued), so what is not asked could not
   have changed the result.
8. An ended session does not move again, except by rule 3, by RESTART, or by an event of the flow.
9. RESTART forgets every answer of the patient; what the host told (no question of the flow stores it) stays true.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Literal

from bot.flow import model
from bot.flow.guard import UNCLEAR, Answer, Context, Guard
from bot.flow.inherit import asking, no_input_of, no_match_of
from bot.flow.load import Loaded
from bot.reading.model import Expects, Reading
from bot.session import Effect as Effect
from bot.session import End as End
from bot.session import Session as Session
from bot.session import Step as Step

MAX_HOPS = 50
ALARMS = ("emergency", "crisis", "urgent")
DEEDS = tuple(model.Do.model_fields)


class FlowLoopError(RuntimeError):
    """A flow went round without waiting; bot.proof refuses such a flow, so this is a bug."""


def context(session: Session) -> Context:
    """What guards see: the answers and the built-in names."""
    return {
        **session.answers,
        "channel": session.channel,
        "language": session.language,
        "outcome": session.outcome or "none",
    }


def start(loaded: Loaded, session: Session, *, at: str | None = None, greet: bool = True) -> Step:
    """Begin a walk: enter the initial state of the channel (or *at*) and say the greeting first."""
    flow = loaded.flow
    say = (flow.greeting,) if greet and flow.greeting else ()
    return _enter(loaded, session.but(turn=session.turn + 1), at or flow.initial[_channel(session)], say=say)


def begin(loaded: Loaded, session: Session, reading: Reading) -> Step:
    """The first input of a session. What it says is not an answer: nothing was asked. An event that moves, moves."""
    event = event_of(reading)
    arm = _arm(loaded, session, event)
    if arm and arm.target:
        return _event(loaded, session.but(turn=session.turn + 1), event, arm)
    if event.startswith("language_"):
        session = session.but(language=event.removeprefix("language_"))
    step = start(loaded, session)
    if arm is None:
        return step
    return replace(step, say=(step.say[0], *arm.say, *step.say[1:]), effects=(*_effects(arm.do), *step.effects))


def advance(loaded: Loaded, session: Session, reading: Reading) -> Step:
    """One accepted input. See the rules at the top of this file."""
    session = session.but(turn=session.turn + 1)
    event = event_of(reading)
    if event in ("restart", "opt_in") and (event == "restart" or session.ended):
        return _again_from_the_top(loaded, session)
    if event == "back":
        return _back(loaded, session)
    if event.startswith("language_"):
        session = session.but(language=event.removeprefix("language_"))
        return ask_again(loaded, session, first=("lang_switch",) if "lang_switch" in loaded.flow.texts else ())
    if event == "repeat" or (event == "opt_in" and not session.ended):
        return ask_again(loaded, session)
    arm = _arm(loaded, session, event)
    if arm is not None:
        return _event(loaded, session, event, arm)
    if session.ended:
        return look(loaded, session)
    if reading.kind == "silence":
        return _silence(loaded, session)
    if reading.kind == "answer" and reading.value is not None:
        return _answer(loaded, session, reading.value)
    return _miss(loaded, session, reading)


def event_of(reading: Reading) -> str:
    """The name under which a flow's ``on`` knows this reading; "" for answers, silence and the unclear."""
    if reading.kind == "info":
        return f"info_{reading.value}"
    if reading.kind in ("command", "emergency"):
        return str(reading.value)
    return reading.kind if reading.kind in ("opt_out", "opt_in", "minor") else ""


def look(loaded: Loaded, session: Session, *, first: tuple[str, ...] = ()) -> Step:
    """Say again where the session stands, without moving: the open question, or the end."""
    state = loaded.states[session.state]
    if isinstance(state, model.Question):
        return Step(session, (*first, *asking(loaded, state, _channel(session))), values=_values(session))
    if isinstance(state, model.Final):
        return Step(session, (*first, *(state.again or state.say)), end=state.then, values=_values(session))
    return Step(session, first, end="hangup")


def ask_again(loaded: Loaded, session: Session, *, first: tuple[str, ...] = ()) -> Step:
    """As look, and the open question waits anew: what was said meanwhile was no silence of the patient. The timer that
    ran is gone with every turn, so whoever asks HELP and then says no more would else never be missed."""
    step = look(loaded, session, first=first)
    return step if session.ended else replace(step, effects=_timers(loaded, session))


def resume(loaded: Loaded, session: Session, at: str) -> Step:
    """Somebody comes back after a while: asked again from the question *at* on, when the walk is past it."""
    if session.ended or session.outcome or at not in session.trail:
        return ask_again(loaded, session)
    kept, again = (lambda cut: (session.trail[:cut], session.trail[cut:]))(session.trail.index(at))
    stores = {
        state.store for name in (*again, session.state) if isinstance(state := loaded.states[name], model.Question)
    }
    answers = {name: value for name, value in session.answers.items() if name not in stores}
    session = session.but(answers=answers, trail=kept, turn=session.turn + 1, rule=None, reason=None)
    return _wait(loaded, session, at, say=(), effects=())


def waiting(loaded: Loaded, session: Session) -> Expects | None:
    """What the open question takes, or None when nothing is asked."""
    state = loaded.states.get(session.state)
    return None if session.ended or not isinstance(state, model.Question) else expects(state)


def expects(question: model.Question) -> Expects:
    """How the reading room sees a question."""
    takes = question.takes
    return Expects(takes.type, takes.strictness, tuple(one.value for one in takes.options), tuple(takes.topics))


# -- the ways a turn can go ------------------------------------------------------------------------------------------


def _channel(session: Session) -> Literal["sms", "voice"]:
    return "voice" if session.channel == "voice" else "sms"


def _again_from_the_top(loaded: Loaded, session: Session) -> Step:
    told = {name: value for name, value in session.answers.items() if name not in loaded.stored}
    fresh = Session(session.id, session.flow, session.flow_hash, session.language, session.channel, answers=told)
    step = start(loaded, fresh.but(turn=session.turn - 1))
    return replace(step, effects=(Effect("cancel", "follow_ups"), Effect("restarted"), *step.effects))


def _back(loaded: Loaded, session: Session) -> Step:
    if session.ended or not session.trail or session.outcome:
        return ask_again(loaded, session)
    to = session.trail[-1]
    state = loaded.states[to]
    dropped = {state.store} if isinstance(state, model.Question) else set()
    answers = {name: value for name, value in session.answers.items() if name not in dropped}
    session = session.but(answers=answers, trail=session.trail[:-1])
    return _wait(loaded, session, to, say=(), effects=())


def _arm(loaded: Loaded, session: Session, event: str) -> model.Event | None:
    """The first arm of the flow's any-state event whose guard holds."""
    seen = context(session)
    for arm in loaded.flow.on.get(event, ()):
        if arm.guard is None or arm.guard.decide(seen):
            return arm
    return None


def _event(loaded: Loaded, session: Session, name: str, arm: model.Event) -> Step:
    if name == "urgent" and session.outcome == "emergency":
        return look(loaded, session)  # an urgent word never softens an emergency that was already raised
    greeting = loaded.flow.greeting
    greets = greeting and not session.state and name not in ALARMS and name != "opt_out"
    say = (*((greeting,) if greets and greeting else ()), *arm.say)
    effects = _effects(arm.do)
    if arm.target is None:
        after = Step(session, end=_end_of(loaded, session)) if session.ended else ask_again(loaded, session)
        return replace(after, say=(*say, *after.say), effects=(*effects, *after.effects), values=_values(session))
    if name in ALARMS:
        session = session.but(reason=None, rule=None)
    session = session.but(rule=arm.rule or session.rule, ended=False)
    return _enter(loaded, session, arm.target, say=say, effects=effects)


def _end_of(loaded: Loaded, session: Session) -> End:
    state = loaded.states[session.state]
    return state.then if isinstance(state, model.Final) else "listen"


def _answer(loaded: Loaded, session: Session, value: Answer) -> Step:
    question = _open_question(loaded, session)
    session = session.but(
        answers={**session.answers, question.store: value},
        trail=(*session.trail, session.state),
        language=str(value) if question.sets_language else session.language,
    )
    return _enter(loaded, *_pick(session, question.transitions))


def _miss(loaded: Loaded, session: Session, reading: Reading) -> Step:
    question = _open_question(loaded, session)
    policy = no_match_of(loaded, question)
    if session.misses >= policy.retries:
        session = session.but(answers={**session.answers, question.store: UNCLEAR})
        session = session.but(trail=(*session.trail, session.state))
        session = session.but(rule=policy.rule or session.rule, reason=policy.reason or session.reason)
        return _enter(loaded, session, policy.target)
    suggested = _suggestions(question, reading.suggestions, session.language) if not session.misses else {}
    first = (policy.suggest,) if policy.suggest and len(suggested) == 2 else tuple(policy.say)
    session = session.but(misses=session.misses + 1)
    return Step(
        session,
        (*first, *asking(loaded, question, _channel(session))),
        _timers(loaded, session),
        values={**_values(session), **suggested},
    )


def _silence(loaded: Loaded, session: Session) -> Step:
    question = _open_question(loaded, session)
    policy = no_input_of(loaded, question, _channel(session))
    if isinstance(policy, model.SmsSilence):
        if policy.nudge_after and not session.silences:
            session = session.but(silences=1)
            say = (policy.nudge,) if policy.nudge else ()
            return Step(session, say, (*_effects(policy.do), *_timers(loaded, session)), values=_values(session))
        return _enter(loaded, session, policy.target)
    if session.silences >= policy.retries:
        session = session.but(rule=policy.rule or session.rule)
        if question.takes.strictness == "red_flag":
            session = session.but(answers={**session.answers, question.store: UNCLEAR})
        return _enter(loaded, session, policy.target)
    session = session.but(silences=session.silences + 1)
    return Step(session, (*policy.say, *asking(loaded, question, _channel(session))), values=_values(session))


def _suggestions(question: model.Question, values: Sequence[str | int], language: str) -> dict[str, str]:
    labels = {one.value: f"{at} {one.label.get(language, '')}" for at, one in enumerate(question.takes.options, 1)}
    named = [labels.get(str(value), str(value)) for value in values[:2]]
    return dict(zip(("a", "b"), named, strict=False))


# -- moving ----------------------------------------------------------------------------------------------------------


def _open_question(loaded: Loaded, session: Session) -> model.Question:
    state = loaded.states[session.state]
    if not isinstance(state, model.Question):
        raise FlowLoopError("A session waits in a state that asks nothing.")
    return state


def _enter(
    loaded: Loaded, session: Session, name: str, *, say: tuple[str, ...] = (), effects: tuple[Effect, ...] = ()
) -> Step:
    """Go to *name* and on through states that do not wait. One loop, so that no flow can exhaust the stack."""
    for _ in range(MAX_HOPS):
        state = loaded.states[name]
        if isinstance(state, model.Question):
            if state.skip_if is None or not state.skip_if.decide(context(session)):
                return _wait(loaded, session, name, say=say, effects=effects)
            session, name = _pick(session, state.transitions)
        elif isinstance(state, model.Message):
            session = session.but(outcome=state.outcome or session.outcome)
            say, effects = (*say, *state.say), (*effects, *_effects(state.do))
            session, name = _pick(session, state.transitions)
        elif isinstance(state, model.Decision):
            session, name = _decide(loaded, session, state)
        elif isinstance(state, model.Handover):
            effects = (*effects, *_effects(state.do))
            session = session.but(state=name)
            return Step(
                session, (*say, *state.say), effects, values=_values(session), handover=(state.flow, state.state)
            )
        else:
            return _finish(session, name, state, say, effects)
    raise FlowLoopError(f"The flow {session.flow} does not come to wait.")


def _wait(loaded: Loaded, session: Session, name: str, *, say: tuple[str, ...], effects: tuple[Effect, ...]) -> Step:
    question = loaded.states[name]
    before = tuple(question.before) if isinstance(question, model.Question) else ()
    ask = asking(loaded, question, _channel(session)) if isinstance(question, model.Question) else ()
    session = session.but(state=name, misses=0, silences=0)
    return Step(session, (*say, *before, *ask), (*effects, *_timers(loaded, session)), values=_values(session))


def _finish(session: Session, name: str, state: model.Final, say: tuple[str, ...], effects: tuple[Effect, ...]) -> Step:
    session = session.but(
        state=name,
        misses=0,
        silences=0,
        ended=True,
        outcome=state.outcome or session.outcome,
        disposition=state.disposition,
        trail=(),
    )
    return Step(session, (*say, *state.say), (*effects, *_effects(state.do)), state.then, _values(session))


def _pick(session: Session, arrows: Sequence[model.Arrow]) -> tuple[Session, str]:
    seen = context(session)
    for arrow in arrows:
        if arrow.guard is None or arrow.guard.decide(seen):
            moved = session.but(rule=arrow.rule or session.rule, reason=arrow.reason or session.reason)
            return moved, arrow.target
    raise FlowLoopError("No transition of a state holds.")


def _decide(loaded: Loaded, session: Session, table: model.Decision) -> tuple[Session, str]:
    seen = context(session)
    for rule in table.rules:
        verdict = rule.guard.decide(seen)
        if verdict:
            return session.but(rule=rule.id, reason=rule.reason), rule.target
        if verdict is None:
            asked = _next_question(loaded, table, rule.guard, session.answers)
            if asked:
                return session, asked
    return session.but(rule=table.otherwise.id, reason=table.otherwise.reason), table.otherwise.target


def _next_question(loaded: Loaded, table: model.Decision, guard: Guard, answers: Mapping[str, Answer]) -> str | None:
    for name in table.asks:
        state = loaded.states[name]
        if isinstance(state, model.Question) and state.store not in answers:
            return name
    return None


def _effects(deeds: Sequence[model.Do]) -> tuple[Effect, ...]:
    found = []
    for do in deeds:
        for kind in DEEDS:
            value = getattr(do, kind)
            if value is not None:
                found.append(Effect(kind, tuple(value) if isinstance(value, list) else value))
    return tuple(found)


def _timers(loaded: Loaded, session: Session) -> tuple[Effect, ...]:
    """The text channel's next silence: the nudge first, then the end. A call has its own clock (Gather)."""
    state = loaded.states[session.state]
    if session.channel == "voice" or not isinstance(state, model.Question):
        return ()
    policy = no_input_of(loaded, state, "sms")
    if not isinstance(policy, model.SmsSilence):
        return ()
    expire = model.minutes(policy.expire_after)
    nudge = model.minutes(policy.nudge_after) if policy.nudge_after else 0
    return (Effect("silence", nudge if nudge and not session.silences else expire - nudge),)


def _values(session: Session) -> dict[str, str]:
    return {"reason": session.reason} if session.reason else {}
