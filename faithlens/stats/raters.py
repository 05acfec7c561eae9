"""How well two raters agree that label the same chains with yes or no: Gwet's AC1.

1. `p` is the share of chains with the same label from both, and q the mean of the two shares of yes.
2. Raters who say yes by chance, each with the probability q on chains that leave them in doubt, agree on the share
   e = 2 q (1 - q) of them (Gwet 2008, Br. J. Math. Stat. Psychol. 61, 29-48).
3. AC1 = (p - e) / (1 - e): 1 for full agreement, 0 for no more than chance.

Where nearly all labels are the same, Cohen's kappa is near 0 however well the raters agree, and AC1 is not. For
example, with 92 chains of which one rater labels none with yes and the other 8:

    p = .913    q = .043    e = .083    AC1 = .905    kappa = 0
"""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np

from faithlens.errors import MeasureError
from faithlens.stats.interval import to_optional
from faithlens.stats.resample import Array, compute_statistic_interval

_POSSIBLE = np.array([[0, 0, 1, 1], [1, 1, 1, 1], [0, 1, 0, 1], [1, 0, 0, 1]], dtype=np.float64)
"""What two raters may say of a chain, whether it is the same, and that it is one chain."""


@dataclass(frozen=True)
class RaterAgreement:
    """The agreement of two raters.

    Attributes:
        value: AC1, from -1 to 1.
        low, high: its 95 % interval over questions and one that was not seen; None for fewer than two questions.
        n: the number of chains.
        n_same: the number of chains with the same label from both.
    """

    value: float
    low: float | None
    high: float | None
    n: int
    n_same: int


def compute_ac1(
    first: Sequence[bool], second: Sequence[bool], seed: int = 0, questions: Sequence[Hashable] | None = None
) -> RaterAgreement:
    """Gwet's AC1 of two raters.

    Args:
        first, second: the label of each chain, by one rater and by the other.
        seed: the seed of the interval's draws.
        questions: the question of each chain, the unit of the interval; by default each chain has its own.

    Raises:
        MeasureError: there is no chain, or labels or questions are missing.
    """
    units = range(len(first)) if questions is None else questions
    if not first or not len(first) == len(second) == len(units):
        problem = f"two raters must label the same chains, at least one; got {len(first)} and {len(second)} labels"
        if len(units) != len(first):
            problem += f", and {len(units)} questions"
        raise MeasureError(problem, "Pass one label of each rater, and one question, for every chain.")
    one, two = np.array(first, dtype=np.float64), np.array(second, dtype=np.float64)
    chains = np.stack([one, two, (one == two).astype(np.float64), np.ones(len(one))], axis=1)
    number = {unit: i for i, unit in enumerate(dict.fromkeys(units))}
    sums = np.zeros((len(number), chains.shape[1]))
    np.add.at(sums, [number[unit] for unit in units], chains)
    value = float(_correct_for_chance(sums.mean(0)[None])[0])
    n, n_same = len(chains), int(chains[:, 2].sum())
    if len(sums) < 2:
        return RaterAgreement(value, None, None, n, n_same)
    # the question that was not seen has as many chains as the largest one
    low, high = compute_statistic_interval(sums, _correct_for_chance, _POSSIBLE * sums[:, 3].max(), seed)
    return RaterAgreement(value, to_optional(min(low, value)), to_optional(max(high, value)), n, n_same)


def _correct_for_chance(means: Array) -> Array:
    """AC1 from the means of yes of both raters, of equal labels, and of chains, [draw, 4]."""
    shares = means[:, :3] / means[:, 3:]
    yes = shares[:, :2].mean(1)
    chance = 2 * yes * (1 - yes)
    return (shares[:, 2] - chance) / (1 - chance)
