"""The shape of a flow, from what the explorer saw: what is never reached, never holds, never ends. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping

from bot.flow import model
from bot.flow.load import Loaded
from bot.flow.positions import Path
from bot.proof.collapse import Collapse
from bot.proof.explore import Explored
from bot.proof.pairs import MAX_ROWS, first_hit, kinds, rows
from bot.proof.watch import Watch

Said = tuple[Path, str]


def unreached(loaded: Loaded, explored: Explored, watch: Watch) -> Iterator[Said]:
    """States that no walk comes to."""
    stood = {node.session.state for node in explored.nodes}
    for name, state in loaded.flow.states.items():
        passing = isinstance(state, model.Message | model.Decision)
        if name not in (watch.entered if passing else stood):
            yield ("states", name), f"No walk ever comes to the state {name!r}."


def idle_guards(loaded: Loaded, watch: Watch) -> Iterator[Said]:
    """Guards that never hold, or always hold although something stands below them."""
    for path, verdicts in watch.verdicts.items():
        if path[0] == "follow_ups" or not verdicts:
            if path[0] != "follow_ups":
                yield path, "This guard is never asked: nothing comes here."
        elif True not in verdicts:
            yield path, "This guard can never hold."
        elif verdicts == {True} and path[-2] != "rules" and not _last_rule(loaded, path):
            yield path, "This guard always holds, so what stands below it is never used."


def _last_rule(loaded: Loaded, path: Path) -> bool:
    state = loaded.flow.states.get(str(path[1])) if path[0] == "states" else None
    return isinstance(state, model.Decision)


def endless(loaded: Loaded, explored: Explored) -> Iterator[tuple[Path, str, int]]:
    """Rings of answers without a limit, and configurations from which nothing the patient says leads to an end."""
    again = ring(explored)
    if again is not None:
        state = explored.nodes[again].session.state
        yield ("states", state), f"From {state!r} the same questions can come again and again without a limit.", again
    lost = _lost(explored)
    if lost is not None:
        state = explored.nodes[lost].session.state
        yield ("states", state), f"From {state!r} no answer and no silence leads to an end.", lost


def ring(explored: Explored) -> int | None:
    """A configuration to which answers, silence or the unclear lead back; None when there is none."""
    forward = explored.forward
    done: set[int] = set()
    for start in forward:
        if start in done:
            continue
        path, stack = {start}, [(start, iter(forward[start]))]
        while stack:
            number, rest = stack[-1]
            after = next(rest, None)
            if after is None:
                stack.pop()
                path.discard(number)
                done.add(number)
            elif after in path:
                return after
            elif after not in done:
                path.add(after)
                stack.append((after, iter(forward.get(after, ()))))
    return None


def _lost(explored: Explored) -> int | None:
    back: dict[int, list[int]] = {}
    for number, every in explored.forward.items():
        for after in every:
            back.setdefault(after, []).append(number)
    todo = [at for at, node in enumerate(explored.nodes) if node.session.ended or node.step.handover]
    good = set(todo)
    while todo:
        for number in back.get(todo.pop(), ()):
            if number not in good:
                good.add(number)
                todo.append(number)
    return next((at for at in range(len(explored.nodes)) if at not in good), None)


def tables(loaded: Loaded, collapse: Collapse, watch: Watch) -> Iterator[Said]:
    """Gaps (with the row that is missing) and dead rules of each decision table."""
    for name, state in loaded.flow.states.items():
        if not isinstance(state, model.Decision):
            continue
        names, count = kinds(loaded, collapse, state)
        if count > MAX_ROWS:
            message = f"This table reads {len(names)} answers, {count:,} kinds of them; at most {MAX_ROWS:,}: split it in two."
            yield ("states", name, "rules"), message
            continue
        hits: Counter[int] = Counter()
        gap = None
        for row in rows(loaded, collapse, state):
            at = first_hit(state, row)
            hits[at] += 1
            if at < 0 and gap is None:
                gap = row
        if gap is not None:
            parts = ", ".join(f'{{"eq": ["{key}", {_json(value)}]}}' for key, value in gap.items())
            message = f'{hits[-1]} kinds of answers hit no rule and fall to "otherwise". A row like this is missing: '
            yield ("states", name, "rules"), message + '{"guard": {"all": [' + parts + "]}}."
        for at, rule in enumerate(state.rules):
            if not hits[at]:
                message = f"The rule {rule.id} is dead: rules above it take every answer that it is for."
                yield ("states", name, "rules", at), message


def overlaps(loaded: Loaded, collapse: Collapse) -> list[str]:
    """Pairs of rules with different targets that hold for the same answers: the upper one wins, and is meant to."""
    found: list[str] = []
    for name, state in loaded.flow.states.items():
        if isinstance(state, model.Decision):
            pairs: Counter[tuple[int, int]] = Counter()
            for row in rows(loaded, collapse, state):
                hit = [at for at, rule in enumerate(state.rules) if rule.guard.decide(row)]
                pairs.update((hit[0], other) for other in hit[1:])
            for (first, other), count in sorted(pairs.items()):
                one, two = state.rules[first], state.rules[other]
                if one.target != two.target:
                    found.append(f"{name}: {one.id} before {two.id} ({one.target}, not {two.target}) in {count} kinds")
    return found


def twice(loaded: Loaded) -> Iterator[Said]:
    """A message that a state says and then says again at once."""
    for name, state in loaded.flow.states.items():
        said = [*getattr(state, "before", ()), *getattr(state, "say", ())]
        for key, count in Counter(said).items():
            if count > 1:
                yield ("states", name), f"The text {key!r} is said twice in a row."


ASKED_AGAIN = range(1, 3)  # SPEC C1, I14: each question is put at most three times, and never given up at once


def retries(loaded: Loaded) -> Iterator[Said]:
    """Questions that are given up at once, or put more than three times."""
    holders: list[tuple[Path, model.Question | model.Defaults]] = [(("defaults",), loaded.flow.defaults)]
    holders += [(("states", name), one) for name, one in loaded.flow.states.items() if isinstance(one, model.Question)]
    for path, holder in holders:
        policies = (
            (("no_match",), holder.no_match),
            (("no_input", "voice"), holder.no_input and holder.no_input.voice),
        )
        for keys, policy in policies:
            if policy and policy.retries not in ASKED_AGAIN:
                yield (*path, *keys, "retries"), f"A question is asked again once or twice, not {policy.retries} times."


def lenient_screens(loaded: Loaded) -> Iterator[Said]:
    """Safety screens (questions with symptom topics) whose answers are not read as such."""
    for name, state in loaded.flow.states.items():
        if isinstance(state, model.Question) and state.takes.topics and state.takes.strictness != "red_flag":
            message = f"{name!r} asks for symptoms, so its answer is read with strictness 'red_flag'."
            yield ("states", name, "takes"), message


def strictness(loaded: Loaded, wanted: Mapping[str, list[str]]) -> Iterator[Said]:
    """Questions that are not read as strictly as the flow promises."""
    for strict, names in wanted.items():
        for name in names:
            takes = getattr(loaded.flow.states.get(name), "takes", None)
            if takes is not None and takes.strictness != strict:
                yield ("states", name, "takes"), f"The answer to {name!r} is not read with strictness {strict!r}."


def _json(value: object) -> str:
    return f'"{value}"' if isinstance(value, str) else str(value).lower()
