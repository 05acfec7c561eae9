"""Attention knockout: the answer rows cannot attend to all steps, to one step, or to the question.

After Geva et al. 2023 (arXiv:2304.14767), here in every layer at once and from the answer rows only, so later steps
still carry what they read from the hidden step. A single step is compared with random spans of the same number of
tokens.
"""

import random

from faithlens.assays.assay import Records, Setting
from faithlens.assays.points import choose_steps
from faithlens.interventions.case import Case
from faithlens.interventions.control_span import draw_control_span
from faithlens.interventions.knockout import hide
from faithlens.interventions.truncation import make_full_cot
from faithlens.measures.answers import choose_option, kl_divergence, option_probabilities
from faithlens.measures.score import Score
from faithlens.plan.capture import Record
from faithlens.plan.condition import Condition

NEEDS_ATTENTION_ALONE = True
N_CONTROLS = 2  # random stretches a step


def conditions(setting: Setting, case: Case) -> list[Condition]:
    """All steps hidden, the question hidden, each step hidden, and the controls of each step."""
    steps = case.trace.steps
    out = [
        make_full_cot(case),
        hide(case, "knockout:steps", tuple(step.name for step in steps)),
        hide(case, "knockout:question", ("prompt",)),
    ]
    for step in (steps[i] for i in choose_steps(setting, case)):
        out.append(hide(case, f"knockout:{step.name}", (step.name,)))
        rng = random.Random(f"knockout:{setting.seed}:{case.question.id}:{step.name}")
        for i in range(N_CONTROLS):
            span = draw_control_span(len(case.trace), len(step.ids), rng)
            out.append(hide(case, f"knockout:{step.name}:control {i}", (span,)))
    return out


def score(setting: Setting, case: Case, records: Records) -> list[Score]:
    """The drop of the answer's probability and the KL divergence; for a single step also beyond its controls."""
    clean = records["full"]
    answer = choose_option(clean.logprobs)

    def drop(record: Record) -> float:
        return float(option_probabilities(clean.logprobs)[answer] - option_probabilities(record.logprobs)[answer])

    scores = []
    for what in ("steps", "question"):
        name = f"knockout:{what}"
        kl = kl_divergence(clean.logprobs, records[name].logprobs)
        scores.append(Score(f"knockout.{what}", drop(records[name]), name))
        scores.append(Score(f"knockout.{what}_kl", kl, name))
    for i, weight in choose_steps(setting, case).items():
        name = f"knockout:{case.trace.steps[i].name}"
        raw = drop(records[name])
        null = sum(drop(records[f"{name}:control {c}"]) for c in range(N_CONTROLS)) / N_CONTROLS
        scores.append(Score("knockout.step", raw - null, name, i, weight=weight))
        scores.append(Score("knockout.step_raw", raw, name, i, weight=weight))
        scores.append(Score("knockout.step_null", null, name, i, weight=weight))
    return scores
