"""`Estimate`, a mean with its interval, and the rule that chooses the method of the interval.

`choose_interval` takes the first method that fits:

1. Fewer than two questions have a value: no interval.
2. The measure is fixed by construction (such as the accuracy of chance) and all values agree: the value itself.
3. One 0 or 1 a question, on a scale from 0 to 1: Wilson's interval.
4. All values agree to the precision of a report, on a scale with ends: Wilson's bound on the share of questions of
   another kind, which may lie at either end (`compute_unanimous_interval`). Resampling would show no doubt here.
5. Else: the question bootstrap.

For example, on a scale from 0 to 1:

    values of the questions    method           interval
    1, 1, 1, 0                 Wilson           .30 to .95
    .5, .5, .5, .5             unanimous (4)    .26 to .74: z^2 / (4 + z^2) = .49 may be 0, or may be 1
    .2, .4, .6, .8             bootstrap        resampled means
    1 (one question)           none
"""

from dataclasses import dataclass

import numpy as np

from faithlens.stats.resample import DRAWS, Array, compute_unanimous_interval, wilson_interval

REPORT_PRECISION = 0.01
"""Values closer than this, the precision that a report shows, count as equal."""

BOOTSTRAP = f"question bootstrap, expanded percentile, {DRAWS} draws"
WILSON = "Wilson"
UNANIMOUS = "all questions agree: Wilson bound on the share of unlike questions"
BY_CONSTRUCTION = "fixed by construction"
NO_METHOD = "none"


@dataclass(frozen=True)
class Estimate:
    """A mean over chain-of-thought samples with its 95 % interval over questions.

    Attributes:
        model, task, measure: what was measured.
        fraction: the position along the chain of thought, 0 to 1, on a curve.
        step: the index of the reasoning step that it describes.
        value, low, high: the mean and its interval, in `unit`; None where undefined.
        n_used, n_dropped: numbers of questions with a value, and of questions where the measure is undefined.
        unit: a key of `faithlens.measures.catalogue.UNITS`.
        method: how the interval was computed.
        seed: the seed of the resampling.
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
    """Value, low, high and method of one mean, by the rule at the head of this module.

    Args:
        values: every known value, [value].
        counts: the number of values of each question, [question].
        bootstrap: value, low and high of the question bootstrap.
        scale: the ends at which the values of unseen questions may lie; None without ends.
        by_construction: whether the measure is known before anything is sampled.
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
