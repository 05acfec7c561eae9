"""The meaning of the divergences, in plain torch: the textbook's sums over all logits at once."""

import math

import torch
from jaxtyping import Float
from torch import Tensor

from faithlens.kernels.answer_logprobs.reference import compute_logits


def compare(
    p: Float[Tensor, "row d_model"],
    q: Float[Tensor, "row d_model"],
    unembed: Float[Tensor, "vocab d_model"],
    bias: Float[Tensor, " vocab"] | None,
    scale: float,
    softcap: float | None,
) -> tuple[Float[Tensor, " row"], Float[Tensor, " row"], Float[Tensor, " row"]]:
    """See `divergence`."""
    log_p, log_q = (compute_logits(x, unembed, bias, scale, softcap).log_softmax(-1) for x in (p, q))
    log_mean = torch.logaddexp(log_p, log_q) - math.log(2)
    p, q = log_p.exp(), log_q.exp()
    kl = (p * (log_p - log_q)).sum(-1)
    js = (p * (log_p - log_mean) + q * (log_q - log_mean)).sum(-1) / 2
    return kl, js, (p - q).abs().sum(-1) / 2
