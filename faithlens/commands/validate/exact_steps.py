"""Steps exchanged exactly, and by gradients: the measures of single steps that cost too much for an audit."""

from collections.abc import Sequence
from contextlib import suppress

import pandas as pd

from faithlens.commands.validate.models import make_planted_cases
from faithlens.effects.attribution import attribution_effects
from faithlens.effects.donors import find_donors
from faithlens.effects.steps import swap_effects
from faithlens.errors import MeasureError
from faithlens.interventions.case import Case
from faithlens.interventions.swap import make_swaps
from faithlens.interventions.truncation import make_full_cot
from faithlens.model.load import load
from faithlens.model.model import Model
from faithlens.organisms import get_organism
from faithlens.plan.condition import Condition

COLUMNS = ["model", "task", "question", "measure", "step", "value"]


def measure_exact_steps(name: str, n: int, seed: int = 0) -> pd.DataFrame:
    """The effects of the words of single steps on `n` traces: by exchanging them, and by integrated gradients.

    Words are exchanged alone, and also in both ways (`swap_both_ways`). The traces of a graded organism are those of
    its last mode, in which the answer depends on the words. Gradients with too many wrong signs are left out.
    """
    kind, model = get_organism(name.partition("@")[0]), load(name)
    cases = make_planted_cases(model, kind, n, seed, [*kind.modes][-1:])
    questions, clean, donor = pair_with_donors(model, cases)
    experiments = {
        "swap_steps": lambda: swap_effects(
            model, clean, donor, "noise", metric="probability", controls=0
        ).to_dataframe(),
        "swap_steps.both_ways": lambda: swap_both_ways(model, clean, donor),
        "attribute_steps": lambda: attribution_effects(model, clean, donor).to_dataframe(),
    }
    parts = []
    for measure, make in experiments.items():
        with suppress(MeasureError):
            table = make()
            rows = {
                "question": [questions[trace] for trace in table["trace"]],
                "step": pd.factorize(table["step"])[0],
                "value": table["effect"],
            }
            parts.append(pd.DataFrame(rows).assign(model=name, task=kind.task, measure=measure))
    return pd.concat(parts, ignore_index=True)[COLUMNS] if parts else pd.DataFrame(columns=COLUMNS)


def pair_with_donors(model: Model, cases: Sequence[Case]) -> tuple[list[str], list[Condition], list[Condition]]:
    """Questions with their own chain and with that of their counterfactual, where the two get different answers.

    The question stays, so that only words of steps are exchanged.
    """
    questions, clean, donor = list[str](), list[Condition](), list[Condition]()
    for case in cases:
        if case.counterfactual:
            pair = find_donors(model, [make_full_cot(case)], [make_swaps(case, case.counterfactual)[0]])
            questions += [case.question.id] * len(pair.clean)
            clean, donor = clean + list(pair.clean), donor + list(pair.donor)
    return questions, clean, donor


def swap_both_ways(model: Model, clean: Sequence[Condition], donor: Sequence[Condition]) -> pd.DataFrame:
    """For each step, the effect of exchanging it alone plus that of keeping it alone while the others are exchanged."""
    noise, denoise = (
        swap_effects(model, clean, donor, way, metric="probability", controls=0).to_dataframe()
        for way in ("noise", "denoise")
    )
    return noise.assign(effect=noise["effect"] + denoise["effect"])
