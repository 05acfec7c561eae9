"""A packed row while it runs: which rows go through each block together, which rows see which, and where things are.

1. The rows of a layer are the first rows of the pass, as many as have joined. They go through the block in one run or,
   if they are more than `chunk_rows`, in **chunks** of that many, one after the other: all rows that a row needs are
   before it (`plan/packing.py`).
2. In the last block few rows are live. The others, which are silent, go first, as far as their keys and values; this
   takes launches of its own, so it is done if they are `SILENT_ROWS` at least.
3. Below its first layer a row is a copy of its original: `find_holders` gives the row that holds its activations.
4. `build_tree` makes the tree of a layer from the cuts and grafts that are active in it.
5. All numbers of rows that the pass needs on a device are copied there at once (`copy_to`).

For example, a sequence "a b c" and a copy of it whose last row is patched in layer 2, with c as the source::

    row              0    1    2    3
    token            a    b    c    c
    first layer      0    0    0    2
    original         0    1    2    2

    The layers 0 and 1 run rows 0 to 2, and layer 2 runs rows 0 to 3; it begins with a copy of row 2 as row 3.
    find_holders([3], layer=1) is [2], and find_holders([3], layer=2) is [3].
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Int
from numpy import ndarray
from torch import Tensor

from faithlens.kernels.integers import copy_integers
from faithlens.kernels.tree_attention import Tree
from faithlens.model.mask_rules import Sight
from faithlens.model.structure import Interval
from faithlens.plan.condition import Component, is_active
from faithlens.plan.overwrites import OverwrittenRows
from faithlens.plan.packing import PackedPass

SILENT_ROWS = {"cpu": 1, "cuda": 512}  # silent rows of the last block from which on they run by themselves

Name = str | tuple[str, int]


@dataclass(frozen=True, eq=False)
class Chunk:
    """Rows that go through a block together.

    Attributes:
        rows: a range of rows, or sorted rows.
        is_whole: whether these are all rows of the layer.
        is_silent: whether the output of the block at these rows is not read, so that the block may end after attention.
        name: the name of its rows among the arrays on a device, if they are no range.
    """

    rows: range | Int[Tensor, " row"]
    is_whole: bool
    is_silent: bool = False
    name: Name = ""

    def find(self, rows: Int[ndarray, " row"]) -> tuple[Int[ndarray, "..."], Int[ndarray, "..."]]:
        """Which of `rows` are in the chunk: their numbers in `rows`, and in the chunk."""
        if isinstance(self.rows, range):
            here = ((rows >= self.rows.start) & (rows < self.rows.stop)).nonzero()[0]
            return here, rows[here] - self.rows.start
        own = self.rows.numpy()
        at = np.searchsorted(own, rows).clip(max=len(own) - 1)
        here = (own[at] == rows).nonzero()[0]
        return here, at[here]


class Geometry:
    """One pass: plain data on the host, and on each device the arrays of numbers that it needs there.

    Attributes:
        packed: the packed row.
        arrays: what is copied to a device; readings add their own before the pass.
        overwrites: for each component and layer, the edits that write there, in their order, with their numbers.
    """

    def __init__(
        self,
        packed: PackedPass,
        chunk_rows: int,
        n_layers: int,
        sight: Sight,
        live: Bool[ndarray, " pos"] | None = None,
        silent_rows: int = 1,
    ) -> None:
        self.packed, self.chunk_rows, self.n_layers, self.key_chunks = packed, chunk_rows, n_layers, sight.chunks
        self._counts = [packed.count_rows(layer) for layer in range(n_layers)]
        self._last = self._list_last_chunks(live, silent_rows)
        self._chunks: dict[int, list[Chunk]] = {}
        grid = range(chunk_rows, len(packed), chunk_rows)
        self._borders = tuple(sorted({*self._counts, *grid} - {0, len(packed)}))
        self._limited = {layers for own in (*packed.cuts, *packed.grafts) for layers, _ in own if layers is not None}
        self._trees: dict[object, Tree] = {}
        self._detached: dict[object, Tree] = {}
        self._copies: dict[torch.device, Mapping[Name, Tensor]] = {}
        self.overwrites: dict[tuple[Component, int], list[tuple[int, OverwrittenRows]]] = {}
        self.arrays: dict[Name, ndarray] = {"ids": packed.ids[None], "depth": packed.depth[None]}
        for number, writing in enumerate(packed.overwrites):
            self.arrays |= {("targets", number): writing.targets, ("offsets", number): writing.offsets}
            self.arrays["sources", number] = writing.sources
            for layer in range(n_layers):
                if is_active(writing.edit.layers, layer):
                    self.overwrites.setdefault((writing.edit.component, layer), []).append((number, writing))
        for layer in range(1, n_layers):
            if self._counts[layer] > self._counts[layer - 1]:
                self.arrays["rows", layer] = self.find_holders(np.arange(self._counts[layer]), layer - 1)
        for layer, source in enumerate(sight.sources):
            if self._counts[layer] > self._counts[source]:
                self.arrays["keys", layer] = self.find_holders(np.arange(self._counts[layer]), source)
        for chunk in self._last:
            if not isinstance(chunk.rows, range):
                self.arrays[chunk.name] = chunk.rows.numpy()

    def __len__(self) -> int:
        return len(self.packed)

    def copy_to(self, device: torch.device) -> Mapping[Name, Tensor]:
        """The arrays on `device`: copied once."""
        if device not in self._copies:
            self._copies[device] = copy_integers(self.arrays, device)
        return self._copies[device]

    def count_rows(self, layer: int) -> int:
        """How many rows have joined in `layer`."""
        return self._counts[layer]

    def list_chunks(self, layer: int) -> list[Chunk]:
        """The chunks in which the rows of `layer` run, in order."""
        if layer == self.n_layers - 1 and self._last:
            return self._last
        n = self._counts[layer]
        if n not in self._chunks:
            ranges = [range(start, min(start + self.chunk_rows, n)) for start in range(0, n, self.chunk_rows)]
            self._chunks[n] = [Chunk(rows, len(rows) == n) for rows in ranges]
        return self._chunks[n]

    def _list_last_chunks(self, live: Bool[ndarray, " pos"] | None, silent_rows: int) -> list[Chunk]:
        """The chunks of the last block if its silent rows run by themselves: before live rows, which see them."""
        if live is None or (~live).sum() < max(1, silent_rows):
            return []
        out = list[Chunk]()
        for is_silent, chosen in ((True, ~live), (False, live)):
            rows = torch.from_numpy(chosen.nonzero()[0])
            for part in rows.chunk(-(-len(rows) // self.chunk_rows)) if len(rows) else ():
                out.append(Chunk(part, False, is_silent, ("chunk", len(out))))
        return out

    def find_holders(self, rows: Int[ndarray, "..."], layer: int) -> Int[ndarray, "..."]:
        """The rows that hold the activations of `rows` in `layer`: originals, for rows that have not joined yet."""
        return np.where(rows < self._counts[layer], rows, self.packed.originals[rows])

    def build_tree(self, layer: int) -> Tree:
        """The tree of `layer`: which rows see which."""
        chunk = self.key_chunks[layer] if self.key_chunks else None
        here = frozenset(layers for layers in self._limited if is_active(layers, layer)), chunk
        if here not in self._trees:
            rows, cuts, grafts = self._find_sets(layer, chunk)
            replaced = [[self._find_depths(graft) for graft in own] for own in grafts]
            seen = [self._find_seen(own, hidden) if own else own for own, hidden in zip(grafts, cuts, strict=True)]
            hidden = [join_intervals(own + other) for own, other in zip(cuts, replaced, strict=True)]
            packed = self.packed
            self._trees[here] = Tree(
                torch.from_numpy(packed.depth),
                torch.from_numpy(packed.places),
                torch.from_numpy(packed.visible_until),
                pad_intervals(hidden, rows),
                pad_intervals(seen, rows),
                self._borders,
            )
        return self._trees[here]

    def _find_sets(
        self, layer: int, chunk: int | None
    ) -> tuple[Int[ndarray, " pos"], list[list[Interval]], list[list[Interval]]]:
        """For each row the number of a set, and for each set the cuts and the grafts that are active in `layer`."""
        cuts, grafts = (
            [[interval for layers, interval in own if is_active(layers, layer)] for own in marks]
            for marks in (self.packed.cuts, self.packed.grafts)
        )
        if chunk is None or self.packed.depth.max() < chunk:
            return self.packed.mark_sets, cuts, grafts
        pairs = np.stack([self.packed.mark_sets, self.packed.depth // chunk])
        sets, numbers = np.unique(pairs, axis=1, return_inverse=True)
        own = [(cuts[i], grafts[i], (0, number * chunk)) for i, number in sets.T.tolist()]
        # keys of earlier chunks are not seen
        return numbers.reshape(-1), [[*cut, before] for cut, _, before in own], [graft for _, graft, _ in own]

    def build_detached_tree(self, layer: int) -> Tree:
        """The tree of `layer` for keys that are followed by a copy of themselves, in which grafts are seen.

        The copy has no gradient, so what a row reads by a graft is a constant.
        """
        tree, n = self.build_tree(layer), self._counts[layer]
        if (tree, n) not in self._detached:
            depth, places, until, hidden, grafts = (
                x[:n] for x in (tree.depth, tree.places, tree.visible_until, tree.hidden, tree.grafts)
            )
            self._detached[tree, n] = Tree(
                torch.cat([depth, depth]),
                torch.cat([places, places]),
                torch.cat([until, torch.zeros_like(until)]),
                torch.cat([hidden, torch.zeros_like(hidden)]),
                torch.cat([grafts + n, torch.zeros_like(grafts)]),
            )
        return self._detached[tree, n]

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


def pad_intervals(sets: list[list[Interval]], rows: Int[ndarray, " pos"]) -> Int[Tensor, "pos cut two"]:
    """The intervals of each row, padded with empty ones to the same number, from those of each row's set."""
    width = max(map(len, sets))
    padded = [own + [(0, 0)] * (width - len(own)) for own in sets]
    return torch.tensor(padded, dtype=torch.long).reshape(len(sets), width, 2)[torch.from_numpy(rows)]


def join_intervals(intervals: list[Interval]) -> list[Interval]:
    """The positions of `intervals` in as few intervals as possible: each costs a comparison for every visible key."""
    out: list[Interval] = []
    for start, stop in sorted(intervals):
        if out and start <= out[-1][1]:
            out[-1] = out[-1][0], max(out[-1][1], stop)
        elif start < stop:
            out.append((start, stop))
    return out
