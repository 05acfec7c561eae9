"""Tree attention in blocks of queries: each block reads only the keys that some of its queries see.

1. `split_queries` cuts the queries into blocks, at the ends of branches where that saves work.
2. Each block gets its visible keys and an additive mask; both are made once for all layers. If each query of a block is
   the child of the one before it, and nothing is hidden or grafted, the mask is a part of one strip (`make_strip`).
3. The output of a block comes from torch's fused scaled-dot-product attention.
4. The span mass of few rows comes from an explicit softmax over them. The span mass of many rows comes from a second
   fused call, whose values say in which stretch of depths a key lies.

No tensor is quadratic in the packed length, except the masks of the other blocks, which hold visible keys only.

For example of step 4, one row at depth 3 with the spans [0, 2) and [1, 4)::

    borders of the spans             0, 1, 2, 4
    stretches of key depths 0 to 3   1, 2, 3, 3
    attention on the keys            0.1, 0.2, 0.3, 0.4
    masses of stretches 0 to 3       0, 0.1, 0.2, 0.7
    their running sums               0, 0.1, 0.3, 1.0        the masses below each border
    masses of the spans              0.3 - 0 = 0.3 and 1.0 - 0.1 = 0.9
"""

from dataclasses import dataclass
from itertools import pairwise
from weakref import WeakKeyDictionary

import torch
from einops import einsum, rearrange
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn.functional import one_hot, scaled_dot_product_attention

from faithlens.kernels.tree_attention.tree import AttentionOutput, Readout, Tree, find_candidates

BLOCK_QUERIES = 128  # the most queries in a block: many enough for the fused kernel, few enough to skip unseen keys
CALL_COST = 2048  # the fixed cost of a block, in pairs of query and key
READ_ROWS = 64  # the most read rows in one [head, row, key] softmax; for more rows a fused call is faster


@dataclass(frozen=True)
class Block:
    """The queries number `start` to `stop - 1` and the keys that they see.

    Attributes:
        start: the first query.
        stop: the query after the last one.
        keys: packed indices of the keys; None stands for the first keys of the row, as many as the mask is wide.
        mask: 0 for a visible pair, minus infinity for a hidden one; None stands for a causal mask over all rows.
        blind_queries: which queries see no key; None if there is none.
    """

    start: int
    stop: int
    keys: Int[Tensor, " key"] | None
    mask: Float[Tensor, "query key"] | None
    blind_queries: Bool[Tensor, " query"] | None

    def select_keys(self, x: Float[Tensor, "kv_head pos d_head"]) -> Float[Tensor, "kv_head key d_head"]:
        """The keys or values of the block."""
        if self.keys is not None:
            return x[:, self.keys]
        return x if self.mask is None else x[:, : self.mask.shape[1]]


_BLOCKS: WeakKeyDictionary[Tree, dict[object, tuple[Tensor, list[Block]]]] = WeakKeyDictionary()
_STRIPS: WeakKeyDictionary[Tree, dict[object, Tensor]] = WeakKeyDictionary()


def get_blocks(tree: Tree, queries: Int[Tensor, " query"], window: int | None, dtype: torch.dtype) -> list[Block]:
    """The blocks of `queries`: made once for all layers, and deleted with the tree."""
    cache, key = _BLOCKS.setdefault(tree, {}), (id(queries), window, dtype)
    if key not in cache:
        # the queries are kept too, so that no other tensor gets their id
        cache[key] = (queries, cut_blocks(tree, queries, window, dtype))
    return cache[key][1]


def cut_blocks(tree: Tree, queries: Int[Tensor, " query"], window: int | None, dtype: torch.dtype) -> list[Block]:
    """Cut queries into blocks with their visible keys."""
    n = len(tree)
    windowed = window is not None and window < n
    if len(queries) == n and not windowed and is_causal_row(tree):
        return [Block(0, n, None, None, None)]
    strips, kind = _STRIPS.setdefault(tree, {}), (window, dtype)
    if kind not in strips:
        strips[kind] = make_strip(int(tree.depth.max()) + 1, window, dtype, queries.device)
    return [
        make_block(tree, queries, start, stop, window, strips[kind]) for start, stop in split_queries(tree, queries)
    ]


def make_strip(most_keys: int, window: int | None, dtype: torch.dtype, device: torch.device) -> Float[Tensor, "..."]:
    """The masks of all chains: each query sees itself and what is before it, and the last keys are the queries.

    For example, with blocks of 2 queries and at most 3 keys: the mask of 2 queries and 3 keys is the columns 2 to 4,
    and that of 1 query and 3 keys is the first row of the columns 1 to 3::

        column     0    1    2    3    4
        query 0    o    o    o    o    .
        query 1    o    o    o    o    o
    """
    ahead = torch.arange(most_keys + BLOCK_QUERIES, device=device) - most_keys
    ahead = ahead - torch.arange(BLOCK_QUERIES, device=device)[:, None]  # of each key, to each query
    seen = ahead <= 0 if window is None else (ahead <= 0) & (ahead > -window)
    return torch.where(seen, torch.zeros((), dtype=dtype, device=device), -torch.inf)


def make_block(
    tree: Tree,
    queries: Int[Tensor, " query"],
    start: int,
    stop: int,
    window: int | None,
    strip: Float[Tensor, "..."],
) -> Block:
    """The block of the queries number `start` to `stop - 1`, with the keys that some of them see."""
    rows, n = queries[start:stop], stop - start
    keys = find_candidates(tree, rows, window)
    trunk = len(keys) > 0 and int(keys[-1]) == len(keys) - 1  # the keys are the first rows, so they need no gather
    if is_chain(tree, rows):
        first = strip.shape[1] - BLOCK_QUERIES + n - len(keys)
        return Block(start, stop, None if trunk else keys, strip[:n, first : first + len(keys)], None)
    seen = tree.compute_visible(rows, keys, window)
    blind = ~seen.any(1)
    mask = torch.where(seen, strip.new_zeros(()), -torch.inf)
    return Block(start, stop, None if trunk else keys, mask, blind if blind.any() else None)


def is_chain(tree: Tree, rows: Int[Tensor, " query"]) -> bool:
    """Whether each of the sorted `rows` is the child of the one before it, and sees all of its ancestors only."""
    last, (hidden, grafts) = int(rows[-1]), (x[rows] for x in (tree.hidden, tree.grafts))
    if last - int(rows[0]) + 1 != len(rows) or not (tree.visible_until[rows] > last).all():
        return False
    return not any((x[..., 1] > x[..., 0]).any() for x in (hidden, grafts))


def split_queries(tree: Tree, queries: Int[Tensor, " query"]) -> list[tuple[int, int]]:
    """Cut queries into blocks of at most `BLOCK_QUERIES`, at the ends of branches where that leaves fewer pairs.

    A block computes every pair of its queries and of the keys that some of them see: all ancestors of the deepest
    query, and the rows of the block. So branches share a block only if they are short.
    """
    depth = tree.depth[queries]
    broken = (queries.diff() != 1) | (depth.diff() != 1)  # the next query is not the child of this one
    borders = [0, *(broken.nonzero()[:, 0] + 1).tolist(), len(queries)]
    out: list[tuple[int, int]] = []
    above = 0  # ancestors of the deepest branch in the last block
    for a, b in pairwise(borders):
        ancestors = int(depth[a]) if b > a else 0
        for start in range(a, b, BLOCK_QUERIES):
            stop, deep = min(b, start + BLOCK_QUERIES), ancestors + start - a
            if out and stop - out[-1][0] <= BLOCK_QUERIES:
                first, last = out[-1]
                apart = (last - first) * (above + last - first) + (stop - start) * (deep + stop - start) + CALL_COST
                if (stop - first) * (max(above, deep) + stop - first) <= apart:
                    out[-1], above = (first, stop), max(above, deep)
                    continue
            out.append((start, stop))
            above = deep
    return out


def is_causal_row(tree: Tree) -> bool:
    """Whether the row is one sequence without hidden intervals and grafts."""
    plain = bool((tree.visible_until == len(tree)).all()) and not (tree.hidden[..., 1] > tree.hidden[..., 0]).any()
    return plain and tree.grafts.numel() == 0


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
    plain = softcap is None and sinks is None
    parts = []
    for block in get_blocks(tree, queries, window, q.dtype):
        rows = q[:, block.start : block.stop]
        if plain:
            part = attend_block(rows, block.select_keys(k), block.select_keys(v), block, scale)
        else:
            pattern = softmax(rows, block.select_keys(k), expand_mask(block, len(queries), q), scale, softcap, sinks)
            part = weigh_values(pattern, block.select_keys(v))
        parts.append(part)
    out = parts[0] if len(parts) == 1 else torch.cat(parts, 1)
    if readout is None:
        return AttentionOutput(out)
    if plain and not readout.reads_flow and len(readout.rows) > READ_ROWS:
        return AttentionOutput(out, read_many_rows(q, k, tree, scale, queries, window, readout))
    pieces = [
        read_rows(q, k, v, tree, scale, queries, window, softcap, sinks, Readout(rows, spans, readout.reads_flow))
        for rows, spans in zip(readout.rows.split(READ_ROWS), readout.spans.split(READ_ROWS), strict=True)
    ]
    flow = torch.cat([flow for _, flow in pieces if flow is not None], 1) if readout.reads_flow else None
    return AttentionOutput(out, torch.cat([mass for mass, _ in pieces], 1), flow)


def attend_block(q: Tensor, k: Tensor, v: Tensor, block: Block, scale: float) -> Float[Tensor, "head query d_head"]:
    """Torch's fused attention over one block."""
    group = k.shape[0] != q.shape[0]
    out = scaled_dot_product_attention(
        q[None], k[None], v[None], block.mask, is_causal=block.mask is None, scale=scale, enable_gqa=group
    )[0]
    return out if block.blind_queries is None else out.masked_fill(block.blind_queries[:, None], 0)


def expand_mask(block: Block, n: int, like: Tensor) -> Float[Tensor, "query key"]:
    """The mask of the block, also where it is causal."""
    if block.mask is not None:
        return block.mask
    return torch.full((n, n), -torch.inf, dtype=like.dtype, device=like.device).triu(1)


def softmax(
    q: Float[Tensor, "head query d_head"],
    k: Float[Tensor, "kv_head key d_head"],
    mask: Float[Tensor, "query key"],
    scale: float,
    softcap: float | None,
    sinks: Float[Tensor, " head"] | None,
) -> Float[Tensor, "head query key"]:
    """The attention pattern in full; rows without visible keys and sinks are zero."""
    grouped = rearrange(q, "(kv group) row d -> kv (group row) d", kv=k.shape[0])
    scores = rearrange(grouped @ k.mT, "kv (group row) key -> (kv group) row key", row=q.shape[1]) * scale
    scores = scores if softcap is None else softcap * torch.tanh(scores / softcap)
    scores = scores + mask
    if sinks is not None:
        sink = sinks.to(scores)[:, None, None].expand(-1, q.shape[1], 1)
        return torch.cat([scores, sink], -1).softmax(-1)[..., :-1]
    return scores.softmax(-1).masked_fill((mask == -torch.inf).all(-1, keepdim=True), 0)


def weigh_values(pattern: Float[Tensor, "head query key"], v: Float[Tensor, "kv_head key d_head"]) -> Tensor:
    """The values, weighted by the pattern."""
    grouped = rearrange(pattern, "(kv group) row key -> kv (group row) key", kv=v.shape[0])
    return rearrange(grouped @ v, "kv (group row) d -> (kv group) row d", row=pattern.shape[1])


def read_rows(
    q: Float[Tensor, "head query d_head"],
    k: Float[Tensor, "kv_head pos d_head"],
    v: Float[Tensor, "kv_head pos d_head"],
    tree: Tree,
    scale: float,
    queries: Int[Tensor, " query"],
    window: int | None,
    softcap: float | None,
    sinks: Float[Tensor, " head"] | None,
    readout: Readout,
) -> tuple[Float[Tensor, "head row span"], Float[Tensor, "head row span d_head"] | None]:
    """The mass of few rows on spans of their own sequences and, with `reads_flow`, their weighted values."""
    keys = find_candidates(tree, readout.rows.unique(), window)
    zero = torch.zeros((), dtype=q.dtype, device=q.device)
    mask = torch.where(tree.compute_visible(readout.rows, keys, window), zero, -torch.inf)
    pattern = softmax(
        q[:, torch.searchsorted(queries, readout.rows.contiguous())], k[:, keys], mask, scale, softcap, sinks
    )
    start, stop = readout.spans[..., None].unbind(-2)
    inside = (start <= tree.depth[keys]) & (tree.depth[keys] < stop)
    mass = einsum(pattern, inside.to(pattern), "h r k, r s k -> h r s")
    if not readout.reads_flow:
        return mass, None
    shares = [weigh_values(pattern * one.to(pattern), v[:, keys]) for one in inside.unbind(1)]
    return mass, torch.stack(shares, 2)


def read_many_rows(
    q: Float[Tensor, "head query d_head"],
    k: Float[Tensor, "kv_head pos d_head"],
    tree: Tree,
    scale: float,
    queries: Int[Tensor, " query"],
    window: int | None,
    readout: Readout,
) -> Float[Tensor, "head row span"]:
    """The mass of many rows: the output of attention whose values are one-hot vectors of each key's stretch.

    Stretches lie between neighbouring borders of all spans, so the mass of a span is a difference of running sums.
    """
    width = q.shape[-1]
    borders = readout.spans.unique()
    stretch = torch.searchsorted(borders, tree.depth, right=True)
    tiles = -(-(len(borders) + 1) // width)
    values = one_hot(stretch, tiles * width).to(q).view(-1, tiles, width)
    at = torch.searchsorted(queries, readout.rows.contiguous())
    running = []
    for block in get_blocks(tree, queries, window, q.dtype):
        if ((at >= block.start) & (at < block.stop)).any():
            rows, keys = q[:, block.start : block.stop], block.select_keys(k)
            tile = [
                attend_block(rows, keys, block.select_keys(values[:, i].expand(k.shape[0], -1, -1)), block, scale)
                for i in range(tiles)
            ]
            running.append(torch.cat(tile, -1).cumsum(-1))
        else:
            running.append(q.new_zeros(q.shape[0], block.stop - block.start, tiles * width))
    sums = torch.cat(running, 1)[:, at]
    # stretches 0 .. i are the depths below border i, so the running sum at i is the mass below that border
    ends = torch.searchsorted(borders, readout.spans.contiguous()).expand(q.shape[0], -1, -1, -1)
    sums = sums.gather(-1, ends.flatten(-2)).view(ends.shape)
    return sums[..., 1] - sums[..., 0]
