"""Tree attention in blocks of queries: each block meets only the keys that some query of it can see.

The output comes from torch's fused scaled-dot-product attention, block by block; the span mass from an explicit
softmax over the few rows that are read. No tensor here is quadratic in the packed length except the additive masks,
one per block, restricted to visible keys and shared by all layers.
"""

from dataclasses import dataclass
from weakref import WeakKeyDictionary

import torch
from einops import einsum, rearrange
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention

from faithlens.kernels.tree_attention.tree import Readout, Tree

BLOCK = 512  # queries a block: wide enough for the fused kernel, narrow enough to skip foreign subtrees
ROWS = 64  # read rows a chunk: bounds the [head, row, key] softmax


@dataclass(frozen=True)
class Block:
    """Queries `start .. stop - 1`, the packed indices of the keys they can see, and the additive mask between them."""

    start: int
    stop: int
    keys: Int[Tensor, " key"]
    mask: Float[Tensor, "query key"]


def additive(tree: Tree, queries: Tensor, keys: Tensor, window: int | None, dtype: torch.dtype) -> Tensor:
    """0 where a query sees a key, minus infinity elsewhere."""
    zero = torch.zeros((), dtype=dtype, device=queries.device)
    return torch.where(tree.visible(queries, keys, window), zero, -torch.inf)


_KEPT: WeakKeyDictionary[Tree, dict[tuple[int | None, torch.dtype], list[Block]]] = WeakKeyDictionary()


def blocks(tree: Tree, window: int | None, dtype: torch.dtype) -> list[Block]:
    """A tree cut into query blocks with their visible keys; made once for all layers, and gone with the tree."""
    kept = _KEPT.setdefault(tree, {})
    if (window, dtype) not in kept:
        kept[window, dtype] = cut(tree, window, dtype)
    return kept[window, dtype]


def cut(tree: Tree, window: int | None, dtype: torch.dtype) -> list[Block]:
    """Cut a tree into query blocks with their visible keys."""
    out = []
    for start in range(0, len(tree), BLOCK):
        stop = min(start + BLOCK, len(tree))
        queries = torch.arange(start, stop, device=tree.depth.device)
        keys = (tree.visible_until[:stop] > start).nonzero()[:, 0]
        out.append(Block(start, stop, keys, additive(tree, queries, keys, window, dtype)))
    return out


def attend(
    q: Float[Tensor, "head pos d_head"],
    k: Float[Tensor, "kv_head pos d_head"],
    v: Float[Tensor, "kv_head pos d_head"],
    tree: Tree,
    scale: float,
    window: int | None = None,
    readout: Readout | None = None,
) -> tuple[Float[Tensor, "head pos d_head"], Float[Tensor, "head row span"] | None]:
    """See `tree_attention`."""
    out = torch.empty_like(q)
    for block in blocks(tree, window, q.dtype):
        whole = len(block.keys) == block.stop  # most blocks of a trunk: no gather needed
        keys, values = (x[:, : block.stop] if whole else x[:, block.keys] for x in (k, v))
        out[:, block.start : block.stop] = scaled_dot_product_attention(
            q[None, :, block.start : block.stop], keys[None], values[None], block.mask, scale=scale, enable_gqa=True
        )[0]
    if readout is None:
        return out, None
    chunks = [
        span_mass(q, k, tree, scale, window, Readout(rows, spans))
        for rows, spans in zip(readout.rows.split(ROWS), readout.spans.split(ROWS), strict=True)
    ]
    return out, torch.cat(chunks, dim=1)


def span_mass(
    q: Float[Tensor, "head pos d_head"],
    k: Float[Tensor, "kv_head pos d_head"],
    tree: Tree,
    scale: float,
    window: int | None,
    readout: Readout,
) -> Float[Tensor, "head row span"]:
    """The attention mass of few rows on spans of their own sequences."""
    grouped = rearrange(q[:, readout.rows], "(kv group) row d -> kv (group row) d", kv=k.shape[0])
    scores = rearrange(grouped @ k.mT, "kv (group row) key -> (kv group) row key", row=len(readout.rows)) * scale
    everywhere = torch.arange(len(tree), device=q.device)
    pattern = (scores + additive(tree, readout.rows, everywhere, window, q.dtype)).softmax(-1)
    start, stop = readout.spans[..., None].unbind(-2)
    inside = (start <= tree.depth) & (tree.depth < stop)
    return einsum(pattern, inside.to(pattern), "h r k, r s k -> h r s")
