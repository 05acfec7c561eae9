"""Is a harder task never less faithful? What Lanham et al. conclude rests on it; here it is tested, per construct.

The hypothesis was stated with the paper (LessWrong post BKvJNzALpxS3LafEs, comment tuCWgBHyKKZMpbBhX): if A is harder
than B, faithfulness on A is at least that on B. Two one-sided tests of an ordered trend address this: a rise supports
it, a fall refutes it, and neither leaves it open. A share of changed answers has more room where accuracy is lower and
may rise for that alone, so what the accuracies allow stands beside each level.

Where each level has questions of its own: Jonckheere and Terpstra's test (Hollander, Wolfe & Chicken 2014, section
6.2), which is Kendall's S between level and value, ties at the levels included. Where the same units stand at every
level: Page's L (ibid., section 7.2).
"""

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pandas as pd
from scipy.stats import kendalltau, page_trend_test

from faithlens.errors import MeasureError
from faithlens.stats.interval import NO_METHOD, to_optional
from faithlens.stats.resample import Array

MIN_LEVELS = 3
JONCKHEERE = "Jonckheere-Terpstra, normal approximation with ties"
PAGE = "Page's L"


@dataclass(frozen=True)
class DifficultyLevel:
    """One level of difficulty: mean of the measure, questions, and the mean change that accuracies allow, if known."""

    level: float
    mean: float
    n: int
    bound: float | None


@dataclass(frozen=True)
class DifficultyTrend:
    """Whether a measure rises or falls with difficulty.

    Attributes:
        statistic: J of Jonckheere and Terpstra, or L of Page.
        p_rise, p_fall: one-sided p values of a rise and of a fall with difficulty.
        observed: what is seen, however uncertain: "rises", "falls" or "level".
        n_used, n_dropped: questions, or units that stand at every level.
        levels: means by level, easiest first.
        method: the name of the test.
        reason: why there is no test, or what was dropped.
        warning: why a rise may not be one of faithfulness.
    """

    statistic: float | None
    p_rise: float | None
    p_fall: float | None
    observed: Literal["rises", "falls", "level"] | None
    n_used: int
    n_dropped: int
    levels: tuple[DifficultyLevel, ...]
    method: str
    reason: str | None
    warning: str | None


def compute_difficulty_trend(table: pd.DataFrame) -> DifficultyTrend:
    """The ordered-trend test of one measure of one model over levels of difficulty.

    Several values of a question at a level are averaged first. Where no question stands at two levels, levels are
    independent; else the questions that stand at all of them are compared with themselves.

    Args:
        table: columns level (a number, higher is harder), question, value; and bound, where it is known, the change
            that the accuracies allow at that level or in that question.

    Returns:
        The trend with its test.

    Raises:
        MeasureError: a column is missing.
    """
    for name in ("level", "question", "value"):
        if name not in table.columns:
            problem = f"a trend over levels of difficulty needs the column {name!r}"
            raise MeasureError(problem, f"Rename a column of the table: {', '.join(map(str, table.columns))}.")
    known = table.dropna(subset=["level", "value"])
    wide = known.pivot_table(index="question", columns="level", values="value", aggfunc="mean", sort=True)
    related = bool((wide.notna().sum(axis=1) > 1).any())
    wide = wide.dropna() if related else wide
    used, n = wide.to_numpy(float), len(wide)
    lost = table["question"].nunique() - n
    reasons = [f"{lost} dropped: no value" + " at every level" * related] if lost else []
    levels = _compute_levels(known[known["question"].isin(wide.index)])
    if why := _explain_undefined(used, related):
        return DifficultyTrend(None, None, None, None, n, lost, levels, NO_METHOD, "; ".join([*reasons, why]), None)
    statistic, rise, fall, sign = _compute_page(used) if related else _compute_jonckheere(used)
    observed = "rises" if sign > 0 else "falls" if sign < 0 else "level"
    method, warning = PAGE if related else JONCKHEERE, _describe_doubt(levels) if observed == "rises" else None
    return DifficultyTrend(
        statistic, rise, fall, observed, n, lost, levels, method, "; ".join(reasons) or None, warning
    )


def _compute_jonckheere(values: Array) -> tuple[float, float, float, float]:
    """J, the p values of a rise and a fall, and the sign of the trend, of [question, level] with a value a question."""
    question, level = np.nonzero(~np.isnan(values))
    own = values[question, level]
    rise: Any = kendalltau(level, own, alternative="greater", method="asymptotic")
    fall: Any = kendalltau(level, own, alternative="less", method="asymptotic")
    groups = [own[level == k] for k in range(values.shape[1])]
    above = sum(
        np.sign(after[None] - before[:, None]).sum() / 2 + before.size * after.size / 2
        for k, before in enumerate(groups)
        for after in groups[k + 1 :]
    )
    return float(above), float(rise.pvalue), float(fall.pvalue), float(rise.statistic)


def _compute_page(values: Array) -> tuple[float, float, float, float]:
    """L, the p values of a rise and a fall, and the sign of the trend, of [unit, level] without gaps."""
    n, k = values.shape
    rise, fall = page_trend_test(values), page_trend_test(-values)
    return float(rise.statistic), float(rise.pvalue), float(fall.pvalue), rise.statistic - n * k * (k + 1) ** 2 / 4


def _explain_undefined(values: Array, related: bool) -> str | None:
    """Why there is no test of [question, level]."""
    n, k = values.shape
    if k < MIN_LEVELS:
        return f"{k} level{'s' * (k != 1)}: an order needs at least {MIN_LEVELS}"
    least = n if related else int((~np.isnan(values)).sum(0).min())
    if least < 2:
        return f"{least} question{'s' * (least != 1)} at a level: a trend needs at least 2"
    if np.nanmax(values) == np.nanmin(values):
        return "all values are equal"
    return None


def _compute_levels(known: pd.DataFrame) -> tuple[DifficultyLevel, ...]:
    """Means over questions, easiest first."""
    own = known.reindex(columns=["level", "question", "value", "bound"]).groupby(["level", "question"]).mean()
    by_level = own.groupby("level")
    means = by_level.mean().assign(n=by_level.size()).reset_index()
    return tuple(
        DifficultyLevel(float(level), float(value), int(n), to_optional(float(bound)))
        for level, value, n, bound in means[["level", "value", "n", "bound"]].to_numpy(float)
    )


def _describe_doubt(levels: tuple[DifficultyLevel, ...]) -> str | None:
    bounds = [level.bound for level in levels if level.bound is not None]
    if len(bounds) < len(levels):
        return "what the accuracies allow is not known: a rise may be one of room for change alone"
    if bounds[-1] > bounds[0]:
        return f"what the accuracies allow rises too, from {bounds[0]:.2f} to {bounds[-1]:.2f}"
    return None
