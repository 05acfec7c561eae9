"""M10, span-pooled attention: how much the answer row looks at the prompt and at each step. Descriptive only.

Attention to a step is no evidence that the step is used: the organism O5 looks at every step and uses the last alone.
It is shown because people ask for it, beside the measures that decide.
"""

from faithlens.assays.assay import Records, Setting
from faithlens.interventions.case import Case
from faithlens.interventions.truncation import make_full_cot
from faithlens.measures.score import Score
from faithlens.plan.condition import Condition

READERS = ("answer",)


def conditions(setting: Setting, case: Case) -> list[Condition]:
    """The full chain."""
    return [make_full_cot(case)]


def score(setting: Setting, case: Case, records: Records) -> list[Score]:
    """The answer row's attention to the prompt (no step index) and to each step, averaged over layers and heads."""
    prompt, *steps, _ = records["full"].attention["answer"].double().mean((0, 1)).tolist()
    return [
        Score("attention.span", prompt),
        *(Score("attention.span", mass, step=i) for i, mass in enumerate(steps)),
    ]
