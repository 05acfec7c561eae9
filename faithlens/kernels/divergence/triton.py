"""The divergence in Triton: one pass for the two normalisers, one for the sums, and no logits in memory."""

# The branches of a kernel are chosen when it is compiled, which a type checker cannot know.
# pyright: reportPossiblyUnboundVariable=false, reportArgumentType=false, reportOperatorIssue=false
# pyright: reportIndexIssue=false, reportCallIssue=false

from typing import no_type_check

import torch
import triton
import triton.language as tl
from jaxtyping import Float
from torch import Tensor

from faithlens.kernels.answer_logprobs.triton import (
    Tile,
    compute_logits_tile,
    cut_vocabulary,
    make_constants,
    sum_logits,
)
from faithlens.kernels.divergence.streamed import NEAR

TILE = Tile(64, 64, 64)


@triton.jit
@no_type_check  # a kernel reads names of its module, which the wrapper of a type checker would hide
def kernel(
    hidden_p, hidden_q, unembed, bias, top_p, top_q, norm_p, norm_q, kl,
    p_row, q_row, u_row, n_row, n_vocab, per, scale, softcap,
    D: tl.constexpr, BM: tl.constexpr, BV: tl.constexpr, BK: tl.constexpr,
    CAPPED: tl.constexpr, BIASED: tl.constexpr, ACC: tl.constexpr, FACTOR: tl.constexpr, CLOSE: tl.constexpr,
):  # fmt: skip
    """One block of rows against one part of the vocabulary, `per` tiles of it; terms as in `streamed.sum_terms`."""
    part = tl.program_id(1)
    i = tl.program_id(0) * BM + tl.arange(0, BM)
    live = i < n_row
    # the highest logit of a row and the log of its sum are subtracted one by one: their sum would lose digits
    high_p = tl.load(top_p + i, mask=live, other=0.0)[:, None]
    high_q = tl.load(top_q + i, mask=live, other=0.0)[:, None]
    rest_p = tl.load(norm_p + i, mask=live, other=0.0)[:, None]
    rest_q = tl.load(norm_q + i, mask=live, other=0.0)[:, None]
    sum_kl = tl.zeros([BM], ACC)
    for tile in range(part * per, part * per + per):
        column = tile * BV + tl.arange(0, BV)
        there = column < n_vocab
        log_p = compute_logits_tile(
            hidden_p, unembed, bias, i, live, column, there, p_row, u_row, scale, softcap,
            D, BM, BV, BK, CAPPED, BIASED, ACC, FACTOR,
        )  # fmt: skip
        log_q = compute_logits_tile(
            hidden_q, unembed, bias, i, live, column, there, q_row, u_row, scale, softcap,
            D, BM, BV, BK, CAPPED, BIASED, ACC, FACTOR,
        )  # fmt: skip
        log_p = (log_p - high_p) - rest_p
        log_q = (log_q - high_q) - rest_q
        p = tl.exp(log_p)
        q = tl.exp(log_q)
        r = tl.where(log_p == log_q, 0.0, log_p - log_q)  # after the end of the vocabulary both are minus infinity
        near = tl.abs(r) < CLOSE
        s = tl.where(near, r, 0.0)
        tail = tl.zeros([BM, BV], ACC)
        for n in tl.static_range(10, 2, -1):
            tail = -s / n * (1 + tail)
        sum_kl += tl.sum(tl.where(near, p * s * s / 2 * (1 + tail), p * r + (q - p)), 1)
    place = part.to(tl.int64) * n_row + i
    tl.store(kl + place, sum_kl, mask=live)


def compare(
    p: Float[Tensor, "row d_model"],
    q: Float[Tensor, "row d_model"],
    unembed: Float[Tensor, "vocab d_model"],
    bias: Float[Tensor, " vocab"] | None,
    scale: float,
    softcap: float | None,
) -> Float[Tensor, " row"]:
    """See `divergence`."""
    p, q, unembed = (x if x.stride(-1) == 1 else x.contiguous() for x in (p, q, unembed))
    rows, vocab = p.shape[0], unembed.shape[0]
    parts = cut_vocabulary(rows, vocab, TILE)
    nothing = torch.empty(rows, 0, dtype=torch.long, device=p.device)
    whole_p, whole_q = (sum_logits(x, unembed, nothing, bias, scale, softcap, TILE) for x in (p, q))
    partial = p.new_empty(parts.n_parts, rows, dtype=whole_p.mass.dtype)
    if rows:
        kernel[(triton.cdiv(rows, TILE.rows), parts.n_parts)](
            p, q, unembed, p if bias is None else bias,
            whole_p.top, whole_q.top, whole_p.mass.log(), whole_q.mass.log(), partial,
            p.stride(0), q.stride(0), unembed.stride(0), rows, vocab, parts.tiles_each, float(scale),
            float(softcap or 1), **make_constants(p, bias, softcap, TILE), CLOSE=NEAR, num_warps=4,
        )  # fmt: skip
    return partial.sum(0)
