"""What long chains cost in rows, from 1,000 to 40,000 tokens: counts, which hold on any machine."""

from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise

import pytest

from faithlens.commands.bench.long import lengthen
from faithlens.commands.bench.traces import make_full_trace, make_truncations
from faithlens.execution.cost import count_forwards
from faithlens.model.model import Model
from faithlens.plan.condition import Condition, Edit, KeyValuePatch, Knockout, Patch
from faithlens.plan.memory import plan_passes
from tests.conftest import tiny

LENGTHS = [round(1000 * 1.1**i) for i in range(40)]  # the last has 41,145 tokens
STEPS, PROMPT = 12, 100
MEMORY = 2**34  # bytes: the rows must not depend on the machine


@pytest.fixture(scope="module")
def model() -> Model:
    return lengthen(tiny("llama"), 2 * LENGTHS[-1])


def edit_steps(clean: Condition, make: Callable[[str], Edit]) -> list[Condition]:
    names = [piece.name for piece in clean.pieces[1:-1]]
    return [clean, *(replace(clean, name=name, edits=(make(name),)) for name in names)]


CASES: dict[str, Callable[[Condition, Condition], list[Condition]]] = {
    "cuts": lambda clean, donor: make_truncations(clean),
    "knockouts": lambda clean, donor: edit_steps(clean, lambda step: Knockout("answer", (step,))),
    "key-value patches": lambda clean, donor: edit_steps(clean, lambda step: KeyValuePatch("answer", step, donor)),
    "patches": lambda clean, donor: edit_steps(clean, lambda step: Patch("resid_pre", step, donor, layers=(1,))),
}


@pytest.mark.parametrize(
    ("case", "budget"),
    [(case, None) for case in CASES] + [(case, 8192) for case in ("cuts", "knockouts", "key-value patches")],
)
def test_ten_per_cent_more_tokens_cost_at_most_a_fifth_more_rows(case: str, budget: int | None, model: Model) -> None:
    """A budget of 8,192 rows is passed on the way. Patches change all rows after them, and fill several passes then."""
    rows: list[int] = []
    for n in LENGTHS:
        clean, donor = (make_full_trace(model, PROMPT, STEPS, (n - PROMPT) // STEPS, first) for first in (17, 40))
        plan = plan_passes(model, CASES[case](clean, donor), budget=budget, memory=MEMORY)
        rows.append(plan.tokens)
        assert case == "patches" or len(plan.passes) == 1
    assert max(more / fewer for fewer, more in pairwise(rows)) <= 1.2


def test_a_chain_of_12_670_tokens_costs_little_more_than_a_forward(model: Model) -> None:
    """300 steps of 42 tokens: answered after each, and answered with each hidden."""
    clean = make_full_trace(model, 59, 300, 42)
    assert len(clean.ids) == 12_670
    cuts = plan_passes(model, make_truncations(clean), memory=MEMORY)
    hidden = plan_passes(model, edit_steps(clean, lambda step: Knockout("answer", (step,))), memory=MEMORY)
    assert (len(cuts.conditions), len(hidden.conditions)) == (301, 301)
    assert count_forwards(model, cuts) <= 1.5
    assert count_forwards(model, hidden) <= 1.6
