"""One packed row: conditions laid out in a trie, so that equal prefixes are computed once.

1. The tokens of a condition become cells: a token, and the marks that edits put on its row. Equal cells after equal
   cells share one node of the trie, also between conditions of different traces (`Trie.insert`).
2. From its first edited position on, a condition has a branch of its own. If the edit acts from layer L on, the rows of
   the branch join in layer L: below it they are copies of their originals in the unedited sequence.
3. Donors and references are inserted before the conditions that need them (`Packing.insert_condition`).
4. The nodes are laid out depth first (`Packing.pack`): each row's descendants follow it, up to `visible_until`.
5. Overwritten rows and waves say in which order rows run and are written (`plan/overwrites.py`).

For example, three conditions with the tokens 1 (prompt), 2 (step 0), 4 (stem): "clean"; "cut", with
``Knockout("answer", ("step 0",))``; and "patched", with ``Patch("resid_pre", "step 0", donor, layers=(2,))`` from a
donor whose step 0 is the token 3::

    row              0    1    2    3    4    5    6    7
    token            1    2    4    4    3    4    2    4
    depth            0    1    2    2    1    2    1    2
    visible until    8    4    3    4    6    6    8    8
    first layer      0    0    0    0    0    0    2    2
    original         0    1    2    3    4    5    1    2
    wave             0    0    0    0    0    0    1    1

    clean has the path 0 1 2, cut 0 1 3 (row 3 does not see depth 1), the donor 0 4 5, and patched 0 6 7:
    below layer 2 the rows 6 and 7 are copies of 1 and 2, and in layer 2 row 6 takes its input from row 4.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from faithlens.model.structure import Interval, Structure
from faithlens.plan.checks import check_visibility
from faithlens.plan.condition import Condition, Cut, Graft, Knockout, Layers, Mark, Scaled
from faithlens.plan.overwrites import OverwrittenRows, collect_overwrites, compute_waves

CHUNK_ROWS = {"cpu": 1024, "cuda": 16384}  # rows that go through a block together: enough to occupy the machine

Cell = tuple[int, tuple[Mark | Scaled, ...]]  # a token and the marks of its row


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
    path: tuple[int, ...]
    reads: tuple[tuple[tuple[int, int], ...], ...]
    reference_path: tuple[int, ...] = ()


@dataclass(frozen=True)
class PackedPass:
    """One packed row, which the model is run on.

    Attributes:
        ids: tokens.
        depth: each token's position in its own sequence.
        visible_until: packed index at which the subtree below each row ends.
        cuts: for each row, the depth intervals that it does not see, each with its layers.
        grafts: for each row, the packed intervals that it sees in place of its own rows at their depths, each with its
            layers. At depths that several of them have it sees the last one's, and at depths that are cut none.
        first_layers: the layer in which each row joins; below it, the row is a copy of its original.
        originals: for each row, its original; a row with the first layer 0 is its own original.
        waves: the wave of each row. Sources are in an earlier wave than their targets.
        overwrites: the rows that edits overwrite, in the order in which they are written.
        placements: the places of the conditions.
        scales: for each row, how many of the model's scaling lengths its sequence exceeds.
    """

    ids: tuple[int, ...]
    depth: tuple[int, ...]
    visible_until: tuple[int, ...]
    cuts: tuple[tuple[tuple[Layers, Interval], ...], ...]
    grafts: tuple[tuple[tuple[Layers, Interval], ...], ...]
    first_layers: tuple[int, ...]
    originals: tuple[int, ...]
    waves: tuple[int, ...]
    overwrites: tuple[OverwrittenRows, ...]
    placements: tuple[Placement, ...]
    scales: tuple[int, ...]

    def count_row_blocks(self, n_layers: int) -> int:
        """The cost of the pass: the number of blocks that each row passes through, summed over rows."""
        return sum(max(0, n_layers - joins) for joins in self.first_layers)


class Trie:
    """A growing trie of cells. Node 0 is the root, which holds no token."""

    def __init__(self) -> None:
        self.cells: list[Cell] = [(-1, ())]
        self.parents: list[int] = [0]
        self.depth: list[int] = [-1]
        self.children: list[dict[Cell, int]] = [{}]
        self.first_layers: list[int] = [0]
        self.originals: list[int] = [0]

    def __len__(self) -> int:
        return len(self.cells) - 1

    def insert(self, cells: Sequence[Cell]) -> list[int]:
        """The nodes of a path; nodes that are missing are made."""
        node, path = 0, []
        for depth, cell in enumerate(cells):
            child = self.children[node].get(cell)
            if child is None:
                child = self.children[node][cell] = len(self.cells)
                self.cells.append(cell)
                self.parents.append(node)
                self.depth.append(depth)
                self.children.append({})
                self.first_layers.append(0)
                self.originals.append(child)
            path.append(child)
            node = child
        return path

    def list_nodes(self) -> list[int]:
        """All nodes but the root, depth first, first-inserted children first: so the trunk stays together."""
        out, stack = [], [0]
        while stack:
            node = stack.pop()
            out.append(node)
            stack.extend(reversed(self.children[node].values()))
        return out[1:]


class Packing:
    """The trie of one packed row while conditions are inserted, each after its donors and its reference."""

    def __init__(self, structure: Structure, scaling_lengths: tuple[int, ...] = ()) -> None:
        self.structure = structure
        self.scaling_lengths = scaling_lengths
        self.trie = Trie()
        self.paths: dict[Condition, list[list[int]]] = {}
        self.conditions: dict[int, Condition] = {}

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
        tails = {sequence[:-1]: [] for sequence in condition.sequences}
        self.paths[condition] = [tails[sequence[:-1]] for sequence in condition.sequences]
        for tail, path in tails.items():
            path.extend(self.insert_sequence(condition, tail))

    def insert_sequence(self, condition: Condition, tail: tuple[int, ...]) -> list[int]:
        """Insert one sequence. Rows that an edit changes only from a later layer on get originals without edits."""
        tokens = condition.ids + tail
        marks = condition.mark_rows(self.structure, tail)
        if any(isinstance(edit, Knockout) for edit in condition.edits):
            check_visibility(condition, marks)
        path = self.trie.insert(self.make_cells(tokens, marks, len(tokens)))
        if condition.edits:
            clean = condition.unedited.mark_rows(self.structure, tail)
            layers = list(find_first_layers(marks, clean))
            stop = max((i + 1 for i, layer in enumerate(layers) if layer), default=0)
            originals = self.trie.insert(self.make_cells(tokens[:stop], clean[:stop], len(tokens)))
            for node, original, layer in zip(path, originals, layers, strict=False):
                if layer:
                    self.trie.first_layers[node], self.trie.originals[node] = layer, original
        return path

    def make_cells(self, tokens: Sequence[int], marks: Sequence[tuple[Mark, ...]], length: int) -> list[Cell]:
        """The cells of the first tokens of a sequence of `length` tokens: the first cell says how it is scaled."""
        cells: list[Cell] = list(zip(tokens, marks, strict=True))
        scale = sum(length > limit for limit in self.scaling_lengths)
        if scale and cells:
            cells[0] = (cells[0][0], (*cells[0][1], Scaled(scale)))
        return cells

    def find_scales(self, order: Sequence[int]) -> tuple[int, ...]:
        """The scale of each node: that of the first node of its sequence. Parents come before their children."""
        scales = {0: 0}
        for node in order:
            own = [mark.scale for mark in self.trie.cells[node][1] if isinstance(mark, Scaled)]
            scales[node] = own[0] if own else scales[self.trie.parents[node]]
        return tuple(scales[node] for node in order)

    def pack(self) -> PackedPass:
        """Lay everything out in one row."""
        trie, order = self.trie, self.trie.list_nodes()
        place = {node: i for i, node in enumerate(order)}
        until, first_layers = list(range(1, len(order) + 1)), [trie.first_layers[node] for node in order]
        parents = [place.get(trie.parents[node], -1) for node in order]
        originals = [place[trie.originals[node]] for node in order]
        paths = {c: [[place[node] for node in path] for path in each] for c, each in self.paths.items()}
        marks = [tuple(m for m in trie.cells[node][1] if not isinstance(m, Scaled)) for node in order]
        grafts = [tuple(g for mark in row if isinstance(mark, Graft) for g in pack_graft(mark, paths)) for row in marks]
        # a row must have joined in every layer in which other rows see it: rows that read its keys, and rows below it
        for layers, (start, stop) in {graft for row in grafts for graft in row}:
            for i in range(start, stop):
                first_layers[i] = min(first_layers[i], min(layers) if layers else 0)
        for i in reversed(range(len(order))):
            parent = parents[i]
            if parent >= 0:
                until[parent] = max(until[parent], until[i])
                if originals[parent] != parent:
                    first_layers[parent] = min(first_layers[parent], first_layers[i])
        writings = collect_overwrites(marks, paths)
        return PackedPass(
            ids=tuple(trie.cells[node][0] for node in order),
            depth=tuple(trie.depth[node] for node in order),
            visible_until=tuple(until),
            cuts=tuple(tuple((m.layers, (m.start, m.stop)) for m in row if isinstance(m, Cut)) for row in marks),
            grafts=tuple(grafts),
            first_layers=tuple(first_layers),
            originals=tuple(originals),
            waves=compute_waves(parents, grafts, writings),
            overwrites=tuple(writings),
            placements=tuple(
                self.make_placement(index, condition, paths) for index, condition in self.conditions.items()
            ),
            scales=self.find_scales(order),
        )

    def make_placement(self, index: int, condition: Condition, paths: dict[Condition, list[list[int]]]) -> Placement:
        """The place of a condition in the packed row."""
        n = len(condition.ids)
        reads = tuple(
            tuple(zip(path[n - 1 :], sequence, strict=True))
            for path, sequence in zip(paths[condition], condition.sequences, strict=True)
        )
        reference = condition.reference
        beside = paths[reference][0][: len(reference.ids)] if reference else ()
        return Placement(index, tuple(paths[condition][0][:n]), reads, tuple(beside))


def find_first_layers(marks: Sequence[tuple[Mark, ...]], unedited: Sequence[tuple[Mark, ...]]) -> Iterator[int | None]:
    """For each row, the first layer in which an edit at or before it can change it; None before any edit."""
    first: int | None = None
    for own, plain in zip(marks, unedited, strict=True):
        new = [min(mark.layers) if mark.layers else 0 for mark in own[len(plain) :]]
        first = min(new + ([] if first is None else [first]), default=None)
        yield first


def pack_graft(graft: Graft, paths: dict[Condition, list[list[int]]]) -> Iterator[tuple[Layers, Interval]]:
    """A graft as packed intervals, since the rows of a donor need not be neighbours."""
    rows = paths[graft.donor][0][graft.start : graft.stop]
    breaks = [i for i in range(1, len(rows)) if rows[i] != rows[i - 1] + 1]
    for a, b in zip([0, *breaks], [*breaks, len(rows)], strict=True):
        if a < b:
            yield graft.layers, (rows[a], rows[b - 1] + 1)
