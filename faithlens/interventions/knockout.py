"""Cutting the attention of the answer rows to stretches of the trace, and the matched control for it."""

import random

from faithlens.interventions.case import Case
from faithlens.model.structure import Interval
from faithlens.plan.condition import Condition, Knockout


def hide(case: Case, name: str, hidden: tuple[str | Interval, ...]) -> Condition:
    """The whole trace, but the answer rows cannot see `hidden` in any layer."""
    return case.make_condition(name, case.trace.pieces, (Knockout("answer", hidden),))


def hide_steps(case: Case) -> list[Condition]:
    """The whole trace once a step, that step hidden from the answer rows."""
    return [hide(case, f"knockout:{step.name}", (step.name,)) for step in case.trace.steps]


def draw_random_span(case: Case, length: int, rng: random.Random) -> Interval:
    """A stretch of `length` tokens anywhere before the stem but at the very first token, which is an attention sink."""
    start = rng.randint(1, max(1, len(case.trace) - length))
    return start, min(start + length, len(case.trace))
