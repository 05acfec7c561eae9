"""What happens when question, chain of thought, steps or states are exchanged for those of the counterfactual question?

For example, with the case [prompt] [a0] [a1] [stem] and the counterfactual trace [prompt'] [b0] [b1]::

    swap_cot          [prompt]  [b0] [b1] [stem]
    swap_question     [prompt'] [a0] [a1] [stem]
    swap_both         [prompt'] [b0] [b1] [stem]
    restore@1         [prompt]  [b0] [a1] [stem]
    relay             [prompt]  [a0] [a1] [stem], whose rows read the keys and values of a0 and a1 in swap_question
"""

from faithlens.interventions.case import Case, check_case
from faithlens.model.trace import Trace
from faithlens.plan.condition import Condition, KeyValuePatch, Span


def make_swaps(case: Case, counterfactual: Trace) -> list[Condition]:
    """The three other pairs of question and chain in causal mediation (Paul et al. 2024, arXiv 2402.13950).

    The fourth pair is the case itself. The conditions are named "swap_cot", "swap_question" and "swap_both".

    Args:
        case: the case.
        counterfactual: the trace of the counterfactual question.

    Returns:
        The three conditions.

    Raises:
        TraceError: not a case, or it has no stem.
    """
    check_case(case)
    own = case.trace
    return [
        case.make_condition("swap_cot", (own.prompt, *counterfactual.steps)),
        case.make_condition("swap_question", (counterfactual.prompt, *own.steps)),
        case.make_condition("swap_both", counterfactual.pieces),
    ]


def make_relay(case: Case, counterfactual: Trace) -> Condition | None:
    """The trace, whose answer rows read the keys and values that its steps have after the counterfactual question.

    The words stay, so what changes was carried by the positions of the steps. None if the two prompts differ in length,
    because the steps then have other positions.

    Raises:
        TraceError: the case has no stem.
    """
    own = case.trace
    if len(own.prompt.ids) != len(counterfactual.prompt.ids):
        return None
    donor = case.make_condition("swap_question", (counterfactual.prompt, *own.steps))
    return read_from_donor(case, "relay", (len(own.prompt.ids), len(own)), donor)


def read_from_donor(case: Case, name: str, span: Span, donor: Condition) -> Condition:
    """The whole trace, whose answer rows read the keys and values of `donor` at `span`."""
    return case.make_condition(name, case.trace.pieces, (KeyValuePatch("answer", span, donor),))


def restore_step(case: Case, counterfactual: Trace, step: int) -> Condition:
    """The question with the steps of the counterfactual trace, except for `step`, which is the trace's own.

    Raises:
        TraceError: the case has no stem.
    """
    own = case.trace
    steps = (*counterfactual.steps[:step], own.steps[step], *counterfactual.steps[step + 1 :])
    return case.make_condition(f"restore@{step}", (own.prompt, *steps))
