"""Exchanging the question, the chain of thought, or both, with those of the counterfactual twin."""

from faithlens.interventions.case import Case
from faithlens.runtime.condition import Condition
from faithlens.runtime.trace import Trace


def swaps(case: Case, twin: Trace) -> list[Condition]:
    """The three donor combinations of causal mediation; `case` itself is the fourth."""
    own = case.trace
    return [
        case.condition("swap_cot", (own.prompt, *twin.steps)),
        case.condition("swap_question", (twin.prompt, *own.steps)),
        case.condition("swap_both", twin.pieces),
    ]
