"""Answer log-probabilities in Triton: logits exist only as tiles in registers and are never written to memory.

1. `cut_vocabulary` cuts the vocabulary into parts, so that also few rows occupy the whole GPU.
2. A program takes one block of rows and one part. For each row it keeps the highest logit m of the tiles so far and
   the sum of ``exp(x - m)``; when a higher logit comes, the sum is scaled down. It stores the logits of chosen tokens.
3. The parts are put together in torch: the highest m, and the sums scaled to it.
4. ``(chosen - m) - log(sum)`` is the log-probability.

For example, one row with logits 1, 3 | 2, 5 in two parts: the parts give m = 3 with sum exp(-2) + 1 = 1.1353, and m = 5
with sum exp(-3) + 1 = 1.0498. Together m = 5 and the sum is exp(3 - 5) * 1.1353 + 1.0498 = 1.2034, so the second token
has (3 - 5) - log 1.2034 = -2.1852.
"""

# The branches of a kernel are chosen when it is compiled, which a type checker cannot know.
# pyright: reportPossiblyUnboundVariable=false, reportArgumentType=false, reportOperatorIssue=false
# pyright: reportIndexIssue=false, reportCallIssue=false

import os
from typing import Any, NamedTuple, no_type_check

import torch
import triton
import triton.language as tl
from jaxtyping import Float, Int
from torch import Tensor

TARGET_PROGRAMS = 512  # about as many programs as occupy a large GPU


class Tile(NamedTuple):
    """A tile of logits.

    Attributes:
        rows: the number of rows.
        vocab: the number of tokens.
        depth: the part of d_model that is loaded at once.
    """

    rows: int
    vocab: int
    depth: int


TILE = Tile(64, 128, 64)


@triton.jit
@no_type_check  # a kernel reads names of its module, which the wrapper of a type checker would hide
def compute_logits_tile(
    hidden, unembed, bias, i, live, column, there, h_row, u_row, scale, softcap,
    D: tl.constexpr, BM: tl.constexpr, BV: tl.constexpr, BK: tl.constexpr,
    CAPPED: tl.constexpr, BIASED: tl.constexpr, ACC: tl.constexpr, FACTOR: tl.constexpr,
):  # fmt: skip
    """Logits of rows i and tokens `column`; minus infinity beyond the vocabulary."""
    logits = tl.zeros([BM, BV], ACC)
    for start in range(0, D, BK):
        k = start + tl.arange(0, BK)
        h = tl.load(
            hidden + i[:, None].to(tl.int64) * h_row + k[None, :],
            mask=live[:, None] & (k < D)[None, :], other=0.0,
        )  # fmt: skip
        u = tl.load(
            unembed + column[None, :].to(tl.int64) * u_row + k[:, None],
            mask=there[None, :] & (k < D)[:, None], other=0.0,
        )  # fmt: skip
        logits += tl.dot(h.to(FACTOR), u.to(FACTOR), input_precision="ieee").to(ACC)
    if BIASED:
        logits += tl.load(bias + column, mask=there, other=0.0).to(ACC)[None, :]
    logits = logits * scale
    if CAPPED:
        logits = softcap * (2 * tl.sigmoid(2 * logits / softcap) - 1)
    return tl.where(there[None, :], logits, float("-inf"))


@triton.jit
@no_type_check
def kernel(
    hidden, unembed, bias, tokens, top, total, chosen,
    h_row, u_row, n_row, n_vocab, n_chosen, per, scale, softcap,
    D: tl.constexpr, BM: tl.constexpr, BV: tl.constexpr, BK: tl.constexpr,
    CAPPED: tl.constexpr, BIASED: tl.constexpr, ACC: tl.constexpr, FACTOR: tl.constexpr,
):  # fmt: skip
    """One block of rows against one part of the vocabulary, `per` tiles of it."""
    part = tl.program_id(1)
    i = tl.program_id(0) * BM + tl.arange(0, BM)
    live = i < n_row
    m = tl.full([BM], float("-inf"), ACC)
    s = tl.zeros([BM], ACC)
    for tile in range(part * per, part * per + per):
        column = tile * BV + tl.arange(0, BV)
        x = compute_logits_tile(
            hidden, unembed, bias, i, live, column, column < n_vocab, h_row, u_row, scale, softcap,
            D, BM, BV, BK, CAPPED, BIASED, ACC, FACTOR,
        )  # fmt: skip
        new = tl.maximum(m, tl.max(x, 1))
        level = tl.where(new == float("-inf"), 0.0, new)
        fade = tl.exp(tl.where(m == float("-inf"), 0.0, m - level))
        s = fade * s + tl.sum(tl.exp(x - level[:, None]), 1)
        m = new
        for c in range(n_chosen):
            token = tl.load(tokens + i * n_chosen + c, mask=live, other=-1)
            here = (token >= tile * BV) & (token < tile * BV + BV)
            if tl.max(here.to(tl.int32), 0) > 0:
                hit = column[None, :] == token[:, None]
                tl.store(chosen + i * n_chosen + c, tl.sum(tl.where(hit, x, 0.0), 1), mask=here)
    place = part.to(tl.int64) * n_row + i
    tl.store(top + place, m, mask=live)
    tl.store(total + place, s, mask=live)


class VocabularyParts(NamedTuple):
    """How the vocabulary is cut into parts.

    Attributes:
        n_parts: the number of parts.
        tiles_each: the number of tiles in each part.
    """

    n_parts: int
    tiles_each: int


def cut_vocabulary(rows: int, vocab: int, tile: Tile) -> VocabularyParts:
    """Parts such that blocks of rows times parts are about `TARGET_PROGRAMS`; none of the parts is empty."""
    tiles = triton.cdiv(vocab, tile.vocab)
    per = triton.cdiv(tiles, max(1, TARGET_PROGRAMS // max(1, triton.cdiv(rows, tile.rows))))
    return VocabularyParts(triton.cdiv(tiles, per), per)


def make_constants(like: Tensor, bias: Tensor | None, softcap: float | None, tile: Tile) -> dict[str, Any]:
    """The constants that a kernel of logits is compiled with."""
    types = {torch.float64: tl.float64, torch.float16: tl.float16, torch.bfloat16: tl.bfloat16}
    interpreted = os.environ.get("TRITON_INTERPRET") == "1"  # numpy runs it, and numpy has no bfloat16
    return {
        "D": like.shape[1], "BM": tile.rows, "BV": tile.vocab, "BK": tile.depth,
        "CAPPED": softcap is not None, "BIASED": bias is not None,
        "ACC": tl.float64 if like.dtype == torch.float64 else tl.float32,
        "FACTOR": tl.float32 if interpreted and like.dtype == torch.bfloat16 else types.get(like.dtype, tl.float32),
    }  # fmt: skip


class LogitSums(NamedTuple):
    """Sums over each row's logits x.

    Attributes:
        top: the highest logit.
        mass: sum of ``exp(x - top)``.
        chosen: the logits of the chosen tokens.
    """

    top: Float[Tensor, " row"]
    mass: Float[Tensor, " row"]
    chosen: Float[Tensor, "row choice"]


def sum_logits(
    hidden: Float[Tensor, "row d_model"],
    unembed: Float[Tensor, "vocab d_model"],
    tokens: Int[Tensor, "row choice"],
    bias: Float[Tensor, " vocab"] | None,
    scale: float,
    softcap: float | None,
    tile: Tile = TILE,
) -> LogitSums:
    """One pass over the vocabulary.

    A second kernel that subtracts `top` from its own logits must cut them into the same `tile`: products of other
    shapes are summed in another order, and the highest logit would no longer be exactly `top`.
    """
    hidden, unembed = (x if x.stride(-1) == 1 else x.contiguous() for x in (hidden, unembed))
    (rows, choices), vocab = tokens.shape, unembed.shape[0]
    parts = cut_vocabulary(rows, vocab, tile)
    dtype = torch.float64 if hidden.dtype == torch.float64 else torch.float32
    top, total = (hidden.new_empty(parts.n_parts, rows, dtype=dtype) for _ in range(2))
    chosen = hidden.new_empty(rows, choices, dtype=dtype)
    if rows:
        kernel[(triton.cdiv(rows, tile.rows), parts.n_parts)](
            hidden, unembed, hidden if bias is None else bias, tokens.contiguous(), top, total, chosen,
            hidden.stride(0), unembed.stride(0), rows, vocab, choices, parts.tiles_each, float(scale),
            float(softcap or 1), **make_constants(hidden, bias, softcap, tile), num_warps=4,
        )  # fmt: skip
    highest = top.amax(0)
    # of a part whose tokens all have probability 0, top is minus infinity, and the part adds 0
    return LogitSums(highest, ((top - highest).exp() * total).sum(0), chosen)


def score(
    hidden: Float[Tensor, "row d_model"],
    unembed: Float[Tensor, "vocab d_model"],
    tokens: Int[Tensor, "row choice"],
    bias: Float[Tensor, " vocab"] | None,
    scale: float,
    softcap: float | None,
) -> Float[Tensor, "row choice"]:
    """See `answer_logprobs`."""
    top, mass, chosen = sum_logits(hidden, unembed, tokens, bias, scale, softcap)
    # subtract the highest logit first: then a probability near 1 is as exact as the difference of the two logits
    return (chosen - top[:, None]) - mass.log()[:, None]
