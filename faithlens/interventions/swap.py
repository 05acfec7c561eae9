"""Exchanging the question, the chain of thought, or both, with those of the counterfactual twin."""

from faithlens.interventions.case import Case
from faithlens.runtime.condition import Condition, Splice
from faithlens.runtime.trace import Trace


def swaps(case: Case, twin: Trace) -> list[Condition]:
    """The three donor combinations of causal mediation; `case` itself is the fourth."""
    own = case.trace
    return [
        case.condition("swap_cot", (own.prompt, *twin.steps)),
        case.condition("swap_question", (twin.prompt, *own.steps)),
        case.condition("swap_both", twin.pieces),
    ]


def relay(case: Case, twin: Trace) -> Condition | None:
    """The trace whose answer rows read the keys and values that its own steps have after the twin's question.

    What it says stays, so whatever this moves was carried by the positions of the steps. None where the two questions
    differ in length: the steps then stand elsewhere.
    """
    own = case.trace
    if len(own.prompt.ids) != len(twin.prompt.ids):
        return None
    donor = case.condition("swap_question", (twin.prompt, *own.steps))
    return case.condition("relay", own.pieces, (Splice("stem", (len(own.prompt.ids), len(own)), donor),))
