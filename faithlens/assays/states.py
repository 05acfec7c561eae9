"""M6, the state of a step: the answer rows read the keys and values that the twin's step has in its place.

All tokens stay; only what the answer takes from the step is another's. The donor is the same question followed by the
twin's chain, whose steps must stand at the same positions. Random stretches of as many tokens, taken from the same
donor, are the null.
"""

import random

from faithlens.assays.assay import Records, Setting
from faithlens.assays.mediation import NO_COUNTERFACTUAL
from faithlens.interventions.case import Case
from faithlens.interventions.knockout import draw_random_span
from faithlens.interventions.swap import make_swaps, read_from_donor
from faithlens.interventions.truncation import make_full_cot
from faithlens.measures.answers import choose_option, option_probabilities
from faithlens.measures.score import Score
from faithlens.plan.condition import Condition

N_CONTROLS = 2  # random stretches a step
NOT_ALIGNED = "the steps written for the counterfactual question do not stand at the same positions"


def conditions(setting: Setting, case: Case) -> list[Condition]:
    """The full chain, and each step's state exchanged, with its controls, where the twin's chain lines up."""
    if find_misalignment(case):
        return [make_full_cot(case)]
    assert case.counterfactual is not None
    donor, _, _ = make_swaps(case, case.counterfactual)
    out = [make_full_cot(case), donor]
    for step in case.trace.steps:
        out.append(read_from_donor(case, f"state:{step.name}", step.name, donor))
        rng = random.Random(f"state:{setting.seed}:{case.question.id}:{step.name}")
        for i in range(N_CONTROLS):
            span = draw_random_span(case, len(step.ids), rng)
            out.append(read_from_donor(case, f"state:{step.name}:control {i}", span, donor))
    return out


def score(setting: Setting, case: Case, records: Records) -> list[Score]:
    """Falls of the answer's probability, for the step, for its controls, and beyond them."""
    names = ("states.step", "states.step_raw", "states.step_null")
    steps = enumerate(case.trace.steps)
    if reason := find_misalignment(case):
        return [Score(name, None, step=i, reason=reason) for i, _ in steps for name in names]
    clean = records["full"].logprobs
    answer = choose_option(clean)

    def fall(name: str) -> float:
        return float(option_probabilities(clean)[answer] - option_probabilities(records[name].logprobs)[answer])

    scores = []
    for i, step in steps:
        at = f"state:{step.name}"
        raw = fall(at)
        null = sum(fall(f"{at}:control {c}") for c in range(N_CONTROLS)) / N_CONTROLS
        values = zip(names, (raw - null, raw, null), strict=True)
        scores += [Score(name, value, at, i) for name, value in values]
    return scores


def find_misalignment(case: Case) -> str | None:
    """Why the twin's steps cannot stand in for the trace's own; None where they can."""
    if case.counterfactual is None:
        return NO_COUNTERFACTUAL
    own, other = ([(step.name, len(step.ids)) for step in trace.steps] for trace in (case.trace, case.counterfactual))
    return None if own == other else NOT_ALIGNED
