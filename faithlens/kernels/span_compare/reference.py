"""The meaning of comparison by rows, in plain torch: pair by pair, in float32 (in float64 for float64)."""

import torch
from jaxtyping import Float, Int
from torch import Tensor


def compare(
    x: Float[Tensor, "row d_model"],
    references: Int[Tensor, " pair"],
    others: Int[Tensor, " pair"],
    out: Float[Tensor, "comparison pair"],
) -> None:
    """See `compare_rows`."""
    a, b = x[references].to(out.dtype), x[others].to(out.dtype)
    dot = (a * b).sum(-1)
    cosine = dot / (a.norm(dim=-1) * b.norm(dim=-1))
    distance = torch.where(a.norm(dim=-1) > 0, (a - b).norm(dim=-1) / a.norm(dim=-1), torch.nan)
    out.copy_(torch.stack([cosine, distance]))
