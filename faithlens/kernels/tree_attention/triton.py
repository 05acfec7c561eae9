"""Tree attention in Triton, over the tiles of keys that a block of queries sees.

1. A program takes one block of queries and one head, and keeps a running softmax.
2. It reads the run of keys that all of its queries see, without a mask, and then the other tiles with their masks
   (`tiles.py`, which has an example).
3. It writes the output, and for each query the highest score and the sum of the weights.
4. For a readout, a second kernel computes the weights again from these two numbers. It adds them up for each stretch of
   depths between the borders of all spans (as in `blocked.py`, which has an example) or, for flow, adds up weights and
   weighted values span by span. It skips tiles without keys of its own stretches or spans.
"""

# The branches of a kernel are chosen when it is compiled, which a type checker cannot know.
# pyright: reportPossiblyUnboundVariable=false, reportOperatorIssue=false, reportIndexIssue=false, reportCallIssue=false
# pyright: reportArgumentType=false

import os
from math import log
from typing import no_type_check

import torch
import triton
import triton.language as tl
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn.functional import pad
from triton.tools.tensor_descriptor import TensorDescriptor

from faithlens.kernels.tree_attention.tiles import (
    BlockTiles,
    SortedReadout,
    choose_shape,
    cut_tiles,
    get_or_make,
    order_keys,
    sort_readout,
)
from faithlens.kernels.tree_attention.tree import AttentionOutput, Readout, Tree

STRETCHES = 64  # the stretches of depths in one program; more stretches take more programs
LOG2E = 1 / log(2)  # GPUs compute powers of two
FLOAT32 = "tf32x3"  # tensor cores multiply float32 as three products of its upper and lower halves


@triton.jit
@no_type_check  # a kernel reads names of its module, which the wrapper of a type checker would hide
def compute_scores(queries, keys, CAP: tl.constexpr, ACC: tl.constexpr, FLOAT32: tl.constexpr):
    """Scores of a tile, divided by `UNIT`."""
    scores = tl.dot(queries, tl.trans(keys), input_precision=FLOAT32, out_dtype=ACC)
    if CAP is not None:
        scores = 2 * tl.sigmoid(scores * CAP) - 1
    return scores


@triton.jit
@no_type_check
def load_mask(masks, number, BM: tl.constexpr, BN: tl.constexpr):
    """Which query of a block sees which key of a tile."""
    to = masks + number.to(tl.int64) * (BM * BN) + tl.arange(0, BM)[:, None] * BN + tl.arange(0, BN)[None, :]
    return tl.load(to) != 0


@triton.jit
@no_type_check
def load_seen_values(v, row, open, number, BN: tl.constexpr):
    """Values of a tile, with 0 for keys that no query sees: those may hold NaN, and zero times NaN is not zero."""
    return tl.where((tl.load(open + number * BN + tl.arange(0, BN)) != 0)[:, None], v.load([row, 0]), 0.0)


@triton.jit
@no_type_check
def kernel(
    q, k, v, sinks, run, tiles, first, masks, open, out, highest, sums,
    q_head, q_row, n_query, n_key, group,
    D: tl.constexpr, DP: tl.constexpr, BM: tl.constexpr, BN: tl.constexpr, UNIT: tl.constexpr, CAP: tl.constexpr,
    LOG2E: tl.constexpr, SUNK: tl.constexpr, ACC: tl.constexpr, FACTOR: tl.constexpr, FLOAT32: tl.constexpr,
):  # fmt: skip
    """Output, highest score and sum of weights of one block of queries and one head."""
    head = tl.program_id(0)
    block = tl.num_programs(1) - 1 - tl.program_id(1)  # later blocks see more, and start first
    i = block * BM + tl.arange(0, BM)
    live = i < n_query
    above = (head // group) * n_key  # the keys and values of the heads lie below each other
    column = tl.arange(0, DP)
    within = live[:, None] & (column < D)[None, :]
    to = q + head.to(tl.int64) * q_head + i[:, None].to(tl.int64) * q_row + column[None, :]
    queries = tl.load(to, mask=within, other=0.0).to(FACTOR)
    top = tl.full([BM], float("-inf"), ACC)
    total = tl.zeros([BM], ACC)
    if SUNK:  # a first logit, which has no value
        top = tl.zeros([BM], ACC) + tl.load(sinks + head).to(ACC) * LOG2E
        total += 1.0
    weighed = tl.zeros([BM, DP], ACC)
    for start in range(tl.load(run + 2 * block), tl.load(run + 2 * block + 1), BN):
        keys = k.load([above + start, 0]).to(FACTOR)
        values = v.load([above + start, 0]).to(FACTOR)
        scores = compute_scores(queries, keys, CAP, ACC, FLOAT32)
        new = tl.maximum(top, tl.max(scores, 1) * UNIT)
        weights = tl.exp2(scores * UNIT - new[:, None])
        fade = tl.exp2(top - new)
        total = total * fade + tl.sum(weights, 1)
        weighed = tl.dot(weights.to(FACTOR), values, weighed * fade[:, None], input_precision=FLOAT32, out_dtype=ACC)
        top = new
    for j in range(tl.load(first + block), tl.load(first + block + 1)):
        start = tl.load(tiles + 2 * j) * BN
        number = tl.load(tiles + 2 * j + 1)
        keys = k.load([above + start, 0]).to(FACTOR)
        values = load_seen_values(v, above + start, open, number, BN).to(FACTOR)
        scores = compute_scores(queries, keys, CAP, ACC, FLOAT32)
        scores = tl.where(load_mask(masks, number, BM, BN), scores, float("-inf"))
        new = tl.maximum(top, tl.max(scores, 1) * UNIT)
        level = tl.where(new == float("-inf"), 0.0, new)  # for a query without a visible key so far
        weights = tl.exp2(scores * UNIT - level[:, None])
        fade = tl.exp2(top - level)
        total = total * fade + tl.sum(weights, 1)
        weighed = tl.dot(weights.to(FACTOR), values, weighed * fade[:, None], input_precision=FLOAT32, out_dtype=ACC)
        top = new
    blind = total == 0
    total = tl.where(blind, 1.0, total)
    place = head.to(tl.int64) * n_query + i
    tl.store(out + place[:, None] * D + column[None, :], (weighed / total[:, None]).to(out.dtype.element_ty), within)
    # two numbers: their sum would lose the digits of weights near the highest score
    tl.store(highest + place, tl.where(blind, 0.0, top), mask=live)
    tl.store(sums + place, total, mask=live)


@triton.jit
@no_type_check
def readout_kernel(
    q, k, v, run, tiles, first, masks, open, highest, sums, where, spans, mass, flow,
    q_head, q_row, n_read, n_key, n_part, group,
    D: tl.constexpr, DP: tl.constexpr, BM: tl.constexpr, BN: tl.constexpr, NS: tl.constexpr, UNIT: tl.constexpr,
    CAP: tl.constexpr, FLOW: tl.constexpr, ACC: tl.constexpr, FACTOR: tl.constexpr,
    FLOAT32: tl.constexpr,
):  # fmt: skip
    """Mass of a block of read rows in one head on `NS` stretches or, with FLOW, mass and values of one span.

    `where` says in which stretch each key lies or, with FLOW, at which depth.
    """
    head, block, part = tl.program_id(0), tl.program_id(1), tl.program_id(2)
    i = block * BM + tl.arange(0, BM)
    live = i < n_read
    above = (head // group) * n_key  # the keys and values of the heads lie below each other
    column = tl.arange(0, DP)
    within = live[:, None] & (column < D)[None, :]
    to = q + head.to(tl.int64) * q_head + i[:, None].to(tl.int64) * q_row + column[None, :]
    queries = tl.load(to, mask=within, other=0.0).to(FACTOR)
    place = head.to(tl.int64) * n_read + i
    top = tl.load(highest + place, mask=live, other=0.0)
    total = tl.load(sums + place, mask=live, other=1.0)
    if FLOW:
        low = tl.load(spans + (i * n_part + part) * 2, mask=live, other=0)
        high = tl.load(spans + (i * n_part + part) * 2 + 1, mask=live, other=0)
        least = tl.min(tl.where(low < high, low, n_key), 0)
        most = tl.max(tl.where(low < high, high, 0), 0)
        share = tl.zeros([BM], ACC)
        weighed = tl.zeros([BM, DP], ACC)
    else:
        least = part * NS
        most = least + NS
        shares = tl.zeros([BM, NS], ACC)
    from_key = tl.load(run + 2 * block)
    whole = (tl.load(run + 2 * block + 1) - from_key) // BN
    begin = tl.load(first + block)
    for j in range(whole + tl.load(first + block + 1) - begin):
        listed = j >= whole
        other = begin + j - whole
        start = tl.where(listed, tl.load(tiles + 2 * other, mask=listed, other=0) * BN, from_key + j * BN)
        number = tl.load(tiles + 2 * other + 1, mask=listed, other=0)
        key = start + tl.arange(0, BN)
        at = tl.load(where + key, mask=key < n_key, other=-1)
        if tl.max(((at >= least) & (at < most)).to(tl.int32), 0) > 0:
            keys = k.load([above + start, 0]).to(FACTOR)
            seen = load_mask(masks, number, BM, BN)
            if FLOW:
                seen = seen & (at[None, :] >= low[:, None]) & (at[None, :] < high[:, None])
            scores = compute_scores(queries, keys, CAP, ACC, FLOAT32)
            weights = tl.exp2(tl.where(seen, scores, float("-inf")) * UNIT - top[:, None])
            if FLOW:
                values = load_seen_values(v, above + start, open, number, BN).to(FACTOR)
                share += tl.sum(weights, 1)
                weighed = tl.dot(weights.to(FACTOR), values, weighed, input_precision=FLOAT32, out_dtype=ACC)
            else:
                hot = (at[:, None] == least + tl.arange(0, NS)[None, :]).to(FACTOR)
                shares = tl.dot(weights.to(FACTOR), hot, shares, input_precision=FLOAT32, out_dtype=ACC)
    if FLOW:
        place = place * n_part + part
        tl.store(mass + place, share / total, mask=live)
        tl.store(
            flow + place[:, None] * D + column[None, :], (weighed / total[:, None]).to(flow.dtype.element_ty), within
        )
    else:
        number = least + tl.arange(0, NS)
        to = mass + place[:, None] * n_part + number[None, :]
        tl.store(to, shares / total[:, None], mask=live[:, None] & (number < n_part)[None, :])


def attend(
    q: Float[Tensor, "head query d_head"],
    k: Float[Tensor, "kv_head pos d_head"],
    v: Float[Tensor, "kv_head pos d_head"],
    tree: Tree,
    scale: float,
    queries: Int[Tensor, " query"],
    window: int | None,
    softcap: float | None,
    sinks: Float[Tensor, " head"] | None,
    readout: Readout | None,
) -> AttentionOutput:
    """See `tree_attention`."""
    launch = Launch(q, k, v, tree, scale, window, softcap)
    out, norm = launch.run_attention(queries, sinks)
    if readout is None:
        return AttentionOutput(out)
    sorted_readout = get_or_make(tree, readout, lambda: sort_readout(tree, readout))
    at = torch.searchsorted(queries, sorted_readout.rows)
    if readout.reads_flow:
        return AttentionOutput(out, *launch.read_by_span(readout.spans, sorted_readout, at, norm))
    return AttentionOutput(out, launch.read_by_stretch(readout.spans, sorted_readout, at, norm))


class Launch:
    """All launches on the tensors of one layer.

    `norm` holds two numbers for each query: the highest score, and the sum of the weights.
    """

    def __init__(
        self, q: Tensor, k: Tensor, v: Tensor, tree: Tree, scale: float, window: int | None, softcap: float | None
    ) -> None:
        width, double = q.shape[2], q.dtype == torch.float64
        self.tree, self.window, self.shape = tree, window, choose_shape(width, q)
        self.order = get_or_make(tree, self.shape.keys, lambda: order_keys(tree, self.shape))
        self.q = q if q.stride(-1) == 1 else q.contiguous()
        self.wide = max(16, triton.next_power_of_2(width))
        self.k, self.v = map(self.make_descriptor, (k, v))
        self.keys, self.group = k.shape[1], q.shape[0] // k.shape[0]
        self.number_type = torch.float64 if double else torch.float32
        types = {torch.float64: tl.float64, torch.float16: tl.float16, torch.bfloat16: tl.bfloat16}
        interpreted = os.environ.get("TRITON_INTERPRET") == "1"  # numpy runs it, and numpy has no bfloat16
        self.constants = {
            "D": width, "DP": self.wide, "BM": self.shape.queries, "BN": self.shape.keys,
            "UNIT": LOG2E * (softcap or scale), "CAP": softcap and 2 * scale / softcap,
            "ACC": tl.float64 if double else tl.float32,
            "FACTOR": tl.float32 if interpreted and q.dtype == torch.bfloat16 else types.get(q.dtype, tl.float32),
            "FLOAT32": FLOAT32, "num_warps": self.shape.warps, "num_stages": self.shape.stages,
        }  # fmt: skip

    def make_descriptor(self, x: Float[Tensor, "kv_head pos d_head"]) -> TensorDescriptor:
        """A descriptor to load tiles of keys or values: in order, with the heads below each other."""
        x = x if self.order is None else x[:, self.order]
        odd = -x.shape[2] % (16 // x.element_size())  # the copy engine needs rows that start at multiples of 16 bytes
        x = pad(x, (0, odd)) if odd else x.contiguous()
        return TensorDescriptor.from_tensor(x.flatten(0, 1), [self.shape.keys, self.wide])

    def get_blocks(self, rows: Int[Tensor, " query"]) -> BlockTiles:
        """The blocks of sorted `rows`."""
        keys = self.tree.all_rows if self.order is None else self.order
        # the rows are kept too, so that no other tensor gets their id
        made = get_or_make(
            self.tree,
            (id(rows), self.window, self.shape),
            lambda: (rows, cut_tiles(self.tree, rows, keys, self.window, self.shape)),
        )
        return made[1]

    def run_attention(
        self, queries: Int[Tensor, " query"], sinks: Float[Tensor, " head"] | None
    ) -> tuple[Float[Tensor, "head query d_head"], Float[Tensor, "two head query"]]:
        """Output and norm of all queries."""
        q = self.q
        out, norm = q.new_empty(q.shape), q.new_empty(2, *q.shape[:2], dtype=self.number_type)
        if len(queries):
            blocks = self.get_blocks(queries)
            kernel[(q.shape[0], len(blocks.common_run))](
                q, self.k, self.v, q if sinks is None else sinks, *blocks, out, *norm, *q.stride()[:2],
                q.shape[1], self.keys, self.group, SUNK=sinks is not None, LOG2E=LOG2E,
                maxnreg=self.shape.registers, **self.constants,
            )  # fmt: skip
        return out, norm

    def read_by_stretch(
        self,
        spans: Int[Tensor, "row span two"],
        sorted_readout: SortedReadout,
        at: Int[Tensor, " query"],
        norm: Float[Tensor, "two head pos"],
    ) -> Float[Tensor, "head row span"]:
        """The mass of the read rows, which are the queries number `at`."""
        heads, parts = len(self.q), len(sorted_readout.borders) + 1
        mass = norm.new_empty(heads, len(sorted_readout.rows), parts)
        self.run_readout(sorted_readout, at, norm, triton.cdiv(parts, STRETCHES), mass)
        # stretches 0 to i are the depths below border i, so the running sum at i is the mass below that border
        ends = torch.searchsorted(sorted_readout.borders, spans.contiguous()).expand(heads, -1, -1, -1)
        sums = mass.cumsum(-1)[:, sorted_readout.row_numbers].gather(-1, ends.flatten(-2)).view(ends.shape)
        return (sums[..., 1] - sums[..., 0]).to(self.q.dtype)

    def read_by_span(
        self,
        spans: Int[Tensor, "row span two"],
        sorted_readout: SortedReadout,
        at: Int[Tensor, " query"],
        norm: Float[Tensor, "two head pos"],
    ) -> tuple[Float[Tensor, "head row span"], Float[Tensor, "head row span d_head"]]:
        """The mass and the weighted values of the read rows, span by span."""
        ordered = torch.empty_like(spans, memory_format=torch.contiguous_format)
        ordered[sorted_readout.row_numbers] = spans
        flow = self.q.new_empty(len(self.q), *spans.shape[:2], self.q.shape[2])
        mass = norm.new_empty(flow.shape[:3])
        self.run_readout(sorted_readout, at, norm, spans.shape[1], mass, ordered, flow)
        return mass[:, sorted_readout.row_numbers].to(self.q.dtype), flow[:, sorted_readout.row_numbers]

    def run_readout(
        self,
        sorted_readout: SortedReadout,
        at: Int[Tensor, " query"],
        norm: Float[Tensor, "two head pos"],
        programs: int,
        mass: Tensor,
        spans: Tensor | None = None,
        flow: Tensor | None = None,
    ) -> None:
        """Fill `mass`, and `flow` if it is given."""
        if not (len(at) and programs):
            return
        q = self.q[:, at]
        blocks = self.get_blocks(sorted_readout.rows)
        where = sorted_readout.key_places if self.order is None else sorted_readout.key_places[self.order]
        readout_kernel[(q.shape[0], len(blocks.common_run), programs)](
            q, self.k, self.v, *blocks, *norm[..., at].contiguous(), where, where if spans is None else spans,
            mass, mass if flow is None else flow, *q.stride()[:2], q.shape[1], self.keys, mass.shape[2], self.group,
            NS=STRETCHES, FLOW=flow is not None, **self.constants,
        )  # fmt: skip
