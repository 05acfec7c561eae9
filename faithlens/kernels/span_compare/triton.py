"""Comparison by span in Triton: both blocks of activations are read once, and two numbers for each row are written."""

# A kernel is written in Triton's language, whose types a type checker does not know.
# pyright: reportArgumentType=false, reportOperatorIssue=false, reportIndexIssue=false, reportCallIssue=false

from typing import no_type_check

import torch
import triton
import triton.language as tl
from jaxtyping import Float, Int
from torch import Tensor

from faithlens.kernels.span_compare.pooled import pool_spans

ROWS, DEPTH = 16, 256  # the part of each block that a program holds at once


@triton.jit
@no_type_check  # a kernel reads names of its module, which the wrapper of a type checker would hide
def kernel(
    a, b, rowwise, a_row, b_row, n_row,
    D: tl.constexpr, BM: tl.constexpr, BK: tl.constexpr, ACC: tl.constexpr,
):  # fmt: skip
    """Cosine and relative distance of a block of rows."""
    i = tl.program_id(0) * BM + tl.arange(0, BM)
    live = i < n_row
    aa = tl.zeros([BM], ACC)
    bb = tl.zeros([BM], ACC)
    ab = tl.zeros([BM], ACC)
    apart = tl.zeros([BM], ACC)
    for start in range(0, D, BK):
        k = start + tl.arange(0, BK)
        mask = live[:, None] & (k < D)[None, :]
        x = tl.load(a + i[:, None].to(tl.int64) * a_row + k[None, :], mask=mask, other=0.0).to(ACC)
        y = tl.load(b + i[:, None].to(tl.int64) * b_row + k[None, :], mask=mask, other=0.0).to(ACC)
        aa += tl.sum(x * x, 1)
        bb += tl.sum(y * y, 1)
        ab += tl.sum(x * y, 1)
        apart += tl.sum((x - y) * (x - y), 1)
    tl.store(rowwise + i, ab / (tl.sqrt(aa) * tl.sqrt(bb)), mask=live)
    tl.store(rowwise + n_row + i, tl.where(aa > 0, tl.sqrt(apart) / tl.sqrt(aa), float("nan")), mask=live)


def compare(
    a: Float[Tensor, "row d_model"], b: Float[Tensor, "row d_model"], spans: Int[Tensor, "span two"]
) -> tuple[Float[Tensor, " span"], Float[Tensor, " span"]]:
    """See `compare_spans`."""
    a, b = (x if x.stride(-1) == 1 else x.contiguous() for x in (a, b))
    dtype = torch.float64 if a.dtype == torch.float64 else torch.float32
    rowwise = a.new_empty(2, len(a), dtype=dtype)
    if len(a):
        kernel[(triton.cdiv(len(a), ROWS),)](
            a, b, rowwise, a.stride(0), b.stride(0), len(a),
            D=a.shape[1], BM=ROWS, BK=DEPTH, ACC=tl.float64 if dtype == torch.float64 else tl.float32,
        )  # fmt: skip
    return pool_spans(rowwise, spans)
