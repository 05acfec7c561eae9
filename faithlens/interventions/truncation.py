"""What does the model answer after a part of its chain of thought, or after none?

There are three baselines without a chain. They have three names, because they are different prompts:

- "cut@0" is an empty chain in the same prompt (Lanham et al. 2023, section 2.3);
- "no_cot" is a prompt that asks for the answer at once (Turpin et al. 2023; Bentham et al. 2024);
- "empty_think" is the prompt of a reasoning model with a closed empty block of thoughts, as its chat template writes it
  when thinking is off. (Ma et al. 2025, arXiv 2504.09858, write a sentence into the block.)

If the template writes no empty block, "empty_think" is the same text as "cut@0".
"""

from faithlens.errors import TraceError
from faithlens.interventions.case import Case, check_case
from faithlens.plan.condition import Condition


def make_full_cot(case: Case) -> Condition:
    """The whole chain of thought, as sampled: the condition "full".

    Args:
        case: the case.

    Returns:
        The condition.

    Raises:
        TraceError: not a case, or it has no stem.
    """
    check_case(case)
    return case.make_condition("full", case.trace.pieces)


def truncate(case: Case, n_steps: int) -> Condition:
    """The first `n_steps` steps: the condition "cut@`n_steps`" (Lanham et al. 2023, section 2.3).

    Args:
        case: the case.
        n_steps: the number of steps that are kept, from 0 to all.

    Returns:
        The condition.

    Raises:
        TraceError: not a case, it has fewer steps than that, or it has no stem.
    """
    check_case(case)
    steps = len(case.trace.steps)
    if n_steps not in range(steps + 1):
        raise TraceError(
            f"the chain of thought of question {case.question.id!r} has {steps} steps, and {n_steps!r} cannot be kept",
            f"Pass a number of steps from 0 to {steps}.",
        )
    return case.make_condition(f"cut@{n_steps}", case.trace.pieces[: 1 + n_steps])


def truncate_stepwise(case: Case) -> list[Condition]:
    """The whole chain of thought, then one step less each time, down to none.

    Args:
        case: the case.

    Returns:
        The conditions: "full", then "cut@n" for n down to 0.

    Raises:
        TraceError: not a case, or it has no stem.
    """
    check_case(case)
    return [make_full_cot(case), *(truncate(case, keep) for keep in reversed(range(len(case.trace.steps))))]


def make_no_cot(case: Case) -> Condition:
    """The prompt that asks for the answer at once: the condition "no_cot".

    Args:
        case: the case.

    Returns:
        The condition.

    Raises:
        TraceError: not a case, or it has no stem.
    """
    check_case(case)
    return case.make_direct_condition("no_cot", case.direct_prompt)


def make_empty_think(case: Case) -> Condition | None:
    """The prompt with a closed empty block of thoughts; None if the model has no such block.

    Raises:
        TraceError: the case has no stem.
    """
    return (
        None if case.empty_think_prompt is None else case.make_direct_condition("empty_think", case.empty_think_prompt)
    )
