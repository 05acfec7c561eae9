"""One packed row: conditions laid out in a trie, with what sets the rows of each apart.

Equal prefixes of any conditions, of one trace or of many, become one path. Rows that an edit concerns are a branch of
their own from the edited position on, and from the edited layer on: below it they are copies of their twins in the
unedited sequence.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from faithlens.model.structure import Interval, Structure
from faithlens.plan.condition import Condition, Cut, Graft, Layers, Mark, Overwrite, Patch, Write, list_averaged

CHUNK_ROWS = {"cpu": 1024, "cuda": 16384}  # rows that go through a block together: enough to fill the machine

Cell = tuple[int, tuple[Mark, ...]]  # a token and what sets its row apart: cells that are equal share a place


@dataclass(frozen=True)
class Placement:
    """Where a condition lies in a packed row.

    Attributes:
        index: which of the plan's conditions this is.
        path: the packed index of each of its tokens, in its own order.
        reads: for each option, the (packed index, token) pairs whose log-probabilities add up to the option's.
        reference_path: the path of the condition it is compared with; empty if there is none.
    """

    index: int
    path: tuple[int, ...]
    reads: tuple[tuple[tuple[int, int], ...], ...]
    reference_path: tuple[int, ...] = ()


@dataclass(frozen=True)
class OverwrittenRows:
    """Rows that one edit overwrites, and the rows its values come from.

    For a `Patch`, one source a target; for other edits, the rows that a mean or deviation is taken over, if any.
    """

    edit: Overwrite
    targets: tuple[int, ...]
    offsets: tuple[int, ...]
    sources: tuple[int, ...]

    @property
    def is_row_by_row(self) -> bool:
        """Whether each target has a source of its own."""
        return isinstance(self.edit, Patch)


@dataclass(frozen=True)
class PackedPass:
    """One packed row: what the model is run on.

    Attributes:
        ids: tokens.
        depth: each token's position in its own sequence.
        visible_until: packed index at which the subtree below each row ends.
        cuts: for each row, the depth intervals it may not see, and in which layers.
        grafts: for each row, packed intervals it sees in place of its own at their depths, and in which layers; of
            what is cut at these depths it sees neither.
        first_layers: the layer from which each row is its own; below it is a copy of its twin.
        originals: the row each row is a copy of below `first_layers`.
        waves: rows of one wave need no activation of a later one; sources come in an earlier wave than targets.
        overwrites: what is overwritten.
        placements: where the conditions lie.
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

    def count_row_blocks(self, n_layers: int) -> int:
        """Rows times the blocks each passes through: what the pass costs."""
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
        """The nodes of a path, made where they are missing."""
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
        """All nodes but the root, depth first, the first-inserted child first: the trunk stays in one stretch."""
        out, stack = [], [0]
        while stack:
            node = stack.pop()
            out.append(node)
            stack.extend(reversed(self.children[node].values()))
        return out[1:]


class Packing:
    """Conditions on their way into one packed row, with those whose activations they are made of."""

    def __init__(self, structure: Structure) -> None:
        self.structure = structure
        self.trie = Trie()
        self.paths: dict[Condition, list[list[int]]] = {}
        self.conditions: dict[int, Condition] = {}

    def add(self, index: int, condition: Condition) -> None:
        """Place a condition of the plan."""
        self.conditions[index] = condition
        self.insert_condition(condition)

    def insert_condition(self, condition: Condition) -> None:
        """Insert the paths of a condition's options, after those of its donors."""
        if condition in self.paths:
            return
        for donor in condition.donors:
            self.insert_condition(donor)
        tails = {option[:-1]: [] for option in condition.options}
        self.paths[condition] = [tails[option[:-1]] for option in condition.options]
        for tail, path in tails.items():
            path.extend(self.insert_sequence(condition, tail))

    def insert_sequence(self, condition: Condition, tail: tuple[int, ...]) -> list[int]:
        """Insert one sequence. Rows that differ from a layer on only are tied to their unedited twins."""
        tokens = condition.ids + tail
        marks = condition.mark_rows(self.structure, tail)
        path = self.trie.insert(list(zip(tokens, marks, strict=True)))
        if condition.edits:
            clean = condition.unedited.mark_rows(self.structure, tail)
            layers = list(find_first_layers(marks, clean))
            late = max((i + 1 for i, layer in enumerate(layers) if layer), default=0)
            twins = self.trie.insert(list(zip(tokens[:late], clean[:late], strict=True)))
            for node, twin, layer in zip(path, twins, layers, strict=False):
                if layer:
                    self.trie.first_layers[node], self.trie.originals[node] = layer, twin
        return path

    def pack(self) -> PackedPass:
        """Lay everything out in one row."""
        trie, order = self.trie, self.trie.list_nodes()
        place = {node: i for i, node in enumerate(order)}
        until, joins = list(range(1, len(order) + 1)), [trie.first_layers[node] for node in order]
        parents = [place.get(trie.parents[node], -1) for node in order]
        twins = [place[trie.originals[node]] for node in order]
        paths = {c: [[place[node] for node in path] for path in each] for c, each in self.paths.items()}
        marks = [trie.cells[node][1] for node in order]
        grafts = [tuple(g for mark in row if isinstance(mark, Graft) for g in pack_graft(mark, paths)) for row in marks]
        # a row must be there wherever others look at it: those that read its keys, and those below it
        for layers, (start, stop) in {graft for row in grafts for graft in row}:
            for i in range(start, stop):
                joins[i] = min(joins[i], min(layers) if layers else 0)
        for i in reversed(range(len(order))):
            parent = parents[i]
            if parent >= 0:
                until[parent] = max(until[parent], until[i])
                if twins[parent] != parent:
                    joins[parent] = min(joins[parent], joins[i])
        writings = collect_overwrites(marks, paths)
        return PackedPass(
            ids=tuple(trie.cells[node][0] for node in order),
            depth=tuple(trie.depth[node] for node in order),
            visible_until=tuple(until),
            cuts=tuple(tuple((m.layers, (m.start, m.stop)) for m in row if isinstance(m, Cut)) for row in marks),
            grafts=tuple(grafts),
            first_layers=tuple(joins),
            originals=tuple(twins),
            waves=compute_waves(parents, grafts, writings),
            overwrites=tuple(writings),
            placements=tuple(
                self.make_placement(index, condition, paths) for index, condition in self.conditions.items()
            ),
        )

    def make_placement(self, index: int, condition: Condition, paths: dict[Condition, list[list[int]]]) -> Placement:
        """Where a condition has come to lie."""
        n = len(condition.ids)
        reads = tuple(
            tuple(zip(path[n - 1 :], option, strict=True))
            for path, option in zip(paths[condition], condition.options, strict=True)
        )
        reference = condition.reference
        beside = paths[reference][0][: len(reference.ids)] if reference else ()
        return Placement(index, tuple(paths[condition][0][:n]), reads, tuple(beside))


def find_first_layers(marks: Sequence[tuple[Mark, ...]], unedited: Sequence[tuple[Mark, ...]]) -> Iterator[int | None]:
    """For each row, the first layer in which an edit at or before it may be felt; None before any edit."""
    first: int | None = None
    for own, plain in zip(marks, unedited, strict=True):
        new = [min(mark.layers) if mark.layers else 0 for mark in own[len(plain) :]]
        first = min(new + ([] if first is None else [first]), default=None)
        yield first


def pack_graft(graft: Graft, paths: dict[Condition, list[list[int]]]) -> Iterator[tuple[Layers, Interval]]:
    """A graft as packed intervals: the donor's rows need not be neighbours."""
    rows = paths[graft.donor][0][graft.start : graft.stop]
    breaks = [i for i in range(1, len(rows)) if rows[i] != rows[i - 1] + 1]
    for a, b in zip([0, *breaks], [*breaks, len(rows)], strict=True):
        if a < b:
            yield graft.layers, (rows[a], rows[b - 1] + 1)


def collect_overwrites(
    marks: Sequence[tuple[Mark, ...]], paths: dict[Condition, list[list[int]]]
) -> list[OverwrittenRows]:
    """What is overwritten, edit by edit in the order of their conditions' lists."""
    rows: dict[Overwrite, list[tuple[int, int]]] = {}
    for i, row in enumerate(marks):
        for mark in row:
            if isinstance(mark, Write):
                rows.setdefault(mark.edit, []).append((i, mark.offset))
    out = []
    for edit, found in rows.items():
        targets, offsets = zip(*found, strict=True)
        if isinstance(edit, Patch):
            start, _ = edit.donor.locate(edit.span if edit.at is None else edit.at)
            sources = [paths[edit.donor][0][start + offset] for offset in offsets]
        else:
            sources = sorted({row for donor in list_averaged(edit) for row in paths[donor][0][: len(donor.ids)]})
        out.append(OverwrittenRows(edit, targets, offsets, tuple(sources)))
    return out


def compute_waves(
    parents: Sequence[int], grafts: Sequence[Sequence[tuple[Layers, Interval]]], overwrites: Sequence[OverwrittenRows]
) -> tuple[int, ...]:
    """The wave of each row: beyond those of its ancestors' sources and of its own."""
    sources: dict[int, set[int]] = {}
    for i, row in enumerate(grafts):
        for _, interval in row:
            sources.setdefault(i, set()).update(range(*interval))
    for writing in overwrites:
        patch = isinstance(writing.edit, Patch)
        for i, target in enumerate(writing.targets):
            sources.setdefault(target, set()).update(writing.sources[i : i + 1] if patch else writing.sources)
    out = [0] * len(parents)
    while True:  # a source may lie after its target; each round settles one more generation of edited donors
        before = list(out)
        for i, parent in enumerate(parents):
            above = out[parent] if parent >= 0 else 0
            out[i] = max([above, *(out[source] + 1 for source in sources.get(i, ()))])
        if out == before:
            return tuple(out)
