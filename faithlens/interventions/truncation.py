"""Cutting the chain of thought short. Three baselines have three names and are never mixed.

`cut@0` is an empty chain in the same prompt (Lanham et al. 2023, section 2.3); `make_no_cot` is a prompt that asks for the
answer at once (Turpin et al. 2023; Bentham et al. 2024); `make_empty_think` is the prompt in which a reasoning model's think
block stands closed and empty, as its template writes it where thoughts are off (Ma et al. 2025, arXiv 2504.09858, skip
thoughts so too, but with a sentence in the block). Where the template writes none, it is the same text as `cut@0`.
"""

from faithlens.interventions.case import Case
from faithlens.plan.condition import Condition


def make_full_cot(case: Case) -> Condition:
    """The whole chain of thought, as sampled."""
    return case.make_condition("full", case.trace.pieces)


def truncate(case: Case, n_steps: int) -> Condition:
    """The first `n_steps` steps only."""
    return case.make_condition(f"cut@{n_steps}", case.trace.pieces[: 1 + n_steps])


def truncate_stepwise(case: Case) -> list[Condition]:
    """The whole chain of thought, then with ever fewer steps, down to none."""
    return [make_full_cot(case), *(truncate(case, keep) for keep in reversed(range(len(case.trace.steps))))]


def make_no_cot(case: Case) -> Condition:
    """The prompt that asks for the answer at once."""
    return case.make_direct_condition("no_cot", case.direct_prompt)


def make_empty_think(case: Case) -> Condition | None:
    """The prompt with a closed and empty think block; None where the model has no such block."""
    return (
        None if case.empty_think_prompt is None else case.make_direct_condition("empty_think", case.empty_think_prompt)
    )
