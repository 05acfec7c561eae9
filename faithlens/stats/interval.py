"""`Estimate`, a number that does not travel alone, and the rule that chooses its interval."""

from dataclasses import dataclass

import numpy as np

from faithlens.stats.resample import DRAWS, Array, compute_unanimous_interval, wilson_interval

REPORT_PRECISION = 0.01
"""Values closer than this, the precision a report shows, count as all equal: resampling them shows no doubt at all."""

BOOTSTRAP = f"question bootstrap, expanded percentile, {DRAWS} draws"
WILSON = "Wilson"
UNANIMOUS = "all questions agree: Wilson bound on the share of unlike questions"
BY_CONSTRUCTION = "fixed by construction"
NO_METHOD = "none"


@dataclass(frozen=True)
class Estimate:
    """A mean over chain-of-thought samples with its 95 % interval over questions.

    Attributes:
        model, task, measure: what it is of.
        fraction: position along the chain of thought, on a curve.
        step: index of the reasoning step it speaks of.
        value, low, high: the mean and its interval, in `unit`; None where undefined.
        n_used, n_dropped: questions with a value, and questions where the measure is undefined.
        method: how the interval was made.
        seed: of the resampling.
        reason: why questions were dropped, or why there is no value.
    """

    model: str
    task: str
    measure: str
    fraction: float | None
    step: int | None
    value: float | None
    low: float | None
    high: float | None
    n_used: int
    n_dropped: int
    unit: str
    method: str
    seed: int
    reason: str | None


def choose_interval(
    values: Array,
    counts: Array,
    bootstrap: tuple[float, float, float],
    scale: tuple[float, float] | None,
    by_construction: bool,
) -> tuple[float, float, float, str]:
    """Value, low, high and method of one mean.

    Args:
        values: every known value; `counts`: how many of them each question has, [question].
        bootstrap: value, low and high of the question bootstrap.
        scale: ends of the measure's scale, where it has ends.
        by_construction: the measure is the same in every question by construction.

    One 0/1 a question gets Wilson; questions that all agree get `compute_unanimous_interval`; everything else the bootstrap.
    """
    value, n = bootstrap[0], int((counts > 0).sum())
    if n < 2:
        return *bootstrap, NO_METHOD
    if by_construction and np.ptp(values) == 0:
        return value, value, value, BY_CONSTRUCTION
    if scale == (0.0, 1.0) and counts.max() == 1 and np.isin(values, (0.0, 1.0)).all():
        return value, *wilson_interval(values.sum(), n), WILSON
    if scale and np.ptp(values) <= REPORT_PRECISION:
        return value, *compute_unanimous_interval(value, n, *scale), UNANIMOUS
    return *bootstrap, BOOTSTRAP


def to_optional(number: float) -> float | None:
    """`number`, or None for NaN."""
    return None if np.isnan(number) else float(number)
