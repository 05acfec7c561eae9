"""Log-probabilities of chosen next tokens, from hidden states and the unembedding."""

from typing import Literal, NamedTuple, get_args

from jaxtyping import Float, Int
from torch import Tensor

from faithlens.kernels.implementation import load_implementation

Implementation = Literal["auto", "streamed", "reference", "triton"]


class AnswerLogprobs(NamedTuple):
    """What rows say of their next token, in nats.

    Attributes:
        logprobs: log-probability of each chosen token.
        lse: log of the sum of the exponentials of all logits.
        entropy: entropy of the distribution over the vocabulary.
    """

    logprobs: Float[Tensor, "row choice"]
    lse: Float[Tensor, " row"]
    entropy: Float[Tensor, " row"]


def answer_logprobs(
    hidden: Float[Tensor, "row d_model"],
    unembed: Float[Tensor, "vocab d_model"],
    tokens: Int[Tensor, "row choice"],
    *,
    bias: Float[Tensor, " vocab"] | None = None,
    scale: float = 1.0,
    softcap: float | None = None,
    impl: Implementation = "auto",
) -> AnswerLogprobs:
    """Log-probabilities of `tokens` after each row, with the normaliser and the entropy.

    Logits are ``scale * (hidden @ unembed.T + bias)``, then, with a `softcap` c, ``c * tanh(logits / c)``. Logits are
    normalised in float32, of float64 in float64.

    Raises:
        KernelError: `impl` cannot run on these tensors. "auto" chooses one that can (see `choose`).
    """
    module = load_implementation(
        __package__, impl, get_args(Implementation), "streamed", hidden, unembed, bias, only_half=True
    )
    return AnswerLogprobs(*module.score(hidden, unembed, tokens, bias, scale, softcap))
