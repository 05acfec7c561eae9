"""Cosine, relative distance and dot product of two blocks of activations, pooled by span."""

from typing import Literal, NamedTuple

from jaxtyping import Float, Int
from torch import Tensor

from faithlens.kernels.span_compare import pooled, reference

Implementation = Literal["pooled", "reference"]
IMPLEMENTATIONS = {"pooled": pooled.compare, "reference": reference.compare}


class SpanCompare(NamedTuple):
    """How activations differ, as means over each span's rows; of an empty span, NaN: there is nothing to compare.

    Attributes:
        cosine: of the angle between the two; NaN where a row is zero.
        relative_l2: length of the difference as a fraction of the first's length.
        dot: scalar product.
    """

    cosine: Float[Tensor, " span"]
    relative_l2: Float[Tensor, " span"]
    dot: Float[Tensor, " span"]


def span_compare(
    a: Float[Tensor, "row d_model"],
    b: Float[Tensor, "row d_model"],
    spans: Int[Tensor, "span two"],
    *,
    impl: Implementation = "pooled",
) -> SpanCompare:
    """Compare `b` with `a` row by row, and take the mean over each half-open interval of rows."""
    return SpanCompare(*IMPLEMENTATIONS[impl](a, b, spans))
