"""One packed row: conditions laid out in a trie, so that equal prefixes are computed once.

1. The tokens of a condition become symbols: numbers made of a token and of the set of marks that edits put on its row.
   Equal symbols after equal symbols share one row, also between conditions of different traces (`plan/runs.py`).
2. From its first edited position on, a condition has a branch of its own. If the edit acts from layer L on, the rows of
   the branch join in layer L: below it they are copies of their originals in the unedited sequence.
3. Donors and references are inserted before the conditions that need them (`Packing.insert_condition`).
4. The trie is laid out depth first (`Packing.pack`): the places of each row's descendants follow its own, up to
   `visible_until`.
5. Rows are stored in another order (`order_rows`): by first layer, so that the rows of a layer are the first ones; then
   by wave (`plan/overwrites.py`), so that each row comes after all rows that it needs; then rows with many rows below
   them before others, so that keys that most rows see lie side by side.

For example, three conditions with the tokens 1 (prompt), 2 (step 0), 4 (stem): "clean"; "cut", with
``Knockout("answer", ("step 0",))``; and "patched", with ``Patch("resid_pre", "step 0", donor, layers=(2,))`` from a
donor whose step 0 is the token 3::

    row              0    1    2    3    4    5    6    7
    token            1    2    4    4    3    4    2    4
    place            0    1    2    3    4    5    6    7
    depth            0    1    2    2    1    2    1    2
    visible until    8    4    3    4    6    6    8    8
    first layer      0    0    0    0    0    0    2    2
    original         0    1    2    3    4    5    1    2

    clean has the path 0 1 2, cut 0 1 3 (row 3 does not see depth 1), the donor 0 4 5, and patched 0 6 7:
    below layer 2 the rows 6 and 7 are copies of 1 and 2, and in layer 2 row 6 takes its input from row 4. If the
    condition "patched" were laid out before the donor, its rows would be stored last all the same.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from faithlens.model.structure import Interval, Structure
from faithlens.model.trace import convert_tokens
from faithlens.plan.checks import check_visibility
from faithlens.plan.condition import Condition, Knockout, Layers
from faithlens.plan.marks import Cut, Graft, Mark, Scaled, Stretch, list_stretches
from faithlens.plan.overwrites import (
    MarkedRows,
    OverwrittenRows,
    collect_overwrites,
    compute_waves,
    join_in_time,
    list_needs,
)
from faithlens.plan.runs import ArrayRecord, Layout, Path, Rows, RunTree, Storage, Symbols, TreePath

CHUNK_ROWS = {"cpu": 1024, "cuda": 16384}  # rows that go through a block together: enough to occupy the machine
FEW_BELOW = 64  # rows with fewer rows below them are stored after others: about as many as a tile of keys has
TOKEN_BITS = 32  # of a symbol: above them is the number of its set of marks

Marks = tuple[Mark | Scaled, ...]


@dataclass(frozen=True)
class Placement:
    """The place of a condition in a packed row.

    Attributes:
        index: the number of the condition in the plan.
        path: the packed index of each of its tokens, in its own order.
        reads: for each sequence of the condition, the (packed index, token) pairs whose log-probabilities add up to
            the sequence's.
        reference_path: the path of the condition that it is compared with; empty if there is none.
    """

    index: int
    path: Path
    reads: tuple[tuple[tuple[int, int], ...], ...]
    reference_path: Path


@dataclass(frozen=True, eq=False)
class PackedPass(ArrayRecord):
    """One packed row, which the model is run on.

    Attributes:
        ids: tokens.
        depth: each token's position in its own sequence.
        places: each row's number when the trie is walked depth first.
        visible_until: the place at which the subtree below each row ends.
        mark_sets: the number of each row's set of marks; set 0 is empty.
        cuts: for each set of marks, the depth intervals that its rows do not see, each with its layers.
        grafts: for each set of marks, the packed intervals that its rows see in place of their own rows at their
            depths, each with its layers. At depths that several have they see the last one's, and at cut depths none.
        first_layers: the layer in which each row joins, ascending; below it, the row is a copy of its original.
        originals: for each row, its original; a row with the first layer 0 is its own original.
        overwrites: the rows that edits overwrite, in the order in which they are written.
        placements: the places of the conditions.
        scales: for each row, how many of the model's scaling lengths its sequence exceeds.
    """

    ids: Rows
    depth: Rows
    places: Rows
    visible_until: Rows
    mark_sets: Rows
    cuts: tuple[tuple[tuple[Layers, Interval], ...], ...]
    grafts: tuple[tuple[tuple[Layers, Interval], ...], ...]
    first_layers: Rows
    originals: Rows
    overwrites: tuple[OverwrittenRows, ...]
    placements: tuple[Placement, ...]
    scales: Rows

    def __len__(self) -> int:
        return len(self.ids)

    def count_rows(self, layer: int) -> int:
        """How many rows have joined in `layer`: they are the first rows."""
        return int(np.searchsorted(self.first_layers, layer, side="right"))

    def count_row_blocks(self, n_layers: int) -> int:
        """The cost of the pass: the number of blocks that each row passes through, summed over rows."""
        return int(np.maximum(0, n_layers - self.first_layers).sum())


class Copies(NamedTuple):
    """Rows of a sequence that an edit changes only from a later layer on.

    Attributes:
        path: the sequence.
        originals: the same sequence without edits, up to the last of these rows.
        stretches: the positions of the rows, as (start, stop, first layer).
    """

    path: TreePath
    originals: TreePath
    stretches: list[tuple[int, int, int]]


class Packing:
    """The trie of one packed row while conditions are inserted, each after its donors and its reference."""

    def __init__(self, structure: Structure, scaling_lengths: tuple[int, ...] = ()) -> None:
        self.structure = structure
        self.scaling_lengths = scaling_lengths
        self.tree = RunTree()
        self.mark_numbers: dict[Marks, int] = {(): 0}
        self.paths: dict[Condition, list[TreePath]] = {}
        self.copies: list[Copies] = []
        self.conditions: dict[int, Condition] = {}

    def __len__(self) -> int:
        return len(self.tree)

    def add(self, index: int, condition: Condition) -> None:
        """Insert the condition number `index` of the plan."""
        self.conditions[index] = condition
        self.insert_condition(condition)

    def insert_condition(self, condition: Condition) -> None:
        """Insert one path for each sequence of a condition, after those of its donors."""
        if condition in self.paths:
            return
        for donor in condition.donors:
            self.insert_condition(donor)
        tokens = np.concatenate([piece.array for piece in condition.pieces])
        paths = {tail: self.insert_sequence(condition, tokens, tail) for tail in condition.tails}
        self.paths[condition] = [paths[sequence[:-1]] for sequence in condition.sequences]

    def insert_sequence(self, condition: Condition, tokens: Rows, tail: tuple[int, ...]) -> TreePath:
        """Insert one sequence. Rows that an edit changes only from a later layer on get originals without edits."""
        tokens = np.concatenate([tokens, convert_tokens(tail)]) if tail else tokens
        stretches = list_stretches(condition, self.structure, tail)
        if any(isinstance(edit, Knockout) for edit in condition.edits):
            check_visibility(condition, stretches)
        scale = sum(len(tokens) > limit for limit in self.scaling_lengths)
        path = self.tree.insert(self.make_symbols(tokens, [(s.start, s.stop, s.marks) for s in stretches], scale))
        copied = find_copied(stretches)
        if copied:
            stop = copied[-1][1]
            plain = [(s.start, min(s.stop, stop), s.hidden) for s in stretches if s.start < stop]
            originals = self.tree.insert(self.make_symbols(tokens[:stop], plain, scale))
            self.copies.append(Copies(path, originals, copied))
        return path

    def make_symbols(self, tokens: Rows, stretches: Sequence[tuple[int, int, Marks]], scale: int) -> Symbols:
        """The symbols of a sequence: the first symbol says how the positions of the sequence are scaled."""
        symbols = tokens & ((1 << TOKEN_BITS) - 1)
        for start, stop, marks in stretches:
            if scale and start == 0:
                symbols[0] |= self.number_marks((*marks, Scaled(scale))) << TOKEN_BITS
                start = 1
            if marks:
                symbols[start:stop] |= self.number_marks(marks) << TOKEN_BITS
        return symbols

    def number_marks(self, marks: Marks) -> int:
        """The number of a set of marks."""
        return self.mark_numbers.setdefault(marks, len(self.mark_numbers))

    def pack(self) -> PackedPass:
        """Lay everything out in one row."""
        layout, sets = self.tree.lay_out(), list(self.mark_numbers)
        paths = {c: [layout.find_path(path) for path in each] for c, each in self.paths.items()}
        marked = MarkedRows.group(sets, layout.symbols >> TOKEN_BITS)
        overwrites = collect_overwrites(marked, layout.depth, paths)
        grafts = pack_grafts(sets, paths)
        grafted = [(rows, [interval for _, interval in grafts[i]]) for i, rows in marked.rows.items() if grafts[i]]
        needs = list_needs(overwrites, grafted)
        first_layers, originals = self.place_copies(layout)
        first_layers = join_in_time(layout, needs, first_layers)
        storage = Storage(order_rows(layout, first_layers, compute_waves(layout, needs)))
        order = storage.order
        stored = {c: [storage.store_path(path) for path in each] for c, each in paths.items()}
        return PackedPass(
            ids=((layout.symbols << TOKEN_BITS) >> TOKEN_BITS)[order],
            depth=layout.depth[order],
            places=order,
            visible_until=layout.visible_until[order],
            mark_sets=marked.numbers[order],
            cuts=tuple(tuple((m.layers, (m.start, m.stop)) for m in marks if isinstance(m, Cut)) for marks in sets),
            grafts=tuple(pack_grafts(sets, stored)),
            first_layers=first_layers[order],
            originals=storage.rows[originals[order]],
            overwrites=tuple(each.store(storage) for each in overwrites),
            placements=tuple(make_placement(index, each, stored) for index, each in self.conditions.items()),
            scales=find_scales(layout, sets, marked.numbers)[order],
        )

    def place_copies(self, layout: Layout) -> tuple[Rows, Rows]:
        """The first layer of each row, and its original."""
        first_layers, originals = np.zeros(len(self), np.int64), np.arange(len(self))
        for path, other, stretches in self.copies:
            rows, plain = layout.find_path(path), layout.find_path(other)
            for start, stop, layer in stretches:
                here = rows[start:stop]
                first_layers[here], originals[here] = layer, plain[start:stop]
        return first_layers, originals


def find_copied(stretches: Sequence[Stretch]) -> list[tuple[int, int, int]]:
    """The positions that an edit at or before them changes only from a later layer on: (start, stop, this layer)."""
    first, out = None, []
    for start, stop, _, edited in stretches:
        layers = [min(mark.layers) if mark.layers else 0 for mark in edited]
        first = min(layers if first is None else [*layers, first], default=None)
        if first:
            out.append((start, stop, first))
    return out


def order_rows(layout: Layout, first_layers: Rows, waves: Rows) -> Rows:
    """The places of rows in the order in which they are stored; ancestors come before their descendants."""
    n = len(layout.symbols)
    has_few_below = layout.visible_until - np.arange(n) < FEW_BELOW
    return np.lexsort((has_few_below, waves, first_layers))


def find_scales(layout: Layout, sets: Sequence[Marks], numbers: Rows) -> Rows:
    """The scale of each row: that of the first row of its sequence."""
    of_set = np.array([sum(mark.scale for mark in marks if isinstance(mark, Scaled)) for marks in sets])
    if not of_set.any():
        return np.zeros(len(numbers), np.int64)
    first = (layout.depth == 0).nonzero()[0]
    return np.repeat(of_set[numbers[first]], np.diff(first, append=len(numbers)))


def make_placement(index: int, condition: Condition, paths: Mapping[Condition, Sequence[Path]]) -> Placement:
    """The place of a condition in the packed row."""
    n, reference = condition.n_tokens, condition.reference
    reads = tuple(
        tuple(zip(path[n - 1 :].tolist(), sequence, strict=True))
        for path, sequence in zip(paths[condition], condition.sequences, strict=True)
    )
    beside = paths[reference][0].take(0, reference.n_tokens) if reference else Path(())
    return Placement(index, paths[condition][0].take(0, n), reads, beside)


def pack_grafts(
    sets: Sequence[Marks], paths: Mapping[Condition, Sequence[Path]]
) -> list[tuple[tuple[Layers, Interval], ...]]:
    """For each set of marks, the rows of its grafts as packed intervals: the rows of a donor need not be neighbours."""
    return [
        tuple(
            (mark.layers, rows)
            for mark in marks
            if isinstance(mark, Graft)
            for rows in paths[mark.donor][0].list_ranges(mark.start, mark.stop)
        )
        for marks in sets
    ]
