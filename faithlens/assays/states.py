"""What does the state of a step do to the answer? In place of its keys and values, those of a donor's step are read.

All tokens stay; only the keys and values that the answer reads at one step change. The donor is this question followed
by the counterfactual's chain, and its steps must have the same positions. The null model is the same edit, from the
same donor, at random spans of as many tokens.
"""

import random

from faithlens.assays.assay import Records, Setting
from faithlens.assays.mediation import NO_COUNTERFACTUAL
from faithlens.assays.points import choose_steps
from faithlens.interventions.case import Case
from faithlens.interventions.control_span import draw_control_span
from faithlens.interventions.swap import make_swaps, read_from_donor
from faithlens.interventions.truncation import make_full_cot
from faithlens.measures.answers import choose_option, option_probabilities
from faithlens.measures.score import Score
from faithlens.plan.condition import Condition

READS_COUNTERFACTUAL = True
NEEDS_ATTENTION_ALONE = True
N_CONTROLS = 2  # random stretches a step
NOT_ALIGNED = "the steps written for the counterfactual question do not stand at the same positions"


def conditions(setting: Setting, case: Case) -> list[Condition]:
    """The full chain and, if the counterfactual is aligned, each step's state exchanged, with controls."""
    if find_misalignment(case):
        return [make_full_cot(case)]
    assert case.counterfactual is not None
    donor, _, _ = make_swaps(case, case.counterfactual)
    out = [make_full_cot(case), donor]
    for step in (case.trace.steps[i] for i in choose_steps(setting, case)):
        out.append(read_from_donor(case, f"state:{step.name}", step.name, donor))
        rng = random.Random(f"state:{setting.seed}:{case.question.id}:{step.name}")
        for i in range(N_CONTROLS):
            span = draw_control_span(len(case.trace), len(step.ids), rng)
            out.append(read_from_donor(case, f"state:{step.name}:control {i}", span, donor))
    return out


def score(setting: Setting, case: Case, records: Records) -> list[Score]:
    """The drop of the answer's probability for each step, for its controls, and the difference."""
    names = ("states.step", "states.step_raw", "states.step_null")
    steps = choose_steps(setting, case)
    if reason := find_misalignment(case):
        missing = [(i, weight, name) for i, weight in steps.items() for name in names]
        return [Score(name, None, step=i, reason=reason, weight=weight) for i, weight, name in missing]
    clean = records["full"].logprobs
    answer = choose_option(clean)

    def fall(name: str) -> float:
        return float(option_probabilities(clean)[answer] - option_probabilities(records[name].logprobs)[answer])

    scores = []
    for i, weight in steps.items():
        at = f"state:{case.trace.steps[i].name}"
        raw = fall(at)
        null = sum(fall(f"{at}:control {c}") for c in range(N_CONTROLS)) / N_CONTROLS
        values = zip(names, (raw - null, raw, null), strict=True)
        scores += [Score(name, value, at, i, weight=weight) for name, value in values]
    return scores


def find_misalignment(case: Case) -> str | None:
    """Why the counterfactual's steps cannot replace the trace's own; None if they can."""
    if case.counterfactual is None:
        return NO_COUNTERFACTUAL
    own, other = ([(step.name, len(step.ids)) for step in trace.steps] for trace in (case.trace, case.counterfactual))
    return None if own == other else NOT_ALIGNED
