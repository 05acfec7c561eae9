"""A packed row as tensors: who sees whom in each layer, which rows are there, and in what order they are run."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from jaxtyping import Int
from torch import Tensor

from faithlens.kernels.tree_attention import Tree
from faithlens.model.structure import Interval
from faithlens.plan.condition import Layers, is_active
from faithlens.plan.packing import PackedPass


@dataclass(frozen=True, eq=False)
class Chunk:
    """Rows that go through a block together.

    Rows of one chunk join in the same layer and belong to one wave, so what they look at is in their own chunk or in
    one before it.

    Attributes:
        rows: their packed indices.
        first_layer: the layer in which they join.
        is_whole: whether they are all there are.
        is_silent: whether nobody reads what the block makes of them, so that it ends for them with its attention.
    """

    rows: Int[Tensor, " row"]
    first_layer: int
    is_whole: bool
    is_silent: bool = False


class Geometry:
    """One pass on one device. Everything is made once and serves all layers for which it is the same."""

    def __init__(self, packed: PackedPass, device: torch.device, chunk_rows: int) -> None:
        self.packed = packed
        self.device = device
        self.chunk_rows = chunk_rows
        self.depth = torch.tensor(packed.depth, device=device)
        self.first_layers = torch.tensor(packed.first_layers, device=device)
        self.originals = torch.tensor(packed.originals, device=device)
        self._until = torch.tensor(packed.visible_until, device=device)
        self._limited = {layers for row in (*packed.cuts, *packed.grafts) for layers, _ in row if layers is not None}
        self._trees: dict[frozenset[Layers], Tree] = {}
        self._last: dict[frozenset[int], list[Chunk]] = {}

    def __len__(self) -> int:
        return len(self.packed.ids)

    def build_tree(self, layer: int) -> Tree:
        """Who sees whom in `layer`."""
        here = frozenset(layers for layers in self._limited if is_active(layers, layer))
        if here not in self._trees:
            cuts, grafts = (
                [[interval for layers, interval in row if is_active(layers, layer)] for row in marks]
                for marks in (self.packed.cuts, self.packed.grafts)
            )
            replaced = [[self._find_depths(graft) for graft in row] for row in grafts]
            self._trees[here] = Tree(
                self.depth,
                self._until,
                self._pad_intervals([own + other for own, other in zip(cuts, replaced, strict=True)]),
                self._pad_intervals([self._remove_cuts(row, hidden) for row, hidden in zip(grafts, cuts, strict=True)]),
            )
        return self._trees[here]

    def _find_depths(self, graft: Interval) -> Interval:
        """The depths at which a graft's rows lie: they are neighbours, and each is the next one's parent."""
        first = self.packed.depth[graft[0]]
        return first, first + graft[1] - graft[0]

    def _remove_cuts(self, grafts: list[Interval], cuts: list[Interval]) -> list[Interval]:
        """Grafts without the rows at whose depths nothing may be seen."""
        for low, high in cuts:
            left = []
            for start, stop in grafts:
                first = self.packed.depth[start]
                a, b = start + max(0, low - first), start + max(0, high - first)
                left += [(x, y) for x, y in ((start, min(stop, a)), (max(start, b), stop)) if x < y]
            grafts = left
        return grafts

    def _pad_intervals(self, rows: list[list[Interval]]) -> Int[Tensor, "pos cut two"]:
        """Intervals of each row, as many as any has; the others are empty."""
        width = max(map(len, rows))
        if not width:
            return torch.zeros(len(rows), 0, 2, dtype=torch.long, device=self.device)
        return torch.tensor([row + [(0, 0)] * (width - len(row)) for row in rows], device=self.device)

    @cached_property
    def chunks(self) -> list[Chunk]:
        """All rows, sources before targets and ancestors before descendants, in chunks of at most `size`."""
        return self._cut_chunks(frozenset(range(len(self))))

    def list_last_chunks(self, heard: frozenset[int]) -> list[Chunk]:
        """The chunks of the last block, of whose output only the rows `heard` are read."""
        if heard not in self._last:
            self._last[heard] = self._cut_chunks(heard)
        return self._last[heard]

    def _cut_chunks(self, heard: frozenset[int]) -> list[Chunk]:
        """Rows of one wave that join together, the silent ones first: the others see their keys and values."""
        spoken = np.isin(np.arange(len(self)), list(heard))
        marks = np.stack([self.packed.waves, self.packed.first_layers, spoken])
        order = np.lexsort(marks[::-1])
        borders = np.flatnonzero((np.diff(marks[:, order]) != 0).any(0)) + 1
        out = []
        for group in np.split(order, borders):
            rows, (_, joins, aloud) = torch.tensor(group, device=self.device), marks[:, group[0]].tolist()
            parts = -(-len(rows) // self.chunk_rows)
            out += [Chunk(part, joins, len(part) == len(self), not aloud) for part in rows.chunk(parts)]
        return out

    def find_holders(self, rows: Int[Tensor, " row"], layer: int) -> Int[Tensor, " row"]:
        """The rows that hold the activations of `rows` in `layer`: their twins, where they have not joined yet."""
        return torch.where(self.first_layers[rows] <= layer, rows, self.originals[rows])

    @cached_property
    def rows_joining(self) -> dict[int, Int[Tensor, " row"]]:
        """For each layer above the first, the rows that join in it."""
        return {
            int(layer): (self.first_layers == layer).nonzero()[:, 0]
            for layer in self.first_layers.unique()
            if layer > 0
        }
