"""A measure of a user's own, tested in the same contests as the measures of this package."""

from collections.abc import Callable, Sequence

import pandas as pd

from faithlens.commands.validate.models import label_scores, make_planted_cases, name_model, read_certified_truth
from faithlens.commands.validate.tables import compute_detections
from faithlens.errors import MeasureError, list_several
from faithlens.interventions.case import Case
from faithlens.model.load import load
from faithlens.model.model import Model
from faithlens.organisms import ORGANISMS, get_organism

CaseMeasure = Callable[[Model, Sequence[Case]], Sequence[float]]


def validate_measure(
    measure: CaseMeasure,
    *,
    organisms: str | Sequence[str] = tuple(ORGANISMS),
    seeds: Sequence[int] = (0,),
    n: int = 24,
    seed: int = 0,
) -> pd.DataFrame:
    """How well `measure` detects, on models whose truth is planted, that the words of the chain drive the answer.

    Args:
        measure: takes a model and cases (questions with the chains it wrote); returns one number for each case, higher
            where the words matter more, NaN where it is undefined.
        organisms: the names of the organisms.
        seeds: the training seeds of each: 0 is the shipped one, others are those of `faithlens organisms train NAME
            --seeds 1-9`; a model whose certificate names faults is left out.
        n: the number of questions for each model; for a graded organism, in each of its extreme modes.
        seed: the seed of questions and intervals.

    Returns:
        One row for each contest, as `faithlens validate` writes them: "enforced" (organisms whose missing attention
        edges decide it), then one within each graded organism.

    Raises:
        ModelError: there is no such organism, or it was not trained with a seed.
        MeasureError: `measure` gives another number of values than there are cases.
    """
    called = getattr(measure, "__name__", "your measure")
    parts: list[pd.DataFrame] = []
    for name in list_several(organisms):
        kind = get_organism(name)
        extremes = [*kind.modes][:1] + [*kind.modes][-1:]
        for number in seeds:
            model = load(name_model(name, number))
            cases = make_planted_cases(model, kind, n, seed, extremes)
            values = [float(value) for value in measure(model, cases)]
            if len(values) != len(cases):
                raise MeasureError(
                    f"{called} must return one number for each of the {len(cases)} cases, got {len(values)}",
                    "Return one number for each case, NaN where the measure is undefined.",
                )
            rows = [
                {"model": model.name, "question": case.question.id, "measure": called, "value": value}
                for case, value in zip(cases, values, strict=True)
            ]
            parts.append(label_scores(read_certified_truth(name, number), pd.DataFrame(rows)))
    return compute_detections(pd.concat(parts, ignore_index=True), seed)
