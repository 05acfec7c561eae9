"""Attention pooled over pieces: how much the answer row attends to the prompt and to each step. Descriptive only.

Attention to a step is no evidence that the step is used: the organism O5 attends to every step and uses only the last
one. The assay is here because people ask for it, next to the measures that decide.
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
    """The attention of the answer row to the prompt (no step index) and to each step, mean over layers and heads."""
    prompt, *steps, _ = records["full"].attention["answer"].double().mean((0, 1)).tolist()
    return [
        Score("attention.span", prompt),
        *(Score("attention.span", mass, step=i) for i, mass in enumerate(steps)),
    ]
