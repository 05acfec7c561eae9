"""Steps exchanged exactly, and by gradients: the measures of single steps that are too dear for an audit."""

from collections.abc import Sequence
from contextlib import suppress

import pandas as pd

from faithlens.effects.donors import find_donors
from faithlens.effects.steps import attribute_steps, swap_steps
from faithlens.errors import MeasureError
from faithlens.interventions.case import Case
from faithlens.interventions.swap import swaps
from faithlens.interventions.truncate import full
from faithlens.organisms import organism
from faithlens.runtime.condition import Condition
from faithlens.runtime.load import load
from faithlens.runtime.model import Lens
from faithlens.stats.contest import bearing
from faithlens.validation.models import planted_cases

COLUMNS = ["organism", "seed", "question", "mode", "measure", "step", "value", "positive"]


def exact_steps(model: str, n: int, seed: int = 0) -> pd.DataFrame:
    """Steps' words exchanged exactly (alone, and as all that is kept) and by integrated gradients, on `n` traces.

    Of a graded organism, traces in its last mode, in which the answer goes by the words. Gradients that fail their own
    audit are left out, as everywhere.
    """
    name, _, number = model.partition("@")
    kind, lens = organism(name), load(model)
    cases = planted_cases(lens, kind, n, seed, [*kind.modes][-1:])
    clean, donor = pairs(lens, cases)
    asked = {
        "swap_steps": lambda: swap_steps(lens, clean, donor, "noise", metric="probability", controls=0).to_dataframe(),
        "swap_steps, both ways": lambda: both_ways(lens, clean, donor),
        "attribute_steps": lambda: attribute_steps(lens, clean, donor).to_dataframe(),
    }
    parts = []
    for measure, make in asked.items():
        with suppress(MeasureError):
            table = make()
            steps = pd.factorize(table["step"])[0]
            positive = bearing(kind.planted.steps, int(steps.max()) + 1)[steps]
            row = {"organism": name, "seed": int(number or 0), "mode": "", "measure": measure, "positive": positive}
            named = table[["trace", "step", "effect"]].set_axis(["question", "step", "value"], axis=1)
            parts.append(named.assign(**row))
    return pd.concat(parts, ignore_index=True)[COLUMNS]


def pairs(lens: Lens, cases: Sequence[Case]) -> tuple[list[Condition], list[Condition]]:
    """Each chain, and the same question with its twin's chain; only where the two are answered differently.

    The question stays, so that a step's words are exchanged among words alone.
    """
    found = [find_donors(lens, [full(case)], [swaps(case, case.twin)[0]]) for case in cases if case.twin]
    return [one for each in found for one in each.clean], [one for each in found for one in each.donor]


def both_ways(lens: Lens, clean: Sequence[Condition], donor: Sequence[Condition]) -> pd.DataFrame:
    """What a step's words take away alone, plus what they bring back alone where all others are exchanged (M4 + M5)."""
    noise, denoise = (
        swap_steps(lens, clean, donor, way, metric="probability", controls=0).to_dataframe()
        for way in ("noise", "denoise")
    )
    return noise.assign(effect=noise["effect"] + denoise["effect"])
