"""Exchanging the question, the chain of thought, steps or their states with those of the counterfactual twin."""

from faithlens.interventions.case import Case
from faithlens.model.trace import Trace
from faithlens.plan.condition import Condition, KeyValuePatch, Span


def make_swaps(case: Case, counterfactual: Trace) -> list[Condition]:
    """The three donor combinations of causal mediation; `case` itself is the fourth."""
    own = case.trace
    return [
        case.make_condition("swap_cot", (own.prompt, *counterfactual.steps)),
        case.make_condition("swap_question", (counterfactual.prompt, *own.steps)),
        case.make_condition("swap_both", counterfactual.pieces),
    ]


def make_relay(case: Case, counterfactual: Trace) -> Condition | None:
    """The trace whose answer rows read the keys and values that its own steps have after the twin's question.

    What it says stays, so whatever this moves was carried by the positions of the steps. None where the two questions
    differ in length: the steps then stand elsewhere.
    """
    own = case.trace
    if len(own.prompt.ids) != len(counterfactual.prompt.ids):
        return None
    donor = case.make_condition("swap_question", (counterfactual.prompt, *own.steps))
    return read_from_donor(case, "relay", (len(own.prompt.ids), len(own)), donor)


def read_from_donor(case: Case, name: str, span: Span, donor: Condition) -> Condition:
    """The whole trace, but the answer rows read the keys and values of `donor` at `span`."""
    return case.make_condition(name, case.trace.pieces, (KeyValuePatch("answer", span, donor),))


def restore_step(case: Case, counterfactual: Trace, step: int) -> Condition:
    """The question followed by the twin's steps, but for one, which is the trace's own."""
    own = case.trace
    steps = (*counterfactual.steps[:step], own.steps[step], *counterfactual.steps[step + 1 :])
    return case.make_condition(f"restore@{step}", (own.prompt, *steps))
