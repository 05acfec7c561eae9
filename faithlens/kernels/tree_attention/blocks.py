"""Queries cut into blocks with the keys that some of them see, and an additive mask.

1. `split_queries` cuts the queries into blocks, at the borders of the tree, and at the ends of branches where that
   saves work. A range of rows is made of the blocks between borders, which are cut once for all calls.
2. Each block gets its visible keys and a mask; both are made once for all layers. If each query of a block is the child
   of the one before it, and nothing is hidden or grafted, the mask is a part of one strip (`make_strip`).
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np
import torch
from jaxtyping import Bool, Float, Int, Shaped
from numpy import ndarray
from torch import Tensor

from faithlens.kernels.tree_attention.tree import Tree, find_candidates, list_rows

BLOCK_QUERIES = 128  # the most queries in a block: many enough for the fused kernel, few enough to skip unseen keys
CALL_COST = 2048  # the fixed cost of a block, in pairs of query and key

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

    def select_keys(self, x: Shaped[Tensor, "kv_head pos ..."]) -> Shaped[Tensor, "kv_head key ..."]:
        """The keys of the block, their values, or one number for each of them."""
        if self.keys is not None:
            return x[:, self.keys]
        return x if self.mask is None else x[:, : self.mask.shape[1]]


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
        make_block(tree, rows[start:stop], start + first, window, strip) for start, stop, _ in split_queries(tree, rows)
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


def count_mask_numbers(tree: Tree, queries: Queries) -> int:
    """How many numbers the masks have that blocks of `queries` make for themselves: those of a chain share a strip."""
    rows = list_rows(queries)
    return sum(
        (stop - start) * keys for start, stop, keys in split_queries(tree, rows) if not is_chain(tree, rows[start:stop])
    )


def split_queries(tree: Tree, queries: Int[Tensor, " query"]) -> list[tuple[int, int, int]]:
    """Cut queries into blocks of at most `BLOCK_QUERIES`, at the ends of branches where that leaves fewer pairs.

    For each block the numbers of its first query and of the one after its last, and how many keys its queries see.

    A block computes every pair of its queries and of the keys that some of them see. So branches share a block only if
    they are short, or have most of their ancestors in common.
    """
    depth, new = tree.depth[queries].numpy(), count_new_keys(tree, queries)
    broken = (tree.places[queries].diff() != 1).numpy() | (np.diff(depth) != 1)  # no child of the query before it
    borders = [0, *(broken.nonzero()[0] + 1).tolist(), len(queries)]
    out: list[tuple[int, int, int]] = []
    for a, b in pairwise(borders):
        for start in range(a, b, BLOCK_QUERIES):
            stop = min(b, start + BLOCK_QUERIES)
            alone = int(depth[start]) + stop - start
            if out and stop - out[-1][0] <= BLOCK_QUERIES:
                first, last, keys = out[-1]
                joined = keys + int(new[start]) + stop - start - 1
                if (stop - first) * joined <= (last - first) * keys + (stop - start) * alone + CALL_COST:
                    out[-1] = first, stop, joined
                    continue
            out.append((start, stop, alone))
    return out


def count_new_keys(tree: Tree, queries: Int[Tensor, " query"]) -> Int[ndarray, " query"]:
    """For each query, how many keys (its ancestors and itself) are not among those of the query before it.

    Go through the tree by place, from the row after the first query to the second query. The lowest depth on this way
    is the number of keys that both see: it is that of the row whose parent is their last common ancestor. For example,
    after c of the sequences "a b c" and "a b d e" come d (depth 2) and e (depth 3). So c and e have 2 keys in common, a
    and b, and e has 2 new ones, d and e.
    """
    places, new = tree.places[queries].numpy(), tree.depth[queries].numpy() + 1
    follows = places[1:] > places[:-1]  # else nothing is known to be shared
    ways = np.stack([places[:-1], places[1:]], 1)[follows] + 1
    depths = get_or_make(tree, ("depths by place",), None, partial(sort_depths, tree))
    new[1:][follows] -= np.minimum.reduceat(depths, ways.reshape(-1))[::2] if len(ways) else 0
    return new


def sort_depths(tree: Tree) -> Int[ndarray, " place"]:
    """The depth of the row at each place, and a zero behind the last."""
    depths = np.zeros(int(tree.places.max()) + 2, np.int64)
    depths[tree.places.numpy()] = tree.depth.numpy()
    return depths


def is_causal_row(tree: Tree) -> bool:
    """Whether the row is one sequence without hidden intervals and grafts."""
    plain = bool((tree.visible_until == len(tree)).all()) and not (tree.hidden[..., 1] > tree.hidden[..., 0]).any()
    return plain and tree.grafts.numel() == 0
