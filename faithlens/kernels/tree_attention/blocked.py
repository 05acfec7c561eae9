"""Tree attention in blocks of queries: each block reads only the keys that some of its queries see.

1. `split_queries` cuts the queries into blocks, at the borders of the tree, and at the ends of branches where that
   saves work. A range of rows is made of the blocks between borders, which are cut once for all calls.
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

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from typing import Any, NamedTuple
from weakref import WeakKeyDictionary

import torch
from einops import einsum, rearrange
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn.functional import one_hot, scaled_dot_product_attention

from faithlens.kernels.tree_attention.tree import (
    AttentionOutput,
    Readout,
    Tree,
    find_candidates,
    find_queries,
    list_rows,
    pool_readers,
)

BLOCK_QUERIES = 128  # the most queries in a block: many enough for the fused kernel, few enough to skip unseen keys
CALL_COST = 2048  # the fixed cost of a block, in pairs of query and key
READ_ROWS = 64  # the most read rows in one [head, row, key] softmax; for more rows a fused call is faster

Queries = range | Int[Tensor, " query"]


@dataclass(frozen=True)
class Block:
    """The queries number `start` to `stop - 1` and the keys that they see.

    Attributes:
        start: the first query, counted from `get_start` on.
        stop: the query after the last one.
        keys: the rows of the keys; None stands for the first rows, as many as the mask is wide.
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


class ReadRows(NamedTuple):
    """Few rows of a readout.

    Attributes:
        numbers: their numbers among the queries.
        spans: their spans.
        keys: the rows of the keys that some of them see.
        depth: the depths of these.
        mask: 0 for a visible pair, minus infinity for a hidden one.
    """

    numbers: Int[Tensor, " row"]
    spans: Int[Tensor, "row span two"]
    keys: Int[Tensor, " key"]
    depth: Int[Tensor, " key"]
    mask: Float[Tensor, "row key"]


_MADE: WeakKeyDictionary[Tree, dict[object, tuple[object, Any]]] = WeakKeyDictionary()


def get_or_make(tree: Tree, key: tuple, owner: object, make: Callable[[], Any]) -> Any:
    """What `make` makes: made once for all layers, and deleted with the tree.

    `owner` is kept too, so that no other object gets its id, which is a part of `key`.
    """
    made = _MADE.setdefault(tree, {})
    if key not in made:
        made[key] = owner, make()
    return made[key][1]


def get_blocks(tree: Tree, queries: Queries, window: int | None, like: Tensor) -> list[Block]:
    """The blocks of `queries`, on the device and in the precision of `like`."""
    if not isinstance(queries, range):
        key = ("rows", id(queries), window, like.dtype, like.device)
        return get_or_make(tree, key, queries, partial(cut_blocks, tree, queries, window, like))
    inner = sorted({border for border in tree.borders if queries.start < border < queries.stop})
    out = []
    for first, last in pairwise([queries.start, *inner, queries.stop]):
        key, rows = ("range", first, last, window, like.dtype, like.device), range(first, last)
        out += get_or_make(tree, key, None, partial(cut_blocks, tree, rows, window, like))
    return out


def cut_blocks(tree: Tree, queries: Queries, window: int | None, like: Tensor) -> list[Block]:
    """Cut queries into blocks with their visible keys."""
    n = len(tree)
    windowed = window is not None and window < n
    if len(queries) == n and not windowed and is_causal_row(tree):
        return [Block(0, n, None, None, None)]
    key, most_keys = ("strip", window, like.dtype, like.device), int(tree.depth.max()) + 1
    strip = get_or_make(tree, key, None, partial(make_strip, most_keys, window, like))
    rows, first = list_rows(queries), get_start(queries)
    return [
        make_block(tree, rows[start:stop], start + first, window, strip) for start, stop in split_queries(tree, rows)
    ]


def get_start(queries: Queries) -> int:
    """The number of the first query: blocks of a range have the numbers of its rows, others begin with 0."""
    return queries.start if isinstance(queries, range) else 0


def make_strip(most_keys: int, window: int | None, like: Tensor) -> Float[Tensor, "..."]:
    """The masks of all chains: each query sees itself and what is before it, and the last keys are the queries.

    For example, with blocks of 2 queries and at most 3 keys: the mask of 2 queries and 3 keys is the columns 2 to 4,
    and that of 1 query and 3 keys is the first row of the columns 1 to 3::

        column     0    1    2    3    4
        query 0    o    o    o    o    .
        query 1    o    o    o    o    o
    """
    ahead = torch.arange(most_keys + BLOCK_QUERIES) - most_keys
    ahead = ahead - torch.arange(BLOCK_QUERIES)[:, None]  # of each key, to each query
    return make_mask(ahead <= 0 if window is None else (ahead <= 0) & (ahead > -window), like)


def make_mask(seen: Bool[Tensor, "query key"], like: Tensor) -> Float[Tensor, "query key"]:
    """An additive mask on the device of `like`: 0 for a visible pair, minus infinity for a hidden one."""
    return torch.where(seen, torch.zeros((), dtype=like.dtype), -torch.inf).to(like.device)


def make_block(
    tree: Tree, rows: Int[Tensor, " query"], start: int, window: int | None, strip: Float[Tensor, "..."]
) -> Block:
    """The block of the queries from number `start` on, which are `rows`, with the keys that some of them see."""
    n, keys = len(rows), find_candidates(tree, rows, window)
    trunk = len(keys) > 0 and int(keys[-1]) == len(keys) - 1  # the keys are the first rows, so they need no gather
    gathered = None if trunk else keys.to(strip.device)
    if is_chain(tree, rows):
        first = strip.shape[1] - BLOCK_QUERIES + n - len(keys)
        return Block(start, start + n, gathered, strip[:n, first : first + len(keys)], None)
    seen = tree.compute_visible(rows, keys, window)
    blind = (~seen.any(1)).to(strip.device)
    return Block(start, start + n, gathered, make_mask(seen, strip), None if seen.any(1).all() else blind)


def is_chain(tree: Tree, rows: Int[Tensor, " query"]) -> bool:
    """Whether each of the sorted `rows` is the child of the one before it, and sees all of its ancestors only."""
    places, (hidden, grafts) = tree.places[rows], (x[rows] for x in (tree.hidden, tree.grafts))
    if not all((x.diff() == 1).all() for x in (rows, places)) or not (tree.visible_until[rows] > places[-1]).all():
        return False
    return not any((x[..., 1] > x[..., 0]).any() for x in (hidden, grafts))


def split_queries(tree: Tree, queries: Int[Tensor, " query"]) -> list[tuple[int, int]]:
    """Cut queries into blocks of at most `BLOCK_QUERIES`, at the ends of branches where that leaves fewer pairs.

    A block computes every pair of its queries and of the keys that some of them see: all ancestors of the deepest
    query, and the rows of the block. So branches share a block only if they are short.
    """
    depth = tree.depth[queries]
    broken = (tree.places[queries].diff() != 1) | (depth.diff() != 1)  # the next query is not the child of this one
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
    queries: Queries,
    window: int | None,
    softcap: float | None,
    sinks: Float[Tensor, " head"] | None,
    readout: Readout | None,
    mass: Float[Tensor, "head reader span"] | None,
) -> AttentionOutput:
    """See `tree_attention`."""
    plain, first = softcap is None and sinks is None, get_start(queries)
    parts = []
    for block in get_blocks(tree, queries, window, q):
        rows = q[:, block.start - first : block.stop - first]
        if plain:
            part = attend_block(rows, block.select_keys(k), block.select_keys(v), block, scale)
        else:
            pattern = softmax(rows, block.select_keys(k), expand_mask(block, q), scale, softcap, sinks)
            part = weigh_values(pattern, block.select_keys(v))
        parts.append(part)
    out = join_parts(parts)
    if readout is None:
        return AttentionOutput(out)
    if plain and not readout.reads_flow and len(readout.rows) > READ_ROWS:
        return AttentionOutput(
            out, pool_readers(read_many_rows(q, k, tree, scale, queries, window, readout), readout, mass)
        )
    pieces = [
        read_rows(q, k, v, read, scale, softcap, sinks, readout.reads_flow)
        for read in list_read_rows(tree, queries, window, readout, q)
    ]
    flow = torch.cat([flow for _, flow in pieces if flow is not None], 1) if readout.reads_flow else None
    return AttentionOutput(out, pool_readers(torch.cat([part for part, _ in pieces], 1), readout, mass), flow)


def join_parts(parts: list[Tensor]) -> Float[Tensor, "head query d_head"]:
    """The outputs of blocks, one after the other; in memory the heads of a query lie side by side."""
    if len(parts) == 1 or (torch.is_grad_enabled() and any(part.requires_grad for part in parts)):
        return torch.cat(parts, 1)
    heads, _, width = parts[0].shape
    out = parts[0].new_empty(sum(part.shape[1] for part in parts), heads, width)
    torch.cat([part.transpose(0, 1) for part in parts], out=out)
    return out.transpose(0, 1)


def attend_block(q: Tensor, k: Tensor, v: Tensor, block: Block, scale: float) -> Float[Tensor, "head query d_head"]:
    """Torch's fused attention over one block."""
    group = k.shape[0] != q.shape[0]
    out = scaled_dot_product_attention(
        q[None], k[None], v[None], block.mask, is_causal=block.mask is None, scale=scale, enable_gqa=group
    )[0]
    return out if block.blind_queries is None else out.masked_fill(block.blind_queries[:, None], 0)


def expand_mask(block: Block, like: Tensor) -> Float[Tensor, "query key"]:
    """The mask of the block, also where it is causal."""
    if block.mask is not None:
        return block.mask
    n = block.stop
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


def list_read_rows(
    tree: Tree, queries: Queries, window: int | None, readout: Readout, like: Tensor
) -> Iterator[ReadRows]:
    """The rows of a readout, a few at a time; if they are few in all, they are found once for all layers."""
    for numbers in torch.arange(len(readout.rows)).split(READ_ROWS):
        make = partial(find_read_rows, tree, queries, window, readout, numbers, like)
        if len(readout.rows) > READ_ROWS:
            yield make()
        else:
            which = (queries.start, queries.stop) if isinstance(queries, range) else id(queries)
            key = ("readout", id(readout), which, window, like.dtype, like.device)
            yield get_or_make(tree, key, (queries, readout), make)


def find_read_rows(
    tree: Tree, queries: Queries, window: int | None, readout: Readout, numbers: Int[Tensor, " row"], like: Tensor
) -> ReadRows:
    """The rows of a readout with these numbers."""
    rows, device = readout.rows[numbers], like.device
    keys = find_candidates(tree, rows.unique(), window)
    mask = make_mask(tree.compute_visible(rows, keys, window), like)
    at, spans, depth = find_queries(queries, rows), readout.spans[readout.readers[numbers]], tree.depth[keys]
    return ReadRows(at.to(device), spans.to(device), keys.to(device), depth.to(device), mask)


def read_rows(
    q: Float[Tensor, "head query d_head"],
    k: Float[Tensor, "kv_head pos d_head"],
    v: Float[Tensor, "kv_head pos d_head"],
    read: ReadRows,
    scale: float,
    softcap: float | None,
    sinks: Float[Tensor, " head"] | None,
    reads_flow: bool,
) -> tuple[Float[Tensor, "head row span"], Float[Tensor, "head row span d_head"] | None]:
    """The mass of few rows on spans of their own sequences and, with `reads_flow`, their weighted values."""
    pattern = softmax(q[:, read.numbers], k[:, read.keys], read.mask, scale, softcap, sinks)
    start, stop = read.spans[..., None].unbind(-2)
    inside = (start <= read.depth) & (read.depth < stop)
    mass = einsum(pattern, inside.to(pattern), "h r k, r s k -> h r s")
    if not reads_flow:
        return mass, None
    shares = [weigh_values(pattern * one.to(pattern), v[:, read.keys]) for one in inside.unbind(1)]
    return mass, torch.stack(shares, 2)


def read_many_rows(
    q: Float[Tensor, "head query d_head"],
    k: Float[Tensor, "kv_head pos d_head"],
    tree: Tree,
    scale: float,
    queries: Queries,
    window: int | None,
    readout: Readout,
) -> Float[Tensor, "head row span"]:
    """The mass of many rows: the output of attention whose values are one-hot vectors of each key's stretch.

    Stretches lie between neighbouring borders of all spans, so the mass of a span is a difference of running sums.
    """
    width, spans = q.shape[-1], readout.spans[readout.readers]
    borders = spans.unique()
    stretch = torch.searchsorted(borders, tree.depth[: k.shape[1]], right=True).to(q.device)
    tiles = -(-(len(borders) + 1) // width)
    values = one_hot(stretch, tiles * width).to(q).view(-1, tiles, width)
    first = get_start(queries)
    at = find_queries(queries, readout.rows) + first
    sums = q.new_empty(q.shape[0], len(at), tiles * width)
    for block in get_blocks(tree, queries, window, q):
        here = ((at >= block.start) & (at < block.stop)).nonzero()[:, 0]
        if len(here):
            rows, keys = q[:, block.start - first : block.stop - first], block.select_keys(k)
            tile = [
                attend_block(rows, keys, block.select_keys(values[:, i].expand(k.shape[0], -1, -1)), block, scale)
                for i in range(tiles)
            ]
            mass = torch.cat(tile, -1)[:, (at[here] - block.start).to(q.device)]
            sums[:, here.to(q.device)] = mass.detach().cumsum(-1)
    # stretches 0 .. i are the depths below border i, so the running sum at i is the mass below that border
    ends = torch.searchsorted(borders, spans.contiguous()).expand(q.shape[0], -1, -1, -1).to(q.device)
    sums = sums.gather(-1, ends.flatten(-2)).view(ends.shape)
    return sums[..., 1] - sums[..., 0]
