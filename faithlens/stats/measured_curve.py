"""The points of a curve along the chain of thought, only where something was measured.

`stats.curve` reads curves off at every tenth, so that questions whose chains have different lengths can be averaged. A
picture must not show such points as measured. Here:

1. Where all chains were edited at few places (`MAX_PLACES`), each place is a point.
2. Else the places are collected in tenths of the chain. A point stands at the mean of its places.
3. A question counts once at each point, by the mean of its values there; the interval is over questions. A point of a
   single question has a value and no interval.

For example, chains of 3 and of 4 steps, cut at 0, 1/3, 2/3, 1 and at 0, 1/4, 1/2, 3/4, 1, give points at 0, .25, .33,
.5, .67, .75 and 1.
"""

from typing import NamedTuple

import numpy as np
import pandas as pd

from faithlens.measures.catalogue import get_measure
from faithlens.stats.interval import compute_mean_intervals, to_optional

MAX_PLACES = 12
"""Up to so many different places, each is a point of its own."""


class Point(NamedTuple):
    """The mean of `n` questions at `x`, with its interval; None where there is none."""

    x: float
    value: float
    low: float | None
    high: float | None
    n: int


def find_measured_points(scores: pd.DataFrame, measure: str, seed: int) -> list[Point]:
    """The points of a curve of one model and task.

    Args:
        scores: rows of the table of scores of this model and task.
        measure: a measure whose scores have a fraction of the chain.
        seed: the seed of the intervals' draws.
    """
    rows = scores[(scores["measure"] == measure) & scores["fraction"].notna() & scores["value"].notna()]
    if rows.empty:
        return []
    places = rows["fraction"].round(6)
    point = places if places.nunique() <= MAX_PLACES else places.round(1)
    by_point = rows.assign(point=point, value=rows["value"].astype(float)).groupby(["question", "point"])
    means = by_point[["fraction", "value"]].mean()
    sums, places_of = means["value"].unstack(), means["fraction"].unstack().mean()
    entry = get_measure(measure)
    fixed = [entry.is_fixed_at(float(x)) for x in sums.columns]
    values = sums.to_numpy(np.float64)
    counts = np.isfinite(values).astype(np.float64)
    intervals = compute_mean_intervals(np.nan_to_num(values), counts, seed, [entry.scale] * len(fixed), fixed)
    return [
        Point(float(x), float(mean), to_optional(interval.low), to_optional(interval.high), int(n))
        for x, mean, interval, n in zip(
            places_of, np.nanmean(values, axis=0), (i.clip(*entry.range) for i in intervals), counts.sum(0), strict=True
        )
    ]
