"""Turns as a conversation that a nurse can read, with the real texts. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from bot import prompts, wording
from bot.engine import Session, Step
from bot.flow import model
from bot.flow.load import PLACEHOLDER, Loaded
from bot.proof.explore import Explored, Heard, Move, way

# What a long clinic name, number and address look like: limits must hold for these, not for the shortest.
LONGEST = {
    "clinic": "CLS Health",
    "phone": "(713) 555-0100",
    "link": "https://visit.clshealth.example/l/7HqZk2mWx9Lr4TbV8cYd1A",
    "day": "Wed, Sep 30",
    "time": "10:30 AM",
    "surg": "surgery",
    "a": "1",
    "b": "2",
}
WORDS = {
    "unclear": "kind of, hard to say",
    "silence": "(no reply)",
    "emergency": "I can't breathe",
    "crisis": "I want to kill myself",
    "urgent": "my knee is hot and I have a fever",
    "opt_out": "STOP",
    "opt_in": "START",
    "minor": "I am 15",
    "human": "CALL",
    "info_pmr": "what is PMR",
    "info_pt": "what is PT",
    "info_both": "what do both do",
    "info_visit": "VISIT",
    "language_en": "ENGLISH",
    "language_es": "ESPAÑOL",
    "cancel_appt": "I can't come to my visit",
    "change_appt": "I need to change my visit",
    "schedule": "I want to book",
    "zip": "ZIP 77030",
}


class Talk:
    """Renders what is said. *values* fill the placeholders."""

    def __init__(self, loaded: Loaded, values: Mapping[str, str] = LONGEST) -> None:
        self.loaded, self.values = loaded, values
        self._said: dict[tuple[object, ...], str] = {}

    def lines(self, step: Step, language: str) -> list[str]:
        """One finished text for each key of *step* that has wording on its channel."""
        values = {**self.values, **step.values}
        return prompts.render(self.loaded, step.say, language, step.session.channel, values)

    def said(self, step: Step, language: str) -> str:
        """All that *step* says, as one text (remembered: many turns say the same)."""
        key = (step.say, step.session.channel, language, step.values.get("reason"), step.values.get("a"))
        found = self._said.get(key)
        if found is None:
            found = self._said[key] = "\n".join(self.lines(step, language))
        return found

    def heard(self, heard: Heard, session: Session) -> str:
        """What the patient said or pressed, in words."""
        value = heard.reading.value
        if heard.name == "switch":
            return "(goes on by text)" if session.channel == "voice" else "(calls the clinic)"
        if heard.name == "return":
            return "(comes back later)"
        if heard.name == "handed":
            return "(was talking with us in another flow, which goes on here)"
        if heard.name != "answer":
            return WORDS.get(heard.name, heard.name.upper())
        state = self.loaded.flow.states.get(session.state)
        if not isinstance(state, model.Question) or state.takes.type != "choice":
            return str(value).upper()
        options = [one.value for one in state.takes.options]
        at = options.index(str(value)) if str(value) in options else -1
        label = state.takes.options[at].label.get(session.language) or value if at >= 0 else value
        return f"{at + 1} ({label})"

    def before(self, explored: Explored, number: int) -> list[str]:
        """The shortest way to the configuration *number* (-1: nothing)."""
        lines: list[str] = []
        before: Session | None = None
        for at in way(explored.nodes, number):
            node = explored.nodes[at]
            lines += self.turn(node.heard, before or node.start, node.step, begins=before is None)
            before = node.session
        return lines

    def conversation(self, explored: Explored, move: Move) -> list[str]:
        """The shortest way to *move*, then *move*: one line for each side of each turn."""
        lines = self.before(explored, move.origin)
        return lines + self.turn(move.heard, move.before, move.step, begins=move.origin < 0)

    def turn(self, heard: Heard, before: Session, step: Step, *, begins: bool) -> list[str]:
        """What the patient said and what the bot said, one line each."""
        who = "Caller" if before.channel == "voice" else "Patient"
        said = self.heard(heard, before)
        if begins and heard.name == "unclear":
            said = "(calls)" if before.channel == "voice" else "hi"
        told = self._filled(step)
        session = step.session
        place = f"[{session.state}" + (f", outcome {session.outcome}" if session.outcome else "") + "]"
        done = ", ".join(f"{one.kind} {one.value}" for one in step.effects if one.kind not in ("silence", "record"))
        return [f"  {who}: {said}", f"  Bot: {told or '(says nothing)'}  {place}" + (f" {{{done}}}" if done else "")]

    def _filled(self, step: Step) -> str:
        try:
            return " ".join(" / ".join(self.lines(step, step.session.language)).split())
        except wording.MissingPlaceholderError as error:
            return f"(cannot be said: {error})"


def values_of(texts: Sequence[str | None]) -> frozenset[str]:
    """Every placeholder in *texts*."""
    return frozenset(name for text in texts if text for name in PLACEHOLDER.findall(text))
