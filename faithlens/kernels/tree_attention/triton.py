"""Tree attention in Triton, over the tiles of keys that a block of queries sees.

1. A program takes one block of queries and one head, and keeps a running softmax.
2. It reads the run of keys that all of its queries see, without a test, and then the other tiles (`tiles.py`, which has
   an example). Which pairs of these are visible is computed from places and depths, as in `tree.py` (`find_seen`).
3. It writes the output, and for each query the highest score and the sum of the weights.
4. For a readout, a second kernel computes the weights again from these two numbers, and adds them up for each span. A
   program takes one reader and one head, and adds the mean over the reader's rows to the mass in place. It skips tiles
   without keys of its spans. If flow is read, a kernel adds up weights and weighted values by row and span.
"""

# The branches of a kernel are chosen when it is compiled, which a type checker cannot know.
# pyright: reportPossiblyUnboundVariable=false, reportOperatorIssue=false, reportIndexIssue=false, reportCallIssue=false
# pyright: reportArgumentType=false

import os
from itertools import pairwise
from math import log
from typing import Any, no_type_check
from weakref import WeakKeyDictionary

import numpy as np
import torch
import triton
import triton.language as tl
from jaxtyping import Float, Int
from numpy import ndarray
from torch import Tensor
from torch.nn.functional import pad
from triton.tools.tensor_descriptor import TensorDescriptor

from faithlens.kernels.integers import copy_integers
from faithlens.kernels.tree_attention.tiles import NO_WINDOW, choose_shape, list_tiles
from faithlens.kernels.tree_attention.tree import (
    AttentionOutput,
    Readout,
    Tree,
    find_queries,
    list_rows,
    pool_readers,
)

MOST_SPANS = 64  # the spans in one program; more spans take more programs
READ_QUERIES = 16  # the rows of a reader that are read at once
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
def load_tile(x, above, start, BN: tl.constexpr, DP: tl.constexpr):
    """Keys or values of a tile; zeros beyond the last row."""
    return x.load([above, start, 0]).reshape(BN, DP)


@triton.jit
@no_type_check
def load_queries(q, head, number, live, q_head, q_row, D: tl.constexpr, DP: tl.constexpr):
    """The queries with these numbers in one head."""
    column = tl.arange(0, DP)
    to = q + head.to(tl.int64) * q_head + number[:, None].to(tl.int64) * q_row + column[None, :]
    return tl.load(to, mask=live[:, None] & (column < D)[None, :], other=0.0)


@triton.jit
@no_type_check
def find_seen(
    row, key, live, depth, place, until, hidden, grafts, n_key, window, n_cut, n_graft, cuts, grafted
):  # fmt: skip
    """Which of the rows `row` sees which of the rows `key`, as in `Tree.compute_visible`."""
    there = key < n_key
    key_place = tl.load(place + key, mask=there, other=0)
    key_until = tl.load(until + key, mask=there, other=0)
    key_depth = tl.load(depth + key, mask=there, other=0)
    own_place = tl.load(place + row, mask=live, other=0)
    own_depth = tl.load(depth + row, mask=live, other=0)
    seen = (key_place[None, :] <= own_place[:, None]) & (own_place[:, None] < key_until[None, :])
    for c in range(cuts):
        low = tl.load(hidden + (row * n_cut + c) * 2, mask=live, other=0)
        high = tl.load(hidden + (row * n_cut + c) * 2 + 1, mask=live, other=0)
        seen = seen & ((key_depth[None, :] < low[:, None]) | (key_depth[None, :] >= high[:, None]))
    for g in range(grafted):
        low = tl.load(grafts + (row * n_graft + g) * 2, mask=live, other=0)
        high = tl.load(grafts + (row * n_graft + g) * 2 + 1, mask=live, other=0)
        seen = seen | ((key[None, :] >= low[:, None]) & (key[None, :] < high[:, None]))
    near = own_depth[:, None] - key_depth[None, :] < window
    return seen & near & live[:, None] & there[None, :]


@triton.jit
@no_type_check
def clear_unseen(values, seen):
    """Values of a tile, with 0 for keys that no query sees: those may hold NaN, and zero times NaN is not zero."""
    return tl.where((tl.max(seen.to(tl.int32), 0) > 0)[:, None], values, 0.0)


@triton.jit
@no_type_check
def kernel(
    q, k, v, sinks, rows, depth, place, until, hidden, grafts, extent, run, tiles, first, starts, out, highest, sums,
    q_head, q_row, out_head, out_row, first_block, n_query, n_key, group, window, n_cut, n_graft,
    D: tl.constexpr, DP: tl.constexpr, BM: tl.constexpr, BN: tl.constexpr, UNIT: tl.constexpr, CAP: tl.constexpr,
    LOG2E: tl.constexpr, SUNK: tl.constexpr, ACC: tl.constexpr, FACTOR: tl.constexpr, FLOAT32: tl.constexpr,
):  # fmt: skip
    """Output, highest score and sum of weights of one block of queries and one head."""
    head = tl.program_id(0)
    block = first_block + tl.num_programs(1) - 1 - tl.program_id(1)  # later blocks see more, and start first
    listed = tl.load(starts + block) + tl.arange(0, BM)
    live = listed < tl.load(starts + block + 1)
    i = listed - tl.load(starts + first_block)
    above = head // group
    row = tl.load(rows + listed, mask=live, other=0)
    queries = load_queries(q, head, i, live, q_head, q_row, D, DP).to(FACTOR)
    top = tl.full([BM], float("-inf"), ACC)
    total = tl.zeros([BM], ACC)
    if SUNK:  # a first logit, which has no value
        top = tl.zeros([BM], ACC) + tl.load(sinks + head).to(ACC) * LOG2E
        total += 1.0
    weighed = tl.zeros([BM, DP], ACC)
    for start in range(tl.load(run + 2 * block), tl.load(run + 2 * block + 1), BN):
        keys = load_tile(k, above, start, BN, DP).to(FACTOR)
        values = load_tile(v, above, start, BN, DP).to(FACTOR)
        scores = compute_scores(queries, keys, CAP, ACC, FLOAT32)
        new = tl.maximum(top, tl.max(scores, 1) * UNIT)
        weights = tl.exp2(scores * UNIT - new[:, None])
        fade = tl.exp2(top - new)
        total = total * fade + tl.sum(weights, 1)
        weighed = tl.dot(weights.to(FACTOR), values, weighed * fade[:, None], input_precision=FLOAT32, out_dtype=ACC)
        top = new
    cuts = tl.load(extent + 2 * block)
    grafted = tl.load(extent + 2 * block + 1)
    for j in range(tl.load(first + block), tl.load(first + block + 1)):
        start = tl.load(tiles + j) * BN
        key = start + tl.arange(0, BN)
        seen = find_seen(
            row, key, live, depth, place, until, hidden, grafts, n_key, window, n_cut, n_graft, cuts, grafted
        )
        keys = load_tile(k, above, start, BN, DP).to(FACTOR)
        values = clear_unseen(load_tile(v, above, start, BN, DP), seen).to(FACTOR)
        scores = tl.where(seen, compute_scores(queries, keys, CAP, ACC, FLOAT32), float("-inf"))
        new = tl.maximum(top, tl.max(scores, 1) * UNIT)
        level = tl.where(new == float("-inf"), 0.0, new)  # for a query without a visible key so far
        weights = tl.exp2(scores * UNIT - level[:, None])
        fade = tl.exp2(top - level)
        total = total * fade + tl.sum(weights, 1)
        weighed = tl.dot(weights.to(FACTOR), values, weighed * fade[:, None], input_precision=FLOAT32, out_dtype=ACC)
        top = new
    blind = total == 0
    total = tl.where(blind, 1.0, total)
    column = tl.arange(0, DP)
    to = out + head.to(tl.int64) * out_head + i[:, None].to(tl.int64) * out_row + column[None, :]
    tl.store(to, (weighed / total[:, None]).to(out.dtype.element_ty), live[:, None] & (column < D)[None, :])
    # two numbers: their sum would lose the digits of weights near the highest score
    at = head.to(tl.int64) * n_query + i
    tl.store(highest + at, tl.where(blind, 0.0, top), mask=live)
    tl.store(sums + at, total, mask=live)


@triton.jit
@no_type_check
def mass_kernel(
    q, k, rows, depth, place, until, hidden, grafts, extent, run, tiles, first, numbers, starts, reader_first, counts,
    spans, highest, sums, mass,
    q_head, q_row, n_query, n_key, group, window, n_cut, n_graft, n_span, mass_head, mass_reader,
    D: tl.constexpr, DP: tl.constexpr, BM: tl.constexpr, BN: tl.constexpr, NS: tl.constexpr, UNIT: tl.constexpr,
    CAP: tl.constexpr, ACC: tl.constexpr, FACTOR: tl.constexpr, FLOAT32: tl.constexpr,
):  # fmt: skip
    """Adds the mean mass of one reader's rows on `NS` spans in one head."""
    head, reader, part = tl.program_id(0), tl.program_id(1), tl.program_id(2)
    above = head // group
    span = part * NS + tl.arange(0, NS)
    low = tl.load(spans + (reader * n_span + span) * 2, mask=span < n_span, other=0)
    high = tl.load(spans + (reader * n_span + span) * 2 + 1, mask=span < n_span, other=0)
    pooled = tl.zeros([NS], ACC)
    for block in range(tl.load(reader_first + reader), tl.load(reader_first + reader + 1)):
        i = tl.load(starts + block) + tl.arange(0, BM)
        live = i < tl.load(starts + block + 1)
        row = tl.load(rows + i, mask=live, other=0)
        number = tl.load(numbers + i, mask=live, other=0)
        queries = load_queries(q, head, number, live, q_head, q_row, D, DP).to(FACTOR)
        at = head.to(tl.int64) * n_query + number
        top = tl.load(highest + at, mask=live, other=0.0)
        total = tl.load(sums + at, mask=live, other=1.0)
        cuts = tl.load(extent + 2 * block)
        grafted = tl.load(extent + 2 * block + 1)
        shares = tl.zeros([BM, NS], ACC)
        from_key = tl.load(run + 2 * block)
        whole = (tl.load(run + 2 * block + 1) - from_key) // BN
        begin = tl.load(first + block)
        for j in range(whole + tl.load(first + block + 1) - begin):
            listed = j >= whole
            start = tl.where(listed, tl.load(tiles + begin + j - whole, mask=listed, other=0) * BN, from_key + j * BN)
            key = start + tl.arange(0, BN)
            key_depth = tl.load(depth + key, mask=key < n_key, other=-1)
            hot = (key_depth[:, None] >= low[None, :]) & (key_depth[:, None] < high[None, :])
            if tl.max(tl.max(hot.to(tl.int32), 1), 0) > 0:
                seen = find_seen(
                    row, key, live, depth, place, until, hidden, grafts, n_key, window, n_cut, n_graft, cuts, grafted
                )
                scores = compute_scores(queries, load_tile(k, above, start, BN, DP).to(FACTOR), CAP, ACC, FLOAT32)
                weights = tl.exp2(tl.where(seen, scores, float("-inf")) * UNIT - top[:, None])
                shares = tl.dot(weights.to(FACTOR), hot.to(FACTOR), shares, input_precision=FLOAT32, out_dtype=ACC)
        pooled += tl.sum(shares / total[:, None], 0)
    to = mass + head.to(tl.int64) * mass_head + reader * mass_reader + span
    own = tl.load(to, mask=span < n_span, other=0.0)
    tl.store(to, own + (pooled / tl.load(counts + reader)).to(mass.dtype.element_ty), mask=span < n_span)


@triton.jit
@no_type_check
def flow_kernel(
    q, k, v, rows, depth, place, until, hidden, grafts, extent, run, tiles, first, numbers, spans, highest, sums,
    mass, flow,
    q_head, q_row, n_query, n_read, n_key, group, window, n_cut, n_graft, n_span,
    D: tl.constexpr, DP: tl.constexpr, BM: tl.constexpr, BN: tl.constexpr, UNIT: tl.constexpr, CAP: tl.constexpr,
    ACC: tl.constexpr, FACTOR: tl.constexpr, FLOAT32: tl.constexpr,
):  # fmt: skip
    """Mass and weighted values of one span of a block of read rows in one head."""
    head, block, part = tl.program_id(0), tl.program_id(1), tl.program_id(2)
    above = head // group
    i = block * BM + tl.arange(0, BM)
    live = i < n_read
    row = tl.load(rows + i, mask=live, other=0)
    number = tl.load(numbers + i, mask=live, other=0)
    queries = load_queries(q, head, number, live, q_head, q_row, D, DP).to(FACTOR)
    at = head.to(tl.int64) * n_query + number
    top = tl.load(highest + at, mask=live, other=0.0)
    total = tl.load(sums + at, mask=live, other=1.0)
    low = tl.load(spans + (i * n_span + part) * 2, mask=live, other=0)
    high = tl.load(spans + (i * n_span + part) * 2 + 1, mask=live, other=0)
    least = tl.min(tl.where(low < high, low, n_key), 0)
    most = tl.max(tl.where(low < high, high, 0), 0)
    cuts = tl.load(extent + 2 * block)
    grafted = tl.load(extent + 2 * block + 1)
    share = tl.zeros([BM], ACC)
    weighed = tl.zeros([BM, DP], ACC)
    from_key = tl.load(run + 2 * block)
    whole = (tl.load(run + 2 * block + 1) - from_key) // BN
    begin = tl.load(first + block)
    for j in range(whole + tl.load(first + block + 1) - begin):
        listed = j >= whole
        start = tl.where(listed, tl.load(tiles + begin + j - whole, mask=listed, other=0) * BN, from_key + j * BN)
        key = start + tl.arange(0, BN)
        key_depth = tl.load(depth + key, mask=key < n_key, other=-1)
        if tl.max(((key_depth >= least) & (key_depth < most)).to(tl.int32), 0) > 0:
            seen = find_seen(
                row, key, live, depth, place, until, hidden, grafts, n_key, window, n_cut, n_graft, cuts, grafted
            )
            seen = seen & (key_depth[None, :] >= low[:, None]) & (key_depth[None, :] < high[:, None])
            scores = compute_scores(queries, load_tile(k, above, start, BN, DP).to(FACTOR), CAP, ACC, FLOAT32)
            weights = tl.exp2(tl.where(seen, scores, float("-inf")) * UNIT - top[:, None])
            values = clear_unseen(load_tile(v, above, start, BN, DP), seen).to(FACTOR)
            share += tl.sum(weights, 1)
            weighed = tl.dot(weights.to(FACTOR), values, weighed, input_precision=FLOAT32, out_dtype=ACC)
    to = (head.to(tl.int64) * n_read + i) * n_span + part
    tl.store(mass + to, share / total, mask=live)
    column = tl.arange(0, DP)
    tl.store(
        flow + to[:, None] * D + column[None, :], (weighed / total[:, None]).to(flow.dtype.element_ty),
        live[:, None] & (column < D)[None, :],
    )  # fmt: skip


def attend(
    q: Float[Tensor, "head query d_head"],
    k: Float[Tensor, "kv_head pos d_head"],
    v: Float[Tensor, "kv_head pos d_head"],
    tree: Tree,
    scale: float,
    queries: range | Int[Tensor, " query"],
    window: int | None,
    softcap: float | None,
    sinks: Float[Tensor, " head"] | None,
    readout: Readout | None,
    mass: Float[Tensor, "head reader span"] | None,
) -> AttentionOutput:
    """See `tree_attention`."""
    launch = Launch(q, k, v, tree, scale, queries, window, softcap)
    out, norm = launch.run_attention(sinks)
    if readout is None or not len(readout.rows):
        return AttentionOutput(out, mass)
    if readout.reads_flow:
        shares, flow = launch.read_flow(readout, norm)
        return AttentionOutput(out, pool_readers(shares, readout, mass), flow)
    assert mass is not None
    launch.add_mass(readout, norm, mass)
    return AttentionOutput(out, mass)


_MADE: WeakKeyDictionary[Tree, dict[object, tuple[object, dict[str, Tensor]]]] = WeakKeyDictionary()

BLOCKS = ("rows", "depth", "place", "until", "hidden", "grafts", "extent", "run", "tiles", "first")
"""The arrays of `Launch.describe_blocks`, in the order in which kernels take them."""


class Launch:
    """All launches on the tensors of one layer.

    `norm` holds two numbers for each query: the highest score, and the sum of the weights.
    """

    def __init__(
        self,
        q: Tensor,
        k: Tensor,
        v: Tensor,
        tree: Tree,
        scale: float,
        queries: range | Int[Tensor, " query"],
        window: int | None,
        softcap: float | None,
    ) -> None:
        width, double = q.shape[2], q.dtype == torch.float64
        self.tree, self.queries, self.window, self.shape = tree, queries, window, choose_shape(width, q)
        self.q = q if q.stride(-1) == 1 else q.contiguous()
        self.wide = max(16, triton.next_power_of_2(width))
        self.k, self.v = map(self.make_descriptor, (k, v))
        self.number_type = torch.float64 if double else torch.float32
        self.sizes = (
            q.shape[1], k.shape[1], q.shape[0] // k.shape[0], NO_WINDOW if window is None else window,
            tree.hidden.shape[1], tree.grafts.shape[1],
        )  # fmt: skip
        types = {torch.float64: tl.float64, torch.float16: tl.float16, torch.bfloat16: tl.bfloat16}
        interpreted = os.environ.get("TRITON_INTERPRET") == "1"  # numpy runs it, and numpy has no bfloat16
        self.constants = {
            "D": width, "DP": self.wide, "BN": self.shape.keys,
            "UNIT": LOG2E * (softcap or scale), "CAP": softcap and 2 * scale / softcap,
            "ACC": tl.float64 if double else tl.float32,
            "FACTOR": tl.float32 if interpreted and q.dtype == torch.bfloat16 else types.get(q.dtype, tl.float32),
            "FLOAT32": FLOAT32, "num_warps": self.shape.warps, "num_stages": self.shape.stages,
        }  # fmt: skip

    def make_descriptor(self, x: Float[Tensor, "kv_head pos d_head"]) -> TensorDescriptor:
        """A descriptor to load tiles of keys or values by their strides."""
        aligned = 16 // x.element_size()  # the copy engine needs rows that start at multiples of 16 bytes
        if x.stride(2) != 1 or any(stride % aligned for stride in x.stride()[:2]) or x.data_ptr() % 16:
            x = pad(x, (0, -x.shape[2] % aligned)).contiguous()
        return TensorDescriptor(x, [*x.shape], [*x.stride()], [1, self.shape.keys, self.wide])

    def copy_once(self, key: tuple[object, ...], owner: object, arrays: Any) -> dict[str, Tensor]:
        """The arrays that `arrays` makes, on the device: copied once for all layers, and deleted with the tree.

        `owner` is kept too, so that no other object gets its id, which is a part of `key`.
        """
        made, key = _MADE.setdefault(self.tree, {}), (*key, self.window, self.shape, self.q.device)
        if key not in made:
            made[key] = owner, copy_integers({n: x.astype(np.int32) for n, x in arrays().items()}, self.q.device)
        return made[key][1]

    def name_queries(self) -> tuple[object, ...]:
        """What tells these queries from others of the same tree."""
        return (self.queries.start, self.queries.stop) if isinstance(self.queries, range) else (id(self.queries),)

    def list_borders(self) -> list[int]:
        """Where blocks end: those of a tree are cut at its borders, and shared by all ranges between two of them."""
        if not isinstance(self.queries, range):
            return [0, len(self.queries)]
        borders = {0, *self.tree.borders, len(self.tree)}
        ends = [self.queries.start, self.queries.stop]
        return sorted(borders) if borders.issuperset(ends) else ends

    def describe_blocks(self, rows: Int[ndarray, " query"], starts: Int[ndarray, " block"]) -> dict[str, ndarray]:
        """The tree, and the tiles that blocks of `rows` read."""
        tree = self.tree
        blocks = list_tiles(tree, rows, starts, self.window, self.shape.keys)
        extents = [count_intervals(x.numpy()[rows], starts) for x in (tree.hidden, tree.grafts)]
        whole = (tree.depth, tree.places, tree.visible_until, tree.hidden, tree.grafts)
        arrays = (rows, *(x.numpy() for x in whole), np.stack(extents, 1), *blocks)
        return dict(zip(BLOCKS, arrays, strict=True))

    def run_attention(
        self, sinks: Float[Tensor, " head"] | None
    ) -> tuple[Float[Tensor, "head query d_head"], Float[Tensor, "two head query"]]:
        """Output and norm of all queries; in memory the heads of a query lie side by side."""
        q, (heads, n, width) = self.q, self.q.shape
        out, norm = q.new_empty(n, heads, width).transpose(0, 1), q.new_empty(2, heads, n, dtype=self.number_type)
        if n:
            borders, is_range = self.list_borders(), isinstance(self.queries, range)
            starts = np.concatenate([np.arange(a, b, self.shape.queries) for a, b in pairwise(borders)])
            rows = range(borders[0], borders[-1]) if is_range else self.queries

            def describe() -> dict[str, ndarray]:
                own = np.append(starts, borders[-1]) - borders[0]
                return self.describe_blocks(list_rows(rows).numpy(), own[:-1]) | {"starts": own}

            named = (borders[0], borders[-1]) if is_range else self.name_queries()
            tiles = self.copy_once(named, self.queries, describe)
            of_range = (self.queries.start, self.queries.stop) if isinstance(self.queries, range) else (0, n)
            first, last = np.searchsorted(starts, of_range).tolist()
            kernel[(heads, last - first)](
                q, self.k, self.v, q if sinks is None else sinks, *tiles.values(), out, *norm,
                *q.stride()[:2], *out.stride()[:2], first, *self.sizes, BM=self.shape.queries, LOG2E=LOG2E,
                SUNK=sinks is not None, maxnreg=self.shape.registers, **self.constants,
            )  # fmt: skip
        return out, norm

    def add_mass(
        self, readout: Readout, norm: Float[Tensor, "two head query"], mass: Float[Tensor, "head reader span"]
    ) -> None:
        """Add the mean mass of the rows of each reader to `mass`."""

        def describe() -> dict[str, ndarray]:
            readers, n = readout.readers.numpy(), len(readout.spans)
            first = np.searchsorted(readers, np.arange(n + 1))  # the first row of each reader
            starts = [np.arange(a, b, READ_QUERIES) for a, b in pairwise(first)]
            blocks = np.concatenate(starts)
            return self.describe_blocks(readout.rows.numpy(), blocks) | {
                "numbers": find_queries(self.queries, readout.rows).numpy(),
                "starts": np.append(blocks, len(readers)),
                "reader_first": np.append(0, np.cumsum([*map(len, starts)])),
                "counts": readout.counts.numpy(),
                "spans": readout.spans.numpy(),
            }

        arrays = self.copy_once((*self.name_queries(), id(readout)), (self.queries, readout), describe)
        (readers, n_span), q = readout.spans.shape[:2], self.q
        spans = min(MOST_SPANS, max(16, triton.next_power_of_2(n_span)))
        if not n_span:
            return
        mass_kernel[(len(q), readers, triton.cdiv(n_span, spans))](
            q, self.k, *arrays.values(), *norm, mass, *q.stride()[:2], *self.sizes, n_span, *mass.stride()[:2],
            BM=READ_QUERIES, NS=spans, **self.constants,
        )  # fmt: skip

    def read_flow(
        self, readout: Readout, norm: Float[Tensor, "two head query"]
    ) -> tuple[Float[Tensor, "head row span"], Float[Tensor, "head row span d_head"]]:
        """The mass and the weighted values of the read rows, span by span."""
        blocks = np.arange(0, len(readout.rows), self.shape.queries)

        def describe() -> dict[str, ndarray]:
            return self.describe_blocks(readout.rows.numpy(), blocks) | {
                "numbers": find_queries(self.queries, readout.rows).numpy(),
                "spans": readout.spans[readout.readers].numpy(),
            }

        arrays, q = self.copy_once((*self.name_queries(), id(readout)), (self.queries, readout), describe), self.q
        flow = q.new_empty(len(q), len(readout.rows), readout.spans.shape[1], q.shape[2])
        shares = norm.new_empty(flow.shape[:3])
        if shares.numel():
            flow_kernel[(len(q), len(blocks), flow.shape[2])](
                q, self.k, self.v, *arrays.values(), *norm, shares, flow, *q.stride()[:2], self.sizes[0],
                len(readout.rows), *self.sizes[1:], flow.shape[2], BM=self.shape.queries, **self.constants,
            )  # fmt: skip
        return shares, flow


def count_intervals(intervals: Int[ndarray, "row cut two"], starts: Int[ndarray, " block"]) -> Int[ndarray, " block"]:
    """How many intervals of its rows each block looks at: up to the last one that is not empty."""
    numbers = np.arange(1, intervals.shape[1] + 1)
    last = np.where(intervals[..., 0] < intervals[..., 1], numbers, 0).max(1, initial=0)
    return np.maximum.reduceat(last, starts) if len(starts) else last[:0]
