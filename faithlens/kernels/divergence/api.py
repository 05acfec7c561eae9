"""Divergences between next-token distributions, from hidden states and the unembedding."""

from typing import Literal, NamedTuple, get_args

from jaxtyping import Float
from torch import Tensor

from faithlens.kernels.implementation import load_implementation

Implementation = Literal["auto", "streamed", "reference", "triton"]


class Divergence(NamedTuple):
    """How far each row's distribution q is from p.

    Attributes:
        kl: Kullback-Leibler divergence of q from p, the sum of p log(p / q), in nats.
        js: Jensen-Shannon divergence, the mean of both divergences from (p + q) / 2, in nats; at most log 2.
        tv: total variation distance, the largest difference in probability of any set of tokens; at most 1.
    """

    kl: Float[Tensor, " row"]
    js: Float[Tensor, " row"]
    tv: Float[Tensor, " row"]


def divergence(
    p: Float[Tensor, "row d_model"],
    q: Float[Tensor, "row d_model"],
    unembed: Float[Tensor, "vocab d_model"],
    *,
    bias: Float[Tensor, " vocab"] | None = None,
    scale: float = 1.0,
    softcap: float | None = None,
    impl: Implementation = "auto",
) -> Divergence:
    """Divergences, row by row, of what hidden states `q` say of the next token from what `p` say.

    Logits are those of `answer_logprobs`. "streamed" and "triton" add up terms that cannot be negative
    (of KL: ``p log(p / q) - p + q``): small divergences keep their digits, and equal rows are exactly 0 apart.

    Raises:
        KernelError: `impl` cannot run on these tensors. "auto" chooses one that can (see `choose`).
    """
    module = load_implementation(
        __package__, impl, get_args(Implementation), "streamed", p, q, unembed, bias, only_half=True
    )
    return Divergence(*module.compare(p, q, unembed, bias, scale, softcap))
