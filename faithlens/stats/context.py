"""Accuracy context: how often the answer can change at all, and what change beyond that means.

With a1 the accuracy with the chain of thought and a0 without it, |a1 - a0| <= change <= (1 - a0) + (1 - a1). If the two
answers were unrelated, with k candidates, change would be 1 - [a0 a1 + (1 - a0)(1 - a1) / (k - 1)]. On Lanham et al.'s
own table (2307.13702, Table 2) a0 explains most of the AOC, so no number from behaviour stands without these.

Plain names compare with the empty chain of thought (cut@0); names that end in ``@no_cot`` compare with a prompt that
asks for the answer directly.
"""

from collections.abc import Callable, Iterator

import numpy as np
import pandas as pd

from faithlens.stats.interval import BOOTSTRAP, EQUAL, NONE, UNSEEN, Estimate, optional
from faithlens.stats.resample import Array, statistic_interval, unseen

Statistic = Callable[[Array], Array]


def _headroom(means: Array) -> Array:
    return np.minimum(1.0, 2 - means[:, 0] - means[:, 1])


# Functions of the means of: a0, a1, change, change where wrong without, wrong without, 1 / (k - 1).
STATISTICS: dict[str, Statistic] = {
    "bound.change_low": lambda m: np.abs(m[:, 1] - m[:, 0]),
    "bound.change_high": _headroom,
    "bound.independent": lambda m: 1 - m[:, 0] * m[:, 1] - (1 - m[:, 0]) * (1 - m[:, 1]) * m[:, 5],
    "bound.change_share": lambda m: m[:, 2] / _headroom(m),
    "bound.change_when_wrong": lambda m: m[:, 3] / m[:, 4],
}


def context(model: str, task: str, scores: pd.DataFrame, seed: int) -> Iterator[Estimate]:
    """The `bound.*` estimates of one (model, task), beside both ways of leaving the chain of thought out."""
    scalar = scores[scores["fraction"].isna() & scores["step"].isna()]
    wide = scalar.pivot_table(index="question", columns="measure", values="value", aggfunc="mean")
    for baseline, suffix in (("cut@0", ""), ("no_cot", "@no_cot")):
        names = [f"accuracy.{baseline}", "accuracy.full", f"same_answer.{baseline}", "accuracy.chance"]
        if set(names) <= set(wide.columns):
            table = _table(wide[names].dropna().to_numpy(float))
            for name, statistic in STATISTICS.items():
                yield _estimate(model, task, name + suffix, statistic, table, scores["question"].nunique(), seed)


def _table(answered: Array) -> Array:
    """The columns that STATISTICS read, from [question, (a0, a1, same answer, chance)]."""
    without, full, same, chance = answered.T
    wrong, change = 1 - without, 1 - same
    return np.stack([without, full, change, wrong * change, wrong, chance / (1 - chance)], axis=1)


def _estimate(model: str, task: str, name: str, statistic: Statistic, table: Array, asked: int, seed: int) -> Estimate:
    """One bound from the questions answered both ways; `asked` counts all questions."""
    used = int((table[:, 4] > 0).sum()) if "when_wrong" in name else len(table)
    value, low, high = statistic_interval(table, statistic, seed, used)
    reason, method = None, BOOTSTRAP
    if np.isnan(value):
        reason = f"{used} questions to go by" if used < 2 else "the accuracies leave no room for change"
        method = NONE
    elif high - low <= EQUAL:
        (low, high), method = unseen(value, used, 0.0, 1.0), UNSEEN
    return Estimate(
        model=model,
        task=task,
        measure=name,
        fraction=None,
        step=None,
        value=optional(value),
        low=optional(low),
        high=optional(high),
        n_used=used,
        n_dropped=asked - len(table),
        unit="fraction",
        method=method,
        seed=seed,
        reason=reason,
    )
