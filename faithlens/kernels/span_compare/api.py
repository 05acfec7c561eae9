"""Cosine and relative distance of two blocks of activations, pooled by span."""

from typing import Literal, NamedTuple, get_args

from jaxtyping import Float, Int
from torch import Tensor

from faithlens.kernels.implementation import load_implementation

Implementation = Literal["auto", "pooled", "reference", "triton"]


class SpanComparison(NamedTuple):
    """How activations differ, as means over the rows of each span; NaN for an empty span.

    Attributes:
        cosine: cosine of the angle between the two rows; NaN where a row is zero.
        relative_l2: length of the difference divided by the length of the first row; NaN where that is zero.
    """

    cosine: Float[Tensor, " span"]
    relative_l2: Float[Tensor, " span"]


def compare_spans(
    a: Float[Tensor, "row d_model"],
    b: Float[Tensor, "row d_model"],
    spans: Int[Tensor, "span two"],
    *,
    impl: Implementation = "auto",
) -> SpanComparison:
    """Compare `b` with `a` row by row, and average over each half-open interval of rows.

    Raises:
        KernelError: `impl` cannot run on these tensors. "auto" chooses one that can (`choose_implementation`).
    """
    module = load_implementation(__package__, impl, get_args(Implementation), "pooled", a, b)
    return SpanComparison(*module.compare(a, b, spans))
