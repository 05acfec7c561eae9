"""Answer log-probabilities a few rows at a time: only the logits of one chunk are in memory."""

import torch
from jaxtyping import Float, Int
from torch import Tensor

from faithlens.kernels.answer_logprobs.reference import compute_logits

CHUNK_LOGITS = 1 << 24  # logits in one chunk: 64 MiB in float32


def score(
    hidden: Float[Tensor, "row d_model"],
    unembed: Float[Tensor, "vocab d_model"],
    tokens: Int[Tensor, "row choice"],
    bias: Float[Tensor, " vocab"] | None,
    scale: float,
    softcap: float | None,
) -> Float[Tensor, "row choice"]:
    """See `answer_logprobs`."""
    rows = max(1, CHUNK_LOGITS // unembed.shape[0])
    chunks = [
        compute_logits(some, unembed, bias, scale, softcap).log_softmax(-1).gather(1, chosen)
        for some, chosen in zip(hidden.split(rows), tokens.split(rows), strict=True)
    ]
    return torch.cat(chunks)
