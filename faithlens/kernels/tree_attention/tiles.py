"""Which tiles of keys each block of queries reads: found on the host, once for all layers and heads.

1. Queries are cut into blocks and keys into tiles, both of fixed size.
2. From the lowest and highest places and depths of a block and of a tile follows whether a pair may be visible; other
   tiles are left out. A tile may be listed without need, since each pair is tested when it is computed.
3. The first run of neighbouring tiles that are surely visible as a whole is read without a test (`common_run`).
4. All other tiles of the block are listed.

For example, six rows of one causal sequence, with blocks of 2 queries and tiles of 2 keys (o: visible)::

    query   keys 0 1   2 3   4 5
      0          o .   . .   . .      block 0: no run,      tile 0
      1          o o   . .   . .
      2          o o   o .   . .      block 1: run [0, 2),  tile 1
      3          o o   o o   . .
      4          o o   o o   o .      block 2: run [0, 4),  tile 2
      5          o o   o o   o o
"""

from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Bool, Int
from numpy import ndarray
from torch import Tensor

from faithlens.kernels.tree_attention.tree import Tree

NO_WINDOW = 1 << 30  # the window of a layer that has none


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
        tiles: the numbers of the other tiles in which a pair may be visible, in one list.
        first: the place in `tiles` where the tiles of each block start; one more entry marks the end.
    """

    common_run: Int[ndarray, "block two"]
    tiles: Int[ndarray, " tile"]
    first: Int[ndarray, " border"]


class Bounds(NamedTuple):
    """The lowest and highest number of each group of rows."""

    low: Int[ndarray, " block"]
    high: Int[ndarray, " block"]

    @classmethod
    def find(cls, numbers: Int[ndarray, " row"], starts: Int[ndarray, " block"]) -> "Bounds":
        """The bounds of groups of neighbouring rows, which begin at `starts`."""
        return cls(np.minimum.reduceat(numbers, starts), np.maximum.reduceat(numbers, starts))


def list_tiles(
    tree: Tree,
    rows: Int[ndarray, " query"],
    starts: Int[ndarray, " block"],
    window: int | None,
    keys: int,
) -> BlockTiles:
    """The tiles of `keys` keys each that blocks of `rows` read.

    Args:
        tree: which keys are visible to which queries.
        rows: the queries.
        starts: the first query of each block.
        window: as in `tree_attention`.
        keys: the size of a tile.
    """
    depth, places, until = (x.numpy() for x in (tree.depth, tree.places, tree.visible_until))
    if not len(rows):
        return BlockTiles(np.zeros((0, 2), np.int64), np.zeros(0, np.int64), np.zeros(1, np.int64))
    tile_starts = np.arange(0, len(tree), keys)
    tile_depth, tile_place, tile_until = (Bounds.find(x, tile_starts) for x in (depth, places, until))
    block_depth, block_place = (Bounds.find(x[rows], starts) for x in (depth, places))
    # some query of the block has a place between the lowest of the tile and the end of its subtrees
    block = np.repeat(np.arange(len(starts)), np.diff(starts, append=len(rows)))
    order = np.sort(block * (len(tree) + 1) + places[rows])
    at = np.arange(len(starts))[:, None] * (len(tree) + 1)
    needed = np.searchsorted(order, at + tile_place.low) < np.searchsorted(order, at + tile_until.high)
    whole = (block_place.low[:, None] >= tile_place.high) & (block_place.high[:, None] < tile_until.low)
    whole &= tile_starts + keys <= len(tree)
    if window is not None:
        needed &= tile_depth.high > block_depth.low[:, None] - window
        whole &= block_depth.high[:, None] - tile_depth.low < window
    if tree.hidden.shape[1]:
        low, high = tree.hidden.numpy()[rows].transpose(2, 0, 1)
        is_cut = low < high
        reach = np.where(is_cut & (low == 0), high, 0).max(1)  # the first depths, which a row does not see
        needed &= tile_depth.high >= Bounds.find(reach, starts).low[:, None]
        lowest = np.minimum.reduceat(np.where(is_cut, low, len(tree)).min(1), starts)[:, None]
        highest = np.maximum.reduceat(np.where(is_cut, high, 0).max(1), starts)[:, None]
        whole &= (tile_depth.high < lowest) | (tile_depth.low >= highest)
    if tree.grafts.shape[1]:
        grafts = np.concatenate([np.broadcast_to(block[:, None, None], (len(rows), tree.grafts.shape[1], 1)),
                                 tree.grafts.numpy()[rows]], 2).reshape(-1, 3)  # fmt: skip
        for number, start, stop in np.unique(grafts, axis=0).tolist():
            if start < stop:
                needed[number, start // keys : -(-stop // keys)] = True
    return list_needed(needed, whole, keys)


def list_needed(needed: Bool[ndarray, "block tile"], whole: Bool[ndarray, "block tile"], keys: int) -> BlockTiles:
    """The run of each block, and its other tiles, from what is needed and what is visible as a whole."""
    count = needed.shape[1]
    number = np.arange(count)
    start = np.where(whole, number, count).min(1, initial=count)
    stop = np.where(~whole & (number > start[:, None]), number, count).min(1, initial=count)
    needed = needed & ((number < start[:, None]) | (number >= stop[:, None]))
    _, tiles = needed.nonzero()
    return BlockTiles(np.stack([start, stop], 1) * keys, tiles, np.append(0, needed.sum(1).cumsum()))
