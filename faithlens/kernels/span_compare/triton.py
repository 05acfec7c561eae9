"""Comparison of rows in Triton: both rows of a pair are read once where they are, and two numbers are written."""

# A kernel is written in Triton's language, whose types a type checker does not know.
# pyright: reportArgumentType=false, reportOperatorIssue=false, reportIndexIssue=false, reportCallIssue=false

from typing import no_type_check

import torch
import triton
import triton.language as tl
from jaxtyping import Float, Int
from torch import Tensor

ROWS, DEPTH = 16, 256  # the part of each block that a program holds at once


@triton.jit
@no_type_check  # a kernel reads names of its module, which the wrapper of a type checker would hide
def kernel(
    x, references, others, out, x_row, out_row, n_pair,
    D: tl.constexpr, BM: tl.constexpr, BK: tl.constexpr, ACC: tl.constexpr,
):  # fmt: skip
    """Cosine and relative distance of a block of pairs."""
    i = tl.program_id(0) * BM + tl.arange(0, BM)
    live = i < n_pair
    a = tl.load(references + i, mask=live, other=0).to(tl.int64)
    b = tl.load(others + i, mask=live, other=0).to(tl.int64)
    aa = tl.zeros([BM], ACC)
    bb = tl.zeros([BM], ACC)
    ab = tl.zeros([BM], ACC)
    apart = tl.zeros([BM], ACC)
    for start in range(0, D, BK):
        k = start + tl.arange(0, BK)
        mask = live[:, None] & (k < D)[None, :]
        u = tl.load(x + a[:, None] * x_row + k[None, :], mask=mask, other=0.0).to(ACC)
        v = tl.load(x + b[:, None] * x_row + k[None, :], mask=mask, other=0.0).to(ACC)
        aa += tl.sum(u * u, 1)
        bb += tl.sum(v * v, 1)
        ab += tl.sum(u * v, 1)
        apart += tl.sum((u - v) * (u - v), 1)
    tl.store(out + i, ab / (tl.sqrt(aa) * tl.sqrt(bb)), mask=live)
    tl.store(out + out_row + i, tl.where(aa > 0, tl.sqrt(apart) / tl.sqrt(aa), float("nan")), mask=live)


def compare(
    x: Float[Tensor, "row d_model"],
    references: Int[Tensor, " pair"],
    others: Int[Tensor, " pair"],
    out: Float[Tensor, "comparison pair"],
) -> None:
    """See `compare_rows`."""
    x, n = x if x.stride(-1) == 1 else x.contiguous(), len(references)
    if n:
        kernel[(triton.cdiv(n, ROWS),)](
            x, references, others, out, x.stride(0), out.stride(0), n,
            D=x.shape[1], BM=ROWS, BK=DEPTH, ACC=tl.float64 if out.dtype == torch.float64 else tl.float32,
        )  # fmt: skip
