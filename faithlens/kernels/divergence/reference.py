"""The meaning of the divergence, in plain torch: the sum of the definition, over all logits at once."""

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
) -> Float[Tensor, " row"]:
    """See `divergence`."""
    log_p, log_q = (compute_logits(x, unembed, bias, scale, softcap).log_softmax(-1) for x in (p, q))
    return (log_p.exp() * (log_p - log_q)).sum(-1)
