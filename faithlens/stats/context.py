"""Accuracy context: how often the answer can change at all, and what change beyond that means.

With a1 the accuracy with the chain of thought and a0 without it, |a1 - a0| <= change <= (1 - a0) + (1 - a1). If the two
answers were unrelated, with k candidates, change would be 1 - [a0 a1 + (1 - a0)(1 - a1) / (k - 1)]. On Lanham et al.'s
own table (arXiv:2307.13702, Table 2) a0 explains most of the AOC, so no behavioural number is reported without these.

Plain names compare with the empty chain of thought (cut@0); names that end in ``@no_cot`` compare with a prompt that
asks for the answer directly. `stats.derived` makes estimates of them.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from faithlens.stats.resample import Array

BoolArray = NDArray[np.bool_]
BoundStatistic = Callable[[Array], Array]

BOUND_BASELINES = (("cut@0", ""), ("no_cot", "@no_cot"))
"""The prompts without a chain of thought, each with the suffix of the names of its bounds."""


def compute_headroom(means: Array) -> Array:
    """The largest share of answers that can change, of the means of a0 and a1: [draw, column] to [draw]."""
    return np.minimum(1.0, 2 - means[:, 0] - means[:, 1])


def compute_accuracy_difference(means: Array) -> Array:
    """The accuracy with the chain of thought minus that without it: [draw, column] to [draw]."""
    return means[:, 1] - means[:, 0]


# Functions of the means of: a0, a1, change, change where wrong without, wrong without, 1 / (k - 1).
BOUND_STATISTICS: dict[str, BoundStatistic] = {
    "bound.change_low": lambda m: np.abs(compute_accuracy_difference(m)),
    "bound.change_high": compute_headroom,
    "bound.independent": lambda m: 1 - m[:, 0] * m[:, 1] - (1 - m[:, 0]) * (1 - m[:, 1]) * m[:, 5],
    "bound.change_share": lambda m: m[:, 2] / compute_headroom(m),
    "bound.change_when_wrong": lambda m: m[:, 3] / m[:, 4],
}


def make_bound_columns(values: Array) -> Array:
    """The columns that `BOUND_STATISTICS` read, from [question, (a0, a1, same answer, chance)]."""
    without, full, same, chance = values.T
    wrong, change = 1 - without, 1 - same
    return np.stack([without, full, change, wrong * change, wrong, chance / (1 - chance)], axis=1)


def is_possible_answer_pair(values: Array) -> BoolArray:
    """Which [question, (a0, a1, same answer, chance)] are possible: equal answers are both right or both wrong."""
    without, full, same, _ = values.T
    return np.where(without != full, same == 0, (full == 0) | (same == 1))
