"""Do two step-level measures rank the steps of a chain equally, beyond what position and length of the steps explain?

1. Ranks are compared within one chain and never pooled over chains: questions with different levels would correlate by
   their levels alone (Simpson's paradox).
2. A short chain can be ranked equally by luck, and Fisher's z of a correlation of 1 is infinite. So the correlation of
   a chain of n steps is first multiplied by 1 - 6 / (n (n^2 - 1)), which lowers a perfect correlation by half as much
   as a swap of two neighbouring ranks would.
3. The correlations are averaged over questions as Fisher's z. The mean is given as a fraction of what perfect agreement
   would reach under the same rule, so that 1 stays 1 and 0 stays 0.
4. The units of the interval are the questions and one question that was not seen, which may agree or disagree
   perfectly. So the interval has a width even where all questions agree perfectly.

For example, two perfect chains of three steps: 1 - 6 / (3 * 8) = .75 for each, z = .973 for each and for their mean;
.75 is the most that three steps reach, so the agreement is .75 / .75 = 1.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd
from jaxtyping import Float
from scipy.stats import rankdata

from faithlens.errors import MeasureError, check_choice
from faithlens.stats.interval import NO_METHOD, WEIGHTED, Interval, describe_few
from faithlens.stats.resample import Array, compute_statistic_interval

MIN_RANKED = 3  # steps: two are always ranked either equally or in reverse
RESOLUTION = 1e-6  # probability, logits or fractions: what single precision leaves of no effect at all
MIN_VARIATION = 1e-9  # squared ranks: less than this is rounding


class ChainCorrelation(NamedTuple):
    """The rank correlation of one chain, the value that a perfect one counts as, or the reason why there is none."""

    rho: float
    most: float
    reason: str | None


class Reliability(NamedTuple):
    """How well two halves of the data agree about `n` things that were measured in both.

    `halves` is the Pearson correlation of the two halves. `whole` is the correlation expected between all of the data
    and as many other data (Spearman-Brown). Where they are undefined, both are None and `reason` says why.
    """

    halves: float | None
    whole: float | None
    n: int
    reason: str | None = None


def compute_rank_agreement(
    table: pd.DataFrame,
    behaviour: str,
    internal: str,
    *,
    question: str = "question",
    chain: str | None = None,
    held_fixed: Sequence[str] = ("step", "length"),
    resolution: float = RESOLUTION,
    seed: int = 0,
) -> pd.DataFrame:
    """Rank agreement of two columns over the steps of each question: raw, and with step index and length held fixed.

    One row for the raw Spearman correlation and one for each partial correlation, on more and more of `held_fixed`:
    `value` with its 95 % interval over questions, the questions used and dropped, and `n_steps`, the number of
    steps of the table that lack no column. The highest value that can be reached is `compute_correlation_ceiling` of
    the two reliabilities.

    Args:
        table: one row for each step.
        behaviour, internal: the two columns.
        question: the column that names the question.
        chain: the column that names the chain, if a question has several.
        held_fixed: columns whose ranks are held fixed, one after the other; the first one numbers the steps of a chain.
        resolution: values of the two columns that are no further apart count as equal, since the difference is
            rounding.
        seed: the seed of the resampling.

    Returns:
        The table described above.

    Raises:
        MeasureError: a column is not there, or a chain has a step twice.
    """
    keys, columns = [question, *([chain] if chain else [])], [behaviour, internal, *held_fixed]
    for name in (*keys, *columns):
        check_choice(name, map(str, table.columns), "column of the table of steps", MeasureError)
    if held_fixed and table.duplicated([*keys, held_fixed[0]]).any():
        problem = f"each chain of thought must have each {held_fixed[0]} once, but one has a {held_fixed[0]} twice"
        raise MeasureError(problem, "Name the column that distinguishes the chains of a question: chain=...")
    total = table[question].nunique()
    known = table.dropna(subset=columns)
    groups = known.groupby(keys, sort=True)
    named, places = groups[question].first().to_numpy(), groups.ngroup().to_numpy()
    steps = [known[columns].to_numpy(float)[places == place] for place in range(len(named))]
    for values in steps:
        values[:, :2] = rank_with_ties(values[:, :2], resolution)
    rows: list[dict[str, object]] = []
    for k in range(len(held_fixed) + 1):
        chains = [correlate_chain(values[:, : 2 + k], columns[: 2 + k]) for values in steps]
        ranked = pd.DataFrame(chains, columns=list(ChainCorrelation._fields)).assign(question=named)
        name = f"partial on {', '.join(held_fixed[:k])}" if k else "raw"
        rows.append({"correlation": name, **average_correlations(ranked, total, seed), "n_steps": len(known)})
    return pd.DataFrame(rows)


def rank_with_ties(values: Array, resolution: float) -> Array:
    """Ranks of each column, [step, column]; neighbouring values no further apart than `resolution` are tied."""
    order = np.argsort(values, axis=0)
    apart = np.diff(np.take_along_axis(values, order, 0), axis=0, prepend=-np.inf) > resolution
    ranks = np.empty_like(values)
    np.put_along_axis(ranks, order, np.cumsum(apart, 0).astype(np.float64), 0)
    return ranks


def correlate_chain(values: Array, names: Sequence[str]) -> ChainCorrelation:
    """Spearman's correlation of one chain's first two columns, of what the ranks of the others do not explain.

    `values`: [step, column], and the columns' `names`.
    """
    ranks = rankdata(values, axis=0)
    pair, known = ranks[:, :2], np.column_stack([np.ones(len(ranks)), ranks[:, 2:]])
    explained = int(np.linalg.matrix_rank(known)) - 1
    n = len(values) - explained
    if n < MIN_RANKED:
        return ChainCorrelation(np.nan, np.nan, f"fewer than {MIN_RANKED + explained} steps")
    left = pair - known @ np.linalg.lstsq(known, pair)[0]
    beyond = f" beyond {', '.join(names[2:])}" if names[2:] else ""
    for name, column in zip(names[:2], left.T, strict=True):
        if (column**2).sum() < MIN_VARIATION:
            return ChainCorrelation(np.nan, np.nan, f"{name} does not vary{beyond}")
    return ChainCorrelation(float(np.corrcoef(left[:, 0], left[:, 1])[0, 1]), 1 - 6 / (n * (n * n - 1)), None)


def average_correlations(correlations: pd.DataFrame, total: int, seed: int) -> dict[str, object]:
    """Mean correlation over questions with its interval.

    `correlations` has a row for each chain, with the columns question, rho, most, reason.
    """
    used = correlations[correlations["reason"].isna()]
    z = pd.DataFrame({"own": np.arctanh(used["rho"] * used["most"]), "most": np.arctanh(used["most"])}, dtype=float)
    by_question = z.groupby(used["question"])
    table = by_question.mean().to_numpy()
    n, interval = len(table), Interval(np.nan, np.nan, np.nan, NO_METHOD)
    if n >= 2:
        most = float(table[:, 1].max())
        ends = compute_statistic_interval(table, _divide_by_largest, np.array([[-most, most], [most, most]]), seed)
        interval = Interval(float(_divide_by_largest(table.mean(0, keepdims=True))[0]), *ends, WEIGHTED).clip(-1.0, 1.0)
    return {
        "value": interval.value,
        "low": interval.low,
        "high": interval.high,
        "n_used": n,
        "n_dropped": total - n,
        "method": interval.method,
        "reason": "; ".join(_list_reasons(correlations, total, n)) or None,
    }


def spearman_brown(r: float, times: float = 2.0) -> float:
    """Reliability of `times` as much data, from the correlation `r` of two equal parts (Spearman 1910)."""
    return times * r / (1 + (times - 1) * r)


def compute_reliability(first: Float[np.ndarray, " item"], second: Float[np.ndarray, " item"]) -> Reliability:
    """Reliability of a measure from two halves of its data, by what each gave for the same things in the same order.

    Args:
        first, second: what each half gave for the same things, in the same order.

    Returns:
        The correlation of the halves, the reliability of all the data, and why a number is missing.
    """
    pair = np.stack([first, second])
    pair = pair[:, np.isfinite(pair).all(0)]
    n = pair.shape[1]
    if n < MIN_RANKED:
        return Reliability(None, None, n, f"fewer than {MIN_RANKED} were measured in both halves")
    if (np.ptp(pair, axis=1) == 0).any():
        return Reliability(None, None, n, "one of the halves does not vary")
    r = float(np.corrcoef(*pair)[0, 1])
    if r < 0:
        return Reliability(r, None, n, "the halves disagree, so that more of the same is no more reliable")
    return Reliability(r, spearman_brown(r), n)


def compute_correlation_ceiling(first: float, second: float) -> float:
    """The largest correlation that two measures of these reliabilities can show: sqrt(r1 r2) (Spearman 1904).

    Args:
        first, second: the reliabilities, 0 to 1.

    Returns:
        The correlation, 0 to 1.

    Raises:
        MeasureError: a reliability is not between 0 and 1.
    """
    for r in (first, second):
        if not 0 <= r <= 1:
            problem = f"a reliability must be between 0 and 1, got {r:g}"
            raise MeasureError(problem, "Measure more questions, until the two halves of the data agree.")
    return float(np.sqrt(first * second))


def _divide_by_largest(means: Array) -> Array:
    return np.tanh(means[:, 0]) / np.tanh(means[:, 1])


def _list_reasons(ranked: pd.DataFrame, total: int, used: int) -> Iterator[str]:
    """Why questions are missing, with how many; and that too few are left, where they are."""
    correlated = ranked.loc[ranked["reason"].isna(), "question"]
    lost = ranked[~ranked["question"].isin(correlated)].groupby("question")["reason"].first()
    counts = lost.value_counts()
    yield from (f"{n} dropped: {reason}" for reason, n in counts.items())
    if total > used + len(lost):
        yield f"{total - used - len(lost)} dropped: no step has all values"
    if used < 2:
        yield describe_few(used)
