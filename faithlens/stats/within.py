"""Performance-conditioned faithfulness: at each size, the measure against accuracy with one point a task.

Proposed in comments on Lanham et al. (LessWrong post BKvJNzALpxS3LafEs). A reply adds that the measure grows noisier as
accuracy rises, so that even this breaks down near perfect accuracy: read it with its intervals.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import linregress, t

from faithlens.stats.interval import NONE, optional
from faithlens.stats.resample import CONFIDENCE, Z
from faithlens.stats.scaling.size_effect import CELL, UNDEFINED, final, usable


@dataclass(frozen=True)
class WithinSize:
    """Measure against accuracy at one size, one point a task: performance-conditioned faithfulness.

    Attributes:
        size: number of parameters.
        slope, slope_low, slope_high: change of the measure per unit of accuracy (least squares, t interval).
        correlation, correlation_low, correlation_high: Pearson's, with Fisher's z interval.
        n_used, n_dropped: tasks.
        method: how the intervals were made.
        reason: why tasks were dropped or there is no number.
    """

    size: float
    slope: float | None
    slope_low: float | None
    slope_high: float | None
    correlation: float | None
    correlation_low: float | None
    correlation_high: float | None
    n_used: int
    n_dropped: int
    method: str
    reason: str | None


def within_sizes(cells: pd.DataFrame) -> list[WithinSize]:
    """For each size, how the measure goes with accuracy over tasks; seeds are averaged first.

    Args:
        cells: columns size, task, value, accuracy, and perhaps seed, checkpoint (the last one is used), family.

    Raises:
        MeasureError: the table is not one of cells.
    """
    cells = final(cells)
    known = usable(cells, ("value", "accuracy"), CELL)
    tasks = cells["task"].nunique() if "task" in cells else 1
    return [_within(size, known[known["size"] == size], tasks) for size in np.unique(cells["size"].to_numpy(float))]


def _within(size: float, known: pd.DataFrame, tasks: int) -> WithinSize:
    points = known.groupby("task")[["accuracy", "value"]].mean()
    n, (x, y) = len(points), points.to_numpy(float).T
    reasons = [f"{tasks - n} dropped: no value or no accuracy"] if tasks > n else []
    line, r, method = UNDEFINED, UNDEFINED, "least squares, t; Fisher's z"
    if n < 3:
        reasons.append(f"{n} task{'s' * (n != 1)}: a line needs at least 3")
    elif np.ptp(x) == 0 or np.ptp(y) == 0:
        reasons.append(f"{'accuracy' if np.ptp(x) == 0 else 'the measure'} does not vary over tasks")
    else:
        fit: Any = linregress(x, y)
        half = t.ppf((1 + CONFIDENCE) / 2, n - 2) * fit.stderr
        line = (fit.slope, fit.slope - half, fit.slope + half)
        r = _correlation(fit.rvalue, n)
    if n == 3:
        reasons.append("3 tasks: a correlation has no interval")
    return WithinSize(
        size=size,
        slope=optional(line[0]),
        slope_low=optional(line[1]),
        slope_high=optional(line[2]),
        correlation=optional(r[0]),
        correlation_low=optional(r[1]),
        correlation_high=optional(r[2]),
        n_used=n,
        n_dropped=tasks - n,
        method=NONE if np.isnan(line[0]) else method,
        reason="; ".join(reasons) or None,
    )


def _correlation(r: float, n: int) -> tuple[float, float, float]:
    """A correlation of n pairs with Fisher's interval; a perfect one has none."""
    if n < 4 or abs(r) >= 1:
        return r, np.nan, np.nan
    half = Z / np.sqrt(n - 3)
    return r, float(np.tanh(np.arctanh(r) - half)), float(np.tanh(np.arctanh(r) + half))
