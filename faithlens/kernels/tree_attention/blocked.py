"""Tree attention in blocks of queries: each block reads only the keys that some of its queries see.

1. The queries are cut into blocks with their visible keys and masks, once for all layers (`blocks.py`).
2. The output of a block comes from torch's fused scaled-dot-product attention.
3. The span mass of few rows comes from an explicit softmax over them. The span mass of many rows comes from a second
   fused call, whose values say in which stretch of depths a key lies.

No tensor is quadratic in the packed length, except the masks of the other blocks, which hold visible keys only.

For example of step 3, one row at depth 3 with the spans [0, 2) and [1, 4)::

    borders of the spans             0, 1, 2, 4
    stretches of key depths 0 to 3   1, 2, 3, 3
    attention on the keys            0.1, 0.2, 0.3, 0.4
    masses of stretches 0 to 3       0, 0.1, 0.2, 0.7
    their running sums               0, 0.1, 0.3, 1.0        the masses below each border
    masses of the spans              0.3 - 0 = 0.3 and 1.0 - 0.1 = 0.9
"""

from collections.abc import Iterator
from functools import partial
from typing import NamedTuple

import torch
from einops import einsum, rearrange
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention

from faithlens.kernels.tree_attention.blocks import Block, Queries, get_blocks, get_or_make, get_start, make_mask
from faithlens.kernels.tree_attention.tree import (
    AttentionOutput,
    Readout,
    Tree,
    find_candidates,
    find_queries,
    pool_readers,
)

READ_ROWS = 64  # the most read rows in one [head, row, key] softmax; for more rows a fused call is faster


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
    if len(parts) == 1:
        return parts[0]
    if torch.is_grad_enabled() and any(part.requires_grad for part in parts):
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
    columns = torch.arange(tiles * width, device=q.device).view(tiles, width)
    first = get_start(queries)
    at = find_queries(queries, readout.rows) + first
    sums = q.new_empty(q.shape[0], len(at), tiles * width)
    for block in get_blocks(tree, queries, window, q):
        here = ((at >= block.start) & (at < block.stop)).nonzero()[:, 0]
        if len(here):
            rows, keys = q[:, block.start - first : block.stop - first], block.select_keys(k)
            own = block.select_keys(stretch[None])[0]  # of all keys of the pass, a block sees few
            tile = [
                attend_block(rows, keys, (own[:, None] == column).to(q).expand(k.shape[0], -1, -1), block, scale)
                for column in columns
            ]
            mass = torch.cat(tile, -1)[:, (at[here] - block.start).to(q.device)]
            sums[:, here.to(q.device)] = mass.detach().cumsum(-1)
    # stretches 0 .. i are the depths below border i, so the running sum at i is the mass below that border
    ends = torch.searchsorted(borders, spans.contiguous()).expand(q.shape[0], -1, -1, -1).to(q.device)
    sums = sums.gather(-1, ends.flatten(-2)).view(ends.shape)
    return sums[..., 1] - sums[..., 0]
