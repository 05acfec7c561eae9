"""Cosine and relative distance of rows of activations, and their means over spans."""

from typing import Literal, get_args

import torch
from jaxtyping import Float, Int
from torch import Tensor

from faithlens.kernels.implementation import load_implementation
from faithlens.kernels.span_compare.pooled import SpanComparison, pool_spans

Implementation = Literal["auto", "pooled", "reference", "triton"]


def compare_rows(
    x: Float[Tensor, "row d_model"],
    references: Int[Tensor, " pair"],
    others: Int[Tensor, " pair"],
    out: Float[Tensor, "comparison pair"] | None = None,
    *,
    impl: Implementation = "auto",
) -> Float[Tensor, "comparison pair"]:
    """Compare pairs of rows: the rows `others` with the rows `references`.

    Args:
        x: activations.
        references: the first row of each pair.
        others: the second row of each pair.
        out: what the result is written to; by default, a new tensor in float32 (in float64 for float64).
        impl: the implementation.

    Returns:
        The cosine of the angle between the two rows, and the length of their difference divided by the length of the
        first; not finite where a row, or for the distance the first row, is zero.

    Raises:
        KernelError: `impl` cannot run on these tensors. "auto" chooses one that can (`choose_implementation`).
    """
    if out is None:
        dtype = torch.float64 if x.dtype == torch.float64 else torch.float32
        out = x.new_empty(2, len(references), dtype=dtype)
    module = load_implementation(__package__, impl, get_args(Implementation), "pooled", x)
    module.compare(x, references, others, out)
    return out


def compare_spans(
    a: Float[Tensor, "row d_model"],
    b: Float[Tensor, "row d_model"],
    spans: Int[Tensor, "span two"],
    *,
    impl: Implementation = "auto",
) -> SpanComparison:
    """Compare `b` with `a` row by row, and average over each half-open interval of rows.

    Raises:
        KernelError: as `compare_rows`.
    """
    rows = torch.arange(len(a), device=a.device)
    return pool_spans(compare_rows(torch.cat([a, b]), rows, rows + len(a), impl=impl), spans)
