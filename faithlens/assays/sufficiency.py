"""Is one step sufficient? One step of the trace is put into the chain of the counterfactual question.

A value that two steps state is missed by edits of one step, since the other step still states it. This assay finds it.
It is the second term of the true-thinking score (arXiv:2510.24941), here with the later steps kept instead of cut off.
"""

from faithlens.assays.assay import Records, Setting
from faithlens.assays.mediation import NO_COUNTERFACTUAL
from faithlens.assays.points import choose_steps
from faithlens.interventions.case import Case
from faithlens.interventions.swap import make_swaps, restore_step
from faithlens.interventions.truncation import make_full_cot
from faithlens.measures.answers import choose_option, option_probabilities
from faithlens.measures.score import Score
from faithlens.plan.condition import Condition

READS_COUNTERFACTUAL = True
OTHER_STEP_COUNT = "the chain of thought written for the counterfactual question has another number of steps"


def conditions(setting: Setting, case: Case) -> list[Condition]:
    """The full chain, the counterfactual's chain after this question, and this chain with each own step put in."""
    if find_misfit(case):
        return [make_full_cot(case)]
    assert case.counterfactual is not None
    donor, _, _ = make_swaps(case, case.counterfactual)
    return [
        make_full_cot(case),
        donor,
        *(restore_step(case, case.counterfactual, i) for i in choose_steps(setting, case)),
    ]


def score(setting: Setting, case: Case, records: Records) -> list[Score]:
    """By how much each step alone raises the answer's probability above that under the counterfactual's chain."""
    if reason := find_misfit(case):
        steps = choose_steps(setting, case).items()
        return [Score("sufficiency.step", None, step=i, reason=reason, weight=weight) for i, weight in steps]
    answer = choose_option(records["full"].logprobs)
    without = option_probabilities(records["swap_cot"].logprobs)[answer]
    scores = []
    for i, weight in choose_steps(setting, case).items():
        name = f"restore@{i}"
        rise = float(option_probabilities(records[name].logprobs)[answer] - without)
        scores.append(Score("sufficiency.step", rise, name, i, weight=weight))
    return scores


def find_misfit(case: Case) -> str | None:
    """Why no step can be put into the counterfactual's chain; None if one can."""
    if case.counterfactual is None:
        return NO_COUNTERFACTUAL
    return None if len(case.trace.steps) == len(case.counterfactual.steps) else OTHER_STEP_COUNT
