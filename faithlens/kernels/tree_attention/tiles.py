"""Which tiles of keys each block of queries meets, with masks: found once for all layers and heads."""

from collections.abc import Callable
from typing import Any, NamedTuple
from weakref import WeakKeyDictionary

import torch
from einops import rearrange
from jaxtyping import Bool, Int
from torch import Tensor
from torch.nn.functional import pad

from faithlens.kernels.tree_attention.tree import Readout, Tree

CHUNK_PAIRS = 1 << 28  # pairs of query and key looked at in one go


class TileShape(NamedTuple):
    """A tile of scores, and what works on it.

    Attributes:
        queries: rows of a tile.
        keys: columns of a tile.
        warps: groups of 32 threads.
        stages: tiles of keys and values that are on their way at once.
        registers: most that a thread may take, so that two blocks share a processor; None leaves it to the compiler.
    """

    queries: int
    keys: int
    warps: int
    stages: int
    registers: int | None = None


def choose_shape(width: int, like: Tensor) -> TileShape:
    """What fits a GPU's registers and shared memory, for heads of that width.

    Chosen on an H200; that older GPUs too have room for it is seen by compiling for them (`tests/kernels/compile.py`).
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
    """Blocks of queries, and the keys that each meets, in whole tiles.

    Attributes:
        common_run: for each block a run of keys, from tile border to tile border, that all of its queries see.
        tiles: the other tiles of which some query sees something, in one list: a tile's number, and that of its mask.
        first: where each block's tiles begin; one more entry at the end.
        masks: which query sees which key; number 0 is for tiles of which every query sees everything.
        seen_keys: which keys are seen by any query.
    """

    common_run: Int[Tensor, "block two"]
    tiles: Int[Tensor, "tile two"]
    first: Int[Tensor, " border"]
    masks: Bool[Tensor, "mask row key"]
    seen_keys: Bool[Tensor, "mask key"]


class SortedReadout(NamedTuple):
    """A readout, as the kernel reads it.

    Attributes:
        rows: what is read, in order.
        row_numbers: of the readout's rows, where each is among these.
        key_places: of each key the number of the stretch it lies in or, if values are read, its depth.
        borders: between the stretches.
    """

    rows: Int[Tensor, " query"]
    row_numbers: Int[Tensor, " row"]
    key_places: Int[Tensor, " pos"]
    borders: Int[Tensor, " border"]


_MADE: WeakKeyDictionary[Tree, dict[object, Any]] = WeakKeyDictionary()


def get_or_make(tree: Tree, key: object, make: Callable[[], Any]) -> Any:
    """What is made once for all layers and heads, and gone with the tree."""
    kept = _MADE.setdefault(tree, {})
    if key not in kept:
        kept[key] = make()
    return kept[key]


def order_keys(tree: Tree, shape: TileShape) -> Int[Tensor, " pos"] | None:
    """The keys' order: first those of long stretches, such as a chain of thought, then those that few rows may see.

    Where answers hang from every step, hardly a tile would else be seen as a whole. None stands for the packed order.
    """
    order = (tree.visible_until - tree.all_rows < shape.keys).int().argsort(stable=True)
    return None if torch.equal(order, tree.all_rows) else order


def sort_readout(tree: Tree, readout: Readout) -> SortedReadout:
    """A readout's rows in order, and stretches between the borders of its spans."""
    if readout.reads_flow:  # a row that is read twice has spans of its own each time
        rows, order = readout.rows.sort()
        return SortedReadout(rows, order.argsort(), tree.depth, rows)
    rows, which = readout.rows.unique(return_inverse=True)
    borders = readout.spans.unique()
    return SortedReadout(rows, which, torch.searchsorted(borders, tree.depth, right=True), borders)


def cut_tiles(
    tree: Tree, rows: Int[Tensor, " query"], keys: Int[Tensor, " pos"], window: int | None, shape: TileShape
) -> BlockTiles:
    """Cut sorted `rows` into blocks, and find which of the `keys`, in their order, each meets."""
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
    """Each block's run; how many other tiles it meets, which, and which of them wholly; and the masks of the rest."""
    blocks, count = -(-len(rows) // shape.queries), -(-len(tree) // shape.keys)
    idle = blocks * shape.queries - len(rows)
    seen = tree.compute_visible(rows, keys, window)
    seen = pad(seen, (0, count * shape.keys - len(tree), 0, idle))
    seen = rearrange(seen, "(block query) (tile key) -> block tile query key", query=shape.queries, key=shape.keys)
    met, whole = seen.any(-1).any(-1), seen.all(-1)
    whole[-1, :, shape.queries - idle :] = True  # the last block's idle rows see nothing, and do not matter
    whole = whole.all(-1)
    number = torch.arange(count, device=rows.device)
    start = torch.where(whole, number, count).amin(1)
    stop = torch.where(~whole & (number > start[:, None]), number, count).amin(1)
    met &= (number < start[:, None]) | (number >= stop[:, None])
    block, tile = met.nonzero(as_tuple=True)
    rest = ~whole[block, tile]
    run = torch.stack([start, stop], 1) * shape.keys
    return run, met.sum(1), tile, ~rest, seen[block[rest], tile[rest]]
