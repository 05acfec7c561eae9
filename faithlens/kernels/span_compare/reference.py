"""The meaning of comparison by span, in plain torch: span by span, in float32 (in float64 for float64)."""

import torch
from jaxtyping import Float, Int
from torch import Tensor


def compare(
    a: Float[Tensor, "row d_model"], b: Float[Tensor, "row d_model"], spans: Int[Tensor, "span two"]
) -> tuple[Float[Tensor, " span"], Float[Tensor, " span"]]:
    """See `compare_spans`."""
    a, b = (x if x.dtype == torch.float64 else x.float() for x in (a, b))
    dot = (a * b).sum(-1)
    cosine = dot / (a.norm(dim=-1) * b.norm(dim=-1))
    distance = torch.where(a.norm(dim=-1) > 0, (a - b).norm(dim=-1) / a.norm(dim=-1), torch.nan)
    means = [torch.stack([x[start:stop].mean() for start, stop in spans.tolist()]) for x in (cosine, distance)]
    return means[0], means[1]
