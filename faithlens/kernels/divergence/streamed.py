"""The divergence a few rows at a time, as a sum of terms that are never negative.

1. Logits and their log-softmax are computed for chunks of rows.
2. With r = log p - log q, each token adds ``p (r + exp(-r) - 1)``, which is ``p log(p / q) - p + q``. The extra terms
   add up to 0, because both distributions add up to 1.
3. Near r = 0 the term is summed from its series ``r^2 / 2 - r^3 / 6 + ...``: the closed form would cancel.

For example, p = (0.5, 0.5) and q = (0.50001, 0.49999): r is -0.00002 and 0.00002, the terms are 1e-10 each, and the
divergence is 2e-10. The sum of ``p (log p - log q)`` in float32 gives 0.
"""

import torch
from jaxtyping import Float
from torch import Tensor

from faithlens.kernels.answer_logprobs import streamed
from faithlens.kernels.answer_logprobs.reference import compute_logits

CHUNK_TERMS = 1 << 18  # terms in one chunk: their intermediate results stay in the cache of a CPU
NEAR = 0.0625  # |log p/q| below which a term is summed from its series


def compare(
    p: Float[Tensor, "row d_model"],
    q: Float[Tensor, "row d_model"],
    unembed: Float[Tensor, "vocab d_model"],
    bias: Float[Tensor, " vocab"] | None,
    scale: float,
    softcap: float | None,
) -> Float[Tensor, " row"]:
    """See `divergence`."""
    rows = max(1, streamed.CHUNK_LOGITS // (2 * unembed.shape[0]))
    few = max(1, CHUNK_TERMS // unembed.shape[0]) if p.device.type == "cpu" else rows
    parts = []
    for some in zip(p.split(rows), q.split(rows), strict=True):
        log_p, log_q = (compute_logits(x, unembed, bias, scale, softcap).log_softmax(-1) for x in some)
        parts += [sum_terms(*pair) for pair in zip(log_p.split(few), log_q.split(few), strict=True)]
    return torch.cat(parts)


def sum_terms(log_p: Float[Tensor, "row vocab"], log_q: Float[Tensor, "row vocab"]) -> Float[Tensor, " row"]:
    """Sums over the vocabulary of terms that are positive where p and q differ, and 0 elsewhere."""
    r = torch.where(log_p == log_q, 0, log_p - log_q)
    p, q = log_p.exp(), log_q.exp()
    near = r.abs() < NEAR
    small = torch.where(near, r, 0)
    return torch.where(near, p * sum_series(small), p * r + (q - p)).sum(-1)


def sum_series(r: Float[Tensor, "row vocab"]) -> Float[Tensor, "row vocab"]:
    """``r + exp(-r) - 1`` near 0."""
    total = torch.zeros_like(r)
    for n in range(10, 2, -1):
        total = -r / n * (1 + total)
    return r * r / 2 * (1 + total)
