"""Comparison of rows in torch, and means over spans without a loop over spans.

1. Cosine and relative distance are computed for each row.
2. Their running sums are taken in float64.
3. The mean of a span is the difference of two running sums, divided by the number of rows.

For example, rows with cosines 0.2, 0.4, 0.9 and the spans (0, 2) and (1, 3): the running sums are 0, 0.2, 0.6, 1.5, and
the means are (0.6 - 0) / 2 = 0.3 and (1.5 - 0.2) / 2 = 0.65.
"""

from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor


class SpanComparison(NamedTuple):
    """How activations differ, as means over the rows of each span; NaN for an empty span.

    Attributes:
        cosine: cosine of the angle between the two rows; NaN where a row is zero.
        relative_l2: length of the difference divided by the length of the first row; NaN where that is zero.
    """

    cosine: Float[Tensor, "... span"]
    relative_l2: Float[Tensor, "... span"]


def compare(
    x: Float[Tensor, "row d_model"],
    references: Int[Tensor, " pair"],
    others: Int[Tensor, " pair"],
    out: Float[Tensor, "comparison pair"],
) -> None:
    """See `compare_rows`."""
    a, b = (x.index_select(0, rows).to(out.dtype) for rows in (references, others))
    length = torch.linalg.vector_norm(a, dim=-1)
    length = length.masked_fill(length == 0, torch.nan)  # neither an angle nor a relative distance to a zero row exists
    dot = torch.einsum("rd,rd->r", a, b)
    out[0] = dot / (length * torch.linalg.vector_norm(b, dim=-1))
    # the length of the difference itself, not from lengths and angle: equal rows have a distance of exactly 0
    out[1] = torch.linalg.vector_norm(a - b, dim=-1) / length


def pool_spans(rowwise: Float[Tensor, "... comparison row"], spans: Int[Tensor, "span two"]) -> SpanComparison:
    """Means over the rows of each span, as differences of running sums; NaN if a row of the span is NaN."""
    missing = ~rowwise.isfinite()
    start, stop = spans.unbind(-1)
    sums, gaps = (
        torch.nn.functional.pad(x.double().cumsum(-1), (1, 0)) for x in (rowwise.masked_fill(missing, 0), missing)
    )
    mean = (sums[..., stop] - sums[..., start]) / (stop - start)
    mean = mean.masked_fill(gaps[..., stop] > gaps[..., start], torch.nan).to(rowwise.dtype)
    return SpanComparison(*mean.unbind(-2))
