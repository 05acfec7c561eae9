"""Which tiles of keys each block of queries reads, with masks: computed once for all layers and heads.

1. Queries are cut into blocks and keys into tiles, both of fixed size.
2. A tile without a visible pair of query and key is left out.
3. The first run of neighbouring tiles that are visible as a whole needs no mask (`common_run`).
4. All other tiles of the block are listed with the number of their mask; mask 0 is for tiles visible as a whole.

For example, six rows of one causal sequence, with blocks of 2 queries and tiles of 2 keys (o: visible)::

    query   keys 0 1   2 3   4 5
      0          o .   . .   . .      block 0: no run,      tile 0 with mask 1
      1          o o   . .   . .
      2          o o   o .   . .      block 1: run [0, 2),  tile 1 with mask 2
      3          o o   o o   . .
      4          o o   o o   o .      block 2: run [0, 4),  tile 2 with mask 3
      5          o o   o o   o o
"""

from collections.abc import Callable
from typing import Any, NamedTuple
from weakref import WeakKeyDictionary

import torch
from einops import rearrange
from jaxtyping import Bool, Int
from torch import Tensor
from torch.nn.functional import pad

from faithlens.kernels.tree_attention.tree import Readout, Tree

CHUNK_PAIRS = 1 << 28  # pairs of query and key in one chunk of `cut_tiles`


class TileShape(NamedTuple):
    """A tile of scores, and how a GPU works on it.

    Attributes:
        queries: rows of a tile.
        keys: columns of a tile.
        warps: groups of 32 threads.
        stages: tiles of keys and values that are loaded at the same time.
        registers: the most registers of a thread, so that two blocks share a processor; None: the compiler decides.
    """

    queries: int
    keys: int
    warps: int
    stages: int
    registers: int | None = None


def choose_shape(width: int, like: Tensor) -> TileShape:
    """A shape that fits the registers and shared memory of a GPU, for heads of that width.

    The shapes were measured on an H200. `tests/kernels/compile.py` compiles them for older GPUs, where they must fit.
    """
    recent = not like.is_cuda or torch.cuda.get_device_capability(like.device) >= (9, 0)
    if like.dtype in (torch.float16, torch.bfloat16):
        return TileShape(128, 64, 8, 2, 128 if recent else None) if width <= 128 else TileShape(64, 64, 8, 2)
    if recent:
        return TileShape(128, 32, 8, 2) if width <= 128 else TileShape(32, 32, 4, 1)
    return (
        TileShape(64, 32, 4, 1) if width <= 64 else TileShape(32, 32, 4, 1) if width <= 128 else TileShape(16, 16, 4, 1)
    )


class BlockTiles(NamedTuple):
    """Blocks of queries, and the tiles of keys that each block reads.

    Attributes:
        common_run: for each block the interval of keys, in whole tiles, that all of its queries see.
        tiles: the other tiles with a visible pair, in one list: the number of the tile, and the number of its mask.
        first: the place in `tiles` where the tiles of each block start; one more entry marks the end.
        masks: which query sees which key; mask 0 is for tiles that are visible as a whole.
        seen_keys: for each mask, which keys are visible to some query.
    """

    common_run: Int[Tensor, "block two"]
    tiles: Int[Tensor, "tile two"]
    first: Int[Tensor, " border"]
    masks: Bool[Tensor, "mask row key"]
    seen_keys: Bool[Tensor, "mask key"]


class SortedReadout(NamedTuple):
    """A readout in the form that the kernel needs.

    Attributes:
        rows: the rows that are read, sorted.
        row_numbers: for each row of the readout, its place in `rows`.
        key_places: for each key, the number of the stretch that it lies in, or its depth if flow is read.
        borders: the depths between the stretches.
    """

    rows: Int[Tensor, " query"]
    row_numbers: Int[Tensor, " row"]
    key_places: Int[Tensor, " pos"]
    borders: Int[Tensor, " border"]


_MADE: WeakKeyDictionary[Tree, dict[object, Any]] = WeakKeyDictionary()


def get_or_make(tree: Tree, key: object, make: Callable[[], Any]) -> Any:
    """The cached result of `make`: made once for all layers and heads, and deleted with the tree."""
    cache = _MADE.setdefault(tree, {})
    if key not in cache:
        cache[key] = make()
    return cache[key]


def order_keys(tree: Tree, shape: TileShape) -> Int[Tensor, " pos"] | None:
    """An order of the keys: first keys with many rows below them, such as a chain of thought, then the others.

    If answers follow every step, hardly any tile in packed order is visible as a whole. None: the packed order itself.
    """
    order = (tree.visible_until - tree.all_rows < shape.keys).int().argsort(stable=True)
    return None if torch.equal(order, tree.all_rows) else order


def sort_readout(tree: Tree, readout: Readout) -> SortedReadout:
    """The rows of a readout, sorted, and the stretches between the borders of its spans."""
    if readout.reads_flow:  # a row may be listed twice, with other spans each time
        rows, order = readout.rows.sort()
        return SortedReadout(rows, order.argsort(), tree.depth, rows)
    rows, which = readout.rows.unique(return_inverse=True)
    borders = readout.spans.unique()
    return SortedReadout(rows, which, torch.searchsorted(borders, tree.depth, right=True), borders)


def cut_tiles(
    tree: Tree, rows: Int[Tensor, " query"], keys: Int[Tensor, " pos"], window: int | None, shape: TileShape
) -> BlockTiles:
    """Cut sorted `rows` into blocks, and find the tiles of `keys`, in the order given, that each block reads."""
    every = torch.ones(1, shape.queries, shape.keys, dtype=torch.bool, device=rows.device)
    chunk = max(1, CHUNK_PAIRS // (shape.queries * len(tree))) * shape.queries
    parts = [find_tiles(tree, some, keys, window, shape) for some in rows.split(chunk)]
    run, lengths, tile, whole, partial = (torch.cat(part) for part in zip(*parts, strict=True))
    number = torch.where(whole, 0, (~whole).cumsum(0))
    masks = torch.cat([every, partial])
    first = pad(lengths.cumsum(0), (1, 0))
    return BlockTiles(run.int(), torch.stack([tile, number], 1).int(), first.int(), masks, masks.any(1))


def find_tiles(
    tree: Tree, rows: Int[Tensor, " query"], keys: Int[Tensor, " pos"], window: int | None, shape: TileShape
) -> tuple[
    Int[Tensor, "block two"],
    Int[Tensor, " block"],
    Int[Tensor, " tile"],
    Bool[Tensor, " tile"],
    Bool[Tensor, "mask row key"],
]:
    """For each block its run and its count of other tiles; then for these their numbers, whether whole, and masks."""
    blocks, count = -(-len(rows) // shape.queries), -(-len(tree) // shape.keys)
    idle = blocks * shape.queries - len(rows)
    seen = tree.compute_visible(rows, keys, window)
    seen = pad(seen, (0, count * shape.keys - len(tree), 0, idle))
    seen = rearrange(seen, "(block query) (tile key) -> block tile query key", query=shape.queries, key=shape.keys)
    is_needed, whole = seen.any(-1).any(-1), seen.all(-1)
    whole[-1, :, shape.queries - idle :] = True  # rows that fill up the last block see nothing, and do not count
    whole = whole.all(-1)
    number = torch.arange(count, device=rows.device)
    start = torch.where(whole, number, count).amin(1)
    stop = torch.where(~whole & (number > start[:, None]), number, count).amin(1)
    is_needed &= (number < start[:, None]) | (number >= stop[:, None])
    block, tile = is_needed.nonzero(as_tuple=True)
    rest = ~whole[block, tile]
    run = torch.stack([start, stop], 1) * shape.keys
    return run, is_needed.sum(1), tile, ~rest, seen[block[rest], tile[rest]]
