"""M21, receiver heads: heads with which later steps all look back at the same few (Bogdan et al. 2025, 2506.19143).

A trace's attention is pooled by step: how much of what step r attends to falls on step s, averaged over the tokens of
r. Divided by the tokens of s this is the mean over a block of the attention matrix, as published: attention per token
that is read, so that a step gains nothing by being long. Its mean over all r far enough after s is the **vertical
score** of s; a head whose scores have a sharp peak, by their kurtosis, is a receiver head.

Kurtosis grows with the number of steps, so compare chains of similar length, and an attention sink is a peak too.
Descriptive: that a step is looked at is no evidence that it is used.
"""

import numpy as np
from jaxtyping import Float, Int
from scipy.stats import kurtosis
from torch import Tensor

MIN_DISTANCE = 4  # steps: nearer readers look at what has just been said
MIN_SCORED_STEPS = 4  # scored steps: of three different numbers the kurtosis is -1.5, whatever they are
EVEN_TOLERANCE = 1e-6  # of the largest score: differences below are rounding


def vertical_scores(
    mass: Float[Tensor, "layer head step step"], tokens: Int[Tensor, " step"], min_distance: int = MIN_DISTANCE
) -> Float[Tensor, "layer head read"]:
    """Attention per token of a step, on average over the steps at least `min_distance` after it; in fractions per token.

    `mass[..., r, s]` is the fraction of its attention that step r spends on step s, and `tokens` how many s has. The
    last `min_distance` steps have no such readers, and no score.
    """
    n = len(tokens) - min_distance
    far = mass.new_ones(mass.shape[-2:]).tril(-min_distance).double()
    return ((mass.double() / tokens * far).sum(-2) / far.sum(0))[..., : max(n, 0)]


def head_kurtosis(scores: Float[Tensor, "layer head read"]) -> Float[np.ndarray, "layer head"]:
    """How sharply each head's vertical scores peak: Fisher's kurtosis without bias correction, as published.

    NaN for a head that reads every step alike, and for all of them where fewer than `LEAST` steps have a score.
    """
    values = scores.numpy()
    if values.shape[-1] < MIN_SCORED_STEPS:
        return np.full(values.shape[:2], np.nan)
    even = np.ptp(values, axis=-1) <= EVEN_TOLERANCE * np.abs(values).max(-1)
    with np.errstate(invalid="ignore"):
        return np.where(even, np.nan, kurtosis(np.where(even[..., None], np.nan, values), axis=-1))
