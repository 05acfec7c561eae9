"""Confidence intervals over questions: the question bootstrap, Wilson's interval, and the jackknife.

A hundred numbers of one question are not a hundred observations. So whole questions are drawn with replacement, and the
same draws serve every column, so that conditions stay paired:

1. Draw how often each question occurs in each of `DRAWS` resamples.
2. The mean of a column in each resample is a product of two matrices: weights [draw, question] times sums [question,
   column], divided by weights times counts.
3. The interval lies between two quantiles of the resampled means, with the tails moved outwards for few questions.

For example, one column of three questions with the sums 1, 0, 2 and the counts 1, 1, 2 (the third has two chains):

    weights (one draw)   sums . weights   counts . weights   mean
    1 1 1                3                4                  .75
    2 1 0                2                3                  .67
    0 0 3                6                6                  1.

Step 3 is the expanded percentile interval of Hesterberg 2015 ("What teachers should know about the bootstrap", Am.
Stat. 69, 371-386). Plain percentile and BCa intervals are too narrow for a dozen questions, where the usual t interval
is not; the expansion corrects this, needs no jackknife, and respects bounds such as 0 and 1.

Where the units are a handful of tasks or trained models and the statistic is a slope, a resample may leave the slope
undetermined; there one unit after another is left out instead (`jackknife`). Where every question agrees no resampling
can show doubt; `compute_unanimous_interval` says what such data still allow.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binomtest, norm, t

Array = NDArray[np.float64]

DRAWS = 2000
CONFIDENCE = 0.95
Z = float(norm.ppf((1 + CONFIDENCE) / 2))


def wilson_interval(successes: float | int, n: int) -> tuple[float, float]:
    """The 95 % interval of a share of `n` independent questions (Wilson 1927). `n` is at least 1."""
    found = binomtest(round(successes), n).proportion_ci(CONFIDENCE, method="wilson")
    return float(found.low), float(found.high)


def compute_unanimous_interval(value: float, n: int, lowest: float, highest: float) -> tuple[float, float]:
    """The 95 % interval of a mean when all `n` questions gave `value` on a scale from `lowest` to `highest`.

    By Wilson's bound at most z^2 / (n + z^2) of the questions are of a kind that was not seen, and those may lie at
    either end of the scale. For 0/1 data this is the Wilson interval itself.
    """
    share = Z * Z / (n + Z * Z)
    return value - share * max(value - lowest, 0.0), value + share * max(highest - value, 0.0)


def draw_questions(n: int, seed: int, draws: int = DRAWS) -> Array:
    """How often each of `n` questions is drawn in each of `draws` resamples: [draws, n], each row sums to n."""
    return np.random.default_rng(seed).multinomial(n, np.full(n, 1 / n), size=draws).astype(np.float64)


def compute_mean_intervals(sums: Array, counts: Array, seed: int) -> tuple[Array, Array, Array]:
    """Mean and 95 % interval of every column, resampling whole questions, the same ones for all columns.

    `sums`, `counts`: [n questions, columns]; the sum and the number of a question's values in that column, both 0
    where it has none. Returns value, low, high: [columns]; NaN where fewer than two questions have values.
    """
    weights = draw_questions(len(sums), seed)
    with np.errstate(invalid="ignore"):
        value, means = sums.sum(0) / counts.sum(0), (weights @ sums) / (weights @ counts)
    used = (counts > 0).sum(0)
    low, high = compute_expanded_percentile(means, used)
    return np.where(used < 2, np.nan, value), low, high


def compute_statistic_interval(
    table: Array, statistic: Callable[[Array], Array], seed: int, n: int | None = None
) -> tuple[float, float, float]:
    """Value and 95 % interval of a statistic of column means, resampling whole rows.

    `table`: [questions, columns] without gaps. `statistic` maps column means [draws, columns] to [draws]. `n` is the
    number of questions that inform it; None for all of them. NaN for fewer than two.
    """
    n = len(table) if n is None else n
    if n < 2:
        return np.nan, np.nan, np.nan
    means = draw_questions(len(table), seed) @ table / len(table)
    with np.errstate(invalid="ignore", divide="ignore"):
        value, drawn = statistic(table.mean(0, keepdims=True))[0], statistic(means)
    low, high = compute_expanded_percentile(drawn[:, None], np.array([n]))
    return float(value), float(low[0]), float(high[0])


def jackknife(units: NDArray, statistic: Callable[[NDArray[np.bool_]], float]) -> tuple[float, float, float]:
    """Value and 95 % interval of a statistic, leaving out whole units: Tukey's jackknife, t with one degree less.

    For a mean of units this is the t interval itself; for regressions it is the cluster-robust variance called CR3,
    which holds its coverage with few clusters (MacKinnon, Nielsen & Webb 2023, J. Appl. Econometrics 38, 671-694).

    `units` names the unit of each row; `statistic` takes a mask of the rows to use. The ends are NaN for fewer than two
    units, or where the statistic is undefined without one of them.
    """
    value, names = statistic(np.ones(len(units), dtype=bool)), np.unique(units)
    n = len(names)
    if n < 2:
        return value, np.nan, np.nan
    without = np.array([statistic(units != name) for name in names])
    half = t.ppf((1 + CONFIDENCE) / 2, n - 1) * np.sqrt((n - 1) / n * ((without - value) ** 2).sum())
    return value, float(value - half), float(value + half)


def compute_expanded_percentile(draws: Array, n: NDArray[np.integer]) -> tuple[Array, Array]:
    """Low and high ends, [columns], of resampled statistics `draws` [draws, columns] from `n` [columns] questions.

    A draw that is NaN (none of its questions had a value) is left out. NaN where n < 2.
    """
    enough = np.maximum(n, 2)
    tail = norm.cdf(-np.sqrt(enough / (enough - 1)) * t.ppf((1 + CONFIDENCE) / 2, enough - 1))
    ordered, last = np.sort(draws, axis=0), np.maximum(np.isfinite(draws).sum(0) - 1, 0)
    low, high = _interpolate_rows(ordered, tail * last), _interpolate_rows(ordered, (1 - tail) * last)
    return np.where(n < 2, np.nan, low), np.where(n < 2, np.nan, high)


def _interpolate_rows(ordered: Array, position: Array) -> Array:
    """Entries of each sorted column at a fractional row position."""
    below, above = np.floor(position).astype(int), np.ceil(position).astype(int)
    first, second = (np.take_along_axis(ordered, rows[None], axis=0)[0] for rows in (below, above))
    return first + (second - first) * (position - below)
