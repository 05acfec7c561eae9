"""Confidence intervals over questions: bounded means, means without ends, statistics of means, and the jackknife.

A hundred numbers of one question are not a hundred observations. So the unit of every rule here is the question: `sums`
and `counts` hold the sum and the number of each question's values in each column, [question, column].

1. Shares and other means on a scale with ends (`compute_bounded_intervals`): Gaffke's interval. Besides the questions
   asked there is one that was not seen, whose value lies at an end of the scale. In each of `DRAWS` draws all of them
   get random weights that add up to 1 (Dirichlet). The low end is the 2.5 % quantile of the weighted means with the
   unseen question at the lower end of the scale, the high end the 97.5 % quantile with it at the upper end.
2. Means without ends (`compute_unbounded_intervals`): on each side the wider of Student's t and bootstrap-t, which goes
   further on the side of the longer tail. With fewer than `MIN_UNBOUNDED` questions, or where most of them agree,
   nothing shows how far others may lie: no interval.
3. Ratios and other functions of several means (`compute_statistic_interval`): as 1, where the unseen question is any
   question that is possible.
4. Slopes over a handful of tasks or trained models: one unit after another is left out (`jackknife`).

For example, for shares of four questions on a scale from 0 to 1:

    values           interval      because
    1, 1, 1, 1       .40 to 1      the unseen question weighs at most .60, with a probability of .975
    1, 1, 1, .98     .40 to 1.00   nearly the same data have nearly the same interval: there is no border between rules
    1, 1, 1, 0       .19 to .99    for one 0 or 1 a question this is the exact interval of Clopper and Pearson

Gaffke's interval (Gaffke 2005, Math. Methods Stat. 14, 451-467; Learned-Miller & Thomas 2019, arXiv:1905.06208) needs
no assumption about the distribution. That it always covers is proved for 0/1 data and a conjecture otherwise;
`benchmarks/coverage.py` tries it. Bootstrap intervals have no width where questions agree, whatever the others are.
"""

from collections.abc import Callable
from functools import lru_cache
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.special import betainc, betaincinv, ndtr, ndtri, stdtrit  # scipy.stats takes a third of a second to import

from faithlens.errors import MeasureError

Array = NDArray[np.float64]

DrawStatistic = Callable[[Array, float], Array]
"""Computes a statistic for each draw, [draw], from two arguments.

1. The weights of the questions and, in the last column, of one unseen question: [draw, question + 1].
2. What the unseen question has: 1 for all that can be won or right, 0 for none.
"""

DRAWS = 2000
CONFIDENCE = 0.95
TAIL = (1 - CONFIDENCE) / 2
Z = float(ndtri(1 - TAIL))
MIN_UNBOUNDED = 5
"""Questions for the interval of a mean without ends: with fewer, a skewed distribution cannot be seen."""

MIN_TAIL = 0.01
"""The smallest share of resampled ratios that bootstrap-t leaves out on one side."""

ROUNDING = 1e-9
"""Differences below this, relative to the values, are rounding."""


def compute_exact_interval(successes: float | int, n: int, confidence: float = CONFIDENCE) -> tuple[float, float]:
    """The two-sided exact interval of a share of `n` independent questions (Clopper & Pearson 1934).

    Args:
        successes: the number of questions that count; a fraction is allowed, for planning.
        n: the number of questions.
        confidence: the confidence of the interval, between 0 and 1.

    Returns:
        The low and the high end, 0 to 1. An end where nothing was left to count is 0 or 1.

    Raises:
        MeasureError: `successes` is not between 0 and `n`, or `confidence` not between 0 and 1.
    """
    if not (0 <= successes <= n and 0 < confidence < 1):
        problem = f"no share has {successes} of {n} questions, or an interval of confidence {confidence}"
        raise MeasureError(problem, "Pass successes from 0 to n, and a confidence between 0 and 1, such as 0.95.")
    each = (1 + confidence) / 2
    return compute_exact_bound(successes, n, "low", each), compute_exact_bound(successes, n, "high", each)


def compute_exact_bound(
    successes: float | int, n: int, side: Literal["low", "high"], confidence: float = CONFIDENCE
) -> float:
    """The one-sided exact bound of a share: the truth lies above "low" (below "high") with this confidence."""
    if side == "low":
        return 0.0 if successes <= 0 else float(betaincinv(successes, n - successes + 1, 1 - confidence))
    return 1.0 if successes >= n else float(betaincinv(successes + 1, n - successes, confidence))


def compute_mean_bound(values: Array, side: Literal["low", "high"], confidence: float = CONFIDENCE) -> float:
    """The one-sided bound of the mean of values between 0 and 1, one for each independent question.

    Exact (Clopper and Pearson) where every value is 0 or 1, else Gaffke's, of which that is the special case.
    """
    if np.isin(values, (0.0, 1.0)).all():
        return compute_exact_bound(float(values.sum()), len(values), side, confidence)
    ends = _draw_means(values, float(side == "high"))
    share = 1 - confidence if side == "low" else confidence
    return float(compute_quantile(ends, share)[0])


def compute_mean_excess(values: Array, allowed: float) -> float:
    """The p-value of the test that the mean of values between 0 and 1 exceeds `allowed`, from `compute_mean_bound`."""
    if np.isin(values, (0.0, 1.0)).all():
        return compute_binomial_excess(round(float(values.sum())), len(values), allowed)
    ends = _draw_means(values, 0.0)
    return float((1 + (ends <= allowed).sum()) / (1 + ends.size))


def compute_binomial_excess(successes: int, n: int, allowed: float) -> float:
    """The probability of at least so many successes among `n` questions, each with the probability `allowed`."""
    return 1.0 if successes <= 0 else float(betainc(successes, n - successes + 1, min(allowed, 1.0)))


def _draw_means(values: Array, unseen: float) -> Array:
    """Weighted means of the values and of a question that was not seen, whose value is `unseen`, [draw, 1]."""
    weights, unseen_weights = draw_unseen_weights(np.ones((len(values), 1)), seed=0)
    total = weights.sum(1, keepdims=True) + unseen_weights
    return (weights @ values[:, None] + unseen_weights * unseen) / total


def draw_questions(n: int, seed: int, draws: int = DRAWS) -> Array:
    """How often each of `n` questions is drawn in each of `draws` resamples: [draws, n], each row sums to n."""
    return np.random.default_rng(seed).multinomial(n, np.full(n, 1 / n), size=draws).astype(np.float64)


@lru_cache(maxsize=4)
def _draw_exponentials(n: int, seed: int) -> tuple[Array, Array]:
    """Exponential weights of `n` questions, [draws, n], and evenly spaced probabilities in random order, [draws]."""
    rng = np.random.default_rng(seed)
    return rng.exponential(size=(DRAWS, n)), (rng.permutation(DRAWS) + 0.5) / DRAWS


def draw_unseen_weights(counted: Array, seed: int) -> tuple[Array, Array]:
    """Random weights of the questions, [draws, question], and of one that was not seen, [draws, column].

    Questions and the unseen one have exponential weights. The share of the unseen one among all is drawn at evenly
    spaced quantiles, so that it is exact where questions agree.

    Args:
        counted: whether a question counts in a column, [question, column].
        seed: the seed of the draws.
    """
    weights, quantiles = _draw_exponentials(len(counted), seed)
    used = np.maximum(counted.sum(0), 1)
    share = 1 - (1 - quantiles[:, None]) ** (1 / used)  # quantiles of Beta(1, n)
    return weights, (weights @ counted) * share / (1 - share)


def draw_statistic_weights(n_questions: int, seed: int) -> Array:
    """The weights that a `DrawStatistic` takes: of each question and, in the last column, of one that was not seen."""
    return np.hstack(draw_unseen_weights(np.ones((n_questions, 1)), seed))


def compute_bounded_intervals(sums: Array, counts: Array, low: Array, high: Array, seed: int) -> tuple[Array, Array]:
    """The ends, [column], of the 95 % intervals of means whose questions lie between `low` and `high`, [column].

    The unseen question has as many values as the largest one. NaN where no question has a value.
    """
    weights, unseen = draw_unseen_weights((counts > 0).astype(np.float64), seed)
    unseen *= counts.max(0)
    total, number = weights @ sums, weights @ counts + unseen
    with np.errstate(invalid="ignore"):
        lowest, highest = (total + unseen * low) / number, (total + unseen * high) / number
    return compute_quantile(lowest, TAIL), compute_quantile(highest, 1 - TAIL)


def compute_quantile(draws: Array, share: float) -> Array:
    """The quantile of each column of `draws`, [draw, column], which stand for the middles of equal shares."""
    return np.asarray(np.quantile(draws, share, axis=0, method="hazen"))


def compute_unbounded_intervals(sums: Array, counts: Array, seed: int) -> tuple[Array, Array]:
    """The ends, [column], of the 95 % intervals of means without ends: the wider of Student's t and bootstrap-t.

    NaN for fewer than `MIN_UNBOUNDED` questions, and where so many agree that resamples without any spread are not
    rare. Both use the residuals sum - mean * count, which allow for questions of unequal sizes (for t: Bell &
    McCaffrey 2002, Survey Methodology 28, 169-181).
    """
    used, total = (counts > 0).sum(0), counts.sum(0)
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = sums.sum(0) / total
        left = np.where(counts > 0, sums - mean * counts, 0.0)
        left[np.abs(left) <= ROUNDING * np.abs(sums).max(0, initial=0.0)] = 0.0
        squares = (left**2 / (1 - counts / total)).sum(0)  # a question draws the mean to itself by its share
        alike = total**2 / (counts**2).sum(0)  # as many questions of one size would say as much (Kish 1965)
        error = np.sqrt(squares) / total
        freedom: Array = np.maximum(alike - 1, 1)
        student: Array = stdtrit(freedom, 1 - TAIL)
        weights = draw_questions(len(sums), seed)
        number, moved = weights @ counts, weights @ left
        shift = moved / number
        squares = weights @ left**2 - 2 * shift * (weights @ (left * counts)) + shift**2 * (weights @ counts**2)
        spread = np.sqrt(np.maximum(squares, 0.0))
        flat = spread <= 1e-6 * np.sqrt((left**2).sum(0))
        ratios = np.where(flat, np.copysign(np.inf, moved), moved / spread)
        ratios[~(number > 0)] = 0.0
        below, above = _find_ends(ratios, *_choose_tails(sums / counts, counts > 0, student))
        low, high = mean - np.fmax(student, above) * error, mean + np.fmax(student, -below) * error
    unknown = (used < MIN_UNBOUNDED) | ~np.isfinite(low) | ~np.isfinite(high) | (error == 0)
    return np.where(unknown, np.nan, low), np.where(unknown, np.nan, high)


def _choose_tails(own: Array, has_value: NDArray[np.bool_], student: Array) -> tuple[Array, Array]:
    """The shares, [column], of resampled ratios below the low and above the high one that bootstrap-t uses.

    Few questions of a skewed distribution seldom show its long tail. So on the side of the longer tail the share is the
    normal distribution's beyond the quantile of Student's t, as Hesterberg (2015, Am. Stat. 69, 371-386) widens the
    tails of percentile intervals; but at least `MIN_TAIL`, since a handful of questions has few different resamples.

    Args:
        own: the means of questions, [question, column].
        has_value: whether the question has a value in the column, [question, column].
        student: the quantile of Student's t, [column].
    """
    mean = np.where(has_value, own, 0.0).sum(0) / has_value.sum(0)
    cubes = np.where(has_value, own - mean, 0.0) ** 3
    skewness, least = cubes.sum(0), ROUNDING * np.abs(cubes).sum(0)
    wide = np.clip(ndtr(-student), MIN_TAIL, TAIL)
    return np.where(skewness > least, wide, TAIL), np.where(skewness < -least, wide, TAIL)


def _find_ends(ratios: Array, below: Array, above: Array) -> tuple[Array, Array]:
    """The ratios, [column], with these shares of `ratios` [draw, column] below and above them.

    Infinite only if `TAIL` of the ratios are; else the widest finite one stands in.
    """
    ordered, last = np.sort(ratios, axis=0), len(ratios) - 1
    most = round(TAIL * last)
    first = np.clip((ordered == -np.inf).sum(0), np.rint(below * last), most)
    final = np.clip((ordered == np.inf).sum(0), np.rint(above * last), most)
    columns = np.arange(ratios.shape[1], dtype=np.intp)
    return ordered[first.astype(int), columns], ordered[last - final.astype(int), columns]


def compute_statistic_interval(
    table: Array, statistic: Callable[[Array], Array], extremes: Array, seed: int
) -> tuple[float, float]:
    """The ends of the 95 % interval of a statistic of column means, over whole rows.

    Args:
        table: [question, column] without gaps.
        statistic: maps column means [draw, column] to [draw]; NaN where it is undefined.
        extremes: the rows that a question not seen may have, [extreme, column], at the ends of what is possible.
        seed: the seed of the draws.
    """
    weights, unseen = draw_unseen_weights(np.ones((len(table), 1)), seed)
    seen, total = weights @ table, weights.sum(1, keepdims=True) + unseen
    with np.errstate(invalid="ignore", divide="ignore"):
        drawn = np.stack([statistic((seen + unseen * row) / total) for row in extremes])
    if np.isnan(drawn).any(1).all():
        return np.nan, np.nan
    low, high = (np.nanquantile(drawn, share, axis=1, method="hazen") for share in (TAIL, 1 - TAIL))
    return float(np.nanmin(low)), float(np.nanmax(high))


def jackknife(
    units: NDArray[np.generic], statistic: Callable[[NDArray[np.bool_]], float]
) -> tuple[float, float, float]:
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
    half = stdtrit(n - 1, 1 - TAIL) * np.sqrt((n - 1) / n * ((without - value) ** 2).sum())
    return value, float(value - half), float(value + half)


def compute_expanded_percentile(draws: Array, n: NDArray[np.integer]) -> tuple[Array, Array]:
    """Low and high ends, [columns], of resampled statistics `draws` [draws, columns] from `n` [columns] questions.

    Hesterberg 2015 (Am. Stat. 69, 371-386): the tails are moved outwards for few questions, as Student's t does. A draw
    that is NaN (none of its questions had a value) is left out. NaN where n < 2.
    """
    enough = np.maximum(n, 2)
    tail = ndtr(-np.sqrt(enough / (enough - 1)) * stdtrit(enough - 1, 1 - TAIL))
    ordered, last = np.sort(draws, axis=0), np.maximum(np.isfinite(draws).sum(0) - 1, 0)
    low, high = _interpolate_rows(ordered, tail * last), _interpolate_rows(ordered, (1 - tail) * last)
    return np.where(n < 2, np.nan, low), np.where(n < 2, np.nan, high)


def _interpolate_rows(ordered: Array, position: Array) -> Array:
    """Entries of each sorted column at a fractional row position."""
    below, above = np.floor(position).astype(int), np.ceil(position).astype(int)
    first, second = (np.take_along_axis(ordered, rows[None], axis=0)[0] for rows in (below, above))
    return first + (second - first) * (position - below)
