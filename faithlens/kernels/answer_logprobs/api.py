"""Log-probabilities of chosen next tokens, from hidden states and the unembedding."""

from typing import Literal, get_args

from jaxtyping import Float, Int
from torch import Tensor

from faithlens.kernels.implementation import load_implementation

Implementation = Literal["auto", "streamed", "reference", "triton"]


def answer_logprobs(
    hidden: Float[Tensor, "row d_model"],
    unembed: Float[Tensor, "vocab d_model"],
    tokens: Int[Tensor, "row choice"],
    *,
    bias: Float[Tensor, " vocab"] | None = None,
    scale: float = 1.0,
    softcap: float | None = None,
    impl: Implementation = "auto",
) -> Float[Tensor, "row choice"]:
    """Log-probabilities of `tokens` after each row, in nats.

    Logits are ``scale * (hidden @ unembed.T + bias)``, then, with a `softcap` c, ``c * tanh(logits / c)``. They are
    normalised in float32; logits of float64 are normalised in float64.

    Raises:
        KernelError: `impl` cannot run on these tensors. "auto" chooses one that can (`choose_implementation`).
    """
    module = load_implementation(
        __package__, impl, get_args(Implementation), "streamed", hidden, unembed, bias, only_half=True
    )
    return module.score(hidden, unembed, tokens, bias, scale, softcap)
