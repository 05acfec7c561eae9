"""Does a measure rank chains or steps as labels do? For two labels this is the AUROC.

1. Of each pair with different labels, it is counted whether the higher label has the higher value; ties count half.
   Pairs may be of one question or of two.
2. Wins and pairs are summed by pairs of questions: two tables [question, question].
3. The interval resamples questions with random weights, and one question that was not seen: it has as many pairs as
   any, and wins all of them or loses all (`make_pair_statistic`, `stats.resample`).

For example, the values .9, .4, .4 with the labels 3, 2, 1: of three pairs two are won and one is tied, 2.5 / 3 = .83.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int
from numpy.typing import NDArray

from faithlens.stats.detection import TIE_DECIMALS
from faithlens.stats.interval import describe_few
from faithlens.stats.resample import TAIL, Array, DrawStatistic, compute_quantile, draw_statistic_weights

ONE_LABEL = "all values have the same label"
MAX_CELLS = 1 << 24  # pairs of values that are compared at once


class Concordance(NamedTuple):
    """How well values are ranked as their labels are.

    Attributes:
        auroc, low, high: the chance that of two values with different labels the higher label has the higher one, ties
            half, with its 95 % interval over questions.
        n_used: the number of values.
        n_questions: the number of their questions.
        reason: why there is no value or no interval.
    """

    auroc: float | None
    low: float | None
    high: float | None
    n_used: int
    n_questions: int
    reason: str | None = None


def compute_concordance(
    values: Float[np.ndarray, " item"],
    labels: Float[np.ndarray, " item"],
    questions: Int[np.ndarray, " item"],
    seed: int = 0,
) -> Concordance:
    """The concordance of `values` with `labels`, whose `questions` are the units of the interval.

    Args:
        values: the value of each chain or step; none is missing.
        labels: the label of each; only the order of labels counts.
        questions: the number of the question of each.
        seed: the seed of the resampling.

    Returns:
        The concordance, .5 where the measure says nothing about the labels.
    """
    number = np.unique(questions, return_inverse=True)[1]
    n_questions = int(number.max()) + 1 if len(number) else 0
    won, exist = _count_pairs(values.round(TIE_DECIMALS), labels, number, n_questions)
    if not exist.sum():
        return Concordance(None, None, None, len(values), n_questions, ONE_LABEL if len(values) else describe_few(0))
    auroc = float(won.sum() / exist.sum())
    if n_questions < 2:
        return Concordance(auroc, None, None, len(values), n_questions, describe_few(n_questions))
    weights, compute_share = draw_statistic_weights(n_questions, seed), make_pair_statistic(won, exist)
    low = compute_quantile(compute_share(weights, 0.0), TAIL)
    high = compute_quantile(compute_share(weights, 1.0), 1 - TAIL)
    return Concordance(auroc, min(float(low), auroc), max(float(high), auroc), len(values), n_questions)


def make_pair_statistic(won: Array, exist: Array) -> DrawStatistic:
    """The share of pairs that are won, under weights of the questions and of one that was not seen.

    The unseen question has as many pairs as the question with most, with each question in proportion to its own.

    Args:
        won: the pairs that are won, [question of the higher label, question of the lower one].
        exist: all pairs, in the same order.
    """
    above, below = exist.max(1), exist.max(0)
    of_one = (exist.sum(1) + exist.sum(0)).max() / (above.sum() + below.sum())  # some pairs may not be asked
    most = np.block([[np.zeros_like(exist), of_one * above[:, None]], [of_one * below[None], np.zeros((1, 1))]])
    seen_won, seen = np.pad(won, (0, 1)), np.pad(exist, (0, 1))

    def compute_share(weights: Array, unseen: float) -> Array:
        won_pairs, pairs = seen_won + unseen * most, seen + most
        return ((weights @ won_pairs) * weights).sum(1) / ((weights @ pairs) * weights).sum(1)

    return compute_share


def _count_pairs(values: Array, labels: Array, number: NDArray[np.intp], n_questions: int) -> tuple[Array, Array]:
    """Pairs that are won, and pairs with different labels, summed by question: [higher label's, lower label's]."""
    won, exist = np.zeros((2, n_questions, n_questions))
    member = np.eye(n_questions)[number]
    rows = max(1, MAX_CELLS // max(len(values), 1))
    for start in range(0, len(values), rows):
        part = slice(start, start + rows)
        higher = labels[part, None] > labels[None]
        better = (values[part, None] > values[None]) + 0.5 * (values[part, None] == values[None])
        exist += member[part].T @ higher @ member
        won += member[part].T @ (higher * better) @ member
    return won, exist
