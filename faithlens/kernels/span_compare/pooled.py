"""Comparison by span without a loop over spans: a number a row, and running sums of them."""

import torch
from jaxtyping import Float, Int
from torch import Tensor


def compare(
    a: Float[Tensor, "row d_model"], b: Float[Tensor, "row d_model"], spans: Int[Tensor, "span two"]
) -> tuple[Float[Tensor, " span"], Float[Tensor, " span"], Float[Tensor, " span"]]:
    """See `span_compare`."""
    a, b = (x if x.dtype == torch.float64 else x.float() for x in (a, b))
    length = torch.linalg.vector_norm(a, dim=-1)
    length = length.masked_fill(length == 0, torch.nan)  # nothing has an angle to it or is a fraction of it
    dot = torch.einsum("rd,rd->r", a, b)
    # the difference is taken, not derived from lengths and angle: equal rows are then exactly 0 apart
    distance = torch.linalg.vector_norm(a - b, dim=-1) / length
    cosine = dot / (length * torch.linalg.vector_norm(b, dim=-1))
    return pool_spans(torch.stack([cosine, distance, dot]), spans)


def pool_spans(
    rowwise: Float[Tensor, "comparison row"], spans: Int[Tensor, "span two"]
) -> tuple[Float[Tensor, " span"], Float[Tensor, " span"], Float[Tensor, " span"]]:
    """Means over each span's rows, as differences of running sums; NaN where a row has no number."""
    missing = ~rowwise.isfinite()
    start, stop = spans.unbind(-1)
    sums, gaps = (
        torch.nn.functional.pad(x.double().cumsum(-1), (1, 0)) for x in (rowwise.masked_fill(missing, 0), missing)
    )
    mean = (sums[:, stop] - sums[:, start]) / (stop - start)
    mean = mean.masked_fill(gaps[:, stop] > gaps[:, start], torch.nan).to(rowwise.dtype)
    return mean[0], mean[1], mean[2]
