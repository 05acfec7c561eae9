"""A packed row as tensors: which rows see which in each layer, which rows have joined, and in what order rows run.

1. `build_tree` makes the tree of a layer from the cuts and grafts that are active in it.
2. A row joins in its first layer. Below that layer its original stands for it: `find_holders` gives the row that holds
   its activations.
3. `chunks` sorts the rows by wave, then by first layer, and cuts them into chunks: all sources and all keys of a chunk
   are in it or in a chunk before it.

For example, a sequence "a b c" and a copy of it whose last row is patched in layer 2, with c as the source::

    row              0    1    2    3
    token            a    b    c    c
    first layer      0    0    0    2
    original         0    1    2    2
    wave             0    0    0    1

    find_holders([3], layer=1) is [2], and find_holders([3], layer=2) is [3].
    The chunks are the rows 0, 1, 2 and the row 3, which runs from layer 2 on.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from jaxtyping import Bool, Int
from numpy import ndarray
from torch import Tensor

from faithlens.kernels.tree_attention import Tree
from faithlens.model.structure import Interval
from faithlens.plan.condition import is_active
from faithlens.plan.packing import PackedPass


@dataclass(frozen=True, eq=False)
class Chunk:
    """Rows that go through a block together.

    They join in the same layer and belong to one wave, so the keys that they see are in their own chunk or in an
    earlier one.

    Attributes:
        rows: the packed indices of the rows.
        first_layer: the layer in which the rows join.
        is_whole: whether these are all rows of the pass.
        is_silent: whether the output of the block at these rows is not read, so that the block may end after attention.
    """

    rows: Int[Tensor, " row"]
    first_layer: int
    is_whole: bool
    is_silent: bool = False


class Geometry:
    """One pass on one device. Each tensor is made once, for all layers in which it is the same."""

    def __init__(
        self, packed: PackedPass, device: torch.device, chunk_rows: int, key_chunks: tuple[int | None, ...] = ()
    ) -> None:
        self.packed = packed
        self.key_chunks = key_chunks
        self.device = device
        self.chunk_rows = chunk_rows
        self.depth, self._until, self._mark_sets, self.first_layers, self.originals = (
            torch.tensor(x, device=device)
            for x in (packed.depth, packed.visible_until, packed.mark_sets, packed.first_layers, packed.originals)
        )
        self._limited = {layers for own in (*packed.cuts, *packed.grafts) for layers, _ in own if layers is not None}
        self._trees: dict[object, Tree] = {}
        self._detached: dict[Tree, Tree] = {}
        self._last: list[Chunk] = []

    def __len__(self) -> int:
        return len(self.packed.ids)

    def build_tree(self, layer: int) -> Tree:
        """The tree of `layer`: which rows see which."""
        chunk = self.key_chunks[layer] if self.key_chunks else None
        here = frozenset(layers for layers in self._limited if is_active(layers, layer)), chunk
        if here not in self._trees:
            rows, cuts, grafts = self._find_sets(layer, chunk)
            replaced = [[self._find_depths(graft) for graft in own] for own in grafts]
            seen = [self._find_seen(own, hidden) if own else own for own, hidden in zip(grafts, cuts, strict=True)]
            hidden = [join_intervals(own + other) for own, other in zip(cuts, replaced, strict=True)]
            self._trees[here] = Tree(
                self.depth, self._until, self._pad_intervals(hidden, rows), self._pad_intervals(seen, rows)
            )
        return self._trees[here]

    def _find_sets(self, layer: int, chunk: int | None) -> tuple[Tensor, list[list[Interval]], list[list[Interval]]]:
        """For each row the number of a set, and for each set the cuts and the grafts that are active in `layer`."""
        cuts, grafts = (
            [[interval for layers, interval in own if is_active(layers, layer)] for own in marks]
            for marks in (self.packed.cuts, self.packed.grafts)
        )
        if chunk is None or self.packed.depth.max() < chunk:
            return self._mark_sets, cuts, grafts
        pairs = np.stack([self.packed.mark_sets, self.packed.depth // chunk])
        sets, numbers = np.unique(pairs, axis=1, return_inverse=True)
        rows = torch.from_numpy(numbers.reshape(-1)).to(self.device)
        own = [(cuts[i], grafts[i], (0, number * chunk)) for i, number in sets.T.tolist()]
        # keys of earlier chunks are not seen
        return rows, [[*cut, before] for cut, _, before in own], [graft for _, graft, _ in own]

    def build_detached_tree(self, layer: int) -> Tree:
        """The tree of `layer` for keys that are followed by a copy of themselves, in which grafts are seen.

        The copy has no gradient, so what a row reads by a graft is a constant.
        """
        tree = self.build_tree(layer)
        if tree not in self._detached:
            nothing, hidden, grafts = (torch.zeros_like(x) for x in (tree.depth, tree.hidden, tree.grafts))
            self._detached[tree] = Tree(
                torch.cat([tree.depth, tree.depth]),
                torch.cat([tree.visible_until, nothing]),
                torch.cat([tree.hidden, hidden]),
                torch.cat([tree.grafts + len(tree), grafts]),
            )
        return self._detached[tree]

    def _find_depths(self, graft: Interval) -> Interval:
        """The depths of the rows of a graft: the rows are neighbours, and each is the parent of the next."""
        first = int(self.packed.depth[graft[0]])
        return first, first + graft[1] - graft[0]

    def _find_seen(self, grafts: list[Interval], cuts: list[Interval]) -> list[Interval]:
        """The parts of grafts that a row sees: none at depths that are cut, and of the same depths the last graft's."""
        out, hidden = [], list(cuts)
        for graft in reversed(grafts):
            out += self._remove_depths(graft, hidden)
            hidden.append(self._find_depths(graft))
        return out

    def _remove_depths(self, graft: Interval, hidden: list[Interval]) -> list[Interval]:
        """The parts of a graft that are not at `hidden` depths."""
        parts = [graft]
        for low, high in hidden:
            left = []
            for start, stop in parts:
                first, _ = self._find_depths((start, stop))
                a, b = start + max(0, low - first), start + max(0, high - first)
                left += [(x, y) for x, y in ((start, min(stop, a)), (max(start, b), stop)) if x < y]
            parts = left
        return parts

    def _pad_intervals(self, sets: list[list[Interval]], rows: Int[Tensor, " pos"]) -> Int[Tensor, "pos cut two"]:
        """The intervals of each row, padded with empty ones to the same number, from those of each row's set."""
        width = max(map(len, sets))
        if not width:
            return torch.zeros(len(self), 0, 2, dtype=torch.long, device=self.device)
        return torch.tensor([own + [(0, 0)] * (width - len(own)) for own in sets], device=self.device)[rows]

    @cached_property
    def chunks(self) -> list[Chunk]:
        """All rows in chunks of at most `chunk_rows`: sources before targets, ancestors before descendants."""
        return self._cut_chunks(np.ones(len(self), bool))

    def list_last_chunks(self, live: Bool[ndarray, " pos"]) -> list[Chunk]:
        """The chunks of the last block, whose output is read at the `live` rows only; made once."""
        if not self._last:
            self._last = self.chunks if live.all() else self._cut_chunks(live)
        return self._last

    def _cut_chunks(self, live: Bool[ndarray, " pos"]) -> list[Chunk]:
        """Group rows by wave, first layer and liveness; silent rows come first, because live rows see them."""
        marks = np.stack([self.packed.waves, self.packed.first_layers, live])
        order = np.lexsort(marks[::-1])
        borders = np.flatnonzero((np.diff(marks[:, order]) != 0).any(0)) + 1
        out = []
        for group in np.split(order, borders):
            rows, (_, first_layer, is_live) = torch.from_numpy(group).to(self.device), marks[:, group[0]].tolist()
            parts = -(-len(rows) // self.chunk_rows)
            out += [Chunk(part, first_layer, len(part) == len(self), not is_live) for part in rows.chunk(parts)]
        return out

    def find_holders(self, rows: Int[Tensor, " row"], layer: int) -> Int[Tensor, " row"]:
        """The rows that hold the activations of `rows` in `layer`: originals, for rows that have not joined yet."""
        return torch.where(self.first_layers[rows] <= layer, rows, self.originals[rows])

    @cached_property
    def rows_joining(self) -> dict[int, Int[Tensor, " row"]]:
        """For each layer above the first, the rows that join in it."""
        return {
            int(layer): (self.first_layers == layer).nonzero()[:, 0]
            for layer in self.first_layers.unique()
            if layer > 0
        }


def join_intervals(intervals: list[Interval]) -> list[Interval]:
    """The same positions as few intervals: each costs a comparison of every key that a row may see."""
    out: list[Interval] = []
    for start, stop in sorted(intervals):
        if out and start <= out[-1][1]:
            out[-1] = out[-1][0], max(out[-1][1], stop)
        elif start < stop:
            out.append((start, stop))
    return out
