"""Answer log-probabilities a few rows at a time: the logits of one chunk are all that ever stands in memory."""

import torch
from jaxtyping import Float, Int
from torch import Tensor

from faithlens.kernels.answer_logprobs.reference import compute_logits

CHUNK_LOGITS = 1 << 24  # logits at a time: 64 MiB in float32


def score(
    hidden: Float[Tensor, "row d_model"],
    unembed: Float[Tensor, "vocab d_model"],
    tokens: Int[Tensor, "row choice"],
    bias: Float[Tensor, " vocab"] | None,
    scale: float,
    softcap: float | None,
) -> tuple[Float[Tensor, "row choice"], Float[Tensor, " row"], Float[Tensor, " row"]]:
    """See `answer_logprobs`."""
    rows = max(1, CHUNK_LOGITS // unembed.shape[0])
    chunks = []
    for some, chosen in zip(hidden.split(rows), tokens.split(rows), strict=True):
        logits = compute_logits(some, unembed, bias, scale, softcap)
        logprobs = logits.log_softmax(-1)
        # lse - E[logit] would be one subtraction less, and lose every digit where one token has it all
        entropy = -(logprobs.exp() * logprobs).sum(-1)
        chunks.append((logprobs.gather(1, chosen), logits.logsumexp(-1), entropy))
    first, second, third = (torch.cat(part) for part in zip(*chunks, strict=True))
    return first, second, third
