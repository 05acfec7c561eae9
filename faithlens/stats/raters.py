"""How well two raters agree that label the same chains with yes or no: Gwet's AC1.

1. `p` is the share of chains with the same label from both, and q the mean of the two shares of yes.
2. Raters who say yes by chance, each with the probability q on chains that leave them in doubt, agree on the share
   e = 2 q (1 - q) of them (Gwet 2008, Br. J. Math. Stat. Psychol. 61, 29-48).
3. AC1 = (p - e) / (1 - e): 1 for full agreement, 0 for no more than chance.

Where nearly all labels are the same, Cohen's kappa is near 0 however well the raters agree, and AC1 is not. For
example, with 92 chains of which one rater labels none with yes and the other 8:

    p = .913    q = .043    e = .083    AC1 = .905    kappa = 0
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from faithlens.errors import MeasureError
from faithlens.stats.interval import to_optional
from faithlens.stats.resample import Array, compute_statistic_interval

_POSSIBLE = np.array([[0, 0, 1], [1, 1, 1], [0, 1, 0], [1, 0, 0]], dtype=np.float64)
"""What two raters may say of a chain, and whether it is the same."""


@dataclass(frozen=True)
class RaterAgreement:
    """The agreement of two raters.

    Attributes:
        value: AC1, from -1 to 1.
        low, high: its 95 % interval over chains and one that was not seen; None for fewer than two chains.
        n: the number of chains.
        n_same: the number of chains with the same label from both.
    """

    value: float
    low: float | None
    high: float | None
    n: int
    n_same: int


def compute_ac1(first: Sequence[bool], second: Sequence[bool], seed: int = 0) -> RaterAgreement:
    """Gwet's AC1 of two raters.

    Args:
        first, second: the label of each chain, by one rater and by the other.
        seed: the seed of the interval's draws.

    Raises:
        MeasureError: there is no chain, or the raters did not label equally many.
    """
    if not first or len(first) != len(second):
        problem = f"two raters must label the same chains, at least one; got {len(first)} and {len(second)} labels"
        raise MeasureError(problem, "Pass one label of each rater for every chain.")
    one, two = np.array(first, dtype=np.float64), np.array(second, dtype=np.float64)
    table = np.stack([one, two, (one == two).astype(np.float64)], axis=1)
    value = float(_correct_for_chance(table.mean(0)[None])[0])
    n, n_same = len(table), int(table[:, 2].sum())
    if n < 2:
        return RaterAgreement(value, None, None, n, n_same)
    low, high = compute_statistic_interval(table, _correct_for_chance, _POSSIBLE, seed)
    return RaterAgreement(value, to_optional(min(low, value)), to_optional(max(high, value)), n, n_same)


def _correct_for_chance(means: Array) -> Array:
    """AC1 from the shares of yes of both raters and the share of equal labels, [draw, 3]."""
    yes = means[:, :2].mean(1)
    chance = 2 * yes * (1 - yes)
    return (means[:, 2] - chance) / (1 - chance)
