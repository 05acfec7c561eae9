"""Comparison by span without a loop over spans.

1. Cosine and relative distance are computed for each row.
2. Their running sums are taken in float64.
3. The mean of a span is the difference of two running sums, divided by the number of rows.

For example, rows with cosines 0.2, 0.4, 0.9 and the spans (0, 2) and (1, 3): the running sums are 0, 0.2, 0.6, 1.5, and
the means are (0.6 - 0) / 2 = 0.3 and (1.5 - 0.2) / 2 = 0.65.
"""

import torch
from jaxtyping import Float, Int
from torch import Tensor


def compare(
    a: Float[Tensor, "row d_model"], b: Float[Tensor, "row d_model"], spans: Int[Tensor, "span two"]
) -> tuple[Float[Tensor, " span"], Float[Tensor, " span"]]:
    """See `compare_spans`."""
    a, b = (x if x.dtype == torch.float64 else x.float() for x in (a, b))
    length = torch.linalg.vector_norm(a, dim=-1)
    length = length.masked_fill(
        length == 0, torch.nan
    )  # a zero row has no angle, and nothing is a fraction of its length
    dot = torch.einsum("rd,rd->r", a, b)
    # the length of the difference itself, not from lengths and angle: equal rows have a distance of exactly 0
    distance = torch.linalg.vector_norm(a - b, dim=-1) / length
    cosine = dot / (length * torch.linalg.vector_norm(b, dim=-1))
    return pool_spans(torch.stack([cosine, distance]), spans)


def pool_spans(
    rowwise: Float[Tensor, "comparison row"], spans: Int[Tensor, "span two"]
) -> tuple[Float[Tensor, " span"], Float[Tensor, " span"]]:
    """Means over the rows of each span, as differences of running sums; NaN if a row of the span is NaN."""
    missing = ~rowwise.isfinite()
    start, stop = spans.unbind(-1)
    sums, gaps = (
        torch.nn.functional.pad(x.double().cumsum(-1), (1, 0)) for x in (rowwise.masked_fill(missing, 0), missing)
    )
    mean = (sums[:, stop] - sums[:, start]) / (stop - start)
    mean = mean.masked_fill(gaps[:, stop] > gaps[:, start], torch.nan).to(rowwise.dtype)
    return mean[0], mean[1]
