"""`Estimate`, a mean with its interval, and the rule that chooses the method of the interval.

`compute_mean_intervals` takes the first method that fits:

1. Fewer than two questions have a value: no interval.
2. The measure is fixed by construction (such as the accuracy of chance) and all values agree: the value itself.
3. One 0 or 1 a question, on a scale from 0 to 1: the exact interval of Clopper and Pearson.
4. A scale with ends: Gaffke's interval, of which 3 is a case. Where values pass an end of their usual range, the scale
   is taken to go on for as much again.
5. No ends (logits, nats, counts): the wider of Student's t and bootstrap-t, or none where too few questions differ.

An interval that cannot be known is withheld: value without ends, the method `WITHHELD`, and the reason. For example:

    values of the questions    scale     method           interval
    1, 1, 1, 0                 0 to 1    exact            .19 to .99
    .5, .5, .5, .5             0 to 1    Gaffke           .20 to .80
    3, 3, 3, 3, 3              none      withheld         none: all 5 questions agree
    1 (one question)           any       none             none
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from faithlens.stats.resample import (
    DRAWS,
    MIN_UNBOUNDED,
    ROUNDING,
    Array,
    compute_bounded_intervals,
    compute_exact_interval,
    compute_unbounded_intervals,
)

EXACT = "exact (Clopper-Pearson)"
BOUNDED = f"Gaffke over questions, {DRAWS} draws"
UNBOUNDED = f"wider of t and bootstrap-t over questions, {DRAWS} draws"
WEIGHTED = f"questions and one unseen, weighted at random, {DRAWS} draws"
BY_CONSTRUCTION = "fixed by construction"
WITHHELD = "withheld"
NO_METHOD = "none"

Scale = tuple[float, float] | None
"""The ends between which the values of unseen questions lie; None without ends."""


@dataclass(frozen=True)
class Estimate:
    """A mean over chain-of-thought samples with its 95 % interval over questions.

    Attributes:
        model, task, measure: what was measured.
        fraction: the position along the chain of thought, 0 to 1, on a curve.
        step: the index of the reasoning step that it describes.
        value, low, high: the mean and its interval, in `unit`; None where undefined, or where the interval is withheld.
        n_used, n_dropped: numbers of questions with a value, and of questions where the measure is undefined.
        unit: a key of `faithlens.measures.catalogue.UNITS`.
        method: how the interval was computed; `WITHHELD` where there is a value, but no interval that would cover.
        seed: the seed of the draws.
        reason: why questions were dropped, why there is no value, or why the interval is withheld.
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


class Interval(NamedTuple):
    """A number with the ends of its 95 % interval, NaN where there are none, the method, and why ends are missing."""

    value: float
    low: float
    high: float
    method: str
    reason: str | None = None

    def clip(self, lowest: float | None, highest: float | None) -> "Interval":
        """The interval with every number below `lowest` or above `highest` moved there."""
        ends = (-np.inf if lowest is None else lowest, np.inf if highest is None else highest)
        value, low, high = (float(np.clip(number, *ends)) for number in self[:3])
        return self._replace(value=value, low=low, high=high)


def compute_mean_intervals(
    sums: Array, counts: Array, seed: int, scales: Sequence[Scale], is_fixed: Sequence[bool] | None = None
) -> list[Interval]:
    """Mean and 95 % interval of every column over whole questions, by the rule at the head of this module.

    Args:
        sums, counts: the sum and the number of each question's values in each column, [question, column]; both 0 where
            it has none.
        seed: the seed of the draws, which are the same for all columns.
        scales: the scale of each column.
        is_fixed: whether a column is known before anything is sampled; by default none is.
    """
    with np.errstate(invalid="ignore", divide="ignore"):
        value, own = sums.sum(0) / counts.sum(0), sums / counts  # means of questions, NaN where they have no value
    ends = np.full((2, len(value)), np.nan)
    bounded = np.array([scale is not None for scale in scales], dtype=bool)
    if bounded.any():
        low, high = _extend_scales(own[:, bounded], np.array([scale for scale in scales if scale], dtype=np.float64).T)
        ends[:, bounded] = compute_bounded_intervals(sums[:, bounded], counts[:, bounded], low, high, seed)
    if not bounded.all():
        ends[:, ~bounded] = compute_unbounded_intervals(sums[:, ~bounded], counts[:, ~bounded], seed)
    fixed = is_fixed if is_fixed is not None else [False] * len(value)
    return [
        _choose_interval(value[k], own[:, k][counts[:, k] > 0], counts[:, k], ends[:, k], scales[k], fixed[k])
        for k in range(len(value))
    ]


def compute_mean_interval(values: Array, scale: Scale, seed: int) -> Interval:
    """The mean of `values` [question], one for each question, with its 95 % interval; NaN is left out."""
    known = values[np.isfinite(values)][:, None]
    if not len(known):
        return Interval(np.nan, np.nan, np.nan, NO_METHOD, describe_few(0))
    return compute_mean_intervals(known, np.ones_like(known), seed, [scale])[0]


def _extend_scales(own: Array, scale: Array) -> Array:
    """The ends [2, column] of scales; beyond an end that some question of `own` passes, by as much again."""
    lowest, highest = np.fmin.reduce(own, axis=0), np.fmax.reduce(own, axis=0)
    low, high = scale
    return np.stack([np.fmin(low, 2 * lowest - low), np.fmax(high, 2 * highest - high)])


def _choose_interval(value: float, own: Array, counts: Array, ends: Array, scale: Scale, is_fixed: bool) -> Interval:
    """The interval of one column, from the means of its questions and the ends of the rule for its scale."""
    n = len(own)
    if n < 2:
        return Interval(np.nan, np.nan, np.nan, NO_METHOD, describe_few(n))
    if is_fixed and np.ptp(own) <= ROUNDING:
        return Interval(value, value, value, BY_CONSTRUCTION)
    if scale == (0.0, 1.0) and counts.max() == 1 and np.isin(own, (0.0, 1.0)).all():
        return Interval(value, *compute_exact_interval(own.sum(), n), EXACT)
    low, high = (float(end) for end in ends)
    if scale is not None:
        return Interval(value, min(low, value), max(high, value), BOUNDED)
    if np.isnan(low):
        return Interval(value, np.nan, np.nan, WITHHELD, _explain_withheld(own))
    return Interval(value, low, high, UNBOUNDED)


def describe_few(n: int) -> str:
    """That `n` questions are too few for an interval."""
    return f"{n} question{'s' * (n != 1)} with a value: an interval needs at least 2"


def _explain_withheld(own: Array) -> str:
    """Why a mean without ends has no interval."""
    n = len(own)
    if n < MIN_UNBOUNDED:
        return f"interval withheld: {n} questions are too few for a measure without ends, which needs {MIN_UNBOUNDED}"
    agree = "all" if np.ptp(own) <= ROUNDING * np.abs(own).max() else "nearly all"
    return f"interval withheld: {agree} of {n} questions agree, which does not show how far others may lie"


def to_optional(number: float) -> float | None:
    """`number`, or None for NaN."""
    return None if np.isnan(number) else float(number)
