"""Log-probabilities of chosen next tokens, from hidden states and the unembedding."""

from typing import Literal, NamedTuple

from jaxtyping import Float, Int
from torch import Tensor

from faithlens.kernels.answer_logprobs import reference, streamed

Implementation = Literal["streamed", "reference"]
IMPLEMENTATIONS = {"streamed": streamed.score, "reference": reference.score}


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
    impl: Implementation = "streamed",
) -> AnswerLogprobs:
    """Log-probabilities of `tokens` after each row, with the normaliser and the entropy.

    Logits are ``scale * (hidden @ unembed.T + bias)``, then, with a `softcap` c, ``c * tanh(logits / c)``. Logits are
    normalised in float32, of float64 in float64.
    """
    return AnswerLogprobs(*IMPLEMENTATIONS[impl](hidden, unembed, tokens, bias, scale, softcap))
