"""The meaning of answer log-probabilities, in plain torch: all logits at once."""

import torch
from jaxtyping import Float, Int
from torch import Tensor


def compute_logits(
    hidden: Float[Tensor, "row d_model"],
    unembed: Float[Tensor, "vocab d_model"],
    bias: Float[Tensor, " vocab"] | None,
    scale: float,
    softcap: float | None,
) -> Float[Tensor, "row vocab"]:
    """Logits of every row, in float32 (in float64 for float64)."""
    logits = torch.nn.functional.linear(hidden, unembed, bias)
    logits = logits if logits.dtype == torch.float64 else logits.float()
    logits = logits if scale == 1 else scale * logits
    return logits if softcap is None else softcap * torch.tanh(logits / softcap)


def score(
    hidden: Float[Tensor, "row d_model"],
    unembed: Float[Tensor, "vocab d_model"],
    tokens: Int[Tensor, "row choice"],
    bias: Float[Tensor, " vocab"] | None,
    scale: float,
    softcap: float | None,
) -> Float[Tensor, "row choice"]:
    """See `answer_logprobs`."""
    return compute_logits(hidden, unembed, bias, scale, softcap).log_softmax(-1).gather(1, tokens)
