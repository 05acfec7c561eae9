"""The Kullback-Leibler divergence of next-token distributions, from hidden states and the unembedding."""

from typing import Literal, get_args

from jaxtyping import Float
from torch import Tensor

from faithlens.kernels.implementation import load_implementation

Implementation = Literal["auto", "streamed", "reference", "triton"]


def divergence(
    p: Float[Tensor, "row d_model"],
    q: Float[Tensor, "row d_model"],
    unembed: Float[Tensor, "vocab d_model"],
    *,
    bias: Float[Tensor, " vocab"] | None = None,
    scale: float = 1.0,
    softcap: float | None = None,
    impl: Implementation = "auto",
) -> Float[Tensor, " row"]:
    """Row by row, the divergence of the next-token distribution of hidden states `q` from that of `p`, in nats.

    This is the sum over the vocabulary of ``p log(p / q)``. Logits are those of `answer_logprobs`. "streamed" and
    "triton" add up the terms ``p log(p / q) - p + q``, none of which is negative: small divergences keep their digits,
    and equal rows have a divergence of exactly 0.

    Raises:
        KernelError: `impl` cannot run on these tensors. "auto" chooses one that can (`choose_implementation`).
    """
    module = load_implementation(
        __package__, impl, get_args(Implementation), "streamed", p, q, unembed, bias, only_half=True
    )
    return module.compare(p, q, unembed, bias, scale, softcap)
