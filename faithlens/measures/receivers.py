"""Receiver heads: heads with which later steps all look back at the same few steps (Bogdan et al. 2025, 2506.19143).

1. The attention of a trace is pooled by step: which fraction of its attention step r spends on step s, averaged over
   the tokens of r.
2. Divided by the tokens of s this is the mean over a block of the attention matrix, as published: attention per token
   that is read, so that a long step has no advantage.
3. Its mean over all r far enough after s is the vertical score of s.
4. A head whose vertical scores have a sharp peak, by their kurtosis, is a receiver head.

For example, with `min_distance=2` and steps of 2, 5, 1 and 1 tokens, steps 2 and 3 read step 0 with .2 and .4 of their
attention: its vertical score is (.2 + .4) / 2 / 2 = .15 per token. Step 1 is read by step 3 alone, with .1: .1 / 5.

Kurtosis grows with the number of steps, so compare chains of similar length; an attention sink is a peak too.
The scores describe: attention to a step is no evidence that the answer depends on the step.
"""

import numpy as np
from jaxtyping import Float, Int
from scipy.stats import kurtosis

MIN_DISTANCE = 4  # steps: nearer readers look at what was just written
MIN_SCORED_STEPS = 4  # scored steps: of three different numbers the kurtosis is -1.5, whatever they are
EVEN_TOLERANCE = 1e-6  # of the largest score: differences below are rounding


def vertical_scores(
    mass: Float[np.ndarray, "layer head step step"], tokens: Int[np.ndarray, " step"], min_distance: int = MIN_DISTANCE
) -> Float[np.ndarray, "layer head read"]:
    """Attention per token of a step, mean over the steps at least `min_distance` after it; in fractions per token.

    Args:
        mass: `mass[..., r, s]` is the fraction of its attention that step r spends on step s.
        tokens: the number of tokens of each step.
        min_distance: in steps. The last `min_distance` steps have no such readers, and no score.
    """
    n = len(tokens) - min_distance
    far = np.tril(np.ones(mass.shape[-2:]), -min_distance)[:, : max(n, 0)]
    return (mass[..., : max(n, 0)].astype(np.float64) / tokens[: max(n, 0)] * far).sum(-2) / far.sum(0)


def head_kurtosis(scores: Float[np.ndarray, "layer head read"]) -> Float[np.ndarray, "layer head"]:
    """How sharply the vertical scores of each head peak: Fisher's kurtosis without bias correction, as published.

    NaN for a head that reads all steps equally; NaN for all heads if fewer than `MIN_SCORED_STEPS` steps have a score.
    """
    if scores.shape[-1] < MIN_SCORED_STEPS:
        return np.full(scores.shape[:2], np.nan)
    even = np.ptp(scores, axis=-1) <= EVEN_TOLERANCE * np.abs(scores).max(-1)
    with np.errstate(invalid="ignore"):
        return np.where(even, np.nan, kurtosis(np.where(even[..., None], np.nan, scores), axis=-1))
