"""Tree attention in Triton: output and span mass in one kernel, over those tiles of keys that a block of queries sees.

A program takes a block of queries and one head, and walks the block's list of key tiles with a running softmax. The
span mass rides along: depths are cut into stretches at the borders of all spans, and a second product, of the same
weights with which key lies in which stretch, is rescaled with the output. Where values are asked for by span, the
kernel runs once more over the read rows, one program a span.
"""

# A kernel's branches are settled when it is compiled, which a checker of Python cannot know.
# pyright: reportPossiblyUnboundVariable=false, reportOperatorIssue=false, reportIndexIssue=false, reportCallIssue=false
# pyright: reportArgumentType=false

import os
from typing import NamedTuple, no_type_check
from weakref import WeakKeyDictionary

import torch
import triton
import triton.language as tl
from jaxtyping import Float, Int
from torch import Tensor

from faithlens.kernels.tree_attention.tree import Attended, Readout, Tree, candidates

QUERIES, KEYS = 128, 64  # a tile of scores
STRETCHES = 64  # stretches of depths a program keeps mass of; more take further programs


class Tiles(NamedTuple):
    """For each block of queries the tiles of keys it meets, in one list.

    Attributes:
        tiles: twice the tile's number, plus one where every query of the block sees all of the tile.
        first: where each block's tiles begin; one more entry at the end.
    """

    tiles: Int[Tensor, " tile"]
    first: Int[Tensor, " border"]


_KEPT: WeakKeyDictionary[Tree, dict[object, tuple[Tensor, Tiles]]] = WeakKeyDictionary()


def tiles_of(tree: Tree, rows: Int[Tensor, " query"], window: int | None) -> Tiles:
    """The tiles of sorted `rows`; made once for all layers, and gone with the tree."""
    kept, key = _KEPT.setdefault(tree, {}), (id(rows), window)
    if key not in kept:
        kept[key] = (rows, cut(tree, rows, window))  # the rows are kept too, so that their id stays theirs
    return kept[key][1]


def cut(tree: Tree, rows: Int[Tensor, " query"], window: int | None) -> Tiles:
    """Blocks of sorted `rows` and the tiles of keys that some row of each may see."""
    count = -(-len(tree) // KEYS)
    until = tree.visible_until.new_zeros(count * KEYS)  # what lies beyond the row is visible to nobody
    until[: len(tree)] = tree.visible_until
    until = until.view(count, KEYS).amin(1)
    depth = tree.depth.new_zeros(count * KEYS)
    depth[: len(tree)] = tree.depth
    shallowest = depth.view(count, KEYS).amin(1)
    last = torch.arange(1, count + 1, device=rows.device) * KEYS - 1
    cutting = (tree.hidden[..., 1] > tree.hidden[..., 0]).any(1)
    tiles = []
    for block in rows.split(QUERIES):
        met = (candidates(tree, block, window) // KEYS).unique()
        full = (last[met] <= block[0]) & (block[-1] < until[met]) & ~cutting[block].any()
        if window is not None:
            full &= tree.depth[block].max() - shallowest[met] < window
        tiles.append(2 * met + full)
    lengths = torch.tensor([0, *map(len, tiles)], device=rows.device)
    return Tiles(torch.cat(tiles).int(), lengths.cumsum(0).int())


@triton.jit
@no_type_check  # a kernel runs in its module's own names, which a checker's wrapper would hide
def kernel(
    q, k, v, sinks, rows, until, depth, hidden, grafts, tiles, first, stretch, at, spans, out, mass,
    q_head, q_row, k_head, k_row, v_head, v_row, n_query, n_pos, n_cuts, n_grafts, n_spans, n_read, n_stretch,
    group, scale, softcap, window,
    D: tl.constexpr, DP: tl.constexpr, BM: tl.constexpr, BN: tl.constexpr, NS: tl.constexpr,
    CAPPED: tl.constexpr, SUNK: tl.constexpr, WINDOWED: tl.constexpr, FLOW: tl.constexpr, ACC: tl.constexpr,
    FACTOR: tl.constexpr,
):  # fmt: skip
    """One block of queries, one head, and one tile of stretches or, with FLOW, one span."""
    block, head, third = tl.program_id(0), tl.program_id(1), tl.program_id(2)
    i = block * BM + tl.arange(0, BM)
    live = i < n_query
    row = tl.load(rows + i, mask=live, other=-1)
    own = tl.load(depth + row, mask=live, other=0)
    column = tl.arange(0, DP)
    wide = column < D
    queries = tl.load(
        q + head.to(tl.int64) * q_head + i[:, None].to(tl.int64) * q_row + column[None, :],
        mask=live[:, None] & wide[None, :], other=0.0,
    )  # fmt: skip
    top = tl.full([BM], float("-inf"), ACC)
    total = tl.zeros([BM], ACC)
    if SUNK:
        top = tl.zeros([BM], ACC) + tl.load(sinks + head).to(ACC)
        total += 1.0  # a first logit, that has no value
    weighed = tl.zeros([BM, DP], ACC)
    if NS > 0:
        where = tl.load(at + i, mask=live, other=-1)
        wanted = tl.max(where, 0) >= 0
        parts = tl.zeros([BM, NS], ACC)
    if FLOW:
        low = tl.load(spans + (i * n_spans + third) * 2, mask=live, other=0)
        high = tl.load(spans + (i * n_spans + third) * 2 + 1, mask=live, other=0)
        part = tl.zeros([BM], ACC)
    for j in range(tl.load(first + block), tl.load(first + block + 1)):
        tile = tl.load(tiles + j)
        key = (tile // 2) * BN + tl.arange(0, BN)
        there = key < n_pos
        keys = tl.load(
            k + (head // group).to(tl.int64) * k_head + key[None, :].to(tl.int64) * k_row + column[:, None],
            mask=there[None, :] & wide[:, None], other=0.0,
        )  # fmt: skip
        values = tl.load(
            v + (head // group).to(tl.int64) * v_head + key[:, None].to(tl.int64) * v_row + column[None, :],
            mask=there[:, None] & wide[None, :], other=0.0,
        )  # fmt: skip
        deep = tl.load(depth + key, mask=there, other=0)
        scores = tl.dot(queries.to(FACTOR), keys.to(FACTOR), input_precision="ieee").to(ACC) * scale
        if CAPPED:
            scores = softcap * (2 * tl.sigmoid(2 * scores / softcap) - 1)
        if tile % 2 == 0:
            end = tl.load(until + key, mask=there, other=0)
            seen = (key[None, :] <= row[:, None]) & (row[:, None] < end[None, :])
            for c in range(n_cuts):
                start = tl.load(hidden + (row * n_cuts + c) * 2, mask=live, other=0)
                stop = tl.load(hidden + (row * n_cuts + c) * 2 + 1, mask=live, other=0)
                seen = seen & ((deep[None, :] < start[:, None]) | (deep[None, :] >= stop[:, None]))
            for g in range(n_grafts):
                start = tl.load(grafts + (row * n_grafts + g) * 2, mask=live, other=0)
                stop = tl.load(grafts + (row * n_grafts + g) * 2 + 1, mask=live, other=0)
                seen = seen | ((key[None, :] >= start[:, None]) & (key[None, :] < stop[:, None]))
            if WINDOWED:
                seen = seen & (own[:, None] - deep[None, :] < window)
            seen = seen & there[None, :] & live[:, None]
            scores = tl.where(seen, scores, float("-inf"))
            # what nobody sees may hold anything, and zero times anything is not always zero
            values = tl.where((tl.max(seen.to(tl.int32), 0) > 0)[:, None], values, 0.0)
        new = tl.maximum(top, tl.max(scores, 1))
        level = tl.where(new == float("-inf"), 0.0, new)
        weights = tl.exp(scores - level[:, None])
        fade = tl.exp(top - level)
        total = total * fade + tl.sum(weights, 1)
        top = new
        if FLOW:
            weights = tl.where((deep[None, :] >= low[:, None]) & (deep[None, :] < high[:, None]), weights, 0.0)
            part = part * fade + tl.sum(weights, 1)
        light = weights.to(FACTOR)
        if FLOW or third == 0:
            weighed = weighed * fade[:, None] + tl.dot(light, values.to(FACTOR), input_precision="ieee").to(ACC)
        if NS > 0 and wanted:
            number = tl.load(stretch + key, mask=there, other=-1)
            hot = (number[:, None] == third * NS + tl.arange(0, NS)[None, :]).to(FACTOR)
            parts = parts * fade[:, None] + tl.dot(light, hot, input_precision="ieee").to(ACC)
    total = tl.where(total == 0, 1.0, total)  # a query that sees nothing
    weighed = weighed / total[:, None]
    place = head.to(tl.int64) * n_query + i
    if FLOW:
        place = place * n_spans + third
        tl.store(mass + place, part / total, mask=live)
    if FLOW or third == 0:
        to = out + place[:, None] * D + column[None, :]
        tl.store(to, weighed.to(out.dtype.element_ty), mask=live[:, None] & wide[None, :])
    if NS > 0:
        number = third * NS + tl.arange(0, NS)
        to = mass + (head.to(tl.int64) * n_read + where[:, None]) * n_stretch + number[None, :]
        tl.store(to, parts / total[:, None], mask=(where >= 0)[:, None] & (number < n_stretch)[None, :])


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
) -> Attended:
    """See `tree_attention`."""
    launch = Launch(q, k, v, tree, scale, window, softcap, sinks)
    if readout is None:
        return Attended(launch.plain(q, queries, None)[0])
    if not readout.flow:
        return Attended(*launch.plain(q, queries, readout))
    out, _ = launch.plain(q, queries, None)
    return Attended(out, *launch.by_span(q, queries, readout))


class Launch:
    """What every launch on one layer's tensors has in common."""

    def __init__(
        self,
        q: Tensor,
        k: Tensor,
        v: Tensor,
        tree: Tree,
        scale: float,
        window: int | None,
        softcap: float | None,
        sinks: Tensor | None,
    ) -> None:
        self.k, self.v = (x if x.stride(-1) == 1 else x.contiguous() for x in (k, v))
        self.tree, self.scale, self.window, self.softcap, self.sinks = tree, scale, window, softcap, sinks
        self.group = q.shape[0] // k.shape[0]
        self.acc = torch.float64 if q.dtype == torch.float64 else torch.float32

    def plain(
        self, q: Tensor, queries: Int[Tensor, " query"], readout: Readout | None
    ) -> tuple[Float[Tensor, "head query d_head"], Float[Tensor, "head row span"] | None]:
        """The output of all queries and, with a readout, the mass of the rows it names."""
        out = q.new_empty(q.shape)
        if readout is None:
            self.run(q, queries, 1, out=out)
            return out, None
        rows, which = readout.rows.unique(return_inverse=True)
        at = torch.full((len(queries),), -1, device=q.device)
        at[torch.searchsorted(queries, rows)] = torch.arange(len(rows), device=q.device)
        borders = readout.spans.unique()
        stretch = torch.searchsorted(borders, self.tree.depth, right=True)
        mass = q.new_empty(q.shape[0], len(rows), len(borders) + 1, dtype=self.acc)
        programs = triton.cdiv(mass.shape[2], STRETCHES)
        self.run(q, queries, programs, out=out, mass=mass, at=at, stretch=stretch)
        # stretches 0 .. i are the depths below border i, so the running sum at i is the mass below that border
        ends = torch.searchsorted(borders, readout.spans.contiguous()).expand(q.shape[0], -1, -1, -1)
        sums = mass.cumsum(-1)[:, which].gather(-1, ends.flatten(-2)).view(ends.shape)
        return out, (sums[..., 1] - sums[..., 0]).to(q.dtype)

    def by_span(
        self, q: Tensor, queries: Int[Tensor, " query"], readout: Readout
    ) -> tuple[Float[Tensor, "head row span"], Float[Tensor, "head row span d_head"]]:
        """Mass and weighted values of the read rows, span by span."""
        rows, order = readout.rows.sort()
        spans = readout.spans[order].contiguous()
        few = q[:, torch.searchsorted(queries, rows)]
        flow = q.new_empty(*few.shape[:2], spans.shape[1], few.shape[2])
        mass = q.new_empty(flow.shape[:3], dtype=self.acc)
        self.run(few, rows, spans.shape[1], out=flow, mass=mass, spans=spans)
        back = order.argsort()
        return mass[:, back].to(q.dtype), flow[:, back]

    def run(self, q: Tensor, rows: Int[Tensor, " query"], third: int, *, out: Tensor, **more: Tensor) -> None:
        """Launch the kernel; `more` holds what is read, and where it goes."""
        if not len(rows):
            return
        q = q if q.stride(-1) == 1 else q.contiguous()
        tree, k, v = self.tree, self.k, self.v
        tiles, first = tiles_of(tree, rows, self.window)
        stretches = more["mass"].shape[2] if "stretch" in more else 0
        types = {torch.float64: tl.float64, torch.float16: tl.float16, torch.bfloat16: tl.bfloat16}
        interpreted = os.environ.get("TRITON_INTERPRET") == "1"  # by numpy, which has no bfloat16 to multiply
        none = rows  # stands for what this launch does not read
        kernel[(len(first) - 1, q.shape[0], third)](
            q, k, v, none if self.sinks is None else self.sinks, rows, tree.visible_until, tree.depth,
            tree.hidden.contiguous(), tree.grafts.contiguous(), tiles, first,
            more.get("stretch", none), more.get("at", none), more.get("spans", none), out, more.get("mass", out),
            q.stride(0), q.stride(1), k.stride(0), k.stride(1), v.stride(0), v.stride(1),
            len(rows), len(tree), tree.hidden.shape[1], tree.grafts.shape[1],
            third, more["mass"].shape[1] if "mass" in more else 0, stretches,
            self.group, self.scale, self.softcap or 1.0, self.window or 0,
            D=q.shape[2], DP=max(16, triton.next_power_of_2(q.shape[2])), BM=QUERIES, BN=KEYS,
            NS=STRETCHES if stretches else 0, CAPPED=self.softcap is not None, SUNK=self.sinks is not None,
            WINDOWED=self.window is not None, FLOW="spans" in more,
            ACC=tl.float64 if self.acc == torch.float64 else tl.float32,
            FACTOR=tl.float32 if interpreted and q.dtype == torch.bfloat16 else types.get(q.dtype, tl.float32),
            num_warps=8,
        )  # fmt: skip
